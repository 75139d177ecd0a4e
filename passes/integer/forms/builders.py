"""What the integer forms share: reading quantised types, building operations on integers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
from mlir import ir

from htvm.dialects import accel, quantisation
from htvm.dialects.quantisation import Quantisation

from ...analysis.monotone_steps import Requant, Steps

STEEPEST = 1 << 32
"""Of factors from sums to results: one step of the sum is then more than any result."""


class NotExact(Exception):
    """An operation that integers cannot do as asked; the text says why."""


Operands = Sequence[ir.Value | None]
"""The integers of each operand; None for a constant, whose integers are those of its type."""

Form = Callable[[Any, Operands], "ir.Value | None"]
F = TypeVar("F", bound=Form)

FORMS: dict[type, Form] = {}
"""What builds the integer form of each operation, from the operation and its integer operands.

None from it: the real value of the result is rounded instead.
"""


def form_of(*operations: type) -> Callable[[F], F]:
    """Have a function build the integer form of some operations."""

    def register(build: F) -> F:
        FORMS.update(dict.fromkeys(operations, build))
        return build

    return register


REAL_GRIDS: ContextVar[Mapping[ir.Value, Quantisation]] = ContextVar("REAL_GRIDS")
"""What the integers of real values mean that have one unit, while an operation that reads them is rewritten."""


def uniform(value: ir.Value, what: str) -> Quantisation:
    """Return the quantisation of a value that must have one scale."""
    q = Quantisation.of(value) or REAL_GRIDS.get({}).get(value)
    if q is None:
        raise NotExact(f"has a real {what} ({value.type}), expected a quantised one")
    if q.axis is not None:
        raise NotExact(f"has {len(q.scales)} scales in its {what}, expected one")
    return q


def quantised_result(op: accel.Layer) -> Quantisation:
    """Return the quantisation of the result of an operation that rounds it."""
    return accel.present(Quantisation.of(accel.output(op)), "quantised result")


def channel_steps(op: accel.Layer, y: Quantisation, channels: int) -> list[Fraction]:
    """Return the output scale of each channel."""
    channel_axis = 1 if isinstance(op, accel.Conv2dOp) else ir.ShapedType(accel.output(op).type).rank - 1
    if y.axis not in (None, channel_axis) or len(set(y.zero_points)) > 1:
        raise NotExact(f"has result scales along axis {y.axis}, expected one, or one per channel and one zero point")
    return [Fraction(y.scales[channel % len(y.scales)]) for channel in range(channels)]


def exact_steps(
    op: accel.Layer,
    slope: list[Fraction],
    intercept: list[Fraction],
    first: np.ndarray,
    last: np.ndarray,
    y: Quantisation,
) -> Steps:
    if y.bits > 16:
        raise NotExact(f"has results of {y.bits} bits, expected 8 or 16")
    if max(slope) >= STEEPEST:
        raise NotExact(
            f"multiplies its sums by {float(max(slope)):g}, expected less than {STEEPEST:,}: look at its scales"
        )
    return Steps(slope, intercept, first, last, y.zero_points[0], y.lowest, y.highest, accel.rounding(op))


def requant(solved: Requant) -> dict[str, ir.Attribute]:
    """Return the attributes `requant` and, where constants are not exact, `accel.inexact`."""
    constants = accel.RequantAttr.get(
        multiplier=_entries(solved.multiplier),
        offset=_entries(solved.offset),
        shift=_entries(solved.shift),
        pre_shift=solved.pre_shift,
        min=solved.lowest,
        max=solved.highest,
        narrow=solved.narrow,
        tie_below=solved.tie_below,
        zero_point=solved.zero_point,
        double_round=solved.double_round,
    )
    if solved.divisor:
        constants = constants.replace(
            numerator=_entries(solved.numerator),
            divisor=_entries(solved.divisor),
            rest=_entries(modulo(number) for number in solved.rest),
        )
    attributes: dict[str, ir.Attribute] = {"requant": constants}
    if (wrong := solved.inexact) is not None:
        attributes["accel.inexact"] = accel.InexactAttr.get(
            count=wrong.count, channel=wrong.channel, accumulator=wrong.accumulator
        )
    return attributes


def modulo(number: int) -> int:
    """Return a number modulo 2^64, as a signed integer."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def _entries(numbers: Iterable[int]) -> list[int]:
    """Return one number if all are equal, else all."""
    listed = [int(number) for number in numbers]
    return listed[:1] if len(set(listed)) == 1 else listed


def bounds(y: Quantisation) -> dict[str, ir.Attribute]:
    return {"min": accel.integer(y.lowest), "max": accel.integer(y.highest)}


def stored_type(value: ir.Value) -> ir.IntegerType:
    """Return the type of stored integers; arguments have their quantised type until all else is rewritten."""
    q = Quantisation.of(value)
    return ir.IntegerType(ir.ShapedType(value.type).element_type if q is None else q.storage_type())


def fits(numbers: np.ndarray, bits: int) -> bool:
    half = 1 << (bits - 1)
    return numbers.min(initial=0) >= -half and numbers.max(initial=0) < half


def computed(operands: Operands, index: int = 0) -> ir.Value:
    """Return the integers of an operand. Raises NotExact if it is a constant."""
    value = operands[index]
    if value is None:
        raise NotExact(f"has a constant as operand {index}, expected a value that is computed")
    return value


def with_constants(op: accel.Layer, operands: Operands) -> list[ir.Value]:
    """Fill in the operands that are constants."""
    return [
        _constant_operand(source) if value is None else value for source, value in zip(op.operation.operands, operands)
    ]


def _constant_operand(value: ir.Value) -> ir.Value:
    """Return stored integers; constants are signless, so unsigned ones take twice the bits."""
    q, stored = Quantisation.of(value), quantisation.stored(value)
    assert q is not None and stored is not None, value
    return quantisation.integers(stored.astype(f"i{q.bits // 8 * (1 if q.signed else 2)}"))


def made(
    op: accel.Layer,
    operands: Sequence[ir.Value],
    extra: Mapping[str, ir.Attribute],
    name: str | None = None,
    element: ir.Type | None = None,
) -> ir.Value:
    """Build an operation like `op` on integers: its attributes but those of real arithmetic, and `extra`."""
    gone = ("rounding", "offset", "count_include_pad", "epsilon", "operandSegmentSizes")
    attributes = {key: value for key, value in op.operation.attributes.items() if key not in gone} | dict(extra)
    segments = _segments(op, len(operands))
    if segments:
        attributes["operandSegmentSizes"] = ir.DenseI32ArrayAttr.get(segments)
    element = element or quantised_result(op).storage_type()
    shape = ir.ShapedType(accel.output(op).type).shape
    return ir.Operation.create(
        name or op.operation.name,
        results=[quantisation.tensor(shape, element)],
        operands=operands,
        attributes=attributes,
    ).result


GROUPS: Mapping[type, int] = {accel.Conv2dOp: 4, accel.DenseOp: 4, accel.SoftmaxOp: 2, accel.LayerNormOp: 3}
"""Operand groups of operations with optional operands, the destination left out."""


def _segments(op: accel.Layer, count: int) -> list[int] | None:
    """Return how `count` operands fill an operation's operand groups; the destination, last, is empty on tensors."""
    if isinstance(op, accel.ConcatOp):
        return [count, 0]
    groups = GROUPS.get(type(op))
    return None if groups is None else [1] * count + [0] * (groups - count) + [0]
