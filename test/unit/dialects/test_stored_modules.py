"""IR that an earlier htvm wrote is read and means the same (docs/versions.md)."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from mlir import ir

from htvm import dialects, driver
from htvm.backend import targets
from htvm.dialects import modules
from htvm.dialects.semantics.interpreter import interpret
from htvm.execution.program import Program
from htvm.interface import Samples
from htvm.passes import pipeline
from htvm.reference import evaluate

INPUTS = Path(__file__).parents[2] / "inputs"
MODEL = INPUTS / "models" / "htvm" / "layers" / "residual_block.onnx"
KINDS = ("mlir", "mlirbc")


def stored(stage: str, kind: str) -> ir.Module:
    """Return a stored module, read into a new context."""
    content = (INPUTS / "ir" / f"residual_block.{stage}.{kind}").read_bytes()
    return modules.parse(content if kind == "mlirbc" else content.decode(), dialects.context())


@pytest.mark.parametrize("stage", ["integer", "planned"])
def test_text_and_bytecode_are_the_same_module(stage: str) -> None:
    text, bytecode = (driver.text(stored(stage, kind)) for kind in KINDS)
    assert text == bytecode


@pytest.mark.parametrize("kind", KINDS)
def test_a_stored_integer_module_computes_the_outputs_of_its_model(kind: str) -> None:
    project = driver.compile(MODEL, "diana").project
    inputs = project.random_inputs(5)
    ports = {port.name: port for port in (*project.inputs, *project.outputs)}
    found = interpret(stored("integer", kind), {name: ports[name].integers(each) for name, each in inputs.items()})
    wanted = evaluate(onnx.load(MODEL), inputs)
    for name, values in found.items():
        np.testing.assert_array_equal(ports[name].values(np.ascontiguousarray(values).tobytes()), wanted[name])


@pytest.mark.parametrize("kind", KINDS)
def test_a_stored_planned_module_becomes_a_program_that_is_exact(kind: str) -> None:
    module, soc = stored("planned", kind), targets.load("diana")
    pipeline.build("verify-stage{stage=planned}", soc, module.context).run(module.operation)
    project = driver.emit(module, soc, "residual_block")
    inputs = project.random_inputs(5)
    found = Program(project, soc).run(Samples.of(project.inputs, inputs)).outputs
    wanted = evaluate(onnx.load(MODEL), inputs)
    assert found and all(np.array_equal(values, wanted[name]) for name, values in found.items())
