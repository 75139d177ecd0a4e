"""How TOSA scales integers, against the formula of its specification in Python's integers."""

import random

import numpy as np
import pytest

from htvm.dialects.semantics import tosa_scaling


def apply_scale_32(value: int, multiplier: int, shift: int, double_round: bool) -> int:
    rounding = 1 << shift - 1
    if double_round and shift > 31:
        rounding += (1 << 30) if value >= 0 else -(1 << 30)
    return (value * multiplier + rounding) >> shift


def cases(count: int) -> list[tuple[int, int, int]]:
    chooser = random.Random(0)
    found = []
    for _ in range(count):
        value = chooser.choice(
            [chooser.randint(-(1 << 31), (1 << 31) - 1), chooser.randint(-(1 << 20), 1 << 20), 0, -1]
        )
        found.append((value, chooser.randint(1 << 30, (1 << 31) - 1), chooser.randint(2, 62)))
    return [*found, (-(1 << 31), (1 << 31) - 1, 62), ((1 << 31) - 1, (1 << 31) - 1, 2)]


@pytest.mark.parametrize("double_round", [False, True])
def test_values_are_scaled_as_the_specification_says(double_round: bool) -> None:
    values, multipliers, shifts = (np.array(each) for each in zip(*cases(3000)))
    found = tosa_scaling.apply_scale(values, multipliers, shifts, double_round)
    wanted = [apply_scale_32(int(v), int(m), int(s), double_round) for v, m, s in zip(values, multipliers, shifts)]
    assert found.tolist() == wanted


@pytest.mark.parametrize("double_round", [False, True])
def test_a_place_is_the_first_value_that_reaches_an_output(double_round: bool) -> None:
    for value, multiplier, shift in cases(3000):
        output = apply_scale_32(value, multiplier, shift, double_round)
        if not -300 < output < 300:
            continue
        place = int(tosa_scaling.places(np.array(output), np.array(multiplier), np.array(shift), double_round))
        assert apply_scale_32(place, multiplier, shift, double_round) >= output
        assert apply_scale_32(place - 1, multiplier, shift, double_round) < output


def test_an_output_that_nothing_reaches_is_far_away() -> None:
    place = tosa_scaling.places(np.array([5, -5]), np.array(1 << 30), np.array(62), True)
    assert place[0] > 1 << 31 and place[1] < -(1 << 31)
