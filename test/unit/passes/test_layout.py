"""Where elements lie, on tensors and memrefs."""

from collections.abc import Iterator

import pytest
from mlir import ir

from htvm import dialects
from htvm.passes.analysis import layout

NHWC = "affine_map<(n, c, h, w) -> (n, h, w, c)>"


@pytest.fixture(autouse=True)
def in_context() -> Iterator[None]:
    with dialects.context(), ir.Location.unknown():
        yield


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("tensor<1x3x4x5xi8>", (60, 20, 5, 1)),
        (f"tensor<1x3x4x5xi8, {NHWC}>", (60, 1, 15, 3)),
        ("tensor<2x3xi8, affine_map<(r, c) -> (c, r)>>", (1, 2)),
        ("tensor<i8>", ()),
        ('memref<1x3x4x5xi8, strided<[60, 1, 15, 3]>, "ram">', (60, 1, 15, 3)),
        ('memref<3x4xi8, "ram">', (4, 1)),
    ],
)
def test_strides(text: str, steps: tuple[int, ...]) -> None:
    assert layout.strides(ir.Type.parse(text)) == steps


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("tensor<1x3x4x5xi8>", f"tensor<1x3x4x5xi8, {NHWC}>"),
        ("tensor<1x1x4x5xi8>", "tensor<1x1x4x5xi8>"),  # one channel: nothing moves
        ("tensor<7x3x1x1xi8>", "tensor<7x3x1x1xi8>"),  # one pixel: nothing moves
        ("tensor<1x3x1x5xi8>", f"tensor<1x3x1x5xi8, {NHWC}>"),
        (f"tensor<1x1x4x5xi8, {NHWC}>", "tensor<1x1x4x5xi8>"),
    ],
)
def test_channels_last_is_written_as_row_major_where_it_is_the_same(text: str, wanted: str) -> None:
    assert layout.with_axes(ir.Type.parse(text), layout.NHWC) == ir.Type.parse(wanted)


def test_memrefs_have_the_layout_of_their_tensor() -> None:
    found = layout.memref(ir.Type.parse(f"tensor<1x3x4x5xui8, {NHWC}>"), "l2")
    assert found == ir.Type.parse('memref<1x3x4x5xui8, strided<[60, 1, 15, 3]>, "l2">')
    assert layout.memref(ir.Type.parse("tensor<3xi32>"), "l2") == ir.Type.parse('memref<3xi32, "l2">')


def test_sizes() -> None:
    assert layout.size_bytes(ir.Type.parse("tensor<3x5xi32>")) == 60
    assert layout.size_bytes(ir.Type.parse("memref<3x5xui8>")) == 15
    assert [layout.aligned(size) for size in (0, 1, 4, 5)] == [0, 4, 4, 8]
