"""Each pass and phase on a module of each stage: it does its work, or says what comes first."""

import re
from functools import cache
from pathlib import Path

import pytest
from mlir import ir

import htvm
from htvm import dialects
from htvm.backend import targets
from htvm.diagnostics import collected
from htvm.passes import pipeline, registry
from htvm.passes.analysis.stages import STAGES, stage_of

MODEL = Path(__file__).parents[2] / "inputs" / "models" / "layers" / "concat.onnx"
SOC = targets.load("diana")
ELEMENTS = [*registry.own_passes(), *pipeline.PHASES]


@cache
def stages() -> dict[str, str]:
    return htvm.compile(MODEL, SOC, keep_stages=STAGES).stages


def outcome(element: str, text: str) -> tuple[ir.Module, list[str]]:
    """Run an element of a pipeline; return the module and the errors."""
    context = dialects.context()
    module = ir.Module.parse(text, context)
    written = f"{element}{{stage={stage_of(module)}}}" if element == "verify-stage" else element
    with collected(context) as diagnostics:
        try:
            pipeline.build(written, SOC, context).run(module.operation)
        except ir.MLIRError:
            assert diagnostics
    return module, [each.message for each in diagnostics if each.severity == "error"]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("element", ELEMENTS)
def test_an_element_works_or_says_what_comes_first(element: str, stage: str) -> None:
    taken = _taken(element)
    module, errors = outcome(element, stages()[stage])
    if not taken or stage in taken:
        assert errors == []
        return
    assert len(errors) == 1 and f"the module is in stage '{stage}'" in errors[0], errors
    assert element in errors[0]
    if STAGES.index(stage) > STAGES.index(taken[-1]):
        assert errors[0].endswith("which it has left behind")
        return
    (remedy,) = re.findall(r"-p ([\w,-]+)$", errors[0])
    between = STAGES[STAGES.index(stage) + 1 : STAGES.index(taken[0]) + 1]
    assert remedy == ",".join([*between, element])
    if len(between) == 1:  # what comes before is the same for an earlier stage, and the phases are run by `stages`
        _, errors = outcome(remedy, stages()[stage])
        assert errors == []


def _taken(element: str) -> tuple[str, ...]:
    """Return the stages of which a pass or a phase takes a module; none for every one."""
    if element in pipeline.PHASES:
        return (STAGES[STAGES.index(element) - 1],)
    return registry.own_passes()[element].stages


@pytest.mark.parametrize("name", registry.own_passes())
def test_a_pass_declares_the_stages_that_its_header_names(name: str) -> None:
    own = registry.own_passes()[name]
    module = __import__(own.__module__, fromlist=["__doc__"])
    said = re.search(r"^Stage +(.*)$", module.__doc__, re.MULTILINE)[1]
    assert all(stage in STAGES for stage in own.stages)
    named = re.match(r"\w+", said)[0]  # "any", or a dialect that is no stage of ours
    assert named == own.stages[0] if own.stages else named not in STAGES


@pytest.mark.parametrize("element", [each for each in ELEMENTS if _taken(each)])
def test_a_module_of_others_alone_is_no_input(element: str) -> None:
    _, errors = outcome(element, "func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> { return %x : tensor<4xf32> }")
    assert len(errors) == 1 and errors[0].endswith("no function of the module has operations of accel")


@pytest.mark.parametrize("stage", STAGES)
def test_the_stage_of_a_module_is_told_from_its_text(stage: str) -> None:
    assert stage_of(ir.Module.parse(stages()[stage], dialects.context())) == stage
