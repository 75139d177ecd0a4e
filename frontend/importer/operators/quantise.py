"""QuantizeLinear and DequantizeLinear."""

import numpy as np
import onnx

from htvm.dialects.quantisation import Quantisation
from htvm.dialects.real import Real
from htvm.importer import quantisation as q
from htvm.importer.errors import Problem, choices_text
from htvm.importer.node import Node, meaning, quantise
from htvm.importer.values import Constant, QuantisedConstant, Tensor, Value, check_finite


def quantize_linear(node: Node) -> Value:
    """One scale per tensor; for constants also one per channel. To int8, uint8, int16, uint16 or int32."""
    node.ignore("saturate", "precision")  # they concern floating-point results, and how to compute in float
    value = node.value(0)
    if isinstance(value, Constant):
        return _rounded(value, parameters(node, constant=value))
    quantisation = parameters(node)
    return Tensor(quantise(node.tensor(0), quantisation).value, quantisation, stored=True)


def dequantize_linear(node: Node) -> Value:
    """One scale per tensor; for constants also one per channel. From int8, uint8, int16, uint16 or int32."""
    value = node.value(0)
    if isinstance(value, Constant):
        return QuantisedConstant(value.array, parameters(node, value.array.dtype, value), value.name)
    tensor = node.any_tensor(0)
    if not tensor.stored:
        raise Problem(f"input '{node.proto.input[0]}' is float32, expected integers")
    return meaning(tensor, parameters(node, q.storage(tensor.grid)))


def parameters(node: Node, stored: np.dtype | None = None, constant: Constant | None = None) -> Quantisation:
    """Return the quantisation that the scale and zero point of either operator describe.

    stored: the integers' type, of DequantizeLinear. constant: the node's input, if it is one; only then a
    scale per channel is allowed.
    """
    node.expect("block_size", 0)
    axis = node.attribute("axis", 1)
    scale = node.array(1, "scale")
    zero_point = node.array(2, "zero point") if node.has(2) else None
    dtype = _stored_as(node, zero_point, stored)
    if scale.size != 1 and constant is None:
        raise Problem(f"scale has {scale.size} numbers, expected 1: the tensor is not constant")
    return q.from_arrays(scale, zero_point, axis, dtype, constant.shape if constant else ())


def _stored_as(node: Node, zero_point: np.ndarray | None, stored: np.dtype | None) -> np.dtype:
    """Return the type of the integers: DequantizeLinear's input has it; else the zero point, or an attribute."""
    if stored is not None:
        node.expect("output_dtype", onnx.TensorProto.FLOAT)
        found = stored
    elif dtype := node.attribute("output_dtype", onnx.TensorProto.UNDEFINED):
        found = onnx.helper.tensor_dtype_to_np_dtype(dtype)
    else:
        found = np.dtype(np.uint8) if zero_point is None else zero_point.dtype
    if found not in q.STORAGES.values():
        raise Problem(f"integers are {found}, expected {choices_text(map(str, q.STORAGES.values()))}")
    if zero_point is not None and zero_point.dtype != found:
        raise Problem(f"zero point is {zero_point.dtype}, expected {found} as the quantised tensor")
    return found


def _rounded(constant: Constant, quantisation: Quantisation) -> Constant:
    """Return the stored integers of a constant of real numbers."""
    check_finite(constant)
    scales, zero_points = q.along_axis(quantisation, constant.array.ndim)
    exact = Real.of_floats(constant.array)
    integers = exact.quantise(scales, zero_points, quantisation.lowest, quantisation.highest)
    return Constant(integers.astype(q.storage(quantisation)), constant.name)
