"""Small random QDQ networks: shapes, strides, paddings, scales and weights as no designer would choose them.

A network is a chain of one to three layers between quantisers. Scales are random, or powers of two (then values tie);
weights are random, or all at one limit; activations are int8 or uint8.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 13


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
    return _convolution(network, x, name, scale, groups, groups * int(network.generator.integers(1, 9)))


def _depthwise(network: Network, x: str, name: str, scale: np.float32) -> str:
    channels = network.shape[1]
    return _convolution(network, x, name, scale, channels, channels * int(network.generator.integers(1, 3)))


def _convolution(network: Network, x: str, name: str, scale: np.float32, groups: int, outputs: int) -> str:
    generator, (_, channels, height, width) = network.generator, network.shape
    kernel = [int(generator.integers(1, min(5, size + 2) + 1)) for size in (height, width)]
    strides = [int(generator.integers(1, 3)) for _ in kernel]
    dilations = [int(generator.choice([1, 2], p=[0.8, 0.2])) for _ in kernel]
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    pads = [int(generator.integers(0, k)) for k in kernel * 2]
    for axis, size in enumerate((height, width)):  # a window must fit
        pads[axis] = max(pads[axis], spans[axis] - size - pads[axis + 2])
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
    rows, columns = (
        (size + pads[axis] + pads[axis + 2] - kernel[axis]) // strides[axis] + 1
        for axis, size in enumerate((height, width))
    )
    network.shape = (1, channels, rows, columns)
    return network.node(kind, [x], name, kernel_shape=kernel, strides=strides, pads=pads, **attributes)


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


LAYERS = {
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
