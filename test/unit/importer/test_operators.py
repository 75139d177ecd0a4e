"""Operators from the file to integers: what the passes make of them, executed, equals the reference."""

import numpy as np
import pytest
from agreement import check_agreement

WEIGHTS = np.random.default_rng(7)


def around(inner: str, shape: str = "1,3,6,6", out: str = "1,3,6,6", more: str = "", kind: str = "int8") -> str:
    """Return a graph in which `inner` computes the real b of the real a."""
    return f"""g ({kind}[{shape}] x) => ({kind}[{out}] y)
      <float s = {{0.05}}, {kind} z = {{17}}, float t = {{0.043}}, {kind} u = {{5}}{more}> {{
      a = DequantizeLinear(x, s, z)
      {inner}
      y = QuantizeLinear(b, t, u)
    }}"""


def integers(name: str, shape: tuple[int, ...], kind: str = "int8", low: int = -128, high: int = 127) -> str:
    """Return a declaration of random constants."""
    numbers = WEIGHTS.integers(low, high, shape, endpoint=True).reshape(-1).tolist()
    return f", {kind}[{','.join(map(str, shape))}] {name} = {{{', '.join(map(str, numbers))}}}"


def floats(name: str, numbers: list[float], shape: str | None = None) -> str:
    """Return a declaration of constants; the shape "" is that of a number, none that of a list."""
    sizes = "" if shape == "" else f"[{len(numbers) if shape is None else shape}]"
    return f", float{sizes} {name} = {{{', '.join(map(str, numbers))}}}"


def longs(name: str, *numbers: int) -> str:
    return f", int64[{len(numbers)}] {name} = {{{', '.join(map(str, numbers))}}}"


@pytest.mark.parametrize("kind", ["int8", "uint8"])
@pytest.mark.parametrize(
    "inner",
    [
        "b = Abs(a)",
        "b = Celu<alpha = 0.7>(a)",
        "b = Elu(a)",
        "b = Erf(a)",
        "b = Exp(a)",
        "b = HardSigmoid(a)",
        "b = HardSwish(a)",
        "b = LeakyRelu<alpha = 0.125>(a)",
        "b = Log(a)",
        "b = Mish(a)",
        "b = Neg(a)",
        "b = Pow(a, two)",
        "b = Pow(a, half)",
        "b = Reciprocal(a)",
        "b = Selu(a)",
        "b = Shrink<lambd = 1.5>(a)",
        "b = Sign(a)",
        "b = Softplus(a)",
        "b = Softsign(a)",
        "b = Sqrt(a)",
        "b = Tanh(a)",
        "b = ThresholdedRelu(a)",
        "b = PRelu(a, two)",
        "b = PRelu(a, slopes)",
    ],
)
def test_functions_are_tables(graph, inner, kind):
    more = floats("two", [2], "") + floats("half", [0.5], "") + floats("slopes", [0.25, -0.5, 0.3], "3,1,1")
    if "Log" in inner or "Sqrt" in inner or "half" in inner or "Reciprocal" in inner:
        inner, more = "p = Relu(a)\n q = Add(p, two)\n " + inner.replace("(a", "(q"), more  # where it has a value
    check_agreement(graph(around(inner, more=more, kind=kind), opset=18))


@pytest.mark.parametrize("inner", ["b = Gelu(a)", 'b = Gelu<approximate = "tanh">(a)'])
def test_gelu_is_a_table(graph, inner):
    check_agreement(graph(around(inner), opset=20))


@pytest.mark.parametrize(
    "inner",
    [
        "c = Sigmoid(a)\n b = Mul(a, c)",
        "c = HardSigmoid<alpha = 0.16666667, beta = 0.5>(a)\n b = Mul(c, a)",
        "c = Add(a, three)\n d = Clip(c, zero, six)\n e = Mul(a, d)\n b = Div(e, six)",
        "c = Div(a, root)\n d = Erf(c)\n e = Add(d, one)\n f = Mul(a, e)\n b = Mul(f, half)",
        "c = Exp(a)\n d = Add(c, one)\n b = Log(d)",
        "c = Mul(a, scales)\n d = Add(c, terms)\n e = Tanh(d)\n b = Mul(e, three)",
        "c = Relu(a)\n d = Neg(a)\n e = Relu(d)\n f = Mul(slopes, e)\n b = Sub(c, f)",
        "c = Neg(a)\n d = Exp(c)\n e = Add(d, one)\n b = Div(a, e)",
    ],
)
def test_expressions_of_one_value_are_one_table(graph, inner):
    numbers = {"three": 3, "six": 6, "zero": 0, "one": 1, "half": 0.5, "root": 1.41421356}
    more = "".join(floats(name, [number], "") for name, number in numbers.items())
    more += floats("scales", [0.3, -2, 1], "3,1,1") + floats("terms", [0.1, 0.2, -0.5], "1,3,1,1")
    more += floats("slopes", [0.3, 0.25, -1], "3,1,1")
    check_agreement(graph(around(inner, more=more), opset=18))


@pytest.mark.parametrize(
    ("inner", "out"),
    [
        ("b = Slice(a, one, last)", "1,3,6,6"),
        ("b = Slice(a, start, end, axes, steps)", "1,3,2,6"),
        ("c, d = Split<axis = 1>(a, parts)\n b = Concat<axis = 1>(d, c)", "1,3,6,6"),
        ("c, d = Split<axis = 2>(a)\n b = Sub(c, d)", "1,3,3,6"),
        ("b = Gather<axis = 3>(a, places)", "1,3,6,2,2"),
        ("b = Gather<axis = 1>(a, place)", "1,6,6"),
        ("c = Slice(a, one, two, axes)\n b = Expand(c, sizes)", "2,3,6,6"),
        ("b = Tile(a, repeats)", "1,6,6,12"),
        ('b = Pad<mode = "reflect">(a, pads)', "1,3,9,10"),
        ('b = Pad<mode = "edge">(a, pads)', "1,3,9,10"),
        ("b = Pad(a, cut)", "1,3,5,7"),
        ("b = SpaceToDepth<blocksize = 2>(a)", "1,12,3,3"),
        ("c = SpaceToDepth<blocksize = 3>(a)\n b = DepthToSpace<blocksize = 3>(c)", "1,3,6,6"),
        ('c = SpaceToDepth<blocksize = 2>(a)\n b = DepthToSpace<blocksize = 2, mode = "CRD">(c)', "1,3,6,6"),
        ("c = Shape(a)\n d = Gather(c, first)\n e = Concat<axis = 0>(d, rest)\n b = Reshape(a, e)", "1,108"),
        ("d = ConstantOfShape<value = int64[1] {2}>(four)\n b = Pad(a, d)", "5,7,10,10"),
    ],
)
def test_choices_of_elements(graph, inner, out):
    more = longs("one", 0, 0) + longs("last", 9, 9) + longs("start", -1, 0) + longs("end", 1, 6) + longs("two", 1, 6)
    more += longs("axes", 2, 3) + longs("steps", -3, 1) + longs("parts", 1, 2) + longs("sizes", 2, 1, 6, 6)
    more += ", int64[2,2] places = {0, -1, 3, 3}, int64 place = {-1}" + longs("repeats", 1, 2, 1, 2)
    more += longs("pads", 0, 0, 1, 2, 0, 0, 2, 2) + longs("cut", 0, 0, -2, 1, 0, 0, 1, 0) + longs("first", 0)
    more += longs("rest", -1) + longs("four", 8)
    if "ConstantOfShape" in inner:
        inner = inner.replace("four", "four")
    check_agreement(graph(around(inner, out=out, more=more), opset=13))


CONVOLUTIONS = [
    ("strides = [2, 2]", "3,4,2,2", "1,4,12,12"),
    ("strides = [2, 2], pads = [1, 1, 1, 1]", "3,4,4,4", "1,4,12,12"),
    ("strides = [2, 2], pads = [1, 1, 1, 1], output_padding = [1, 1]", "3,4,3,3", "1,4,12,12"),
    ("strides = [3, 1], dilations = [2, 3]", "3,2,3,2", "1,2,20,9"),
    ("strides = [2, 3], pads = [1, 2, 0, 3], group = 3", "3,2,3,5", "1,6,12,15"),
    ("pads = [2, 2, 2, 2]", "3,2,3,3", "1,2,4,4"),
    ('strides = [2, 2], auto_pad = "SAME_UPPER"', "3,2,3,3", "1,2,12,12"),
    ('strides = [2, 2], auto_pad = "SAME_LOWER"', "3,2,3,3", "1,2,12,12"),
    ("strides = [2, 2], output_shape = [11, 14]", "3,2,3,3", "1,2,11,14"),
    ("strides = [4, 4]", "3,1,2,2", "1,1,22,22"),
]


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(("attributes", "weights", "out"), CONVOLUTIONS)
def test_transposed_convolutions(graph, attributes, weights, out, per_channel):
    sizes = tuple(map(int, weights.split(",")))
    outputs, count = int(out.split(",")[1]), sizes[1] if per_channel else 1
    scales = WEIGHTS.uniform(0.001, 0.01, count).astype(np.float32)
    more = integers("w", sizes) + floats("ws", scales.tolist(), None if per_channel else "")
    more += integers("bi", (outputs,), "int32", -500, 500) + floats("bs", [0.001], "")
    inner = f"""v = DequantizeLinear<axis = 1>(w, ws) \n c = DequantizeLinear(bi, bs)
      b = ConvTranspose<{attributes}>(a, v, c)"""
    check_agreement(graph(around(inner, out=out, more=more)))


def test_a_transposed_convolution_of_a_sequence(graph):
    more = integers("w", (3, 2, 4), "uint8", 0, 255) + floats("ws", [0.004], "") + ", uint8 wz = {131}"
    inner = "v = DequantizeLinear(w, ws, wz)\n b = ConvTranspose<strides = [2], pads = [1, 1]>(a, v)"
    check_agreement(graph(around(inner, "1,3,9", "1,2,18", more)))


@pytest.mark.parametrize(
    "mode", ["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners", "half_pixel_symmetric"]
)
@pytest.mark.parametrize(
    ("scales", "out"), [((2, 2), (12, 12)), ((3, 1), (18, 6)), ((0.5, 1.5), (3, 9)), ((1, 4), (6, 24))]
)
def test_linear_interpolation(graph, mode, scales, out):
    if mode == "align_corners":
        out = {12: 11, 18: 16, 3: 2, 9: 11, 6: 6, 24: 16}[out[0]], {12: 11, 6: 6, 9: 11, 24: 16}[out[1]]
    more = floats("roi", []) + floats("none", []) + longs("sizes", 1, 3, *out)
    more += floats("scales", [1, 1, *scales])
    arguments = "roi, none, sizes" if mode == "align_corners" else "roi, scales"
    inner = f'b = Resize<mode = "linear", coordinate_transformation_mode = "{mode}">(a, {arguments})'
    check_agreement(graph(around(inner, out=f"1,3,{out[0]},{out[1]}", more=more)))


@pytest.mark.parametrize("rounding", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
@pytest.mark.parametrize("mode", ["half_pixel", "asymmetric", "align_corners"])
@pytest.mark.parametrize("out", [(12, 18), (3, 6), (9, 4), (7, 11)])
def test_nearest_neighbours(graph, rounding, mode, out):
    more = floats("none", []) + longs("sizes", 1, 3, *out)
    attributes = f'coordinate_transformation_mode = "{mode}", nearest_mode = "{rounding}"'
    inner = f"b = Resize<{attributes}>(a, none, none, sizes)"
    check_agreement(graph(around(inner, out=f"1,3,{out[0]},{out[1]}", more=more)))


def test_upsample_takes_the_element_below(graph):
    more = floats("scales", [1, 1, 2, 2.5])
    check_agreement(graph(around("b = Upsample(a, scales)", out="1,3,12,15", more=more), opset=9))
    check_agreement(graph(around("b = Resize(a, scales)", out="1,3,12,15", more=more), opset=10))


@pytest.mark.parametrize(
    ("inner", "shape", "out"),
    [
        ("c = Transpose<perm = [0, 1, 3, 2]>(a)\n b = MatMul(a, c)", "1,3,6,6", "1,3,6,6"),
        ("c = Transpose(a)\n d = MatMul(a, c)\n b = Mul(d, eighth)", "5,7", "5,5"),
        ("c = Transpose(a)\n d = MatMul(a, c)\n b = Div(d, three)", "5,7", "5,5"),
        ("b = MatMul(v, a)", "4,7", "3,7"),
        ("b = MatMul(a, w)", "2,1,5,3", "2,2,5,4"),
        ("b = MatMul(a, r)", "2,5,4", "2,5"),
        ("b = MatMul(r, a)", "4,5", "5"),
        ("c = MatMul(a, r)\n b = Add(c, three)", "5,4", "5"),
        ("c = Transpose(a)\n b = Gemm<transB = 1>(a, a)", "5,7", "5,5"),
        ("b = Gemm<transA = 1, alpha = 0.5>(a, v)", "3,5", "5,4"),
        ("b = Gemm<alpha = 0.5, beta = 2.0>(a, v, r)", "5,3", "5,4"),
    ],
)
def test_products_of_matrices(graph, inner, shape, out):
    more = integers("wi", (2, 3, 4)) + integers("vi", (3, 4)) + integers("ri", (4,)) + floats("ws", [0.008], "")
    more += floats("three", [3], "") + floats("eighth", [0.125], "")
    constants = "\n".join(
        f"{name} = DequantizeLinear({name}i, ws)"
        for name in "wvr"
        if f" {name})" in inner or f"({name}," in inner or f" {name}," in inner
    )
    check_agreement(graph(around(f"{constants}\n{inner}", shape, out, more)))


@pytest.mark.parametrize(
    "inner",
    [
        "c = Transpose<perm = [0, 1, 3, 2]>(a)\n b = Max(a, c)",
        "c = MaxPool<kernel_shape = [6, 6]>(a)\n b = Min(c, a)",
        "b = Max(a, v)",
        "b = Min(a, a, r)",
        "c = MaxPool<kernel_shape = [6, 6]>(a)\n b = Mul(a, c)",
        "c = MaxPool<kernel_shape = [6, 1]>(a)\n b = Sub(c, a)",
        "b = Add(a, v)",
        "b = Mul(v, a)",
        "c = Relu(a)\n d = MaxPool<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(c)\n b = Add(d, a)",
        "c = Relu(a)\n d = Clip(c, , six)\n e = Concat<axis = 2>(d, a)\n b = AveragePool<kernel_shape = [7, 1]>(e)",
    ],
)
def test_arithmetic_of_two_values(graph, inner):
    more = integers("vi", (3, 1, 6), "uint8", 0, 255) + ", uint8 vz = {100}" + floats("ws", [0.03], "")
    more += integers("ri", (1, 3, 1, 1))
    more += ", int8 rz = {3}" + floats("six", [6], "")
    inner = "v = DequantizeLinear(vi, ws, vz)\n r = DequantizeLinear(ri, ws, rz)\n" + inner
    check_agreement(graph(around(inner, more=more)))


@pytest.mark.parametrize("shape", [(1, 3, 6, 6), (2, 3, 4), (2, 2, 3, 2, 2)])
@pytest.mark.parametrize("operator", ["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"])
@pytest.mark.parametrize("axes", [[1], [-1], [0, 2], [0, 1, 2], [1, -1]])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_reductions(graph, shape, operator, axes, keepdims):
    reduced = {axis % len(shape) for axis in axes}
    kept = [1 if axis in reduced else size for axis, size in enumerate(shape)]
    out = kept if keepdims else [size for axis, size in enumerate(shape) if axis not in reduced]
    if not out:
        pytest.skip("onnx's textual form has no numbers as inputs and outputs")
    text = around(f"b = {operator}<keepdims = {keepdims}>(a, axes)", *(",".join(map(str, s)) for s in (shape, out)))
    model = graph(text.replace("int8 u = {5}", "int8 u = {5}" + longs("axes", *axes)), opset=18)
    check_agreement(model)


@pytest.mark.parametrize(
    ("inner", "out"),
    [
        ("b = GlobalMaxPool(a)", "1,3,1,1"),
        ("b = MaxPool<kernel_shape = [2, 3], dilations = [3, 2], pads = [1, 2, 2, 1]>(a)", "1,3,6,5"),
        ("b = MaxPool<kernel_shape = [3, 3], strides = [2, 2], ceil_mode = 1>(a)", "1,3,3,3"),
        ("b = MaxPool<kernel_shape = [1, 2], strides = [4, 3], ceil_mode = 1, pads = [0, 1, 0, 0]>(a)", "1,3,2,3"),
        ("b = AveragePool<kernel_shape = [2, 3], dilations = [3, 2], pads = [1, 2, 2, 1]>(a)", "1,3,6,5"),
        ("b = AveragePool<kernel_shape = [3, 2], strides = [2, 2], ceil_mode = 1, pads = [0, 1, 0, 1]>(a)", "1,3,3,4"),
        ('b = MaxPool<kernel_shape = [3, 2], auto_pad = "SAME_LOWER">(a)', "1,3,6,6"),
    ],
)
def test_attributes_of_pools(graph, inner, out):
    check_agreement(graph(around(inner, out=out), opset=22))


@pytest.mark.parametrize(
    "inner", ["y = {}(a)", "y = {}<axis = 3, keepdims = 0>(a)", "y = {}<select_last_index = 1, axis = -3>(a)"]
)
@pytest.mark.parametrize("operator", ["ArgMax", "ArgMin"])
def test_where_the_largest_element_is(graph, operator, inner):
    out = {"axis = 3": "2,3,5", "axis = -3": "2,1,5,4"}
    sizes = next((sizes for key, sizes in out.items() if key in inner), "1,3,5,4")
    check_agreement(
        graph(f"""g (int8[2,3,5,4] x) => (int64[{sizes}] y) <float s = {{0.5}}, int8 z = {{3}}> {{
          a = DequantizeLinear(x, s, z)
          {inner.format(operator)}
        }}""")
    )


@pytest.mark.parametrize("kind", ["int8", "uint8"])
@pytest.mark.parametrize(
    ("inner", "shape"),
    [
        ("b = LayerNormalization(a, g, h)", "2,7,5"),
        ("b = LayerNormalization<axis = 1>(a, e)", "3,2,2"),
        ("v = DequantizeLinear(gi, ws)\n w = DequantizeLinear(hi, bs)\n b = LayerNormalization(a, v, w)", "9,5"),
        ("b = LayerNormalization<epsilon = 0.25>(a, one)", "40,2"),
    ],
)
def test_layer_normalization(graph, inner, shape, kind):
    more = floats("g", [1, -0.5, 0, 0.3, 2.25]) + floats("h", [0, 0.1, -1, 0.3, 0.5]) + floats("e", [1, 2, 3, 4], "2,2")
    more += integers("gi", (5,)) + integers("hi", (5,), "int32", -9999, 9999) + floats("one", [1, 1])
    more += floats("ws", [0.01], "") + floats("bs", [0.0005], "")
    check_agreement(graph(around(inner, shape, shape, more, kind), opset=17))


def test_layer_normalization_tells_ties(graph):
    """With these scales, rows of two elements have results that lie exactly between two steps."""
    model = graph(
        """g (int8[300,2] x) => (int8[300,2] y)
      <int8 z = {0}, float s = {1}, float t = {0.25}, float[2] g = {0.125, 0.625}, float[2] h = {0, 0.125}> {
      a = DequantizeLinear(x, s, z)
      b = LayerNormalization<epsilon = 2.0>(a, g, h)
      y = QuantizeLinear(b, t, z)
    }""",
        opset=17,
    )
    check_agreement(model)


@pytest.mark.parametrize(
    "inner",
    [
        "b = Conv<pads = [1, 1, 1, 1]>(a, v)",
        "b = AveragePool<kernel_shape = [3, 3]>(a)",
        "b = Mul(a, a)",
        "c = GlobalMaxPool(a)\n b = Sub(a, c)",
    ],
)
def test_activations_of_16_bits(graph, inner):
    more = integers("w", (4, 3, 3, 3)) + floats("ws", [0.0004], "")
    inner = f"v = DequantizeLinear(w, ws)\n {inner}"
    out = "1,4,6,6" if "Conv" in inner else "1,3,4,4" if "AveragePool" in inner else "1,3,6,6"
    scales = "float s = {0.0003}, int16 z = {0}, float t = {0.0007}, int16 u = {0}"
    model = around(inner, out=out, more=more, kind="int16")
    check_agreement(
        graph(model.replace("float s = {0.05}, int16 z = {17}, float t = {0.043}, int16 u = {5}", scales), 21)
    )
