"""Model edits of how sums become results: scales, shifts, rounding, clip, bias, and where the result goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil, log2
from typing import Any

import numpy as np

from htvm.backend.targets.engines.shift_requant import Requant, Shifter
from htvm.backend.targets.violations import Interval, Violation
from htvm.dialects import accel
from htvm.dialects.semantics import value_ranges
from htvm.explanation.model_edits.layer_spec import (
    REQUANTISE,
    RETRAIN,
    SAME_NUMBERS,
    LayerSpec,
    ModelEdit,
)
from htvm.explanation.model_edits.wanted import intervals

REFIT = "--requant pow2"
"""The option of htvm with which it makes scales powers of two and zero points 0 itself."""
LARGEST_SHIFT = 31
UNIT = {"multiplier": 1 << 30, "pre_shift": 2, "shift": 32}
"""A multiplication by 1, with the high word of a product: shift 32 + s divides by 2^s."""


def refitted(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """What htvm does itself if it may: powers of two as scales, one for each tensor, zero points 0."""
    if layer.requant is None or layer.rescale is not None or layer.pooling is not None:
        return
    after = sum_of_equals(layer) if layer.op is accel.AddOp else shifted(layer, [one_exponent(layer)], pad_value=0)
    yield ModelEdit("scales that are powers of two, zero points 0", REQUANTISE, after, REFIT)


def powers_of_two(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """Scales that are powers of two, each the nearest to its own."""
    if layer.requant is None or layer.rescale is not None or layer.op is accel.AddOp:
        return
    own, used = exponents(layer), used_slopes(layer)
    if any(slope not in {2.0**-each for each in own} for slope in used):
        one = len(set(used)) == 1
        description = (
            f"scale {used[0]:.6g} -> 2^{-min(own)}, a shift" if one else "scales that are powers of two, shifts"
        )
        description += " that rounds down" if one else " that round down"
        option = None if layer.pooling is not None else REFIT  # which leaves what averages divide by
        yield ModelEdit(description, REQUANTISE, shifted(layer, own[:1] if len(set(own)) == 1 else own), option)


def one_scale(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """One scale for all output channels: the largest, with which all weights have room."""
    if (
        layer.requant is None
        or layer.rescale is not None
        or layer.op is accel.AddOp
        or len(set(used_slopes(layer))) == 1
    ):
        return
    slopes, used = slopes_of(layer), used_slopes(layer)
    largest = slopes.index(max(used))
    of_channels = layer.requant.multiplier, layer.requant.shift
    multiplier, shift = ((entries * len(slopes))[largest] for entries in of_channels)
    requant = layer.requant.replace(multiplier=[multiplier], shift=[shift])
    description = f"one scale for the whole tensor of weights, in place of {len(set(used))}"
    yield ModelEdit(description, REQUANTISE, replace(layer, requant=requant), REFIT)


def rounding(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """Halves are rounded up, not to the even neighbour: a half in the bias, then a shift."""
    if layer.requant is not None and layer.requant.tie_below:
        after = replace(layer, requant=layer.requant.replace(tie_below=0))
        yield ModelEdit("halves rounded up, not to the even neighbour", REQUANTISE, after, REFIT)


def equal_scales(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """Both operands of an addition, and its result, with scales that a shift can do."""
    if layer.op is accel.AddOp and layer.requant is not None:
        description = "operands with one scale, the result's a power of two times that"
        yield ModelEdit(description, REQUANTISE, sum_of_equals(layer), REFIT)


def clip(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """Another clip: those that the rule names, the nearest first."""
    if layer.requant is None or layer.rescale is not None:
        return
    found = layer.requant.min, layer.requant.max

    def loss(ends: tuple[int, int]) -> tuple[bool, int]:
        return not (ends[0] <= found[0] and found[1] <= ends[1]), abs(ends[0] - found[0]) + abs(ends[1] - found[1])

    for low, high in sorted(intervals(violation.innermost.wanted), key=loss):
        after = replace(layer, requant=layer.requant.replace(min=low, max=high))
        effort = RETRAIN if loss((low, high))[0] else REQUANTISE
        yield ModelEdit(f"a result cut off at {low}..{high}, not at {found[0]}..{found[1]}", effort, after)


def bias(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """Biases in the range that the rule names."""
    limits = violation.innermost.wanted
    if layer.requant is None or layer.op is accel.AddOp or not isinstance(limits, Interval):
        return
    low, high = limits
    stated = Requant.of(layer.requant)
    offsets = np.clip(stated.offset, low << stated.pre_shift, high << stated.pre_shift)
    description = "no bias" if low == high == 0 else f"biases of {low} to {high}"
    yield ModelEdit(description, RETRAIN, replace(layer, requant=layer.requant.replace(offset=offsets.tolist())))


def code(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """A result that is a converter's code: sums divided by a power of two, rounded down, cut off, without bias."""
    converter = violation.wanted
    if layer.requant is None or layer.rescale is not None or not layer.is_conv2d or not isinstance(converter, Shifter):
        return
    for low, high in converter.clips[-1:]:
        first, last = value_ranges.sums(accel.present(layer.weights, "weights"), layer.inputs[0].range)
        one = max(0, ceil(log2(max(1, *np.abs(first), *np.abs(last)) / max(1, high))))
        after = replace(shifted(layer, [one]), rescale=None)
        requant = accel.present(after.requant, "requant").replace(min=low, max=high, offset=[0])
        yield ModelEdit(
            f"a result that is a converter's code: sums divided by 2^{one}, cut off at {low}..{high}, no bias",
            RETRAIN,
            replace(after, requant=requant),
        )


def one_step(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """One requantisation, where the sum is read by a converter and its code scaled again."""
    if layer.rescale is None:
        return
    slopes = np.array(slopes_of(layer)) * np.array(Requant.of(layer.rescale.requant).slopes(channels(layer)))
    slopes = slopes * np.array(layer.rescale.weights)
    one = round(float(-np.log2(np.abs(slopes).clip(2.0**-LARGEST_SHIFT)).mean()))
    after = shifted(layer, [min(max(one, 0), LARGEST_SHIFT)])
    ends = layer.rescale.requant
    requant = accel.present(after.requant, "requant").replace(min=ends.min, max=ends.max)
    yield ModelEdit("one requantisation, no converter between", RETRAIN, replace(after, requant=requant, rescale=None))


def eight_bits(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """A result of 8 bits in place of raw sums."""
    if layer.requant is not None or layer.weights is None:
        return
    first, last = value_ranges.sums(layer.weights, layer.inputs[0].range)
    one = max(0, ceil(log2(max(1, *np.abs(first), *np.abs(last)) / 127)))
    output = replace(layer.output, element="i8", range=(-128, 127))
    after = replace(layer, output=output, requant=shift_only([0] * len(layer.weights), [one], -128, 127))
    yield ModelEdit("a result of 8 bits (QuantizeLinear after it)", REQUANTISE, after)


def signed_output(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """The same result as int8: each integer, and the zero point, 128 less."""
    if layer.requant is None or layer.rescale is not None or layer.output.element != "ui8":
        return
    stated = Requant.of(layer.requant)
    low, high = stated.low - 128, stated.high - 128
    output = replace(layer.output, element="i8", range=(low, high))
    requant = layer.requant.replace(zero_point=stated.zero_point - 128, min=low, max=high)
    yield ModelEdit("its result as int8, integers and zero point 128 less", SAME_NUMBERS,
                 replace(layer, output=output, requant=requant))  # fmt: skip


# What they are made of


def slopes_of(layer: LayerSpec) -> list[float]:
    """Return how much a result grows with the sum, for each output channel; of a pool2d for each of its `counts`."""
    stated = Requant.of(accel.present(layer.requant, "requant"))
    return stated.slopes(channels(layer) if layer.pooling is None else len(stated.multiplier)).tolist()


def used_slopes(layer: LayerSpec) -> list[float]:
    """Return the slopes of the channels that have a weight other than 0; all of them if none has."""
    slopes = slopes_of(layer)
    if layer.weights is None:
        return slopes
    return [slope for slope, weights in zip(slopes, layer.weights) if weights.any()] or slopes


def exponents(layer: LayerSpec) -> list[int]:
    """Return the s of the 2^-s next to each channel's scale, 0 to LARGEST_SHIFT."""
    slopes = np.abs(slopes_of(layer)).clip(2.0**-LARGEST_SHIFT)
    return np.clip(np.rint(-np.log2(slopes)), 0, LARGEST_SHIFT).astype(int).tolist()


def one_exponent(layer: LayerSpec) -> int:
    """Return the s of the 2^-s next to the largest scale of a channel that is used."""
    largest = max(max(map(abs, used_slopes(layer))), 2.0**-LARGEST_SHIFT)
    return min(max(round(-log2(largest)), 0), LARGEST_SHIFT)


def channels(layer: LayerSpec) -> int:
    """Return the number of output channels."""
    return layer.output.shape[-1 if layer.op is accel.DenseOp else 1]


def shifted(layer: LayerSpec, by: Sequence[int], **others: Any) -> LayerSpec:
    """Return a layer that divides its sums, with their biases, by 2^s and rounds down; its clip stays."""
    stated = Requant.of(accel.present(layer.requant, "requant"))
    biases = [offset >> stated.pre_shift for offset in stated.offset]
    return replace(layer, requant=shift_only(biases, by, stated.low, stated.high), **others)


def shift_only(biases: Sequence[int], by: Sequence[int], low: int, high: int) -> accel.RequantAttr:
    """Return ((sum + bias) >> s) clipped, as the attribute `requant`."""
    # a bias that 32 bits do not hold has another scale then
    scaled = [max(min(each, (1 << 30) - 1), -(1 << 30)) << UNIT["pre_shift"] for each in biases]
    return accel.RequantAttr.get(
        multiplier=[UNIT["multiplier"]] * len(by),
        offset=scaled,
        shift=[UNIT["shift"] + each for each in by],
        pre_shift=UNIT["pre_shift"],
        min=low,
        max=high,
        narrow=True,
    )


def sum_of_equals(layer: LayerSpec) -> LayerSpec:
    """Return an addition that halves the sum of its operands; its clip stays."""
    ends = accel.present(layer.requant, "requant")
    halved = accel.RequantAttr.get(multiplier=[1, 1], offset=[0], shift=[1], min=ends.min, max=ends.max, narrow=True)
    return replace(layer, requant=halved)


def moved(requant: accel.RequantAttr, sums: np.ndarray) -> accel.RequantAttr:
    """Return a requantisation of sums that are less by some number for each channel, with the same results."""
    return requant.replace(offset=(np.array(requant.offset) + (sums << requant.pre_shift)).tolist())
