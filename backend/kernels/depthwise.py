"""What the kernels of depthwise layers share."""

from __future__ import annotations

import numpy as np

from .elements import ElementType
from .requant import requant_fields
from .spec import ConstantArray, KernelCall, Macro, Site, Window, map_fields


def depthwise_call(site: Site, kind: str, *, has_stride: bool, window: Window = Window.NONE) -> KernelCall:
    """Return the call of a kernel that slides along rows: the longer, the fewer begin anew."""
    conv, weights = site.conv, site.weights
    if conv.out_height > conv.out_width:
        conv, weights = conv.transposed(), np.swapaxes(weights, 2, 3)
    stride: tuple[ElementType | str | int, ...] = (conv.strides[0],) if has_stride else ()
    return KernelCall(
        fields={
            "channels multiplier": (len(weights), conv.out_channels),
            **map_fields(conv),
            "requant": requant_fields(site.requant),
        },
        arrays=(ConstantArray("weights", site.w.c, weights.reshape(-1)),),
        requant=site.requant,
        struct="htvm_depthwise_layer",
        macro=Macro(kind, (*stride, site.x, site.w, site.y, site.requant.form)),
        window=window,
    )
