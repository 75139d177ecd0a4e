"""Real values between two layers, which nothing quantises: integers, and what they mean.

What layers make of quantised values is, before any rounding, a sum of integers times units. As long as that is known no
rounding is needed: the next operation works on the integers, or changes what they mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd, lcm

import numpy as np
from mlir import ir
from numpy.typing import NDArray

from htvm.dialects import accel, quantisation
from htvm.dialects.quantisation import Quantisation
from htvm.dialects.semantics import real
from htvm.dialects.semantics.real import Real

from ...analysis.monotone_steps import Steps, exact_round
from .builders import NotExact, modulo, stored_type
from .step_functions import Approximate, Exact, Floats, rounded, steps

MOST_TERMS = 4
"""Inputs of accel.weighted_sum."""

TABLE_VALUES, TABLE_ENTRIES = 1 << 16, 1 << 18
"""Of one table, and of all tables of a layer; with more a function has starts."""

Fractions = tuple[Fraction, ...]


@dataclass(frozen=True)
class Term:
    """Integers times units: units[c] * (integers - zero_point), one unit for all or for each index of an axis.

    lowest, highest: the integers that occur.
    """

    integers: ir.Value
    units: Fractions
    zero_point: int
    lowest: int
    highest: int

    def reach(self) -> int:
        """Return the largest magnitude of what is multiplied by a unit."""
        return max(abs(self.lowest - self.zero_point), abs(self.highest - self.zero_point))


@dataclass(frozen=True)
class Affine:
    """A sum of terms and an offset, between two bounds. axis: along which units and offsets vary."""

    terms: tuple[Term, ...]
    offsets: Fractions = (Fraction(0),)
    axis: int | None = None
    low: Fraction | float = -math.inf
    high: Fraction | float = math.inf
    masked: NDArray[np.bool_] | None = None
    """Where the number is minus infinity, or too far below all others to tell: integers stand for it there."""

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(np.broadcast_shapes(*(tuple(ir.ShapedType(t.integers.type).shape) for t in self.terms)))

    @property
    def bounded(self) -> bool:
        return not (math.isinf(self.low) and math.isinf(self.high))

    def rows(self) -> int:
        return max(len(self.offsets), *(len(term.units) for term in self.terms))

    def row(self, index: int) -> tuple[list[Fraction], Fraction]:
        """Return the unit of each term, and the offset, at an index of the axis."""
        return [each.units[index % len(each.units)] for each in self.terms], self.offsets[index % len(self.offsets)]


@dataclass(frozen=True)
class Function:
    """A function of each integer of one tensor: exactly, and in float64; rows of both where it varies along an axis."""

    integers: ir.Value
    lowest: int
    highest: int
    axis: int | None
    exact: Exact
    approximate: Approximate
    masked: None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(ir.ShapedType(self.integers.type).shape)


@dataclass(frozen=True)
class Joined:
    """Values one after the other along an axis, whose units differ."""

    parts: tuple[Affine | Function, ...]
    axis: int
    masked: None = None

    @property
    def shape(self) -> tuple[int, ...]:
        shape = list(self.parts[0].shape)
        shape[self.axis] = sum(part.shape[self.axis] for part in self.parts)
        return tuple(shape)


Lazy = Affine | Function | Joined


def of_quantised(value: ir.Value, integers: ir.Value) -> Affine:
    """Return what a quantised value means."""
    q = Quantisation.of(value)
    if q is None or len(set(q.zero_points)) > 1:
        raise NotExact("reads a value whose zero point differs from channel to channel, expected one")
    units = tuple(map(Fraction, q.scales))
    return Affine((Term(integers, units, q.zero_points[0], q.lowest, q.highest),), axis=q.axis)


def grid_of(lazy: Lazy, shifted: bool = False) -> Quantisation | None:
    """Return one unit and zero point that say what a value's integers mean; None if there is none.

    shifted: a constant added to all numbers does not matter, as in a softmax.
    """
    if not isinstance(lazy, Affine) or len(lazy.terms) != 1 or lazy.bounded:
        return None
    (term,) = lazy.terms
    if len(set(term.units)) > 1 or len(set(lazy.offsets)) > 1 or term.units[0] <= 0:
        return None
    unit, offset = term.units[0], Fraction(0) if shifted else lazy.offsets[0]
    if (offset / unit).denominator != 1:
        return None
    element = stored_type(term.integers)
    zero_point = term.zero_point - int(offset / unit)
    # The scale stays a fraction: nothing makes a type of this.
    scales: tuple[Fraction, ...] = (unit,)
    return Quantisation(element.width, not element.is_unsigned, term.lowest, term.highest, scales, (zero_point,))  # type: ignore[arg-type]


def as_function(lazy: Affine | Function) -> Function:
    """Return a value of one term as a function of its integers."""
    if isinstance(lazy, Function):
        return lazy
    lazy = settled(unmasked(lazy))
    (term,) = lazy.terms
    rows = lazy.rows()
    units = np.array([lazy.row(i)[0][0] for i in range(rows)], object).reshape(-1, 1)
    offsets = np.array([lazy.row(i)[1] for i in range(rows)], object).reshape(-1, 1)
    signs = np.array([[1 if unit > 0 else -1 if unit < 0 else 0] for unit in units[:, 0]], np.int64)
    magnitudes = np.array([[abs(unit) or Fraction(1)] for unit in units[:, 0]], object)
    directions = np.array([[1 if o > 0 else -1 if o < 0 else 0] for o in offsets[:, 0]], np.int64)
    distances = np.array([[abs(o) or Fraction(1)] for o in offsets[:, 0]], object)

    def exact(numbers: np.ndarray) -> Real:
        whole = Real((real.Term(signs * (numbers - term.zero_point), magnitudes),))
        if directions.any():
            whole = whole + Real((real.Term(directions, distances),))
        return whole.clamp(lazy.low, lazy.high) if lazy.bounded else whole

    float_units, float_offsets = units.astype(np.float64), offsets.astype(np.float64)
    bounds = float(lazy.low), float(lazy.high)

    def approximate(numbers: np.ndarray) -> Floats:
        found = float_units * (numbers - term.zero_point) + float_offsets
        return np.clip(found, *bounds) if lazy.bounded else found

    return Function(term.integers, term.lowest, term.highest, lazy.axis, exact, approximate)


def unmasked(lazy: Affine) -> Affine:
    """Return a value that is minus infinity nowhere. Raises NotExact."""
    if lazy.masked is not None:
        raise NotExact(
            "adds minus infinity to what no Softmax takes; put Softmax behind it, or a finite number in the mask"
        )
    return lazy


def settled(lazy: Affine) -> Affine:
    """Return a sum of several terms as one term: integers over a common unit, added in 32 bits.

    Raises NotExact where 32 bits do not hold them.
    """
    if len(lazy.terms) == 1:
        return lazy
    rows = lazy.rows()
    units = [_common([unit for unit in lazy.row(i)[0] if unit]) for i in range(rows)]
    factors = [[int(unit / common) for unit in lazy.row(i)[0]] for i, common in enumerate(units)]
    reach = max(sum(abs(f) * term.reach() for f, term in zip(row, lazy.terms)) for row in factors)
    if reach >= 1 << 31:
        scales = ", ".join(f"{float(unit):g}" for unit in lazy.row(0)[0])
        raise NotExact(
            f"adds numbers whose scales ({scales}) have no common unit that 32 bits hold; "
            "put QuantizeLinear and DequantizeLinear behind the sum"
        )
    constants: list[list[int]] = []
    for row in factors:
        rest = -sum(f * term.zero_point for f, term in zip(row, lazy.terms))
        constants.append([*row, *row, rest, 0, 1, rest])
    bits = 16 if reach < 1 << 15 else 32
    axis = lazy.axis if rows > 1 else None
    limits = -(1 << bits - 1), (1 << bits - 1) - 1
    total = weighted_sum(lazy, constants, ir.IntegerType.get_signless(bits), axis, False, 0, *limits)
    return replace(lazy, terms=(Term(total, tuple(units), 0, -reach, reach),))


def _common(units: Sequence[Fraction]) -> Fraction:
    """Return the largest number that all are multiples of."""
    if not units:
        return Fraction(1)
    return Fraction(gcd(*(unit.numerator for unit in units)), lcm(*(unit.denominator for unit in units)))


def weighted_sum(
    lazy: Affine,
    constants: list[list[int]],
    element: ir.Type,
    axis: int | None,
    even: bool,
    zero_point: int,
    lowest: int,
    highest: int,
) -> ir.Value:
    """Build the operation."""
    rows = np.array([[modulo(number) for number in row] for row in constants], np.int64)
    attributes: dict[str, ir.Attribute] = {
        "zero_point": accel.integer(zero_point),
        "min": accel.integer(lowest),
        "max": accel.integer(highest),
        "operandSegmentSizes": ir.DenseI32ArrayAttr.get([len(lazy.terms), 1, 0]),
    }
    if axis is not None:
        attributes["axis"] = accel.integer(axis)
    if even:
        attributes["even"] = ir.UnitAttr.get()
    return ir.Operation.create(
        "accel.weighted_sum",
        results=[quantisation.tensor(list(lazy.shape), element)],
        operands=[*(term.integers for term in lazy.terms), quantisation.integers(rows)],
        attributes=attributes,
    ).result


def quantised(lazy: Lazy, y: Quantisation, rounding: str) -> ir.Value:
    """Round a real value to a quantised type, exactly. Raises NotExact where nothing does."""
    if isinstance(lazy, Joined):
        parts = [quantised(part, y, rounding) for part in lazy.parts]
        return accel.output(accel.ConcatOp(quantisation.tensor(list(lazy.shape), y.storage_type()), parts, lazy.axis))
    if y.axis is not None:
        return quantised(*_one_scale(lazy, y), rounding)
    if isinstance(lazy, Affine):
        lazy, y = unbounded(unmasked(lazy), y, rounding)
        (term, *others) = lazy.terms
        is_table = term.highest - term.lowest < TABLE_VALUES
        if not others and not is_table and y.highest - y.lowest <= 255 and min(term.units) > 0:
            return _monotone(lazy, y, rounding)
        if others or (not is_table and y.highest - y.lowest > 255 and min(term.units) > 0):
            return _rounded_sum(lazy, y, rounding)
        return _stepped(as_function(lazy), y, rounding)
    return _stepped(lazy, y, rounding)


def _one_scale(lazy: Affine | Function, y: Quantisation) -> tuple[Affine, Quantisation]:
    """Return a value over the scale of each channel, so that its result has one scale, 1."""
    if isinstance(lazy, Function) or lazy.axis not in (None, y.axis) or len(set(y.zero_points)) > 1:
        raise NotExact(f"has {len(y.scales)} scales in its result, expected one")
    if lazy.bounded:
        raise NotExact(
            "is bounded before it is divided by a number for each channel; put QuantizeLinear behind the bound"
        )

    def over(numbers: Fractions) -> Fractions:
        return tuple(numbers[c % len(numbers)] / Fraction(scale) for c, scale in enumerate(y.scales))

    terms = tuple(replace(term, units=over(term.units)) for term in lazy.terms)
    whole = replace(y, scales=(1.0,), zero_points=y.zero_points[:1], axis=None)
    return replace(lazy, terms=terms, offsets=over(lazy.offsets), axis=y.axis), whole


def unbounded(lazy: Affine, y: Quantisation, rounding: str) -> tuple[Affine, Quantisation]:
    """Move bounds from before a rounding to behind it, where they are the range of the result."""

    def place(bound: Fraction | float, otherwise: int) -> int:
        if math.isinf(bound):
            return otherwise
        return min(max(exact_round(Fraction(bound) / y.scale, rounding) + y.zero_point, y.lowest), y.highest)

    lowest, highest = place(lazy.low, y.lowest), place(lazy.high, y.highest)
    return replace(lazy, low=-math.inf, high=math.inf), replace(y, lowest=lowest, highest=highest)


def _monotone(lazy: Affine, y: Quantisation, rounding: str) -> ir.Value:
    """Build the steps of a sum that is rounded: where each result is reached first."""
    (term,) = lazy.terms
    rows = [lazy.row(index) for index in range(lazy.rows())]
    slope = [units[0] / y.scale for units, _ in rows]
    intercept = [offset / y.scale - s * term.zero_point for s, (_, offset) in zip(slope, rows)]
    first, last = (np.full(len(rows), end, np.int64) for end in (term.lowest, term.highest))
    wanted = Steps(slope, intercept, first, last, y.zero_point, y.lowest, y.highest, rounding)
    starts = np.clip(wanted.places(), -(1 << 31), (1 << 31) - 1).astype(np.int32)
    levels = y.signless(np.arange(y.lowest, y.highest + 1))
    firsts, axis = _rows(starts, lazy.axis)
    results, _ = _rows(np.tile(levels, (len(rows), 1)), lazy.axis)
    result = quantisation.tensor(list(lazy.shape), y.storage_type())
    return accel.output(accel.ThresholdOp(result, term.integers, firsts, results, axis=axis))


def _stepped(function: Function, y: Quantisation, rounding: str) -> ir.Value:
    """Build a table of a function's results, or its steps where a table would be too large."""
    first, last = function.lowest, function.highest
    shape, element = list(function.shape), y.storage_type()
    result = quantisation.tensor(shape, element)
    if last - first < TABLE_VALUES:
        numbers = np.arange(first, last + 1, dtype=np.int64)
        entries = rounded(function.exact, function.approximate, numbers, y, rounding)
        if entries.size <= TABLE_ENTRIES:
            table, axis = _rows(y.signless(entries), function.axis)
            return accel.output(accel.LookupOp(result, function.integers, table, lowest=first, axis=axis))
    starts, values = steps(function.exact, function.approximate, first, last, y, rounding)
    if y.bits == 32:
        raise NotExact("has results of 32 bits, expected 8 or 16")
    firsts, axis = _rows(starts.astype(np.int32), function.axis)
    results, _ = _rows(y.signless(values), function.axis)
    return accel.output(accel.ThresholdOp(result, function.integers, firsts, results, axis=axis))


def _rows(entries: np.ndarray, axis: int | None) -> tuple[ir.Value, int | None]:
    """Build constants of one row for each index of an axis, or of one row for all."""
    is_one = axis is None or len(entries) == 1
    return quantisation.integers(entries[0] if is_one else entries), None if is_one else axis


def _rounded_sum(lazy: Affine, y: Quantisation, rounding: str) -> ir.Value:
    """Build a weighted sum that rounds exactly."""
    if len(lazy.terms) > MOST_TERMS:
        raise NotExact(f"adds {len(lazy.terms)} tensors without rounding in between, expected at most {MOST_TERMS}")
    half = Fraction(1, 2) if rounding == "half_even" else Fraction(0)
    constants: list[list[int]] = []
    reach = sum(max(abs(term.lowest), abs(term.highest)) for term in lazy.terms)
    for index in range(lazy.rows()):
        units, offset = lazy.row(index)
        slopes = [unit / y.scale for unit in units]
        term = offset / y.scale - sum(s * t.zero_point for s, t in zip(slopes, lazy.terms)) + half
        divisor = lcm(term.denominator, *(slope.denominator for slope in slopes))
        largest = sum(abs(s) * t.reach() for s, t in zip(slopes, lazy.terms)) + abs(term) + 2
        # Half a unit of the last place for each integer of the sum, and of the offset, is less than half a result.
        shift = (reach + 1).bit_length() + 1
        multipliers = [round(slope * (1 << shift)) for slope in slopes]
        if divisor >= 1 << 61:
            raise NotExact(
                f"divides by a number of {divisor.bit_length()} bits to add these scales exactly, expected at most 61; "
                "put QuantizeLinear and DequantizeLinear behind each of the layers that are added"
            )
        magnitudes = [abs(m) * max(abs(t.lowest), abs(t.highest)) for m, t in zip(multipliers, lazy.terms)]
        if largest >= 1 << 30 or sum(magnitudes) + abs(round(term * (1 << shift))) >= 1 << 62:
            raise NotExact(f"has results of up to {float(largest):,.0f} steps of {float(y.scale):g}; look at its scale")
        numerators = [int(slope * divisor) for slope in slopes]
        constants.append([*multipliers, *numerators, round(term * (1 << shift)), shift, divisor, int(term * divisor)])
    axis = lazy.axis if len(constants) > 1 else None
    bounds = y.zero_point, y.lowest, y.highest
    return weighted_sum(lazy, constants, y.storage_type(), axis, bool(half), *bounds)
