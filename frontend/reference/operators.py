"""The meaning of each ONNX operator, on exact real numbers.

An operand is a `Real` where the graph says float, and an array of integers elsewhere (quantised storage,
shapes, axes). An operand left out is None. Each function takes the node and its operands, and returns the
result.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import reduce

import ml_dtypes
import numpy as np
import onnx

from htvm.dialects.semantics import integers, real, transcendental
from htvm.dialects.semantics.real import Real
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
    """A list is a row on the left, and a column on the right."""
    left = a if a.ndim > 1 else a.reshape([1, *a.shape])
    right = b if b.ndim > 1 else b.reshape([*b.shape, 1])
    product = real.matmul(left, right)
    rows = product.shape[-2:-1] if a.ndim > 1 else ()
    columns = product.shape[-1:] if b.ndim > 1 else ()
    return product.reshape([*product.shape[:-2], *rows, *columns])


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
def maximum(node: Node, *xs: Value) -> Value:
    return reduce(real.maximum if isinstance(xs[0], Real) else np.maximum, xs)


@operator("Min")
def minimum(node: Node, *xs: Value) -> Value:
    if not isinstance(xs[0], Real):
        return reduce(np.minimum, xs)
    return -reduce(real.maximum, [-x for x in xs])


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


# Windows and reductions


@operator("AveragePool")
def average_pool(node: Node, x: Real) -> Real:
    include_pad = bool(node.get("count_include_pad", 0))
    kernel, strides, pads, dilations = _window(node, x)
    stated = window_pads(node, x.shape[2:], kernel, strides, dilations)
    if include_pad and list(stated) != list(pads):
        raise ValueError("counts padding with ceil_mode 1, where windows do not come out even")
    return real.window_mean(x, kernel, strides, pads, dilations, count_include_pad=include_pad)


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
def global_max_pool(node: Node, x: Value) -> Value:
    return _largest(x, range(2, x.ndim), keepdims=True)


@operator("ReduceMax")
def reduce_max(node: Node, x: Value, axes: np.ndarray | None = None) -> Value:
    return _largest(x, _axes(node, x, axes), bool(node.get("keepdims", 1)))


@operator("ReduceMin")
def reduce_min(node: Node, x: Value, axes: np.ndarray | None = None) -> Value:
    if not isinstance(x, Real):
        return x.min(tuple(_axes(node, x, axes)), keepdims=bool(node.get("keepdims", 1)))
    return -_largest(-x, _axes(node, x, axes), bool(node.get("keepdims", 1)))


def _largest(x: Value, axes: Sequence[int], keepdims: bool) -> Value:
    if not isinstance(x, Real):
        return x.max(tuple(axes), keepdims=keepdims)
    steps, unit = x.uniform()
    return Real.of_integers(steps.max(tuple(axes), keepdims=keepdims), unit)


@operator("ArgMax")
def argmax(node: Node, x: Value) -> np.ndarray:
    return _argmax(node, x.uniform()[0] if isinstance(x, Real) else x.astype(np.int64))


@operator("ArgMin")
def argmin(node: Node, x: Value) -> np.ndarray:
    return _argmax(node, -(x.uniform()[0] if isinstance(x, Real) else x.astype(np.int64)))


def _argmax(node: Node, x: np.ndarray) -> np.ndarray:
    axis, keepdims = node.get("axis", 0), bool(node.get("keepdims", 1))
    if not node.get("select_last_index", 0):
        return x.argmax(axis, keepdims=keepdims).astype(np.int64)
    return (x.shape[axis] - 1 - np.flip(x, axis).argmax(axis, keepdims=keepdims)).astype(np.int64)


@operator("ReduceSum")
def reduce_sum(node: Node, x: Real, axes: np.ndarray | None = None) -> Real:
    return real.axis_sum(x, _axes(node, x, axes), bool(node.get("keepdims", 1)))


@operator("ReduceMean")
def reduce_mean(node: Node, x: Real, axes: np.ndarray | None = None) -> Real:
    return _mean(x, _axes(node, x, axes), bool(node.get("keepdims", 1)))


@operator("LayerNormalization")
def layer_normalization(node: Node, x: Real, scale: Real | None = None, bias: Real | None = None) -> Real:
    axis = node.get("axis", -1) % x.ndim
    count = math.prod(x.shape[axis:])
    rows = x.reshape([math.prod(x.shape[:axis]), count])
    factors = Real.of_integers(np.ones(x.shape[axis:], np.int64)) if scale is None else scale
    spread = factors + Real.of_integers(np.zeros(x.shape[axis:], np.int64))
    epsilon = Fraction(float(np.float32(node.get("epsilon", 1e-5))))
    normal = transcendental.layer_norm(rows, spread.reshape([count]), epsilon).reshape(x.shape)
    return normal if bias is None else normal + bias


def _mean(x: Real, axes: Sequence[int], keepdims: bool) -> Real:
    count = math.prod(x.shape[axis] for axis in axes)
    return real.axis_sum(x, axes, keepdims) / Real.of_integers(np.array(count))


def _axes(node: Node, x: Real, axes: np.ndarray | None) -> list[int]:
    """Return the axes to reduce: an operand in later opsets, an attribute before, all if neither is given."""
    stated = node.get("axes") if axes is None else axes.tolist()
    return stated or ([] if node.get("noop_with_empty_axes", 0) else list(range(x.ndim)))


def _window(node: Node, x: Value) -> tuple[Sequence[int], Sequence[int], Sequence[int], Sequence[int]]:
    """Return kernel, strides, pads and dilations of a pooling node.

    With ceil_mode pads are more at the end, such that a window that begins before the padding there is whole.
    """
    kernel = node.get("kernel_shape")
    strides, dilations = (node.get(name, [1] * len(kernel)) for name in ("strides", "dilations"))
    pads, sizes = window_pads(node, x.shape[2:], kernel, strides, dilations), x.shape[2:]
    if node.get("ceil_mode", 0):
        for axis, size in enumerate(sizes):
            span, padded = dilations[axis] * (kernel[axis] - 1) + 1, size + pads[axis] + pads[axis + len(sizes)]
            windows = math.ceil((padded - span) / strides[axis]) + 1
            if (windows - 1) * strides[axis] >= size + pads[axis]:
                windows -= 1
            pads[axis + len(sizes)] = max(
                pads[axis + len(sizes)], (windows - 1) * strides[axis] + span - size - pads[axis]
            )
    return kernel, strides, pads, dilations


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
    stated, mode = node.get("pads") if pads is None else pads.tolist(), node.get("mode", "constant")
    low, high = [0] * x.ndim, [0] * x.ndim
    padded = range(x.ndim) if axes is None else axes.tolist()
    for axis, before, after in zip(padded, stated[: len(padded)], stated[len(padded) :], strict=True):
        low[axis], high[axis] = before, after
    x = x[tuple(slice(max(-a, 0), size - max(-b, 0)) for a, size, b in zip(low, x.shape, high, strict=True))]
    low, high = ([max(amount, 0) for amount in side] for side in (low, high))
    if mode != "constant":
        around = [np.pad(np.arange(n), (a, b), mode) for a, n, b in zip(low, x.shape, high, strict=True)]
        return x.take(around) if isinstance(x, Real) else x[np.ix_(*around)]
    if not isinstance(x, Real):
        return integers.pad(x, low, high, 0 if value is None else value.item())
    return x.pad(low, high, Fraction(node.get("value", 0.0)) if value is None else value.exact().item())


@operator("Slice")
def slice_(node: Node, x: Value, *operands: np.ndarray | None) -> Value:
    names = ("starts", "ends", "axes", "steps")
    stated = dict.fromkeys(names) | {name: node.get(name) for name in names}
    stated |= {name: operand.tolist() for name, operand in zip(names, operands, strict=False) if operand is not None}
    count = len(stated["starts"])
    rows = (stated["axes"] or range(count), stated["starts"], stated["ends"], stated["steps"] or [1] * count)
    chosen: list[np.ndarray | None] = [None] * x.ndim
    for axis, start, end, step in zip(*rows, strict=True):
        chosen[axis] = np.arange(x.shape[axis])[start:end:step]
    return taken(x, chosen)


def taken(x: Value, chosen: Sequence[np.ndarray | None]) -> Value:
    """Return the elements at the indices that are given for each axis; None is the whole axis."""
    if isinstance(x, Real):
        return x.take(chosen)
    return x[np.ix_(*(np.arange(n) if each is None else each for n, each in zip(x.shape, chosen, strict=True)))]


@operator("Split")
def split(node: Node, x: Value, lengths: np.ndarray | None = None) -> list[Value]:
    axis, count = node.get("axis", 0) % x.ndim, len(node.outputs)
    stated = node.get("split") if lengths is None else lengths.tolist()
    part = math.ceil(x.shape[axis] / count)
    ends = np.cumsum(stated or [part] * count).tolist()
    places = np.split(np.arange(x.shape[axis]), ends[:-1])
    return [taken(x, [each if index == axis else None for index in range(x.ndim)]) for each in places]


@operator("Gather")
def gather(node: Node, x: Value, indices: np.ndarray) -> Value:
    axis = node.get("axis", 0) % x.ndim
    flat = indices.reshape(-1) % x.shape[axis]
    chosen = taken(x, [flat if index == axis else None for index in range(x.ndim)])
    return chosen.reshape([*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]])


@operator("Expand")
def expand(node: Node, x: Value, shape: np.ndarray) -> Value:
    if not isinstance(x, Real):
        return x * np.ones(shape.tolist(), x.dtype)
    return x + Real.of_integers(np.zeros(shape.tolist(), np.int64))


@operator("Tile")
def tile(node: Node, x: Value, repeats: np.ndarray) -> Value:
    return taken(x, [np.tile(np.arange(n), count) for n, count in zip(x.shape, repeats.tolist(), strict=True)])


@operator("DepthToSpace")
def depth_to_space(node: Node, x: Value) -> Value:
    size, (batch, depth, height, width) = node.get("blocksize"), x.shape
    channels = depth // size**2
    if node.get("mode", "DCR") == "DCR":
        moved = x.reshape([batch, size, size, channels, height, width]).transpose([0, 3, 4, 1, 5, 2])
    else:
        moved = x.reshape([batch, channels, size, size, height, width]).transpose([0, 1, 4, 2, 5, 3])
    return moved.reshape([batch, channels, height * size, width * size])


@operator("SpaceToDepth")
def space_to_depth(node: Node, x: Value) -> Value:
    size, (batch, channels, height, width) = node.get("blocksize"), x.shape
    apart = x.reshape([batch, channels, height // size, size, width // size, size])
    moved = apart.transpose([0, 3, 5, 1, 2, 4] if node.get("mode", "DCR") == "DCR" else [0, 1, 3, 5, 2, 4])
    return moved.reshape([batch, channels * size**2, height // size, width // size])


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
    return value_of(np.full(shape.tolist(), number[0], number.dtype))


@operator("Range")
def range_(node: Node, start: np.ndarray, limit: np.ndarray, delta: np.ndarray) -> np.ndarray:
    return np.arange(start.item(), limit.item(), delta.item(), start.dtype)


@operator("Ceil")
def ceil(node: Node, x: Real) -> Real:
    return -(-x).floor()


@operator("Equal")
def equal(node: Node, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a == b


@operator("Where")
def where(node: Node, condition: np.ndarray, a: Value, b: Value) -> Value:
    if isinstance(a, Real):
        chosen = Real.of_integers(condition.astype(np.int64))
        return a * chosen + b * (Real.of_integers(np.ones([1] * condition.ndim, np.int64)) - chosen)
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
