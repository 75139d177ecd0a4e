"""What the families share: a match of operations by a layer, and how values are read while layers are built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from mlir import ir

from htvm.dialects import accel, quantisation
from htvm.dialects.semantics import value_ranges
from htvm.dialects.semantics.tosa.elements import limits, width_of, zero_point
from htvm.dialects.semantics.tosa.reading import TosaOp, bits, constant, constants, is_tosa, users
from htvm.dialects.semantics.tosa.windows import FIRST, LAST
from htvm.dialects.text_enum import TextEnum

from ...analysis.monotone_steps import Scales

Range = tuple[int, int]


class Form(TextEnum):
    """How a value of tosa, a map [N, H, W, C], stands in the layers: as it is, or with the channels first."""

    PLAIN = "plain"
    FIRST = "channels first"


@dataclass(frozen=True)
class Match:
    """A layer, or several, for one value of tosa.

    inputs: values of tosa that it reads. build: makes the layers, and returns the result and its form. covered:
    operations that it computes. light: no more than a table; a function that reads the result computes it itself.
    """

    inputs: Sequence[ir.Value]
    build: Callable[[Builder], Built]
    covered: Sequence[ir.Operation]
    light: bool = False


Built = tuple[ir.Value, Form]

Matcher = Callable[[TosaOp], "Match | None"]

MATCHERS: dict[str, list[Matcher]] = {}
"""What may match each operation, by its name without the dialect's: the first that does is taken."""


def matches(*names: str) -> Callable[[Matcher], Matcher]:
    """Register what matches tosa.`name`, for each of some names."""

    def register(matcher: Matcher) -> Matcher:
        for name in names:
            MATCHERS.setdefault(name, []).append(matcher)
        return matcher

    return register


def match(op: ir.Operation) -> Match | None:
    """Return the layers for an operation's result; None if there are none."""
    read = TosaOp(op)
    for matcher in MATCHERS.get(read.name, ()):
        if (found := matcher(read)) is not None:
            return found
    return None


# Reading


def producer(value: ir.Value) -> TosaOp | None:
    """Return the operation of tosa that computes a value; None for arguments and others."""
    if isinstance(value.owner, ir.Block) or not is_tosa(value.owner):
        return None
    return TosaOp(value.owner.operation)


def has_one_user(value: ir.Value) -> bool:
    return sum(1 for _ in users(value)) == 1


def is_map(value: ir.Value) -> bool:
    """Say whether a value has the axes of a feature map."""
    return ir.ShapedType(value.type).rank == 4


def shape_of(value: ir.Value) -> list[int]:
    return list(ir.ShapedType(value.type).shape)


@dataclass(frozen=True)
class Requantised:
    """clamp(apply_scale(value - in_zero) + out_zero): a tosa.rescale of an accumulator, and clamps of its result."""

    source: ir.Value
    scales: Scales
    in_zero: int
    out_zero: int
    limits: Range
    covered: tuple[ir.Operation, ...]


def requantised(op: TosaOp) -> Requantised | None:
    """Return what a rescale, or a clamp of one, asks for; None for others and for constants that are computed."""
    covered = [op.op]
    bounds: list[Range] = []
    while op.name == "clamp":
        bounds.append((op.number("min_val"), op.number("max_val")))
        before = producer(op.operands[0])
        if before is None or not has_one_user(op.operands[0]):
            return None
        op = before
        covered.append(op.op)
    if op.name != "rescale" or op.flag("input_unsigned") or op.flag("output_unsigned"):
        return None
    source, *rest = op.operands
    numbers = constants(rest)
    if numbers is None:
        return None
    multiplier, shift, in_zero, out_zero = (each.reshape(-1) for each in numbers)
    width = width_of(op.result)
    low, high = limits(width)
    for bound in bounds:
        low, high = max(low, bound[0]), max(min(high, bound[1]), bound[0])
    if low > high or (multiplier < 0).any():
        return None
    if not op.flag("per_channel"):
        multiplier, shift = multiplier[:1], shift[:1]
    scales = Scales(multiplier, shift, op.word("rounding_mode") == "DOUBLE_ROUND")
    in_width = width_of(source)
    points = zero_point(in_zero, in_width, False), zero_point(out_zero, width, False)
    return Requantised(source, scales, *points, (low, high), tuple(reversed(covered)))


def requantised_result(op: TosaOp, *names: str) -> tuple[Requantised, TosaOp] | None:
    """Return what a rescale asks for, and the operation of one of some names that it alone reads; None for others."""
    asked = requantised(op)
    before = None if asked is None else producer(asked.source)
    if asked is None or before is None or before.name not in names or not has_one_user(asked.source):
        return None
    return asked, before


# Building


@dataclass
class Builder:
    """The values of tosa that layers have been built for, in the forms that there are."""

    forms: dict[ir.Value, dict[Form, ir.Value]] = field(default_factory=dict[ir.Value, dict[Form, ir.Value]])

    def set(self, value: ir.Value, built: ir.Value, form: Form = Form.PLAIN) -> None:
        self.forms.setdefault(value, {})[form] = built

    def form_of(self, *values: ir.Value) -> Form:
        """Return the form to read maps in: with channels first, if one of them is there so."""
        is_first = any(Form.FIRST in self.forms.get(value, {}) for value in values)
        return Form.FIRST if is_first and all(is_map(value) for value in values) else Form.PLAIN

    def built(self, value: ir.Value) -> Built:
        """Return the integers of a value in a form that they are there in."""
        form = self.form_of(value)
        return self.read(value, form), form

    def read(self, value: ir.Value, form: Form = Form.PLAIN) -> ir.Value:
        """Return the integers of a value in a form: a constant, what was built, or that with its axes moved."""
        found = self.forms.get(value, {})
        if form in found:
            return found[form]
        if not found:
            numbers = constant(value)
            assert numbers is not None, f"{value} is built before it is read"
            width = max(8, bits(value) or 32)
            self.set(value, quantisation.integers(numbers.astype(f"i{width // 8}")))
            return self.read(value, form)
        (other, source), *_ = found.items()
        assert other != form
        moved = transposed(source, FIRST if form is Form.FIRST else LAST)
        self.set(value, moved, form)
        return moved


def axes(form: Form, numbers: Sequence[int]) -> list[int]:
    """Return what is said of the axes [N, H, W, C] of a map in the order of a form."""
    return [numbers[axis] for axis in FIRST] if form is Form.FIRST else list(numbers)


def axis_in(form: Form, axis: int) -> int:
    """Return the place of an axis of [N, H, W, C] in a form."""
    return FIRST.index(axis) if form is Form.FIRST else axis


def transposed(value: ir.Value, permutation: Sequence[int]) -> ir.Value:
    """Return a value with its axes in another order: under another shape, if no element moves for it."""
    shape = shape_of(value)
    result = tensor([shape[axis] for axis in permutation], value)
    moving = [axis for axis in permutation if shape[axis] != 1]
    if moving == sorted(moving):
        return accel.output(accel.ReshapeOp(result, value))
    return accel.output(accel.TransposeOp(result, value, permutation=list(permutation)))


def reshaped(value: ir.Value, shape: Sequence[int]) -> ir.Value:
    """Return the same elements under another shape; the value itself if it has that."""
    if shape_of(value) == list(shape):
        return value
    return accel.output(accel.ReshapeOp(tensor(shape, value), value))


def tensor(shape: Sequence[int], like: ir.Value) -> ir.RankedTensorType:
    """Return the type of a tensor with another's elements."""
    return quantisation.tensor(list(shape), ir.ShapedType(like.type).element_type)


def integer_tensor(shape: Sequence[int], width: int) -> ir.RankedTensorType:
    return quantisation.tensor(list(shape), ir.IntegerType.get_signless(width))


def range_of(value: ir.Value) -> Range:
    """Return the integers that a value which was built can hold."""
    return accel.present(value_ranges.held(value), "range")


def fits(numbers: np.ndarray | Iterable[int], width: int) -> bool:
    found = np.array(list(numbers) if not isinstance(numbers, np.ndarray) else numbers)
    low, high = limits(width)
    return bool(found.size == 0 or (found.min() >= low and found.max() <= high))
