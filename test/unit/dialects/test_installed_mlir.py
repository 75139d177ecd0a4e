"""Another version of MLIR than the dialect was compiled against: one line says which to install."""

import subprocess
import sys
from pathlib import Path

import pytest

from htvm.dialects import installed_mlir

MODEL = Path(__file__).parents[2] / "inputs/models/mlperf_tiny/resnet8.onnx"

WITH_ANOTHER_MLIR = f"""
import sys
from importlib import metadata

real = metadata.version
metadata.version = lambda name: "23.1.0.1" if name == {installed_mlir.BINDINGS!r} else real(name)
from htvm.commands.htvm import main
sys.argv = ["htvm", "compile", {str(MODEL)!r}, "-o", "c"]
sys.exit(main())
"""


def test_the_version_that_is_needed_is_that_of_the_installation() -> None:
    assert installed_mlir.needed_version() == installed_mlir.metadata.version(installed_mlir.BINDINGS)
    installed_mlir.check()


def test_a_command_says_which_version_to_install(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", WITH_ANOTHER_MLIR], capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 1
    needed = installed_mlir.needed_version()
    assert f"htvm was built for MLIR {needed}, but xtc-mlir-python-bindings 23.1.0.1 is installed" in ran.stderr
    assert f"pip install 'xtc-mlir-python-bindings=={needed}'" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_without_an_installation_of_htvm_there_is_nothing_to_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_installed(name: str) -> list[str]:
        raise installed_mlir.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(installed_mlir.metadata, "requires", not_installed)
    assert installed_mlir.needed_version() is None
