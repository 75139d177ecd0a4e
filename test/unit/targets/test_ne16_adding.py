"""Sums of two maps on NE16: exact for all elements, whatever their multipliers are and however many there are."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from mlir import ir

from htvm import dialects
from htvm.backend import targets
from htvm.backend.targets.engines.ne16 import adding
from htvm.backend.targets.engines.ne16.launch import job_cycles, registers_of
from htvm.backend.targets.jobs import Job
from htvm.backend.targets.violations import Violation
from htvm.dialects import accel

NE16 = targets.load("gap9").accelerator("ne16")

ADD = """
func.func @sum(%a: tensor<1x{channels}x{rows}x{columns}xui8>, %b: tensor<1x{channels}x{rows}x{columns}xui8>)
    -> tensor<1x{channels}x{rows}x{columns}xui8> {{
  %y = accel.add %a, %b {{requant = #accel.requant<multiplier = [{first}, {second}], offset = [{offset}],
                         shift = [{shift}], min = 0, max = 255, narrow = true>}}
    : (tensor<1x{channels}x{rows}x{columns}xui8>, tensor<1x{channels}x{rows}x{columns}xui8>)
    -> tensor<1x{channels}x{rows}x{columns}xui8>
  return %y : tensor<1x{channels}x{rows}x{columns}xui8>
}}"""
FACTORS = {
    1: (1 << 21, 1 << 21, -267386881, 21),
    2: (3 << 12, 4097, 5000, 15),
    3: (1621615, 4289131, -300000001, 22),
}


@contextmanager
def added(
    factors: tuple[int, int, int, int], channels: int = 8, rows: int = 3, columns: int = 3
) -> Iterator[accel.AddOp]:
    first, second, offset, shift = factors
    sizes = {"channels": channels, "rows": rows, "columns": columns}
    with dialects.context(), ir.Location.unknown():
        module = ir.Module.parse(ADD.format(first=first, second=second, offset=offset, shift=shift, **sizes))
        (op,) = (each for each in accel.layers(module) if isinstance(each, accel.AddOp))
        yield op


def computed(op: accel.AddOp, job: Job, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return NE16.execute(job, [a, b], NE16.pack(job, op, (0, job.outputs)))


@pytest.mark.parametrize("count", FACTORS)
@pytest.mark.parametrize(("channels", "rows", "columns"), [(8, 1, 1), (8, 3, 3), (16, 3, 3), (24, 9, 11), (8, 257, 1)])
def test_elements_are_what_the_requantisation_says(count: int, channels: int, rows: int, columns: int) -> None:
    first, second, offset, shift = FACTORS[count]
    with added(FACTORS[count], channels, rows, columns) as op:
        assert not NE16.violations(op)
        job = NE16.job(op)
        assert job["bits"] == 8 * count
        a, b = np.random.default_rng(count).integers(0, 256, (2, job.output_bytes)).astype(np.uint8)
        a[:2], b[:2] = (0, 255), (255, 255)
        wanted = np.clip(a.astype(np.int64) * first + b.astype(np.int64) * second + offset >> shift, 0, 255)
        assert np.array_equal(computed(op, job, a, b), wanted)


def test_every_pair_of_elements_is_right() -> None:
    first, second, offset, shift = FACTORS[3]
    with added(FACTORS[3], 256, 16, 16) as op:
        a, b = (each.reshape(-1).astype(np.uint8) for each in np.mgrid[:256, :256])
        wanted = np.clip(a.astype(np.int64) * first + b.astype(np.int64) * second + offset >> shift, 0, 255)
        assert np.array_equal(computed(op, NE16.job(op), a, b), wanted)


def test_more_bytes_of_factors_take_more_jobs() -> None:
    taken, jobs = [], []
    for factors in FACTORS.values():
        with added(factors, 16, 3, 6) as op:
            job = NE16.job(op)
            taken.append(job_cycles(job))
            jobs.append(len(tuple(registers_of(job, 0, 0))))
    assert jobs[1] - jobs[0] == jobs[2] - jobs[1] == 2, "of both operands one more product"
    assert taken[0] < taken[1] < taken[2]


def test_sums_of_a_launch_are_kept_in_blocks() -> None:
    groups = adding.BLOCK_GROUPS + 1
    assert [*adding.blocks(8 * groups)] == [(0, groups // 2 + 1), (groups // 2 + 1, groups // 2)]
    assert adding.sums_bytes(8 * groups) == (groups // 2 + 1) * 32


@pytest.mark.parametrize("factors", [(-1, 1, 0, 0), ((1 << 24) + 1, 1 << 23, 0, 24)])
def test_other_factors_are_refused(factors: tuple[int, int, int, int]) -> None:
    with added(factors) as op:
        assert isinstance(adding.constants_of(op), Violation)


def test_channels_are_whole_groups() -> None:
    with added(FACTORS[1], channels=12) as op:
        (broken,) = NE16.violations(op)
        assert str(broken) == "channels: found 12, wanted a multiple of 8"
