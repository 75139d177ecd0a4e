"""QuantizeLinear and DequantizeLinear."""

from dataclasses import replace

import numpy as np
import onnx

from htvm.dialects import accel
from htvm.dialects.quantisation import Quantisation
from htvm.dialects.semantics.real import Real
from htvm.import_onnx import quantisation as q
from htvm.import_onnx.errors import Problem, choices_text, shape_text
from htvm.import_onnx.node import Node, axis_of, meaning, quantise
from htvm.import_onnx.values import Constant, Integers, QuantisedConstant, Tensor, Value, check_finite, emit_real


def quantize_linear(node: Node) -> Value:
    """One scale per tensor; for constants also one per channel. To integers of 2 to 32 bits."""
    node.ignore("saturate", "precision")  # they concern floating-point results, and how to compute in float
    value = node.value(0)
    if isinstance(value, Constant):
        return _rounded(value, parameters(node, constant=value))
    quantisation = parameters(node)
    return Tensor(quantise(node.tensor(0), quantisation).value, quantisation, stored=True)


def dequantize_linear(node: Node) -> Value:
    """One scale per tensor; for constants also one per channel or block. From integers of 2 to 32 bits."""
    value = node.value(0)
    if isinstance(value, Constant):
        return _dequantised(node, value)
    if isinstance(value, Integers):
        return _scaled(node, value)
    tensor = node.any_tensor(0)
    if not tensor.stored:
        raise Problem(f"input '{node.proto.input[0]}' is float32, expected integers")
    return meaning(tensor, parameters(node, q.storage(tensor.quantisation)))


def parameters(node: Node, stored: np.dtype | None = None, constant: Constant | None = None) -> Quantisation:
    """Return the quantisation that the scale and zero point of either operator describe.

    stored: the integers' type, of DequantizeLinear. constant: the node's input, if it is one; only then a
    scale per channel is allowed.
    """
    node.expect("block_size", 0)
    axis = node.attribute("axis", 1)
    if stored is not None:
        node.expect("output_dtype", onnx.TensorProto.FLOAT)
    elif dtype := node.attribute("output_dtype", onnx.TensorProto.UNDEFINED):
        stored = onnx.helper.tensor_dtype_to_np_dtype(dtype)
    return grid_of(node, 1, 2, stored, axis, constant.shape if constant else None)


def grid_of(
    node: Node,
    scale_index: int,
    zero_point_index: int,
    dtype: np.dtype | None = None,
    axis: int = 0,
    shape: tuple[int, ...] | None = None,
) -> Quantisation:
    """Return the quantisation that two inputs of a node describe.

    dtype: the integers' type, if not the zero point's. shape: of a constant; only for one is a scale per channel
    allowed, along `axis`.
    """
    scale = node.array(scale_index, "scale")
    zero_point = node.array(zero_point_index, "zero point") if node.has(zero_point_index) else None
    if dtype is None:
        dtype = np.dtype(np.uint8) if zero_point is None else zero_point.dtype
    if dtype not in q.STORAGES.values() and dtype.name not in q.NARROW_STORAGES:
        raise Problem(f"integers are {dtype}, expected {choices_text(map(str, q.STORAGES.values()))}")
    if zero_point is not None and not _same_type(zero_point.dtype, dtype):
        raise Problem(f"zero point is {zero_point.dtype}, expected {dtype} as the quantised tensor")
    if scale.size != 1 and shape is None:
        raise Problem(f"scale has {scale.size} numbers, expected 1: the tensor is not constant")
    own = dtype if zero_point is None else zero_point.dtype  # narrower than what stores them
    return q.from_arrays(scale, zero_point, axis, own, () if shape is None else shape)


def _same_type(stated: np.dtype, stored: np.dtype) -> bool:
    """Say whether integers of a type of ONNX are stored in a type."""
    if stated.name in q.NARROW_STORAGES and stored.name not in q.NARROW_STORAGES:
        return q.storage(q.integers(stated)) == stored
    return stated == stored


def _dequantised(node: Node, constant: Constant) -> QuantisedConstant:
    """Return what a constant's integers mean."""
    block = node.attribute("block_size", 0)
    if block < 0:
        raise Problem(f"block_size is {block}, expected at least 0")
    if not block:
        grid = parameters(node, constant.array.dtype, constant)
        return QuantisedConstant(constant.array.astype(q.storage(grid)), grid, constant.name)
    axis = axis_of(node.attribute("axis", 1), len(constant.shape))
    zero_point = node.array(2, "zero point") if node.has(2) else None
    stored, grid = q.without_blocks(constant.array, node.array(1, "scale"), zero_point, axis, block)
    return QuantisedConstant(stored, grid, constant.name)


def _scaled(node: Node, integers: Integers) -> Tensor:
    """Return what sums mean that are multiplied by scales, one for all or one per channel."""
    rank = len(integers.shape)
    axis = axis_of(node.attribute("axis", 1), rank)
    scale = Constant(node.array(1, "scale"), node.proto.input[1])
    if node.has(2) and node.array(2, "zero point").any():
        raise Problem("zero point of sums is not 0")
    if scale.array.size > 1:
        if scale.shape != (integers.shape[axis],):
            raise Problem(
                f"scale has shape {shape_text(scale.shape)}, expected {integers.shape[axis]} along axis {axis}"
            )
        scale = replace(scale, array=scale.array.reshape([-1 if i == axis else 1 for i in range(rank)]))
    return node.emit(accel.mul, integers.shape, integers.numbers.value, emit_real(scale).value)


def _rounded(constant: Constant, quantisation: Quantisation) -> Constant:
    """Return the stored integers of a constant of real numbers."""
    check_finite(constant)
    scales, zero_points = q.along_axis(quantisation, constant.array.ndim)
    exact = Real.of_floats(constant.array)
    integers = exact.quantise(scales, zero_points, quantisation.lowest, quantisation.highest)
    return Constant(integers.astype(q.storage(quantisation)), constant.name)
