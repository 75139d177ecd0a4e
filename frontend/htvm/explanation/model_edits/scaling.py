"""Changes of how sums become results: scales, shifts, rounding, clip, bias, and where the result goes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil, log2

import numpy as np
from mlir import ir

from htvm.backend.targets.engines.shift_requant import Requant
from htvm.dialects import accel
from htvm.dialects.semantics import value_ranges
from htvm.explanation.model_edits.layer_spec import (
    REQUANTISE,
    RETRAIN,
    SAME_NUMBERS,
    Change,
    Question,
    Reason,
)

REFIT = "--requant pow2"
"""The option of htvm with which it makes scales powers of two and zero points 0 itself."""
LARGEST_SHIFT = 31
UNIT = {"multiplier": 1 << 30, "pre_shift": 2, "shift": 32}
"""A multiplication by 1, with the high word of a product: shift 32 + s divides by 2^s."""


def refitted(of: Question, why: Reason) -> Iterator[Change]:
    """What htvm does itself if it may: powers of two as scales, one for each tensor, zero points 0."""
    if of.requant is None or of.rescale is not None or of.pooling is not None:
        return
    after = sum_of_equals(of) if of.op is accel.AddOp else shifted(of, [one_exponent(of)], pad_value=0)
    yield Change("scales that are powers of two, zero points 0", REQUANTISE, after, REFIT)


def powers_of_two(of: Question, why: Reason) -> Iterator[Change]:
    """Scales that are powers of two, each the nearest to its own."""
    if of.requant is None or of.rescale is not None or of.op is accel.AddOp:
        return
    own, used = exponents(of), used_slopes(of)
    if any(slope not in {2.0**-each for each in own} for slope in used):
        one = len(set(used)) == 1
        says = f"scale {used[0]:.6g} -> 2^{-min(own)}, a shift" if one else "scales that are powers of two, shifts"
        says += " that rounds down" if one else " that round down"
        option = None if of.pooling is not None else REFIT  # which leaves what averages divide by
        yield Change(says, REQUANTISE, shifted(of, own[:1] if len(set(own)) == 1 else own), option)


def one_scale(of: Question, why: Reason) -> Iterator[Change]:
    """One scale for all output channels: the largest, with which all weights have room."""
    if of.requant is None or of.rescale is not None or of.op is accel.AddOp or len(set(used_slopes(of))) == 1:
        return
    slopes, used = slopes_of(of), used_slopes(of)
    largest = slopes.index(max(used))
    parts = {
        key: ir.DenseI32ArrayAttr.get([(list(of.requant[key]) * len(slopes))[largest]])
        for key in ("multiplier", "shift")
    }
    requant = ir.DictAttr.get({entry.name: entry.attr for entry in of.requant} | parts)
    says = f"one scale for the whole tensor of weights, in place of {len(set(used))}"
    yield Change(says, REQUANTISE, replace(of, requant=requant), REFIT)


def rounding(of: Question, why: Reason) -> Iterator[Change]:
    """Halves are rounded up, not to the even neighbour: a half in the bias, then a shift."""
    if of.requant is not None and "tie_below" in of.requant:
        after = replace(of, requant=without(of.requant, "tie_below"))
        yield Change("halves rounded up, not to the even neighbour", REQUANTISE, after, REFIT)


def equal_scales(of: Question, why: Reason) -> Iterator[Change]:
    """Both operands of an addition, and its result, with scales that a shift can do."""
    if of.op is accel.AddOp and of.requant is not None:
        says = "operands with one scale, the result's a power of two times that"
        yield Change(says, REQUANTISE, sum_of_equals(of), REFIT)


def clip(of: Question, why: Reason) -> Iterator[Change]:
    """Another clip: those that the rule names, the nearest first."""
    if of.requant is None or of.rescale is not None:
        return
    found = of.requant["min"].value, of.requant["max"].value

    def loss(ends: tuple[int, int]) -> tuple[bool, int]:
        return not (ends[0] <= found[0] and found[1] <= ends[1]), abs(ends[0] - found[0]) + abs(ends[1] - found[1])

    for low, high in sorted(spans(why.wanted), key=loss):
        after = replace(of, requant=changed(of.requant, min=low, max=high))
        effort = RETRAIN if loss((low, high))[0] else REQUANTISE
        yield Change(f"a result cut off at {low}..{high}, not at {found[0]}..{found[1]}", effort, after)


def bias(of: Question, why: Reason) -> Iterator[Change]:
    """Biases in the range that the rule names."""
    limits = [int(each) for each in re.findall(r"-?\d+", why.wanted)]
    if of.requant is None or of.op is accel.AddOp or len(limits) < 2:
        return
    low, high = limits[0], limits[1]
    stated = Requant.of(of.requant)
    offsets = np.clip(stated.offset, low << stated.pre_shift, high << stated.pre_shift)
    says = "no bias" if low == high == 0 else f"biases of {low} to {high}"
    yield Change(says, RETRAIN, replace(of, requant=changed(of.requant, offset=offsets.tolist())))


def code(of: Question, why: Reason) -> Iterator[Change]:
    """A result that is a converter's code: sums divided by a power of two, rounded down, cut off, without bias."""
    named = spans(why.wanted) or spans(why.found)
    if of.requant is None or of.rescale is not None or not of.is_conv2d or not why.subject.startswith("code"):
        return
    for low, high in named[-1:] or [(-32, 31)]:
        first, last = value_ranges.sums(of.weights, of.inputs[0].range)
        one = max(0, ceil(log2(max(1, *np.abs(first), *np.abs(last)) / max(1, high))))
        after = replace(shifted(of, [one]), rescale=None)
        requant = changed(after.requant, min=low, max=high, offset=[0])
        yield Change(
            f"a result that is a converter's code: sums divided by 2^{one}, cut off at {low}..{high}, no bias",
            RETRAIN,
            replace(after, requant=requant),
        )


def one_step(of: Question, why: Reason) -> Iterator[Change]:
    """One requantisation, where the sum is read by a converter and its code scaled again."""
    if of.rescale is None:
        return
    slopes = np.array(slopes_of(of)) * np.array(Requant.of(of.rescale).slopes(channels(of)))
    slopes = slopes * np.array(list(of.rescale["weights"]))
    one = round(float(-np.log2(np.abs(slopes).clip(2.0**-LARGEST_SHIFT)).mean()))
    ends = of.rescale["min"].value, of.rescale["max"].value
    after = shifted(of, [min(max(one, 0), LARGEST_SHIFT)])
    requant = changed(after.requant, min=ends[0], max=ends[1])
    yield Change("one requantisation, no converter between", RETRAIN, replace(after, requant=requant, rescale=None))


def eight_bits(of: Question, why: Reason) -> Iterator[Change]:
    """A result of 8 bits in place of raw sums."""
    if of.requant is not None or of.weights is None:
        return
    first, last = value_ranges.sums(of.weights, of.inputs[0].range)
    one = max(0, ceil(log2(max(1, *np.abs(first), *np.abs(last)) / 127)))
    output = replace(of.output, element="i8", range=(-128, 127))
    after = replace(of, output=output, requant=shift_only([0] * len(of.weights), [one], -128, 127))
    yield Change("a result of 8 bits (QuantizeLinear after it)", REQUANTISE, after)


def signed_output(of: Question, why: Reason) -> Iterator[Change]:
    """The same result as int8: each integer, and the zero point, 128 less."""
    if of.requant is None or of.rescale is not None or of.output.element != "ui8":
        return
    stated = Requant.of(of.requant)
    ends = {"min": stated.low - 128, "max": stated.high - 128}
    output = replace(of.output, element="i8", range=(ends["min"], ends["max"]))
    requant = changed(of.requant, zero_point=stated.zero_point - 128, **ends)
    yield Change("its result as int8, integers and zero point 128 less", SAME_NUMBERS,
                 replace(of, output=output, requant=requant))  # fmt: skip


# What they are made of


def slopes_of(of: Question) -> list[float]:
    """Return how much a result grows with the sum, for each output channel; of a pool2d for each of its `counts`."""
    stated = Requant.of(of.requant)
    return stated.slopes(channels(of) if of.pooling is None else len(stated.multiplier)).tolist()


def used_slopes(of: Question) -> list[float]:
    """Return the slopes of the channels that have a weight other than 0; all of them if none has."""
    slopes = slopes_of(of)
    if of.weights is None:
        return slopes
    return [slope for slope, weights in zip(slopes, of.weights) if weights.any()] or slopes


def exponents(of: Question) -> list[int]:
    """Return the s of the 2^-s next to each channel's scale, 0 to LARGEST_SHIFT."""
    slopes = np.abs(slopes_of(of)).clip(2.0**-LARGEST_SHIFT)
    return np.clip(np.rint(-np.log2(slopes)), 0, LARGEST_SHIFT).astype(int).tolist()


def one_exponent(of: Question) -> int:
    """Return the s of the 2^-s next to the largest scale of a channel that is used."""
    largest = max(max(map(abs, used_slopes(of))), 2.0**-LARGEST_SHIFT)
    return min(max(round(-log2(largest)), 0), LARGEST_SHIFT)


def channels(of: Question) -> int:
    """Return the number of output channels."""
    return of.output.shape[-1 if of.op is accel.DenseOp else 1]


def shifted(of: Question, by: Sequence[int], **others: object) -> Question:
    """Return a layer that divides its sums, with their biases, by 2^s and rounds down; its clip stays."""
    stated = Requant.of(of.requant)
    biases = [offset >> stated.pre_shift for offset in stated.offset]
    return replace(of, requant=shift_only(biases, by, stated.low, stated.high), **others)


def shift_only(biases: Sequence[int], by: Sequence[int], low: int, high: int) -> ir.DictAttr:
    """Return ((sum + bias) >> s) clipped, as the attribute `requant`."""
    # a bias that 32 bits do not hold has another scale then
    scaled = [max(min(each, (1 << 30) - 1), -(1 << 30)) << UNIT["pre_shift"] for each in biases]
    return ir.DictAttr.get(
        {
            "multiplier": ir.DenseI32ArrayAttr.get([UNIT["multiplier"]] * len(by)),
            "offset": ir.DenseI64ArrayAttr.get(scaled),
            "shift": ir.DenseI32ArrayAttr.get([UNIT["shift"] + each for each in by]),
            "pre_shift": accel.integer(UNIT["pre_shift"]),
            "min": accel.integer(int(low)),
            "max": accel.integer(int(high)),
            "narrow": ir.UnitAttr.get(),
        }
    )


def sum_of_equals(of: Question) -> Question:
    """Return an addition that halves the sum of its operands; its clip stays."""
    halved = {
        "multiplier": ir.DenseI32ArrayAttr.get([1, 1]),
        "offset": ir.DenseI64ArrayAttr.get([0]),
        "shift": ir.DenseI32ArrayAttr.get([1]),
        "min": of.requant["min"],
        "max": of.requant["max"],
        "narrow": ir.UnitAttr.get(),
    }
    return replace(of, requant=ir.DictAttr.get(halved))


def moved(requant: ir.DictAttr, sums: np.ndarray) -> ir.DictAttr:
    """Return a requantisation of sums that are less by some number for each channel, with the same results."""
    stated = Requant.of(requant)
    return changed(requant, offset=(np.array(stated.offset) + (sums << stated.pre_shift)).tolist())


def changed(requant: ir.DictAttr, **entries: object) -> ir.DictAttr:
    """Return a requantisation with other entries: integers, and the list `offset`."""
    made = {
        key: ir.DenseI64ArrayAttr.get(list(value)) if key == "offset" else accel.integer(int(value))
        for key, value in entries.items()
    }
    return ir.DictAttr.get({entry.name: entry.attr for entry in requant} | made)


def without(requant: ir.DictAttr, key: str) -> ir.DictAttr:
    return ir.DictAttr.get({entry.name: entry.attr for entry in requant if entry.name != key})


def spans(text: str) -> list[tuple[int, int]]:
    """Return the ranges in a text, as "-128..127"."""
    return [(int(low), int(high)) for low, high in re.findall(r"(-?\d+)\.\.(-?\d+)", text)]
