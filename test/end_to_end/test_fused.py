"""Several layers in one job, on the machine of docs/tutorials/accumulators.md: a residual map, and a max-pool."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import htvm
from htvm.backend import targets
from htvm.dialects import accel
from htvm.interface import Samples
from htvm.verification.engines import check_engine

PAGE = Path(__file__).parents[2] / "docs/tutorials/accumulators.md"
FILE = re.compile(r"^```\{code-block\} \w+\n:caption: (\S+)\n\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files of the page."""
    found = tmp_path_factory.mktemp("fusing")
    for name, text in FILE.findall(PAGE.read_text(encoding="utf-8")):
        (found / name).write_text(text, encoding="utf-8")
    return found


@pytest.mark.parametrize(
    ("sizes", "engines", "launches"),
    [
        ({}, ("array", "host"), 3),
        ({"scratchpad": 4 << 10, "accumulator": 2 << 10}, ("array", "host"), 20),
        ({}, ("host",), 0),
    ],
    ids=["uncut", "tiles", "left out"],
)
def test_a_block_is_exact(folder: Path, sizes: dict[str, int], engines: tuple[str, ...], launches: int) -> None:
    """Tiles of the pooled map overlap: both make the rows of sums that lie under windows of both."""
    soc = targets.load(str(folder / "fusing.py")).with_engines(engines)
    for name, size_bytes in sizes.items():
        soc = soc.with_memory(name, size_bytes)
    compiled = htvm.compile(folder / "block.mlir", soc)
    samples = Samples.of(compiled.project.inputs, compiled.project.random_inputs(0))
    result = compiled.program.run(samples)
    for name, values in compiled.meant(samples).items():
        np.testing.assert_array_equal(result.outputs[name], values)
    (function,) = accel.functions(compiled.module)
    jobs = [op.job for op in accel.nested(function.body.blocks[0]) if isinstance(op, accel.LaunchOp)]
    assert len(jobs) >= launches and any(job.residual and job.pool is not None for job in jobs) == ("array" in engines)


def test_the_engine_is_what_it_says_of_fused_layers(folder: Path) -> None:
    soc = targets.load(str(folder / "fusing.py"))
    (engine,) = soc.accelerators
    found = check_engine(soc, engine, range(0, 1600, 16))
    assert found.is_sound and found.accepted["fused"] > 10
