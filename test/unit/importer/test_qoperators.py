"""Operators on stored integers: QOperator form, sums of integers, and quantlib's RequantShift."""

import warnings

import numpy as np
import onnx
import pytest
from agreement import check_agreement
from onnx import TensorProto, helper, numpy_helper

from htvm.import_onnx import ModelError, import_onnx

random = np.random.default_rng(5)


def with_constants(model: onnx.ModelProto, **arrays: np.ndarray) -> onnx.ModelProto:
    """Return the model with more initialisers."""
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(a), name) for name, a in arrays.items())
    return model


def integers(dtype: type, *shape: int) -> np.ndarray:
    limits = np.iinfo(dtype)
    return random.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def quantised(node: str, shape: str, out: str, more: str = "") -> str:
    """Return a graph of uint8 input and output around a node that reads and writes stored integers."""
    return f"""g (uint8[{shape}] x) => (uint8[{out}] y)
      <float s = {{0.05}}, uint8 z = {{7}}, float t = {{0.11}}, uint8 u = {{128}}{more}> {{ {node} }}"""


SCALES = np.array([0.01, 0.02, 0.004, 0.03], np.float32)


@pytest.mark.parametrize(
    ("node", "shape", "out"),
    [
        ("y = QLinearConv<pads = [1, 1, 1, 1]>(x, s, z, w, ws, wz, t, u, b)", "1,3,5,5", "1,4,5,5"),
        ("y = QLinearConv(x, s, z, w, ws, wz, t, u)", "1,3,5,5", "1,4,3,3"),
        ("y = QLinearConv<group = 2, strides = [2, 2]>(x, s, z, v, one, zero, t, u)", "1,4,5,5", "1,4,2,2"),
        ("y = QLinearMatMul(x, s, z, m, ws, wz, t, u)", "2,6", "2,4"),
        ("y = com.microsoft.QGemm(x, s, z, m, ws, wz, b, t, u)", "2,6", "2,4"),
        ("y = com.microsoft.QGemm<transB = 1>(x, s, z, n, ws, wz, , t, u)", "2,6", "2,4"),
        ("y = com.microsoft.QLinearAdd(x, s, z, x, t, u, t, z)", "1,3,4,4", "1,3,4,4"),
        ("y = com.microsoft.QLinearMul(x, s, z, x, t, u, t, z)", "1,3,4,4", "1,3,4,4"),
        ("y = com.microsoft.QLinearConcat<axis = 1>(t, u, x, s, z, x, t, z)", "1,3,4,4", "1,6,4,4"),
        ("y = com.microsoft.QLinearSigmoid(x, s, z, t, u)", "1,3,4,4", "1,3,4,4"),
        ("y = com.microsoft.QLinearSoftmax<axis = 1, opset = 13>(x, s, z, t, z)", "1,8", "1,8"),
        ("y = com.microsoft.QLinearGlobalAveragePool<channels_last = 0>(x, s, z, t, u)", "1,3,4,5", "1,3,1,1"),
        ("y = com.microsoft.QLinearAveragePool<kernel_shape = [2, 3]>(x, s, z, t, u)", "1,3,4,5", "1,3,3,3"),
        ("y = com.microsoft.QLinearReduceMean<axes = [2, 3], keepdims = 0>(x, s, z, t, u)", "1,3,4,5", "1,3"),
    ],
)
def test_qoperators(graph, node, shape, out):
    model = with_constants(
        graph(quantised(node, shape, out)),
        w=integers(np.int8, 4, 3, 3, 3),
        ws=SCALES,
        wz=np.array([0, 3, 0, -5], np.int8),
        b=integers(np.int16, 4).astype(np.int32),
        v=integers(np.uint8, 4, 2, 3, 3),
        one=np.float32(0.02),
        zero=np.uint8(120),
        m=integers(np.int8, 6, 4),
        n=integers(np.int8, 4, 6),
    )
    check_agreement(model)


def test_qoperators_are_what_qdq_is(graph):
    """Two ways to write a convolution, and one imported form: what the value in between is called does not matter."""
    qoperator = graph(quantised("y = QLinearConv(x, s, z, w, r, q, t, u)", "1,3,5,5", "1,4,3,3"))
    qdq = graph(
        quantised(
            """a = DequantizeLinear(x, s, z)
            k = DequantizeLinear(w, r, q)
            b = Conv(a, k)
            y = QuantizeLinear(b, t, u)""",
            "1,3,5,5",
            "1,4,3,3",
        )
    )
    constants = {"w": integers(np.int8, 4, 3, 3, 3), "r": np.float32(0.02), "q": np.int8(3)}
    texts = [str(import_onnx(with_constants(model, **constants))) for model in (qoperator, qdq)]
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    "nodes",
    [
        """i = ConvInteger<pads = [1, 1, 1, 1]>(x, w, z, wz)
           f = Cast<to = 1>(i)
           r = Mul(f, f1)
           p = Add(r, f2)
           y = QuantizeLinear(p, t, u)""",
        """i = ConvInteger<pads = [1, 1, 1, 1]>(x, w, z)
           r = DequantizeLinear(i, ws)
           y = QuantizeLinear(r, t, u)""",
        """i = ConvInteger<pads = [1, 1, 1, 1]>(x, w)
           j = Add(i, b)
           f = Cast<to = 1>(j)
           d = Div(f, thousand)
           h = Floor(d)
           c = Clip(h, low, high)
           y = Cast<to = 2>(c)""",
    ],
)
def test_sums_of_integers(graph, nodes):
    more = ", float thousand = {1000}, float low = {0}, float high = {255}"
    model = with_constants(
        graph(quantised(nodes, "1,3,5,5", "1,4,5,5", more)),
        w=integers(np.int8, 4, 3, 3, 3),
        wz=np.int8(3),
        ws=SCALES,
        b=np.array([1000, -2000, 3, 70_000], np.int32).reshape(1, 4, 1, 1),
        f1=SCALES.reshape(1, 4, 1, 1),
        f2=np.array([0.3, -0.7, 100, 0], np.float32).reshape(1, 4, 1, 1),
    )
    check_agreement(model)


def test_sums_of_a_matrix_product(graph):
    nodes = """i = MatMulInteger(x, m, z, mz)
      f = Cast<to = 1>(i)
      r = Mul(f, ws)
      y = QuantizeLinear(r, t, u)"""
    model = graph(quantised(nodes, "2,6", "2,4"))
    check_agreement(with_constants(model, m=integers(np.int8, 6, 4), mz=np.array([1, 2, 3, 4], np.int8), ws=SCALES))


def test_sums_as_an_output(graph):
    model = graph("g (uint8[1,6] x) => (int32[1,4] y) { y = MatMulInteger(x, m) }")
    check_agreement(with_constants(model, m=integers(np.int8, 6, 4)))


@pytest.mark.filterwarnings("ignore::htvm.import_onnx.ModelWarning")
@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize("levels", [256, 255, 16])
def test_requant_shift(signed, levels):
    """With div as a tensor, as Deeploy's exporter writes it, and factors and terms per channel."""
    more = {"n_levels": levels, "signed": signed, "div": numpy_helper.from_array(np.array(2.0**9))}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
        helper.make_node("RequantShift", ["c", "m", "a"], ["y"], name="rq", domain="quantlib", **more),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 5, 5])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 3, 3])
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("quantlib", 1)]
    model = helper.make_model(helper.make_graph(nodes, "g", [x], [y]), opset_imports=opsets, ir_version=8)
    with_constants(
        model,
        w=integers(np.int8, 4, 3, 3, 3).astype(np.float32),
        m=np.array([3, 5, 2, 1], np.float32).reshape(4, 1, 1),
        a=np.array([300, -500, 20, 256], np.float32).reshape(4, 1, 1),
    )
    check_agreement(model, input_types={"x": "u8"})


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (
            "y = com.microsoft.QLinearMul(x, scales, u, x, s, z, s, z)",
            "'QLinearMul:y' (QLinearMul): scale has 2 numbers, expected 1: the tensor is not constant",
        ),
        ("y = com.microsoft.QLinearAdd(x, s, z)", "'QLinearAdd:y' (QLinearAdd): input 3 is missing"),
        (
            "y = com.microsoft.QLinearSigmoid<alpha = 1.0>(x, s, z, t, u)",
            "'QLinearSigmoid:y' (QLinearSigmoid): Unrecognized attribute: alpha for operator Sigmoid",
        ),
        (
            "y = com.microsoft.QLinearGlobalAveragePool<channels_last = 1>(x, s, z, t, u)",
            "'QLinearGlobalAveragePool:y' (QLinearGlobalAveragePool): channels_last is 1, expected 0",
        ),
        (
            "y, p, q = DynamicQuantizeLinear(f)",
            "'DynamicQuantizeLinear:y' (DynamicQuantizeLinear-11): the operator is not supported: "
            "its scale is known only at run time; quantise statically",
        ),
    ],
)
def test_messages(graph, node, message):
    model = graph(quantised(node, "1,3,4,4", "1,3,4,4", ", float[2] scales = {1, 2}"))
    with_constants(model, f=np.zeros((1, 3, 4, 4), np.float32))
    with pytest.raises(ModelError) as caught:
        import_onnx(model)
    assert caught.value.problems[0].startswith(f"g: node {message}")


FORMATS = [
    ("QOperator", "QUInt8", "QInt8"),
    ("QOperator", "QInt8", "QInt8"),
    ("QOperator", "QUInt8", "QUInt8"),
    ("QDQ", "QUInt8", "QInt8"),
    ("QDQ", "QInt8", "QInt8"),
    ("QDQ", "QUInt8", "QUInt8"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(("form", "activations", "weights"), FORMATS)
def test_what_onnxruntime_writes(tmp_path, form, activations, weights, per_channel):
    quantization = pytest.importorskip("onnxruntime.quantization")

    class Calibration(quantization.CalibrationDataReader):
        left = 3

        def get_next(self) -> dict[str, np.ndarray] | None:
            self.left -= 1
            return {"x": random.normal(0, 1, (1, 3, 12, 12)).astype(np.float32)} if self.left >= 0 else None

    quantization.quantize_static(
        float_network(),
        tmp_path / "q.onnx",
        Calibration(),
        quant_format=quantization.QuantFormat[form],
        activation_type=quantization.QuantType[activations],
        weight_type=quantization.QuantType[weights],
        per_channel=per_channel,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_agreement(onnx.load(tmp_path / "q.onnx"))


def float_network() -> onnx.ModelProto:
    """Return a small network with an operator of each kind that onnxruntime quantises."""
    shapes = {
        "w1": (8, 3, 3, 3),
        "w2": (8, 1, 3, 3),
        "w3": (10, 16),
        "w4": (10, 5),
        "b1": (8,),
        "b2": (8,),
        "b3": (10,),
    }
    weights = [
        numpy_helper.from_array(random.normal(0, 0.4, shape).astype(np.float32), name) for name, shape in shapes.items()
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], name="conv1", pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["c1"], ["r1"], name="relu"),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], name="conv2", pads=[1, 1, 1, 1], group=8),
        helper.make_node("Sigmoid", ["c2"], ["l2"], name="sigmoid"),
        helper.make_node("Add", ["r1", "l2"], ["a"], name="add"),
        helper.make_node("Mul", ["a", "l2"], ["m"], name="mul"),
        helper.make_node("Concat", ["m", "a"], ["cc"], name="concat", axis=1),
        helper.make_node("MaxPool", ["cc"], ["mp"], name="max_pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("AveragePool", ["mp"], ["ap"], name="average_pool", kernel_shape=[2, 2], strides=[1, 1]),
        helper.make_node("GlobalAveragePool", ["ap"], ["g"], name="global_pool"),
        helper.make_node("Flatten", ["g"], ["f"], name="flatten"),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["d"], name="gemm", transB=1),
        helper.make_node("MatMul", ["d", "w4"], ["mm"], name="matmul"),
        helper.make_node("Softmax", ["mm"], ["y"], name="softmax"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 12, 12])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5])
    graph = helper.make_graph(nodes, "network", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
