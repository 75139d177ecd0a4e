"""The versions of what results depend on."""

from __future__ import annotations

import platform
import shlex
from importlib import metadata
from importlib.metadata import version
from pathlib import Path

from htvm import __version__
from htvm.runtime.interrupts import run_child

PACKAGES = {
    "mlir": "xtc-mlir-python-bindings",
    "onnx": "onnx",
    "numpy": "numpy",
    "ortools": "ortools",
    "unicorn": "unicorn",
}
"""Each with the package of PyPI that has it."""


def versions(cc: str | None = None) -> dict[str, str]:
    """Return the version of each part, and of the C compiler: the default one, or the command `cc`."""
    packages = {name: version(package) for name, package in PACKAGES.items()}
    return {"htvm": __version__, "python": platform.python_version(), **packages, "compiler": compiler(cc)}


def compiler(cc: str | None) -> str:
    """Say which C compiler is used: the clang of the ziglang package, or what a command says that it is."""
    if cc is None:
        return f"clang of ziglang {version('ziglang')}"
    told = run_child([*shlex.split(cc), "--version"])
    return told.stdout.partition("\n")[0] or cc


def cmake_dir() -> Path:
    """Return the folder of htvmConfig.cmake, which an installation has, an editable one too."""
    return Path(str(metadata.distribution("htvm").locate_file("htvm/lib/cmake/htvm")))
