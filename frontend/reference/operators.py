"""The meaning of each ONNX operator, on exact real numbers.

An operand is a `Real` where the graph says float, and an array of integers elsewhere (quantised storage,
shapes, axes). An operand left out is None. Each function takes the node and its operands, and returns the
result.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import ml_dtypes
import numpy as np
import onnx

from htvm.dialects import integers, real
from htvm.dialects.real import Real
from htvm.reference.node import Node

Value = Real | np.ndarray
Operator = Callable[..., Value]

OPERATORS: dict[str, Operator] = {}


def operator(op_type: str) -> Callable[[Operator], Operator]:
    """Register the meaning of an ONNX operator."""

    def register(function: Operator) -> Operator:
        OPERATORS[op_type] = function
        return function

    return register


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


@operator("Conv")
def conv(node: Node, x: Real, w: Real, bias: Real | None = None) -> Real:
    rank = x.ndim - 2
    strides, dilations = node.get("strides", [1] * rank), node.get("dilations", [1] * rank)
    pads = window_pads(node, x.shape[2:], w.shape[2:], strides, dilations)
    total = real.conv2d(x, w, strides, pads, dilations, node.get("group", 1))
    return total if bias is None else total + bias.reshape([1, -1] + [1] * rank)


@operator("Gemm")
def gemm(node: Node, a: Real, b: Real, c: Real | None = None) -> Real:
    a, b = (x.transpose([1, 0]) if node.get(flag, 0) else x for x, flag in ((a, "transA"), (b, "transB")))
    product = real.matmul(a, b) * Real.of_floats(node.get("alpha", 1.0))
    return product if c is None else product + c * Real.of_floats(node.get("beta", 1.0))


@operator("MatMul")
def matmul(node: Node, a: Real, b: Real) -> Real:
    return real.matmul(a, b)


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
    if isinstance(a, Real):
        return a / b
    return (np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))).astype(a.dtype)


@operator("Floor")
def floor(node: Node, x: Real) -> Real:
    return x.floor()


@operator("Round")
def round_(node: Node, x: Real) -> Real:
    return Real.of_integers(x.quantise(1, 0, -(2**62), 2**62))


@operator("Relu")
def relu(node: Node, x: Value) -> Value:
    return x.clamp(low=Fraction(0)) if isinstance(x, Real) else np.maximum(x, np.zeros((), x.dtype))


@operator("Clip")
def clip(node: Node, x: Value, low: Value | None = None, high: Value | None = None) -> Value:
    if not isinstance(x, Real):
        return x if low is None and high is None else np.clip(x, low, high)
    if node.version < 11:
        low, high = (Real.of_floats(node.get(name)) if node.get(name) is not None else None for name in ("min", "max"))
    return x.clamp(
        low=-math.inf if low is None else low.exact().item(),
        high=math.inf if high is None else high.exact().item(),
    )


@operator("Max")
def maximum(node: Node, *xs: Real) -> Real:
    x, bounds = _variable_and_bounds(xs)
    return x.clamp(low=max(bounds, default=-math.inf))


@operator("Min")
def minimum(node: Node, *xs: Real) -> Real:
    x, bounds = _variable_and_bounds(xs)
    return x.clamp(high=min(bounds, default=math.inf))


def _variable_and_bounds(xs: Sequence[Real]) -> tuple[Real, list[Fraction]]:
    """Return the largest operand, and the others, which must be single numbers."""
    x = max(xs, key=lambda operand: math.prod(operand.shape))
    others = [operand for operand in xs if operand is not x]
    for other in others:
        if math.prod(other.shape) != 1:
            raise ValueError(f"two operands are tensors, of shapes {x.shape} and {other.shape}, expected one")
    return x, [other.exact().item() for other in others]


@operator("Sigmoid")
def sigmoid(node: Node, x: Real) -> Real:
    return real.sigmoid(x)


@operator("Tanh")
def tanh(node: Node, x: Real) -> Real:
    return real.tanh(x)


@operator("Softmax")
def softmax(node: Node, x: Real) -> Real:
    if node.version >= 13:
        return real.softmax(x, node.get("axis", -1))
    axis = node.get("axis", 1) % x.ndim
    rows = x.reshape([math.prod(x.shape[:axis]), math.prod(x.shape[axis:])])
    return real.softmax(rows, 1).reshape(x.shape)


# Windows and reductions


@operator("AveragePool")
def average_pool(node: Node, x: Real) -> Real:
    include_pad = bool(node.get("count_include_pad", 0))
    return real.window_mean(x, *_window(node, x), count_include_pad=include_pad)


@operator("MaxPool")
def max_pool(node: Node, x: Value) -> Value:
    if isinstance(x, Real):
        return real.window_max(x, *_window(node, x))
    largest = real.window_max(Real.of_integers(x), *_window(node, x))
    return largest.quantise(1, 0, -(2**62), 2**62).astype(x.dtype)


@operator("GlobalAveragePool")
def global_average_pool(node: Node, x: Real) -> Real:
    return _mean(x, range(2, x.ndim), keepdims=True)


@operator("GlobalMaxPool")
def global_max_pool(node: Node, x: Real) -> Real:
    rank = x.ndim - 2
    return real.window_max(x, x.shape[2:], [1] * rank, [0] * 2 * rank)


@operator("ReduceSum")
def reduce_sum(node: Node, x: Real, axes: np.ndarray | None = None) -> Real:
    return real.axis_sum(x, _axes(node, x, axes), bool(node.get("keepdims", 1)))


@operator("ReduceMean")
def reduce_mean(node: Node, x: Real, axes: np.ndarray | None = None) -> Real:
    return _mean(x, _axes(node, x, axes), bool(node.get("keepdims", 1)))


def _mean(x: Real, axes: Sequence[int], keepdims: bool) -> Real:
    count = math.prod(x.shape[axis] for axis in axes)
    return real.axis_sum(x, axes, keepdims) / Real.of_integers(np.array(count))


def _axes(node: Node, x: Real, axes: np.ndarray | None) -> list[int]:
    """Return the axes to reduce: an operand in later opsets, an attribute before, all if neither is given."""
    stated = node.get("axes") if axes is None else axes.tolist()
    return stated or ([] if node.get("noop_with_empty_axes", 0) else list(range(x.ndim)))


def _window(node: Node, x: Real) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
    """Return kernel, strides and pads of a pooling node."""
    kernel = node.get("kernel_shape")
    node.require("ceil_mode", 0)
    node.require("dilations", [1] * len(kernel))
    strides = node.get("strides", [1] * len(kernel))
    return kernel, strides, window_pads(node, x.shape[2:], kernel, strides, [1] * len(kernel))


def window_pads(
    node: Node,
    extents: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> list[int]:
    """Return the elements to add before each axis, then after each: `pads`, or what `auto_pad` asks for."""
    mode = node.get("auto_pad", "NOTSET")
    if mode == "NOTSET":
        return list(node.get("pads", [0] * 2 * len(kernel)))
    if mode == "VALID":
        return [0] * 2 * len(kernel)
    missing = [
        max((math.ceil(extent / stride) - 1) * stride + dilation * (length - 1) + 1 - extent, 0)
        for extent, length, stride, dilation in zip(extents, kernel, strides, dilations, strict=True)
    ]
    fewer, more = [count // 2 for count in missing], [(count + 1) // 2 for count in missing]
    return fewer + more if mode == "SAME_UPPER" else more + fewer


# Shape


@operator("Concat")
def concat(node: Node, *parts: Value) -> Value:
    join = real.concat if isinstance(parts[0], Real) else np.concatenate
    return join(parts, node.get("axis"))


@operator("Pad")
def pad(
    node: Node,
    x: Value,
    pads: np.ndarray | None = None,
    value: Value | None = None,
    axes: np.ndarray | None = None,
) -> Value:
    node.require("mode", "constant")
    stated = node.get("pads") if pads is None else pads.tolist()
    low, high = [0] * x.ndim, [0] * x.ndim
    padded = range(x.ndim) if axes is None else axes.tolist()
    for axis, before, after in zip(padded, stated[: len(padded)], stated[len(padded) :], strict=True):
        low[axis], high[axis] = before, after
    if not isinstance(x, Real):
        return integers.pad(x, low, high, 0 if value is None else value.item())
    return x.pad(low, high, Fraction(node.get("value", 0.0)) if value is None else value.exact().item())


@operator("Slice")
def slice_(node: Node, x: Value, *operands: np.ndarray | None) -> Value:
    names = ("starts", "ends", "axes", "steps")
    stated = dict.fromkeys(names) | {name: node.get(name) for name in names}
    stated |= {name: operand.tolist() for name, operand in zip(names, operands, strict=False) if operand is not None}
    count = len(stated["starts"])
    slices = [slice(None)] * x.ndim
    rows = (stated["axes"] or range(count), stated["starts"], stated["ends"], stated["steps"] or [1] * count)
    for axis, start, end, step in zip(*rows, strict=True):
        if step < 1:
            raise ValueError(f"a step is {step}, expected at least 1")
        slices[axis] = slice(start, end, step)
    return x[tuple(slices)]


@operator("Transpose")
def transpose(node: Node, x: Value) -> Value:
    return x.transpose(node.get("perm", list(range(x.ndim))[::-1]))


@operator("Reshape")
def reshape(node: Node, x: Value, shape: np.ndarray) -> Value:
    node.require("allowzero", 0)
    sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(shape.tolist())]
    return _reshaped(x, sizes)


@operator("Flatten")
def flatten(node: Node, x: Value) -> Value:
    axis = node.get("axis", 1)
    return _reshaped(x, [math.prod(x.shape[:axis]), math.prod(x.shape[axis:])])


@operator("Squeeze")
def squeeze(node: Node, x: Value, axes: np.ndarray | None = None) -> Value:
    stated = node.get("axes") if axes is None else axes.tolist()
    dropped = {axis % x.ndim for axis in stated or [i for i, size in enumerate(x.shape) if size == 1]}
    return _reshaped(x, [size for axis, size in enumerate(x.shape) if axis not in dropped])


@operator("Unsqueeze")
def unsqueeze(node: Node, x: Value, axes: np.ndarray | None = None) -> Value:
    stated = node.get("axes") if axes is None else axes.tolist()
    added = {axis % (x.ndim + len(stated)) for axis in stated}
    sizes = iter(x.shape)
    return _reshaped(x, [1 if axis in added else next(sizes) for axis in range(x.ndim + len(added))])


def _reshaped(x: Value, sizes: list[int]) -> Value:
    known = math.prod(size for size in sizes if size != -1)
    return x.reshape([math.prod(x.shape) // known if size == -1 else size for size in sizes])


# No change of value


@operator("Dropout")
@operator("Identity")
def identity(node: Node, x: Value, *_: Value) -> Value:
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
    """Return an array as operators want it: exact real numbers for floats."""
    return Real.of_floats(array) if array.dtype.kind == "f" else array
