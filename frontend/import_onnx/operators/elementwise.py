"""Operators that work on each element, and Softmax."""

import math
import operator
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import onnx
from mlir import ir

from htvm.dialects import accel
from htvm.dialects.quantisation import Quantisation
from htvm.import_onnx import quantisation as q
from htvm.import_onnx.errors import Problem, choices_text, shape_text
from htvm.import_onnx.node import Node, as_numbers, axis_of, quantise, settle, stored_integers
from htvm.import_onnx.operators import integers
from htvm.import_onnx.values import (
    Constant,
    Integers,
    QuantisedConstant,
    Rounded,
    Tensor,
    Value,
    check_finite,
)

MAX_FOLDED = 65_536
"""Arithmetic on known integers computes shapes; results of more elements are refused."""

LARGEST_FLOAT32 = float(np.finfo(np.float32).max)


def add(node: Node) -> Value:
    """With broadcasting; of two computed tensors or one and a constant; of integers that cannot wrap around."""
    return _binary(node, accel.add, operator.add)


def sub(node: Node) -> Value:
    """With broadcasting; of two computed tensors or one and a constant; of integers that cannot wrap around."""
    return _binary(node, accel.sub, operator.sub)


def mul(node: Node) -> Value:
    """With broadcasting; of two computed tensors or one and a constant; of integers that cannot wrap around."""
    return _binary(node, accel.mul, operator.mul)


def div(node: Node) -> Value:
    """By a constant without zeros, with broadcasting; or of what one quantised tensor makes by what it makes."""
    if not isinstance(node.value(1), Constant | QuantisedConstant):
        return _by_computed(node)
    if 0 in node.array(1, "divisor"):
        raise Problem(f"divisor ('{node.proto.input[1]}') holds 0")
    return _binary(node, accel.div, _divide, keeps_integers=False)


def _by_computed(node: Node) -> Value:
    """A number by a tensor is a multiple of its reciprocal; others are an expression, whose quantiser makes a table."""
    if not isinstance(node.value(0), Constant | QuantisedConstant):
        return _binary(node, accel.div, _divide, keeps_integers=False)
    x = node.tensor(1)
    inverse = node.emit(accel.unary, x.shape, x.value, "reciprocal")
    shape = np.broadcast_shapes(node.value(0).shape, x.shape)
    return node.emit(accel.mul, shape, inverse.value, node.tensor(0).value)


def floor(node: Node) -> Value:
    """With bounds after it (Clip, or Max and Min), this is the rounding of integer arithmetic."""
    if integers.holds(value := node.value(0)):
        return value
    return Rounded(node.tensor(0), ROUNDINGS["Floor"], node.location)


def round_(node: Node) -> Value:
    """With bounds after it (Clip, or Max and Min), this is a rounding of integer arithmetic."""
    if integers.holds(value := node.value(0)):
        return value
    return Rounded(node.tensor(0), ROUNDINGS["Round"], node.location)


ROUNDINGS = {"Floor": "floor", "Round": "half_even"}


def clip(node: Node) -> Value:
    """Between constant bounds, or only one."""
    return _clamped(node, *bounds(node))


def maximum(node: Node) -> Value:
    """Of any number of tensors, with broadcasting, and constants."""
    return _extreme(node, accel.maximum)


def minimum(node: Node) -> Value:
    """Of any number of tensors, with broadcasting, and constants."""
    return _extreme(node, accel.minimum)


def _extreme(node: Node, op: Callable[..., ir.Value]) -> Value:
    """With numbers it is a bound, which may end a rounding; else tensors are compared, one after the other."""
    places = range(len(node))
    computed = [index for index in places if not node.is_constant(index)]
    if len(computed) == 1 and all(node.value(i).shape in ((), (1,)) for i in places if i not in computed):
        return _clamped(node, *bounds(node))
    first, *others = [node.tensor(index) for index in places]
    for other in others:
        try:
            shape = np.broadcast_shapes(first.shape, other.shape)
        except ValueError:
            found = f"{shape_text(first.shape)} and {shape_text(other.shape)}"
            raise Problem(f"inputs have shapes {found}, which do not broadcast") from None
        grid = first.grid if first.grid == other.grid else None
        first = node.emit(op, shape, first.value, other.value, grid=grid)
    return first


def relu(node: Node) -> Value:
    """On any shape."""
    return _clamped(node, *bounds(node))


BOUNDS = frozenset(("Clip", "Max", "Min", "Relu"))
"""Operators that clamp their one computed input."""


def bounds(node: Node) -> tuple[int, float, float]:
    """Return which input a node of BOUNDS clamps, and between which numbers; either can be infinite."""
    kind = node.proto.op_type
    if kind == "Relu":
        return 0, 0.0, math.inf
    if kind == "Clip":
        given = (node.bound(index, name) for index, name in ((1, "min"), (2, "max")))
        limits = (-math.inf, math.inf)
        # Exporters write the largest float where there is no bound.
        low, high = (
            none if bound is None or abs(bound) >= LARGEST_FLOAT32 else bound
            for bound, none in zip(given, limits, strict=True)
        )
        if not low <= high:
            raise Problem(f"min is {low:g}, expected at most max, which is {high:g}")
        return 0, low, high
    computed = [index for index in range(len(node)) if not node.is_constant(index)]
    if len(computed) != 1:
        raise Problem(f"{len(computed)} of its {len(node)} inputs are computed, expected one, and numbers as bounds")
    numbers = [node.number(index, f"input {index}") for index in range(len(node)) if index not in computed]
    if any(math.isnan(number) for number in numbers):
        raise Problem(f"bounds are {numbers}, expected numbers")
    if kind == "Max":
        return computed[0], max(numbers, default=-math.inf), math.inf
    return computed[0], -math.inf, min(numbers, default=math.inf)


def cast(node: Node) -> Value:
    """Between float32 and integers: of constants, of integer-valued floats, and of stored integers to float32."""
    number = node.attribute("to")
    node.ignore("saturate", "round_mode")  # they concern floats of 8 bits
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(number))
    except KeyError:
        raise Problem(f"to is {number}, which is no element type") from None
    value = node.value(0)
    if isinstance(value, Constant):
        return _cast_constant(value, dtype)
    if dtype == np.float32:
        if isinstance(value, Integers):
            return value.numbers
        x = node.any_tensor(0)
        return as_numbers(x) if x.stored else x
    is_bounded = value.bounded if isinstance(value, Rounded) else isinstance(value, Integers) or value.stored
    if dtype == np.int64 and (is_bounded or (isinstance(value, Tensor) and value.integral)):
        dtype = np.dtype(np.int32)  # what is known to be integers has at most 32 bits
    if dtype not in q.STORAGES.values():
        raise Problem(f"to is {dtype}, expected {choices_text(['float32', *map(str, q.STORAGES.values())])}")
    if isinstance(value, Rounded) and value.dtype:
        raise Problem(f"makes {dtype} of {value.dtype} that may be larger, which wrap around; Clip them before it")
    if isinstance(value, Rounded):
        limits = np.iinfo(dtype)
        value = settle(value.clamped(float(limits.min), float(limits.max), node.location))
        return stored_integers(value, dtype)
    limits = np.iinfo(dtype)
    if isinstance(value, Integers):
        if value.dtype == dtype:
            return value
        if limits.bits < 32 and not limits.min <= value.lowest <= value.highest <= limits.max:
            raise Problem(f"makes {dtype} of {value.dtype} that may be larger, which wrap around; Clip them before it")
        x = value.numbers
    else:
        x = node.any_tensor(0)
    if x.stored:
        x = as_numbers(x)
    if not x.integral:
        raise Problem(f"makes {dtype} of real numbers, expected Floor, Round or QuantizeLinear before it")
    if x.quantised and x.quantisation.scales == (1.0,):
        own = x.quantisation
        lowest, highest = (end - own.zero_point for end in (own.lowest, own.highest))
        if lowest < limits.min or limits.max < highest:
            raise Problem(
                f"makes {dtype} of integers from {lowest:,} to {highest:,}, which wrap around; Clip them before it"
            )
        grid = q.integers(dtype, lowest, highest)
        return Tensor(quantise(x, grid).value, grid, stored=True)
    return stored_integers(x, dtype)


def _cast_constant(constant: Constant, dtype: np.dtype) -> Constant:
    """Return an array in another type, if the type holds its numbers; fractions are cut off as ONNX says."""
    array = constant.array
    if dtype.kind in "iu" and array.dtype.kind == "f":
        check_finite(constant)
        array = np.trunc(array)
    if dtype.kind in "iu" and array.size:
        limits, lowest, highest = np.iinfo(dtype), array.min(), array.max()
        if lowest < limits.min or highest > limits.max:
            raise Problem(f"constant '{constant.name}' holds {lowest:g} to {highest:g}, which {dtype} does not")
    return replace(constant, array=array.astype(dtype))


def sigmoid(node: Node) -> Tensor:
    """On any shape."""
    x = node.tensor(0)
    return node.emit(accel.sigmoid, x.shape, x.value)


def softmax(node: Node) -> Tensor:
    """Along any one axis; before opset 13, from an axis to the last."""
    x = node.tensor(0)
    rank = len(x.shape)
    if node.opset >= 13:
        return node.emit(accel.softmax, x.shape, x.value, axis_of(node.attribute("axis", -1), rank))
    axis = axis_of(node.attribute("axis", 1), rank)
    if math.prod(x.shape[axis:]) == x.shape[axis]:
        return node.emit(accel.softmax, x.shape, x.value, axis)
    rows = (math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))
    joined = node.emit_move(accel.reshape, rows, [x], x.value)
    parts = node.emit(accel.softmax, rows, joined.value, 1)
    return node.emit_move(accel.reshape, x.shape, [parts], parts.value)


def _clamped(node: Node, index: int, low: float, high: float) -> Value:
    """Return input `index` between two bounds, either of which can be infinite."""
    value = node.value(index)
    if isinstance(value, Constant):
        lowest, highest = (bound if math.isfinite(bound) else None for bound in (low, high))
        if (lowest, highest) == (None, None):
            return value
        return replace(value, array=np.clip(value.array, lowest, highest).astype(value.array.dtype))
    if isinstance(value, Tensor) and value.stored:
        return _clamped_storage(value, low, high)
    if isinstance(value, Integers):
        x = value.numbers
        finite = max(low, -LARGEST_FLOAT32), min(high, LARGEST_FLOAT32)
        ends = [min(max(end, low), high) for end in (value.lowest, value.highest)]
        clamped = node.emit(accel.clamp, x.shape, x.value, *finite, grid=q.ACCUMULATOR)
        return Integers(clamped, value.dtype, *ends)
    whole = all(math.isinf(bound) or bound.is_integer() for bound in map(float, (low, high)))
    if isinstance(value, Rounded) and whole:
        rounded = value.clamped(low, high, node.location)
        if not rounded.bounded:
            return rounded
        numbers = settle(rounded)
        return Integers(numbers, value.dtype, *rounded.ends) if value.dtype else numbers
    x = node.tensor(index)
    if (low, high) == (-math.inf, math.inf):
        return x
    if (low, high) == (0, math.inf):
        return node.emit(accel.relu, x.shape, x.value, grid=x.grid if x.grid and q.holds_zero(x.grid) else None)
    grid = q.ACCUMULATOR if x.integral and whole else None
    finite = max(low, -LARGEST_FLOAT32), min(high, LARGEST_FLOAT32)
    return node.emit(accel.clamp, x.shape, x.value, *finite, grid=grid)


def _clamped_storage(x: Tensor, low: float, high: float) -> Tensor:
    """Return stored integers between bounds, as Brevitas writes it: a narrower range of the same storage."""
    lowest, highest = (int(min(max(bound, low), high)) for bound in (x.quantisation.lowest, x.quantisation.highest))
    if lowest >= highest:
        raise Problem(f"clamps to the one value {lowest}, expected a range")
    grid = replace(x.quantisation, lowest=lowest, highest=highest)
    return Tensor(quantise(Tensor(x.value, x.grid), grid).value, grid, stored=True)


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
    if any(integers.holds(node.value(index)) for index in (0, 1)):
        return integers.combined(node, op, shape) if keeps_integers else integers.divided(node, shape)
    a, b = node.tensor(0), node.tensor(1)
    grid = q.ACCUMULATOR if keeps_integers and a.integral and b.integral else _rescaled(node, a)
    return node.emit(op, shape, a.value, b.value, grid=grid)


def _rescaled(node: Node, a: Tensor) -> Quantisation | None:
    """Return what can store `a` times or over one positive number: the same integers with another scale."""
    value, kind = node.value(1), node.proto.op_type
    if a.grid is None or kind not in ("Mul", "Div") or not isinstance(value, Constant) or value.array.size != 1:
        return None
    number = float(value.array.reshape(()))
    if not (math.isfinite(number) and number > 0):
        return None
    factor = Fraction(number)
    return a.grid.scaled([factor if kind == "Mul" else 1 / factor], None)


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Divide integers as ONNX does: towards zero."""
    return (np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))).astype(a.dtype)
