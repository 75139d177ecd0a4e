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


def with_included(names: Iterable[str]) -> list[str]:
    """Return headers and all that they include, directly or through another, in order of name."""
    pending, found = list(names), set[str]()
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += INCLUDES[name]
    return sorted(found)
