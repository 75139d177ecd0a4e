"""What a function returns that nothing has quantised: integers, and what they mean.

A sum of products is returned as its accumulators, with a scale and an offset for each channel: nothing is lost. What
has no such form (a softmax, a sigmoid) is rounded to the nearest multiple of a power of two that 16 bits hold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from mlir import ir

from htvm.dialects import accel, quantisation
from htvm.dialects.quantisation import LARGEST_SCALE, SMALLEST_SCALE, Quantisation
from htvm.dialects.semantics.float_conversion import conversion

from .builders import NotExact, stored_type
from .normalisation import constant_numbers
from .real_values import (
    Affine,
    Function,
    Joined,
    Lazy,
    Term,
    as_function,
    quantised,
    settled,
    unmasked,
)
from .step_functions import MOST_STEPS, MOST_VALUES

STEPS = (1 << 16, MOST_STEPS)
"""From the smallest to the largest value of a fixed point: what 16 bits hold, or else what a step function may have."""

FINEST = -126
"""The exponent of the smallest power of two that is a scale of float32."""

FURTHEST = 2.0**90
"""From 0: functions have 2^100 for what is infinite."""

SOFTMAX_REACH = Fraction(0), Fraction(1)


@dataclass(frozen=True)
class Returned:
    """integers stand for scales[c] * (integers - zero_point) + offsets[c], for each index c of an axis or for all.

    lowest, highest: the integers that occur. nearest: whether they are the nearest ones, not the number itself.
    """

    integers: ir.Value
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    zero_point: int
    axis: int | None
    lowest: int
    highest: int
    nearest: bool = False


def returned(lazy: Lazy) -> Returned:
    """Return the integers of a real value that a function returns. Raises NotExact where nothing gives them."""
    try:
        return _exactly(lazy)
    except NotExact:
        return _nearest(lazy)


def _exactly(lazy: Lazy) -> Returned:
    """Return the integers that mean a value, and what they mean as doubles."""
    joined = _whole(lazy) if isinstance(lazy, Joined) else lazy
    if isinstance(joined, Function) or joined.bounded:
        raise NotExact("is no sum of integers times units")
    value = _with_biases(settled(unmasked(joined)))
    (term,) = value.terms
    rows = [value.row(index) for index in range(value.rows())]
    shift = value.offsets[0] / term.units[0] if term.units[0] else Fraction(1, 2)
    zero_point = term.zero_point - int(shift)
    if len(rows) == 1 and shift.denominator == 1 and abs(zero_point) < 1 << 31 and term.units[0] > 0:
        scales, offsets, axis = _doubles(term.units), (0.0,), None
    else:
        zero_point = 0
        scales = _doubles([units[0] for units, _ in rows])
        offsets = _doubles([offset - units[0] * term.zero_point for units, offset in rows])
        axis = value.axis if len(rows) > 1 else None
    if not all(SMALLEST_SCALE <= scale <= LARGEST_SCALE for scale in scales):
        raise NotExact("has scales that are not positive, or beyond those of float32")
    for scale, offset in zip(scales, offsets):
        if conversion(Fraction(scale), Fraction(offset)) is None:
            raise NotExact("has an offset of another size than its scale")
    return Returned(term.integers, scales, offsets, zero_point, axis, term.lowest, term.highest)


def _doubles(numbers: Sequence[Fraction]) -> tuple[float, ...]:
    """Return numbers as doubles. Raises NotExact on those that are none."""
    found = tuple(float(number) for number in numbers)
    if any(Fraction(double) != number for double, number in zip(found, numbers)):
        raise NotExact("has scales that are no doubles")
    return found


def _with_biases(value: Affine) -> Affine:
    """Return accumulators with the offsets added that are multiples of their units: a layer's biases."""
    (term,) = value.terms
    layer = accel.producer(term.integers)
    if not isinstance(layer, accel.Weighted) or layer.bias is None or layer.requant is not None:
        return value
    starts = quantisation.stored(layer.bias)
    rows = [value.row(index) for index in range(value.rows())]
    if starts is None or any(not unit or (offset / unit).denominator != 1 for (unit,), offset in rows):
        return value
    added = [int(offset / unit) for (unit,), offset in rows]
    lowest, highest = term.lowest + min(added), term.highest + max(added)
    biases = starts + np.array([added[c % len(added)] for c in range(len(starts))], object)
    if not all(-(1 << 31) <= end < 1 << 31 for end in (lowest, highest, int(biases.min()), int(biases.max()))):
        return value
    if not any(added) or any(use.owner != layer.operation for use in layer.bias.uses):
        return value
    with ir.InsertionPoint(layer), layer.location:
        layer.operation.operands[2] = quantisation.integers(biases.astype(np.int32))
    moved = Term(term.integers, term.units, term.zero_point, lowest, highest)
    one = len(set(term.units)) == 1
    return Affine((moved,), axis=None if one else value.axis)


def _whole(joined: Joined) -> Affine:
    """Return parts that are joined as one value whose units vary along the axis. Raises NotExact on others."""
    parts = [settled(unmasked(part)) for part in joined.parts if isinstance(part, Affine)]
    elements = {stored_type(part.terms[0].integers) for part in parts}
    is_whole = len(parts) == len(joined.parts) and len(elements) == 1
    if not is_whole or any(part.bounded or part.axis not in (None, joined.axis) for part in parts):
        raise NotExact("joins values of several kinds")
    units: list[Fraction] = []
    offsets: list[Fraction] = []
    for part in parts:
        for index in range(part.shape[joined.axis]):
            (unit,), offset = part.row(index)
            units.append(unit)
            offsets.append(offset - unit * part.terms[0].zero_point)
    sources = [part.terms[0].integers for part in parts]
    result = quantisation.tensor(list(joined.shape), elements.pop())
    whole = accel.output(accel.ConcatOp(result, sources, joined.axis))
    ends = min(p.terms[0].lowest for p in parts), max(p.terms[0].highest for p in parts)
    return Affine((Term(whole, tuple(units), 0, *ends),), tuple(offsets), joined.axis)


def _nearest(lazy: Lazy) -> Returned:
    """Round a value to a fixed point, of fewer bits where it has too many steps."""
    reach = reach_of(lazy)
    problem: NotExact | None = None
    for steps in STEPS:
        grid = fixed_point(*reach, steps)
        try:
            integers = quantised(lazy, grid, "half_even")
        except NotExact as found:
            problem = problem or found
            continue
        scale = float(grid.scale)
        return Returned(integers, (scale,), (0.0,), 0, None, grid.lowest, grid.highest, nearest=True)
    assert problem is not None
    raise problem


def fixed_point(low: Fraction, high: Fraction, steps: int = STEPS[0]) -> Quantisation:
    """Return the finest powers of two whose multiples reach from `low` to `high` in 16 bits, in so many steps.

    Values that are never negative are unsigned.
    """
    limits = (-(1 << 15), (1 << 15) - 1) if low < 0 else (0, (1 << 16) - 1)
    for exponent in range(FINEST, -FINEST):
        unit = Fraction(2) ** exponent
        lowest, highest = math.floor(low / unit), max(math.ceil(high / unit), math.floor(low / unit) + 1)
        if limits[0] <= lowest and highest <= limits[1] and highest - lowest <= steps:
            return Quantisation(16, low < 0, lowest, highest, (2.0**exponent,), (0,))
    raise NotExact(f"has results from {float(low):g} to {float(high):g}, which no float32 holds")


def reach_of(lazy: Lazy) -> tuple[Fraction, Fraction]:
    """Return numbers between which a real value always is."""
    if isinstance(lazy, Joined):
        ends = [reach_of(part) for part in lazy.parts]
        return min(low for low, _ in ends), max(high for _, high in ends)
    if isinstance(lazy, Affine) and lazy.masked is None:
        found = [_row_reach(lazy, *lazy.row(index)) for index in range(lazy.rows())]
        low, high = min(low for low, _ in found), max(high for _, high in found)
        low, high = (Fraction(min(max(end, lazy.low), lazy.high)) for end in (low, high))
        return low, high
    function = as_function(lazy)
    if function.highest - function.lowest >= MOST_VALUES:
        count = function.highest - function.lowest + 1
        raise NotExact(f"is a function of {count:,} different sums, expected at most {MOST_VALUES:,}")
    with np.errstate(all="ignore"):
        values = function.approximate(np.arange(function.lowest, function.highest + 1)[None])
    if not np.abs(values).max() < FURTHEST:
        raise NotExact("has results that are not finite (of log of 0, or 1 / 0); put Clip before it")
    slack = Fraction(1, 1 << 40)
    low, high = Fraction(float(values.min())), Fraction(float(values.max()))
    return low * (1 + slack if low < 0 else 1 - slack), high * (1 - slack if high < 0 else 1 + slack)


def _row_reach(lazy: Affine, units: Sequence[Fraction], offset: Fraction) -> tuple[Fraction, Fraction]:
    ends = [
        sorted((unit * (term.lowest - term.zero_point), unit * (term.highest - term.zero_point)))
        for unit, term in zip(units, lazy.terms)
    ]
    return offset + sum(low for low, _ in ends), offset + sum(high for _, high in ends)


def reach_of_layer(op: accel.SoftmaxOp | accel.LayerNormOp) -> tuple[Fraction, Fraction]:
    """Return numbers between which the results of a layer are that always rounds them."""
    if isinstance(op, accel.SoftmaxOp):
        return SOFTMAX_REACH
    length = ir.ShapedType(op.input.type).shape[-1]
    scales, biases = constant_numbers(op.scale, length, 1), constant_numbers(op.bias, length, 0)
    furthest = (math.isqrt(length) + 1) * max(map(abs, scales)) + max(map(abs, biases))
    return -furthest, furthest
