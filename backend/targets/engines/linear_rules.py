"""Rules that engines for linear layers on int8 share: each is made for a source, and for an engine's limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from mlir import ir

from htvm.backend.targets.engines import linear_ops
from htvm.backend.targets.rules import Rule, unless, unless_in
from htvm.backend.targets.violations import (
    AtMost,
    Bytes,
    EachAxis,
    EachSide,
    Groups,
    Images,
    Interval,
    OneOf,
    Quality,
    Subject,
    Value,
    Within,
)
from htvm.dialects import accel, quantisation
from htvm.dialects.semantics import value_ranges

DEFINITION = "AccelOps.td"
"""The source of rules that follow from what the operations of the dialect are."""


def input_map(source: str, element: str = "i8") -> Rule:
    """Return the rule for an input of an element type in one image."""

    def found(op: linear_ops.LinearOp) -> Value | None:
        sizes = linear_ops.shape(op.input)
        count = prod(sizes[:-1] if isinstance(op, accel.DenseOp) else sizes[:1])
        return unless(Images(linear_ops.element(op.input), count), Images(element, 1))

    return Rule(Subject.INPUT, Images(element, 1), source, found)


def output_element(source: str) -> Rule:
    """Return the rule for an output of i8."""
    return Rule(Subject.OUTPUT, "i8", source, lambda op: unless(linear_ops.element(accel.output(op)), "i8"))


def one_requantisation() -> Rule:
    """Return the rule for a result that is requantised once."""
    return Rule(Subject.RESULT, Quality.REQUANTISED, DEFINITION, _unfinished_found)


def constant_weights(source: str) -> Rule:
    """Return the rule for weights that are constants."""
    return Rule(Subject.WEIGHTS, Quality.CONSTANT, source, _computed_weights)


def weight_values(source: str, low: int, high: int) -> Rule:
    """Return the rule for constant weights from `low` to `high`; few values are listed."""
    allowed = Interval(low, high)
    few = OneOf(tuple(range(low, high + 1)))

    def found(op: accel.Weighted) -> Value | None:
        if quantisation.stored(op.weights) is None:
            return None
        held = value_ranges.held(op.weights)
        return None if held is None or allowed.contains(held) else Interval(*held)

    return Rule(Subject.WEIGHT_VALUES, few if len(few.values) <= 3 else Within((allowed,)), source, found)


def weight_bytes(source: str, limit: Bytes, size: Callable[[Any], Bytes]) -> Rule:
    """Return the rule for weights of one block of outputs that fit; size: what they take."""

    def found(op: ir.OpView) -> Value | None:
        needed = size(op)
        return None if needed.count <= limit.count else needed

    return Rule(Subject.WEIGHT_BYTES, AtMost(limit), source, found)


def kernel(source: str, wanted: OneOf | Quality) -> Rule:
    """Return the rule for kernels with sides that are listed, or odd."""

    def found(op: accel.Conv2dOp) -> Value | None:
        sides = linear_ops.shape(op.weights)[2:]
        fits = set(sides) <= set(wanted.values) if isinstance(wanted, OneOf) else all(side % 2 for side in sides)
        return None if fits else sides

    return Rule(Subject.KERNEL, EachAxis(wanted), source, found)


def strides(source: str, allowed: Sequence[tuple[int, int]]) -> Rule:
    """Return the rule for strides (rows, columns)."""
    return Rule(Subject.STRIDES, OneOf(tuple(allowed)), source, lambda op: unless_in(tuple(op.strides), allowed))


def no_dilations(source: str) -> Rule:
    """Return the rule for kernels without dilations."""
    return Rule(Subject.DILATIONS, OneOf(((1, 1),)), source, lambda op: unless(tuple(op.dilations), (1, 1)))


def one_group(source: str) -> Rule:
    """Return the rule for convolutions without groups."""
    return Rule(Subject.GROUPS, OneOf((1,)), source, lambda op: unless(op.groups.value, 1))


def one_group_or_depthwise(source: str) -> Rule:
    """Return the rule for convolutions without groups, or with one for each channel."""

    def found(op: accel.Conv2dOp) -> Value | None:
        groups, channels, outputs = op.groups.value, linear_ops.shape(op.input)[1], linear_ops.shape(op.weights)[0]
        return None if groups == 1 or groups == channels == outputs else Groups(groups, channels, outputs)

    return Rule(Subject.GROUPS, Quality.UNGROUPED_OR_DEPTHWISE, source, found)


def pads(source: str, largest: int) -> Rule:
    """Return the rule for paddings of at most `largest` rows or columns on each side."""

    def found(op: accel.Conv2dOp) -> Value | None:
        return None if max(op.pads) <= largest else tuple(op.pads)

    return Rule(Subject.PADS, EachSide(Interval(0, largest)), source, found)


def zero_padding(source: str) -> Rule:
    """Return the rule for zeros around the map."""

    def found(op: accel.Conv2dOp) -> Value | None:
        return None if op.pad_value is None or linear_ops.pads_its_zero(op) else op.pad_value.value

    return Rule(Subject.PADDING, OneOf((0,)), source, found)


def _computed_weights(op: accel.Weighted) -> Value | None:
    return Quality.COMPUTED if quantisation.stored(op.weights) is None else None


def _unfinished_found(op: linear_ops.LinearOp | accel.AddOp) -> Value | None:
    if op.requant is None:
        return Quality.RAW_SUMS
    return Quality.SCALED_CODE if isinstance(op, accel.Conv2dOp) and op.rescale is not None else None
