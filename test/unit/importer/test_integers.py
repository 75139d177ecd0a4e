"""Networks whose tensors are typed as integers, as MATCH's exporter writes them: layers on uint8, opset 10."""

import warnings

import numpy as np
import onnx
import pytest
from judging import check_exact, refusal
from onnx import TensorProto, helper, numpy_helper

import htvm
from htvm.import_onnx import ModelError, ModelWarning, import_onnx

CHANNELS = 6


class Network:
    """A graph of opset 10 being written, one node after the other."""

    def __init__(self, kind: int, shape: list[int], seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.input = helper.make_tensor_value_info("x", kind, shape)
        self.last = "x"

    def constant(self, array: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def node(self, kind: str, *constants: np.ndarray, **attributes: object) -> "Network":
        name = f"{kind}{len(self.nodes)}"
        inputs = [self.last, *map(self.constant, constants)]
        self.nodes.append(helper.make_node(kind, inputs, [f"t{len(self.nodes)}"], name, **attributes))
        self.last = self.nodes[-1].output[0]
        return self

    def weights(self, shape: tuple[int, ...], dtype: str = "uint8") -> np.ndarray:
        limits = np.iinfo(dtype)
        return self.random.integers(limits.min, limits.max + 1, shape).astype(dtype)

    def requantised(self, shape: tuple[int, ...], shift: int = 14, low: float = 0.0) -> "Network":
        """Add what follows a layer: times and plus integers, divided, rounded down, clipped, uint8 again."""
        self.node("Cast", to=TensorProto.INT32)
        self.node("Mul", self.random.integers(1, 90, shape).astype(np.int32))
        self.node("Add", self.random.integers(-(10**6), 10**5, shape).astype(np.int32))
        self.node("Div", np.array([1 << shift], np.int32)).node("Floor").node("Clip", min=low, max=255.0)
        return self.node("Cast", to=TensorProto.UINT8)

    def model(self, kind: int, shape: list[int]) -> onnx.ModelProto:
        output = helper.make_tensor_value_info(self.last, kind, shape)
        graph = helper.make_graph(self.nodes, "match", [self.input], [output], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 10)], ir_version=5)


def convolutions() -> onnx.ModelProto:
    """Return convolutions on uint8, a pool, and a matrix whose sums are the output, which is stated as float32."""
    net, per_channel = Network(TensorProto.UINT8, [1, 3, 6, 5]), (1, CHANNELS, 1, 1)
    net.node("Conv", net.weights((CHANNELS, 3, 3, 3)), pads=[1, 1, 1, 1], kernel_shape=[3, 3]).requantised(per_channel)
    net.node("Conv", net.weights((CHANNELS, 1, 3, 3)), group=CHANNELS, kernel_shape=[3, 3]).requantised(per_channel, 12)
    net.node("MaxPool", kernel_shape=[2, 3], strides=[2, 3]).node("Flatten", axis=1)
    net.node("MatMul", net.weights((2 * CHANNELS, 4))).node("Cast", to=TensorProto.INT32)
    net.node("Add", net.random.integers(-5000, 5000, (1, 4)).astype(np.int32))
    return net.model(TensorProto.FLOAT, [1, 4])


def with_signed_weights() -> onnx.ModelProto:
    net = Network(TensorProto.UINT8, [1, 2, 4, 4])
    net.node("Conv", net.weights((4, 2, 3, 3), "int8"), kernel_shape=[3, 3]).requantised((1, 4, 1, 1), 10)
    return net.model(TensorProto.UINT8, [1, 4, 2, 2])


def from_floats() -> onnx.ModelProto:
    """Return a network whose input of floats becomes uint8 first."""
    net = Network(TensorProto.FLOAT, [1, 8, 1])
    net.node("Flatten", axis=1).node("Cast", to=TensorProto.UINT8)
    net.node("MatMul", net.weights((8, 5))).requantised((1, 5), 15)
    return net.model(TensorProto.UINT8, [1, 5])


def in_32_bits() -> onnx.ModelProto:
    """Return a network of int32 alone."""
    net = Network(TensorProto.INT32, [1, 8])
    net.node("MatMul", net.weights((8, 5), "int8").astype(np.int32))
    net.node("Mul", net.random.integers(1, 90, (1, 5)).astype(np.int32))
    net.node("Div", np.array([1 << 9], np.int32)).node("Clip", min=0.0, max=255.0)
    net.node("Gemm", net.weights((5, 4), "int8").astype(np.int32), np.arange(4, dtype=np.int32))
    return net.model(TensorProto.INT32, [1, 4])


def import_quietly(model: onnx.ModelProto, **options: object) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return str(import_onnx(model, **options))


@pytest.mark.parametrize("network", [convolutions, with_signed_weights, from_floats])
def test_layers_on_integers_are_exact(network) -> None:
    check_exact(network())


def test_the_c_of_such_a_network_is_exact() -> None:
    with pytest.warns(ModelWarning, match="output 't20': is stated as float 1x4, but computed as int32 1x4"):
        assert htvm.verify(convolutions()).exact


def test_an_input_of_many_bits_has_fewer_by_an_input_type() -> None:
    model = in_32_bits()
    with pytest.warns(ModelWarning, match="input 'x': is int32 and may hold any; an input type such as x=u8"):
        import_onnx(model)
    assert htvm.verify(model, input_types={"x": "u8"}).exact
    with pytest.raises(ModelError, match=r"input 'x': is int32, expected an input type within it \(got 'f8'\)|'f8'"):
        import_onnx(model, input_types={"x": "f8"})


def test_what_may_be_negative_is_not_divided() -> None:
    """ONNX rounds quotients of integers towards zero, and Floor behind them changes nothing."""
    net = Network(TensorProto.UINT8, [1, 2, 4, 4])
    net.node("Conv", net.weights((4, 2, 3, 3), "int8"), kernel_shape=[3, 3]).requantised((1, 4, 1, 1), low=-128.0)
    said = refusal(net.model(TensorProto.UINT8, [1, 4, 2, 2]))
    assert "node 'Clip6' (Clip-6): divides int32 that may be negative, which rounds towards zero; expected Clip" in said


def test_what_may_wrap_around_is_refused() -> None:
    net = Network(TensorProto.UINT8, [1, 8])
    net.node("MatMul", net.weights((8, 5))).node("Cast", to=TensorProto.UINT8)
    said = refusal(net.model(TensorProto.UINT8, [1, 5]))
    assert "node 'Cast1' (Cast-9): makes uint8 of int32 that may be larger, which wrap around; Clip them" in said


def test_integers_and_floats_do_not_mix() -> None:
    net = Network(TensorProto.UINT8, [1, 8])
    net.node("MatMul", np.ones((8, 5), np.float32))
    with pytest.raises(ModelError, match="input 'c0' is float32, expected integers as the other ones"):
        import_quietly(net.model(TensorProto.FLOAT, [1, 5]))
