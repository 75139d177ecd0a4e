"""Normalisation along axes."""

import math

import numpy as np

from htvm.dialects import accel
from htvm.import_onnx.errors import Problem, shape_text
from htvm.import_onnx.node import Node, axis_of
from htvm.import_onnx.operators.selection import shaped
from htvm.import_onnx.values import Constant, QuantisedConstant, Tensor, emit_quantised, emit_real

INPUTS = {1: "scale", 2: "bias"}


def layer_normalization(node: Node) -> Tensor:
    """From any axis to the last; constant scale and bias; only its first output."""
    node.ignore("stash_type")  # how float32 computes it
    x = node.tensor(0)
    axis = axis_of(node.attribute("axis", -1), len(x.shape))
    epsilon = node.attribute("epsilon", float(np.float32(1e-5)))
    if not 0 < epsilon < math.inf:
        raise Problem(f"epsilon is {epsilon:g}, expected a positive number")
    sizes = (math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))
    constants = {name: _along(node, index, name, x.shape[axis:]) for index, name in INPUTS.items() if node.has(index)}
    rows = shaped(node, x, sizes)
    values = {name: tensor.value for name, tensor in constants.items()}
    normal = node.emit(accel.layer_norm, sizes, rows.value, epsilon=epsilon, **values)
    return shaped(node, normal, x.shape)


def _along(node: Node, index: int, name: str, shape: tuple[int, ...]) -> Tensor:
    """Return the scale or bias as a list of numbers for all normalised elements."""
    value = node.value(index)
    if not isinstance(value, Constant | QuantisedConstant):
        raise Problem(f"{name} ('{node.proto.input[index]}') is computed, expected a constant")
    count = math.prod(shape)
    if value.shape != shape:
        if math.prod(value.shape) != 1:
            raise Problem(f"{name} has shape {shape_text(value.shape)}, expected {shape_text(shape)}")
        if isinstance(value, Constant):
            return emit_real(Constant(np.full(count, value.array.reshape(()), np.float32), value.name))
        if value.quantisation.axis is None:
            return emit_quantised(
                QuantisedConstant(np.repeat(value.stored.reshape(-1), count), value.quantisation, value.name)
            )
    return (
        emit_quantised(value.reshaped((count,)))
        if isinstance(value, QuantisedConstant)
        else emit_real(Constant(value.array.reshape(-1), value.name))
    )
