"""The example that the wheel brings, through the commands that a newcomer tries first."""

import subprocess
from pathlib import Path

import warm_commands


def htvm(folder: Path, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([warm_commands.folder() / "htvm", *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def test_the_example_runs_and_its_project_is_verified(tmp_path: Path) -> None:
    told = htvm(tmp_path, "example").stdout
    assert "next: htvm run example.onnx --inputs example.npz" in told
    assert "exact         yes: all 40 output values equal" in htvm(
        tmp_path, "run", "example.onnx", "--inputs", "example.npz"
    ).stdout  # fmt: skip
    told = htvm(tmp_path, "compile", "example.onnx", "--target", "diana", "-o", "c").stdout
    assert "of 6 layers" in told and "run on accelerators; with --requant pow2 7 of " in told
    done = htvm(tmp_path, "verify", "c", "--against", "example.onnx", "--inputs", "example.npz")
    assert "exact on target 'diana': 40 values compared" in done.stdout
    assert done.stderr == "note: c: compiles the C that is in the folder\n"
    assert "'c' is a project, expected the model as --against" in htvm(tmp_path, "verify", "c", status=2).stderr
    c = tmp_path / "c" / "example.c"
    c.write_text("/* by hand */\n" + c.read_text())
    assert "example.c as edited since htvm wrote it" in htvm(tmp_path, "run", "c", "--inputs", "example.npz").stderr
