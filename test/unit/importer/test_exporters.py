"""Small networks as different exporters write them: the idioms of each, by hand, with the meaning compared."""

import numpy as np
import onnx
import pytest
from agreement import check_agreement
from onnx import TensorProto, helper, numpy_helper

from htvm.import_onnx import ModelError, import_onnx

random = np.random.default_rng(11)


class Graph:
    """A graph that is written node by node. constants: how an exporter writes them."""

    def __init__(self, opset: int, constants: str = "initialiser") -> None:
        self.opset, self.constants = opset, constants
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, kind: int, shape: list[int | str]) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def constant(self, values: object, dtype: type = np.float32) -> str:
        name = f"const{len(self.nodes) + len(self.initialisers)}"
        tensor = numpy_helper.from_array(np.asarray(values, dtype), name)
        if self.constants == "node":
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        else:
            self.initialisers.append(tensor)
        if self.constants == "input":
            self.inputs.append(helper.make_tensor_value_info(name, tensor.data_type, tensor.dims))
        return name

    def node(self, kind: str, *inputs: str, domain: str = "", **attributes: object) -> str:
        name = f"/{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [f"{name}_output_0"], name=name, domain=domain, **attributes))
        return f"{name}_output_0"

    def model(self, *results: tuple[str, int, list[int | str]]) -> onnx.ModelProto:
        outputs = [helper.make_tensor_value_info(*result) for result in results]
        graph = helper.make_graph(self.nodes, "main_graph", self.inputs, outputs, self.initialisers)
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10 if self.opset > 20 else 8)


def weights(*shape: int) -> np.ndarray:
    return random.integers(-127, 128, shape).astype(np.int8)


@pytest.mark.parametrize("constants", ["initialiser", "node", "input"])
def test_pytorch(constants: str) -> None:
    """torch.onnx of a model with fake quantisation: zero points per channel, Clip as in ReLU6, shapes computed."""
    g = Graph(17, constants)
    x = g.input("input.1", TensorProto.FLOAT, [1, 3, 8, 8])
    scale, zero = g.constant(0.0473), g.constant(114, np.uint8)
    a = g.node("DequantizeLinear", g.node("QuantizeLinear", x, scale, zero), scale, zero)
    w = g.node("DequantizeLinear", g.constant(weights(4, 3, 3, 3), np.int8), g.constant(random.uniform(0.001, 0.01, 4)),
               g.constant([0] * 4, np.int8), axis=0)  # fmt: skip
    bias = g.constant(random.normal(0, 1, 4))
    y = g.node("Conv", a, w, bias, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2], dilations=[1, 1], group=1)
    y = g.node("Clip", y, g.constant(0.0), g.constant(6.0))
    scale, zero = g.constant(0.0235), g.constant(0, np.uint8)
    y = g.node("DequantizeLinear", g.node("QuantizeLinear", y, scale, zero), scale, zero)
    y = g.node("GlobalAveragePool", y)
    size = g.node("Gather", g.node("Shape", y), g.constant(0, np.int64), axis=0)
    shape = g.node("Concat", g.node("Unsqueeze", size, g.constant([0], np.int64)), g.constant([-1], np.int64), axis=0)
    y = g.node("Reshape", y, shape, allowzero=0)
    y = g.node("DequantizeLinear", g.node("QuantizeLinear", y, scale, zero), scale, zero)
    w = g.node("DequantizeLinear", g.constant(weights(5, 4), np.int8), g.constant(0.01), g.constant(0, np.int8))
    y = g.node("Gemm", y, w, g.constant(random.normal(0, 1, 5)), alpha=1.0, beta=1.0, transB=1)
    scale, zero = g.constant(0.0618), g.constant(127, np.uint8)
    y = g.node("DequantizeLinear", g.node("QuantizeLinear", y, scale, zero), scale, zero)
    check_agreement(g.model((y, TensorProto.FLOAT, [1, 5])))


def test_tf2onnx() -> None:
    """Channels last at the interface: Transpose around convolutions, asymmetric pads, Squeeze, biases in int32."""
    g = Graph(13)
    x = g.input("serving_default_input:0", TensorProto.INT8, [1, 9, 7, 3])
    scale, zero = g.constant(0.0078), g.constant(-1, np.int8)
    a = g.node("Transpose", g.node("DequantizeLinear", x, scale, zero), perm=[0, 3, 1, 2])
    ws = random.uniform(0.001, 0.01, 4).astype(np.float32)
    w = g.node("DequantizeLinear", g.constant(weights(4, 3, 3, 3), np.int8), g.constant(ws),
               g.constant([0] * 4, np.int8), axis=0)  # fmt: skip
    bias = g.node("DequantizeLinear", g.constant(random.integers(-500, 500, 4), np.int32),
                  g.constant(np.float32(0.0078) * ws), g.constant([0] * 4, np.int32), axis=0)  # fmt: skip
    y = g.node("Relu", g.node("Conv", a, w, bias, strides=[2, 2], pads=[0, 0, 1, 1]))
    scale, zero = g.constant(0.0123), g.constant(-128, np.int8)
    y = g.node("QuantizeLinear", y, scale, zero)
    y = g.node("DequantizeLinear", y, scale, zero)
    y = g.node("Transpose", y, perm=[0, 2, 3, 1])
    y = g.node("ReduceMean", y, axes=[1, 2], keepdims=0)
    y = g.node("QuantizeLinear", y, scale, zero)
    check_agreement(g.model((y, TensorProto.INT8, [1, 4])))


def test_brevitas() -> None:
    """QCDQ: Clip between QuantizeLinear and DequantizeLinear narrows to 4 bits; weights are quantised floats."""
    g = Graph(13, "node")
    x = g.input("x", TensorProto.FLOAT, [1, 4, 6, 6])

    def narrowed(value: str, scale: object, low: int, high: int, dtype: type = np.int8) -> str:
        step, zero = g.constant(scale), g.constant(np.zeros(np.shape(scale)), dtype)
        axis = {"axis": 0} if np.ndim(scale) else {}
        stored = g.node("QuantizeLinear", value, step, zero, **axis)
        return g.node("DequantizeLinear", g.node("Clip", stored, g.constant(low, dtype), g.constant(high, dtype)),
                      step, zero, **axis)  # fmt: skip

    a = narrowed(x, 0.25, -8, 7)
    w = narrowed(g.constant(random.normal(0, 0.3, (6, 4, 3, 3))), random.uniform(0.05, 0.1, 6), -7, 7)
    y = g.node("Relu", g.node("Conv", a, w, pads=[1, 1, 1, 1]))
    y = narrowed(y, 0.125, 0, 15, np.uint8)
    w = narrowed(g.constant(random.normal(0, 0.3, (2, 6, 1, 1))), 0.06, -7, 7)
    y = narrowed(g.node("Conv", y, w), 0.2, -8, 7)
    check_agreement(g.model((y, TensorProto.FLOAT, [1, 2, 6, 6])))


def test_integer_operators_with_cast_and_mul() -> None:
    """What ConvInteger and MatMulInteger leave is scaled after a Cast: dynamic quantisation, with known scales."""
    g = Graph(13)
    x = g.input("x", TensorProto.UINT8, [1, 3, 5, 5])
    sums = g.node("ConvInteger", x, g.constant(weights(4, 3, 3, 3), np.int8), g.constant(128, np.uint8))
    y = g.node("Mul", g.node("Cast", sums, to=TensorProto.FLOAT), g.constant(0.0007))
    y = g.node("Add", y, g.constant(random.normal(0, 1, (1, 4, 1, 1))))
    y = g.node("Flatten", g.node("QuantizeLinear", g.node("Relu", y), g.constant(0.11), g.constant(3, np.uint8)))
    sums = g.node("MatMulInteger", y, g.constant(weights(36, 5), np.int8), g.constant(3, np.uint8))
    y = g.node("Mul", g.node("Cast", sums, to=TensorProto.FLOAT), g.constant(random.uniform(0.001, 0.002, 5)))
    y = g.node("QuantizeLinear", y, g.constant(0.3), g.constant(100, np.uint8))
    check_agreement(g.model((y, TensorProto.UINT8, [1, 5])))


def test_dynamic_quantisation_is_refused_with_what_would_help() -> None:
    g = Graph(13)
    x = g.input("x", TensorProto.FLOAT, [1, 8])
    g.nodes.append(helper.make_node("DynamicQuantizeLinear", [x], ["q", "s", "z"], name="dynamic"))
    sums = g.node("MatMulInteger", "q", g.constant(weights(8, 4), np.int8), "z")
    y = g.node("Mul", g.node("Cast", sums, to=TensorProto.FLOAT), g.node("Mul", "s", g.constant(0.01)))
    with pytest.raises(ModelError) as caught:
        import_onnx(g.model((y, TensorProto.FLOAT, [1, 4])))
    assert any("'dynamic'" in problem and "quantise statically" in problem for problem in caught.value.problems)


def test_int16_activations_and_int4_weights_with_blocks() -> None:
    """With scales that are powers of two: 31-bit multipliers do not give every 16-bit result of others."""
    g = Graph(21)
    x = g.input("x", TensorProto.INT16, [2, 8])
    a = g.node("DequantizeLinear", x, g.constant(2.0**-10))
    stored = helper.make_tensor("w4", TensorProto.INT4, [8, 3], random.integers(-8, 8, 24))
    g.initialisers.append(stored)
    blocks = np.array([1, 2, 4, 1], np.float32)[:, None] * np.array([1, 2, 4], np.float32) / 64
    w = g.node("DequantizeLinear", "w4", g.constant(blocks), axis=0, block_size=2)
    y = g.node("QuantizeLinear", g.node("MatMul", a, w), g.constant(2.0**-7), output_dtype=TensorProto.INT16)
    check_agreement(g.model((y, TensorProto.INT16, [2, 3])))
