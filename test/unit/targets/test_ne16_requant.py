"""Constants with which NE16 requantises are exact for every accumulator, or there are none."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from selection import first

from htvm.backend.targets.engines.ne16 import requant
from htvm.backend.targets.engines.ne16.job import Requantisation, Width
from htvm.backend.targets.engines.ne16.requant import Scaling, Thresholds
from htvm.backend.targets.engines.shift_requant import Requant
from htvm.backend.targets.violations import AtLeast, Interval, OfOutput, OneOf, Subject, Violation

CLIPS = OneOf((Interval(0, 255), Interval(-128, 127)))


def found(wanted: Requant, first: list[int], last: list[int], widest: Width = Width.BITS_32) -> Scaling | Violation:
    return requant.solve(Thresholds.of(wanted, first, last), widest)


def check(wanted: Requant, scaling: Scaling, first: list[int], last: list[int]) -> None:
    """Compare all outputs, and see that no number leaves its width."""
    for channel, ends in enumerate(zip(first, last, strict=True)):
        accumulators = np.tile(np.arange(ends[0], ends[1] + 1), (len(first), 1))
        mine, theirs = scaling.outputs(accumulators), wanted.outputs(accumulators)
        np.testing.assert_array_equal(mine[channel], theirs[channel])
    for scale, bias, shift, *ends in zip(scaling.scales, scaling.biases, scaling.shifts, first, last, strict=True):
        assert 0 <= scale < 1 << 8 * scaling.width.size_bytes
        assert 0 <= shift <= (31 if scaling.has_bias or not scaling.has_shift_array else 47)
        sums = [end * scale + bias for end in ends]
        limit = 31 if scaling.has_bias else 47
        assert -(1 << limit) <= min(sums) and max(sums) < 1 << limit


HALF = Requant(multiplier=(1,), offset=(0,), shift=(5,), low=0, high=255)
"""Accumulators over 32."""


def test_a_shift_alone_takes_no_bias() -> None:
    scaling = found(HALF, [-5000], [9000])
    assert isinstance(scaling, Scaling)
    assert (scaling.width, scaling.has_bias, scaling.has_shift_array, scaling.relu) == (
        Width.BITS_8,
        False,
        False,
        True,
    )
    check(HALF, scaling, [-5000], [9000])


def test_an_offset_takes_a_bias() -> None:
    wanted = replace(HALF, offset=(11,), low=-128, high=127)
    scaling = found(wanted, [-5000], [9000])
    assert isinstance(scaling, Scaling)
    assert (scaling.has_bias, scaling.has_shift_array, scaling.relu) == (True, False, False)
    check(wanted, scaling, [-5000], [9000])


def test_channels_that_differ_much_take_an_array_of_shifts() -> None:
    wanted = Requant((1, 1), (3, 1), (2, 13), 0, 255)
    ends = [-1000, -2_000_000], [1500, 3_000_000]
    scaling = found(wanted, *ends, Width.BITS_8)
    assert isinstance(scaling, Scaling)
    assert scaling.has_shift_array
    check(wanted, scaling, *ends)


def test_a_channel_whose_output_never_changes_has_scale_0() -> None:
    wanted = Requant((1, 0), (7, 7), (4, 4), 0, 255, zero_point=9)
    ends = [-3000, -40], [3000, 50]
    scaling = found(wanted, *ends)
    assert isinstance(scaling, Scaling)
    check(wanted, scaling, *ends)


@pytest.mark.parametrize("seed", first(range(20), 8))
def test_constants_are_exact_for_every_accumulator(seed: int) -> None:
    """Scales of 8 bits over powers of two, with any offset, zero point and clip: they are always found."""
    rng = np.random.default_rng(seed)
    channels = int(rng.integers(1, 6))
    low, high = ((0, 255), (-128, 127))[seed % 2]
    scales, shift = rng.integers(1, 256, channels), int(rng.integers(10, 15))
    offsets = rng.integers(-5000, 5000, channels)
    wanted = Requant(tuple(scales.tolist()), tuple(offsets.tolist()), (shift,), low, high)
    first, last = (-rng.integers(1, 20000, channels)).tolist(), rng.integers(1, 20000, channels).tolist()
    scaling = found(wanted, first, last)
    assert isinstance(scaling, Scaling), scaling
    check(wanted, scaling, first, last)


@pytest.mark.parametrize("seed", range(10))
def test_what_the_hardware_computes_is_found_again(seed: int) -> None:
    """A layer that does what 16-bit scales do: no wider ones are taken."""
    rng = np.random.default_rng(seed)
    scales, bias = int(rng.integers(1 << 12, 1 << 16)), int(rng.integers(-(1 << 20), 1 << 20))
    wanted = Requant((scales,), (0,), (20,), 0, 255, addend=bias)
    scaling = found(wanted, [-6000], [8000])
    assert isinstance(scaling, Scaling) and scaling.width <= Width.BITS_16
    check(wanted, scaling, [-6000], [8000])


def test_ties_to_even_are_found_where_they_do_not_alternate() -> None:
    wanted = replace(HALF, shift=(0,), low=-128, high=127)
    scaling = found(wanted, [-100], [100])
    assert isinstance(scaling, Scaling)
    check(wanted, scaling, [-100], [100])


def test_a_clip_that_there_is_not_is_a_violation() -> None:
    assert found(replace(HALF, high=127), [-5000], [9000]) == Violation(Subject.CLIP, Interval(0, 127), CLIPS)
    assert found(replace(HALF, low=-300, high=300), [-9600], [9600]) == Violation(
        Subject.CLIP, Interval(-300, 300), CLIPS
    )


def test_a_clip_that_is_never_reached_is_none() -> None:
    wanted = replace(HALF, high=127)
    scaling = found(wanted, [-5000], [4000])
    assert isinstance(scaling, Scaling) and scaling.relu
    check(wanted, scaling, [-5000], [4000])


def test_a_scale_that_32_bits_do_not_hold_is_a_violation() -> None:
    """256 outputs of 2^16 accumulators each, which are a third of all, take more bits than a sum has."""
    third = (1 << 31) // 3
    wanted = Requant((third,), (54321,), (31 + 8,), 0, 255)
    violation = found(wanted, [-(1 << 22)], [1 << 22])
    assert isinstance(violation, Violation) and violation.subject == Subject.SCALE
    assert isinstance(violation.found, OfOutput) and violation.found.output == 0


def test_a_negative_multiplier_is_a_violation() -> None:
    violation = found(replace(HALF, multiplier=(-1,)), [-100], [100])
    assert violation == Violation(Subject.MULTIPLIER, OfOutput(-(2.0**-5), 0), AtLeast(0))


def test_sums_of_more_than_32_bits_are_a_violation() -> None:
    violation = found(HALF, [-5], [1 << 31])
    assert violation == Violation("accumulator", Interval(-5, 1 << 31), Interval(-(1 << 31), (1 << 31) - 1))


def test_options_are_in_the_order_of_their_cycles() -> None:
    cycles = [option.cycles for option in requant.OPTIONS]
    assert cycles == sorted(cycles) and len(cycles) == 12
    first = requant.OPTIONS[0]
    assert (first.width, first.has_bias, first.has_shift_array) == (Width.BITS_8, False, False)


def test_registers_and_arrays_say_the_constants() -> None:
    scaling = Scaling(Width.BITS_16, (3, 700), (-1, 5), (9, 9), True, True, False)
    assert scaling.requantisation == Requantisation(Width.BITS_16, 9, has_bias=True, has_shift_array=False, relu=True)
    scales, shifts, biases = scaling.packed()
    assert scales.view("<u2").tolist() == [3, 700] and biases.view("<i4").tolist() == [-1, 5] and not shifts.size


def test_512_channels_take_little_time() -> None:
    rng = np.random.default_rng(5)
    scales = rng.integers(1 << 6, 1 << 8, 512)
    wanted = Requant(tuple(scales.tolist()), tuple(rng.integers(-900, 900, 512).tolist()), (16,), 0, 255)
    first, last = (-rng.integers(1 << 15, 1 << 16, 512)).tolist(), rng.integers(1 << 15, 1 << 16, 512).tolist()
    thresholds = Thresholds.of(wanted, first, last)
    start = time.process_time()
    assert isinstance(requant.solve(thresholds), Scaling)
    assert time.process_time() - start < 1
