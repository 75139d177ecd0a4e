"""The facts of a conv2d or dense layer by which kernels decide (htvm.backend.kernels)."""

from __future__ import annotations

from functools import partial
from math import prod

import numpy as np
from mlir.dialects import arith

from htvm.backend.kernels.spec import RANGES, Linear
from htvm.dialects import accel

from . import activations, layout

WORD_BYTES = 4

DATA_BYTES = "accel.data_bytes"
"""The attribute of a layer that says how many bytes its weights have in its kernel's order."""


def read(layer: accel.Conv2dOp | accel.DenseOp) -> Linear:
    """Return the facts of a layer on tensors."""
    x, y = layer.input.type, accel.output(layer).type
    constant = accel.producer(layer.weights)
    assert isinstance(constant, arith.ConstantOp), "accepted: a layer whose weights are computed has other kernels"
    weights = np.array(constant.value)
    common = partial(
        Linear,
        in_type=str(x.element_type),
        weights_type=str(layer.weights.type.element_type),
        out_type=str(y.element_type),
        activation_bytes=layout.size_bytes(x) + layout.size_bytes(y),
        skip=frequent_input(layer),
    )
    if isinstance(layer, accel.DenseOp):
        return common(
            weights=weights[:, :, None, None],
            groups=1,
            batch=1,
            size=(1, prod(y.shape[:-1])),
            strides=(1, 1),
            dilations=(1, 1),
            is_inside=True,
            fits_depthwise_3x3=False,
            has_words=False,
            x=(layout.strides(x)[-1], 0, 0),
            op="dense",
            in_size=(1, prod(y.shape[:-1])),
            y=(layout.strides(y)[-1], 0, 0),
        )
    (rows, columns), (down, across), pads = layer.strides, layer.dilations, list(layer.pads)
    (_, _, height, width), (_, *steps), (_, *out_steps) = y.shape, layout.strides(x), layout.strides(y)
    kernel = tuple(weights.shape[2:])
    small = kernel == (3, 3) and (rows, columns) in ((1, 1), (2, 2)) and (down, across) == (1, 1)
    return common(
        weights=weights,
        groups=layer.groups.value,
        batch=x.shape[0],
        size=(height, width),
        strides=(rows, columns),
        dilations=(down, across),
        is_inside=not any(pads),
        fits_depthwise_3x3=small and max(pads) <= 1,
        has_words=has_words(layer),
        x=(steps[0], steps[1], steps[2]),
        in_size=(x.shape[2], x.shape[3]),
        pads=(pads[0], pads[1]),
        y=(out_steps[0], out_steps[1], out_steps[2]),
    )


def has_words(layer: accel.Conv2dOp) -> bool:
    """Say whether four channels of a layer's input are a word: bytes, neighbours, in memory that htvm has aligned."""
    steps = layout.strides(layer.input.type)
    by_caller = activations.is_of_caller(layer.input) or activations.is_returned(layer.input)
    is_aligned = steps[1] == 1 and not any(step % WORD_BYTES for step in (steps[0], *steps[2:]))
    return is_aligned and layout.element_bytes(layer.input.type) == 1 and not by_caller


def frequent_input(layer: accel.Conv2dOp | accel.DenseOp) -> int | None:
    """Return the element that a relu makes of all negative numbers, if one has made the input: the type's smallest.

    Averages are not clamped, and seldom 0; of what comes from outside nothing is known.
    """
    zero = layer.pad_value if isinstance(layer, accel.Conv2dOp) else layer.zero_point
    maker = accel.producer(layer.input)
    while isinstance(maker, accel.ReshapeOp):
        maker = accel.producer(maker.input)
    lowest, _ = RANGES.get(str(layer.input.type.element_type), (None, None))
    is_clamped = maker is not None and not isinstance(maker, accel.Pool2dOp)
    return lowest if is_clamped and zero is not None and zero.value == lowest else None
