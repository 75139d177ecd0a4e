"""Scaling of single elements as a layer: a depthwise convolution of one pixel, with one weight for all channels.

    y = clip((x * weight + bias) >> shift, low, high)
"""

from __future__ import annotations

import numpy as np
from mlir import ir

from . import accel, quantisation

PRE_SHIFT = 2
"""Of a narrow requantisation whose multiplier is 2^(32 - PRE_SHIFT): its whole factor is 2^-shift."""


def scaled(
    value: ir.Value, result: ir.Type, *, weight: int = 1, bias: int = 0, shift: int = 0, low: int, high: int
) -> accel.Conv2dOp:
    """Return the layer on a map [1, C, H, W] of i8, at the insertion point (stage integer on)."""
    channels = ir.ShapedType(value.type).shape[1]
    requant = {
        "multiplier": ir.DenseI32ArrayAttr.get([1 << (32 - PRE_SHIFT)]),
        "offset": ir.DenseI64ArrayAttr.get([bias << PRE_SHIFT]),
        "shift": ir.DenseI32ArrayAttr.get([32 + shift]),
        "pre_shift": _integer(PRE_SHIFT),
        "min": _integer(low),
        "max": _integer(high),
        "narrow": ir.UnitAttr.get(),
    }
    return accel.Conv2dOp(
        result,
        value,
        quantisation.integers(np.full((channels, 1, 1, 1), weight, np.int8)),
        strides=[1, 1],
        pads=[0, 0, 0, 0],
        dilations=[1, 1],
        groups=channels,
        pad_value=0,
        requant=ir.DictAttr.get(requant),
    )


def erase(layer: accel.Conv2dOp) -> None:
    """Take away a layer that nothing reads, with its weights."""
    weights = layer.weights.owner
    layer.operation.erase()
    weights.erase()


def _integer(number: int) -> ir.IntegerAttr:
    return ir.IntegerAttr.get(ir.IntegerType.get_signless(64), number)
