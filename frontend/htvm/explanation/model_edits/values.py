"""Changes of the numbers that a layer reads: weights, inputs, the value of the padding, element types."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from htvm.dialects.semantics.value_ranges import Range
from htvm.explanation.model_edits.layer_spec import (
    LINEAR,
    REQUANTISE,
    RETRAIN,
    SAME_NUMBERS,
    Change,
    Question,
    Reason,
)
from htvm.explanation.model_edits.scaling import moved, spans


def constant_weights(of: Question, why: Reason) -> Iterator[Change]:
    """Weights that are in the file; the largest there are, as nothing is known of them."""
    if of.op in LINEAR and of.weights is None:
        *maps, computed = of.inputs
        weights = np.where(np.arange(np.prod(computed.shape)) % 2, 127, -128).reshape(computed.shape)
        yield Change("weights that are constants", RETRAIN, replace(of, inputs=tuple(maps), weights=weights))


def weight_range(of: Question, why: Reason) -> Iterator[Change]:
    """Weights in a range that the rule names, or only -1, 0 and 1 where it wants those."""
    if of.weights is None:
        return
    found = int(of.weights.min()), int(of.weights.max())
    if "-1, 0 and 1" in why.wanted:
        large = np.abs(of.weights) > 0.7 * np.abs(of.weights).mean()  # the threshold of ternary weight networks
        yield Change("weights of -1, 0 and 1", RETRAIN, replace(of, weights=np.sign(of.weights) * large))
    for low, high in spans(why.wanted):
        narrow = replace(of, weights=np.clip(of.weights, low, high))
        yield Change(f"weights {span(found)} -> {low}..{high}", REQUANTISE, narrow)


def input_range(of: Question, why: Reason) -> Iterator[Change]:
    """Inputs in a range that the rule names: those of zero point 0 that lose least."""
    found = of.inputs[0].range
    for low, high in sorted(spans(why.wanted), key=lambda each: each[0] - each[1]):
        narrow = replace(of.inputs[0], range=(max(found[0], low), min(found[1], high)))
        says = f"inputs {span(found)} -> {low}..{high}"
        yield Change(says, REQUANTISE, replace(of, inputs=(narrow, *of.inputs[1:])))


def zero_padding(of: Question, why: Reason) -> Iterator[Change]:
    """An input whose zero point is 0."""
    if of.is_conv2d and of.pad_value:
        yield Change(f"the input's zero point {of.pad_value} -> 0", REQUANTISE, replace(of, pad_value=0))


def signed_input(of: Question, why: Reason) -> Iterator[Change]:
    """The same input as int8: each integer, and the zero point, 128 less."""
    if of.op not in LINEAR or of.inputs[0].element != "ui8" or of.requant is None or of.weights is None:
        return
    low, high = of.inputs[0].range
    signed = replace(of.inputs[0], element="i8", range=(low - 128, high - 128))
    sums = 128 * of.weights.reshape(len(of.weights), -1).sum(1)
    after = replace(of, inputs=(signed, *of.inputs[1:]), pad_value=of.pad_value - 128, requant=moved(of.requant, sums))
    yield Change("its input as int8, integers and zero point 128 less", SAME_NUMBERS, after)


def span(found: Range) -> str:
    return f"{found[0]}..{found[1]}"
