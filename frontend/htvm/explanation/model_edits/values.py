"""Model edits of the numbers that a layer reads: weights, inputs, the value of the padding, element types."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from htvm.backend.targets.violations import Interval, OneOf, Violation
from htvm.dialects import accel
from htvm.explanation.model_edits.layer_spec import (
    REQUANTISE,
    RETRAIN,
    SAME_NUMBERS,
    LayerSpec,
    ModelEdit,
)
from htvm.explanation.model_edits.scaling import moved
from htvm.explanation.model_edits.wanted import intervals


def constant_weights(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """Weights that are in the file; the largest there are, as nothing is known of them."""
    if issubclass(layer.op, accel.Weighted) and layer.weights is None:
        *maps, computed = layer.inputs
        weights = np.where(np.arange(np.prod(computed.shape)) % 2, 127, -128).reshape(computed.shape)
        yield ModelEdit("weights that are constants", RETRAIN, replace(layer, inputs=tuple(maps), weights=weights))


def weight_range(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """Weights in a range that the rule names, or only -1, 0 and 1 where it wants those."""
    if layer.weights is None:
        return
    held = Interval(int(layer.weights.min()), int(layer.weights.max()))
    if violation.wanted == OneOf((-1, 0, 1)):
        large = np.abs(layer.weights) > 0.7 * np.abs(layer.weights).mean()  # the threshold of ternary weight networks
        yield ModelEdit("weights of -1, 0 and 1", RETRAIN, replace(layer, weights=np.sign(layer.weights) * large))
    for low, high in intervals(violation.wanted):
        narrow = replace(layer, weights=np.clip(layer.weights, low, high))
        yield ModelEdit(f"weights {held} -> {low}..{high}", REQUANTISE, narrow)


def input_range(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """Inputs in a range that the rule names: those of zero point 0 that lose least."""
    held = Interval(*layer.inputs[0].range)
    for low, high in sorted(intervals(violation.wanted), key=lambda each: each[0] - each[1]):
        narrow = replace(layer.inputs[0], range=(max(held.low, low), min(held.high, high)))
        description = f"inputs {held} -> {low}..{high}"
        yield ModelEdit(description, REQUANTISE, replace(layer, inputs=(narrow, *layer.inputs[1:])))


def zero_padding(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """An input whose zero point is 0."""
    if layer.is_conv2d and layer.pad_value:
        yield ModelEdit(f"the input's zero point {layer.pad_value} -> 0", REQUANTISE, replace(layer, pad_value=0))


def signed_input(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """The same input as int8: each integer, and the zero point, 128 less."""
    if not issubclass(layer.op, accel.Weighted) or layer.inputs[0].element != "ui8":
        return
    if layer.requant is None or layer.weights is None:
        return
    low, high = layer.inputs[0].range
    signed = replace(layer.inputs[0], element="i8", range=(low - 128, high - 128))
    sums = 128 * layer.weights.reshape(len(layer.weights), -1).sum(1)
    after = replace(
        layer, inputs=(signed, *layer.inputs[1:]), pad_value=layer.pad_value - 128, requant=moved(layer.requant, sums)
    )
    yield ModelEdit("its input as int8, integers and zero point 128 less", SAME_NUMBERS, after)
