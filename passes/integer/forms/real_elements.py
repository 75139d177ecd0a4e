"""Operations on each element of a real value between layers: sums, products, functions, bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate

import numpy as np
from mlir import ir

from htvm.dialects import accel, quantisation
from htvm.dialects.semantics import real_layers
from htvm.dialects.semantics.real import Real

from .builders import NotExact, made
from .reading import REMEDY, Constant, Reader, by_part, exactly
from .real_movement import taken
from .real_values import (
    Affine,
    Function,
    Joined,
    Lazy,
    Term,
    as_function,
    grid_of,
    settled,
    unmasked,
    weighted_sum,
)
from .step_functions import Approximate, Exact, Floats, approximate


def same(op: ir.OpView, reader: Reader) -> Lazy:
    return reader.lazy(op.operation.operands[0])


def bounded(op: accel.Bounds, reader: Reader) -> Lazy:
    low, high = accel.ends(op)

    def limit(lazy: Affine | Function) -> Lazy:
        if isinstance(lazy, Function):
            return composed(op, [lazy])
        lower, upper = (bound if math.isinf(bound) else Fraction(bound) for bound in (low, high))
        limits = [min(max(end, lower), upper) for end in (lazy.low, lazy.high)]
        return replace(lazy, low=limits[0], high=limits[1])

    lazy = reader.lazy(op.operation.operands[0])
    return by_part(lazy, lambda part, _begin, _end: limit(part)) if isinstance(lazy, Joined) else limit(lazy)


def function(op: ir.OpView, reader: Reader) -> Lazy:
    """A function of one value: sigmoid, unary; maximum and minimum with a constant."""
    lazy = reader.lazy(op.operation.operands[0])
    return (
        by_part(lazy, lambda part, _begin, _end: composed(op, [part]))
        if isinstance(lazy, Joined)
        else composed(op, [lazy])
    )


def composed(op: ir.OpView, operands: Sequence[Lazy | Constant]) -> Function:
    """Return an element-wise operation on functions of one tensor, and constants, as one function.

    Raises NotExact if they are functions of several tensors.
    """
    sides = [each if isinstance(each, Constant) else as_function(_one_kind(each)) for each in operands]
    functions = [each for each in sides if isinstance(each, Function)]
    first = functions[0]
    if any(each.integers != first.integers for each in functions):
        raise NotExact(f"combines two results of functions that nothing quantises; {REMEDY} before it")
    rank, axes = len(first.shape), {each.axis for each in functions if each.axis is not None}
    meanings: list[tuple[Exact, Approximate]] = []
    for each in sides:
        if isinstance(each, Constant):
            axis, numbers = each.along(rank)
            axes |= set() if axis is None else {axis}
            meanings.append(_same_for_all(np.array(numbers, object).reshape(-1, 1)))
        else:
            meanings.append((each.exact, each.approximate))
    if len(axes) > 1:
        raise NotExact(f"has numbers that vary along the axes {sorted(axes)}, expected one axis")

    def exact(numbers: np.ndarray) -> Real:
        return real_layers.MEANINGS[op.operation.name](op, *(side(numbers) for side, _ in meanings))

    def guess(numbers: np.ndarray) -> Floats:
        return approximate(op, *(side(numbers) for _, side in meanings))

    axis = axes.pop() if axes else None
    return Function(first.integers, first.lowest, first.highest, axis, exact, guess)


def _one_kind(lazy: Lazy) -> Affine | Function:
    """Return a value that has no parts: whoever combines values has gone through their parts before."""
    assert not isinstance(lazy, Joined)
    return lazy


def _same_for_all(column: np.ndarray) -> tuple[Exact, Approximate]:
    """Return what a constant is for any integers: fractions [rows, 1], exactly and in float64."""
    exact, floats = exactly(column), column.astype(np.float64)
    return lambda _: exact, lambda _: floats


def binary(op: ir.OpView, reader: Reader) -> Lazy:
    left, right = op.operation.operands
    operands: list[Lazy | Constant] = [reader.constant(v) or reader.lazy(v) for v in (left, right)]
    shape = tuple(ir.ShapedType(op.operation.results[0].type).shape)
    joined = next((each for each in operands if isinstance(each, Joined)), None)
    if joined is not None:
        return by_part(
            joined,
            lambda _, begin, end: _combined(
                op, [sliced(e, joined.axis, begin, end, len(shape)) for e in operands], shape
            ),
        )
    return _combined(op, operands, shape)


def sliced(each: Lazy | Constant, axis: int, begin: int, end: int, rank: int) -> Lazy | Constant:
    """Return the part of an operand between two places of an axis."""
    if isinstance(each, Joined):
        places = list(accumulate((part.shape[axis] for part in each.parts), initial=0))
        if (
            each.axis != axis
            or begin not in places
            or places[places.index(begin) + 1 : places.index(begin) + 2] != [end]
        ):
            raise NotExact(f"combines two Concats whose parts differ; {REMEDY} behind them")
        return each.parts[places.index(begin)]
    own = axis - (rank - len(each.shape))
    if own < 0 or each.shape[own] == 1:
        return each
    if isinstance(each, Constant):
        return Constant(each.numbers.take(range(begin, end), own))
    return taken(each, {own: list(range(begin, end))})


def _combined(op: ir.OpView, operands: list[Lazy | Constant], shape: tuple[int, ...]) -> Affine | Function:
    constants = [each for each in operands if isinstance(each, Constant)]
    values = [each for each in operands if not isinstance(each, Constant)]
    if isinstance(op, accel.DivOp) and not isinstance(operands[1], Constant):
        refuse_zeros(operands[1])
    affines = [each for each in values if isinstance(each, Affine) and not each.bounded]
    if constants and isinstance(op, accel.AddOp) and len(affines) == 1:
        hidden = constants[0].hidden()
        if hidden.any() or constants[0].varies_along(len(shape)) > 1:
            return _with_tensor(op, affines[0], constants[0], hidden, shape)
    if constants and len(affines) == 1 and affines[0].shape == shape and not isinstance(op, accel.Extremum):
        found = _with_constant(op, affines[0], constants[0], values[0] is operands[0])
        if found is not None:
            return found
    if isinstance(op, accel.Additive) and len(affines) == 2:
        return _sum(op, affines[0], affines[1])
    if len(values) == 2 and isinstance(op, accel.MulOp):
        product = _product(op, values[0], values[1])
        if product is not None:
            return product
    if any(each.shape != shape for each in values):
        raise NotExact(f"broadcasts a value that nothing quantises; {REMEDY} before it")
    if len(values) == 2 and any(_source(each) != _source(values[0]) for each in values):
        return _of_pairs(op, [as_function(each) for each in values if not isinstance(each, Joined)])
    return composed(op, operands)


def refuse_zeros(divisor: Lazy) -> None:
    """Raise NotExact if a divisor can be 0: there is no such quotient."""
    for part in divisor.parts if isinstance(divisor, Joined) else [divisor]:
        function = as_function(part)
        numbers = function.exact(np.arange(function.lowest, function.highest + 1)[None]).exact()
        if not numbers.all():
            raise NotExact("divides by a value that can be 0; Clip, or Max with a positive number, keeps it from that")


def _of_pairs(op: ir.OpView, sides: list[Function]) -> Function:
    """Return a function of two tensors as one of both their integers, side by side in one of 16 bits.

    Raises NotExact where a table of all pairs would be too large.
    """
    counts = [side.highest - side.lowest + 1 for side in sides]
    if math.prod(counts) > 1 << 16 or any(side.axis is not None for side in sides):
        raise NotExact(f"combines two values that nothing quantises; {REMEDY} behind the nodes before it")
    first, second = (Term(s.integers, (Fraction(1),), s.lowest, s.lowest, s.highest) for s in sides)
    half = 1 << 15
    rest = -counts[1] * first.lowest - second.lowest - half
    rows = [[counts[1], 1, counts[1], 1, rest, 0, 1, rest]]
    limits = -half, half - 1
    pairs = weighted_sum(Affine((first, second)), rows, ir.IntegerType.get_signless(16), None, False, 0, *limits)

    def split(numbers: np.ndarray) -> list[np.ndarray]:
        index = numbers + half
        return [index // counts[1] + sides[0].lowest, index % counts[1] + sides[1].lowest]

    def exact(numbers: np.ndarray) -> Real:
        given = [side.exact(each) for side, each in zip(sides, split(numbers))]
        return real_layers.MEANINGS[op.operation.name](op, *given)

    def guess(numbers: np.ndarray) -> Floats:
        return approximate(op, *(side.approximate(each) for side, each in zip(sides, split(numbers))))

    return Function(pairs, -half, math.prod(counts) - 1 - half, None, exact, guess)


def _with_tensor(
    op: accel.AddOp, lazy: Affine, constant: Constant, hidden: np.ndarray, shape: tuple[int, ...]
) -> Affine:
    """Add a constant that varies along several axes, or hides elements: as integers on the unit of the value."""
    lazy = settled(lazy)
    (term,) = lazy.terms
    if lazy.rows() > 1 or term.units[0] <= 0:
        raise NotExact(f"adds a constant along several axes to a value with scales per channel; {REMEDY} before it")
    unit = term.units[0]
    steps: list[Fraction] = [Fraction(0) if h else n / unit for n, h in zip(constant.numbers.flat, hidden.flat)]
    if any(step.denominator != 1 for step in steps):
        exact = [n for n, h in zip(constant.numbers.flat, hidden.flat) if not h]
        own = Fraction(math.gcd(*(n.numerator for n in exact)), math.lcm(*(n.denominator for n in exact)))
        if hidden.any() or max(abs(n / own) for n in exact) >= 1 << 31:
            raise NotExact(
                f"adds constants that are no multiples of its scale ({float(unit):g}); {REMEDY} behind the constant"
            )
        whole = np.array([int(n / own) for n in constant.numbers.flat], np.int64).reshape(constant.shape)
        return _sum(op, lazy, _integers_of(whole, own))
    # Further below all other numbers than any exponential that a softmax tells from 0.
    far = term.highest - term.lowest + int(max(map(abs, steps))) + math.ceil(FURTHEST / unit) + 1
    whole = np.array([-far if h else int(n) for n, h in zip(steps, hidden.flat)], np.int64).reshape(constant.shape)
    if np.abs(whole).max() >= 1 << 31:
        raise NotExact(f"adds constants of more than 32 bits in steps of its scale; {REMEDY} behind it")
    total = settled(_sum(op, replace(lazy, offsets=(Fraction(0),)), _integers_of(whole, unit)))
    mask = np.broadcast_to(hidden, shape) if hidden.any() else None
    return replace(total, offsets=lazy.offsets, masked=mask)


FURTHEST = 64
"""exp(-64) of the largest number is less than half a step of any softmax whose result has 16 bits."""


def _integers_of(numbers: np.ndarray, unit: Fraction) -> Affine:
    """Build a constant tensor of integers times a unit."""
    lowest, highest = int(numbers.min()), int(numbers.max())
    width = next(
        np.dtype(f"i{size}") for size in (1, 2, 4) if -(1 << 8 * size - 1) <= lowest and highest < 1 << 8 * size - 1
    )
    return Affine((Term(quantisation.integers(numbers.astype(width)), (unit,), 0, lowest, highest),))


def _source(lazy: Lazy) -> ir.Value | None:
    if isinstance(lazy, Function):
        return lazy.integers
    return lazy.terms[0].integers if isinstance(lazy, Affine) and len(lazy.terms) == 1 else None


def _with_constant(op: ir.OpView, lazy: Affine, constant: Constant, is_left: bool) -> Affine | None:
    """Return an affine value plus, minus, times or over a constant; None where its meaning is none."""
    axis, numbers = constant.along(len(lazy.shape))
    if axis is not None and lazy.axis not in (None, axis):
        raise NotExact(f"has numbers that vary along the axes {sorted((axis, lazy.axis))}, expected one axis")
    if isinstance(op, accel.DivOp) and (not is_left or 0 in numbers):
        return None
    axis = lazy.axis if axis is None else axis

    def each(old: Sequence[Fraction], change: Callable[[Fraction, Fraction], Fraction]) -> tuple[Fraction, ...]:
        count = max(len(old), len(numbers))
        return tuple(change(old[i % len(old)], numbers[i % len(numbers)]) for i in range(count))

    if isinstance(op, accel.Additive):
        extra = Fraction(op.offset.value) if isinstance(op, accel.AddOp) and op.offset is not None else Fraction(0)
        if isinstance(op, accel.SubOp) and not is_left:
            lazy = negated(lazy)
        sign = -1 if isinstance(op, accel.SubOp) and is_left else 1
        return replace(lazy, offsets=each(lazy.offsets, lambda old, n: old + sign * n + extra), axis=axis)
    by: Callable[[Fraction, Fraction], Fraction] = (
        (lambda old, n: old * n) if isinstance(op, accel.MulOp) else (lambda old, n: old / n)
    )
    terms = tuple(replace(term, units=each(term.units, by)) for term in lazy.terms)
    return replace(lazy, terms=terms, offsets=each(lazy.offsets, by), axis=axis)


def negated(lazy: Affine) -> Affine:
    terms = tuple(replace(term, units=tuple(-unit for unit in term.units)) for term in lazy.terms)
    return replace(lazy, terms=terms, offsets=tuple(-offset for offset in lazy.offsets))


def _sum(op: accel.Additive, left: Affine, right: Affine) -> Affine:
    left, right = unmasked(left), unmasked(right)
    rank = len(ir.ShapedType(accel.output(op).type).shape)
    left, right = (_raised(each, rank) for each in (left, right))
    if isinstance(op, accel.SubOp):
        right = negated(right)
    if left.axis is not None and right.axis not in (None, left.axis):
        raise NotExact(f"adds values whose scales vary along the axes {left.axis} and {right.axis}, expected one axis")
    extra = Fraction(op.offset.value) if isinstance(op, accel.AddOp) and op.offset is not None else Fraction(0)
    count = max(len(left.offsets), len(right.offsets))
    offsets = [
        left.offsets[i % len(left.offsets)] + right.offsets[i % len(right.offsets)] + extra for i in range(count)
    ]
    terms: list[Term] = list(left.terms)
    for term in right.terms:
        same = next(
            (i for i, t in enumerate(terms) if t.integers == term.integers and t.zero_point == term.zero_point), None
        )
        if same is None:
            terms.append(term)
            continue
        number = max(len(term.units), len(terms[same].units))
        units = [terms[same].units[i % len(terms[same].units)] + term.units[i % len(term.units)] for i in range(number)]
        terms[same] = replace(terms[same], units=tuple(units))
    axis = left.axis if left.axis is not None else right.axis
    return Affine(tuple(terms), tuple(offsets), axis)


def _raised(lazy: Affine, rank: int) -> Affine:
    """Count the axis of a value from the first of `rank`, as broadcasting does."""
    return lazy if lazy.axis is None else replace(lazy, axis=lazy.axis + rank - len(lazy.shape))


def _product(op: accel.MulOp, left: Lazy, right: Lazy) -> Affine | None:
    """Return the product of two values as integers; None if they are functions of one tensor, or have no one unit."""
    if _source(left) is not None and _source(left) == _source(right):
        return None
    a, b = (grid_of(settled(each)) if isinstance(each, Affine) and not each.bounded else None for each in (left, right))
    if a is None or b is None:
        return None
    corners = [(p - a.zero_point) * (q - b.zero_point) for p in (a.lowest, a.highest) for q in (b.lowest, b.highest)]
    if min(corners) < -(1 << 31) or max(corners) >= 1 << 31:
        raise NotExact(f"has products from {min(corners):,} to {max(corners):,}, which 32 bits do not hold")
    assert isinstance(left, Affine) and isinstance(right, Affine)
    sources = [settled(each).terms[0].integers for each in (left, right)]
    attributes = {"zero_points": ir.DenseI64ArrayAttr.get([a.zero_point, b.zero_point]), "requant": as_it_is()}
    built = made(op, sources, attributes, element=ir.IntegerType.get_signless(32))
    return Affine((Term(built, (a.scale * b.scale,), 0, min(corners), max(corners)),))


def as_it_is() -> ir.Attribute:
    """Return the requantisation that changes nothing."""
    return accel.RequantAttr.get(multiplier=[1], offset=[0], shift=[0], min=-(1 << 31), max=(1 << 31) - 1)
