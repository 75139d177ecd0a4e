"""Exact real arithmetic, against Python's fractions one element at a time."""

from fractions import Fraction

import numpy as np
import pytest

from htvm.dialects.semantics import real, transcendental
from htvm.dialects.semantics.real import Real

SCALES = {
    "powers of two": [0.5, 0.25, 0.5],
    "floats": [np.float32(0.0123), np.float32(0.57), np.float32(1.9)],
    "a ratio of one half": [np.float32(0.1), np.float32(0.05), np.float32(0.1)],
    "a ratio of one third": [np.float32(0.75), np.float32(0.25), np.float32(0.75)],
}


def random_real(rng: np.random.Generator, shape: tuple[int, ...], scale: float) -> Real:
    return Real.of_storage(rng.integers(-128, 128, shape), scale, int(rng.integers(-10, 10)))


def rounded(x: Fraction, scale: float, zero_point: int, low: int, high: int, rounding: str) -> int:
    steps = x / Fraction(float(scale))
    whole = round(steps) if rounding == "half_even" else steps.numerator // steps.denominator
    return min(max(whole + zero_point, low), high)


def quantised(x: Real, *how: object) -> list[int]:
    return [rounded(value, *how) for value in x.exact().flat]


@pytest.mark.parametrize("rounding", ["half_even", "floor"])
@pytest.mark.parametrize("scales", SCALES.values(), ids=SCALES)
@pytest.mark.parametrize("seed", range(5))
def test_quantise_rounds_the_exact_sum(seed, scales, rounding):
    rng = np.random.default_rng(seed)
    x = random_real(rng, (2, 5, 7), scales[0]) + random_real(rng, (5, 1), scales[1])
    assert x.quantise(scales[2], 3, -128, 127, rounding).ravel().tolist() == quantised(
        x, scales[2], 3, -128, 127, rounding
    )


def test_ties_go_to_the_even_step_before_the_zero_point():
    x = Real.of_integers(np.arange(-6, 7), Fraction(1, 2))
    assert x.quantise(1.0, 1, -128, 127).tolist() == [-2, -1, -1, -1, 0, 1, 1, 1, 2, 3, 3, 3, 4]


def test_a_number_that_float64_takes_for_a_tie_is_no_tie():
    tie = Real.of_integers(np.array([5, 5, 5]), Fraction(1, 2))
    hair = Real.of_integers(np.array([-1, 0, 1]), Fraction(1, 2**200))
    assert (tie + hair).quantise(1.0, 0, -128, 127).tolist() == [2, 2, 3]


def test_a_number_that_float64_takes_for_an_integer_is_floored_below_it():
    x = Real.of_integers(np.array([3, 3])) + Real.of_integers(np.array([-1, 0]), Fraction(1, 2**200))
    assert x.floor().exact().tolist() == [2, 3]


def test_quantise_saturates_numbers_beyond_64_bits():
    x = Real.of_integers(np.array([-(2**80), 2**80], object))
    assert x.quantise(0.5, 0, -128, 127).tolist() == [-128, 127]


def test_quantise_takes_a_scale_for_each_channel():
    x = Real.of_integers(np.full((1, 3, 2), 6))
    scale = np.array([1.0, 2.0, 4.0]).reshape(1, 3, 1)
    assert x.quantise(scale, 0, -128, 127)[0, :, 0].tolist() == [6, 3, 2]


def test_quantise_rejects_a_scale_that_is_not_positive():
    with pytest.raises(ValueError, match=r"a scale is positive and finite, got 0\.0"):
        Real.of_integers(np.array([1])).quantise(0.0, 0, -128, 127)


@pytest.mark.parametrize("scales", SCALES.values(), ids=SCALES)
def test_arithmetic_is_exact(scales):
    rng = np.random.default_rng(0)
    a, b = random_real(rng, (3, 4), scales[0]), random_real(rng, (4,), scales[1])
    c = Real.of_floats(rng.normal(size=(3, 1)).astype(np.float32))
    for x, want in (
        (a + b, a.exact() + b.exact()),
        (a - b, a.exact() - b.exact()),
        (a * b * c, a.exact() * b.exact() * c.exact()),
        ((a + b) * c, (a.exact() + b.exact()) * c.exact()),
        (a / c, a.exact() / c.exact()),
        (-(a + c), -a.exact() - c.exact()),
    ):
        assert (x.exact() == want).all()


def test_division_by_zero_is_an_error():
    with pytest.raises(ZeroDivisionError):
        Real.of_integers(np.array([1, 2])) / Real.of_integers(np.array([1, 0]))


@pytest.mark.parametrize("bounds", [(0, 6), (-1, 1), (5, 5), (3, -2)])
@pytest.mark.parametrize("before", [(-3, 4), (7, 9)])
def test_clamps_follow_each_other(before, bounds):
    low, high = Fraction(bounds[0], 3), Fraction(bounds[1], 3)
    x = Real.of_storage(np.arange(-50, 50), np.float32(0.07)) + Real.of_storage(np.arange(-50, 50), 0.11)
    y = x.clamp(*map(Fraction, before)).clamp(low, high)
    want = [min(max(min(max(v, before[0]), before[1]), low), high) for v in x.exact()]
    assert y.exact().tolist() == want
    assert (-y).exact().tolist() == [-v for v in want]
    assert (y + x).exact().tolist() == [v + w for v, w in zip(want, x.exact(), strict=True)]
    assert y.quantise(0.09, 0, -128, 127).tolist() == [rounded(v, 0.09, 0, -128, 127, "half_even") for v in want]


def test_floats_are_taken_as_written():
    values = np.array([0.1, -3.0, 1e-30, 0.0, 2.0**90, -(2.0**-1074), 1e300])
    assert Real.of_floats(values).exact().tolist() == [Fraction(v) for v in values.tolist()]
    assert (Real.of_floats(values).to_float64() == values).all()


def test_infinity_is_no_real_number():
    with pytest.raises(ValueError, match="inf is not a real number"):
        Real.of_floats(np.array([1.0, np.inf]))


def test_float32_is_not_rounded_twice():
    tie = 1 + Fraction(1, 2**24)  # half way between two neighbours; float64 holds it but not the hair beside it
    hair = Fraction(1, 2**80)
    x = Real.of_integers(np.array([n * hair.denominator for n in (tie - hair, tie, tie + hair)], object), hair)
    above = np.nextafter(np.float32(1), np.float32(2))
    assert x.to_float32().tolist() == [1.0, 1.0, above]


def test_a_number_without_axes_is_an_array_too():
    x = Real.of_floats(1.5) * Real.of_floats(3.0) + Real.of_floats(np.float32(0.1)).clamp(high=Fraction(0))
    assert x.shape == ()
    assert x.exact().item() == Fraction(9, 2)
    assert x.quantise(1.0, 0, -128, 127).tolist() == 4
    assert x.to_float32().item() == 4.5


def test_shapes_change_integers_and_units_alike():
    rng = np.random.default_rng(1)
    scale = np.array([0.5, 0.3, 0.1]).reshape(3, 1)
    x = Real.of_storage(rng.integers(-9, 9, (2, 3, 4)), scale) + Real.of_integers(np.arange(4))
    exact = x.exact()
    assert (x.transpose([2, 0, 1]).exact() == exact.transpose([2, 0, 1])).all()
    assert (x.reshape([3, 8]).exact() == exact.reshape([3, 8])).all()
    assert (x[:, 1:3, ::2].exact() == exact[:, 1:3, ::2]).all()
    for value in (Fraction(0), Fraction(-7, 3)):
        want = np.full((3, 3, 7), value)
        want[1:, :, 1:5] = exact
        assert (x.pad([1, 0, 1], [0, 0, 2], value).exact() == want).all()


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concat_keeps_each_part(axis):
    rng = np.random.default_rng(2)
    parts = [random_real(rng, (2, 2, 2), scale) for scale in (0.5, 0.3, 0.5)]
    parts.append(parts[0] + parts[1])
    assert (real.concat(parts, axis).exact() == np.concatenate([x.exact() for x in parts], axis)).all()


@pytest.mark.parametrize("bits", [8, 40], ids=["through float64", "through Python integers"])
def test_matmul_is_exact(bits):
    rng = np.random.default_rng(3)
    a = Real.of_storage(rng.integers(-(2**bits), 2**bits, (2, 3, 5)), np.float32(0.3)) + Real.of_integers(np.arange(5))
    b = Real.of_storage(rng.integers(-128, 128, (5, 4)), np.array([0.1, 0.2, 0.3, 0.4], np.float32))
    assert (real.matmul(a, b).exact() == a.exact() @ b.exact()).all()


def correlation(x: np.ndarray, w: np.ndarray, stride: int, pads: list[int], dilation: int, groups: int) -> np.ndarray:
    """The definition of ONNX Conv, one output at a time."""
    top, left, bottom, right = pads
    x = np.pad(x, [(0, 0), (0, 0), (top, bottom), (left, right)], constant_values=Fraction(0))
    count, per_group, rows, columns = w.shape
    height = (x.shape[2] - dilation * (rows - 1) - 1) // stride + 1
    width = (x.shape[3] - dilation * (columns - 1) - 1) // stride + 1
    y = np.empty((len(x), count, height, width), object)
    for n, k, i, j in np.ndindex(*y.shape):
        first = k // (count // groups) * per_group
        y[n, k, i, j] = sum(
            x[n, first + c, i * stride + r * dilation, j * stride + s * dilation] * w[k, c, r, s]
            for c, r, s in np.ndindex(per_group, rows, columns)
        )
    return y


@pytest.mark.parametrize("bits", [8, 50], ids=["through float64", "through Python integers"])
@pytest.mark.parametrize(
    ("groups", "stride", "pads", "dilation"),
    [(1, 1, [0, 0, 0, 0], 1), (2, 2, [0, 1, 1, 0], 1), (4, 1, [2, 1, 0, 3], 2)],
)
def test_convolution_is_exact(groups, stride, pads, dilation, bits):
    rng = np.random.default_rng(4)
    x = Real.of_storage(rng.integers(-(2**bits), 2**bits, (2, 4, 6, 5)), np.float32(0.3), 7)
    scales = rng.uniform(0.1, 1, (8, 1, 1, 1)).astype(np.float32)
    w = Real.of_storage(rng.integers(-128, 128, (8, 4 // groups, 3, 2)), scales)
    y = real.conv2d(x, w, [stride] * 2, pads, [dilation] * 2, groups)
    assert (y.exact() == correlation(x.exact(), w.exact(), stride, pads, dilation, groups)).all()


def test_pooling_leaves_out_what_is_outside():
    x = Real.of_integers(np.array([[[[-1, -2], [-3, -4]]]]))
    window = ([2, 2], [1, 1], [1, 1, 0, 0])
    assert real.window_max(x, *window).exact()[0, 0].tolist() == [[-1, -1], [-1, -1]]
    assert real.window_sum(x, *window).exact()[0, 0].tolist() == [[-1, -3], [-4, -10]]
    assert real.window_mean(x, *window).exact()[0, 0].tolist() == [
        [-1, Fraction(-3, 2)],
        [-2, Fraction(-5, 2)],
    ]
    counted = real.window_mean(x, *window, count_include_pad=True)
    assert counted.exact()[0, 0].tolist() == [[Fraction(-1, 4), Fraction(-3, 4)], [-1, Fraction(-5, 2)]]


def test_an_average_on_a_tie_goes_to_the_even_step():
    sums = np.arange(-5, 6)
    x = Real.of_storage(np.stack([sums, np.zeros_like(sums)], 1).reshape(1, -1, 1, 2), np.float32(0.1))
    mean = real.window_mean(x, [1, 2], [1, 1], [0, 0, 0, 0])
    assert mean.quantise(np.float32(0.1), 0, -128, 127).ravel().tolist() == [
        -2,
        -2,
        -2,
        -1,
        0,
        0,
        0,
        1,
        2,
        2,
        2,
    ]


def test_sums_along_axes():
    x = Real.of_storage(np.arange(24).reshape(2, 3, 4), np.array([0.1, 0.2, 0.3]).reshape(3, 1))
    exact = x.exact()
    assert (real.axis_sum(x, [1, -1], keepdims=False).exact() == exact.sum(2).sum(1)).all()
    assert (real.axis_sum(x, [0], keepdims=True).exact() == exact.sum(0, keepdims=True)).all()


def test_sigmoid_and_tanh_are_right_at_the_ends_and_in_the_middle():
    x = Real.of_integers(np.array([-1000, -2, 0, 2, 1000]))
    below, third, half, fourth, above = transcendental.sigmoid(x).exact()
    assert (below, half, above) == (0, Fraction(1, 2), 1)
    assert third + fourth == 1
    expected = 1 / (1 + np.exp(-x.to_float64().clip(-500)))
    np.testing.assert_allclose(transcendental.sigmoid(x).to_float64(), expected, atol=1e-16)
    np.testing.assert_allclose(transcendental.tanh(x).to_float64(), np.tanh(x.to_float64()), rtol=1e-15)


def test_sigmoid_of_half_a_step_is_a_tie():
    zero = Real.of_integers(np.array([0]))
    assert transcendental.sigmoid(zero).quantise(1 / 3, 0, -128, 127) == 2  # 1.5 steps, but for the float's last bit
    assert transcendental.sigmoid(zero).quantise(1.0, 0, -128, 127) == 0


def test_softmax_of_equal_numbers_is_exact():
    x = Real.of_storage(np.zeros((1, 4), np.int8), 0.1)
    assert transcendental.softmax(x, 1).exact().tolist() == [[Fraction(1, 4)] * 4]


def test_softmax_is_near_its_float64_value():
    values = np.random.default_rng(5).integers(-128, 128, (3, 10)) * 0.1
    x = Real.of_floats(values)
    powers = np.exp(values - values.max(1, keepdims=True))
    expected = powers / powers.sum(1, keepdims=True)
    np.testing.assert_allclose(transcendental.softmax(x, 1).to_float64(), expected, rtol=1e-13)
