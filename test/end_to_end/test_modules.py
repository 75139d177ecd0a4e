"""Modules of MLIR in place of an ONNX file: from a file or from memory, at every stage, beside functions of others."""

import re
from dataclasses import replace
from pathlib import Path

import models
import numpy as np
import pytest
from mlir import ir

import htvm
from htvm import dialects, sources
from htvm.backend import targets
from htvm.explanation.explanation import explain
from htvm.passes.pipeline import STAGES

NAME = "layers/conv3x3_s1"

MIXED = """
!a = !quant.uniform<i8:f32, 0.5:3>
module @mixed attributes {other.note = "kept"} {
  func.func @theirs(%x: f32) -> f32 {
    %0 = arith.addf %x, %x : f32
    %1 = arith.addf %x, %x : f32
    %2 = arith.mulf %0, %1 : f32
    return %2 : f32
  }
  func.func @sum(%a: tensor<1x16x!a>, %b: tensor<1x16x!a>) -> tensor<1x16x!a> {
    %0 = accel.add %a, %b : (tensor<1x16x!a>, tensor<1x16x!a>) -> tensor<1x16xf32>
    %1 = accel.quantize %0 : (tensor<1x16xf32>) -> tensor<1x16x!a>
    return %1 : tensor<1x16x!a>
  }
}
"""


def stage_file(stage: str, folder: Path) -> Path:
    """Write a stage of the model as a file of MLIR."""
    file = folder / f"{stage}.mlir"
    file.write_text(models.compiled(NAME).stages[stage])
    return file


@pytest.mark.parametrize("stage", STAGES)
def test_a_file_of_any_stage_compiles_to_the_same_c(stage: str, tmp_path: Path) -> None:
    compiled = htvm.compile(stage_file(stage, tmp_path))
    assert compiled.project.sources == models.compiled(NAME).project.sources


@pytest.mark.parametrize("stage", STAGES)
def test_bytecode_is_told_by_how_it_begins(stage: str, tmp_path: Path) -> None:
    context = dialects.context()
    file = tmp_path / f"{stage}.mlirbc"
    with file.open("wb") as opened:
        ir.Module.parse(models.compiled(NAME).stages[stage], context).operation.write_bytecode(opened)
    assert htvm.compile(file).project.sources == models.compiled(NAME).project.sources


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "stage", ["imported", pytest.param("integer", marks=SLOW), pytest.param("dispatched", marks=SLOW), "scheduled"]
)
def test_verify_compares_with_the_interpreter(stage: str, tmp_path: Path) -> None:
    found = htvm.verify(stage_file(stage, tmp_path))
    assert found.exact and found.values == 16 * 32 * 32


def test_the_meaning_of_a_module_is_that_of_the_onnx_file(tmp_path: Path) -> None:
    compiled, onnx = htvm.compile(stage_file("imported", tmp_path)), models.compiled(NAME)
    result = compiled.run(seed=3)
    assert np.array_equal(result.outputs["output"], onnx.run(result.inputs).outputs["output"])


def test_a_wrong_constant_is_found_in_its_layer(tmp_path: Path) -> None:
    """The program is of another module than the one that says what is meant."""
    right = htvm.compile(stage_file("integer", tmp_path))
    text = right.source.content
    assert isinstance(text, str)
    wrong = htvm.compile(replace(right.source, content=re.sub(r"offset = \[-?\d+", "offset = [0", text, count=1)))
    assert wrong.project.sources != right.project.sources
    found = htvm.verify(replace(wrong, source=right.source))
    assert not found.exact and found.diverging is not None and found.diverging.node == "conv"


@pytest.mark.parametrize("stage", [pytest.param("tiled", marks=SLOW), "planned"])
def test_what_only_the_c_computes_has_no_meaning_to_compare_with(stage: str, tmp_path: Path) -> None:
    with pytest.raises(htvm.InputError, match=f"{stage}.mlir: is in stage '{stage}', .* stage 'scheduled' or before"):
        htvm.verify(stage_file(stage, tmp_path))


def test_engines_that_are_chosen_are_not_explained(tmp_path: Path) -> None:
    assert explain(stage_file("integer", tmp_path), targets.load("diana")).decisions
    with pytest.raises(htvm.CompileError, match="is in stage 'dispatched', expected 'imported' or 'integer'"):
        explain(stage_file("dispatched", tmp_path), targets.load("diana"))


def test_a_module_in_memory_stays_as_it_is() -> None:
    """It is in a context that knows nothing of htvm yet; nothing but the dialect's presence changes there."""
    context = dialects.context()
    module = ir.Module.parse(models.compiled(NAME).stages["integer"], context)
    before = str(module)
    compiled = htvm.compile(module)
    assert str(module) == before and compiled.module.context is not None
    assert compiled.module.operation.context == context
    assert compiled.project.sources == models.compiled(NAME).project.sources


def test_functions_of_others_are_left_alone() -> None:
    context = dialects.context()
    module = ir.Module.parse(MIXED, context)
    compiled = htvm.compile(module)
    theirs = [str(op) for op in module.body.operations if "theirs" in str(op.operation.attributes["sym_name"])]
    assert [str(op) for op in compiled.module.body.operations if "theirs" in str(op)] == theirs
    assert htvm.verify(compiled).exact


def test_operations_of_dialects_that_nobody_knows_stay_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mixed.mlir"
    file.write_text(MIXED.replace("arith.addf %x, %x :", '"mine.twice"(%x) {by = 2} : (f32) ->'))
    compiled = htvm.compile(file)
    assert str(compiled.module).count('"mine.twice"(%arg0) {by = 2 : i64}') == 2 and htvm.verify(compiled).exact
    htvm.load_passes(Path(__file__).parents[1] / "tools" / "Inputs" / "own_passes.py")
    with pytest.raises(htvm.CompileError, match="to repeat it: htvm-opt .* --allow-unregistered-dialect -p raises"):
        htvm.compile(file, passes={"input": "raises"})


def test_a_module_without_layers_says_what_was_found() -> None:
    with dialects.context():
        module = ir.Module.parse("func.func @f(%x: f32) -> f32 { return %x : f32 }")
    with pytest.raises(
        htvm.CompileError, match="module: no function has operations of accel, tosa, linalg, tensor; found"
    ):
        htvm.compile(module)


def test_a_front_end_is_found_by_dialect_and_suffix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One entry makes a dialect an input, and one a file's suffix."""
    known = sources.FrontEnd("Arith", dialects=("math",), passes="test-passes")
    monkeypatch.setattr(sources, "FRONT_ENDS", (*sources.FRONT_ENDS, known))
    with dialects.context():
        module = ir.Module.parse("func.func @f(%x: f32) -> f32 { %0 = math.sin %x : f32 return %0 : f32 }")
    with pytest.raises(htvm.CompileError, match="'test-passes' is neither a pass"):
        htvm.compile(module)

    def read(path: Path) -> str:
        return models.compiled(path.read_text()).stages["integer"]

    known = sources.FrontEnd("Stage", suffixes=(".stage",), read=read)
    monkeypatch.setattr(sources, "FRONT_ENDS", (*sources.FRONT_ENDS, known))
    (tmp_path / "conv.stage").write_text(NAME)
    assert htvm.compile(tmp_path / "conv.stage").project.sources == models.compiled(NAME).project.sources
