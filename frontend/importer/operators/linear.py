"""Operators that multiply by constant weights: Conv, Gemm, MatMul."""

from dataclasses import replace

import numpy as np

from htvm.dialects import accel
from htvm.dialects.quantisation import Quantisation
from htvm.importer.errors import Problem, shape_text
from htvm.importer.node import Node
from htvm.importer.operators.windows import as_map, expect_map, from_map, windows
from htvm.importer.quantisation import ACCUMULATOR
from htvm.importer.values import (
    Constant,
    QuantisedConstant,
    Tensor,
    as_bias,
    as_integers,
    check_finite,
    emit_quantised,
    holds_integers,
)

MAX_CHANNELS = 8_192
"""Of a layer's output."""


def conv(node: Node) -> Tensor:
    """One- or two-dimensional; any stride, dilation, group and padding.

    Weights are quantised per tensor or per output channel, float32 integers, or computed; the bias is a constant.
    """
    groups = node.attribute("group", 1)
    kernel_shape = node.attribute("kernel_shape")
    weights, shape = _kernels(node)
    out_channels, group_channels, *kernel = shape
    _check_channels(out_channels)
    if kernel_shape not in (None, kernel):
        raise Problem(f"kernel_shape is {kernel_shape}, the weights have {kernel}")
    x = node.tensor(0)
    if len(x.shape) != len(shape):
        raise Problem(f"input has rank {len(x.shape)}, the weights have {len(shape)}")
    if groups < 1 or x.shape[1] != groups * group_channels or out_channels % groups:
        found = f"weights {shape_text(shape)} in {groups} groups"
        raise Problem(f"{found} do not fit the input's {x.shape[1]} channels")
    slide = windows(node, x.shape[2:], kernel)
    image = as_map(node, x)
    bias = _bias(node, out_channels, x.integral and weights.integral)
    sums = node.emit(
        accel.conv2d,
        (x.shape[0], out_channels, *slide.places),
        image.value,
        weights.value,
        slide.strides,
        slide.pads,
        slide.dilations,
        groups,
        bias=bias.value if bias else None,
        grid=_grid_of_sums(x, weights, bias),
    )
    return from_map(node, sums, len(x.shape))


def gemm(node: Node) -> Tensor:
    """A times constant B plus constant C; transA 0, alpha and beta 1.

    B is quantised per tensor or per output, or float32 integers.
    """
    node.expect("transA", 0)
    node.expect("alpha", 1.0)
    node.expect("beta", 1.0)
    matrix = _matrix(node, transpose=not node.attribute("transB", 0))
    x = node.tensor(0)
    if len(x.shape) != 2:
        raise Problem(f"input has rank {len(x.shape)}, expected 2")
    return _dense(node, x, matrix)


def matmul(node: Node) -> Tensor:
    """An input of rank 2 or more times a constant matrix.

    The matrix is quantised per tensor or per column, or float32 integers.
    """
    matrix = _matrix(node, transpose=True)
    x = node.tensor(0)
    if len(x.shape) < 2:
        raise Problem(f"input has rank {len(x.shape)}, expected at least 2")
    return _dense(node, x, matrix)


def _dense(node: Node, x: Tensor, matrix: QuantisedConstant) -> Tensor:
    """Write the product of x [.., C] with `matrix` [K, C], and a bias if the node has one."""
    outputs, inputs = matrix.shape
    if x.shape[-1] != inputs:
        raise Problem(f"input has {x.shape[-1]} numbers on its last axis, the weights take {inputs}")
    weights = emit_quantised(matrix)
    bias = _bias(node, outputs, x.integral and weights.integral)
    return node.emit(
        accel.dense,
        (*x.shape[:-1], outputs),
        x.value,
        weights.value,
        bias=bias.value if bias else None,
        grid=_grid_of_sums(x, weights, bias),
    )


def _matrix(node: Node, transpose: bool) -> QuantisedConstant:
    """Return weights [K, C], of a node that has them transposed or not."""
    value = _weights(node, channel_axis=1 if transpose else 0)
    if len(value.shape) != 2:
        raise Problem(f"weights have shape {shape_text(value.shape)}, expected a matrix")
    _check_channels(value.shape[1 if transpose else 0])
    return value.transposed((1, 0)) if transpose else value


def _kernels(node: Node) -> tuple[Tensor, tuple[int, ...]]:
    """Return the weights of a convolution [K, C / groups, R, S], and the shape that they have in ONNX."""
    if not isinstance(node.value(1), Constant | QuantisedConstant):
        computed = node.tensor(1)
        expect_map(computed.shape, "weights")
        return as_map(node, computed), computed.shape
    value = _weights(node)
    expect_map(value.shape, "weights")
    *channels, columns = value.shape
    in_two = value if len(value.shape) == 4 else value.reshaped((*channels, 1, columns))
    return emit_quantised(in_two), value.shape


def _weights(node: Node, channel_axis: int = 0) -> QuantisedConstant:
    """Return the weights, whose output channels are along `channel_axis`."""
    name, value = node.proto.input[1], node.value(1)
    if isinstance(value, Constant):
        value = _integer_weights(value)
    if not isinstance(value, QuantisedConstant):
        raise Problem(f"weights ('{name}') are computed, expected a constant")
    axis = value.quantisation.axis
    if axis not in (None, channel_axis):
        found = f"weights ('{name}') are quantised along axis {axis}"
        raise Problem(f"{found}, expected {channel_axis} (output channels)")
    return value


def _check_channels(count: int) -> None:
    """Raise Problem on more output channels than a layer of a microcontroller has: each has constants of its own."""
    if count > MAX_CHANNELS:
        raise Problem(f"has {count:,} output channels, expected at most {MAX_CHANNELS:,}")


def _integer_weights(constant: Constant) -> QuantisedConstant:
    """Return float weights that are integers as such."""
    if constant.array.dtype != np.float32:
        raise Problem(f"weights ('{constant.name}') are {constant.array.dtype}, expected float32")
    check_finite(constant)
    if not holds_integers(constant.array):
        example = constant.array[np.floor(constant.array) != constant.array].flat[0]
        found = f"weights ('{constant.name}') are real numbers such as {example:g}"
        raise Problem(f"{found}, expected integers, or DequantizeLinear of integers: the model is not quantised")
    return as_integers(constant, ("i8", "i16", "i32"))


def _bias(node: Node, channels: int, integral: bool) -> Tensor | None:
    """Return the bias [channels]. integral: the products are integers, so a bias of such is stored as integers."""
    if not node.has(2):
        return None
    value = node.value(2)
    if isinstance(value, Constant):
        value = replace(value, array=_one_per_channel(value.array, channels))
        return emit_quantised(as_bias(value, integral))
    if isinstance(value, QuantisedConstant):
        stored = _one_per_channel(value.stored, channels)
        one_scale = value.quantisation.axis is None
        return emit_quantised(replace(value, stored=stored) if one_scale else value.reshaped(stored.shape))
    raise Problem(f"bias ('{node.proto.input[2]}') is computed, expected a constant")


def _one_per_channel(bias: np.ndarray, channels: int) -> np.ndarray:
    """Return a bias, which Gemm may broadcast, as one number per channel."""
    if bias.size not in (1, channels) or (bias.size > 1 and bias.shape[-1] != channels):
        raise Problem(f"bias has shape {shape_text(bias.shape)}, expected {channels} (output channels)")
    return np.array(np.broadcast_to(bias.reshape(-1), channels))


def _grid_of_sums(*terms: Tensor | None) -> Quantisation | None:
    """Return what can store sums of products of these tensors."""
    return ACCUMULATOR if all(term.integral for term in terms if term) else None
