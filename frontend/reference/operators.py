"""The meaning of each ONNX operator, on exact real numbers.

An operand is a `Real` where the graph says float, and an array of integers elsewhere (quantised storage,
shapes, axes). An operand left out is None. Each function takes the node and its operands, and returns the
result.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import reduce, wraps

import ml_dtypes
import numpy as np
import onnx

from htvm.dialects.semantics import real, transcendental
from htvm.dialects.semantics.real import Real
from htvm.reference.node import Node
from htvm.reference.registry import Value, operator
from htvm.reference.windows import window_pads

LARGEST = float(np.finfo(np.float32).max)
"""The bounds of Clip that has none."""

# Quantisation


@operator("DequantizeLinear")
def dequantize_linear(node: Node, x: np.ndarray, scale: Real, zero_point: np.ndarray | None = None) -> Real:
    zero_point = np.zeros((), np.int64) if zero_point is None else zero_point
    axis, block = node.get("axis", 1), node.get("block_size", 0)
    parameters = scale.exact(), zero_point.astype(np.int64)
    if block:
        spread = (np.repeat(p, block, axis).take(range(x.shape[axis]), axis) if p.ndim else p for p in parameters)
    else:
        spread = (along(parameter, axis, x.ndim) for parameter in parameters)
    return Real.of_storage(x, *spread)


@operator("QuantizeLinear")
def quantize_linear(node: Node, x: Real, scale: Real, zero_point: np.ndarray | None = None) -> np.ndarray:
    node.require("block_size", 0)
    if zero_point is None:
        stated = node.get("output_dtype", onnx.TensorProto.UINT8) or onnx.TensorProto.UINT8
        zero_point = np.zeros((), onnx.helper.tensor_dtype_to_np_dtype(stated))
    axis = node.get("axis", 1)
    steps = x.quantise(
        along(scale.exact(), axis, x.ndim),
        along(zero_point.astype(np.int64), axis, x.ndim),
        *limits(zero_point.dtype),
    )
    return steps.astype(zero_point.dtype)


def along(array: np.ndarray, axis: int, ndim: int) -> np.ndarray:
    """Shape a parameter, one number or one for each index of `axis`, to broadcast against `ndim` axes."""
    if array.size == 1:
        return array.reshape([1] * ndim)
    return array.reshape([-1 if index == axis % ndim else 1 for index in range(ndim)])


def limits(dtype: np.dtype) -> tuple[int, int]:
    """Return the smallest and the largest integer of a type, which may have less than 8 bits."""
    found = ml_dtypes.iinfo(dtype)
    return int(found.min), int(found.max)


# Linear layers


def or_of_integers(meaning: Callable[..., Real]) -> Callable[..., Value]:
    """Let a linear layer take integers too, with sums of int32: ONNX has it on floats alone, exporters do not."""

    @wraps(meaning)
    def on_any(node: Node, *operands: Value | None) -> Value:
        if isinstance(operands[0], Real):
            return meaning(node, *operands)
        numbers: list[Real | None] = []
        for operand in operands:
            if isinstance(operand, Real):
                raise ValueError("some of its operands are integers, others real numbers")
            numbers.append(None if operand is None else Real.of_integers(operand.astype(np.int64)))
        return sums(meaning(node, *numbers))

    return on_any


def sums(x: Real) -> np.ndarray:
    """Return integers as int32, which must hold them."""
    exact = x.quantise(1, 0, -(2**62), 2**62)
    if exact.size and (exact.min() < -(2**31) or exact.max() >= 2**31):
        raise ValueError(f"sums from {exact.min()} to {exact.max()} do not fit int32")
    return exact.astype(np.int32)


def conv(node: Node, x: Real, w: Real, bias: Real | None = None) -> Real:
    rank = x.ndim - 2
    strides, dilations = node.get("strides", [1] * rank), node.get("dilations", [1] * rank)
    pads = window_pads(node, x.shape[2:], w.shape[2:], strides, dilations)
    total = real.conv2d(x, w, strides, pads, dilations, node.get("group", 1))
    return total if bias is None else total + bias.reshape([1, -1] + [1] * rank)


def gemm(node: Node, a: Real, b: Real, c: Real | None = None) -> Real:
    a, b = (x.transpose([1, 0]) if node.get(flag, 0) else x for x, flag in ((a, "transA"), (b, "transB")))
    product = real.matmul(a, b) * Real.of_floats(node.get("alpha", 1.0))
    return product if c is None else product + c * Real.of_floats(node.get("beta", 1.0))


def matmul(node: Node, a: Real, b: Real) -> Real:
    """A list is a row on the left, and a column on the right."""
    left = a if a.ndim > 1 else a.reshape([1, *a.shape])
    right = b if b.ndim > 1 else b.reshape([*b.shape, 1])
    product = real.matmul(left, right)
    rows = product.shape[-2:-1] if a.ndim > 1 else ()
    columns = product.shape[-1:] if b.ndim > 1 else ()
    return product.reshape([*product.shape[:-2], *rows, *columns])


for name, meaning in (("Conv", conv), ("Gemm", gemm), ("MatMul", matmul)):
    operator(name)(or_of_integers(meaning))


# Arithmetic


@operator("Add")
def add(node: Node, a: Real, b: Real) -> Real:
    return a + b


@operator("Sub")
def sub(node: Node, a: Real, b: Real) -> Real:
    return a - b


@operator("Mul")
def mul(node: Node, a: Real, b: Real) -> Real:
    return a * b


@operator("Div")
def div(node: Node, a: Value, b: Value) -> Value:
    """Integers are divided towards zero."""
    if isinstance(a, Real) and isinstance(b, Real):
        return a / b
    if isinstance(a, Real) or isinstance(b, Real):
        raise ValueError("a real number and an integer are divided")
    return (np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))).astype(a.dtype)


@operator("Floor")
def floor(node: Node, x: Value) -> Value:
    return x.floor() if isinstance(x, Real) else x


@operator("Round")
def round_(node: Node, x: Value) -> Value:
    if not isinstance(x, Real):
        return x
    return Real.of_integers(x.quantise(1, 0, -(2**62), 2**62))


@operator("Relu")
def relu(node: Node, x: Value) -> Value:
    return x.clamp(low=Fraction(0)) if isinstance(x, Real) else np.maximum(x, np.zeros((), x.dtype))


@operator("Clip")
def clip(node: Node, x: Value, low: Value | None = None, high: Value | None = None) -> Value:
    if not isinstance(x, Real):
        if node.version < 11:
            numbers = Real.of_integers(x.astype(np.int64))
            ends = (Fraction(node.get(name, number)) for name, number in (("min", -LARGEST), ("max", LARGEST)))
            return numbers.clamp(*ends).quantise(1, 0, -(2**62), 2**62).astype(x.dtype)
        return x if low is None and high is None else np.clip(x, _array(low), _array(high))
    if node.version < 11:
        low, high = (Real.of_floats(node.get(name)) if node.get(name) is not None else None for name in ("min", "max"))
    return x.clamp(
        low=low.exact().item() if isinstance(low, Real) else -math.inf,
        high=high.exact().item() if isinstance(high, Real) else math.inf,
    )


def _array(bound: Value | None) -> np.ndarray | None:
    """Return a bound of integers. Raises ValueError on a real number."""
    if isinstance(bound, Real):
        raise ValueError("integers have a bound that is a real number")
    return bound


@operator("Max")
def maximum(node: Node, *xs: Value) -> Value:
    return _extreme(xs, real.maximum, np.maximum)


@operator("Min")
def minimum(node: Node, *xs: Value) -> Value:
    return _extreme(xs, lambda a, b: -real.maximum(-a, -b), np.minimum)


def _extreme(xs: Sequence[Value], of_reals: Callable[[Real, Real], Real], of_arrays: np.ufunc) -> Value:
    """Return the extreme of each elements, broadcasting. Raises ValueError on real numbers and integers at once."""
    reals, arrays = [x for x in xs if isinstance(x, Real)], [x for x in xs if isinstance(x, np.ndarray)]
    if reals and arrays:
        raise ValueError("real numbers and integers are compared")
    return reduce(of_reals, reals) if reals else reduce(lambda a, b: np.asarray(of_arrays(a, b)), arrays)


@operator("Sigmoid")
def sigmoid(node: Node, x: Real) -> Real:
    return transcendental.sigmoid(x)


@operator("Tanh")
def tanh(node: Node, x: Real) -> Real:
    return transcendental.tanh(x)


@operator("Softmax")
def softmax(node: Node, x: Real) -> Real:
    if node.version >= 13:
        return transcendental.softmax(x, node.get("axis", -1))
    axis = node.get("axis", 1) % x.ndim
    rows = x.reshape([math.prod(x.shape[:axis]), math.prod(x.shape[axis:])])
    return transcendental.softmax(rows, 1).reshape(x.shape)


# Arithmetic on shapes


@operator("Shape")
def shape_of(node: Node, x: Value) -> np.ndarray:
    return np.array(x.shape[node.get("start", 0) : node.get("end", x.ndim)], np.int64)


@operator("Size")
def size_of(node: Node, x: Value) -> np.ndarray:
    return np.array(math.prod(x.shape), np.int64)


@operator("ConstantOfShape")
def constant_of_shape(node: Node, shape: np.ndarray) -> Value:
    value = node.attributes.get("value")
    number = np.zeros(1, np.float32) if value is None else onnx.numpy_helper.to_array(value)
    return value_of(np.full([int(size) for size in shape], number[0], number.dtype))


@operator("Range")
def range_(node: Node, start: np.ndarray, limit: np.ndarray, delta: np.ndarray) -> np.ndarray:
    first, end, step = start.item(), limit.item(), delta.item()
    count = max(math.ceil((end - first) / step), 0)
    return np.array([first + index * step for index in range(count)], start.dtype)


@operator("Ceil")
def ceil(node: Node, x: Real) -> Real:
    return -(-x).floor()


@operator("Equal")
def equal(node: Node, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a == b


@operator("Where")
def where(node: Node, condition: np.ndarray, a: Value, b: Value) -> Value:
    if isinstance(a, Real) and isinstance(b, Real):
        chosen = Real.of_integers(condition.astype(np.int64))
        return a * chosen + b * (Real.of_integers(np.ones([1] * condition.ndim, np.int64)) - chosen)
    if isinstance(a, Real) or isinstance(b, Real):
        raise ValueError("a real number and an integer are alternatives")
    return np.where(condition, a, b)


# No change of value


@operator("Dropout")
def dropout(node: Node, x: Value, ratio: Real | None = None, training: np.ndarray | None = None) -> Value:
    if training is not None and training.any():
        raise ValueError("training_mode is true, expected false")
    return x


@operator("Identity")
def identity(node: Node, x: Value) -> Value:
    return x


@operator("Cast")
def cast(node: Node, x: Value) -> Value:
    """Integers to real numbers and back; a real number becomes the integer towards zero."""
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(node.get("to")))
    if dtype.kind == "f":
        return x if isinstance(x, Real) else Real.of_integers(x)
    if isinstance(x, Real):
        limits = np.iinfo(dtype)
        towards_zero = x.clamp(low=Fraction(0)).floor() - (-x).clamp(low=Fraction(0)).floor()
        x = towards_zero.quantise(1, 0, int(limits.min), int(limits.max))
    return x.astype(dtype)


@operator("Constant")
def constant(node: Node) -> Value:
    if "value" in node.attributes:
        return value_of(onnx.numpy_helper.to_array(node.attributes["value"]))
    (value,) = node.attributes.values()
    return value_of(np.array(value, np.float32 if isinstance(value, float) else np.int64))


def value_of(array: np.ndarray) -> Value:
    """Return an array as operators want it: exact real numbers for floats.

    An infinity, which some exporters write where there is no bound, becomes the largest float: no sum is beyond it.
    """
    if array.dtype.kind != "f":
        return array
    largest = np.finfo(array.dtype).max
    return Real.of_floats(np.clip(array, -largest, largest))
