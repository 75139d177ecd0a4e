"""Each operation against its formula, written once more with plain numpy.

More than 400 lines: a test for each operation, which stands alone.
"""

from fractions import Fraction

import numpy as np
import pytest
from mlir import ir

from htvm import dialects
from htvm.dialects.semantics import integers
from htvm.dialects.semantics.interpreter import interpret
from htvm.dialects.semantics.real import Real

RNG = np.random.default_rng(0)
X_SCALE, W_SCALES, B_SCALE, Y_SCALE = 0.03, [0.5, 0.011, 0.07, 0.2], 0.0009, 0.125
QX = f"!quant.uniform<i8:f32, {X_SCALE}:-3>"
QW = "!quant.uniform<i8:f32:0, {0.5, 0.011, 0.07, 0.2}>"
QB = f"!quant.uniform<i32:f32, {B_SCALE}>"
QY = f"!quant.uniform<i8<-100:90>:f32, {Y_SCALE}:5>"


def run(body: str, arguments: list[str], result: str, *inputs: np.ndarray) -> np.ndarray | Real:
    """Interpret a function with arguments %0, %1, .. that returns %y."""
    listing = ", ".join(f"%{place}: tensor<{type_}>" for place, type_ in enumerate(arguments))
    text = f"func.func @main({listing}) -> tensor<{result}> {{\n{body}\nreturn %y : tensor<{result}>\n}}"
    with dialects.context():
        module = ir.Module.parse(text)
        return interpret(module, {f"arg{place}": array for place, array in enumerate(inputs)})["result0"]


def layer(text: str, arguments: list[str], result: str, *inputs: np.ndarray) -> np.ndarray | Real:
    """Interpret one layer: `text` without its types."""
    types = ", ".join(f"tensor<{type_}>" for type_ in arguments)
    return run(f"%y = {text} : ({types}) -> tensor<{result}>", arguments, result, *inputs)


def int8(*shape: int) -> np.ndarray:
    return RNG.integers(-128, 128, shape).astype(np.int8)


def exact(stored: np.ndarray, scale: float, zero_point: int = 0) -> np.ndarray:
    """The real numbers as Fractions."""
    return (stored.astype(object) - zero_point) * Fraction(scale)


def to_y(numbers: np.ndarray, rounding: str = "half_even") -> np.ndarray:
    """Round Fractions to QY."""
    whole = round if rounding == "half_even" else lambda steps: steps.numerator // steps.denominator
    return np.vectorize(lambda v: min(max(whole(v / Fraction(Y_SCALE)) + 5, -100), 90), otypes=[int])(numbers)


def windows(x: np.ndarray, rows: int, columns: int, stride: int = 1) -> np.ndarray:
    """Return [.., H', W', R, S]."""
    every = np.lib.stride_tricks.sliding_window_view(x, (rows, columns), (-2, -1))
    return every[..., ::stride, ::stride, :, :]


# Stages imported and fused


@pytest.mark.parametrize("rounding", ["half_even", "floor"])
def test_quantize_rounds_and_clamps(rounding):
    x = int8(2, 50)
    y = layer(f"accel.quantize %0 {{rounding = #accel.rounding<{rounding}>}}", [f"2x50x{QX}"], f"2x50x{QY}", x)
    assert y.dtype == np.int8
    assert (y == to_y(exact(x, X_SCALE, -3), rounding)).all()


def test_quantize_to_a_scale_for_each_channel():
    per_channel = "!quant.uniform<u8:f32:1, {0.5:1, 0.25:2}>"
    y = layer("accel.quantize %0", ["1x2x3xf32"], f"1x2x3x{per_channel}", np.full((1, 2, 3), 30.0))
    assert y.dtype == np.uint8
    assert y[0].tolist() == [[61] * 3, [122] * 3]


@pytest.mark.parametrize("fused", [False, True])
def test_conv2d_is_a_sum_of_exact_products(fused):
    x, w, b = int8(1, 2, 7, 6), int8(4, 2, 3, 2), RNG.integers(-2000, 2000, 4, dtype=np.int32)
    text = (
        "accel.conv2d %0, %1 bias %2 {strides = array<i64: 2, 2>, pads = array<i64: 1, 0, 0, 1>, "
        "dilations = array<i64: 1, 1>, groups = 1 : i64}"
    )
    y = layer(text, [f"1x2x7x6x{QX}", f"4x2x3x2x{QW}", f"4x{QB}"], f"1x4x3x3x{QY if fused else 'f32'}", x, w, b)
    padded = np.pad(exact(x, X_SCALE, -3)[0], [(0, 0), (1, 0), (0, 1)], constant_values=Fraction(0))
    weights = exact(w, 1) * np.array([Fraction(scale) for scale in W_SCALES]).reshape(4, 1, 1, 1)
    products = windows(padded, 3, 2, stride=2)[np.newaxis] * weights[:, :, np.newaxis, np.newaxis]
    want = products.sum((1, 4, 5)) + exact(b, B_SCALE).reshape(4, 1, 1)
    assert (y[0] == to_y(want)).all() if fused else (y.exact()[0] == want).all()


@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_dense_multiplies_rows(lead):
    x, w, b = int8(*lead, 5), int8(4, 5), RNG.integers(-2000, 2000, 4, dtype=np.int32)
    shape = "".join(f"{size}x" for size in lead)
    y = layer("accel.dense %0, %1 bias %2", [f"{shape}5x{QX}", f"4x5x{QW}", f"4x{QB}"], f"{shape}4xf32", x, w, b)
    weights = exact(w, 1) * np.array([Fraction(scale) for scale in W_SCALES]).reshape(4, 1)
    assert (y.exact() == exact(x, X_SCALE, -3) @ weights.T + exact(b, B_SCALE)).all()


@pytest.mark.parametrize("op", ["add", "sub", "mul", "div"])
def test_arithmetic_broadcasts(op):
    a, b = int8(2, 3, 4), np.array([[0.3], [-2.0], [7.0]], np.float32)
    y = layer(f"accel.{op} %0, %1", [f"2x3x4x{QX}", "3x1xf32"], "2x3x4xf32", a, b)
    x, c = exact(a, X_SCALE, -3), np.array([[Fraction(float(v))] for v in b.flat])
    assert (y.exact() == {"add": x + c, "sub": x - c, "mul": x * c, "div": x / c}[op]).all()


def test_add_rounds_after_its_offset():
    a, b = int8(40), int8(40)
    text = "accel.add %0, %1 {offset = 0.4 : f64, rounding = #accel.rounding<floor>}"
    y = layer(text, [f"40x{QX}", f"40x{QX}"], f"40x{QY}", a, b)
    want = exact(a, X_SCALE, -3) + exact(b, X_SCALE, -3) + Fraction(0.4)
    assert (y == to_y(want, "floor")).all()


def test_relu_and_clamp():
    x = int8(50)
    numbers = exact(x, X_SCALE, -3)
    y = layer("accel.relu %0", [f"50x{QX}"], "50xf32", x)
    assert (y.exact() == np.maximum(numbers, 0)).all()
    y = layer("accel.clamp %0 {min = -0.7 : f64, max = 0x7FF0000000000000 : f64}", [f"50x{QX}"], "50xf32", x)
    assert (y.exact() == np.maximum(numbers, Fraction(-0.7))).all()


def test_sigmoid_and_softmax():
    x = int8(4, 10)
    numbers = exact(x, X_SCALE, -3).astype(float)
    y = layer("accel.sigmoid %0", [f"4x10x{QX}"], "4x10xf32", x)
    np.testing.assert_allclose(y.to_float64(), 1 / (1 + np.exp(-numbers)), rtol=1e-15)
    for axis in (0, 1):
        y = layer(f"accel.softmax %0 {{axis = {axis} : i64}}", [f"4x10x{QX}"], "4x10xf32", x)
        powers = np.exp(numbers)
        np.testing.assert_allclose(y.to_float64(), powers / powers.sum(axis, keepdims=True), rtol=1e-14)


@pytest.mark.parametrize("count_include_pad", ["false", "true"])
@pytest.mark.parametrize("kind", ["average", "max", "sum"])
def test_pool2d_leaves_out_what_is_outside(kind, count_include_pad):
    x = int8(1, 2, 5, 5)
    text = (
        f"accel.pool2d %0 {{kind = #accel.pool_kind<{kind}>, kernel = array<i64: 3, 2>, strides = array<i64: 2, 2>, "
        f"pads = array<i64: 1, 1, 1, 0>, count_include_pad = {count_include_pad}, offset = 0.25 : f64}}"
    )
    y = layer(text, [f"1x2x5x5x{QX}"], "1x2x3x3xf32", x)
    numbers = exact(x, X_SCALE, -3)[0]
    for k, i, j in np.ndindex(2, 3, 3):
        top, left = 2 * i - 1, 2 * j - 1
        inside = numbers[k, max(top, 0) : top + 3, max(left, 0) : left + 2]
        count = 6 if count_include_pad == "true" else inside.size
        want = {"average": inside.sum() / count, "max": inside.max(), "sum": inside.sum()}[kind]
        assert y.exact()[0, k, i, j] == want + Fraction(0.25)


def test_moves_keep_the_numbers():
    a, b = int8(2, 3), int8(2, 2)
    x, z = exact(a, X_SCALE, -3), exact(b, Y_SCALE, 5)
    b = np.clip(b, -100, 90)
    z = exact(b, Y_SCALE, 5)
    y = layer("accel.concat %0, %1 {axis = 1 : i64}", [f"2x3x{QX}", f"2x2x{QY}"], "2x5xf32", a, b)
    assert (y.exact() == np.concatenate([x, z], 1)).all()
    text = "accel.pad %0 {low = array<i64: 1, 0>, high = array<i64: 0, 2>, value = -0.3 : f64}"
    y = layer(text, [f"2x3x{QX}"], "3x5xf32", a)
    assert (y.exact() == np.pad(x, [(1, 0), (0, 2)], constant_values=Fraction(-0.3))).all()
    y = layer("accel.transpose %0 {permutation = array<i64: 1, 0>}", [f"2x3x{QX}"], "3x2xf32", a)
    assert (y.exact() == x.T).all()
    y = layer("accel.reshape %0", [f"2x3x{QX}"], "6xf32", a)
    assert (y.exact() == x.ravel()).all()


def test_constants_and_reinterpretation():
    body = """
      %c = arith.constant dense<[-56, 3]> : tensor<2xi8>
      %w = quant.scast %c : tensor<2xi8> to tensor<2x!quant.uniform<u8:f32, 0.5:1>>
      %bits = quant.scast %w : tensor<2x!quant.uniform<u8:f32, 0.5:1>> to tensor<2xi8>
      %v = quant.scast %bits : tensor<2xi8> to tensor<2x!quant.uniform<i8:f32, 0.25>>
      %half = arith.constant dense<0.5> : tensor<f32>
      %s = accel.add %w, %v :
        (tensor<2x!quant.uniform<u8:f32, 0.5:1>>, tensor<2x!quant.uniform<i8:f32, 0.25>>) -> tensor<2xf32>
      %y = accel.mul %s, %half : (tensor<2xf32>, tensor<f32>) -> tensor<2xf32>"""
    assert run(body, [], "2xf32").exact().tolist() == [(99.5 - 14) / 2, (1 + 0.75) / 2]


# Stage integer


def requantised(acc, multiplier, offset, shift, *, pre_shift=0, low=-128, high=127):
    return np.clip(((acc.astype(np.int64) << pre_shift) + offset) * multiplier >> shift, low, high)


@pytest.mark.parametrize("groups", [1, 4])
def test_integer_conv2d_reads_the_pad_value_outside(groups):
    x, w = int8(1, 4, 5, 5), int8(4, 4 // groups, 3, 3)
    offset, multiplier = np.array([100, -20000, 3, 0]), np.array([1 << 20, 1 << 19, 3, 77777])
    text = (
        "accel.conv2d %0, %1 {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, "
        f"dilations = array<i64: 1, 1>, groups = {groups} : i64, pad_value = -7 : i64, requant = "
        "#accel.requant<multiplier = [1048576, 524288, 3, 77777], offset = [100, -20000, 3, 0], "
        "shift = [33], pre_shift = 6, min = -128, max = 100, narrow = true>}"
    )
    y = layer(text, ["1x4x5x5xi8", f"4x{4 // groups}x3x3xi8"], "1x4x5x5xi8", x, w)
    seen = windows(np.pad(x[0].astype(int), [(0, 0), (1, 1), (1, 1)], constant_values=-7), 3, 3)
    if groups == 1:
        acc = np.einsum("chwrs,kcrs->khw", seen, w.astype(int))
    else:
        acc = np.einsum("chwrs,crs->chw", seen, w[:, 0].astype(int))
    per_channel = (multiplier.reshape(4, 1, 1), offset.reshape(4, 1, 1))
    assert (y[0] == requantised(acc, *per_channel, 33, pre_shift=6, high=100)).all()


def test_integer_conv2d_scales_the_code_of_a_converter():
    """The code is clipped to 6 bits before it is multiplied by the weight of its channel."""
    x, w = int8(1, 3, 4, 4), int8(3, 3, 1, 1)
    text = (
        "accel.conv2d %0, %1 {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, "
        "groups = 1 : i64, requant = #accel.requant<multiplier = [1], offset = [0], shift = [8], min = -32, max = 31>, "
        "rescale = #accel.rescale<requant = <multiplier = [3], offset = [7, -90, 40], shift = [2], min = -64, "
        "max = 63>, weights = [5, -3, 0]>}"
    )
    y = layer(text, ["1x3x4x4xi8", "3x3x1x1xi8"], "1x3x4x4xi8", x, w)
    code = np.clip(np.einsum("chw,kc->khw", x[0].astype(int), w[:, :, 0, 0].astype(int)) >> 8, -32, 31)
    weights, offsets = np.array([5, -3, 0]).reshape(3, 1, 1), np.array([7, -90, 40]).reshape(3, 1, 1)
    assert {-32, 31} <= set(code.flat)
    assert (y[0] == requantised(code * weights, 3, offsets, 2, low=-64, high=63)).all()


def test_integer_dense_with_a_shift_for_each_output():
    x, w = int8(2, 6), int8(3, 6)
    text = (
        "accel.dense %0, %1 {requant = #accel.requant<multiplier = [5], offset = [9], "
        "shift = [8, 9, 10], min = 0, max = 255>}"
    )
    y = layer(text, ["2x6xi8", "3x6xi8"], "2x3xui8", x, w)
    assert y.dtype == np.uint8
    assert (y == requantised(x.astype(int) @ w.T, 5, 9, np.array([8, 9, 10]), low=0, high=255)).all()


def test_integer_dense_without_requant_adds_the_bias():
    x, w, b = int8(2, 6), int8(3, 6), RNG.integers(-(10**6), 10**6, 3, dtype=np.int32)
    y = layer("accel.dense %0, %1 bias %2", ["2x6xi8", "3x6xi8", "3xi32"], "2x3xi32", x, w, b)
    assert (y == x.astype(int) @ w.T + b).all()


def test_ties_go_to_even_before_the_zero_point():
    text = (
        "accel.mul %0, %1 {zero_points = array<i64: 1, 0>, requant = #accel.requant<multiplier = [1], "
        "offset = [2], shift = [2], tie_below = 1, zero_point = 3, "
        "min = -128, max = 127>}"
    )
    acc = np.arange(-20, 21)
    y = layer(text, ["41xi8", "1xi8"], "41xi8", (acc + 1).astype(np.int8), np.array([1], np.int8))
    assert (y == np.round(acc / 4) + 3).all()


@pytest.mark.parametrize("narrow", ["", ", narrow = true"])
def test_integer_add_has_a_multiplier_for_each_operand(narrow):
    a, b = int8(2, 3), int8(1, 3)
    text = (
        "accel.add %0, %1 {requant = #accel.requant<multiplier = [1000, -77], offset = [513], "
        f"shift = [10], min = -100, max = 100{narrow}>}}"
    )
    y = layer(text, ["2x3xi8", "1x3xi8"], "2x3xi8", a, b)
    assert (y == np.clip(a.astype(int) * 1000 - b.astype(int) * 77 + 513 >> 10, -100, 100)).all()


def test_integer_pool2d_has_constants_for_each_count():
    x = int8(1, 2, 3, 3)
    text = (
        "accel.pool2d %0 {kind = #accel.pool_kind<average>, kernel = array<i64: 2, 2>, strides = array<i64: 1, 1>, "
        "pads = array<i64: 1, 1, 0, 0>, counts = array<i64: 1, 2, 4>, "
        "requant = #accel.requant<multiplier = [16, 8, 4], offset = [0, 1, 2], "
        "shift = [4], min = -128, max = 127>}"
    )
    y = layer(text, ["1x2x3x3xi8"], "1x2x3x3xi8", x)
    sums = windows(np.pad(x[0].astype(int), [(0, 0), (1, 0), (1, 0)]), 2, 2).sum((-1, -2))
    sides = np.array([1, 2, 2])
    places = np.log2(np.outer(sides, sides)).astype(int)
    assert (y[0] == requantised(sums, np.array([16, 8, 4])[places], places, 4)).all()


@pytest.mark.parametrize(("kind", "element", "reduce"), [("max", "i8", np.max), ("sum", "i32", np.sum)])
def test_integer_pool2d_of_raw_numbers(kind, element, reduce):
    x = int8(1, 2, 4, 4)
    text = (
        f"accel.pool2d %0 {{kind = #accel.pool_kind<{kind}>, kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, "
        "pads = array<i64: 0, 0, 0, 0>}"
    )
    y = layer(text, ["1x2x4x4xi8"], f"1x2x2x2x{element}", x)
    assert (y == reduce(windows(x.astype(int), 2, 2, stride=2), (-1, -2))).all()


def test_lookup_reads_signless_entries_as_the_result_does():
    body = """
      %t = arith.constant dense<[-56, 3, 7]> : tensor<3xi8>
      %y = accel.lookup %0, %t {lowest = -1 : i64} : (tensor<4xi8>, tensor<3xi8>) -> tensor<4xui8>"""
    assert run(body, ["4xi8"], "4xui8", np.array([-1, 1, 0, -1], np.int8)).tolist() == [200, 7, 3, 200]


def test_integer_softmax_rounds_an_exact_quotient():
    x = int8(3, 8)
    x[0] = 5
    table = np.floor(np.exp(-0.05 * np.arange(150)) * 2**20).astype(np.int64)
    text = (
        "accel.softmax %0 table %1 {axis = 1 : i64, scale_multiplier = 3 : i64, scale_shift = 9 : i64, "
        "zero_point = -128 : i64, min = -128 : i64, max = 127 : i64}"
    )
    y = layer(text, ["3x8xi8", "150xi64"], "3x8xi8", x, table)
    for row, result in zip(x.astype(int), y, strict=True):
        powers = [int(table[d]) if d < 150 else 0 for d in row.max() - row]
        wanted = [round(Fraction(power, sum(powers)) / Fraction(3, 2**9)) - 128 for power in powers]
        assert result.tolist() == [min(max(v, -128), 127) for v in wanted]


def test_integer_moves_copy():
    a, b = int8(2, 3), int8(2, 2)
    y = layer("accel.concat %0, %1 {axis = 1 : i64}", ["2x3xi8", "2x2xi8"], "2x5xi8", a, b)
    assert (y == np.concatenate([a, b], 1)).all()
    text = "accel.pad %0 {low = array<i64: 1, 0>, high = array<i64: 0, 2>, value = -3.0 : f64}"
    assert (layer(text, ["2x3xi8"], "3x5xi8", a) == np.pad(a, [(1, 0), (0, 2)], constant_values=-3)).all()
    assert (layer("accel.transpose %0 {permutation = array<i64: 1, 0>}", ["2x3xi8"], "3x2xi8", a) == a.T).all()
    columns = "2x3xi8, affine_map<(r, c) -> (c, r)>"
    assert (layer("accel.convert_layout %0", ["2x3xi8"], columns, a) == a).all()
    assert (layer("accel.transfer %0", ["2x3xi8"], "2x3xi8", a) == a).all()
    assert (layer("accel.reshape %0", ["2x3xi8"], "6xi8", a) == a.ravel()).all()


def test_integer_windows_are_what_a_convolution_sums_up():
    x, weights = int8(1, 2, 6, 5), int8(3, 2, 3, 2)
    text = "accel.windows %0 {kernel = array<i64: 3, 2>, strides = array<i64: 2, 1>}"
    y = layer(text, ["1x2x6x5xi8"], "1x12x2x4xi8", x)
    for i, j, r, s, c in np.ndindex(2, 4, 3, 2, 2):
        assert y[0, (2 * r + s) * 2 + c, i, j] == x[0, c, 2 * i + r, j + s]
    sums = np.einsum("kt,tij->kij", weights.transpose(0, 2, 3, 1).reshape(3, 12).astype(int), y[0].astype(int))
    for i, j in np.ndindex(2, 4):
        window = x[0, :, 2 * i : 2 * i + 3, j : j + 2].astype(int)
        assert (sums[:, i, j] == (weights.astype(int) * window).sum((1, 2, 3))).all()


def test_layouts_change_no_number():
    layout = "affine_map<(n,c)->(c,n)>"
    a = int8(2, 3)
    y = layer("accel.reshape %0", [f"2x3xi8, {layout}"], f"3x2xi8, {layout}", a)
    assert (y == a.reshape(3, 2)).all()


# What is checked


RAW_DENSE = ("accel.dense %0, %1", ["1x2xi8", "1x2xi8"])
NARROW = (
    "accel.dense %0, %1 {requant = #accel.requant<multiplier = [1], offset = [2147483647], "
    "shift = [32], min = -128, max = 127, narrow = true>}"
)


def test_a_result_must_fit_its_type():
    with pytest.raises(OverflowError, match="accel.dense: a result is 20000, beyond tensor<1x1xi8>"):
        layer(*RAW_DENSE, "1x1xi8", np.full((1, 2), 100, np.int8), np.full((1, 2), 100, np.int8))


def test_a_narrow_sum_must_fit_32_bits():
    ones = np.ones((1, 2), np.int8)
    with pytest.raises(OverflowError, match="an accumulator with its offset is 2147483649, beyond 32 bits"):
        layer(NARROW, ["1x2xi8", "1x2xi8"], "1x1xi8", ones, ones)


def test_an_accumulator_must_fit_32_bits():
    most = np.full((1, 2), -32768, np.int16)
    with pytest.raises(OverflowError, match="an accumulator is 2147483648, beyond 32 bits"):
        layer("accel.dense %0, %1", ["1x2xi16", "1x2xi16"], "1x1xi32", most, most)


def test_an_index_must_be_in_the_table():
    with pytest.raises(ValueError, match="accel.lookup: an element is 5, the table is for -1 to 1"):
        layer(
            "accel.lookup %0, %1 {lowest = -1 : i64}",
            ["1xi8", "3xi8"],
            "1xi8",
            np.array([5], np.int8),
            int8(3),
        )


def test_a_layer_without_meaning_is_named_with_its_node():
    with pytest.raises(ValueError, match=r"act: no meaning of accel\.relu for a result tensor<2xi8>"):
        run('%y = accel.relu %0 : (tensor<2xi8>) -> tensor<2xi8> loc("act")', ["2xi8"], "2xi8", int8(2))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "input 'image' is missing; given: none"),
        ({"image": int8(3)}, r"input 'image' has shape \[3\], expected \[2\]"),
        ({"image": np.zeros(2)}, "input 'image' holds real numbers, expected integers"),
        ({"image": np.array([1, 91])}, "input 'image' holds 91, expected -100 to 90"),
    ],
)
def test_inputs_must_fit(given, message):
    type_ = f"tensor<2x{QY}>"
    text = f'func.func @main(%0: {type_} {{accel.name = "image"}}) -> {type_} {{ return %0 : {type_} }}'
    with dialects.context(), pytest.raises(ValueError, match=message):
        interpret(ir.Module.parse(text), given)


def test_an_observer_sees_every_layer_in_order():
    text = f"""
    func.func @main(%0: tensor<2x{QX}> {{accel.name = "x"}}) -> (tensor<2x{QY}> {{accel.name = "y"}}) {{
      %r = accel.relu %0 : (tensor<2x{QX}>) -> tensor<2xf32> loc("act")
      %y = accel.quantize %r : (tensor<2xf32>) -> tensor<2x{QY}> loc("act_Q")
      return %y : tensor<2x{QY}>
    }}"""
    seen = []
    with dialects.context():
        module = ir.Module.parse(text)
        results = interpret(module, {"x": np.array([-9, 96], np.int8)}, lambda *pair: seen.append(pair))
        assert [op.operation.name for op, _ in seen] == ["accel.relu", "accel.quantize"]
    assert seen[0][1].exact().tolist() == [0, 99 * Fraction(X_SCALE)]
    assert seen[1][1].tolist() == results["y"].tolist() == [5, 29]


# Integers


def test_integers_grow_beyond_64_bits_instead_of_overflowing():
    large = np.array([2**62, -(2**62)])
    assert integers.add(large, large).tolist() == [2**63, -(2**63)]
    assert integers.multiply(large, np.array([4])).tolist() == [2**64, -(2**64)]
    assert integers.axis_sums(large.repeat(4), [0]).tolist() == [0]
    assert integers.window_sums(np.full((1, 1, 4), 2**62), [4], [1], [0, 0]).item() == 2**64
    assert integers.matmul(large.reshape(1, 2), large.reshape(2, 1)).item() == 2**125
