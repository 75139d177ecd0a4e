"""What this machine has for tests beside what pip installs, probed once; what is missing is said once, with what for.

The process that starts pytest probes and hands what it found to those that it starts.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

VARIABLE = "HTVM_TEST_MACHINE"
"""The environment variable in which the processes of one run find what the first one found."""

SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
RISCV_GCC = "riscv64-unknown-elf-gcc"


@dataclass(frozen=True)
class Machine:
    """What there is. Names and paths are empty where there is nothing.

    native: compilers of this machine's C. sanitized: those whose programs run under AddressSanitizer and
    UndefinedBehaviorSanitizer.
    """

    native: tuple[str, ...]
    sanitized: tuple[str, ...]
    riscv_gcc: str
    chromium: str
    neovim: str
    bash: str
    has_mlir_for_cpp: bool
    has_sphinx: bool
    has_tvm: bool
    has_torch: bool
    has_brevitas: bool

    def sanitizers(self, compiler: str) -> tuple[str, ...]:
        """Return the options with which a compiler checks the programs that it makes, none if it cannot."""
        return SANITIZERS if compiler in self.sanitized else ()

    def left_out(self) -> list[str]:
        """Say in a line each what is not tested here, and why."""
        unchecked = [name for name in self.native if name not in self.sanitized]
        reasons = {
            "kernels and networks as native C: no gcc, clang or cc": not self.native,
            f"sanitizers of {', '.join(unchecked)}, whose programs run without: no runtime library": bool(unchecked),
            f"GNU's compiler for the target: no {RISCV_GCC}": not self.riscv_gcc,
            "the report's page in a browser: no chromium or google-chrome": not self.chromium,
            "the language server in an editor: no nvim": not self.neovim,
            "completion of commands, and the examples of docs/: no bash": not self.bash,
            "the dialect in C++: no cmake, compiler or xtc-mlir-dev; pip install '.[dev]'": not self.has_mlir_for_cpp,
            "the site: no Sphinx; pip install -e '.[docs]'": not self.has_sphinx,
            "htvm inside TVM: no apache-tvm; make test-integrations": not self.has_tvm,
            "htvm from PyTorch: no torch or torchao; make test-integrations": not self.has_torch,
            "htvm from Brevitas: no brevitas; make test-integrations": not self.has_brevitas,
        }
        return [reason for reason, is_missing in reasons.items() if is_missing]


@cache
def machine() -> Machine:
    """Return what this machine has."""
    if VARIABLE in os.environ:
        found = json.loads(os.environ[VARIABLE])
        return Machine(**{name: tuple(value) if isinstance(value, list) else value for name, value in found.items()})
    probed = probe()
    os.environ[VARIABLE] = json.dumps(asdict(probed))
    return probed


def probe() -> Machine:
    """Look for what tests can use."""
    native = tuple(name for name in ("gcc", "clang") if shutil.which(name)) or (("cc",) if shutil.which("cc") else ())
    return Machine(
        native=native,
        sanitized=tuple(name for name in native if sanitizes(name)),
        riscv_gcc=first("riscv64-unknown-elf-gcc"),
        chromium=first("chromium", "chromium-browser", "google-chrome"),
        neovim=first("nvim"),
        bash=first("bash"),
        has_mlir_for_cpp=has_mlir_for_cpp(),
        has_sphinx=find_spec("furo") is not None,
        has_tvm=find_spec("tvm") is not None,
        has_torch=all(find_spec(name) is not None for name in ("torch", "torchao", "onnxscript")),
        has_brevitas=find_spec("brevitas") is not None,
    )


def first(*names: str) -> str:
    """Return the path of the first program that there is, or an empty text."""
    return next((path for name in names if (path := shutil.which(name))), "")


def has_mlir_for_cpp() -> bool:
    """Say whether programs in C++ can be built against MLIR: CMake, a compiler, MLIR's headers and LLVM's."""
    folders = [Path(place) for name in ("mlir", "llvm") for place in find_spec(name).submodule_search_locations]
    headers = all((folder / "include" / folder.name).is_dir() for folder in folders)
    return headers and bool(first("cmake")) and bool(first("c++", "g++", "clang++"))


def sanitizes(compiler: str) -> bool:
    """Say whether a program made with the sanitizers builds and runs."""
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "probe.c"), Path(folder, "probe")
        source.write_text("int main(void) { return 0; }\n")
        built = subprocess.run([compiler, *SANITIZERS, source, "-o", program], capture_output=True)
        return built.returncode == 0 and subprocess.run([program], capture_output=True).returncode == 0
