"""Launches that are requantised in two jobs: their jobs are defined, their results exact, their cycles all counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_ne16_two_jobs import float_scaled

from htvm.backend import targets
from htvm.backend.targets.engines.ne16 import cycles, finishing, launch, requant, rules, two_jobs
from htvm.backend.targets.engines.ne16.engine import Ne16Engine
from htvm.backend.targets.engines.ne16.finishing import FinishingConstants, grids
from htvm.backend.targets.engines.ne16.job import Mode, Requantisation
from htvm.backend.targets.engines.ne16.launch import CONFIGURATION_CYCLES, Places, encoded
from htvm.backend.targets.engines.ne16.requant import Thresholds
from htvm.backend.targets.engines.ne16.two_jobs import TwoJobs
from htvm.backend.targets.jobs import Job, JobKind
from htvm.dialects.semantics import integers

NE16 = targets.load("gap9").accelerator("ne16")
assert isinstance(NE16, Ne16Engine)

LAYERS = {
    "3x3": Job(JobKind.CONV2D, 16, 20, (7, 5), (7, 5), (3, 3), pads=(1, 1, 1, 1)),
    "3x3, whole groups": Job(JobKind.CONV2D, 3, 40, (11, 4), (9, 2), (3, 3)),
    "3x3, stride 2": Job(JobKind.CONV2D, 5, 16, (18, 9), (9, 5), (3, 3), (2, 2), (0, 1, 1, 1)),
    "depthwise": Job(JobKind.CONV2D, 24, 24, (8, 10), (8, 10), (3, 3), pads=(1, 1, 1, 1), groups=24),
    "1x1": Job(JobKind.CONV2D, 40, 11, (5, 7), (5, 7)),
    "1x1, several blocks in a row": Job(JobKind.CONV2D, 9, 96, (5, 29), (5, 29)),
    "1x1, blocks and a group that is not whole": Job(JobKind.CONV2D, 9, 100, (4, 17), (4, 17)),
    "1x1, stride 2": Job(JobKind.CONV2D, 16, 64, (7, 7), (4, 4), strides=(2, 2)),
    "dense": Job(JobKind.DENSE, 300, 72, (1, 1), (1, 1)),
}


def launched(job: Job, seed: int) -> tuple[Job, np.ndarray, np.ndarray, np.ndarray]:
    """Return a launch with random weights and float scales, its constants, an input, and the results wanted."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(-127, 128, (job.outputs, job.channels // job.groups, *job.kernel))
    x = rng.integers(0, 256, (job.channels, *job.size))
    wanted = float_scaled(rng, job.outputs)
    flat = 255 * weights.reshape(job.outputs, -1)
    thresholds = Thresholds.of(wanted, np.minimum(flat, 0).sum(1), np.maximum(flat, 0).sum(1))
    constants = two_jobs.solve(thresholds)
    assert isinstance(constants, TwoJobs)
    fields = {"bits": 8, "offset": -127, "pad_value": 0, "linear": int(job.channels == 304)}
    job = job.having(**fields, requant=encoded(constants.requantisation, in_two=True))
    layout = launch.tile_of(job).layout(launch.mode_of(job))
    packed = Places.of(job).packed(layout.pack(weights + 127), *constants.packed())
    sums = integers.convolve(x[None], weights, job.strides, job.pads, (1, 1), groups=job.groups)[0]
    results = wanted.outputs(sums.reshape(job.outputs, -1)).reshape(sums.shape)
    return job, packed, x.transpose(1, 2, 0).astype(np.uint8).reshape(-1), results.transpose(1, 2, 0)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("seed", range(2))
def test_a_launch_is_exact_where_one_job_has_no_constants(name: str, seed: int) -> None:
    job, packed, x, wanted = launched(LAYERS[name], seed)
    sums = np.full(NE16.sums_bytes(job), 0xA5, np.uint8)
    found = NE16.execute(job, [x], packed, sums)
    np.testing.assert_array_equal(found.reshape(wanted.shape), wanted.astype(np.uint8))
    assert (sums != 0xA5).any()
    for each in launch.registers_of(job, 1 << 16, 1 << 18, 1 << 17):
        assert rules.violations(each) == ()


def test_linear_mode_is_finished_too() -> None:
    job, packed, x, wanted = launched(replace(LAYERS["dense"], channels=304), 3)
    assert launch.mode_of(job) is Mode.LINEAR
    np.testing.assert_array_equal(NE16.execute(job, [x], packed).reshape(wanted.shape), wanted.astype(np.uint8))


def test_float_scales_have_no_constants_of_one_job() -> None:
    rng = np.random.default_rng(0)
    last = np.full(8, 1 << 18)
    assert not isinstance(requant.solve(Thresholds.of(float_scaled(rng, 8), -last, last)), requant.Scaling)


@pytest.mark.parametrize("name", LAYERS)
def test_all_jobs_of_a_launch_are_counted(name: str) -> None:
    job, *_ = launched(LAYERS[name], 0)
    every = [cycles.cycles(each) + CONFIGURATION_CYCLES for each in launch.registers_of(job, 0, 0)]
    assert launch.job_cycles(job) == sum(every)


@pytest.mark.parametrize("name", LAYERS)
def test_a_launch_keeps_the_sums_of_a_block(name: str) -> None:
    job, *_ = launched(LAYERS[name], 0)
    rows, columns = launch.block_size(job)
    size = NE16.sums_bytes(job)
    assert size == rows * columns * -(-job.outputs // 8) * 32
    assert size <= launch.BLOCK_BYTES or columns <= (6 if launch.is_strided(job) else 3)
    in_one = job.having(**dict(job.own) | {"requant": encoded(Requantisation(shift=7))})
    assert NE16.sums_bytes(in_one) == 0


@pytest.mark.parametrize("count", range(1, 100))
def test_grids_have_each_element_once_in_few_tiles(count: int) -> None:
    found = grids(count)
    elements = [each.first + n for each in found for n in range(each.rows * each.columns)]
    assert elements == list(range(count)) and max(each.rows for each in found) <= 3
    tiles = sum(-(-each.columns // 3) for each in found)
    assert tiles <= -(-count // 9) + 2


def test_finishing_takes_little_more_than_two_cycles_for_an_element() -> None:
    constants = FinishingConstants(0, 0, 0, 0, 0)
    second = finishing.second_jobs(0, 64, 15 * 15, TwoJobs((1,), (0,), (8,), True, False).requantisation, constants)
    packing = finishing.packing_jobs(0, 0, 64, (15, 15), 15 * 64, constants)
    taken = [sum(map(cycles.cycles, jobs)) / (15 * 15 * 64) for jobs in (second, packing)]
    assert 1.2 < taken[0] < 1.4 and 0.7 < taken[1] < 0.8
