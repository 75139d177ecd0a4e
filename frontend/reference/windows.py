"""The meaning of ONNX operators that look through windows, or along axes: pooling, reductions, normalisation."""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from htvm.dialects.semantics import real, transcendental
from htvm.dialects.semantics.real import Real
from htvm.reference.node import Node
from htvm.reference.registry import Value, operator


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


def _axes(node: Node, x: Value, axes: np.ndarray | None) -> list[int]:
    """Return the axes to reduce: an operand in later opsets, an attribute before, all if neither is given."""
    stated: list[int] | None = node.get("axes") if axes is None else axes.tolist()
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
