"""Integer forms of sums, products and pools."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
from mlir import ir

from htvm.dialects import accel, quantisation
from htvm.dialects.semantics import integers

from ...analysis import exact_add, exact_requant
from .builders import (
    NotExact,
    Operands,
    computed,
    exact_steps,
    form_of,
    made,
    modulo,
    requant,
    uniform,
    with_constants,
)
from .tables import converted

MOST_PAIRS = 1 << 24
"""Of operands of a sum, which are all looked at to prove its constants: 12 bits each. Others are corrected."""


@form_of(accel.AddOp, accel.SubOp)
def add(op: accel.AddOp | accel.SubOp, operands: Operands) -> ir.Value:
    a, b, y = uniform(op.lhs, "left operand"), uniform(op.rhs, "right operand"), uniform(accel.output(op), "result")
    sign = -1 if isinstance(op, accel.SubOp) else 1
    offset = Fraction(op.offset.value) if isinstance(op, accel.AddOp) and op.offset is not None else Fraction(0)
    slopes = a.scale / y.scale, sign * b.scale / y.scale
    intercept = offset / y.scale - slopes[0] * a.zero_point - slopes[1] * b.zero_point
    ranges = range(a.lowest, a.highest + 1), range(b.lowest, b.highest + 1)
    wanted = exact_add.Sum(slopes, intercept, *ranges, y.zero_point, y.lowest, y.highest, accel.rounding(op))
    can_look = len(ranges[0]) * len(ranges[1]) <= MOST_PAIRS and y.bits <= 8
    solved = (exact_add.solve(wanted) if can_look else None) or exact_add.corrected(wanted)
    if solved is None or y.bits > 16:
        raise NotExact(f"has scale ratios {float(slopes[0])} and {float(slopes[1])}, for which no 64-bit sum is exact")
    constants = accel.RequantAttr.get(
        multiplier=solved.multipliers,
        offset=[solved.offset],
        shift=[solved.shift],
        min=y.lowest,
        max=y.highest,
        narrow=solved.narrow,
        tie_below=solved.tie_below,
        zero_point=solved.zero_point,
    )
    if solved.divisor:
        constants = constants.replace(numerator=solved.numerators, divisor=[solved.divisor], rest=[modulo(solved.rest)])
    return made(op, with_constants(op, operands), {"requant": constants}, name="accel.add")


@form_of(accel.MulOp)
def mul(op: accel.MulOp, operands: Operands) -> ir.Value:
    a, b, y = uniform(op.lhs, "left operand"), uniform(op.rhs, "right operand"), uniform(accel.output(op), "result")
    corners = [(p - a.zero_point) * (q - b.zero_point) for p in (a.lowest, a.highest) for q in (b.lowest, b.highest)]
    if min(corners) < -(1 << 31) or max(corners) >= 1 << 31:
        raise NotExact(f"has products from {min(corners):,} to {max(corners):,}, which 32 bits do not hold")
    slope = a.scale * b.scale / y.scale
    solved = exact_requant.solve(
        exact_steps(op, [slope], [Fraction(0)], np.array([min(corners)]), np.array([max(corners)]), y)
    )
    points = ir.DenseI64ArrayAttr.get([a.zero_point, b.zero_point])
    return made(op, with_constants(op, operands), {"zero_points": points, **requant(solved)})


@form_of(accel.DivOp)
def divided(op: accel.DivOp, operands: Operands) -> None:
    """Leave a quotient of computed values to what rounds real values: it has no form of its own."""


@form_of(accel.Pool2dOp)
def pool(op: accel.Pool2dOp, operands: Operands) -> ir.Value:
    """A sum per window; each number of elements that a window can hold has its own constants."""
    x, y = uniform(op.input, "input"), uniform(accel.output(op), "result")
    if op.kind.value in accel.EXTREMES:
        chosen = made(op, [computed(operands)], {}, element=x.storage_type())
        return converted(chosen, x, y, accel.rounding(op))
    counts = window_counts(op)
    slope = [x.scale / y.scale / divisor for divisor in divisors(op, counts)]
    offset = Fraction(op.offset.value if op.offset is not None else 0) / y.scale
    intercept = [offset - a * count * x.zero_point for a, count in zip(slope, counts)]
    first, last = (np.array([count * bound for count in counts]) for bound in (x.lowest, x.highest))
    solved = exact_requant.solve(exact_steps(op, slope, intercept, first, last, y))
    found = {
        "counts": ir.DenseI64ArrayAttr.get(counts),
        "accel.range": ir.DenseI64ArrayAttr.get([x.lowest, x.highest]),
        **requant(solved),
    }
    return made(op, [computed(operands)], found)


def divisors(op: accel.Pool2dOp, counts: list[int]) -> list[int]:
    """Return what the sums of windows with so many elements are divided by. op: a sum or an average."""
    if op.kind.value == accel.PoolKind.SUM:
        return [1] * len(counts)
    padding_counts = accel.present(op.count_include_pad, "count_include_pad").value
    return [op.kernel[0] * op.kernel[1]] * len(counts) if padding_counts else counts


def window_counts(op: accel.Pool2dOp) -> list[int]:
    """Return the numbers of elements that windows hold, in rising order: fewer at padded borders."""
    sizes = list(ir.ShapedType(op.input.type).shape)[2:]
    dilations = list(op.dilations) if op.dilations is not None else None
    counts = integers.window_counts(sizes, list(op.kernel), list(op.strides), list(op.pads), dilations)
    return sorted(set(counts.reshape(-1).tolist()))


@form_of(accel.MaximumOp, accel.MinimumOp)
def extreme(op: accel.MaximumOp | accel.MinimumOp, operands: Operands) -> ir.Value:
    """Rounding is monotone: the operands are rounded to the result's type, then compared."""
    y, how = uniform(accel.output(op), "result"), accel.rounding(op)
    sides = zip((op.lhs, op.rhs), ("left operand", "right operand"), with_constants(op, operands))
    parts: list[ir.Value] = []
    for source, what, value in sides:
        x = uniform(source, what)
        if not x.signed and quantisation.stored(source) is not None:
            x = replace(x, bits=2 * x.bits, signed=True)
        parts.append(converted(value, x, y, how))
    return made(op, parts, {})


@form_of(accel.ArgMaxOp)
def argmax(op: accel.ArgMaxOp, operands: Operands) -> ir.Value:
    """The stored integers are in the order of what they mean."""
    uniform(op.input, "input")
    y, size = uniform(accel.output(op), "result"), ir.ShapedType(op.input.type).shape[op.axis.value]
    if y.scale != 1 or y.zero_point != 0 or y.lowest > 0 or y.highest < size - 1:
        raise NotExact(f"has results of type {y.type()}, expected integers that hold 0 to {size - 1}")
    return made(op, [computed(operands)], {})
