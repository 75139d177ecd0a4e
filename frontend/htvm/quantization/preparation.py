"""What a float model must be before it is quantised: float32, and without batch normalisations."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HALVES = (TensorProto.FLOAT16, TensorProto.BFLOAT16)


def in_float32(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model whose tensors of 16-bit floats are float32; the same if it has none."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    changed = False
    tensors = list(copy.graph.initializer)
    for node in copy.graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                tensors.append(attribute.t)
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i in HALVES:
                attribute.i, changed = TensorProto.FLOAT, True
    for tensor in tensors:
        if tensor.data_type in HALVES:
            array = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
            changed = True
    for value in (*copy.graph.input, *copy.graph.output, *copy.graph.value_info):
        if value.type.tensor_type.elem_type in HALVES:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
            changed = True
    return copy if changed else model


def without_batch_normalisation(model: onnx.ModelProto) -> None:
    """Write batch normalisations that no convolution took in as a multiplication and an addition for each channel."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in list(model.graph.node):
        if node.op_type != "BatchNormalization" or any(name not in constants for name in node.input[1:5]):
            continue
        scale, bias, mean, variance = (constants[name].astype(np.float64) for name in node.input[1:5])
        epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
        factor = scale / np.sqrt(variance + epsilon)
        rank = _rank(model, node.input[0])
        shape = [1, -1, *[1] * (rank - 2)]
        names = [f"{node.output[0]}_{what}" for what in ("factor", "term", "scaled")]
        for name, array in zip(names, (factor, bias - mean * factor), strict=False):
            model.graph.initializer.append(numpy_helper.from_array(array.astype(np.float32).reshape(shape), name))
        place = list(model.graph.node).index(node)
        label = node.name or node.output[0]
        model.graph.node.insert(place, helper.make_node("Add", [names[2], names[1]], [node.output[0]], f"{label}_add"))
        model.graph.node.insert(place, helper.make_node("Mul", [node.input[0], names[0]], [names[2]], f"{label}_mul"))
        model.graph.node.remove(node)


def _rank(model: onnx.ModelProto, name: str) -> int:
    inferred = onnx.shape_inference.infer_shapes(model).graph
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        if value.name == name:
            return len(value.type.tensor_type.shape.dim)
    return 4
