"""What the backend knows of kernel headers is what is in them."""

import re
from importlib import resources

from htvm.backend.c.headers import INCLUDES, with_included

FOLDER = resources.files("htvm.runtime") / "kernels"


def test_every_header_is_listed_with_what_it_includes() -> None:
    texts = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.iterdir() if file.name.endswith(".h")}
    found = {name: tuple(re.findall(r'^#include "(.*)"', text, re.MULTILINE)) for name, text in texts.items()}
    assert dict(INCLUDES) == found


def test_headers_come_with_those_behind_them() -> None:
    wanted = ["htvm_element.h", "htvm_pool2d.h", "htvm_pool2d_words.h", "htvm_requant.h"]
    assert with_included(["htvm_pool2d_words.h"]) == wanted
