"""Normalisation along axes."""

import math

import numpy as np

from htvm.dialects import accel
from htvm.import_onnx.errors import Problem, shape_text
from htvm.import_onnx.node import Node, axis_of
from htvm.import_onnx.operators.selection import shaped, taken
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
    scale, bias = (
        _along(node, index, name, x.shape[axis:]).value if node.has(index) else None for index, name in INPUTS.items()
    )
    rows = shaped(node, x, sizes)
    normal = node.emit(accel.layer_norm, sizes, rows.value, epsilon=epsilon, scale=scale, bias=bias)
    return shaped(node, normal, x.shape)


def instance_normalization(node: Node) -> Tensor:
    """Of each channel; constant scale and bias, up to 64 different pairs of them."""
    x, epsilon = node.tensor(0), node.attribute("epsilon", float(np.float32(1e-5)))
    batch, channels = x.shape[:2]
    scale, bias = (np.asarray(node.array(index, INPUTS[index]), np.float64).reshape(-1) for index in (1, 2))
    if scale.size != channels or bias.size != channels:
        raise Problem(f"scale and bias have {scale.size} and {bias.size} numbers, expected {channels}, one per channel")
    length = math.prod(x.shape[2:])
    rows = [(np.full(length, s), np.full(length, b)) for s, b in zip(scale, bias, strict=True)]
    return _normalised(node, x, (batch, channels, length), rows, epsilon)


def group_normalization(node: Node) -> Tensor:
    """Of groups of channels; constant scale and bias, one per channel or group; up to 64 different groups."""
    node.ignore("stash_type")
    x, epsilon = node.tensor(0), node.attribute("epsilon", float(np.float32(1e-5)))
    groups = node.attribute("num_groups")
    batch, channels = x.shape[:2]
    if groups < 1 or channels % groups:
        raise Problem(f"num_groups is {groups}, expected a divisor of {channels} channels")
    numbers = [np.asarray(node.array(index, INPUTS[index]), np.float64).reshape(-1) for index in (1, 2)]
    wanted = channels if node.opset >= 21 else groups
    for name, array in zip(INPUTS.values(), numbers, strict=True):
        if array.size != wanted:
            raise Problem(f"{name} has {array.size} numbers, expected {wanted}")
    length = math.prod(x.shape[1:]) // groups
    spread = [np.repeat(array, length * groups // wanted).reshape(groups, length) for array in numbers]
    return _normalised(node, x, (batch, groups, length), list(zip(*spread, strict=True)), epsilon)


MOST_NORMALISED = 64
"""Layers that one normalisation becomes, each with constants for all its elements."""


def _normalised(
    node: Node,
    x: Tensor,
    sizes: tuple[int, int, int],
    rows: list[tuple[np.ndarray, np.ndarray]],
    epsilon: float,
) -> Tensor:
    """Write layer normalisations of x as [batch, rows, length]: one for all rows with the same scale and bias."""
    if not 0 < epsilon < math.inf:
        raise Problem(f"epsilon is {epsilon:g}, expected a positive number")
    batch, _, length = sizes
    alike: dict[bytes, list[int]] = {}
    for index, (scale, bias) in enumerate(rows):
        alike.setdefault(scale.tobytes() + bias.tobytes(), []).append(index)
    if len(alike) > MOST_NORMALISED:
        raise Problem(
            f"has {len(alike)} different scales and biases, expected at most {MOST_NORMALISED}; give it scale 1 and "
            "bias 0, and put QuantizeLinear, DequantizeLinear, Mul and Add behind it"
        )
    parts: list[Tensor] = []
    order: list[int] = []
    image = shaped(node, x, sizes)
    for own in alike.values():
        part = image if len(alike) == 1 else taken(node, {1: np.array(own)}, image)
        flat = shaped(node, part, (batch * len(own), length))
        scale, bias = (Constant(array.astype(np.float32), name) for array, name in zip(rows[own[0]], INPUTS.values()))
        normal = node.emit(
            accel.layer_norm,
            flat.shape,
            flat.value,
            epsilon=epsilon,
            scale=emit_real(scale).value,
            bias=emit_real(bias).value,
        )
        parts.append(shaped(node, normal, (batch, len(own), length)))
        order += own
    joined = parts[0]
    if len(parts) > 1:
        joined = node.emit(accel.concat, sizes, [part.value for part in parts], 1)
        joined = taken(node, {1: np.argsort(order)}, joined)
    return shaped(node, joined, x.shape)


def batch_normalization(node: Node) -> Tensor:
    """With constant statistics; outside training."""
    node.ignore("momentum", "spatial")
    if node.attribute("training_mode", 0):
        raise Problem("training_mode is 1, expected 0")
    x, epsilon = node.tensor(0), node.attribute("epsilon", float(np.float32(1e-5)))
    names = ("scale", "bias", "mean", "variance")
    rank, channels = len(x.shape), x.shape[1] if len(x.shape) > 1 else 1
    numbers: dict[str, Tensor] = {}
    for index, name in enumerate(names, 1):
        array = np.asarray(node.array(index, name), np.float32).reshape(-1)
        if array.size != channels:
            raise Problem(f"{name} has {array.size} numbers, expected {channels}, one per channel")
        spread = array.reshape([1, channels, *[1] * (rank - 2)] if rank > 1 else [channels])
        numbers[name] = emit_real(Constant(spread, name))
    shape = numbers["mean"].shape
    offset = emit_real(Constant(np.array(epsilon, np.float32), "epsilon"))
    positive = node.emit(accel.add, shape, numbers["variance"].value, offset.value)
    deviation = node.emit(accel.unary, shape, positive.value, "sqrt")
    factor = node.emit(accel.div, shape, numbers["scale"].value, deviation.value)
    centred = node.emit(accel.sub, x.shape, x.value, numbers["mean"].value)
    scaled = node.emit(accel.mul, x.shape, centred.value, factor.value)
    return node.emit(accel.add, x.shape, scaled.value, numbers["bias"].value)


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
