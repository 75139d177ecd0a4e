"""What is said of models that cannot be imported: file, node, value found and value wanted; all at once."""

import random
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from htvm.import_onnx import ModelError, import_onnx

pytestmark = pytest.mark.filterwarnings("ignore::htvm.import_onnx.ModelWarning")

MODELS = Path(__file__).parents[2] / "inputs" / "models"
LAYER = MODELS / "layers" / "conv3x3_s2_first.onnx"


def problems(model: onnx.ModelProto | Path, **options: object) -> list[str]:
    with pytest.raises(ModelError) as caught:
        import_onnx(model, **options)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return list(caught.value.problems)


def after_input(inner: str, more: str = "") -> str:
    """Return a graph that dequantises x to a, computes b by `inner` and quantises it to y."""
    return f"""g (int8[1,3,4,4] x) => (int8[n,c,h,w] y) <float s = {{0.5}}, int8 z = {{3}}{more}> {{
      a = DequantizeLinear(x, s, z)
      {inner}
      y = QuantizeLinear(b, s, z)
    }}"""


# Files


def test_missing_file(tmp_path):
    assert problems(tmp_path / "no.onnx") == [f"{tmp_path}/no.onnx: no such file"]


def test_folder(tmp_path):
    assert problems(tmp_path) == [f"{tmp_path}: is a folder, expected an ONNX file"]


def test_empty_file(tmp_path):
    (tmp_path / "empty.onnx").touch()
    assert problems(tmp_path / "empty.onnx") == [f"{tmp_path}/empty.onnx: is empty, expected an ONNX file"]


def test_text_file(tmp_path):
    (tmp_path / "text.onnx").write_text("Once upon a time, a model was quantised.")
    (message,) = problems(tmp_path / "text.onnx")
    assert message == "text.onnx: is no ONNX file, or only the beginning of one (40 bytes do not parse)"


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.999])
def test_truncated_file(tmp_path, fraction):
    content = LAYER.read_bytes()
    kept = int(len(content) * fraction)
    (tmp_path / "cut.onnx").write_bytes(content[:kept])
    (message,) = problems(tmp_path / "cut.onnx")
    assert message == f"cut.onnx: is no ONNX file, or only the beginning of one ({kept:,} bytes do not parse)"


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"location": "../secret"}, "its data is in '../secret', which is outside the model's folder"),
        ({"location": "/etc/passwd"}, "its data is in '/etc/passwd', which is outside the model's folder"),
        ({"location": "link"}, "its data is in 'link', which is outside the model's folder"),
        ({"location": "no.bin"}, "its data cannot be read from 'no.bin': No such file or directory"),
        (
            {"location": "w.bin", "offset": "2", "length": "9"},
            "its data cannot be read from 'w.bin': bytes 2 to 11 of a file of 4",
        ),
    ],
)
def test_external_data(graph, tmp_path, entries, message):
    (tmp_path / "w.bin").write_bytes(b"abcd")
    (tmp_path / "link").symlink_to("/etc/hostname")
    model = graph(after_input("b = Add(a, w)", ", float w = {1}"))
    (tensor,) = (tensor for tensor in model.graph.initializer if tensor.name == "w")
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    (tmp_path / "g.onnx").write_bytes(model.SerializeToString())
    assert problems(tmp_path / "g.onnx") == [f"g.onnx: initialiser 'w': {message}"]
    assert problems(model) == [
        f"g: initialiser 'w': its data is in the file '{entries['location']}'; load it first, or give the model's path"
    ]


def test_old_opset(graph):
    newest = onnx.defs.onnx_opset_version()
    assert problems(graph(after_input("b = Relu(a)"), opset=6)) == [
        f"g: uses version 6 of ONNX's operators (opset), expected 7 to {newest}; onnx.version_converter converts models"
    ]


def test_cyclic_graph(graph):
    (message,) = problems(graph(after_input("b = Add(a, c) \n c = Relu(b)")))
    assert message.startswith("g: is no valid ONNX model: Nodes in a graph must be topologically sorted, however")


def test_names_that_are_not_utf8(graph, tmp_path):
    content = graph(after_input("b = Relu(a)")).SerializeToString().replace(b"Relu", b"Rel\xff")
    (tmp_path / "g.onnx").write_bytes(content)
    assert problems(tmp_path / "g.onnx") == ["g.onnx: the name b'Rel\\xff' is not UTF-8 text"]


# All at once


def test_all_problems_are_reported_at_once(graph):
    model = graph(
        after_input(
            """c = Cos(a)
            d = LRN<size = 3>(c)
            e = Resize<mode = "cubic">(d, , scales)
            h = NoSuchOperator(a)
            i = Softmax<axis = 7>(a)
            k = AveragePool<kernel_shape = [3, 3], strides = [2, 2], ceil_mode = 1, count_include_pad = 1>(a)
            l = Pad<mode = "mirror">(k, pads)
            b = Add(l, i)""",
            ", int64[8] pads = {0, 0, 0, 0, 0, 0, 1, 1}, float[4] scales = {1, 1, 2, 2}",
        ),
        opset=19,
    )
    model.graph.node[2].name = "norm"
    assert problems(model) == [
        "g: node 'Cos:c' (Cos-7): the operator is not supported",
        "g: node 'norm' (LRN-13): the operator is not supported",
        "g: node 'Resize:e' (Resize-19): mode is 'cubic', expected 'nearest' or 'linear'",
        "g: node 'NoSuchOperator:h' (NoSuchOperator): the operator is not supported",
        "g: node 'Softmax:i' (Softmax-13): axis is 7, expected -4 to 3",
        "g: node 'Pad:l' (Pad-19): mode is 'mirror', expected constant, edge, reflect or wrap",
    ]


def test_a_problem_of_a_node_without_name_is_not_that_of_others(graph):
    model = graph(after_input("c = Softmax<axis = 1>(a) \n d = Softmax<axis = 4>(a) \n b = Add(c, d)"))
    (message,) = problems(model)
    assert message.startswith("g: node 'Softmax:d' (Softmax-13): 'axis' must be in [-4 , 3]")


def test_many_problems_take_little_time(graph):
    nodes = "\n".join(f"c{i} = Softmax<axis = 9>(a)" for i in range(2000))
    started = time.monotonic()
    assert len(problems(graph(after_input(f"{nodes} \n b = Relu(a)")))) == 2000
    assert time.monotonic() - started < 5


def test_an_operator_of_another_domain():
    node = helper.make_node("Gemm", ["x"], ["y"], name="fc", domain="ai.company")
    x, y = (helper.make_tensor_value_info(name, TensorProto.INT8, [1, 4]) for name in "xy")
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("ai.company", 1)]
    model = helper.make_model(helper.make_graph([node], "g", [x], [y]), opset_imports=opsets, ir_version=8)
    wanted = "g: node 'fc' (Gemm): operators of the domain 'ai.company' are not supported"
    assert problems(model) == [wanted]


# Inputs and outputs


FIX_SHAPE = "expected a number: give the input's shape (--shape x={}), or export the model with fixed ones"


@pytest.mark.parametrize(
    ("type_", "message"),
    [
        ("float64[1,4]", "is double, expected float32, int8, uint8, int16, uint16 or int32"),
        ("int64[1,4]", "is int64, expected float32, int8, uint8, int16, uint16 or int32"),
        ("float[batch,n]", "axis 0 has size 'batch', " + FIX_SHAPE.format("1x?")),
        ("float[n]", "axis 0 has size 'n', " + FIX_SHAPE.format("1")),
        ("float[1,?]", "axis 1 has no size, " + FIX_SHAPE.format("1x?")),
        ("float[1,0]", "has shape 1x0, expected at least 1 along each axis"),
        ("float[100000,100000]", "has 10,000,000,000 elements (100000x100000), expected at most 2,147,483,647"),
        ("float[1,1,1,1,1,1,1,1,1]", "has rank 9, expected at most 8"),
    ],
)
def test_types_and_shapes_of_inputs(graph, type_, message):
    model = graph(f"g ({type_.replace('float64', 'double')} x) => (float[N] y) {{ y = Identity(x) }}")
    model.graph.output[0].type.CopyFrom(model.graph.input[0].type)
    assert problems(model) == [f"g: input 'x': {message}"]


def test_float_input_of_a_quantised_network_without_quantizer(graph):
    model = graph("""g (float[4] x) => (int8[4] y) <float s = {0.5}, int8 z = {3}> {
      a = Relu(x)
      y = QuantizeLinear(a, s, z)
    }""")
    assert problems(model) == [
        "g: input 'x': is float32 and reaches node 'Relu:a' without QuantizeLinear, expected one (or, if it holds "
        "integers, an input type such as x=u8)"
    ]


def test_float_input_with_two_quantizers(graph):
    model = graph("""g (float[4] x) => (int8[4] y, int8[4] w) <float s = {0.5}, float t = {1}, int8 z = {3}> {
      y = QuantizeLinear(x, s, z)
      w = QuantizeLinear(x, t, z)
    }""")
    assert problems(model) == [
        "g: input 'x': is quantised by node 'QuantizeLinear:y', and differently by node 'QuantizeLinear:w'; "
        "expected one QuantizeLinear before all"
    ]


@pytest.mark.parametrize(
    ("input_types", "message"),
    [
        (
            {"x": "u7"},
            "input 'x': its type is given as 'u7', expected i8, u8, i16, u16 or i32, or a range such as 0..127",
        ),
        (
            {"x": "9..1"},
            "input 'x': its type is given as '9..1', expected i8, u8, i16, u16 or i32, or a range such as 0..127",
        ),
        ({"x": "u8", "q": "u8"}, "an input type is given for 'q', the inputs are x"),
    ],
)
def test_input_types(graph, input_types, message):
    model = graph("g (float[4] x) => (float[4] y) { y = Relu(x) }")
    assert problems(model, input_types=input_types) == [f"g: {message}"]


# Nodes


@pytest.mark.parametrize("scale", ["0", "-0.5", "nan", "inf"])
def test_scales_that_are_none(graph, scale):
    model = graph(after_input("b = Relu(a)", ", float t = {1}"))
    model.graph.node[2].input[1] = "t"
    (tensor,) = (tensor for tensor in model.graph.initializer if tensor.name == "t")
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.array(scale, np.float32), "t"))
    wanted = f"scale is {float(scale):g}, expected a finite number of at least 1.17549e-38"
    assert problems(model) == [f"g: node 'QuantizeLinear:y' (QuantizeLinear-13): {wanted}"]


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (
            "b = Add(x, x)",
            "'Add:b' (Add-14): computes int8 from -256 to 254, which wrap around; Cast to int32 before it",
        ),
        (
            "b = PRelu(a, a)",
            "'PRelu:b' (PRelu-9): slope ('a') is computed, expected a constant",
        ),
        (
            "b = Conv(a, w)",
            "'Conv:b' (Conv-11): weights ('w') are real numbers such as 0.5, expected integers, or DequantizeLinear "
            "of integers: the model is not quantised (htvm quantize MODEL --calibration X.npz)",
        ),
        (
            "b = Conv<group = 2>(a, v)",
            "'Conv:b' (Conv-11): weights 1x1x1x1 in 2 groups do not fit the input's 3 channels",
        ),
        ("b = Div(a, o)", "'Div:b' (Div-14): divisor ('o') holds 0"),
        ("b = Clip(a, w, o)", "'Clip:b' (Clip-13): min is 0.5, expected at most max, which is 0"),
        ("b = Mul(a, n)", "'Mul:b' (Mul-14): constant 'n' holds nan, expected finite numbers"),
        (
            "b = ReduceMean<axes = [4]>(a)",
            "'ReduceMean:b' (ReduceMean-13): axis must be in [-rank, rank-1]. Input rank was 4",
        ),
        (
            "b, c = MaxPool<kernel_shape = [2, 2]>(a)",
            "'MaxPool:b' (MaxPool-12): output 1 ('c') is not supported",
        ),
        (
            'b = AveragePool<kernel_shape = [2, 2], auto_pad = "SAME">(a)',
            "'AveragePool:b' (AveragePool-11): auto_pad is 'SAME', expected NOTSET, SAME_UPPER, SAME_LOWER or VALID",
        ),
        (
            "b = AveragePool<kernel_shape = [2, 2], pads = [2, 0, 0, 0]>(a)",
            "'AveragePool:b' (AveragePool-11): pads is [2, 0, 0, 0], with which a window holds no element, "
            "only padding",
        ),
    ],
)
def test_nodes(graph, inner, message):
    more = ", float[1,1,1,1] w = {0.5}, float o = {0}, float[1,1,1,1] v = {2}, float n = {nan}"
    text = after_input(inner, more.replace("{nan}", "{1}"))
    model = graph(text, opset=14)
    for tensor in model.graph.initializer:
        if tensor.name == "n":
            tensor.float_data[0] = float("nan")
    found = [text for text in problems(model) if "QuantizeLinear:y" not in text]
    assert found == [f"g: node {message}"]


def test_a_scale_per_channel_of_a_computed_tensor(graph):
    model = graph(after_input("b = Relu(a)", ", float[3] t = {1, 2, 3}, int8[3] u = {0, 0, 0}"))
    model.graph.node[2].input[1:] = ["t", "u"]
    wanted = "scale has 3 numbers, expected 1: the tensor is not constant"
    assert problems(model) == [f"g: node 'QuantizeLinear:y' (QuantizeLinear-13): {wanted}"]


def test_constants_do_not_explode(graph):
    doublings = "\n".join(f"c{i + 1} = Concat<axis = 0>(c{i}, c{i})" for i in range(40))
    model = graph(after_input(f"{doublings} \n b = Reshape(a, c40)", ", int64[1] c0 = {1}"))
    (message,) = problems(model)
    assert message == "g: node 'Concat:c17' (Concat-13): computes a constant of more than 65,536 elements"


def test_tensors_do_not_explode(graph):
    doublings = "\n".join(f"c{i + 1} = Concat<axis = 1>(c{i}, c{i})" for i in range(40))
    (message,) = problems(graph(after_input(f"c0 = Relu(a) \n {doublings} \n b = Relu(c40)")))
    found = "has 3,221,225,472 elements (1x201326592x4x4)"
    assert message == f"g: node 'Concat:c26' (Concat-13): {found}, expected at most 2,147,483,647"


# Anything


def test_damaged_files_are_errors_or_models(tmp_path):
    rng = random.Random(2)
    names = ("conv3x3_s2_first", "dense_matmul", "pad", "reshape", "concat", "avgpool3x3_s2_pad", "softmax")
    files = [(MODELS / "layers" / f"{name}.onnx").read_bytes() for name in names]
    refused = 0
    for _ in range(1000):
        content = bytearray(rng.choice(files))
        for _ in range(rng.choice((1, 1, 2, 8))):
            at = rng.choice((rng.randrange(len(content)), rng.randrange(300), -1 - rng.randrange(300)))
            new = bytes(rng.randrange(256) for _ in range(rng.choice((0, 1, 1, 3))))
            content[at : len(content) if at == -1 else at + rng.choice((0, 1, 1, 4))] = new
        (tmp_path / "m.onnx").write_bytes(content)
        try:
            import_onnx(tmp_path / "m.onnx")
        except ModelError:
            refused += 1
    assert 500 < refused < 1000


@pytest.mark.parametrize("value", [0.0, float("inf"), float("nan"), 1e-45, -1.0])
@pytest.mark.parametrize("op", ["Mul", "Div"])
@pytest.mark.parametrize("kind", ["float", "int8"])
def test_factors_that_are_no_scale_are_refused_or_computed(op: str, value: float, kind: str) -> None:
    """An input that is multiplied by 0 or divided by infinity has no scale; nothing but a ModelError may say so."""
    nodes = [
        helper.make_node(op, ["x", "factor"], ["a"], name="scale"),
        helper.make_node("Floor", ["a"], ["b"], name="floor"),
        helper.make_node("Clip", ["b", "low", "high"], ["y"], name="clip"),
    ]
    if kind == "int8":
        nodes.insert(0, helper.make_node("DequantizeLinear", ["q", "unit"], ["x"], name="dequantise"))
    constants = {"factor": value, "low": 0.0, "high": 100.0, "unit": 1.0}
    tensors = [onnx.numpy_helper.from_array(np.float32(number), name) for name, number in constants.items()]
    name, dtype = ("q", TensorProto.INT8) if kind == "int8" else ("x", TensorProto.FLOAT)
    graph = helper.make_graph(
        nodes,
        "factors",
        [helper.make_tensor_value_info(name, dtype, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    try:
        module = import_onnx(model)
    except ModelError as error:
        assert "node '" in str(error) or "input '" in str(error)
    else:
        assert "accel." in str(module)
