"""Layers whose results depend on single elements, as convolutions of one pixel.

y = clip((x * weight + bias) >> shift, low, high)
"""

from __future__ import annotations

import numpy as np
from mlir import ir

from . import accel, quantisation

PRE_SHIFT = 2
"""Of a requantisation with the multiplier 2^(32 - PRE_SHIFT): with a shift of 32 it changes nothing."""


def scaled(
    value: ir.Value, result: ir.Type, *, weight: int = 1, bias: int = 0, shift: int = 0, low: int, high: int
) -> accel.Conv2dOp:
    """Return the layer on a map [1, C, H, W] of i8 as a depthwise convolution, at the insertion point."""
    channels = ir.ShapedType(value.type).shape[1]
    return _convolution(value, result, np.full((channels, 1), weight), bias, shift, low, high)


def copied(value: ir.Value, result: ir.Type, low: int, high: int) -> accel.Conv2dOp:
    """Return the layer whose result is its input, between `low` and `high`, as a convolution with a unit matrix.

    Unlike a depthwise one, an engine computes all of its channels in one launch.
    """
    return _convolution(value, result, np.eye(ir.ShapedType(value.type).shape[1]), 0, 0, low, high)


def erase(layer: accel.Conv2dOp) -> None:
    """Take away a layer that nothing reads, with its weights."""
    weights = accel.producer(layer.weights)
    layer.operation.erase()
    if weights is not None:
        weights.erase()


def _convolution(
    value: ir.Value, result: ir.Type, matrix: np.ndarray, bias: int, shift: int, low: int, high: int
) -> accel.Conv2dOp:
    """Return a convolution with weights [K, C / groups]."""
    requant = accel.RequantAttr.get(
        multiplier=[1 << (32 - PRE_SHIFT)],
        offset=[bias << PRE_SHIFT],
        shift=[32 + shift],
        pre_shift=PRE_SHIFT,
        min=low,
        max=high,
        narrow=True,
    )
    return accel.Conv2dOp(
        result,
        value,
        quantisation.integers(matrix.astype(np.int8)[:, :, None, None]),
        strides=[1, 1],
        pads=[0, 0, 0, 0],
        dilations=[1, 1],
        groups=ir.ShapedType(value.type).shape[1] // matrix.shape[1],
        pad_value=0,
        requant=requant,
    )
