"""Random float networks, and random quantised ones in which quantisers are left out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Shape = tuple[int, ...]


class Builder:
    """A graph being written: nodes and initialisers, with fresh names."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, array: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def op(self, kind: str, inputs: list[str], **attributes: object) -> str:
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], f"{kind}{len(self.nodes)}", **attributes))
        return name

    def model(self, name: str, x: tuple[int, Shape], y: tuple[str, int, Shape]) -> onnx.ModelProto:
        output, kind, shape = y
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info("x", x[0], x[1])],
            [helper.make_tensor_value_info(output, kind, shape)],
            self.constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


Layer = Callable[[Builder, str, Shape], tuple[str, Shape]]


def _float(value: float) -> np.ndarray:
    return np.array(value, np.float32)


def _conv(kernel: int, pad: int, groups: bool = False) -> Layer:
    def layer(b: Builder, x: str, shape: Shape) -> tuple[str, Shape]:
        n, c, h, w = shape
        k = c if groups else int(b.random.integers(2, 5))
        weights = b.weights((k, 1 if groups else c, kernel, kernel))
        made = b.op("Conv", [x, weights], kernel_shape=[kernel] * 2, pads=[pad] * 4, group=c if groups else 1)
        return made, (n, k, h + 2 * pad - kernel + 1, w + 2 * pad - kernel + 1)

    return layer


def _unary(kind: str, **attributes: object) -> Layer:
    return lambda b, x, shape: (b.op(kind, [x], **attributes), shape)


def _with_number(kind: str, per_channel: bool) -> Layer:
    def layer(b: Builder, x: str, shape: Shape) -> tuple[str, Shape]:
        array = b.random.uniform(0.3, 1.5, (1, shape[1], 1, 1) if per_channel else ()).astype(np.float32)
        return b.op(kind, [x, b.constant(array)]), shape

    return layer


def _clip(b: Builder, x: str, shape: Shape) -> tuple[str, Shape]:
    low, high = sorted(b.random.uniform(-2, 3, 2))
    return b.op("Clip", [x, b.constant(_float(low)), b.constant(_float(high))]), shape


def _pool(kind: str, pad: int) -> Layer:
    def layer(b: Builder, x: str, shape: Shape) -> tuple[str, Shape]:
        size = 2 + pad
        made = b.op(kind, [x], kernel_shape=[size] * 2, pads=[pad] * 4, strides=[1, 1])
        return made, (*shape[:2], *(n + 2 * pad - size + 1 for n in shape[2:]))

    return layer


def _pad(b: Builder, x: str, shape: Shape) -> tuple[str, Shape]:
    mode = str(b.random.choice(["constant", "reflect", "edge"]))
    made = b.op("Pad", [x, b.constant(np.array([0, 0, 1, 1, 0, 0, 0, 1]))], mode=mode)
    return made, (*shape[:2], shape[2] + 1, shape[3] + 2)


def _concat(b: Builder, x: str, shape: Shape) -> tuple[str, Shape]:
    other = b.op(str(b.random.choice(["Relu", "Sigmoid", "Neg"])), [x])
    return b.op("Concat", [x, b.quantised(other)], axis=1), (shape[0], 2 * shape[1], *shape[2:])


def _binary(kind: str) -> Layer:
    def layer(b: Builder, x: str, shape: Shape) -> tuple[str, Shape]:
        other = b.op(str(b.random.choice(["Relu", "Tanh", "Neg"])), [x])
        return b.op(kind, [x, b.quantised(other)]), shape

    return layer


def _batch_norm(b: Builder, x: str, shape: Shape) -> tuple[str, Shape]:
    numbers = [b.random.uniform(0.3, 1.2, shape[1]).astype(np.float32) for _ in range(4)]
    return b.op("BatchNormalization", [x, *map(b.constant, numbers)]), shape


def _transpose(b: Builder, x: str, shape: Shape) -> tuple[str, Shape]:
    return b.op("Transpose", [x], perm=[0, 1, 3, 2]), (*shape[:2], shape[3], shape[2])


def _mean(b: Builder, x: str, shape: Shape) -> tuple[str, Shape]:
    return b.op("GlobalAveragePool", [x]), (*shape[:2], 1, 1)


def _resize(b: Builder, x: str, shape: Shape) -> tuple[str, Shape]:
    scales = b.constant(np.array([1, 1, 2, 2], np.float32))
    mode = str(b.random.choice(["nearest", "linear"]))
    return b.op("Resize", [x, "", scales], mode=mode), (*shape[:2], 2 * shape[2], 2 * shape[3])


def _matmul(b: Builder, x: str, shape: Shape) -> tuple[str, Shape]:
    k = int(b.random.integers(2, 6))
    matrix = b.op("Transpose", [b.weights((k, shape[3]))], perm=[1, 0])
    return b.op("MatMul", [x, matrix]), (*shape[:3], k)


def _conv_transpose(b: Builder, x: str, shape: Shape) -> tuple[str, Shape]:
    k = int(b.random.integers(1, 4))
    made = b.op("ConvTranspose", [x, b.weights((shape[1], k, 2, 2))], kernel_shape=[2, 2], strides=[2, 2])
    return made, (shape[0], k, 2 * shape[2], 2 * shape[3])


def _normalised(kind: str) -> Layer:
    def layer(b: Builder, x: str, shape: Shape) -> tuple[str, Shape]:
        size = shape[3] if kind == "LayerNormalization" else shape[1]
        numbers = (np.full(size, 0.75, np.float32), b.random.uniform(-1, 1, size).astype(np.float32))
        return b.op(kind, [x, *map(b.constant, numbers)]), shape

    return layer


def _reduced(kind: str) -> Layer:
    def layer(b: Builder, x: str, shape: Shape) -> tuple[str, Shape]:
        axis = int(b.random.integers(1, 4))
        return b.op(kind, [x], axes=[axis], keepdims=1), tuple(1 if i == axis else n for i, n in enumerate(shape))

    return layer


def _slice(b: Builder, x: str, shape: Shape) -> tuple[str, Shape]:
    bounds = [b.constant(np.array([n])) for n in (0, shape[3], 3, 2)]
    return b.op("Slice", [x, *bounds]), (*shape[:3], -(-shape[3] // 2))


def _prelu(b: Builder, x: str, shape: Shape) -> tuple[str, Shape]:
    slopes = b.random.uniform(0.1, 0.5, (shape[1], 1, 1)).astype(np.float32)
    return b.op("PRelu", [x, b.constant(slopes)]), shape


def _root(b: Builder, x: str, shape: Shape) -> tuple[str, Shape]:
    return b.op("Sqrt", [b.op("Abs", [x])]), shape


def _power(b: Builder, x: str, shape: Shape) -> tuple[str, Shape]:
    return b.op("Pow", [x, b.constant(_float(2.0))]), shape


def _quotient(b: Builder, x: str, shape: Shape) -> tuple[str, Shape]:
    below = b.op("Add", [b.op("Abs", [x]), b.constant(_float(0.5))])
    return b.op("Div", [x, below]), shape


LAYERS: dict[str, Layer] = {
    "conv1": _conv(1, 0),
    "conv3": _conv(3, 1),
    "depthwise": _conv(3, 1, groups=True),
    **{
        kind: _unary(kind)
        for kind in "Relu LeakyRelu Sigmoid Tanh HardSwish HardSigmoid Elu Softplus Abs Neg Erf Exp".split()
    },
    "Softmax": _unary("Softmax", axis=1),
    "Clip": _clip,
    "add": _binary("Add"),
    "mul": _binary("Mul"),
    "sub": _binary("Sub"),
    "max": _binary("Max"),
    "concat": _concat,
    "addc": _with_number("Add", False),
    "addc1": _with_number("Add", True),
    "mulc": _with_number("Mul", False),
    "mulc1": _with_number("Mul", True),
    "divc": _with_number("Div", False),
    "subc1": _with_number("Sub", True),
    "MaxPool": _pool("MaxPool", 0),
    "AveragePool": _pool("AveragePool", 0),
    "AveragePool1": _pool("AveragePool", 1),
    "pad": _pad,
    "transpose": _transpose,
    "mean": _mean,
    "resize": _resize,
    "batchnorm": _batch_norm,
    "matmul": _matmul,
    "convtranspose": _conv_transpose,
    "instancenorm": _normalised("InstanceNormalization"),
    "layernorm": _normalised("LayerNormalization"),
    **{kind: _reduced(kind) for kind in ("ReduceMean", "ReduceMax")},
    "slice": _slice,
    "prelu": _prelu,
    "root": _root,
    "power": _power,
    "quotient": _quotient,
    "min": _binary("Min"),
    **{kind: _unary(kind) for kind in "Selu Softsign Celu".split()},
}


class Floats(Builder):
    """A float network."""

    def weights(self, shape: Shape) -> str:
        return self.constant(self.random.normal(0, 0.4, shape).astype(np.float32))

    def quantised(self, name: str) -> str:
        return name


class Quantised(Builder):
    """A quantised network, in which some quantisers are left out."""

    def weights(self, shape: Shape) -> str:
        stored = self.constant(self.random.integers(-127, 128, shape, np.int8))
        if self.random.integers(2):
            scales = self.random.uniform(0.002, 0.02, shape[0]).astype(np.float32)
            points = self.constant(np.zeros(shape[0], np.int8))
            return self.op("DequantizeLinear", [stored, self.constant(scales), points], axis=0)
        return self.op("DequantizeLinear", [stored, self.constant(_float(self.random.uniform(0.002, 0.02)))])

    def quantised(self, name: str, always: bool = False) -> str:
        if not always and self.random.integers(2):
            return name
        kind = np.int8 if self.random.integers(3) else np.uint8
        scale = self.constant(_float(self.random.uniform(0.01, 0.08)))
        point = self.constant(np.array(self.random.integers(-20, 20) + (0 if kind == np.int8 else 120), kind))
        return self.op("DequantizeLinear", [self.op("QuantizeLinear", [name, scale, point]), scale, point])


def float_network(seed: int) -> onnx.ModelProto:
    """Return a network of 2 to 5 layers; the first and the last are any."""
    b = Floats(seed)
    name, shape = "x", (1, 3, 5, 6)
    for kind in b.random.choice(list(LAYERS), int(b.random.integers(2, 6))):
        if min(shape[2:]) >= 3 or not str(kind).startswith(("conv3", "depth", "Max", "Aver", "pad")):
            name, shape = LAYERS[str(kind)](b, name, shape)
    if name == "x":
        name, shape = LAYERS["Relu"](b, name, shape)
    return b.model(f"float_{seed}", (TensorProto.FLOAT, (1, 3, 5, 6)), (name, TensorProto.FLOAT, shape))


def quantised_network(seed: int) -> onnx.ModelProto:
    """Return a network of 2 to 4 layers between quantisers, with or without quantisers between them."""
    b = Quantised(seed)
    name, shape = b.quantised("x", always=True), (1, 3, 5, 6)
    for kind in b.random.choice(list(LAYERS), int(b.random.integers(2, 5))):
        if min(shape[2:]) >= 3 or not str(kind).startswith(("conv3", "depth", "Max", "Aver", "pad")):
            name, shape = LAYERS[str(kind)](b, b.quantised(name), shape)
    name = b.quantised(name, always=True)
    return b.model(f"quantised_{seed}", (TensorProto.FLOAT, (1, 3, 5, 6)), (name, TensorProto.FLOAT, shape))
