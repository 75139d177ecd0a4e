"""NE16 as gap9's engine: what a launch is, what it is packed as, and that it is what it says."""

from dataclasses import replace

import numpy as np
import pytest

from htvm.backend import targets
from htvm.backend.targets.engines.ne16 import cycles
from htvm.backend.targets.engines.ne16.job import Mode, Requantisation, Width
from htvm.backend.targets.engines.ne16.launch import (
    CONFIGURATION_CYCLES,
    Places,
    decoded,
    encoded,
    is_in_two,
    job_cycles,
    registers_of,
)
from htvm.backend.targets.jobs import Job, JobKind
from htvm.verification.engines import check_engine

SOC = targets.load("gap9")
NE16 = SOC.accelerator("ne16")
FIELDS = {"bits": 8, "offset": -128, "pad_value": 0, "linear": 0, "requant": encoded(Requantisation(shift=7))}
CONV = Job(JobKind.CONV2D, 20, 40, (7, 8), (7, 8), (3, 3), pads=(1, 1, 1, 1)).having(**FIELDS)
STRIDED = replace(CONV, size=(8, 8), out_size=(4, 4), strides=(2, 2), pads=(0, 0, 1, 1))


def test_it_is_what_it_says() -> None:
    found = check_engine(SOC, NE16, [*range(130), *range(150, 200)])  # without two large layers
    assert found.is_sound and set(found.accepted) == {"conv2d", "dense", "add"}
    assert found.accepted["conv2d"] > 5 and found.accepted["dense"] > 8


@pytest.mark.parametrize("width", [Width.BITS_8, Width.BITS_16, Width.BITS_32])
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("has_shift_array", [False, True])
def test_a_requantisation_fits_a_field(width: Width, has_bias: bool, has_shift_array: bool) -> None:
    for relu in (False, True):
        for shift in (0, 31):
            wanted = Requantisation(width, shift, has_bias, has_shift_array, relu)
            assert decoded(encoded(wanted)) == wanted and encoded(wanted) < 1 << 11
            in_two = CONV.having(**FIELDS | {"requant": encoded(wanted, in_two=True)})
            assert is_in_two(in_two) and decoded(in_two["requant"]) == wanted and in_two["requant"] < 1 << 15


def test_a_launch_with_stride_2_is_a_job_for_each_2_by_2_outputs() -> None:
    (one,) = registers_of(CONV, 0, 0)
    several = tuple(registers_of(STRIDED, 0, 0))
    assert one.mode is Mode.CONV3X3 and len(several) == 4
    assert job_cycles(CONV) == cycles.cycles(one) + CONFIGURATION_CYCLES
    assert job_cycles(STRIDED) == sum(cycles.cycles(each) + CONFIGURATION_CYCLES for each in several)


def test_weights_are_followed_by_scales_shifts_and_biases() -> None:
    requant = encoded(Requantisation(Width.BITS_16, has_bias=True, has_shift_array=True))
    job = CONV.having(**FIELDS | {"requant": requant})
    weights = 40 * 2 * 8 * 9 * 2  # outputs, blocks of 16 inputs, bits, taps, bytes
    end = weights + 280
    assert Places.of(job) == Places(0, weights, weights + 80, weights + 120, end, end, end, end)
    assert NE16.weight_bytes(job) == weights + 280


def test_padding_with_another_value_is_what_the_last_tile_must_be_full_for() -> None:
    """Of a launch: a value around the map is read as it is at the top and left."""
    job = replace(CONV, size=(5, 5), out_size=(4, 4), pads=(1, 1, 0, 0)).having(**FIELDS | {"pad_value": 9})
    weights = np.zeros(NE16.weight_bytes(job), np.uint8)
    weights[: Places.of(job).scales] = 0xFF  # all bits: 255 - 128 = 127
    weights[Places.of(job).scales :][:40] = 1
    y = NE16.execute(job, [np.zeros(5 * 5 * 20, np.uint8)], weights).reshape(4, 4, 40)
    corner = 9 * 127 * 20 * 5 >> 7
    assert y[0, 0, 0] == min(corner, 255) and y[1, 1, 0] == 0
