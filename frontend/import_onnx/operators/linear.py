"""Operators that multiply and add up: Conv, Gemm, MatMul."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np

from htvm.dialects import accel
from htvm.dialects.quantisation import Quantisation
from htvm.import_onnx.errors import Problem, shape_text
from htvm.import_onnx.node import Node
from htvm.import_onnx.operators import integers
from htvm.import_onnx.operators.selection import shaped
from htvm.import_onnx.operators.windows import as_map, expect_map, from_map, windows
from htvm.import_onnx.quantisation import ACCUMULATOR
from htvm.import_onnx.values import (
    Constant,
    Integers,
    QuantisedConstant,
    Tensor,
    Value,
    as_bias,
    as_integers,
    check_finite,
    emit_quantised,
    emit_real,
    holds_integers,
    one_scale,
)

MAX_CHANNELS = 8_192
"""Of a layer's output."""


def conv(node: Node) -> Tensor | Integers:
    """One- or two-dimensional; any stride, dilation, group and padding.

    Weights are quantised per tensor or per output channel, float32 integers, or computed; the bias is a constant.
    All of them may be integers: sums are int32 then.
    """
    if integers.holds(node.value(0)):
        return integers.sums(node, conv)
    groups = node.attribute("group", 1)
    kernel_shape = node.attribute("kernel_shape")
    weights, shape = _kernels(node)
    out_channels, group_channels, *kernel = shape
    check_channels(out_channels)
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
    bias = _emitted_bias(node, out_channels, x.integral and weights.integral)
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
        grid=grid_of_sums(x, weights, bias),
    )
    return from_map(node, sums, len(x.shape))


def gemm(node: Node) -> Tensor | Integers:
    """alpha A B + beta C; A and B transposed or not; B constant or computed; C of any shape that broadcasts.

    A constant B is quantised per tensor or per output, or float32 integers. All may be integers: sums are int32 then.
    """
    if integers.holds(node.value(0)):
        return integers.sums(node, gemm)
    alpha, beta = node.attribute("alpha", 1.0), node.attribute("beta", 1.0)
    transposed = node.attribute("transB", 0)
    x = node.tensor(0)
    if len(x.shape) != 2:
        raise Problem(f"input has rank {len(x.shape)}, expected 2")
    if node.attribute("transA", 0):
        x = node.emit_move(accel.transpose, x.shape[::-1], [x], x.value, [1, 0])
    has_bias = node.has(2) and not isinstance(node.value(2), Tensor) and alpha == beta == 1
    has_bias = has_bias and (len(node.value(2).shape) < 2 or math.prod(node.value(2).shape[:-1]) == 1)
    if isinstance(node.value(1), Constant | QuantisedConstant):
        product = _dense(node, x, _matrix(node, transpose=not transposed), has_bias)
        has_bias = has_bias or not node.has(2)
    else:
        other = node.tensor(1)
        if transposed:
            other = node.emit_move(accel.transpose, other.shape[::-1], [other], other.value, [1, 0])
        product, has_bias = _product(node, x, other), not node.has(2)
    product = _scaled(node, product, alpha)
    if has_bias:
        return product
    term = _term(node, node.value(2), beta)
    grid = ACCUMULATOR if product.integral and term.integral else None
    return node.emit(accel.add, product.shape, product.value, term.value, grid=grid)


def matmul(node: Node) -> Tensor | Integers:
    """Of any ranks, with broadcasting; both computed, or either constant.

    A constant matrix on the right is quantised per tensor or per column, or float32 integers. Both may be integers:
    sums are int32 then.
    """
    if any(integers.holds(node.value(index)) for index in (0, 1)):
        return integers.sums(node, matmul)
    right = node.value(1)
    x = node.tensor(0)
    if isinstance(right, Constant | QuantisedConstant) and len(right.shape) == 1 and len(x.shape) > 1:
        column = node.with_operands("MatMul", [x, shaped(node, right, (*right.shape, 1))], node.proto.input)
        product = _dense(node, x, _matrix(column, transpose=True), has_bias=False)
        return shaped(node, product, product.shape[:-1])
    if isinstance(right, Constant | QuantisedConstant) and len(right.shape) == 2 and len(x.shape) > 1:
        return _dense(node, x, _matrix(node, transpose=True), has_bias=False)
    if isinstance(right, Constant):
        right = integer_weights(right)
    y = emit_quantised(right) if isinstance(right, QuantisedConstant) else node.tensor(1)
    if not x.shape or not y.shape:
        raise Problem("multiplies a number, expected tensors")
    left = x if len(x.shape) > 1 else shaped(node, x, (1, *x.shape))
    other = y if len(y.shape) > 1 else shaped(node, y, (*y.shape, 1))
    product = _product(node, left, other)
    kept = product.shape
    if len(y.shape) == 1:
        kept = kept[:-1]
    if len(x.shape) == 1:
        kept = (*kept[: len(product.shape) - 2], *kept[len(product.shape) - 1 :])
    return shaped(node, product, kept)


def _term(node: Node, value: Value, factor: float) -> Tensor:
    """Write C times beta; a constant of float32 numbers as integers of a scale."""
    if isinstance(value, Constant) and factor != 1:
        held = as_bias(replace(value, array=value.array.reshape(-1)), integral=False)
        shaped_grid = held.quantisation if held.quantisation.axis is None else one_scale(held).quantisation
        grid = shaped_grid.scaled([Fraction(factor)], None) if shaped_grid.axis is None and factor > 0 else None
        if grid is not None:
            return emit_quantised(QuantisedConstant(held.stored.reshape(value.shape), grid, value.name))
    if isinstance(value, QuantisedConstant) and factor > 0:
        grid = value.quantisation.scaled([Fraction(factor)], None)
        if grid is not None:
            return emit_quantised(replace(value, quantisation=grid).signed())
    x = node.tensor(2)
    return x if factor == 1 else _scaled(node, x, factor)


def _product(node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Write the product of a [.., M, C] and b [.., C, K]."""
    found = f"{shape_text(a.shape)} and {shape_text(b.shape)}"
    if a.shape[-1] != b.shape[-2]:
        raise Problem(f"inputs have shapes {found}, which do not multiply")
    try:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise Problem(f"inputs have shapes {found}, which do not broadcast") from None
    return node.emit(accel.matmul, (*batch, a.shape[-2], b.shape[-1]), a.value, b.value, grid=grid_of_sums(a, b))


def _scaled(node: Node, x: Tensor, factor: float) -> Tensor:
    """Write a tensor times a number."""
    if factor == 1:
        return x
    if not np.isfinite(factor) or factor == 0:
        raise Problem(f"alpha or beta is {factor:g}, expected another number")
    number = emit_real(Constant(np.array(factor, np.float32), "factor"))
    grid = ACCUMULATOR if x.integral and float(factor).is_integer() else None
    return node.emit(accel.mul, x.shape, x.value, number.value, grid=grid)


def _dense(node: Node, x: Tensor, matrix: QuantisedConstant, has_bias: bool) -> Tensor:
    """Write the product of x [.., C] with `matrix` [K, C], and the node's bias."""
    outputs, inputs = matrix.shape
    if x.shape[-1] != inputs:
        raise Problem(f"input has {x.shape[-1]} numbers on its last axis, the weights take {inputs}")
    weights = emit_quantised(matrix)
    bias = _emitted_bias(node, outputs, x.integral and weights.integral) if has_bias else None
    return node.emit(
        accel.dense,
        (*x.shape[:-1], outputs),
        x.value,
        weights.value,
        bias=bias.value if bias else None,
        grid=grid_of_sums(x, weights, bias),
    )


def _matrix(node: Node, transpose: bool) -> QuantisedConstant:
    """Return weights [K, C], of a node that has them transposed or not."""
    value = _weights(node, channel_axis=1 if transpose else 0)
    if len(value.shape) != 2:
        raise Problem(f"weights have shape {shape_text(value.shape)}, expected a matrix")
    check_channels(value.shape[1 if transpose else 0])
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
        value = integer_weights(value)
    if not isinstance(value, QuantisedConstant):
        raise Problem(f"weights ('{name}') are computed, expected a constant")
    value = one_scale(value)
    axis = value.quantisation.axis
    if axis not in (None, channel_axis):
        found = f"weights ('{name}') are quantised along axis {axis}"
        raise Problem(f"{found}, expected {channel_axis} (output channels)")
    return value


def check_channels(count: int) -> None:
    """Raise Problem on more output channels than a layer of a microcontroller has: each has constants of its own."""
    if count > MAX_CHANNELS:
        raise Problem(f"has {count:,} output channels, expected at most {MAX_CHANNELS:,}")


def integer_weights(constant: Constant) -> QuantisedConstant:
    """Return float weights that are integers as such."""
    if constant.array.dtype != np.float32:
        raise Problem(f"weights ('{constant.name}') are {constant.array.dtype}, expected float32")
    check_finite(constant)
    if not holds_integers(constant.array):
        example = constant.array[np.floor(constant.array) != constant.array].flat[0]
        found = f"weights ('{constant.name}') are real numbers such as {example:g}"
        raise Problem(
            f"{found}, expected integers, or DequantizeLinear of integers: the model is not quantised "
            "(htvm quantize MODEL --calibration X.npz)"
        )
    return as_integers(constant, ("i8", "i16", "i32"))


def _emitted_bias(node: Node, channels: int, integral: bool) -> Tensor | None:
    bias = bias_of(node, channels, integral)
    return None if bias is None else emit_quantised(bias)


def bias_of(node: Node, channels: int, integral: bool) -> QuantisedConstant | None:
    """Return the bias [channels]. integral: the products are integers, so a bias of such is stored as integers."""
    if not node.has(2):
        return None
    value = node.value(2)
    if isinstance(value, Constant):
        value = replace(value, array=_one_per_channel(value.array, channels))
        return as_bias(value, integral)
    if isinstance(value, QuantisedConstant):
        stored = _one_per_channel(value.stored, channels)
        one_scale = value.quantisation.axis is None
        return replace(value, stored=stored) if one_scale else value.reshaped(stored.shape)
    raise Problem(f"bias ('{node.proto.input[2]}') is computed, expected a constant")


def _one_per_channel(bias: np.ndarray, channels: int) -> np.ndarray:
    """Return a bias, which Gemm may broadcast, as one number per channel."""
    if bias.size not in (1, channels) or (bias.size > 1 and bias.shape[-1] != channels):
        raise Problem(f"bias has shape {shape_text(bias.shape)}, expected {channels} (output channels)")
    return np.array(np.broadcast_to(bias.reshape(-1), channels))


def grid_of_sums(*terms: Tensor | None) -> Quantisation | None:
    """Return what can store sums of products of these tensors."""
    return ACCUMULATOR if all(term.integral for term in terms if term) else None
