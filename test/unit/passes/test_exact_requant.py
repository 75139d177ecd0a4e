"""Integer constants for a requantisation equal its exact meaning for every accumulator, or say where they do not."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from selection import first

from htvm.dialects.semantics import tosa_scaling
from htvm.passes.analysis import exact_requant
from htvm.passes.analysis.monotone_steps import DoubleRounded, Inexact, Requant, Scales, Steps


def steps(slope, intercept, first, last, zero_point=0, lowest=-128, highest=127, rounding="half_even") -> Steps:
    """A layer of one channel."""
    return Steps(
        [Fraction(slope)],
        [Fraction(intercept)],
        np.array([first]),
        np.array([last]),
        zero_point,
        lowest,
        highest,
        rounding,
    )


def assert_exact(wanted: Steps, found: Requant) -> None:
    """Compare all accumulators of every channel, one by one."""
    assert found.inexact is None
    for channel in range(len(wanted.slope)):
        for a in range(int(wanted.first[channel]), int(wanted.last[channel]) + 1):
            assert found(channel, a) == wanted.exact(channel, a), (channel, a)


def difference(wanted: Steps, found: Requant) -> Inexact | None:
    """Compare two step functions, however `found` computes its own: its steps are found by bisection."""
    reached = wanted.places()
    for channel, row in enumerate(reached):
        for step, output in enumerate(range(wanted.lowest + 1, wanted.highest + 1)):
            low, high = int(wanted.first[channel]), int(wanted.last[channel]) + 1
            while low < high:
                middle = (low + high) // 2
                low, high = (low, middle) if found(channel, middle) >= output else (middle + 1, high)
            row[step] = low
    return exact_requant.difference(wanted, wanted.places(), reached)


def assert_narrow_is_true(wanted: Steps, found: Requant) -> None:
    """`narrow` promises sums of 32 bits and shifts that a high multiplication can begin."""
    for channel, offset in enumerate(found.offset):
        for a in (int(wanted.first[channel]), int(wanted.last[channel])):
            assert -(1 << 31) <= (a << found.pre_shift) + int(offset) < 1 << 31
    assert found.shift.min() >= 32


@pytest.mark.parametrize("seed", range(12))
def test_random_scales_of_float32_are_exact_for_every_accumulator(seed):
    rng = np.random.default_rng(seed)
    reach = int(10 ** rng.uniform(1, 4))
    channels = 4
    scale = [Fraction(float(np.float32(s))) for s in 10 ** rng.uniform(-1, 1, channels) / reach * 100]
    bias = [Fraction(float(np.float32(b))) for b in rng.normal(0, 50, channels)]
    wanted = Steps(
        scale,
        bias,
        -rng.integers(1, reach, channels),
        rng.integers(1, reach, channels),
        int(rng.integers(-128, 128)),
        -128,
        127,
        "half_even",
    )
    found = exact_requant.solve(wanted)
    assert_exact(wanted, found)
    assert found.narrow
    assert_narrow_is_true(wanted, found)


@pytest.mark.parametrize("zero_point", [0, 3, -128, 127])
@pytest.mark.parametrize("exponent", [0, 1, 2, 5, 9])
def test_powers_of_two_round_ties_to_even(exponent, zero_point):
    wanted = steps(Fraction(1, 1 << exponent), 0, -3000, 3000, zero_point)
    assert_exact(wanted, exact_requant.solve(wanted))


@pytest.mark.parametrize("divisor", [3, 6, 49, 125])
def test_averages_round_ties_to_even(divisor):
    wanted = steps(Fraction(1, divisor), Fraction(5, divisor), -128 * divisor, 127 * divisor, -5)
    assert_exact(wanted, exact_requant.solve(wanted))


@pytest.mark.parametrize("divisor", [1, 256, 1000, 384, 1 << 15])
def test_floor_of_integer_arithmetic(divisor):
    wanted = steps(Fraction(7, divisor), Fraction(-13, divisor), -40000, 40000, 0, 0, 255, "floor")
    assert_exact(wanted, exact_requant.solve(wanted))


def test_dead_channels_beside_live_ones():
    # A channel of zero weights, one far below its clamp, one whose slope is a millionth: all share one shift.
    wanted = Steps(
        [Fraction(1, 300), Fraction(1, 300), Fraction(1, 77), Fraction(1, 10**6)],
        [Fraction(20), Fraction(-5000), Fraction(1, 3), Fraction(11, 2)],
        np.array([0, -2000, -9000, -30000]),
        np.array([0, 2000, 9000, 30000]),
        -128,
        -128,
        127,
        "half_even",
    )
    assert_exact(wanted, exact_requant.solve(wanted))


def test_steps_are_where_the_exact_function_steps():
    wanted = steps(Fraction(1, 7), Fraction(1, 2), -1000, 1000, 4)
    places = wanted.places()[0]
    for k, place in zip(range(-127, 128), places):
        if place > -1000:
            assert wanted.exact(0, int(place) - 1) < k
        if place <= 1000:
            assert wanted.exact(0, int(place)) >= k


def test_alternating_ties_beside_a_channel_without_ties():
    wanted = Steps(
        [Fraction(1, 2), Fraction(1, 3)],
        [Fraction(0), Fraction(0)],
        np.array([-99, -99]),
        np.array([99, 99]),
        0,
        -50,
        50,
        "half_even",
    )
    assert_exact(wanted, exact_requant.solve(wanted))


def test_alternating_ties_beside_channels_that_never_tie():
    # As an average of padded windows has them; and a slope of 1 with a whole intercept is on whole numbers always.
    counts = [1, 2, 3, 4, 6, 9]
    wanted = Steps(
        [Fraction(1, count) for count in counts],
        [Fraction(-36)] * len(counts),
        np.array([-128 * count for count in counts]),
        np.array([127 * count for count in counts]),
        36,
        -128,
        127,
        "half_even",
    )
    assert_exact(wanted, exact_requant.solve(wanted))


def test_alternating_ties_beside_channels_that_are_always_clamped():
    wanted = Steps(
        [Fraction(1, 4), Fraction(4), Fraction(1, 2), Fraction(1), Fraction(1, 2), Fraction(1, 2)],
        [Fraction(-67, 4), Fraction(74728), Fraction(21900), Fraction(11743), Fraction(-53169, 2), Fraction(1, 2)],
        np.array([-1761, -21821, -47244, -12570, 52605, 0]),
        np.array([2502, -18440, -44640, -11000, 56322, 0]),
        -128,
        -128,
        127,
        "half_even",
    )
    assert_exact(wanted, exact_requant.solve(wanted))


@pytest.mark.parametrize("denominator", [2, 32, 512, 3 * 64])
def test_alternating_ties_among_many_accumulators(denominator):
    wanted = steps(Fraction(1, denominator), Fraction(6461, 4), -700_000, 600_000, 68, 68, 255)
    found = exact_requant.solve(wanted)
    assert found.inexact is None
    inside = range(-1_000 * denominator, -1_000 * denominator + 5000)
    for a in (*inside, *range(-700_000, 600_000, 997)):
        assert found(0, a) == wanted.exact(0, a), a


@pytest.mark.parametrize("rounding", ["half_even", "floor"])
@pytest.mark.parametrize("seed", range(6))
def test_results_of_16_bits_are_corrected(seed, rounding):
    """Of 65,536 steps no multiplier of 31 bits reproduces all; and with powers of two every other value is a tie."""
    rng = np.random.default_rng(seed)
    scale = Fraction(1, 2**9) if seed == 0 else Fraction(float(np.float32(rng.uniform(0.001, 0.01)))) * Fraction(3, 7)
    reach = 1 << 25
    wanted = steps(scale, Fraction(5, 2) - 40_000, -reach, reach, 77, -(1 << 15), (1 << 15) - 1, rounding)
    found = exact_requant.solve(wanted)
    assert found.divisor and found.inexact is None
    near = [int((k + 40_000) / scale) + d for k in rng.integers(-40_000, 40_000, 2000).tolist() for d in (-1, 0, 1)]
    for a in [-reach, reach, *(a for a in near if abs(a) <= reach), *rng.integers(-reach, reach, 2000).tolist()]:
        assert found(0, a) == wanted.exact(0, a), a


def random_slope(rng: np.random.Generator) -> Fraction:
    """Return a slope of one of many kinds: of scales as files have them, powers of two, with ties, next to ties, 0."""
    scale = [Fraction(float(np.float32(rng.uniform(0.001, 1)))) for _ in range(3)]
    kinds = (
        Fraction(1, int(rng.integers(1, 5000))),
        scale[0] * scale[1] / scale[2] * Fraction(float(np.float32(2.0 ** rng.uniform(-22, 2)))),
        Fraction(2) ** int(rng.integers(-24, 3)),
        Fraction((1 << 45) + int(rng.integers(9)), int(rng.integers(1, 9)) << int(rng.integers(45, 62))),
        Fraction(0),
    )
    return kinds[rng.integers(len(kinds))]


@pytest.mark.parametrize("seed", first(range(60), 20))
def test_every_layer_has_exact_constants(seed: int) -> None:
    """Channels of all kinds beside one another, sums of up to 30 bits: no form but the last has them all."""
    rng = np.random.default_rng(seed)
    channels, reach = int(rng.integers(2, 6)), 1 << int(rng.integers(4, 30))
    slope = [random_slope(rng) for _ in range(channels)]
    whole = [each * int(rng.integers(-reach, reach)) for each in slope]
    halves = [Fraction(int(rng.integers(-300, 300)), 2) for _ in slope]
    first = rng.integers(-reach, reach, channels)
    wanted = Steps(
        slope,
        [rng.choice([a, b]) for a, b in zip(whole, halves)],
        first,
        first + rng.integers(0, reach, channels),
        int(rng.integers(-128, 128)),
        -128,
        127,
        "half_even" if seed % 3 else "floor",
    )
    found = exact_requant.solve(wanted)
    assert found.inexact is None
    assert difference(wanted, found) is None


def test_a_channel_that_comes_nearer_to_ties_than_64_bits_tell_beside_one_with_ties() -> None:
    wanted = Steps(
        [Fraction(1, 2), Fraction((1 << 45) + 1, 3 << 45)],
        [Fraction(0), Fraction(1, 2)],
        np.array([-900, -900]),
        np.array([900, 900]),
        0,
        -128,
        127,
        "half_even",
    )
    found = exact_requant.solve(wanted)
    assert found.divisor and found.divisor[0] == 2 and found.divisor[1] > 1 << 40
    assert_exact(wanted, found)


def test_what_no_constants_match_is_counted() -> None:
    """Ties that alternate, beside outputs that no estimate of 32 bits holds before their clamp."""
    wanted = Steps(
        [Fraction(1, 2), Fraction((1 << 45) + 1, 3 << 45)],
        [Fraction(0), Fraction(1 << 33)],
        np.array([-900, -(3 << 33) - 900]),
        np.array([900, -(3 << 33) + 900]),
        0,
        -128,
        127,
        "half_even",
    )
    found = exact_requant.solve(wanted)
    every = [(c, int(first) + a) for c, first in enumerate(wanted.first) for a in range(1801)]
    wrong = [each for each in every if found(*each) != wanted.exact(*each)]
    assert wrong and found.inexact == Inexact(len(wrong), *wrong[0])


@pytest.mark.parametrize("seed", first(range(40), 15))
def test_the_nearest_constants_are_wrong_where_they_are_said_to_be(seed: int) -> None:
    """With multipliers of few bits many steps are far from their places, and ranges of several steps overlap."""
    rng = np.random.default_rng(seed)
    channels, reach = 3, int(rng.integers(1, 2000))
    slope = [Fraction(float(np.float32(rng.uniform(0.001, 2)))) for _ in range(channels)]
    intercept = [Fraction(float(np.float32(rng.normal(0, 50)))) for _ in range(channels)]
    first, last = -rng.integers(0, reach, channels), rng.integers(0, reach, channels)
    wanted = Steps(slope, intercept, first, last, 0, -128, 127, "half_even" if seed % 2 else "floor")
    multiplier = np.array([max(1, int(each * 8)) for each in slope])
    coarse = Requant(multiplier, rng.integers(-99, 99, channels), 0, np.full(channels, 3), -128, 127, narrow=False)
    every = [(c, a) for c in range(channels) for a in range(int(first[c]), int(last[c]) + 1)]
    wrong = [each for each in every if coarse(*each) != wanted.exact(*each)]
    found = exact_requant.difference(wanted, wanted.places(), exact_requant.reached(wanted, coarse))
    assert found == (Inexact(len(wrong), *wrong[0]) if wrong else None)
    assert found == difference(wanted, coarse)


def test_as_many_wrong_accumulators_as_32_bits_have_are_counted_without_a_list() -> None:
    wanted = steps(Fraction(1, 1 << 24), 0, -(1 << 31), (1 << 31) - 1)
    later = wanted.places() + (1 << 23)
    assert exact_requant.difference(wanted, wanted.places(), later) == Inexact(255 << 23, 0, int(wanted.places()[0, 0]))


@pytest.mark.parametrize("seed", first(range(3), 1))
def test_sums_of_28_bits_with_scales_of_float32_are_exact(seed: int) -> None:
    """Some of these channels come nearer to a tie than a slope over a power of two tells."""
    rng = np.random.default_rng(seed)
    scales = [Fraction(float(np.float32(rng.uniform(0.0005, 0.01)))) for _ in range(256)]
    slope = [scale * Fraction(float(np.float32(rng.uniform(0.5, 2)))) / (1 << 16) for scale in scales]
    reach = 1 << 28
    wanted = Steps(
        slope,
        [each * int(rng.integers(-reach // 2, reach // 2)) for each in slope],
        -rng.integers(reach // 2, reach, len(slope)),
        rng.integers(reach // 2, reach, len(slope)),
        int(rng.integers(-128, 128)),
        -128,
        127,
        "half_even",
    )
    found = exact_requant.solve(wanted)
    assert found.inexact is None
    places = wanted.places()
    for channel in range(0, len(slope), 16):
        for place in {int(place) for place in places[channel] if -reach < place < reach}:
            for a in (place - 1, place):
                if wanted.first[channel] <= a <= wanted.last[channel]:
                    assert found(channel, a) == wanted.exact(channel, a), (channel, a)


def test_a_wrong_constant_is_noticed() -> None:
    wanted = steps(Fraction(1, 7), 0, -1000, 1000)
    found = exact_requant.solve(wanted)
    spoilt = replace(found, multiplier=found.multiplier + (1 << 22))
    assert difference(wanted, found) is None
    wrong = [a for a in range(-1000, 1001) if spoilt(0, a) != wanted.exact(0, a)]
    assert wrong and difference(wanted, spoilt) == Inexact(len(wrong), 0, wrong[0])


@pytest.mark.parametrize("double_round", [False, True])
@pytest.mark.parametrize("zero_point", first([-128, 5], 1))
def test_tosa_rescales_are_exact(zero_point: int, double_round: bool) -> None:
    """Every accumulator of channels that are scaled up, down and not at all; two roundings are written where needed."""
    multiplier = np.array([1 << 30, 1610612737, 2147483647, 1073741825, 0])
    shift = np.array([31, 36, 38, 30, 36])
    offset = np.array([0, -700, 1350, 7, 3])
    ends = np.array([-900, -9000, -3000, -200, -5]), np.array([900, 8000, 3000, 200, 5])
    wanted = DoubleRounded.of(Scales(multiplier, shift, double_round), offset, ends, zero_point, (-128, 127))
    assert isinstance(wanted, DoubleRounded) == double_round
    found = exact_requant.solve(wanted)
    assert_exact(wanted, found)
    for channel in range(len(offset)):
        for a in range(int(ends[0][channel]), int(ends[1][channel]) + 1):
            values = np.array([a + offset[channel]])
            scaled = tosa_scaling.apply_scale(values, multiplier[channel], shift[channel], double_round)
            assert wanted.exact(channel, a) == np.clip(scaled[0] + zero_point, -128, 127)


def test_two_roundings_of_a_signed_result_are_written_down() -> None:
    ends = np.array([-9000]), np.array([9000])
    scales = Scales(np.array([1610612737]), np.array([36]), True)
    found = exact_requant.solve(DoubleRounded.of(scales, np.array([3]), ends, 5, (-128, 127)))
    assert found.double_round and found.offset.tolist() == [3]
    # Of a result that is never below its zero point, one offset is right.
    positive = exact_requant.solve(DoubleRounded.of(scales, np.array([3]), ends, -128, (-128, 127)))
    assert positive.narrow and not positive.double_round
