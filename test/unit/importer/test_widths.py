"""Integers of 2 to 16 bits, scales for blocks, Clip between quantisers, and the meanings of older operators."""

import numpy as np
import onnx
import pytest
from agreement import check_agreement
from onnx import TensorProto, helper, numpy_helper

from htvm import driver
from htvm.backend import targets
from htvm.import_onnx import ModelError, ModelWarning, import_onnx
from htvm.passes.analysis import exact_requant

random = np.random.default_rng(6)


def around(nodes: str, shape: str, out: str, dtype: str = "int8", zero: int = 3) -> str:
    return f"""g ({dtype}[{shape}] x) => ({dtype}[{out}] y)
      <float s = {{0.05}}, {dtype} z = {{{zero}}}, float t = {{0.11}}, {dtype} u = {{{zero + 2}}}> {{
      a = DequantizeLinear(x, s, z)
      {nodes}
      y = QuantizeLinear(b, t, u) }}"""


def with_tensors(model: onnx.ModelProto, *tensors: onnx.TensorProto) -> onnx.ModelProto:
    model.graph.initializer.extend(tensors)
    return model


def array(name: str, values: object, dtype: type = np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, dtype), name)


@pytest.mark.parametrize(("kind", "lowest", "highest"), [("INT4", -8, 7), ("UINT4", 0, 15)])
@pytest.mark.parametrize("channels", [1, 4])
def test_weights_of_4_bits(graph, kind, lowest, highest, channels):
    weights = random.integers(lowest, highest, (4, 3, 2, 2), endpoint=True).reshape(-1)
    points = random.integers(lowest, highest, channels, endpoint=True)
    shape = [channels] if channels > 1 else []
    nodes = "k = DequantizeLinear<axis = 0>(w, ws, wz)\n b = Conv(a, k)"
    number = TensorProto.DataType.Value(kind)
    model = with_tensors(
        graph(around(nodes, "1,3,5,5", "1,4,4,4"), opset=21),
        helper.make_tensor("w", number, [4, 3, 2, 2], weights),
        helper.make_tensor("wz", number, shape, points),
        array("ws", random.uniform(0.01, 0.02, shape)),
    )
    assert "xi8>" in check_agreement(model)


@pytest.mark.parametrize(
    ("scales", "exact"), [([0.5, 1, 2, 0.25], True), ([0.1, 0.1, 0.1, 0.1], True), ([0.1, 0.3, 0.7, 0.9], False)]
)
def test_a_scale_for_each_block(graph, scales, exact):
    nodes = "k = DequantizeLinear<axis = 0, block_size = 2>(w, ws)\n b = MatMul(a, k)"
    model = with_tensors(
        graph(around(nodes, "2,8", "2,3"), opset=21),
        array("w", random.integers(-8, 8, (8, 3)), np.int8),
        array("ws", np.repeat(np.array(scales)[:, None], 3, 1)),
    )
    if exact:
        check_agreement(model)
        return
    with pytest.raises(
        ModelError, match=r"scales of blocks \(0.1, 0.3, 0.7, ..\) are no small multiples of one number"
    ):
        import_onnx(model)


def test_activations_of_16_bits(graph):
    nodes = "k = DequantizeLinear(w, s)\n c = Conv(a, k)\n b = Relu(c)"
    model = with_tensors(
        graph(around(nodes, "1,3,5,5", "1,4,4,4", "int16", 300), opset=21),
        array("w", random.integers(-128, 128, (4, 3, 2, 2)), np.int8),
    )
    check_agreement(model)


def test_sums_of_16_bits(graph):
    check_agreement(graph(around("b = Add(a, a)", "40,4", "40,4", "int16", 300), opset=21))


def test_products_of_16_bits_beyond_32_are_exact(graph):
    check_agreement(graph(around("b = Mul(a, a)", "1,4", "1,4", "int16", 20_000), opset=21))


def test_layers_without_exact_constants_are_warned_of(graph, monkeypatch):
    monkeypatch.setattr(exact_requant, "corrected", lambda steps: None)  # which would make them exact
    text = around("b = GlobalAveragePool(a)", "1,1,3,3", "1,1,1,1", "int16", 0)
    model = graph(text.replace("0.05", "0.0123").replace("0.11", "0.01").replace("u = {2}", "u = {0}"), opset=21)
    with pytest.warns(ModelWarning, match=r"g: node 'GlobalAveragePool:b': \d+ of the sums that can occur give"):
        driver.lower(model, targets.load("rv32"), "integer")


def test_sums_of_32_bits_with_one_bound_are_exact(graph):
    model = graph("""g (float[1,1,3,3] x) => (float[1,1,3,3] y) <float[1,1,1,1] w = {300}, float low = {-128}> {
      a = Conv(x, w)
      b = Floor(a)
      y = Max(b, low)
    }""")
    check_agreement(model)


def test_clip_between_quantisers(graph):
    """Brevitas: integers narrower than their storage, of activations and of weights."""
    nodes = """q = QuantizeLinear(a, t, u)
      c = Clip(q, low, high)
      d = DequantizeLinear(c, t, u)
      wq = QuantizeLinear(w, ws, wz)
      wc = Clip(wq, low, high)
      k = DequantizeLinear(wc, ws, wz)
      b = MatMul(d, k)"""
    model = with_tensors(
        graph(around(nodes, "2,6", "2,4"), opset=13),
        array("w", random.normal(0, 0.1, (6, 4))),
        array("ws", 0.02),
        array("wz", 0, np.int8),
        array("low", -8, np.int8),
        array("high", 7, np.int8),
    )
    assert "i8<-8:7>" in check_agreement(model)


@pytest.mark.parametrize(
    ("nodes", "shape", "out", "opset"),
    [
        ("b = Clip<min = 0.0, max = 6.0>(a)", "1,4", "1,4", 10),
        ("b = Softmax(a)", "1,2,4", "1,2,4", 11),
        ("b = Unsqueeze<axes = [0, 3]>(a)", "2,4", "1,2,4,1", 11),
        ("b = Squeeze<axes = [0]>(a)", "1,2,4", "2,4", 11),
        ("b = ReduceSum<axes = [2, 3]>(a)", "1,2,4,3", "1,2,1,1", 11),
        ("b = Pad<pads = [0, 0, 1, 1, 0, 0, 1, 2]>(a)", "1,2,4,3", "1,2,6,6", 10),
        ("b = Pad<pads = [0, 1, 0, 0], value = 0.7>(a)", "2,4", "2,5", 10),
        ("b = Dropout(a)", "1,4", "1,4", 11),
        ("b = AveragePool<kernel_shape = [3], pads = [1, 1]>(a)", "1,2,7", "1,2,7", 13),
        ("b = MaxPool<kernel_shape = [2], strides = [2]>(a)", "1,2,8", "1,2,4", 13),
        ("b = GlobalAveragePool(a)", "1,2,7", "1,2,1", 13),
    ],
)
def test_older_meanings_and_sequences(graph, nodes, shape, out, opset):
    check_agreement(graph(around(nodes, shape, out), opset=opset))


@pytest.mark.parametrize("names", [("n",), ("n", "h")])
def test_shapes_of_inputs(graph, names):
    shape = ",".join([*names, "3", "4"])
    text = around("b = Relu(a)", shape, shape)
    given = {"x": [1] * len(names) + [3, 4]}
    check_agreement(graph(text), shapes=given)
    if len(names) > 1:
        with pytest.raises(ModelError, match="axis 0 has size 'n', expected a number: give the input's shape"):
            import_onnx(graph(text))
        return
    with pytest.warns(ModelWarning, match="input 'x': axis 0 has size 'n': taken to be 1, shape 1x3x4"):
        module = import_onnx(graph(text))
    assert "tensor<1x3x4x!quant" in str(module)


def test_shapes_that_do_not_fit(graph):
    model = graph(around("b = Relu(a)", "n,3", "n,3"))
    with pytest.raises(ModelError) as caught:
        import_onnx(model, shapes={"x": (1, 4), "q": (1,)})
    assert caught.value.problems == (
        "g: input 'x': the shape given is 1x4, expected ?x3",
        "g: a shape is given for 'q', the inputs are x",
    )
