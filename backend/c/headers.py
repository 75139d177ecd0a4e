"""The kernel headers, and which other ones each includes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

ELEMENT = "htvm_element.h"
"""Every network includes it."""

SOC = "htvm_soc.h"
"""Calls of transfer engines and accelerators."""

_REQUANT = "htvm_requant.h"

INCLUDES: Mapping[str, tuple[str, ...]] = {
    "htvm_argmax.h": (ELEMENT,),
    "htvm_conv2d.h": (_REQUANT,),
    "htvm_depthwise.h": (_REQUANT,),
    "htvm_depthwise_words.h": ("htvm_depthwise.h",),
    ELEMENT: (),
    "htvm_elementwise.h": (_REQUANT,),
    "htvm_layer_norm.h": (_REQUANT,),
    "htvm_matmul.h": (_REQUANT,),
    "htvm_packed.h": (_REQUANT,),
    "htvm_paired_row.h": (_REQUANT,),
    "htvm_pool2d.h": (_REQUANT,),
    "htvm_pool2d_words.h": ("htvm_pool2d.h",),
    _REQUANT: (ELEMENT,),
    SOC: (),
    "htvm_real.h": ("htvm_elementwise.h",),
    "htvm_softmax.h": (_REQUANT,),
    "htvm_sparse_row.h": (_REQUANT,),
    "htvm_winograd.h": (_REQUANT,),
}
"""By header of runtime/kernels, the headers of that folder which it includes itself."""

STACK_BYTES: Mapping[str, int] = {
    "htvm_argmax.h": 32,
    "htvm_conv2d.h": 560,
    "htvm_depthwise.h": 320,
    "htvm_depthwise_words.h": 224,
    "htvm_elementwise.h": 112,
    "htvm_layer_norm.h": 784,
    "htvm_matmul.h": 128,
    "htvm_packed.h": 320,
    "htvm_paired_row.h": 144,
    "htvm_pool2d.h": 112,
    "htvm_pool2d_words.h": 192,
    "htvm_real.h": 352,
    "htvm_softmax.h": 128,
    "htvm_sparse_row.h": 192,
    "htvm_winograd.h": 496,
}
"""By header of runtime/kernels, the most that a call of one of its kernels takes of the stack, in any form: what gcc 12
and clang 22 make of it at -O2 and -O3 (test/unit/kernels/test_stack.py)."""

STEPS_STACK_BYTES = 176
"""What NAME_run, a step and the copies of its jobs' descriptors take of the stack, without kernels."""


def stack_bytes(names: Iterable[str]) -> int:
    """Return the most stack that a network takes whose steps call kernels of these headers."""
    return STEPS_STACK_BYTES + max((STACK_BYTES.get(name, 0) for name in names), default=0)


def with_included(names: Iterable[str]) -> list[str]:
    """Return headers and all that they include, directly or through another, in order of name."""
    pending, found = list(names), set[str]()
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += INCLUDES[name]
    return sorted(found)
