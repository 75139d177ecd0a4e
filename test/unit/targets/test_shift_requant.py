"""A shift that is given as exact is compared for every accumulator; a violation has what stands in its way."""

import random
from dataclasses import replace

import numpy as np
import pytest

from htvm import dialects
from htvm.backend.targets.engines.shift_requant import INT32, Requant, Shift, Shifter
from htvm.backend.targets.violations import Interval, OfOutput, Subject, Violation
from htvm.dialects import accel
from htvm.dialects.semantics import integer_layers

SHIFTER = Shifter(((-128, 127), (0, 127)), largest_shift=31)


def output(requant: Requant, channel: int, accumulator: int) -> int:
    """What AccelOps.td says of `requant`, in Python integers."""
    multiplier, offset, shift = (
        entries[channel % len(entries)] for entries in (requant.multiplier, requant.offset, requant.shift)
    )
    product = ((accumulator << requant.pre_shift) + offset) * multiplier + requant.addend
    quotient = product >> shift
    if product & ((1 << shift) - 1) < requant.tie_below:
        quotient &= ~1
    return min(max(quotient + requant.zero_point, requant.low), requant.high)


def some_requant(rng: random.Random) -> Requant:
    bits, pre_shift, shift = rng.randrange(9), rng.randrange(4), rng.randrange(6)
    return Requant(
        (rng.choice([1 << bits, 1 << bits, rng.randrange(400)]),),
        (rng.randrange(-3000, 3000), rng.randrange(-3000, 3000)),
        (bits + pre_shift + shift,),
        *rng.choice([(-128, 127), (0, 127), (-64, 63), (0, 100)]),
        pre_shift,
        zero_point=rng.choice([0, 0, 3]),
        tie_below=rng.choice([0, 0, 1]),
        addend=rng.choice([0, 0, 7]),
    )


def test_constants_equal_the_requantisation_for_every_accumulator() -> None:
    rng = random.Random(3)
    solved = 0
    for _ in range(300):
        requant = some_requant(rng)
        first, last = [-rng.randrange(300), -rng.randrange(300)], [rng.randrange(300), rng.randrange(300)]
        found = SHIFTER.solve(requant, first, last)
        if isinstance(found, Shift):
            solved += 1
            for channel in (0, 1):
                for acc in range(first[channel], last[channel] + 1):
                    shifted = (acc + found.biases[channel]) >> found.shift
                    assert min(max(shifted, found.low), found.high) == output(requant, channel, acc)
    assert 100 < solved < 300


def test_a_violation_is_right_where_every_bias_can_be_tried() -> None:
    rng = random.Random(4)
    refused = 0
    for _ in range(60):
        requant = replace(some_requant(rng), offset=(rng.randrange(-300, 300),))
        if isinstance(SHIFTER.solve(requant, [-20], [20]), Violation):
            refused += 1
            wanted = [output(requant, 0, acc) for acc in range(-20, 21)]
            for low, high in SHIFTER.clips:
                for shift in range(8):
                    span = range(-(130 << shift) - 20, (130 << shift) + 21) if shift < 4 else range(-2000, 2001)
                    for bias in span:
                        first = min(max((bias - 20) >> shift, low), high)
                        if first == wanted[0]:
                            assert [min(max((a + bias) >> shift, low), high) for a in range(-20, 21)] != wanted
    assert refused > 5


@pytest.mark.parametrize(
    ("requant", "why"),
    [
        (Requant((3,), (0,), (9,), -128, 127), "scale: found 0.00585938 (output 0), wanted a power of two"),
        (Requant((1,), (4,), (3,), -128, 127, tie_below=1), "rounding: found ties to the even neighbour (output 0)"),
        (Requant((1,), (0,), (3,), -64, 63), "clip: found -64..63, wanted -128..127 or 0..127"),
        (Requant((1,), (0,), (3, 4), -128, 127), "shift: found 3 (output 0) and 4 (output 1), wanted one shift"),
        (Requant((2,), (0,), (0,), -128, 127), "scale: found 2 (output 0), wanted a power of two, 2^0 to 2^-31"),
        (Requant((-1,), (0,), (0,), -128, 127), "multiplier: found -1, wanted at least 0"),
    ],
)
def test_a_violation_names_its_cause(requant: Requant, why: str) -> None:
    found = SHIFTER.solve(requant, [-3000, -3000], [3000, 3000])
    assert isinstance(found, Violation)
    assert str(found).startswith(why)


def test_a_bias_must_fit() -> None:
    narrow = Shifter(((-128, 127),), 31, biases=(0, 0))
    found = narrow.solve(Requant((1,), (40,), (3,), -128, 127), [-900], [900])
    assert found == Violation(Subject.BIAS, OfOutput(40, 0), Interval(0, 0))


def test_a_clip_that_is_never_reached_does_not_matter() -> None:
    """Accumulators up to 50 become outputs up to 6: whether the clip is at 63 or 127 cannot be seen."""
    found = SHIFTER.solve(Requant((1,), (0,), (3,), -64, 63), [-50], [50])
    assert found == Shift((0,), 3, -128, 127)


def test_no_sum_with_a_bias_leaves_32_bits() -> None:
    """Whatever the bias of a channel that is always clipped, the engine's sum has 32 bits."""
    found = SHIFTER.solve(Requant((1,), (3_000_000_000,), (8,), -128, 127), [-1000], [2_000_000])
    assert isinstance(found, Shift)
    assert 2_000_000 + found.biases[0] <= INT32[1]
    assert (-1000 + found.biases[0]) >> found.shift >= 127


def test_an_exact_quotient_counts_and_not_what_estimates_it() -> None:
    """The estimate of 3 acc / 1000 is too low by up to 1 of 127; ties go to the even neighbour."""
    with dialects.context():
        stated = accel.RequantAttr.get(
            multiplier=(3140,), offset=(0,), shift=(20,), min=-128, max=127, tie_below=1,
            numerator=(3,), divisor=(1000,), rest=(500,),
        )  # fmt: skip
    sums = np.arange(-40_000, 40_001)
    wanted = integer_layers.requantise(sums, stated, lambda entry: entry)
    found = Requant.of(stated)
    np.testing.assert_array_equal(found.outputs(sums[None])[0], wanted)
    assert (np.clip(sums * 3140 >> 20, -128, 127) != wanted).any()
    ends = np.array([sums[0]]), np.array([sums[-1]])
    outputs = np.arange(-119, 120)
    np.testing.assert_array_equal(found.places(outputs, *ends)[0], sums[np.searchsorted(wanted, outputs)])


def test_a_sum_of_two_maps_is_one_function_of_both_by_their_factors() -> None:
    """Of the quotient's numerators, if there is one: multipliers only estimate it."""
    with dialects.context():
        shifted = accel.RequantAttr.get(multiplier=(1, 64), offset=(64,), shift=(7,), min=0, max=127)
        exact = shifted.replace(numerator=(1, 48), divisor=(100,), rest=(50,))
    a, b = np.arange(-5000, 5000, 7), np.arange(-128, 127, 3)[:, None]
    for stated, factor in ((shifted, 64), (exact, 48)):
        found = Requant.of_sum(stated, (1, factor))
        assert found is not None and Requant.of_sum(stated, (1, factor + 1)) is None
        total = (a + factor * b).reshape(1, -1)
        wanted = (total + 64 >> 7) if factor == 64 else (total + 50) // 100
        np.testing.assert_array_equal(found.outputs(total), np.clip(wanted, 0, 127))
