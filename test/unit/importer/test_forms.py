"""Different ways to write a network in ONNX become the same imported form, with the same meaning.

More than 400 lines: a form after the other, each of which stands alone.
"""

import re
import warnings

import numpy as np
import onnx
import pytest

from htvm.dialects import accel
from htvm.dialects.quantisation import Quantisation
from htvm.dialects.semantics.interpreter import interpret
from htvm.dialects.semantics.real import Real
from htvm.import_onnx import ModelWarning, import_onnx
from htvm.reference import evaluate

pytestmark = pytest.mark.filterwarnings("ignore::htvm.import_onnx.ModelWarning")


def ir_text(model: onnx.ModelProto) -> str:
    return str(import_onnx(model))


def check_meaning(model: onnx.ModelProto, seed: int = 0) -> str:
    """Compare the imported form, executed, with the reference on random inputs; return its text."""
    module = import_onnx(model)
    (function,) = accel.functions(module)
    random, stored, given = np.random.default_rng(seed), {}, {}
    for value, type_ in zip(model.graph.input, function.type.inputs, strict=True):
        q = Quantisation.of(type_)
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        stored[value.name] = random.integers(q.lowest, q.highest, type_.shape, endpoint=True)
        real = (stored[value.name] - q.zero_point) * q.scales[0]
        given[value.name] = real.astype(dtype) if dtype == np.float32 else stored[value.name].astype(dtype)
    with module.context:
        found = interpret(module, stored)
    wanted = evaluate(model, given)
    for (name, array), type_ in zip(found.items(), function.type.results, strict=True):
        if wanted[name].dtype == np.float32:
            q = Quantisation.of(type_)
            array = Real.of_storage(array, q.scales[0], q.zero_point).to_float32()
        np.testing.assert_array_equal(array, wanted[name], err_msg=name)
    return str(module)


def around(inner: str, shape: str = "1,3,6,6", out: str = "1,3,6,6", more: str = "") -> str:
    """Return a graph of int8 input and output in which `inner` computes the real b of the real a."""
    return f"""g (int8[{shape}] x) => (int8[{out}] y)
      <float s = {{0.05}}, int8 z = {{-7}}, float t = {{0.11}}, int8 u = {{5}}{more}> {{
      a = DequantizeLinear(x, s, z)
      {inner}
      y = QuantizeLinear(b, t, u)
    }}"""


# Constants


def test_constant_nodes_are_initialisers(graph):
    nodes = """g (int8[4] x) => (int8[4] y) {
      s = Constant<value = float {0.5}>()
      z = Constant<value = int8 {3}>()
      r = DequantizeLinear(x, s, z)
      q = Relu(r)
      y = QuantizeLinear(q, s, z)
    }"""
    initialisers = """g (int8[4] x) => (int8[4] y) <float s = {0.5}, int8 z = {3}> {
      r = DequantizeLinear(x, s, z)
      q = Relu(r)
      y = QuantizeLinear(q, s, z)
    }"""
    assert ir_text(graph(nodes)) == ir_text(graph(initialisers))


def test_omitted_zero_point_is_zero_of_uint8(graph):
    text = check_meaning(
        graph("""g (uint8[4] x) => (uint8[4] y) <float s = {0.5}, float t = {0.3}> {
          r = DequantizeLinear(x, s)
          y = QuantizeLinear(r, t)
        }""")
    )
    assert "!quant.uniform<u8:f32, 5.000000e-01>" in text


def test_uint8_weights_keep_their_bits(graph):
    more = ", uint8[2,3,1,1] w = {0, 1, 127, 128, 200, 255}, float ws = {0.25}, uint8 wz = {128}"
    inner = "v = DequantizeLinear(w, ws, wz) \n b = Conv(a, v)"
    text = check_meaning(graph(around(inner, out="1,2,6,6", more=more)))
    assert "!quant.uniform<u8:f32, 2.500000e-01:128>" in text


def test_float_weights_that_are_quantised_in_the_graph_are_rounded(graph):
    rounded = ", float[2,3,1,1] w = {0.1, -0.375, 0.625, 90, -90, 0}, float ws = {0.25}, int8 wz = {0}"
    inner = "i = QuantizeLinear(w, ws, wz) \n v = DequantizeLinear(i, ws, wz) \n b = Conv(a, v)"
    stored = ", int8[2,3,1,1] i = {0, -2, 2, 127, -128, 0}, float ws = {0.25}, int8 wz = {0}"
    shorter = "v = DequantizeLinear(i, ws, wz) \n b = Conv(a, v)"
    assert check_meaning(graph(around(inner, out="1,2,6,6", more=rounded))) == ir_text(
        graph(around(shorter, out="1,2,6,6", more=stored))
    )


def test_quantised_constants_that_are_added_are_signed(graph):
    more = ", uint8[6] w = {0, 1, 127, 128, 200, 255}, float ws = {0.02}, uint8 wz = {100}"
    text = check_meaning(graph(around("v = DequantizeLinear(w, ws, wz) \n b = Add(a, v)", more=more)))
    assert "tensor<6x!quant.uniform<i8:f32, 0.019999999552965164:-28>>" in text


def test_a_quantised_constant_may_be_a_scalar(graph):
    more = ", int8 w = {127}, float ws = {0.02}"
    check_meaning(graph(around("v = DequantizeLinear(w, ws) \n b = Mul(a, v)", more=more)))


# Linear operators


def test_matrices_of_every_orientation_are_the_same(graph):
    more = ", int8[2,3] w = {1, 2, 3, 4, 5, 6}, float[2] ws = {0.25, 0.5}, int8[2] wz = {0, 0}"
    turned = ", int8[3,2] w = {1, 4, 2, 5, 3, 6}, float[2] ws = {0.25, 0.5}, int8[2] wz = {0, 0}"
    gemm = "v = DequantizeLinear<axis = 0>(w, ws, wz) \n b = Gemm<transB = 1>(a, v)"
    turned_gemm = "v = DequantizeLinear<axis = 1>(w, ws, wz) \n b = Gemm(a, v)"
    matmul = "v = DequantizeLinear<axis = 1>(w, ws, wz) \n b = MatMul(a, v)"
    transposed = "v = DequantizeLinear<axis = 0>(w, ws, wz) \n m = Transpose(v) \n b = MatMul(a, m)"
    first = check_meaning(graph(around(gemm, "4,3", "4,2", more)))
    assert ir_text(graph(around(turned_gemm, "4,3", "4,2", turned))) == first
    assert ir_text(graph(around(matmul, "4,3", "4,2", turned))) == first
    assert ir_text(graph(around(transposed, "4,3", "4,2", more))) == first


@pytest.mark.parametrize("bias", ["[2] c = {7, -9}", "[1,2] c = {7, -9}", "[1] c = {7}", " c = {7}"])
def test_gemm_broadcasts_its_bias(graph, bias):
    more = f", int8[2,3] w = {{1, 2, 3, 4, 5, 6}}, float ws = {{0.25}}, int8 wz = {{0}}, int32{bias}"
    inner = """v = DequantizeLinear(w, ws, wz)
      d = DequantizeLinear(c, ws)
      b = Gemm<transB = 1>(a, v, d)"""
    assert "tensor<2x!quant.uniform<i32:f32, 2.500000e-01>>" in check_meaning(graph(around(inner, "4,3", "4,2", more)))


@pytest.mark.parametrize(
    ("auto_pad", "pads"),
    [("SAME_UPPER", "0, 1, 1, 1"), ("SAME_LOWER", "1, 1, 0, 1"), ("VALID", "0, 0, 0, 0")],
)
def test_auto_pad_becomes_pads(graph, auto_pad, pads):
    more = ", int8[1,1,2,3] w = {1, 2, 3, 4, 5, 6}, float ws = {0.25}, int8 wz = {0}"
    inner = "v = DequantizeLinear(w, ws, wz) \n b = Conv<{}>(a, v)"
    out = "1,1,4,3" if auto_pad == "VALID" else "1,1,5,5"
    automatic = graph(around(inner.format(f'auto_pad = "{auto_pad}"'), "1,1,5,5", out, more))
    explicit = graph(around(inner.format(f"pads = [{pads}]"), "1,1,5,5", out, more))
    assert check_meaning(automatic) == ir_text(explicit)


# Interfaces


def test_float_interface_differs_only_in_its_attributes(graph):
    quantised = around("b = Relu(a)", "4", "4")
    floats = """g (float[4] x) => (float[4] y)
      <float s = {0.05}, int8 z = {-7}, float t = {0.11}, int8 u = {5}> {
      i = QuantizeLinear(x, s, z)
      a = DequantizeLinear(i, s, z)
      b = Relu(a)
      o = QuantizeLinear(b, t, u)
      y = DequantizeLinear(o, t, u)
    }"""
    text = check_meaning(graph(floats))
    assert text.count('accel.interface = "float32"') == 2
    assert text.replace("float32", "int8") == ir_text(graph(quantised))


def test_float_input_may_be_moved_before_it_is_quantised(graph):
    text = check_meaning(
        graph("""g (float[1,4,4,3] x) => (int8[1,3,4,4] y) <float s = {0.05}, int8 z = {-7}> {
          t = Transpose<perm = [0, 3, 1, 2]>(x)
          y = QuantizeLinear(t, s, z)
        }""")
    )
    assert "%arg0: tensor<1x4x4x3x!quant.uniform<i8:f32, 0.05000000074505806:-7>>" in text


def test_float_output_of_moved_elements_is_quantised_as_they_are(graph):
    text = check_meaning(
        graph("""g (int8[1,3,4,4] x) => (float[1,48] y) <float s = {0.05}, int8 z = {-7}> {
          r = DequantizeLinear(x, s, z)
          y = Flatten(r)
        }""")
    )
    assert "-> (tensor<1x48x!quant.uniform<i8:f32, 0.05000000074505806:-7>>" in text


def test_inputs_with_initialisers_are_constants(graph):
    model = graph(around("b = Relu(a)", "4", "4"))
    model.graph.input.append(onnx.helper.make_tensor_value_info("s", onnx.TensorProto.FLOAT, []))
    assert ir_text(model) == ir_text(graph(around("b = Relu(a)", "4", "4")))


# Moves of elements


@pytest.mark.parametrize(
    ("operator", "shape", "out"),
    [
        ("Transpose<perm = [0, 2, 3, 1]>({})", "1,3,6,4", "1,6,4,3"),
        ("Reshape({}, shape)", "2,3,4,1", "2,12"),
        ("Flatten<axis = -2>({})", "1,3,6,4", "3,24"),
        ("Squeeze({}, axes)", "1,3,6,1", "1,3,6"),
        ("Squeeze({})", "1,3,6,1", "3,6"),
        ("Unsqueeze({}, axes)", "3,6", "3,6,1"),
        ("MaxPool<kernel_shape = [2, 3], pads = [1, 0, 0, 1], strides = [2, 1]>({})", "1,3,6,6", "1,3,3,5"),
        ("Concat<axis = 1>({0}, {0})", "1,3,4,4", "1,6,4,4"),
    ],
)
def test_moves_of_stored_and_of_real_numbers_are_the_same(graph, operator, shape, out):
    head = f"g (int8[{shape}] x) => (int8[{out}] y)"
    head += " <float s = {0.05}, int8 z = {-7}, int64[2] shape = {0, -1}, int64[1] axes = {-1}> {"
    real = graph(f"""{head}
      a = DequantizeLinear(x, s, z)
      b = {operator.format("a")}
      y = QuantizeLinear(b, s, z)
    }}""")
    stored = graph(f"""{head}
      b = {operator.format("x")}
      a = DequantizeLinear(b, s, z)
      y = QuantizeLinear(a, s, z)
    }}""")
    assert ir_text(stored) == check_meaning(real)


def test_pad_of_stored_integers_pads_with_a_stored_integer(graph):
    head = "g (int8[2,2] x) => (int8[4,3] y) <float s = {0.5}, int8 z = {-7}, int64[4] pads = {1, 0, 1, 1}"
    stored = graph(f"""{head}, int8 value = {{3}}> {{
      b = Pad(x, pads, value)
      a = DequantizeLinear(b, s, z)
      y = QuantizeLinear(a, s, z)
    }}""")
    real = graph(f"""{head}, float value = {{5}}> {{
      a = DequantizeLinear(x, s, z)
      b = Pad(a, pads, value)
      y = QuantizeLinear(b, s, z)
    }}""")
    assert ir_text(stored) == check_meaning(real)


def test_dequantising_with_another_scale_reinterprets_what_is_stored(graph):
    text = check_meaning(graph(around("q = QuantizeLinear(a, t, u) \n b = DequantizeLinear(q, s, u)", "4", "4")))
    assert text.count("quant.scast") == 2


def test_identity_and_repeated_quantisation_disappear(graph):
    inner = """i = Identity(a)
      q = QuantizeLinear(i, s, z)
      r = DequantizeLinear(q, s, z)
      b = Relu(r)"""
    assert check_meaning(graph(around(inner, "4", "4"))) == ir_text(graph(around("b = Relu(a)", "4", "4")))


# Arithmetic on integers in float32


@pytest.mark.parametrize(
    ("lowest", "highest", "element"),
    [
        (-128, 127, "i8"),
        (0, 127, "i8<0:127>"),
        (0, 255, "u8"),
        (-3, 200, "i16<-3:200>"),
        (-8, 70000, "i32<-8:70000>"),
    ],
)
def test_floor_and_clip_are_one_quantisation(graph, lowest, highest, element):
    text = check_meaning(
        graph(f"""g (float[8] x) => (float[8] y)
          <float m = {{3}}, float d = {{8}}, float lo = {{{lowest}}}, float hi = {{{highest}}}> {{
          a = Mul(x, m)
          b = Div(a, d)
          c = Floor(b)
          y = Clip(c, lo, hi)
        }}""")
    )
    assert text.count("accel.quantize") == 1
    form = "{rounding = #accel.rounding<floor>} : (tensor<8xf32>)"
    assert f"{form} -> tensor<8x!quant.uniform<{element}:f32, 1.000000e+00>>" in text


def test_floor_alone_rounds_to_i32(graph):
    text = check_meaning(
        graph("""g (float[8] x) => (float[8] y) <float d = {8}> {
          a = Div(x, d)
          b = Floor(a)
          y = Add(b, x)
        }""")
    )
    form = "accel.quantize %0 {rounding = #accel.rounding<floor>} : (tensor<8xf32>)"
    assert f"{form} -> tensor<8x!quant.uniform<i32:f32" in text


def test_raw_accumulators_are_32_bit_integers(graph):
    text = check_meaning(
        graph("""g (float[1,3] x) => (float[1,2] y)
          <float[2,3] w = {1, -2, 3, 400, 5, 6}, float[2] c = {70000, -1}> {
          y = Gemm<transB = 1>(x, w, c)
        }""")
    )
    assert "tensor<2x3x!quant.uniform<i16:f32, 1.000000e+00>>" in text
    assert re.search(r"accel.dense %arg0, %\w+ bias %\w+ :", text)
    assert "tensor<2x!quant.uniform<i32:f32, 1.000000e+00>>" in text
    assert "-> (tensor<1x2x!quant.uniform<i32:f32, 1.000000e+00>>" in text


@pytest.mark.parametrize(
    ("input_type", "element"),
    [("u8", "u8"), ("i8", "i8"), ("i16", "i16"), ("0..127", "i8<0:127>"), ("-1..128", "i16<-1:128>")],
)
def test_input_types_say_what_a_float_input_holds(graph, input_type, element):
    model = graph("g (float[4] x) => (float[4] y) { y = Relu(x) }")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = str(import_onnx(model, input_types={"x": input_type}))
    assert f"%arg0: tensor<4x!quant.uniform<{element}:f32, 1.000000e+00>>" in text


def test_a_float_input_is_taken_to_hold_8_bits_with_a_warning(graph):
    with pytest.warns(ModelWarning, match=re.escape("g: input 'x': is float32 and taken to hold integers")):
        text = ir_text(graph("g (float[4] x) => (float[4] y) { y = Relu(x) }"))
    assert "%arg0: tensor<4x!quant.uniform<i16<-128:255>:f32, 1.000000e+00>>" in text


# Other operators


@pytest.mark.parametrize(
    ("inner", "operation"),
    [
        ("b = Clip(a, lo)", "accel.relu"),
        ("b = Clip(a, lo, hi)", "max = 1.500000e+00 : f64, min = 0.000000e+00 : f64"),
        ("b = Clip(a, , hi)", "max = 1.500000e+00 : f64, min = -3.4028234663852886E+38 : f64"),
        ("b = Sub(a, hi)", "accel.sub"),
        ("b = Sub(hi, a)", "accel.sub"),
        ("b = Div(a, hi)", "accel.div"),
        ("b = Add(a, a)", "accel.add"),
        ("b = Sigmoid(a)", "accel.sigmoid"),
        ("b = Softmax(a)", "accel.softmax %arg0 {axis = 3 : i64}"),
        ("b = Softmax<axis = 1>(a)", "accel.softmax %arg0 {axis = 1 : i64}"),
    ],
)
def test_elementwise(graph, inner, operation):
    assert operation in check_meaning(graph(around(inner, more=", float lo = {0}, float hi = {1.5}")))


@pytest.mark.parametrize(
    ("inner", "out"),
    [
        ("b = AveragePool<kernel_shape = [3, 2], pads = [1, 0, 1, 1]>(a)", "1,3,6,6"),
        ("b = AveragePool<kernel_shape = [3, 2], pads = [1, 0, 1, 1], count_include_pad = 1>(a)", "1,3,6,6"),
        ('b = AveragePool<kernel_shape = [3, 3], strides = [2, 2], auto_pad = "SAME_UPPER">(a)', "1,3,3,3"),
        ("b = GlobalAveragePool(a)", "1,3,1,1"),
        ("b = ReduceMean<axes = [2, 3]>(a)", "1,3,1,1"),
        ("b = ReduceMean<axes = [-1, -2], keepdims = 0>(a)", "1,3"),
        ("b = ReduceMean<axes = [3], keepdims = 0>(a)", "1,3,6"),
        ("b = ReduceSum(a, axes)", "1,3,1,1"),
    ],
)
def test_pools(graph, inner, out):
    check_meaning(graph(around(inner, out=out, more=", int64[2] axes = {2, 3}")))


def test_ceil_mode_changes_nothing_where_windows_come_out_even(graph):
    pool = "b = AveragePool<kernel_shape = [2, 2], strides = [2, 2]{}>(a)"
    rounded_up = graph(around(pool.format(", ceil_mode = 1"), out="1,3,3,3"))
    assert ir_text(rounded_up) == ir_text(graph(around(pool.format(""), out="1,3,3,3")))


def test_reduce_mean_takes_axes_as_input_from_opset_18(graph):
    old = graph(around("b = ReduceMean<axes = [2, 3]>(a)", out="1,3,1,1"))
    new = graph(around("b = ReduceMean(a, axes)", out="1,3,1,1", more=", int64[2] axes = {2, 3}"), opset=18)
    assert ir_text(new) == ir_text(old)


def test_the_newest_opset_is_known(graph):
    newest = onnx.defs.onnx_opset_version()
    inner = "b = Relu(a)"
    assert ir_text(graph(around(inner), opset=newest)) == ir_text(graph(around(inner)))


# Names


def test_operations_are_located_at_nodes(graph):
    model = graph(around("b = Relu(a)", "4", "4"))
    model.graph.node[1].name = 'a "quoted"\nname'
    text = import_onnx(model).operation.get_asm(enable_debug_info=True)
    assert r'loc("a \22quoted\22\0Aname")' in text
    assert 'loc("QuantizeLinear:y")' in text


@pytest.mark.parametrize(
    ("file", "function"),
    [("net.onnx", "net"), ("my-net.v2.onnx", "my_net_v2"), ("2nd.onnx", "model_2nd"), ("網.onnx", "model")],
)
def test_the_function_is_named_after_the_file(graph, tmp_path, file, function):
    onnx.save(graph(around("b = Relu(a)", "4", "4")), tmp_path / file)
    assert f"func.func @{function}(" in str(import_onnx(tmp_path / file))


def test_weights_may_lie_in_another_file(graph, tmp_path):
    more = ", int8[2,3,1,1] w = {1, 2, 3, 4, 5, 6}, float ws = {0.25}"
    text = around("v = DequantizeLinear(w, ws) \n b = Conv(a, v)", out="1,2,6,6", more=more)
    inside, outside = graph(text), graph(text)
    inside.graph.initializer[4].raw_data = inside.graph.initializer[4].raw_data or bytes([1, 2, 3, 4, 5, 6])
    inside.graph.initializer[4].ClearField("int32_data")
    onnx.save(inside, tmp_path / "g.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    assert (tmp_path / "w.bin").exists()
    assert str(import_onnx(tmp_path / "g.onnx")) == ir_text(outside)
