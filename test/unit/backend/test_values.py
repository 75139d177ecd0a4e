"""How loops over the elements of tensors are laid out."""

from htvm.backend.c import values


def test_rows_are_as_long_as_can_be() -> None:
    """From NCHW to NHWC: three rows of 9,216 elements, not 9,216 rows of three."""
    inner, outer = values.inner_and_outer((1, 3, 96, 96), (27648, 9216, 96, 1), (27648, 1, 288, 3))
    assert not outer
    assert values.longest_last(inner) == [(1, 1, 3, 9216), (0, 0, 9216, 1), (0, 0, 1, 3)]
    inner, _ = values.inner_and_outer((1, 3, 96, 96), (27648, 1, 288, 3), (27648, 1, 288, 3))
    assert values.longest_last(inner)[0] == (1, 1, 1, 27648), "alike, all elements are one row"
