"""Small random QDQ networks: shapes, strides, paddings, scales and weights as no designer would choose them.

A network is a chain of one to three layers between quantisers. Scales are random, or powers of two (then values tie);
weights are random, or all at one limit; activations are int8 or uint8.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


@dataclass
class Network:
    """A graph being written; `shape`, `scale` and `zero_point` are those of the value it ends in."""

    generator: np.random.Generator
    storage: np.dtype
    powers_of_two: bool
    shape: tuple[int, ...]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def constant(self, name: str, value: np.ndarray | np.generic) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, kind: str, inputs: list[str], name: str, **attributes: object) -> str:
        """Add a node called `name` whose output has that name, too."""
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def random_scale(self, low: float, high: float) -> np.float32:
        """Return a scale from 10^low to 10^high, or a power of two below 1."""
        if self.powers_of_two:
            return np.float32(2.0 ** int(self.generator.integers(-6, -1)))
        return np.float32(10 ** self.generator.uniform(low, high))

    def random_zero_point(self) -> np.generic:
        limits = np.iinfo(self.storage)
        chosen = [self.generator.integers(limits.min, limits.max + 1), limits.min, 0]
        return self.storage.type(self.generator.choice(chosen, p=[0.7, 0.2, 0.1]))

    def dequantised(
        self, stored: str, scale: np.ndarray | np.float32, zero_point: np.generic | None, axis: int = 1
    ) -> str:
        inputs = [stored, self.constant(f"{stored}_scale", scale)]
        if zero_point is not None:
            inputs.append(self.constant(f"{stored}_zero_point", zero_point))
        return self.node("DequantizeLinear", inputs, f"{stored}_real", axis=axis)

    def quantised(self, real: str, scale: np.float32, zero_point: np.generic) -> str:
        inputs = [real, self.constant(f"{real}_step", scale), self.constant(f"{real}_zero", zero_point)]
        return self.node("QuantizeLinear", inputs, f"{real}_stored")


def random_network(seed: int) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """Return a network and inputs for it; the same seed gives the same."""
    generator = np.random.default_rng(seed)
    storage = np.dtype(generator.choice(["int8", "uint8"], p=[0.7, 0.3]))
    shape = (1, int(generator.integers(1, 9)), int(generator.integers(1, 12)), int(generator.integers(1, 12)))
    network = Network(generator, storage, bool(generator.random() < 0.4), shape)
    kind = TensorProto.INT8 if storage == np.int8 else TensorProto.UINT8
    limits = np.iinfo(storage)
    given = generator.integers(limits.min, limits.max + 1, shape).astype(storage)
    interface = helper.make_tensor_value_info("x", kind, shape)

    stored, scale, zero_point = "x", network.random_scale(-2.5, -0.5), network.random_zero_point()
    for number in range(int(generator.integers(1, 4))):
        real = network.dequantised(stored, scale, zero_point)
        layer = generator.choice(list(LAYERS))
        real = LAYERS[layer](network, real, f"{layer}{number}", scale)
        if generator.random() < 0.4:
            real = network.node("Relu", [real], f"relu{number}")
        if generator.random() < 0.7:  # else the same as before: what is only moved is then not rounded
            scale, zero_point = network.random_scale(-2, 0.5), network.random_zero_point()
        stored = network.quantised(real, scale, zero_point)
    result = helper.make_tensor_value_info(stored, kind, network.shape)
    graph = helper.make_graph(network.nodes, f"random_{seed}", [interface], [result], network.constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8), {"x": given}


# Layers: each takes the name of a real value and returns that of another


def _conv(network: Network, x: str, name: str, scale: np.float32) -> str:
    divisors = [d for d in range(1, network.shape[1] + 1) if network.shape[1] % d == 0]
    groups = int(network.generator.choice(divisors)) if network.generator.random() < 0.3 else 1
    return convolution(network, x, name, scale, groups, groups * int(network.generator.integers(1, 9)))


def _depthwise(network: Network, x: str, name: str, scale: np.float32) -> str:
    channels = network.shape[1]
    return convolution(network, x, name, scale, channels, channels * int(network.generator.integers(1, 3)))


def convolution(network: Network, x: str, name: str, scale: np.float32, groups: int, outputs: int) -> str:
    generator, (_, _, height, width) = network.generator, network.shape
    kernel = [int(generator.integers(1, min(5, size + 2) + 1)) for size in (height, width)]
    strides = [int(generator.integers(1, 3)) for _ in kernel]
    dilations = [int(generator.choice([1, 2], p=[0.8, 0.2])) for _ in kernel]
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    pads = [int(generator.integers(0, k)) for k in kernel * 2]
    for axis, size in enumerate((height, width)):  # a window must fit
        pads[axis] = max(pads[axis], spans[axis] - size - pads[axis + 2])
    return _convolution(network, x, name, scale, groups, outputs, kernel, strides, dilations, pads)


def convolution_3x3(network: Network, x: str, name: str, scale: np.float32, outputs: int) -> str:
    """Add a convolution of 3x3 elements and stride 1, with any padding."""
    pads = [int(network.generator.integers(0, 3)) for _ in range(4)]
    for axis, size in enumerate(network.shape[2:]):
        pads[axis] = max(pads[axis], 3 - size - pads[axis + 2])
    return _convolution(network, x, name, scale, 1, outputs, [3, 3], [1, 1], [1, 1], pads)


def _convolution(
    network: Network,
    x: str,
    name: str,
    scale: np.float32,
    groups: int,
    outputs: int,
    kernel: list[int],
    strides: list[int],
    dilations: list[int],
    pads: list[int],
) -> str:
    """Add a convolution of this geometry with random weights, scales and bias."""
    generator, (_, channels, height, width) = network.generator, network.shape
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    weights = generator.integers(-128, 128, (outputs, channels // groups, *kernel)).astype(np.int8)
    if generator.random() < 0.3:
        weights[:] = generator.choice([-128, 0, 127])
    per_channel = generator.random() < 0.6
    scales = [network.random_scale(-3.5, -1.5) for _ in range(outputs if per_channel else 1)]
    weight_scale = np.array(scales) if per_channel else scales[0]
    inputs = [x, network.dequantised(network.constant(f"{name}_weights", weights), weight_scale, None, axis=0)]
    if generator.random() < 0.6:
        bias = network.constant(f"{name}_bias", generator.integers(-3000, 3000, outputs).astype(np.int32))
        inputs.append(network.dequantised(bias, (scale * weight_scale).astype(np.float32), None, axis=0))
    rows, columns = (
        (size + pads[axis] + pads[axis + 2] - spans[axis]) // strides[axis] + 1
        for axis, size in enumerate((height, width))
    )
    network.shape = (1, outputs, rows, columns)
    return network.node("Conv", inputs, name, strides=strides, pads=pads, dilations=dilations, group=groups)


def _pool(network: Network, x: str, name: str, kind: str, **attributes: object) -> str:
    generator, (_, channels, height, width) = network.generator, network.shape
    kernel = [int(generator.integers(1, min(4, size) + 1)) for size in (height, width)]
    strides = [int(generator.integers(1, 3)) for _ in kernel]
    pads = [int(generator.integers(0, k)) for k in kernel * 2]
    rounds_up = kind == "MaxPool" and generator.random() < 0.3
    places = []
    for axis, size in enumerate((height, width)):
        room = size + pads[axis] + pads[axis + 2] - kernel[axis]
        if rounds_up and -(-room // strides[axis]) * strides[axis] >= size + pads[axis]:
            rounds_up = False  # onnx's shape inference counts a window of padding alone in this opset
    for axis, size in enumerate((height, width)):
        room = size + pads[axis] + pads[axis + 2] - kernel[axis]
        places.append((-(-room // strides[axis]) if rounds_up else room // strides[axis]) + 1)
    network.shape = (1, channels, *places)
    attributes |= {"kernel_shape": kernel, "strides": strides, "pads": pads, "ceil_mode": int(rounds_up)}
    return network.node(kind, [x], name, **attributes)


def _average(network: Network, x: str, name: str, scale: np.float32) -> str:
    return _pool(network, x, name, "AveragePool", count_include_pad=int(network.generator.integers(0, 2)))


def _maximum(network: Network, x: str, name: str, scale: np.float32) -> str:
    return _pool(network, x, name, "MaxPool")


def _global_average(network: Network, x: str, name: str, scale: np.float32) -> str:
    network.shape = (*network.shape[:2], 1, 1)
    return network.node("GlobalAveragePool", [x], name)


def _with_itself(kind: str):
    return lambda network, x, name, scale: network.node(kind, [x, x], name)


def _concat(network: Network, x: str, name: str, scale: np.float32) -> str:
    network.shape = (1, 2 * network.shape[1], *network.shape[2:])
    return network.node("Concat", [x, x], name, axis=1)


def _relu(network: Network, x: str, name: str, scale: np.float32) -> str:
    return network.node("Relu", [x], name)


def _transposed(network: Network, x: str, name: str, scale: np.float32) -> str:
    generator, (_, channels, height, width) = network.generator, network.shape
    divisors = [d for d in range(1, channels + 1) if channels % d == 0]
    groups = int(generator.choice(divisors)) if generator.random() < 0.3 else 1
    per_group = int(generator.integers(1, 5))
    kernel, strides = ([int(generator.integers(1, n)) for _ in range(2)] for n in (5, 4))
    dilations = [int(generator.choice([1, 2], p=[0.8, 0.2])) for _ in kernel]
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    more = [int(generator.integers(0, max(stride, dilation))) for stride, dilation in zip(strides, dilations)]
    pads = [int(generator.integers(0, span)) for span in spans * 2]
    sizes = [0, 0]
    for axis, size in enumerate((height, width)):
        whole = strides[axis] * (size - 1) + spans[axis] + more[axis]
        if whole - pads[axis] - pads[axis + 2] < 1:
            pads[axis] = pads[axis + 2] = 0
        sizes[axis] = whole - pads[axis] - pads[axis + 2]
    weights = network.constant(
        f"{name}_weights", generator.integers(-128, 128, (channels, per_group, *kernel)).astype(np.int8)
    )
    per_channel = generator.random() < 0.6
    scales = [network.random_scale(-3.5, -1.5) for _ in range(per_group if per_channel else 1)]
    inputs = [x, network.dequantised(weights, np.array(scales) if per_channel else scales[0], None, axis=1)]
    if generator.random() < 0.5:
        bias = generator.integers(-3000, 3000, groups * per_group).astype(np.int32)
        inputs.append(network.dequantised(network.constant(f"{name}_bias", bias), network.random_scale(-4, -3), None))
    network.shape = (1, groups * per_group, *sizes)
    attributes = {"strides": strides, "pads": pads, "dilations": dilations, "output_padding": more, "group": groups}
    return network.node("ConvTranspose", inputs, name, **attributes)


def _resize(network: Network, x: str, name: str, scale: np.float32) -> str:
    generator, (batch, channels, *sizes) = network.generator, network.shape
    linear = generator.random() < 0.5
    kinds = ["half_pixel", "asymmetric", "pytorch_half_pixel"] + ([] if linear else ["align_corners"])
    if linear:
        results = [size * int(generator.choice([1, 2, 3])) for size in sizes]
    else:
        results = [int(generator.integers(1, 20)) for _ in sizes]
    places = network.constant(f"{name}_sizes", np.array([batch, channels, *results]))
    network.shape = (batch, channels, *results)
    attributes: dict[str, object] = {"coordinate_transformation_mode": str(generator.choice(kinds))}
    if linear:
        attributes["mode"] = "linear"
    else:
        attributes["nearest_mode"] = str(generator.choice(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]))
    return network.node("Resize", [x, "", "", places], name, **attributes)


def _slice(network: Network, x: str, name: str, scale: np.float32) -> str:
    generator, chosen = network.generator, []
    for size in network.shape[1:]:
        step = int(generator.choice([-2, -1, 1, 1, 2]))
        kept = range(size)[slice(*((size - 1, None) if step < 0 else (int(generator.integers(0, size)), None)), step)]
        chosen.append((kept.start, -(size + 1) if step < 0 else size, step, len(kept)))
    starts, ends, steps, sizes = zip(*chosen)
    rows = (("starts", starts), ("ends", ends), ("axes", (1, 2, 3)), ("steps", steps))
    inputs = [network.constant(f"{name}_{key}", np.array(numbers)) for key, numbers in rows]
    network.shape = (1, *sizes)
    return network.node("Slice", [x, *inputs], name)


def _split(network: Network, x: str, name: str, scale: np.float32) -> str:
    """The halves of an axis, the second before the first."""
    axis = int(network.generator.integers(1, 4))
    size = network.shape[axis]
    if size < 2:
        return network.node("Identity", [x], name)
    parts = [int(network.generator.integers(1, size))]
    parts.append(size - parts[0])
    halves = [f"{name}_0", f"{name}_1"]
    inputs = [x, network.constant(f"{name}_parts", np.array(parts))]
    network.nodes.append(helper.make_node("Split", inputs, halves, name=f"{name}_split", axis=axis))
    return network.node("Concat", halves[::-1], name, axis=axis)


def _gather(network: Network, x: str, name: str, scale: np.float32) -> str:
    axis, sizes = int(network.generator.integers(1, 4)), list(network.shape)
    indices = network.generator.integers(-sizes[axis], sizes[axis], int(network.generator.integers(1, 8)))
    sizes[axis] = len(indices)
    network.shape = tuple(sizes)
    return network.node("Gather", [x, network.constant(f"{name}_indices", indices)], name, axis=axis)


def _pad(network: Network, x: str, name: str, scale: np.float32) -> str:
    mode = str(network.generator.choice(["constant", "edge", "reflect"]))
    low, high = ([0, 0, *(int(network.generator.integers(0, n)) for n in network.shape[2:])] for _ in range(2))
    network.shape = tuple(a + size + b for a, size, b in zip(low, network.shape, high))
    return network.node("Pad", [x, network.constant(f"{name}_pads", np.array(low + high))], name, mode=mode)


def _function(network: Network, x: str, name: str, scale: np.float32) -> str:
    kinds = ["Abs", "Elu", "Erf", "HardSigmoid", "LeakyRelu", "Neg", "Sigmoid", "Softplus", "Tanh"]
    return network.node(str(network.generator.choice(kinds)), [x], name)


def _swish(network: Network, x: str, name: str, scale: np.float32) -> str:
    """An expression of one value: x * sigmoid(x), or x * clip(x + 3, 0, 6) / 6."""
    if network.generator.random() < 0.5:
        return network.node("Mul", [x, network.node("Sigmoid", [x], f"{name}_gate")], name)
    numbers = {
        key: network.constant(f"{name}_{key}", np.float32(value)) for key, value in (("a", 3), ("b", 0), ("c", 6))
    }
    moved = network.node("Add", [x, numbers["a"]], f"{name}_moved")
    gate = network.node("Clip", [moved, numbers["b"], numbers["c"]], f"{name}_gate")
    return network.node("Div", [network.node("Mul", [x, gate], f"{name}_product"), numbers["c"]], name)


def _prelu(network: Network, x: str, name: str, scale: np.float32) -> str:
    slopes = network.generator.normal(0, 0.4, (network.shape[1], 1, 1)).astype(np.float32)
    return network.node("PRelu", [x, network.constant(f"{name}_slopes", slopes)], name)


def _reduce(network: Network, x: str, name: str, scale: np.float32) -> str:
    axes = [int(axis) for axis in np.flatnonzero(network.generator.random(3) < 0.5) + 1] or [2]
    network.shape = tuple(1 if axis in axes else size for axis, size in enumerate(network.shape))
    kind = str(network.generator.choice(["ReduceMean", "ReduceMax", "ReduceMin"]))
    return network.node(kind, [x], name, axes=axes)


def _attention(network: Network, x: str, name: str, scale: np.float32) -> str:
    """x times x transposed, or the other way round; both are computed."""
    batch, channels, height, width = network.shape
    turned = network.node("Transpose", [x], f"{name}_turned", perm=[0, 1, 3, 2])
    first = network.generator.random() < 0.5
    network.shape = (batch, channels, *([height] * 2 if first else [width] * 2))
    return network.node("MatMul", [x, turned] if first else [turned, x], name)


def _largest(network: Network, x: str, name: str, scale: np.float32) -> str:
    """Of each element and the largest of its channel: broadcasting between computed values."""
    kind = str(network.generator.choice(["Max", "Min", "Add", "Sub", "Mul"]))
    return network.node(kind, [x, network.node("GlobalMaxPool", [x], f"{name}_pool")], name)


def _softmax(network: Network, x: str, name: str, scale: np.float32) -> str:
    return network.node("Softmax", [x], name, axis=int(network.generator.integers(1, 4)))


def _normal(network: Network, x: str, name: str, scale: np.float32) -> str:
    axis = int(network.generator.integers(1, 4))
    shape = network.shape[axis:]
    constants = [network.generator.normal(mean, 0.5, shape).astype(np.float32) for mean in (1, 0)]
    inputs = [x, *(network.constant(f"{name}_{key}", each) for key, each in zip(("scale", "bias"), constants))]
    epsilon = float(network.generator.choice([1e-5, 0.1, 1]))
    return network.node("LayerNormalization", inputs, name, axis=axis, epsilon=epsilon)


LAYERS = {
    "normal": _normal,
    "transposed": _transposed,
    "resize": _resize,
    "slice": _slice,
    "split": _split,
    "gather": _gather,
    "pad": _pad,
    "function": _function,
    "swish": _swish,
    "prelu": _prelu,
    "reduce": _reduce,
    "attention": _attention,
    "largest": _largest,
    "softmax": _softmax,
    "conv": _conv,
    "depthwise": _depthwise,
    "average": _average,
    "maximum": _maximum,
    "global_average": _global_average,
    "add": _with_itself("Add"),
    "mul": _with_itself("Mul"),
    "concat": _concat,
    "rectify": _relu,
}
