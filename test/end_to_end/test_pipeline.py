"""A model that stops at a stage and continues, passes of one's own on its way, and the C as text."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import ClassVar

import models
import pytest
from mlir import ir
from mlir.passmanager import ExternalPass

import htvm
from htvm import dialects
from htvm.dialects import accel
from htvm.passes import registry
from htvm.passes.pipeline import STAGES, PipelineError

NAME = "layers/conv3x3_s1"
OWN = Path(__file__).parents[1] / "tools" / "Inputs" / "own_passes.py"


@dataclass(frozen=True)
class MarkLayers:
    """Put an attribute on each layer, as a pass of a program's own would."""

    name: ClassVar[str] = "mark-layers"

    mark: str = "seen"
    twice: bool = False

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        for layer in accel.layers(module):
            layer.operation.attributes["mine.mark"] = ir.StringAttr.get(self.mark * (2 if self.twice else 1))


TWO = """
!a = !quant.uniform<i8:f32, 0.5:3>
func.func @one(%a: tensor<1x16x!a>, %b: tensor<1x16x!a>) -> tensor<1x16x!a> {
  %0 = accel.add %a, %b : (tensor<1x16x!a>, tensor<1x16x!a>) -> tensor<1x16xf32>
  %1 = accel.quantize %0 : (tensor<1x16xf32>) -> tensor<1x16x!a>
  return %1 : tensor<1x16x!a>
}
func.func @two(%a: tensor<1x8x!a>, %b: tensor<1x8x!a>) -> tensor<1x8x!a> {
  %0 = accel.add %a, %b : (tensor<1x8x!a>, tensor<1x8x!a>) -> tensor<1x8xf32>
  %1 = accel.quantize %0 : (tensor<1x8xf32>) -> tensor<1x8x!a>
  return %1 : tensor<1x8x!a>
}
"""
CALLER = """
func.func @caller(%a: tensor<1x8x!quant.uniform<i8:f32, 0.5:3>>) -> tensor<1x8x!quant.uniform<i8:f32, 0.5:3>> {
  %0 = call @two(%a, %a) : (tensor<1x8x!quant.uniform<i8:f32, 0.5:3>>, tensor<1x8x!quant.uniform<i8:f32, 0.5:3>>)
    -> tensor<1x8x!quant.uniform<i8:f32, 0.5:3>>
  return %0 : tensor<1x8x!quant.uniform<i8:f32, 0.5:3>>
}
"""


def parsed(text: str) -> ir.Module:
    return ir.Module.parse(text, dialects.context())


def test_it_stops_at_each_stage_and_the_c_is_the_same() -> None:
    way = htvm.Pipeline(models.path(NAME))
    for stage in STAGES:
        assert str(way.to(stage)) == str(way.module) and way.stage == stage
        assert way.text() == models.compiled(NAME).stages[stage]
    assert way.compiled().project.sources == models.compiled(NAME).project.sources


def test_what_is_done_to_the_module_counts() -> None:
    """The caller pins the layers to the host by hand, where the fastest engine is another."""
    way = htvm.Pipeline(models.path("htvm/layers/aconv_1x1_32x64_s2"), "diana")
    with way.to("integer").context:
        for layer in accel.layers(way.module):
            layer.operation.attributes["engine"] = ir.StringAttr.get("host")
    compiled = way.compiled()
    assert {step.engine for step in compiled.project.steps} == {"host"}
    assert htvm.verify(compiled).exact
    free = htvm.compile(models.path("htvm/layers/aconv_1x1_32x64_s2"), "diana")
    assert "host" not in {step.engine for step in free.project.steps}


def test_a_stage_left_behind_does_not_come_back() -> None:
    way = htvm.Pipeline(models.path(NAME))
    way.to("dispatched")
    with pytest.raises(htvm.CompileError, match="is in stage 'dispatched', which comes after 'integer'"):
        way.to("integer")
    with pytest.raises(ValueError, match="unknown stage 'done'"):
        way.to("done")


def test_passes_run_by_name_and_as_objects() -> None:
    way = htvm.Pipeline(models.path(NAME))
    way.to("integer")
    way.run(MarkLayers(mark="ab", twice=True))
    assert 'mine.mark = "abab"' in str(way.module)
    way.run("mark-layers,canonicalize")
    assert 'mine.mark = "seen"' in str(way.module)
    with pytest.raises(PipelineError, match="'mark-layer' is neither"):
        way.run("mark-layer")


@pytest.mark.parametrize("stage", ["imported", "integer", "dispatched", "scheduled"])
def test_passes_of_ones_own_run_behind_a_stage(stage: str) -> None:
    htvm.load_passes(OWN)
    compiled = htvm.compile(models.path(NAME), passes={stage: "count-layers,cse"}, keep_stages=[stage])
    assert "mine.layers" in compiled.stages[stage] and "mine.layers" in str(compiled.module)
    assert compiled.project.sources == models.compiled(NAME).project.sources


def test_passes_on_the_input_come_before_layers_are_looked_for() -> None:
    """A front end's own dialect becomes layers in a pass of its own."""

    @dataclass(frozen=True)
    class FromArith:
        name: ClassVar[str] = "from-arith"

        def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
            function = module.regions[0].blocks[0].operations[0]
            for op in list(function.regions[0].blocks[0].operations):
                if op.operation.name == "arith.maxsi":
                    with ir.InsertionPoint(op), op.location:
                        kernel = dict.fromkeys(("kernel", "strides"), ir.DenseI64ArrayAttr.get([1, 1]))
                        pool = ir.Operation.create(
                            "accel.pool2d",
                            [op.operation.result.type],
                            [op.operation.operands[0]],
                            {
                                "kind": accel.PoolKindAttr.get("max"),
                                "pads": ir.DenseI64ArrayAttr.get([0] * 4),
                                **kernel,
                            },
                        )
                    op.operation.result.replace_all_uses_with(pool.result)
                    op.operation.erase()

    htvm.register_pass(FromArith)
    tensor = "tensor<1x2x3x3xi8>"
    module = parsed(
        f"func.func @f(%x: {tensor}) -> {tensor} {{ %0 = arith.maxsi %x, %x : {tensor} return %0 : {tensor} }}"
    )
    compiled = htvm.compile(module, passes={"input": "from-arith"})
    assert htvm.verify(compiled).exact and "arith.maxsi" in str(module)
    with pytest.raises(htvm.CompileError, match="no function has operations of accel"):
        htvm.compile(module)


def test_a_pass_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    htvm.load_passes(OWN)
    with pytest.raises(
        htvm.CompileError, match="conv3x3_s1.onnx: pass 'raises' of .*own_passes.py failed: KeyError"
    ) as caught:
        htvm.compile(models.path(NAME), passes={"integer": "raises"})
    assert isinstance(caught.value.__cause__, KeyError)
    line = caught.value.problems[1].strip()
    assert line.startswith("to repeat it: htvm-opt ") and line.endswith("-p raises")
    with pytest.raises(htvm.CompileError, match="pass 'silent' of .*own_passes.py failed and reported nothing"):
        htvm.compile(models.path(NAME), passes={"integer": "silent"})
    with pytest.raises(htvm.CompileError, match="layer 1, expected at most 0\n.*pass 'count-layers{limit=0}' of "):
        htvm.compile(models.path(NAME), passes={"integer": "count-layers{limit=0}"})


def test_passes_before_a_module_is_htvms_are_not_for_onnx() -> None:
    with pytest.raises(htvm.CompileError, match="passes at 'input' are for modules of MLIR, and this is ONNX"):
        htvm.compile(models.path(NAME), passes={"input": "cse"})


def test_a_model_that_is_not_compiled_is_not_amalgamated() -> None:
    with pytest.raises(TypeError, match="takes what htvm.compile returns, a CompiledModel; found Module"):
        htvm.amalgamate(parsed(TWO))  # pyright: ignore[reportArgumentType]
    compiled = htvm.compile(parsed(TWO), function="two")
    assert repr(compiled).startswith("CompiledModel('two', target='rv32', files=")
    assert set(htvm.__all__) <= set(dir(htvm))


def test_a_name_that_is_taken_is_refused() -> None:
    @dataclass(frozen=True)
    class Integerize:
        name: ClassVar[str] = "integerize"

        def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None: ...

    with pytest.raises(ValueError, match="there is a pass 'integerize' already"):
        htvm.register_pass(Integerize)


def test_a_file_takes_the_place_of_an_installed_pass(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A project is tested from its sources while another version of it is installed."""
    file = tmp_path / "mark.py"
    file.write_text("from test_pipeline import MarkLayers as Installed\n"
                    "from dataclasses import dataclass\n"
                    "@dataclass(frozen=True)\n"
                    "class MarkLayers(Installed):\n"
                    "    name = 'mark-installed'\n"
                    "    def __call__(self, module, this_pass): super().__call__(module, this_pass)\n")  # fmt: skip
    monkeypatch.setattr(registry, "installed_passes", lambda: {"mark-installed": MarkLayers})
    assert registry.passes()["mark-installed"] is MarkLayers
    assert htvm.load_passes(file) == ("mark-installed",)
    assert registry.origin("mark-installed") == str(file.resolve())


def test_one_of_several_functions_is_compiled_alone() -> None:
    with pytest.raises(htvm.CompileError, match="has 2 functions, one, two: name one with function="):
        htvm.compile(parsed(TWO))
    compiled = htvm.compile(parsed(TWO), function="two")
    assert compiled.project.report.name == "two" and htvm.verify(compiled).exact
    with pytest.raises(htvm.CompileError, match="function is 'three', expected one with layers: one, two"):
        htvm.compile(parsed(TWO), function="three")


def test_a_function_that_another_one_calls_is_compiled_when_it_is_named() -> None:
    with pytest.raises(htvm.CompileError, match="function 'caller' calls 'two', whose results become arguments"):
        htvm.compile(parsed(TWO + CALLER))
    assert htvm.verify(parsed(TWO + CALLER), function="two").exact


def test_several_functions_go_through_the_stages_together(tmp_path: Path) -> None:
    """What verify-stage accepts, becomes C: each of them, one after the other."""
    way = htvm.Pipeline(parsed(TWO))
    way.to("planned")
    file = tmp_path / "planned.mlir"
    file.write_text(way.text())
    for name, elements in (("one", 16), ("two", 8)):
        compiled = htvm.compile(file, function=name)
        assert compiled.project.report.name == name
        assert compiled.run(seed=1).outputs["result0"].shape == (1, elements)


@pytest.mark.parametrize("target", [pytest.param("rv32", marks=pytest.mark.slow), "diana"])
def test_globals_of_others_stay_and_are_no_constants_of_the_c(target: str) -> None:
    theirs = """
        memref.global "private" constant @unused : memref<4xf32> = dense<1.0>
        memref.global "private" constant @read : memref<4xf32> = dense<1.0>
        func.func private @declared(f32)
        func.func @theirs() -> memref<4xf32> {
          %0 = memref.get_global @read : memref<4xf32>
          return %0 : memref<4xf32>
        }
    """
    whole = htvm.compile(models.path("htvm/layers/aconv_1x1_32x64_s2"), target, keep_stages=["imported"])
    both = parsed(whole.stages["imported"])
    alone = htvm.compile(both, target)
    with both.context:
        for op in ir.Module.parse(theirs).body.operations:
            both.body.append(op.detach_from_parent())
    compiled = htvm.compile(both, target)
    assert compiled.project.sources == alone.project.sources
    assert compiled.project.report.constant_bytes == alone.project.report.constant_bytes
    left = str(compiled.module)
    assert all(name in left for name in ("@unused", "@read", "@declared", "@theirs"))


@pytest.mark.skipif(which("gcc") is None or which("g++") is None, reason="no gcc")
@pytest.mark.parametrize(
    ("name", "target"),
    [
        (NAME, "rv32"),
        ("layers/sigmoid", "rv32"),
        ("layers/softmax", "rv32"),
        ("htvm/layers/aconv_1x1_32x64_s2", "diana"),
        pytest.param("mlperf_tiny/resnet8", "diana", marks=pytest.mark.slow),
    ],
)
def test_two_files_are_taken_by_compilers_of_c_and_of_cpp(name: str, target: str, tmp_path: Path) -> None:
    compiled = htvm.compile(models.path(name), target)
    files = htvm.amalgamate(compiled)
    stem = compiled.project.report.name
    assert set(files) == {f"{stem}.c", f"{stem}.h"} and compiled.files[f"{stem}.h"] == files[f"{stem}.h"]
    for file, text in files.items():
        (tmp_path / file).write_text(text)
    strict = ["-Wall", "-Werror", "-Wno-unused-function", "-c", f"{stem}.c", "-o", "out.o"]
    for compiler in (["gcc", "-std=c99", "-pedantic"], ["g++", "-std=c++20", "-x", "c++"]):
        done = subprocess.run([*compiler, *strict], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[:2000]


def test_the_library_is_quick_to_import() -> None:
    """Nothing that is slow to load comes with `import htvm`: a compiler that embeds it may never use it."""
    code = "import sys, htvm; print(*(name for name in ('mlir', 'onnx', 'numpy') if name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == ""


def test_compiling_loads_what_it_needs() -> None:
    """What another model, another source or a harder packing would need is not loaded: it takes half of the time."""
    others = ("ortools", "onnx.reference", "htvm.passes.tosa.convert_tosa_to_accel", "onnxruntime", "unicorn")
    accelerators = ("htvm.passes.tiling.tiler", "htvm.passes.analysis.tiling", "htvm.passes.analysis.flow")
    checks = ("htvm.reference", "htvm.dialects.semantics.interpreter", "htvm.import_tosa")
    modules = (*others, "htvm.dialects.calls", *accelerators, *checks)
    model = str(models.path("mlperf_tiny/toyadmos"))
    code = f"import sys, htvm; htvm.compile({model!r}); print(*(name for name in {modules} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr[-2000:]


def test_commands_seldom_look_for_cycles(tmp_path: Path) -> None:
    """What is loaded and a small network are no reason for Python to look for cycles, nor is the end of a command."""
    code = """if True:
        import gc, sys
        seen = []
        gc.callbacks.append(lambda when, found: seen.append(len(gc.get_objects())) if when == "start" else None)
        from htvm.commands import entry_points
        early = len(seen)
        sys.argv[0] = "htvm"
        entry_points.htvm()
        print("looked at", max(seen[early:], default=0), "left", len(gc.get_objects()))
    """
    model = str(models.path("mlperf_tiny/toyadmos"))
    command = [sys.executable, "-c", code, "compile", model, "-o", str(tmp_path / "c")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    _, looked_at, _, left = done.stdout.splitlines()[-1].rsplit(maxsplit=3)
    assert int(looked_at) < 20_000 and int(left) < 1_000


def test_the_importer_is_a_function_and_a_package() -> None:
    from htvm.import_onnx import OPERATORS

    assert OPERATORS and str(htvm.import_onnx(models.path(NAME))) == str(htvm.Pipeline(models.path(NAME)).module)


def test_every_public_name_is_there() -> None:
    assert all(getattr(htvm, name) is not None for name in htvm.__all__) and htvm.__all__ == sorted(htvm.__all__)
