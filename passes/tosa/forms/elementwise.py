"""Operations on single elements: of one value a table, of two a sum, a product, or the larger one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from mlir import ir

from htvm.dialects import accel, quantisation
from htvm.dialects.semantics import tosa_scaling
from htvm.dialects.semantics.tosa.elements import BINARY, UNARY
from htvm.dialects.semantics.tosa.reading import TosaOp, bits, constant, evaluate, present

from ...analysis import exact_add, exact_requant
from ...analysis.exact_add import Sum
from ...analysis.monotone_steps import DoubleRounded
from ...integer.forms.builders import requant
from .linear import convolution, product_of_matrices
from .matching import (
    Builder,
    Built,
    Match,
    Requantised,
    axes,
    axis_in,
    has_one_user,
    integer_tensor,
    matches,
    producer,
    range_of,
    requantised,
    requantised_result,
    shape_of,
)
from .reductions import mean

OTHERS = ("arithmetic_right_shift", "cast", "clamp", "clz", "intdiv", "logical_right_shift", "mul", "negate", "rescale",
          "select", "table")  # fmt: skip
ONE_VALUE = (*BINARY, *UNARY, *OTHERS)
"""Operations whose result depends on one element of each operand."""

MOST_OPERATIONS = 64
"""Of an expression that becomes a table."""


@dataclass(frozen=True)
class Expression:
    """Operations on single elements of one value, `leaf`, and of constants, in order."""

    leaf: ir.Value
    ops: Sequence[ir.Operation]

    @staticmethod
    def of(op: TosaOp) -> Expression | None:
        """Return the longest expression that ends in an operation; None if there is none of one value."""
        ops: dict[ir.Operation, None] = {}
        leaves: dict[ir.Value, None] = {}
        _collect(op, ops, leaves)
        if len(leaves) != 1 or len(ops) > MOST_OPERATIONS or not op.shape:
            return None
        (leaf,) = leaves
        return Expression(leaf, list(ops)) if bits(leaf) == 8 and shape_of(leaf) == op.shape else None

    def entries(self, numbers: np.ndarray, axis: int) -> np.ndarray:
        """Return the results for numbers [n] and each index of an axis: [indices, n], or [1, n] if alike."""
        rank = len(shape_of(self.leaf))
        size = shape_of(self.leaf)[axis]
        grid = np.broadcast_to(numbers, (size, len(numbers)))
        values: dict[ir.Value, np.ndarray] = {self.leaf: grid}
        for op in self.ops:
            operands: list[np.ndarray] = []
            for place, operand in enumerate(op.operands):
                if operand in values:
                    operands.append(values[operand])
                else:
                    held = present(operand, "operand")
                    operands.append(_along(held, axis, rank) if _is_element(op, place) else held)
            values[op.results[0]] = _on_rows(op, operands, axis == rank - 1)
        found = np.broadcast_to(values[self.ops[-1].results[0]], (size, len(numbers)))
        return found[:1] if (found == found[:1]).all() else found

    def axis(self) -> int | None:
        """Return the axis along which constants vary, the last if none does; None if there are several."""
        rank, varying = len(shape_of(self.leaf)), set[int]()
        for op in self.ops:
            if op.name == "tosa.rescale" and TosaOp(op).flag("per_channel"):
                varying.add(rank - 1)
            for place, operand in enumerate(op.operands):
                if _is_element(op, place) and (numbers := constant(operand)) is not None and numbers.size > 1:
                    shape = [1] * (rank - numbers.ndim) + list(numbers.shape)
                    varying |= {axis for axis, size in enumerate(shape) if size > 1}
        return (varying or {rank - 1}).pop() if len(varying) < 2 else None


def _collect(op: TosaOp, ops: dict[ir.Operation, None], leaves: dict[ir.Value, None]) -> None:
    for place, operand in enumerate(op.operands):
        if constant(operand) is not None or not _is_element(op.op, place):
            continue
        before = producer(operand)
        if before is None or before.name not in ONE_VALUE or before.op in ops or is_layer(before):
            leaves.update({operand: None} if before is None or before.op not in ops else {})
        elif bits(operand) in (8, 16) and not has_one_user(operand):
            leaves[operand] = None
        else:
            _collect(before, ops, leaves)
    ops[op.op] = None


def is_layer(op: TosaOp) -> bool:
    """Say whether a layer that is no table makes the result of an operation."""
    return any(
        matcher(op) is not None
        for matcher in (convolution, mean, product_of_matrices, total, product, extreme_of_rescaled)
    )


def _is_element(op: ir.Operation, place: int) -> bool:
    """Say whether an operand gives an element for each element of the result, and is no table, shift or zero point."""
    return (
        place == 0
        or op.name not in ("tosa.table", "tosa.rescale", "tosa.negate")
        and not (op.name == "tosa.mul" and place == 2)
    )


def _along(numbers: np.ndarray, axis: int, rank: int) -> np.ndarray:
    """Return a constant as a column: one number for each index of an axis, or for all."""
    numbers = numbers.reshape([1] * (rank - numbers.ndim) + list(numbers.shape))
    return np.moveaxis(numbers, axis, 0).reshape(numbers.shape[axis], -1)[:, :1]


def _on_rows(op: ir.Operation, operands: Sequence[np.ndarray], is_last: bool) -> np.ndarray:
    """Evaluate an operation whose rows are the indices of an axis: a rescale has its channels last."""
    if op.name == "tosa.rescale" and TosaOp(op).flag("per_channel") and is_last:
        return evaluate(op, [operands[0].T, *operands[1:]]).T
    return evaluate(op, operands)


# Two values


@dataclass(frozen=True)
class Line:
    """A value of 8 bits, rescaled: about slope * (value - zero), as TOSA rounds it."""

    leaf: ir.Value
    expression: Expression | None
    slope: Fraction
    zero: int

    @staticmethod
    def of(value: ir.Value) -> Line:
        """Return the rescales of a value, as far back as they go; the value itself if there are none."""
        ops: list[ir.Operation] = []
        slope, zero, leaf = Fraction(1), 0, value
        while (before := producer(leaf)) is not None and before.name == "rescale" and has_one_user(leaf):
            asked = requantised(before)
            if asked is None or len(asked.scales.multiplier) != 1 or asked.out_zero or is_layer(before):
                break
            slope *= Fraction(int(asked.scales.multiplier[0]), 1 << int(asked.scales.shift[0]))
            zero, leaf = asked.in_zero, asked.source
            ops.insert(0, before.op)
            if bits(leaf) in (8, 16):
                break
        return Line(leaf, Expression(leaf, ops) if ops else None, slope, zero)

    @property
    def ops(self) -> Sequence[ir.Operation]:
        return self.expression.ops if self.expression else ()

    def values(self, numbers: np.ndarray) -> np.ndarray:
        """Return the results for numbers [n]."""
        return self.expression.entries(numbers, len(shape_of(self.leaf)) - 1)[0] if self.expression else numbers


@dataclass(frozen=True)
class RescaledSum(Sum):
    """A sum of two tables, rescaled as TOSA rounds; slopes and intercept say about what it is."""

    tables: tuple[np.ndarray, np.ndarray]
    asked: Requantised
    sign: int

    def table(self) -> np.ndarray:
        total = np.add.outer(self.tables[0], self.sign * self.tables[1])
        return scaled(total, self.asked)


def scaled(values: np.ndarray, asked: Requantised) -> np.ndarray:
    """Return values rescaled and clamped."""
    scales = asked.scales
    found = tosa_scaling.apply_scale(values - asked.in_zero, scales.multiplier, scales.shift, scales.double_round)
    return np.clip(found + asked.out_zero, *asked.limits)


def operands_of(op: TosaOp, *names: str) -> tuple[Requantised, TosaOp, Line, Line] | None:
    """Return a rescale, the operation of two values that it scales, and the rescales of these; None for others."""
    if (pair := requantised_result(op, *names)) is None:
        return None
    asked, before = pair
    if (bits(op.result) or 0) not in (8, 16) or len(asked.scales.multiplier) != 1 or not op.shape:
        return None
    a, b = (Line.of(each) for each in before.operands[:2])
    if any(constant(line.leaf) is not None for line in (a, b)) or bits(a.leaf) != 8 or bits(b.leaf) != 8:
        return None
    return asked, before, a, b


@matches("rescale", "clamp")
def total(op: TosaOp) -> Match | None:
    """A rescaled sum or difference of two rescaled values: of all pairs, one sum of products must be right."""
    found = operands_of(op, "add", "sub")
    if found is None:
        return None
    asked, before, a, b = found
    sign = -1 if before.name == "sub" else 1
    factor = Fraction(int(asked.scales.multiplier[0]), 1 << int(asked.scales.shift[0]))
    slopes = factor * a.slope, sign * factor * b.slope
    intercept = -slopes[0] * a.zero - slopes[1] * b.zero - factor * asked.in_zero
    numbers = np.arange(-128, 128)
    whole = range(-128, 128)
    wanted = RescaledSum(slopes, intercept, whole, whole, asked.out_zero, *asked.limits, "tosa",
                         (a.values(numbers), b.values(numbers)), asked, sign)  # fmt: skip
    solved = _solved(before.op, wanted)
    if solved is None:
        return None
    constants = accel.RequantAttr.get(
        multiplier=solved.multipliers,
        offset=[solved.offset],
        shift=[solved.shift],
        min=asked.limits[0],
        max=asked.limits[1],
        narrow=solved.narrow,
        context=op.op.context,
    )
    covered = (*a.ops, *b.ops, before.op, *asked.covered)
    return pair(op, (a.leaf, b.leaf), "accel.add", {"requant": constants}, covered)


_SUMS: dict[tuple[object, ...], exact_add.AddRequant | None] = {}


def _solved(op: ir.Operation, wanted: RescaledSum) -> exact_add.AddRequant | None:
    """Return constants for a sum; the same sum is asked for several times."""
    scales = wanted.asked.scales
    key = (
        *(each.tobytes() for each in wanted.tables),
        int(scales.multiplier[0]),
        int(scales.shift[0]),
        scales.double_round,
        wanted.asked.in_zero,
        wanted.zero_point,
        wanted.lowest,
        wanted.highest,
        wanted.sign,
    )
    if key not in _SUMS:
        if len(_SUMS) > 256:
            _SUMS.clear()
        _SUMS[key] = exact_add.solve(wanted)
    return _SUMS[key]


@matches("rescale", "clamp")
def product(op: TosaOp) -> Match | None:
    """A rescaled product of two values, which may lose their zero points first."""
    found = operands_of(op, "mul")
    if found is None:
        return None
    asked, before, a, b = found
    shift = constant(before.operands[2])
    if shift is None or shift.any() or a.slope != 1 or b.slope != 1:
        return None
    corners = [(p - a.zero) * (q - b.zero) for p in (-128, 127) for q in (-128, 127)]
    ends = np.array([min(corners)]), np.array([max(corners)])
    steps = DoubleRounded.of(asked.scales, np.array([-asked.in_zero]), ends, asked.out_zero, asked.limits)
    with op.op.context, ir.Location.unknown():
        attributes: dict[str, ir.Attribute] = {
            "zero_points": ir.DenseI64ArrayAttr.get([a.zero, b.zero]),
            **requant(exact_requant.solve(steps)),
        }
    covered = (*a.ops, *b.ops, before.op, *asked.covered)
    return pair(op, (a.leaf, b.leaf), "accel.mul", attributes, covered)


@matches("rescale", "clamp")
def extreme_of_rescaled(op: TosaOp) -> Match | None:
    """The larger or the smaller of two rescaled values, rescaled: that is monotone, so each is rescaled on its own."""
    found = operands_of(op, "maximum", "minimum")
    if found is None:
        return None
    asked, before, a, b = found
    width = bits(op.result) or 0
    numbers = np.arange(-128, 128)
    entries = [scaled(line.values(numbers), asked) for line in (a, b)]

    def build(builder: Builder) -> Built:
        form = builder.form_of(a.leaf, b.leaf)
        sources: list[ir.Value] = []
        for line, table_entries in zip((a, b), entries):
            x = builder.read(line.leaf, form)
            if width != 8 or (table_entries != numbers).any():
                held = quantisation.integers(table_entries.astype(f"i{width // 8}"))
                result = integer_tensor(axes(form, shape_of(line.leaf)), width)
                x = accel.output(accel.LookupOp(result, x, held, lowest=-128))
            sources.append(x)
        result = integer_tensor(axes(form, op.shape), width)
        made = ir.Operation.create(f"accel.{before.name}", results=[result], operands=sources).result
        return made, form

    return Match((a.leaf, b.leaf), build, (*a.ops, *b.ops, before.op, *asked.covered))


@matches(*ONE_VALUE)
def table(op: TosaOp) -> Match | None:
    """Any function of one value of 8 bits. Comes after the layers of `is_layer`, which take in a rescale.

    Of 16 bits a table would take 128 kB and more: such a function is called.
    """
    if (bits(op.result) or 0) not in (8, 16, 32):
        return None
    found = Expression.of(op)
    axis = None if found is None else found.axis()
    if found is None or axis is None:
        return None
    expression, width, along = found, bits(op.result) or 0, axis

    def build(b: Builder) -> Built:
        form = b.form_of(expression.leaf)
        x = b.read(expression.leaf, form)
        low, high = range_of(x)
        numbers = np.arange(low, high + 1)
        entries = expression.entries(numbers, along)
        is_same = width == bits(expression.leaf) and (entries == numbers).all()
        if is_same:
            return x, form
        result = integer_tensor(axes(form, op.shape), width)
        place = None if len(entries) == 1 else axis_in(form, along)
        held = quantisation.integers((entries[0] if place is None else entries).astype(f"i{width // 8}"))
        return accel.output(accel.LookupOp(result, x, held, lowest=low, axis=place)), form

    return Match([expression.leaf], build, expression.ops, light=True)


@matches("maximum", "minimum")
def extreme(op: TosaOp) -> Match | None:
    """The larger or the smaller of two computed values, as their integers are compared."""
    a, b = op.operands
    if bits(a) not in (8, 16) or constant(a) is not None or constant(b) is not None:
        return None
    return pair(op, (a, b), f"accel.{op.name}", {}, [op.op])


def pair(
    op: TosaOp,
    operands: tuple[ir.Value, ir.Value],
    name: str,
    attributes: dict[str, ir.Attribute],
    covered: Sequence[ir.Operation],
) -> Match:
    """Return a match by a layer of two operands, with channels first if one of them is so."""
    width = bits(op.result) or 0

    def build(b: Builder) -> Built:
        form = b.form_of(*operands)
        sources = [b.read(each, form) for each in operands]
        result = integer_tensor(axes(form, op.shape), width)
        made = ir.Operation.create(name, results=[result], operands=sources, attributes=attributes).result
        return made, form

    return Match(operands, build, covered)
