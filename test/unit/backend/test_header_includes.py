"""A project has the kernel headers that it calls, and those that they include."""

from htvm.backend.c.headers import with_included


def test_headers_come_with_those_behind_them() -> None:
    wanted = ["htvm_element.h", "htvm_pool2d.h", "htvm_pool2d_words.h", "htvm_requant.h"]
    assert list(with_included(["htvm_pool2d_words.h"], {})) == wanted
