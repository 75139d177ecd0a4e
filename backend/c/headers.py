"""The headers of kernels, and what they include."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

ELEMENT = "htvm_element.h"
"""Every network includes it."""

SOC = "htvm_soc.h"
"""Calls of transfer engines and accelerators."""

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


@dataclass(frozen=True)
class Header:
    """A header of runtime/kernels whose kernels no KernelSpec describes: those of layers that are not linear.

    stack_bytes: the most that a call of one of its kernels takes of the stack, in any form: what gcc 12 and clang 22
    make of it at -O2 and -O3 (test/unit/kernels/test_stack.py).
    """

    name: str
    stack_bytes: int


REQUANT = "htvm_requant.h"
"""From an accumulator to an output element."""

ELEMENTWISE = Header("htvm_elementwise.h", 112)
"""Element-wise layers, and copies."""

DRIVER = Header("htvm_driver.h", 208)
"""Calls of accelerators' drivers: geometry, and the driver's arguments."""

STEPS_STACK_BYTES = 176
"""What NAME_run, a step and the copies of its jobs' descriptors take of the stack, without kernels."""


def parameters(header: str, kind: str) -> str:
    """Return the parameters of the functions that HTVM_DEFINE_<kind> of a header of htvm's defines, as C."""
    text = (resources.files("htvm.runtime") / "kernels" / header).read_text(encoding="utf-8")
    found = re.search(rf"#define HTVM_DEFINE_{kind}\(name[^)]*\)[\\\s]*HTVM_SHARED void name\(([^)]*)\)", text)
    if found is None:
        raise ValueError(f"{header} has no HTVM_DEFINE_{kind} that defines one function")
    return " ".join(found[1].replace("\\", " ").split())


def is_own(name: str) -> bool:
    """Say whether htvm has a header of a name."""
    return (resources.files("htvm.runtime") / "kernels" / name).is_file()


def with_included(names: Iterable[str], folders: Mapping[str, Path]) -> dict[str, str]:
    """Return the text of headers and of all that they include, directly or through another, in order of name.

    folders: where headers are that are not htvm's own.
    """
    pending, texts = list(names), dict[str, str]()
    while pending:
        name = pending.pop()
        if name in texts:
            continue
        folder = folders.get(name)
        if folder is None:
            texts[name] = (resources.files("htvm.runtime") / "kernels" / name).read_text(encoding="utf-8")
        else:
            texts[name] = (folder / name).read_text(encoding="utf-8")
        for included in INCLUDE.findall(texts[name]):
            if folder is not None and (folder / included).is_file():
                folders = {**folders, included: folder}
            pending.append(included)
    return dict(sorted(texts.items()))
