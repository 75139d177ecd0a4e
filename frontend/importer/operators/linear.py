"""Operators that multiply by constant weights: Conv, Gemm, MatMul."""

from dataclasses import replace

import numpy as np

from htvm.dialects import accel
from htvm.importer.errors import Problem, shape_text
from htvm.importer.node import Node
from htvm.importer.operators.windows import expect_map, windows
from htvm.importer.quantisation import ACCUMULATOR, Quantisation
from htvm.importer.values import (
    Constant,
    QuantisedConstant,
    Tensor,
    check_finite,
    emit_quantised,
    emit_real,
    holds_integers,
    quantised_integers,
)


def conv(node: Node) -> Tensor:
    """Two-dimensional; any stride, dilation, group and padding. Constant weights, quantised per tensor or per output
    channel, or float32 integers; constant bias or none.
    """
    groups = node.attribute("group", 1)
    kernel_shape = node.attribute("kernel_shape")
    kernels = _weights(node)
    expect_map(node, kernels.shape, "weights")
    out_channels, group_channels, *kernel = kernels.shape
    if kernel_shape not in (None, kernel):
        raise Problem(f"kernel_shape is {kernel_shape}, the weights have {kernel}")
    x = node.tensor(0)
    expect_map(node, x.shape)
    batch, in_channels, *sizes = x.shape
    if groups < 1 or in_channels != groups * group_channels or out_channels % groups:
        raise Problem(
            f"weights {shape_text(kernels.shape)} in {groups} groups do not fit the input's "
            f"{in_channels} channels"
        )
    slide = windows(node, sizes, kernel)
    weights = emit_quantised(kernels)
    bias = _bias(node, out_channels, x.integral and weights.integral)
    return node.emit(
        accel.conv2d, (batch, out_channels, *slide.places), x.value, weights.value,
        slide.strides, slide.pads, slide.dilations, groups,
        bias=bias.value if bias else None, grid=_sum_grid(x, weights, bias),
    )  # fmt: skip


def gemm(node: Node) -> Tensor:
    """A times constant B plus constant C; transA 0, alpha and beta 1."""
    node.expect("transA", 0)
    node.expect("alpha", 1.0)
    node.expect("beta", 1.0)
    matrix = _weights(node, transpose=not node.attribute("transB", 0))
    x = node.tensor(0)
    if len(x.shape) != 2:
        raise Problem(f"input has rank {len(x.shape)}, expected 2")
    return _dense(node, x, matrix)


def matmul(node: Node) -> Tensor:
    """An input of rank 2 or more times a constant matrix, quantised per tensor or per column."""
    matrix = _weights(node, transpose=True)
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
        accel.dense, (*x.shape[:-1], outputs), x.value, weights.value,
        bias=bias.value if bias else None, grid=_sum_grid(x, weights, bias),
    )  # fmt: skip


def _weights(node: Node, transpose: bool | None = None) -> QuantisedConstant:
    """Return the weights, output channels first. With `transpose` given they must be a matrix."""
    name, value = node.proto.input[1], node.value(1)
    if isinstance(value, Constant):
        value = _integer_weights(value)
    if not isinstance(value, QuantisedConstant):
        raise Problem(f"weights ('{name}') are computed, expected a constant")
    if transpose is not None and value.integers.ndim != 2:
        raise Problem(f"weights have shape {shape_text(value.shape)}, expected a matrix")
    if transpose:
        value = value.transposed((1, 0))
    if value.quantisation.axis not in (None, 0):
        raise Problem(f"weights ('{name}') are quantised along another axis than that of the output channels")
    return value


def _integer_weights(constant: Constant) -> QuantisedConstant:
    """Return float weights that are integers as such."""
    if constant.array.dtype != np.float32:
        raise Problem(f"weights ('{constant.name}') are {constant.array.dtype}, expected float32")
    check_finite(constant)
    if not holds_integers(constant.array):
        example = constant.array[np.floor(constant.array) != constant.array].flat[0]
        raise Problem(
            f"weights ('{constant.name}') are real numbers such as {example:g}, expected DequantizeLinear of integers "
            "(the model is to be quantised first) or float32 integers"
        )
    return quantised_integers(constant, ("i8", "i16", "i32"))


def _bias(node: Node, channels: int, integral: bool) -> Tensor | None:
    """Return the bias [channels]. integral: it is added to integers, so it is stored as integers if it holds such."""
    if not node.has(2):
        return None
    value = node.value(2)
    if isinstance(value, Constant):
        if value.array.size == 1 and channels > 1:
            value = replace(value, array=np.full(channels, value.array.reshape(())))
        _expect_bias_shape(value.array, channels)
        value = replace(value, array=value.array.reshape(channels))
        if integral and holds_integers(value.array):
            return emit_quantised(quantised_integers(value, ("i32",)))
        return emit_real(value)
    if isinstance(value, QuantisedConstant):
        if value.integers.size == 1 and channels > 1:
            value = replace(value.reshaped(()), integers=np.full(channels, value.integers.reshape(())))
        _expect_bias_shape(value.integers, channels)
        return emit_quantised(value.reshaped((channels,)))
    raise Problem(f"bias ('{node.proto.input[2]}') is computed, expected a constant")


def _expect_bias_shape(bias: np.ndarray, channels: int) -> None:
    if bias.size != channels or bias.ndim > 0 and bias.shape[-1] != channels:
        raise Problem(f"bias has shape {shape_text(bias.shape)}, expected {channels} (output channels)")


def _sum_grid(*terms: Tensor | None) -> Quantisation | None:
    """Return what is known of sums of products of these tensors."""
    return ACCUMULATOR if all(term.integral for term in terms if term) else None
