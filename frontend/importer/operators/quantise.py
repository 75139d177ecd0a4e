"""QuantizeLinear and DequantizeLinear."""

import numpy as np
import onnx
from mlir import ir

from htvm.dialects.real import Real
from htvm.importer.errors import Problem
from htvm.importer.node import Node, quantise
from htvm.importer.quantisation import STORAGES, Quantisation, Storage, storage_of
from htvm.importer.values import (
    Constant,
    QuantisedConstant,
    Tensor,
    Value,
    cast_storage,
    check_finite,
    tensor_type,
)


def quantize_linear(node: Node) -> Value:
    """One scale per tensor; for constants also one per channel. To int8, uint8, int16, uint16 or int32."""
    node.ignore("saturate", "precision")
    value = node.value(0)
    if isinstance(value, Constant):
        return _rounded(value, parameters(node, constant=value))
    quantisation = parameters(node)
    rounded = quantise(node.tensor(0), quantisation)
    return Tensor(rounded.value, quantisation, stored=True)


def dequantize_linear(node: Node) -> Value:
    """One scale per tensor; for constants also one per channel. From int8, uint8, int16, uint16 or int32."""
    value = node.value(0)
    if isinstance(value, Constant):
        return QuantisedConstant(value.array, parameters(node, value.array.dtype, value), value.name)
    tensor = node.any_tensor(0)
    if not tensor.stored:
        raise Problem(f"input '{node.proto.input[0]}' is float32, expected integers")
    quantisation = parameters(node, tensor.grid.storage.dtype)
    if _same_meaning(quantisation, tensor.grid):
        return Tensor(tensor.value, tensor.grid)
    return _reinterpreted(tensor, quantisation)


def parameters(node: Node, stored: np.dtype | None = None, constant: Constant | None = None) -> Quantisation:
    """Return the quantisation that the scale and zero point of either operator describe.

    stored: the integers' type, of DequantizeLinear. constant: the node's input, if it is one; only then a scale per
    channel is allowed.
    """
    node.expect("block_size", 0)
    axis = node.attribute("axis", 1)
    scale = node.array(1, "scale")
    zero_point = node.array(2, "zero point") if node.has(2) else None
    storage = _storage(node, zero_point, stored)
    if scale.size != 1 and constant is None:
        raise Problem(f"scale has {scale.size} numbers, expected 1: the tensor is not constant")
    return Quantisation.of_arrays(scale, zero_point, axis, storage, constant.shape if constant else ())


def _storage(node: Node, zero_point: np.ndarray | None, stored: np.dtype | None) -> Storage:
    """Return what the integers are stored in: the input says it, or the zero point, or an attribute, or it is uint8."""
    if stored is not None:
        node.expect("output_dtype", onnx.TensorProto.FLOAT)
        found = stored
    elif zero_point is not None:
        node.ignore("output_dtype")  # onnx checks that it is the zero point's type
        found = zero_point.dtype
    elif dtype := node.attribute("output_dtype", onnx.TensorProto.UNDEFINED):
        found = onnx.helper.tensor_dtype_to_np_dtype(dtype)
    else:
        found = np.dtype(np.uint8)
    storage = storage_of(found)
    if storage is None:
        wanted = ", ".join(str(known.dtype) for known in STORAGES.values())
        raise Problem(f"quantised type is {found}, expected one of {wanted}")
    if zero_point is not None and zero_point.dtype != found:
        raise Problem(f"zero point is {zero_point.dtype}, expected {found} as the quantised tensor")
    return storage


def _rounded(constant: Constant, quantisation: Quantisation) -> Constant:
    """Return the stored integers of a constant of real numbers."""
    check_finite(constant)
    along = [1] * constant.array.ndim
    if quantisation.axis is not None:
        along[quantisation.axis] = len(quantisation.scales)
    scales, zero_points = (np.reshape(n, along) for n in (quantisation.scales, quantisation.zero_points))
    integers = Real.of_floats(constant.array).quantise(scales, zero_points, quantisation.low, quantisation.high)
    return Constant(integers.astype(quantisation.storage.dtype), constant.name)


def _same_meaning(a: Quantisation, b: Quantisation) -> bool:
    """Return whether the same integer stands for the same number in both."""
    return (a.scales, a.zero_points, a.axis) == (b.scales, b.zero_points, b.axis)


def _reinterpreted(tensor: Tensor, quantisation: Quantisation) -> Tensor:
    """Give the integers of a tensor another meaning than they were made with."""
    type_ = tensor_type(tensor.shape, quantisation.storage.type())
    integers = ir.Operation.create("quant.scast", results=[type_], operands=[tensor.value]).result
    return cast_storage(integers, quantisation)
