"""Cuts along input channels: sums that stay over launches, on the machine of docs/tutorials/accumulators.md."""

from __future__ import annotations

import re
from pathlib import Path

import models
import numpy as np
import pytest

import htvm
from htvm.backend import targets
from htvm.backend.targets.jobs import Job
from htvm.backend.targets.soc import Soc
from htvm.dialects import accel
from htvm.import_onnx import import_onnx
from htvm.interface import Samples
from htvm.passes import pipeline
from htvm.passes.analysis.acceptance import violations
from htvm.verification.engines import check_engine

PAGE = Path(__file__).parents[2] / "docs/tutorials/accumulators.md"
FILE = re.compile(r"^```\{code-block\} python\n:caption: (\S+)\n\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ARRAY_LAYERS = {"ds_cnn_digital": 4, "resnet8_digital": 3}


@pytest.fixture(scope="module")
def systolic(tmp_path_factory: pytest.TempPathFactory) -> Soc:
    """Return the target that the page describes, loaded from its files."""
    folder = tmp_path_factory.mktemp("systolic")
    for name, text in FILE.findall(PAGE.read_text(encoding="utf-8")):
        (folder / name).write_text(text, encoding="utf-8")
    return targets.load(str(folder / "systolic.py"))


def sized(soc: Soc, sizes: dict[str, int]) -> Soc:
    for name, size_bytes in sizes.items():
        soc = soc.with_memory(name, size_bytes)
    return soc


def jobs(compiled: htvm.CompiledModel) -> list[Job]:
    """Return the jobs of a network in the order of its launches."""
    (function,) = accel.functions(compiled.module)
    return [Job.of(op.job) for op in accel.nested(function.body.blocks[0]) if isinstance(op, accel.LaunchOp)]


@pytest.mark.parametrize(
    ("network", "sizes", "is_cut"),
    [
        ("ds_cnn_digital", {}, False),
        ("ds_cnn_digital", {"scratchpad": 1 << 10}, True),
        pytest.param("resnet8_digital", {}, False, marks=pytest.mark.slow),
        pytest.param("resnet8_digital", {"scratchpad": 4 << 10}, True, marks=pytest.mark.slow),
        pytest.param("resnet8_digital", {"scratchpad": 3 << 10, "accumulator": 1 << 10}, True, marks=pytest.mark.slow),
    ],
)
def test_networks_are_exact_with_any_memory(network: str, sizes: dict[str, int], is_cut: bool, systolic: Soc) -> None:
    soc = sized(systolic, sizes)
    compiled = htvm.compile(models.path(f"htvm/{network}"), soc)
    samples = Samples.of(compiled.project.inputs, compiled.project.random_inputs(0))
    result = compiled.program.run(samples)
    for name, values in compiled.meant(samples).items():
        np.testing.assert_array_equal(result.outputs[name], values)
    there = [layer for layer in result.metrics["layers"] if layer["engine"] == "array"]
    assert len(there) == ARRAY_LAYERS[network]
    adding = [job for job in jobs(compiled) if job.adds]
    keeping = [job for job in jobs(compiled) if job.keeps]
    assert bool(adding) == bool(keeping) == is_cut
    arena = accel.bytes_by_memory(compiled.module.operation, "accel.arena")["accumulator"]
    assert 0 < arena <= soc.memory("accumulator").size_bytes
    largest = max(4 * job.output_bytes for job in jobs(compiled))
    assert arena >= largest


@pytest.mark.filterwarnings("ignore::htvm.import_onnx.ModelWarning")
def test_an_accumulator_that_is_too_small_is_said(systolic: Soc) -> None:
    """16 sums of 4 bytes, and 16 results, of one pixel are the least: 80 bytes."""
    module = import_onnx(models.path("htvm/ds_cnn_digital"))
    pipeline.build("integer", systolic, module.context).run(module.operation)
    (layer,) = [each for each in accel.layers(module) if accel.node(each) == "conv3"]
    for size_bytes, wanted in (
        (80, []),
        (64, ["smallest tile: found 80 bytes, wanted at most 64 bytes of accumulator"]),
    ):
        soc = systolic.with_memory("accumulator", size_bytes)
        (engine,) = soc.accelerators
        assert [str(each) for each in violations(soc, engine, layer)] == wanted


def test_the_engine_is_what_it_says_in_parts_too(systolic: Soc) -> None:
    (engine,) = systolic.accelerators
    found = check_engine(systolic, engine, range(200, 400))
    assert found.is_sound and set(found.accepted) == {"conv2d", "dense"}


def test_parts_of_the_channels_are_not_the_whole(systolic: Soc) -> None:
    """An engine that forgets the sums of the part before is found out."""
    (engine,) = systolic.accelerators

    class Forgetful(type(engine)):
        def execute(self, job, inputs, weights, sums=None):
            if job.adds:
                sums[:] = 0
            return super().execute(job, inputs, weights, sums)

    forgetful = Forgetful("array", engine.input, engine.weights, engine.sums, engine.output, engine.base)
    found = check_engine(systolic, forgetful, range(200, 300))
    assert any("input channels" in problem for problem in found.problems)
