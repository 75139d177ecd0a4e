"""Operators that work on each element, and Softmax."""

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from mlir import ir

from htvm.dialects import accel
from htvm.importer import quantisation as q
from htvm.importer.errors import Problem, shape_text
from htvm.importer.node import Node, axis_of, quantise
from htvm.importer.values import Constant, Floored, Tensor, Value

MAX_FOLDED = 65_536
"""Arithmetic on known integers computes shapes; results of more elements are refused."""

LARGEST_FLOAT32 = float(np.finfo(np.float32).max)


def add(node: Node) -> Value:
    """With broadcasting; of two computed tensors or one and a constant."""
    return _binary(node, accel.add, operator.add)


def sub(node: Node) -> Value:
    """With broadcasting; of two computed tensors or one and a constant."""
    return _binary(node, accel.sub, operator.sub)


def mul(node: Node) -> Value:
    """With broadcasting; of two computed tensors or one and a constant."""
    return _binary(node, accel.mul, operator.mul)


def div(node: Node) -> Value:
    """By a constant without zeros, with broadcasting."""
    if 0 in node.array(1, "divisor"):
        raise Problem(f"divisor ('{node.proto.input[1]}') holds 0")
    return _binary(node, accel.div, _divide, keeps_integers=False)


def floor(node: Node) -> Floored:
    """With a Clip to integer bounds after it, this is the rounding of integer arithmetic."""
    return Floored(node.tensor(0), node.location)


def clip(node: Node) -> Tensor:
    """Between constant bounds, or only one."""
    value = node.value(0)
    low = node.number(1, "min") if node.has(1) else -LARGEST_FLOAT32
    high = node.number(2, "max") if node.has(2) else LARGEST_FLOAT32
    if not low <= high:
        raise Problem(f"min is {low:g}, expected at most max, which is {high:g}")
    if isinstance(value, Floored) and (bounds := _integer_bounds(low, high)):
        with ir.Location.fused([value.location, node.location]):
            return quantise(value.tensor, q.integers(q.storage_for(*bounds), *bounds), rounding="floor")
    x = node.tensor(0)
    if (low, high) == (-LARGEST_FLOAT32, LARGEST_FLOAT32):
        return x
    if (low, high) == (0, LARGEST_FLOAT32):
        return _relu(node, x)
    integral = x.integral and low.is_integer() and high.is_integer()
    return node.emit(accel.clamp, x.shape, x.value, low, high, grid=q.ACCUMULATOR if integral else None)


def relu(node: Node) -> Tensor:
    """On any shape."""
    return _relu(node, node.tensor(0))


def sigmoid(node: Node) -> Tensor:
    """On any shape."""
    x = node.tensor(0)
    return node.emit(accel.sigmoid, x.shape, x.value)


def softmax(node: Node) -> Tensor:
    """Along any one axis."""
    axis, x = node.attribute("axis", -1), node.tensor(0)
    return node.emit(accel.softmax, x.shape, x.value, axis_of(axis, len(x.shape)))


def _relu(node: Node, x: Tensor) -> Tensor:
    grid = x.grid if x.grid and q.holds_zero(x.grid) else None
    return node.emit(accel.relu, x.shape, x.value, grid=grid)


def _binary(
    node: Node, op: Callable[..., ir.Value], compute: Callable[[Any, Any], Any], keeps_integers: bool = True
) -> Value:
    """Write an operation on two operands, or compute it if both are known integers."""
    shapes = [node.value(index).shape for index in (0, 1)]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        found = " and ".join(shape_text(shape) for shape in shapes)
        raise Problem(f"inputs have shapes {found}, which do not broadcast") from None
    known = node.constants()
    if known and all(constant.array.dtype.kind in "iu" for constant in known):
        if math.prod(shape) > MAX_FOLDED:
            found = f"computes a constant of {math.prod(shape):,} elements"
            raise Problem(f"{found}, expected at most {MAX_FOLDED:,}")
        return Constant(compute(known[0].array, known[1].array), node.proto.output[0])
    a, b = node.tensor(0), node.tensor(1)
    grid = q.ACCUMULATOR if keeps_integers and a.integral and b.integral else None
    return node.emit(op, shape, a.value, b.value, grid=grid)


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Divide integers as ONNX does: towards zero."""
    return (np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))).astype(a.dtype)


def _integer_bounds(low: float, high: float) -> tuple[int, int] | None:
    """Return bounds that are integers as such, limited to those of i32."""
    if not (low.is_integer() and high.is_integer()):
        return None
    return max(int(low), q.ACCUMULATOR.lowest), min(int(high), q.ACCUMULATOR.highest)
