"""`htvm test-engine`: sound engines pass; each way in which one is not what it says is found, and named."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mlir import ir

from htvm import dialects
from htvm.backend import targets
from htvm.backend.targets.engines.array_engine import ArrayEngine
from htvm.backend.targets.jobs import Job, JobKind
from htvm.commands.test_engine import facts, text
from htvm.dialects import accel
from htvm.verification.engines import check_engine, check_vectors
from htvm.verification.sample_layers import KINDS, sample

DIANA = targets.load("diana")
DIGITAL = DIANA.accelerator("digital")
TARGETS = Path(__file__).parents[2] / "passes" / "targets"


@pytest.mark.parametrize("seed", range(4 * len(KINDS)))
def test_sample_layers_are_valid(seed: int) -> None:
    context = dialects.context()
    with context, ir.Location.unknown():
        module = ir.Module.parse(sample(seed), context)
        assert module.operation.verify()
        (layer,) = accel.layers(module)
        assert accel.is_layer(layer) and sample(seed) == sample(seed) != sample(seed + 1)


@pytest.mark.parametrize(
    ("name", "engine", "ops"),
    [
        ("diana", "digital", {"conv2d", "dense", "add", "pool2d"}),
        ("diana", "analog", {"conv2d"}),
        (str(TARGETS / "any_place.py"), "replay", {"conv2d", "dense", "add", "mul", "pool2d", "lookup"}),
    ],
)
def test_engines_are_what_they_say(name: str, engine: str, ops: set[str]) -> None:
    soc = targets.load(name)
    found = check_engine(soc, soc.accelerator(engine), range(400 if name == "diana" else 64))
    assert found.is_sound and not found.problems
    assert set(found.accepted) == ops == set(found.compared)
    assert found.tried.total() == (400 if name == "diana" else 64)


def changed(**members: Callable[..., object]) -> ArrayEngine:
    """Return the digital array with other methods."""
    kind = type("Changed", (ArrayEngine,), members)
    return kind(**{name: getattr(DIGITAL, name) for name in ArrayEngine.__dataclass_fields__})


def broken(job: Job, *_: object) -> np.ndarray:
    raise ValueError("no such job")


WRONG = {
    "values differ, the first at output 0": changed(
        execute=lambda self, job, inputs, weights: ArrayEngine.execute(self, job, inputs, weights) ^ 1
    ),
    "execute gives": changed(execute=lambda self, job, inputs, weights: np.zeros(1, np.int8)),
    r"fails: ValueError: no such job \(test_engines.py:\d+, in broken\)": changed(
        execute=lambda self, job, *more: broken(job)
    ),
    "weight_bytes says": changed(
        weight_bytes=lambda self, job: ArrayEngine.weight_bytes(self, job) + 4 * (job.kind != JobKind.ADD)
    ),
    "the job has the fields high, low, shift, expected high, low": replace(DIGITAL, job_fields=("low", "high")),
    "is not what its descriptor says": changed(
        lowered=lambda self, job, plain=False: replace(ArrayEngine.lowered(self, job, plain), groups=-1)
    ),
}


@pytest.mark.parametrize("problem", WRONG)
def test_what_is_wrong_is_found(problem: str) -> None:
    found = check_engine(DIANA, WRONG[problem], range(60))
    assert not found.is_sound
    assert any(matches(problem, each) for each in found.problems), found.problems[:2]
    assert all(each.startswith("layer ") for each in found.problems)
    assert "NOT as it says" in text(found) and json.dumps(facts([found], None))


def matches(pattern: str, found: str) -> bool:
    return re.search(pattern, found) is not None


def test_an_engine_that_accepts_nothing_is_not_sound() -> None:
    found = check_engine(DIANA, replace(DIGITAL, kernels=(), strides=()), range(0, 16, 8))
    assert not found.is_sound and not found.problems and found.refused
    assert "no layer was accepted" in text(found)


JOB = Job(JobKind.ADD, 2, 2, (3, 3), (3, 3)).having(shift=1, low=-128, high=127)


def recorded(**changes: np.ndarray) -> dict[str, np.ndarray]:
    """Return a file of one job, whose output is what an addition gives."""
    a, b = np.random.default_rng(0).integers(-128, 128, (2, 18), np.int8)
    with dialects.context(), ir.Location.unknown():
        job = str(JOB.attribute())
    total = np.clip((a.astype(int) + b) >> 1, -128, 127).astype(np.int8)
    arrays = {"sum.job": np.array(job), "sum.input": a, "sum.rhs": b, "sum.output": total, "sum.cycles": np.array(4)}
    return arrays | {f"sum.{name}": array for name, array in changes.items()}


def test_recorded_jobs_are_compared() -> None:
    found = check_vectors(DIANA, DIGITAL, recorded())
    assert (found.jobs, found.bytes, found.timed, found.problems) == (1, 18, 1, ())
    assert found.worst == abs(DIANA.figures.job_cycles("digital", JOB) - 4) / 4


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"output": np.zeros(18, np.int8)}, "bytes differ, the first is byte"),
        ({"output": np.zeros(17, np.int8)}, "execute gives 18 bytes, 17 are recorded"),
        ({"rhs": np.zeros(1, np.int8)}, "inputs of 18, 1 bytes are recorded, expected 2 of 18"),
    ],
)
def test_recorded_jobs_that_differ_are_named(changes: dict[str, np.ndarray], problem: str) -> None:
    (found,) = check_vectors(DIANA, DIGITAL, recorded(**changes)).problems
    assert found.startswith("job 'sum': ") and problem in found


@pytest.mark.parametrize("job", ["", "#accel.job<kind = add>", "7 : i64", "#accel.job<"])
def test_a_job_that_cannot_be_read_is_an_error(job: str) -> None:
    with pytest.raises(ValueError, match="'sum.job' is"):
        check_vectors(DIANA, DIGITAL, recorded(job=np.array(job)))


def test_a_file_without_jobs_is_an_error() -> None:
    with pytest.raises(ValueError, match="no recorded job: expected arrays 'NAME.job'"):
        check_vectors(DIANA, DIGITAL, {"x": np.zeros(1)})
