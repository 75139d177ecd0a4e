"""`htvm test-engine`: sound engines pass; each way in which one is not what it says is found, and named."""

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import warm_commands
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
    found = check_engine(soc, soc.accelerator(engine), range(200 if name == "diana" else 32))
    assert found.is_sound and not found.problems
    assert set(found.accepted) == ops == set(found.compared)
    assert found.tried.total() == (200 if name == "diana" else 32)


def changed(**members: Callable[..., object]) -> ArrayEngine:
    """Return the digital array with other methods."""
    kind = type("Changed", (ArrayEngine,), members)
    return kind(**{name: getattr(DIGITAL, name) for name in ArrayEngine.__dataclass_fields__})


def broken(job: Job, *_: object) -> np.ndarray:
    raise ValueError("no such job")


def broken_in_lines() -> None:
    raise ValueError("two\nlines")


def with_a_row_more(job: Job) -> Job:
    """Return a job with padding for a row more."""
    (top, *others), (rows, columns) = job.pads, job.out_size
    return replace(job, pads=(top + job.strides[0], *others), out_size=(rows + 1, columns))


WRONG = {
    "values differ, the first at output 0": changed(
        execute=lambda self, job, inputs, weights: ArrayEngine.execute(self, job, inputs, weights) ^ 1
    ),
    "execute gives": changed(execute=lambda self, job, inputs, weights: np.zeros(1, np.int8)),
    r"fails: ValueError: no such job \(test_engines.py:\d+, in broken\)": changed(
        execute=lambda self, job, *more: broken(job)
    ),
    "execute gives a NoneType, expected an array of uint8": changed(execute=lambda self, *_: None),
    "pack gives a list, expected an array of uint8": changed(pack=lambda self, *_: []),
    "has an output of .* bytes, expected": changed(
        job=lambda self, op: replace(ArrayEngine.job(self, op), outputs=ArrayEngine.job(self, op).outputs + 1)
    ),
    "fails: ValueError: two lines": changed(execute=lambda self, *_: broken_in_lines()),
    "weight_bytes says": changed(
        weight_bytes=lambda self, job: ArrayEngine.weight_bytes(self, job) + 4 * (job.kind != JobKind.ADD)
    ),
    "weight_bytes gives -4, expected an integer of 0 at least": changed(weight_bytes=lambda self, job: -4),
    "violations gives 'too large', expected a tuple of Violation": changed(violations=lambda self, op: "too large"),
    "violations gives 'small' in a tuple, expected a Violation": changed(violations=lambda self, op: ("small",)),
    r"lowered gives job .* with \d+ bytes of output, expected \d+ at most": changed(
        lowered=lambda self, job, plain=False: ArrayEngine.lowered(self, with_a_row_more(job), plain)
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
    assert all(each.startswith("layer ") and "\n" not in each for each in found.problems)
    assert "NOT as it says" in text(found) and json.dumps(facts([found], None))


def matches(pattern: str, found: str) -> bool:
    return re.search(pattern, found) is not None


def test_an_engine_that_accepts_nothing_is_not_sound() -> None:
    found = check_engine(DIANA, replace(DIGITAL, kernels=(), strides=()), range(0, 16, 8))
    assert not found.is_sound and not found.problems and found.refused
    assert text(found).startswith("digital: not tried") and "no layer was accepted" in text(found)


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
        ({"output": np.zeros(17, np.int8)}, "an output of 17 bytes is recorded, expected 18"),
        (
            {
                "job": np.array(
                    "#accel.job<kind = lookup, channels = 2, outputs = 2, size = [3, 3], out_size = [3, 3], "
                    "kernel = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0]>"
                ),
                "rhs": np.zeros(18, np.int8),
            },
            "has the fields none",
        ),
        ({"rhs": np.zeros(1, np.int8)}, "inputs of 18, 1 bytes are recorded, expected 18, 18"),
    ],
)
def test_recorded_jobs_that_differ_are_named(changes: dict[str, np.ndarray], problem: str) -> None:
    (found,) = check_vectors(DIANA, DIGITAL, recorded(**changes)).problems
    assert found.startswith("job 'sum': ") and problem in found


@pytest.mark.parametrize("job", ["", "#accel.job<kind = add>", "7 : i64", "#accel.job<"])
def test_a_job_that_cannot_be_read_is_an_error(job: str) -> None:
    with pytest.raises(ValueError, match="'sum.job' is"):
        check_vectors(DIANA, DIGITAL, recorded(job=np.array(job)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"job": np.zeros(3, np.uint8)}, "'sum.job' is an array of 3 uint8, expected a text"),
        ({"job": np.array([], "U1")}, "'sum.job' is an array of 0"),
        ({"input": np.zeros(18)}, "'sum.input' has type float64, expected uint8 or int8"),
        ({"weights": np.array("x")}, "'sum.weights' has type <U1, expected uint8 or int8"),
        ({"output": np.zeros(18, np.int64)}, "'sum.output' has type int64, expected uint8 or int8"),
        ({"cycles": np.array([], np.int64)}, "'sum.cycles' is an array of 0 int64, expected one integer from 0"),
        ({"cycles": np.array(np.nan)}, "'sum.cycles' is an array of 1 float64, expected one integer from 0"),
        ({"cycles": np.array(-4)}, "'sum.cycles' is an array of 1 int64, expected one integer from 0"),
    ],
)
def test_arrays_of_other_types_are_an_error(changes: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        check_vectors(DIANA, DIGITAL, recorded(**changes))


def test_fields_of_a_job_that_are_no_integers_are_an_error() -> None:
    job = str(recorded()["sum.job"]).replace("shift = 1 : i64", "shift = f32")
    with pytest.raises(ValueError, match="'sum.job' is no attribute: .* job field 'shift' is f32"):
        check_vectors(DIANA, DIGITAL, recorded(job=np.array(job)))


def htvm(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [warm_commands.folder() / "htvm", "test-engine", "diana", "--engines", "digital", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_file_of_recorded_jobs_is_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", **recorded())
    done = htvm("--layers", "1", "--vectors", str(tmp_path / "v.npz"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "recorded: 1 jobs, 18 bytes compared, 0 jobs wrong" in done.stdout


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros(1)}, "no recorded job: expected arrays 'NAME.job'"),
        (recorded(job=np.array("hello")), "'sum.job' is no attribute: "),
        (recorded(job=np.array(b"hello")), r"has type |S5, expected numbers or text (NumPy's 'U')"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_in_a_line(
    tmp_path: Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    np.savez(tmp_path / "v.npz", **arrays)
    done = htvm("--layers", "1", "--vectors", str(tmp_path / "v.npz"))
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"htvm test-engine: error: {tmp_path / 'v.npz'}: ") and message in done.stderr


@pytest.mark.parametrize("layers", ["0", "-1", "x", "9" * 30])
def test_numbers_of_layers_are_positive(layers: str) -> None:
    done = htvm(f"--layers={layers}")
    assert done.returncode == 2 and f"'{layers}' is not a whole number of 1 or more" in done.stderr


def test_a_file_without_jobs_is_an_error() -> None:
    with pytest.raises(ValueError, match="no recorded job: expected arrays 'NAME.job'"):
        check_vectors(DIANA, DIGITAL, {"x": np.zeros(1)})
