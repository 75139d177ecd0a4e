"""Small float networks with random weights, of the families that run on microcontrollers; a quantiser's input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


@dataclass
class Network:
    """A graph that grows layer by layer: each method adds nodes and returns the name of the result."""

    shape: tuple[int, ...]
    opset: int = OPSET
    generator: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def model(self, *outputs: str) -> onnx.ModelProto:
        """Return the graph with input 'x' and these outputs, whose shapes onnx infers."""
        given = helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)
        results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self.nodes, "net", [given], results, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        return onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)

    def node(self, kind: str, *inputs: str, outputs: int = 1, **attributes: object) -> str | list[str]:
        name = f"{kind.lower()}{len(self.nodes)}"
        names = [name] if outputs == 1 else [f"{name}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=name, **attributes))
        return name if outputs == 1 else names

    def constant(self, values: object, dtype: type = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def random(self, *shape: int, spread: float = 1.0) -> str:
        return self.constant(self.generator.normal(0, spread, shape))

    def conv(
        self, x: str, channels: tuple[int, int], kernel: Sequence[int], groups: int = 1, **attributes: object
    ) -> str:
        """channels: input and output channels, all of them. Each output channel has weights of another size."""
        inputs, outputs = channels
        taps = inputs // groups * int(np.prod(kernel))
        weights = self.generator.normal(0, taps**-0.5, (outputs, inputs // groups, *kernel))
        weights *= self.generator.uniform(0.3, 2, (outputs, *[1] * (len(kernel) + 1)))
        bias = self.random(outputs, spread=0.2)
        return self.node("Conv", x, self.constant(weights), bias, group=groups, **attributes)

    def same(self, x: str, inputs: int, outputs: int, size: int = 3, stride: int = 1, groups: int = 1) -> str:
        """A square convolution whose map stays as large, divided by the stride."""
        pads = [size // 2] * 4
        return self.conv(x, (inputs, outputs), (size, size), groups, pads=pads, strides=[stride, stride])

    def dense(self, x: str, inputs: int, outputs: int) -> str:
        weights = self.random(outputs, inputs, spread=inputs**-0.5)
        return self.node("Gemm", x, weights, self.random(outputs, spread=0.2), transB=1)

    def product(self, x: str, inputs: int, outputs: int) -> str:
        """A dense layer as exporters write it for inputs of rank 3: MatMul, then Add of the bias."""
        weights = self.random(inputs, outputs, spread=inputs**-0.5)
        return self.node("Add", self.node("MatMul", x, weights), self.random(outputs, spread=0.2))

    def relu(self, x: str) -> str:
        return self.node("Relu", x)

    def relu6(self, x: str) -> str:
        return self.node("Clip", x, self.constant(0), self.constant(6))

    def doubled(self, x: str, mode: str = "nearest") -> str:
        """A map of twice as many rows and columns."""
        places = {"coordinate_transformation_mode": "half_pixel" if mode == "linear" else "asymmetric"}
        return self.node("Resize", x, "", self.constant([1, 1, 2, 2]), mode=mode, nearest_mode="floor", **places)

    def flat(self, x: str) -> str:
        return self.node("Flatten", x)

    def reshape(self, x: str, *shape: int) -> str:
        return self.node("Reshape", x, self.constant(shape, np.int64))


# Families


def cnn() -> onnx.ModelProto:
    """VGG: convolutions, max pools, dense layers, Softmax."""
    net = Network((1, 3, 12, 12))
    x = net.relu(net.same("x", 3, 8))
    x = net.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net.relu(net.same(x, 8, 12))
    x = net.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    x = net.relu(net.dense(net.flat(x), 108, 16))
    return net.model(net.node("Softmax", net.dense(x, 16, 10), axis=-1))


def keyword_spotting() -> onnx.ModelProto:
    """DS-CNN: a 10x4 convolution on a spectrogram, depthwise separable layers, average pool."""
    net = Network((1, 1, 25, 10))
    x = net.relu(net.conv("x", (1, 8), (10, 4), strides=[2, 2], pads=[4, 1, 5, 1]))
    for _ in range(2):
        x = net.relu(net.same(x, 8, 8, groups=8))
        x = net.relu(net.same(x, 8, 8, size=1))
    x = net.node("AveragePool", x, kernel_shape=[13, 5])
    return net.model(net.dense(net.flat(x), 8, 12))


def autoencoder() -> onnx.ModelProto:
    net = Network((1, 40))
    x, width = "x", 40
    for size in (24, 24, 4, 24, 24):
        x, width = net.relu(net.dense(x, width, size)), size
    return net.model(net.dense(x, width, 40))


def unet(upsampled: bool = False) -> onnx.ModelProto:
    """Transposed convolution and linear Resize, each joined with what came down by Concat.

    upsampled: with nearest Resize in place of both, which is all that onnxruntime quantises in QOperator form.
    """
    net = Network((1, 2, 12, 12))
    first = net.relu(net.same("x", 2, 6))
    second = net.relu(net.same(net.node("MaxPool", first, kernel_shape=[2, 2], strides=[2, 2]), 6, 8))
    x = net.relu(net.same(net.node("MaxPool", second, kernel_shape=[2, 2], strides=[2, 2]), 8, 8))
    if upsampled:
        x = net.doubled(x)
    else:
        weights, bias = net.random(8, 8, 2, 2, spread=0.2), net.random(8, spread=0.1)
        x = net.node("ConvTranspose", x, weights, bias, strides=[2, 2])
    x = net.relu(net.same(net.node("Concat", second, x, axis=1), 16, 6))
    x = net.doubled(x, "nearest" if upsampled else "linear")
    x = net.relu(net.same(net.node("Concat", first, x, axis=1), 12, 6))
    return net.model(net.same(x, 6, 2, size=1))


def unet_upsampled() -> onnx.ModelProto:
    return unet(upsampled=True)


def mobilenet_v2() -> onnx.ModelProto:
    """Inverted residuals with linear bottlenecks and ReLU6."""
    net = Network((1, 3, 16, 16))
    x = net.relu6(net.same("x", 3, 6, stride=2))
    for stride in (1, 2):
        y = net.relu6(net.same(x, 6, 18, size=1))
        y = net.relu6(net.same(y, 18, 18, stride=stride, groups=18))
        y = net.same(y, 18, 6, size=1)
        x = net.node("Add", x, y) if stride == 1 else y
    x = net.node("ReduceMean", net.relu6(net.same(x, 6, 24, size=1)), axes=[2, 3], keepdims=0)
    return net.model(net.dense(x, 24, 5))


def mobilenet_v3() -> onnx.ModelProto:
    """HardSwish, and squeeze and excitation with HardSigmoid."""
    net = Network((1, 3, 12, 12))
    x = net.node("HardSwish", net.same("x", 3, 8, stride=2))
    y = net.node("HardSwish", net.same(x, 8, 16, size=1))
    y = net.node("HardSwish", net.same(y, 16, 16, size=5, groups=16))
    s = net.node("GlobalAveragePool", y)
    s = net.relu(net.same(s, 16, 8, size=1))
    s = net.node("HardSigmoid", net.same(s, 8, 16, size=1), alpha=1 / 6, beta=0.5)
    x = net.node("Add", x, net.same(net.node("Mul", y, s), 16, 8, size=1))
    x = net.node("GlobalAveragePool", net.node("HardSwish", net.same(x, 8, 24, size=1)))
    return net.model(net.dense(net.flat(x), 24, 5))


def efficientnet_lite() -> onnx.ModelProto:
    """MBConv with 5x5 kernels and ReLU6; asymmetric padding as TensorFlow has it."""
    net = Network((1, 3, 15, 17))
    x = net.relu6(net.conv("x", (3, 8), (3, 3), strides=[2, 2], pads=[0, 0, 1, 1]))
    y = net.relu6(net.same(x, 8, 24, size=1))
    y = net.relu6(net.conv(y, (24, 24), (5, 5), 24, auto_pad="SAME_UPPER", strides=[2, 2]))
    x = net.same(y, 24, 8, size=1)
    y = net.relu6(net.same(net.relu6(net.same(x, 8, 24, size=1)), 24, 24, size=5, groups=24))
    x = net.node("Add", net.same(y, 24, 8, size=1), x)
    x = net.node("GlobalAveragePool", net.relu6(net.same(x, 8, 16, size=1)))
    return net.model(net.dense(net.flat(x), 16, 7))


def yolo() -> onnx.ModelProto:
    """Two heads on maps of different sizes: upsampling, LeakyRelu, Sigmoid of slices, Concat of all boxes."""
    net = Network((1, 3, 16, 16))
    fine = net.node("LeakyRelu", net.same("x", 3, 8, stride=2), alpha=0.1)
    coarse = net.node("LeakyRelu", net.same(fine, 8, 8, stride=2), alpha=0.1)
    up = net.doubled(coarse)
    heads = []
    for x, inputs, places in ((coarse, 8, 16), (net.node("Concat", up, fine, axis=1), 16, 64)):
        raw = net.reshape(net.same(x, inputs, 7, size=1), 1, 7, places)
        raw = net.node("Transpose", raw, perm=[0, 2, 1])
        middle, size, rest = (
            net.node("Slice", raw, *(net.constant([number], np.int64) for number in (start, end, 2)))
            for start, end in ((0, 2), (2, 4), (4, 7))
        )
        size = net.node("Mul", size, net.constant(0.5))
        heads.append(net.node("Concat", net.node("Sigmoid", middle), size, net.node("Sigmoid", rest), axis=2))
    return net.model(net.node("Concat", *heads, axis=1))


def tcn() -> onnx.ModelProto:
    """Dilated, causal, one-dimensional convolutions with residuals."""
    net = Network((1, 4, 32))
    x = net.conv("x", (4, 8), (1,))
    for dilation in (1, 2, 4):
        y = net.relu(net.conv(x, (8, 8), (3,), dilations=[dilation], pads=[2 * dilation, 0]))
        x = net.relu(net.node("Add", x, net.conv(y, (8, 8), (1,))))
    return net.model(net.dense(net.flat(net.node("GlobalAveragePool", x)), 8, 6))


def resnet() -> onnx.ModelProto:
    """Residuals whose two sides have very different scales, and a shortcut with a convolution."""
    net = Network((1, 3, 10, 10))
    x = net.relu(net.same("x", 3, 8))
    for outputs, stride, gain in ((8, 1, 30.0), (12, 2, 0.02)):
        y = net.same(net.relu(net.same(x, 8, outputs, stride=stride)), outputs, outputs)
        y = net.node("Mul", y, net.constant(gain))
        shortcut = x if stride == 1 else net.same(x, 8, outputs, size=1, stride=2)
        x = net.relu(net.node("Add", y, shortcut))
    return net.model(net.dense(net.flat(net.node("GlobalAveragePool", x)), 12, 10))


def transformer() -> onnx.ModelProto:
    """One encoder block: attention with two heads, LayerNormalization, and a feed-forward part with Gelu."""
    net, length, width, heads = Network((1, 6, 8), opset=20), 6, 8, 2
    normal = net.node("LayerNormalization", "x", net.constant(np.linspace(0.5, 1.5, width)), net.random(width), axis=-1)
    parts = []
    for permutation in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]):
        split = net.reshape(net.product(normal, width, width), 1, length, heads, width // heads)
        parts.append(net.node("Transpose", split, perm=permutation))
    query, key, value = parts
    scores = net.node("Mul", net.node("MatMul", query, key), net.constant((width // heads) ** -0.5))
    mixed = net.node("MatMul", net.node("Softmax", scores, axis=-1), value)
    mixed = net.reshape(net.node("Transpose", mixed, perm=[0, 2, 1, 3]), 1, length, width)
    x = net.node("Add", "x", net.product(mixed, width, width))
    y = net.node("LayerNormalization", x, net.constant(np.ones(width)), net.random(width), axis=-1)
    y = net.product(net.node("Gelu", net.product(y, width, 16)), 16, width)
    x = net.node("ReduceMean", net.node("Add", x, y), net.constant([1], np.int64), keepdims=0)
    return net.model(net.dense(x, width, 4))


def shufflenet() -> onnx.ModelProto:
    """Grouped convolutions, with channels shuffled by Reshape and Transpose."""
    net = Network((1, 4, 10, 10))
    x = net.relu(net.same("x", 4, 12))
    y = net.relu(net.same(x, 12, 12, size=1, groups=3))
    y = net.reshape(net.node("Transpose", net.reshape(y, 1, 3, 4, 10, 10), perm=[0, 2, 1, 3, 4]), 1, 12, 10, 10)
    y = net.same(net.same(y, 12, 12, stride=2, groups=12), 12, 12, size=1, groups=3)
    shortcut = net.node("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    x = net.relu(net.node("Concat", shortcut, y, axis=1))
    return net.model(net.dense(net.flat(net.node("GlobalAveragePool", x)), 24, 6))


def squeezenet() -> onnx.ModelProto:
    """Fire modules, whose two branches are joined, and a classifier that is a convolution."""
    net = Network((1, 3, 13, 13))
    x, width = net.relu(net.conv("x", (3, 8), (3, 3), strides=[2, 2])), 8
    for _ in range(2):
        s = net.relu(net.same(x, width, 4, size=1))
        x, width = net.node("Concat", net.relu(net.same(s, 4, 6, size=1)), net.relu(net.same(s, 4, 6)), axis=1), 12
    x = net.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=0)
    x = net.node("GlobalAveragePool", net.relu(net.same(x, 12, 5, size=1)))
    return net.model(net.node("Softmax", net.flat(x)))


def waveform() -> onnx.ModelProto:
    """M5: strided one-dimensional convolutions on samples of sound, and max pools."""
    net = Network((1, 1, 200))
    x = net.relu(net.conv("x", (1, 8), (16,), strides=[4]))
    x = net.node("MaxPool", x, kernel_shape=[4], strides=[4])
    x = net.relu(net.conv(x, (8, 12), (3,), pads=[1, 1]))
    x = net.node("Tanh", net.dense(net.flat(net.node("GlobalAveragePool", x)), 12, 8))
    return net.model(net.dense(x, 8, 4))


def mixer() -> onnx.ModelProto:
    """MatMul with a bias added, along tokens and along channels: MLP-Mixer."""
    net = Network((1, 3, 8, 8))
    x = net.reshape(net.conv("x", (3, 8), (4, 4), strides=[4, 4]), 1, 8, 4)
    y = net.product(net.relu(net.product(x, 4, 8)), 8, 4)
    x = net.node("Transpose", net.node("Add", x, y), perm=[0, 2, 1])
    y = net.product(net.relu(net.product(x, 8, 16)), 16, 8)
    return net.model(net.dense(net.flat(net.node("Add", x, y)), 32, 5))


ARCHITECTURES: dict[str, Callable[[], onnx.ModelProto]] = {
    made.__name__: made
    for made in (
        cnn, keyword_spotting, autoencoder, unet, unet_upsampled, mobilenet_v2, mobilenet_v3, efficientnet_lite, yolo,
        tcn, resnet, transformer, shufflenet, squeezenet, waveform, mixer,
    )
}  # fmt: skip
