"""What each step leaves in memory, by ONNX name: equal to the meaning, and where report.json says it lies."""

from pathlib import Path

import numpy as np
import planted
import pytest

import htvm
from htvm.commands import htvm as command
from htvm.execution.step_values import step_values
from htvm.reference import evaluate


@pytest.mark.parametrize("target", ["rv32", "diana"])
def test_all_are_what_the_file_means(target: str) -> None:
    compiled = htvm.compile(planted.TILED, target)
    sample = compiled.project.random_inputs(0)
    found = step_values(compiled, compiled.program, sample)
    meant = evaluate(compiled.proto, sample, keep=list(found))
    assert len(found) > 10
    for name, values in found.items():
        wanted = meant[name] if isinstance(meant[name], np.ndarray) else meant[name].exact()
        assert np.array_equal(values.reshape(wanted.shape), wanted), name


def test_wrong_code_leaves_wrong_values(small: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs = small
    compiled = htvm.compile(model)
    right = step_values(compiled, compiled.program, inputs)
    planted.wrong_shift(monkeypatch)
    compiled = htvm.compile(model)
    wrong = step_values(compiled, compiled.program, inputs)
    assert [name for name in right if not np.array_equal(right[name], wrong[name])][0] == "add0_q"


def test_a_project_has_no_names(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    htvm.compile(planted.TILED, output=tmp_path / "c")
    monkeypatch.setattr("sys.argv", ["htvm", "run", str(tmp_path / "c"), "--values", str(tmp_path / "v.npz")])
    with pytest.raises(SystemExit, match="1"):
        command.main()
    assert "--values wants the ONNX file: the project '" in capsys.readouterr().err
