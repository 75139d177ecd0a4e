"""Arithmetic on tensors of integers: ONNX's own, and layers that MATCH's exporter writes on them."""

import math
from collections.abc import Callable

import numpy as np
from mlir import ir

from htvm.dialects import accel
from htvm.import_onnx import quantisation as q
from htvm.import_onnx.errors import Problem
from htvm.import_onnx.node import Node, as_numbers
from htvm.import_onnx.values import (
    Constant,
    Integers,
    QuantisedConstant,
    Rounded,
    Tensor,
    Value,
    as_integers,
    emit_quantised,
    emit_real,
)


def holds(value: Value) -> bool:
    """Say whether a value is a computed tensor of integers."""
    match value:
        case Tensor():
            return value.stored
        case Rounded():
            return value.dtype is not None
        case _:
            return isinstance(value, Integers)


def combined(node: Node, op: Callable[..., ir.Value], shape: tuple[int, ...]) -> Integers:
    """Write a sum, difference or product of integers, which their type holds. Raises Problem where it may not."""
    a, b = _pair(node)
    ends = [(a.lowest, a.highest), (b.lowest, b.highest)]
    kind = node.proto.op_type
    if kind == "Mul":
        corners = [p * r if p and r else 0.0 for p in ends[0] for r in ends[1]]
    else:
        corners = [p - r if kind == "Sub" else p + r for p in ends[0] for r in ends[1]]
    corners = [-math.inf if math.isnan(corner) else corner for corner in corners]
    limits = np.iinfo(a.dtype)
    if a.dtype != np.int32 and not limits.min <= min(corners) <= max(corners) <= limits.max:
        raise Problem(
            f"computes {a.dtype} from {min(corners):,.0f} to {max(corners):,.0f}, which wrap around; "
            "Cast to int32 before it"
        )
    made = node.emit(op, shape, a.numbers.value, b.numbers.value, grid=q.ACCUMULATOR)
    return Integers(made, a.dtype, min(corners), max(corners))


def divided(node: Node, shape: tuple[int, ...]) -> Rounded:
    """Write integers divided by constant ones, which ONNX rounds towards zero: to be known not to be negative."""
    a, _ = _pair(node)
    divisors = node.array(1, "divisor")
    if divisors.min() < 1 or (divisors != divisors.astype(np.float32)).any():
        raise Problem(f"divisor ('{node.input_name(1)}') holds {divisors.min()}, expected positive float32 numbers")
    by = emit_real(Constant(divisors.astype(np.float32), node.input_name(1)))
    quotient = node.emit(accel.div, shape, a.numbers.value, by.value)
    return Rounded(quotient, "floor", node.location, 0 if a.lowest >= 0 else -math.inf, dtype=a.dtype)


def sums(node: Node, implementation: Callable[[Node], Value]) -> Integers:
    """Write a linear layer on integers as one on the numbers that they are: its sums have 32 bits."""
    names = [node.input_name(index) for index in range(len(node))]
    values: list[Value] = [_operand(node, index) for index in range(len(node))]
    inner = node.with_operands(node.proto.op_type, values, names)
    made = implementation(inner)
    inner.check_all_read()
    assert isinstance(made, Tensor)
    if not made.integral:
        raise Problem("has results that are no integers, of integers: alpha and beta are fractions, expected integers")
    return Integers(made, np.dtype(np.int32))


def _operand(node: Node, index: int) -> Tensor | QuantisedConstant:
    """Return an operand of integers; constants in the fewest bits that hold them."""
    value = node.value(index)
    if isinstance(value, Constant):
        if value.array.dtype.kind not in "iu":
            raise Problem(f"input '{value.name}' is {value.array.dtype}, expected integers as the other ones")
        return as_integers(value, ("i8", "u8", "i16", "i32"))
    return of(node, index).numbers


def _pair(node: Node) -> tuple[Integers, Integers]:
    a, b = of(node, 0), of(node, 1)
    if a.dtype != b.dtype:
        raise Problem(f"input '{node.input_name(1)}' is {b.dtype}, expected {a.dtype} as the other one")
    return a, b


def of(node: Node, index: int) -> Integers:
    """Return an input of integers as numbers, and between which they are."""
    value = node.value(index)
    if isinstance(value, Integers):
        return value
    if isinstance(value, Constant) and value.array.dtype in q.STORAGES.values():
        lowest, highest = (float(end) for end in (value.array.min(initial=0), value.array.max(initial=0)))
        stored = emit_quantised(QuantisedConstant(value.array.astype(np.int32), q.ACCUMULATOR, value.name))
        return Integers(stored, value.array.dtype, lowest, highest)
    x = node.any_tensor(index)
    if not x.stored:
        raise Problem(f"input '{node.input_name(index)}' is float32, the other one holds integers")
    grid = x.quantisation
    return Integers(as_numbers(x), q.storage(grid), grid.lowest, grid.highest)
