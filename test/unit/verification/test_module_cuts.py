"""`htvm reduce` on modules of tosa: parts of a function, fewer channels, fewer rows and columns."""

import sys
from pathlib import Path

import numpy as np
import planted
import pytest
from mlir import ir
from tosa.text import Function

import htvm
from htvm import dialects
from htvm.backend import targets
from htvm.commands import htvm as command
from htvm.dialects.semantics import tosa
from htvm.import_tosa import meaning
from htvm.verification.module_cuts import TosaFunction
from htvm.verification.reduction import Reduction, cuttable, failing_case, wrong_values

SOC = targets.load("rv32")


def net() -> Function:
    """Return a network of two convolutions, the second one with stride 2, an addition, and a table."""
    f = Function()
    x = f.layer(f.input((1, 4, 4, 2)), 2, (3, 3), pad=(1, 1, 1, 1), zero=3, out_zero=-5)
    y = f.layer(x, 2, (2, 2), stride=(2, 2), zero=-5)
    a, b = (f.rescale(y, (1 << 30, shift), "i32", double=False) for shift in (11, 12))
    z = f.rescale(f.op("add", [a, b], f.shape(y), "i32"), (1 << 30, 50), double=False)
    f.result(f.op("table", [z, f.const(f.random.permutation(256) - 128)], f.shape(z), "i8"))
    return f


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.mlir").write_text(net().text())
    return Path("net.mlir")


def kinds(function: TosaFunction) -> list[str]:
    return [op.name.removeprefix("tosa.") for op in function.ops if "const" not in op.name]


def test_wrong_convolution_is_left_alone_and_small(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted.off_by_one(monkeypatch)
    reduction = Reduction(SOC)
    whole = cuttable(model, SOC, htvm.CompileOptions())
    sample = {"arg0": np.full((1, 4, 4, 2), 9, np.int8)}
    *_, clamped, wrong, after = list(whole.values(sample))[:5]
    part, given = whole.part({clamped: whole.values(sample)[clamped]}, after, sample)
    found = reduction.reduced(failing_case(reduction, part, given, []))
    assert set(kinds(found.model)) <= {"conv2d", "rescale", "func.return"}
    (sample,) = found.inputs.values()
    assert sample.size <= 4  # few channels, rows and columns
    assert found.failure.kind == wrong_values("module") and "is the first that differs" in found.failure.message

    planted_there = htvm.verify(found.model.model, inputs=found.inputs)
    monkeypatch.undo()
    assert not planted_there.exact and htvm.verify(found.model.model, inputs=found.inputs).exact


def test_command_leaves_what_crashes_a_pass(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    planted.crash(monkeypatch)
    monkeypatch.setattr(sys, "argv", ["htvm", "reduce", "net.mlir"])
    assert command.main() == 0
    said = capsys.readouterr().out
    assert "net_reduced.mlir: 4 of 11 nodes still fail: pass 'plan-memory' fails with IndexError\n" in said
    assert "repeat: htvm verify net_reduced.mlir --inputs net_reduced.npz --target rv32\n" in said
    left = TosaFunction(ir.Module.parse(Path("net_reduced.mlir").read_text(), dialects.context()), "net")
    assert kinds(left) == ["rescale", "rescale", "add", "rescale", "func.return"]
    monkeypatch.undo()
    with np.load(tmp_path / "net_reduced.npz") as arrays:
        assert htvm.verify(tmp_path / "net_reduced.mlir", inputs=dict(arrays)).exact


def test_each_part_means_what_the_whole_computes_there(model: Path) -> None:
    whole = cuttable(model, SOC, htvm.CompileOptions())
    inputs = {"arg0": np.random.default_rng(1).integers(-128, 128, (1, 4, 4, 2), np.int8)}
    values = whole.values(inputs)
    names = list(values)
    assert len(names) == whole.size == 11
    for end in range(1, len(names)):
        part, given = whole.part({name: values[name] for name in names[: end // 2]}, names[end], inputs)
        (found,) = meaning(part.module, given).values()
        assert np.array_equal(found, values[names[end]])


def test_halves_have_halves_of_the_constants(model: Path) -> None:
    whole = cuttable(model, SOC, htvm.CompileOptions())
    inputs = {"arg0": np.random.default_rng(1).integers(-128, 128, (1, 4, 4, 2), np.int8)}
    values = whole.values(inputs)
    first = list(values)[2]  # convolution, rescale, clamp
    layer, given = whole.part({}, first, inputs)
    halves = [tosa.interpret(half.function, list(x.values()))[0] for half, x in layer.fewer_channels(given)]
    assert np.array_equal(np.concatenate(halves, 3), values[first])
    sizes = [x["arg0"].shape for half, x in layer.smaller_inputs(given) if half is not None]
    assert sizes == [(1, 4, 4, 1)] * 2 + [(1, 2, 4, 2)] * 2 + [(1, 4, 2, 2)] * 2


def test_module_of_other_dialects_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.mlir"
    path.write_text("func.func @net(%x: tensor<1x4xi8>) -> tensor<1x4xi8> { return %x : tensor<1x4xi8> }")
    with pytest.raises(htvm.CompileError, match="net.mlir: is a module without operations of tosa, expected an ONNX"):
        cuttable(path, SOC, htvm.CompileOptions())
