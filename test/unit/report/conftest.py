"""A network that was compiled and run once, for the tests of what is shown of it."""

from pathlib import Path

import pytest

import htvm
from htvm.driver import CompiledModel
from htvm.execution.program import RunResult

MODELS = Path(__file__).parents[2] / "inputs" / "models" / "mlperf_tiny"


@pytest.fixture(scope="session")
def compiled() -> CompiledModel:
    return htvm.compile(MODELS / "resnet8.onnx")


@pytest.fixture(scope="session")
def result(compiled: CompiledModel) -> RunResult:
    return compiled.run()
