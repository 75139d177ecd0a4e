"""Integer forms of functions of one value: tables, computed exactly when compiling."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
from mlir import ir

from htvm.dialects import accel, quantisation
from htvm.dialects.quantisation import Quantisation
from htvm.dialects.semantics import functions, transcendental
from htvm.dialects.semantics.real import Real

from .builders import NotExact, Operands, bounds, computed, form_of, made, uniform


def lookup(op: accel.Monotone | accel.UnaryOp, operands: Operands) -> ir.Value:
    """Any function of one stored integer is a table."""
    x, y = uniform(op.input, "input"), uniform(accel.output(op), "result")
    function = UNARY[type(op)]
    return _table(computed(operands), x, y, lambda numbers: function(op, numbers), accel.rounding(op))


UNARY: dict[type, Callable[[Any, Real], Real]] = {
    accel.QuantizeOp: lambda op, numbers: numbers,
    accel.ReluOp: lambda op, numbers: numbers.clamp(low=Fraction(0)),
    accel.ClampOp: lambda op, numbers: numbers.clamp(*(_bound(b) for b in (op.min, op.max))),
    accel.SigmoidOp: lambda op, numbers: transcendental.sigmoid(numbers),
    accel.UnaryOp: lambda op, numbers: functions.apply(op.function.value, numbers, *parameters(op)),
}
form_of(*UNARY)(lookup)


def parameters(op: accel.UnaryOp) -> list[float]:
    """Return alpha and beta, as far as the function has them."""
    return [each.value for each in (op.alpha, op.beta) if each is not None]


@form_of(accel.LookupOp)
def tabulated(op: accel.LookupOp, operands: Operands) -> ir.Value:
    """A table that is made already."""
    return made(op, [computed(operands), op.table], {})


def _bound(attribute: ir.FloatAttr) -> Fraction | float:
    return attribute.value if np.isinf(attribute.value) else Fraction(attribute.value)


def converted(value: ir.Value, x: Quantisation, y: Quantisation, rounding: str) -> ir.Value:
    """Change a value's scale and range by a table; the value itself if they are the same and nothing is cut."""
    fits = y.lowest <= x.lowest and x.highest <= y.highest
    if x.same_numbers(y) and fits and (x.bits, x.signed) == (y.bits, y.signed):
        return value
    return _table(value, x, y, lambda numbers: numbers, rounding)


def _table(
    value: ir.Value, x: Quantisation, y: Quantisation, function: Callable[[Real], Real], rounding: str
) -> ir.Value:
    if x.highest - x.lowest >= 1 << 16:
        raise NotExact(f"has {x.highest - x.lowest + 1:,} different inputs, expected at most 65,536 for a table")
    occurring = Real.of_storage(np.arange(x.lowest, x.highest + 1), x.scales[0], x.zero_point)
    results = function(occurring).quantise(y.scales[0], y.zero_point, y.lowest, y.highest, rounding)
    entries = y.signless(results)
    shape = ir.ShapedType(value.type).shape
    made = accel.LookupOp(
        quantisation.tensor(shape, y.storage_type()), value, quantisation.integers(entries), lowest=x.lowest
    )
    return accel.output(made)


@form_of(accel.SoftmaxOp)
def softmax(op: accel.SoftmaxOp, operands: Operands) -> ir.Value:
    """exp(-scale * d) for each distance d from the largest input, in fixed point that 64-bit comparisons can use."""
    x, y = uniform(op.input, "input"), uniform(accel.output(op), "result")
    length = ir.ShapedType(op.input.type).shape[op.axis.value]
    multiplier, shift = y.scale.numerator, y.scale.denominator.bit_length() - 1
    steps = 2 * max(abs(y.highest - y.zero_point), abs(y.lowest - y.zero_point)) + 1
    bits = 62 - max(shift + 1, (steps * multiplier * length).bit_length())
    if bits < 16 or accel.rounding(op) != "half_even":
        raise NotExact(
            f"has output scale {y.scales[0]}, which leaves {bits} bits for exponentials, expected at least 16"
        )
    with localcontext() as decimal:
        decimal.prec = 50
        scale = Decimal(x.scale.numerator) / Decimal(x.scale.denominator)
        table = [round((-scale * d).exp() * (1 << bits)) for d in range(x.highest - x.lowest + 1)]
    while len(table) > 1 and table[-1] == 0:
        table.pop()
    attributes = {
        "scale_multiplier": accel.integer(multiplier),
        "scale_shift": accel.integer(shift),
        "zero_point": accel.integer(y.zero_point),
        **bounds(y),
    }
    return made(op, [computed(operands), quantisation.integers(np.array(table, np.int64))], attributes)
