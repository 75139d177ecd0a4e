"""Integer constants for an addition equal its exact meaning for every pair of operands."""

from fractions import Fraction

import numpy as np
import pytest
from selection import first

from htvm.passes.analysis import exact_add
from htvm.passes.analysis.exact_add import AddRequant, Sum


def run(found: AddRequant, wanted: Sum) -> np.ndarray:
    """What the integer code computes for every pair."""
    a, b = np.array(wanted.first, object), np.array(wanted.second, object)
    sums = np.add.outer(a * found.multipliers[0], b * found.multipliers[1]) + found.offset
    if found.narrow:
        assert sums.min() >= -(1 << 31) and sums.max() < 1 << 31
    values = sums >> found.shift
    if found.tie_below:
        ties = (sums & ((1 << found.shift) - 1)) < found.tie_below
        values = np.where(ties, values & ~1, values) + found.zero_point
    return np.clip(values, wanted.lowest, wanted.highest).astype(int)


def meaning(wanted: Sum) -> np.ndarray:
    """The definition, one pair at a time, in rationals."""

    def one(a: int, b: int) -> int:
        value = wanted.slopes[0] * a + wanted.slopes[1] * b + wanted.intercept
        rounded = round(value) if wanted.rounding == "half_even" else value.numerator // value.denominator
        return min(max(rounded + wanted.zero_point, wanted.lowest), wanted.highest)

    return np.array([[one(a, b) for b in wanted.second] for a in wanted.first])


BYTES = range(-128, 128)


@pytest.mark.parametrize("seed", first(range(6), 2))
def test_random_scales_of_float32(seed):
    rng = np.random.default_rng(seed)
    scale = [Fraction(float(np.float32(s))) for s in rng.uniform(0.01, 0.2, 3)]
    slopes = scale[0] / scale[2], scale[1] / scale[2]
    wanted = Sum(slopes, -slopes[0] * 7 + slopes[1] * 20, BYTES, BYTES, -5, -128, 127, "half_even")
    assert (run(exact_add.solve(wanted), wanted) == meaning(wanted)).all()


@pytest.mark.parametrize(
    ("slopes", "intercept"),
    [((1, 1), 0), ((Fraction(1, 2), Fraction(1, 2)), 0), ((Fraction(1, 2), Fraction(-1, 4)), Fraction(3, 4))],
)
@pytest.mark.parametrize("rounding", ["half_even", "floor"])
def test_powers_of_two(slopes, intercept, rounding):
    wanted = Sum(tuple(map(Fraction, slopes)), Fraction(intercept), BYTES, BYTES, 3, -128, 127, rounding)
    assert (run(exact_add.solve(wanted), wanted) == meaning(wanted)).all()


def test_integer_factors_and_a_divisor():
    # As integer networks write it: floor((25338 a + 69656 b + 16384) / 32768).
    slopes = Fraction(25338, 32768), Fraction(69656, 32768)
    wanted = Sum(slopes, Fraction(1, 2), range(256), BYTES, 0, 0, 255, "floor")
    assert (run(exact_add.solve(wanted), wanted) == meaning(wanted)).all()


def test_nothing_is_claimed_that_is_not_exact():
    # Thirds of both operands tie never, halves alternate: together no linear form rounds them right.
    slopes = (Fraction(1, 2), Fraction(1, 2) + Fraction(1, 3))
    wanted = Sum(slopes, Fraction(0), BYTES, BYTES, 0, -128, 127, "half_even")
    found = exact_add.solve(wanted)
    assert found is None or (run(found, wanted) == meaning(wanted)).all()


@pytest.mark.parametrize("rounding", ["half_even", "floor"])
@pytest.mark.parametrize("scales", [(0.37, 1.21), (0.5, -0.25), (1, 1)])
def test_sums_of_16_bits_are_corrected(scales, rounding):
    """Of too many pairs to look at, a sample of both operands."""
    slopes = tuple(Fraction(float(np.float32(scale))) for scale in scales)
    words = range(-(1 << 15), 1 << 15)
    wanted = Sum(slopes, Fraction(7, 2), words, words, 11, -(1 << 15), (1 << 15) - 1, rounding)
    found = exact_add.corrected(wanted)
    rng = np.random.default_rng(0)
    for a, b in [*rng.integers(words[0], words[-1], (3000, 2), endpoint=True).tolist(), (words[0], words[-1])]:
        value = (a * found.multipliers[0] + b * found.multipliers[1] + found.offset) >> found.shift
        left = a * found.numerators[0] + b * found.numerators[1] + found.rest - value * found.divisor
        step = -1 if left < 0 else int(left >= found.divisor)
        value, left = value + step, left - step * found.divisor
        value = value & ~1 if left < found.tie_below else value
        exact = slopes[0] * a + slopes[1] * b + wanted.intercept
        rounded = round(exact) if rounding == "half_even" else exact.numerator // exact.denominator
        assert 0 <= left < found.divisor
        assert min(max(value + found.zero_point, words[0]), words[-1]) == min(max(rounded + 11, words[0]), words[-1])
