"""htvm-lsp-server: MLIR's language server for editors, with the accel dialect in it."""

from __future__ import annotations

import ctypes
import os
import sys
from importlib.util import find_spec
from pathlib import Path

MISSING = "htvm-lsp-server: error: MLIR's language server is not installed: pip install 'htvm[editor]'"


def main() -> int:
    """Entry point of `htvm-lsp-server`: serves on standard input and output; options are those of mlir-lsp-server.

    The Python package `mlir` must not be imported: its library and the one that is loaded here have the same symbols.
    """
    mlir = _folder("mlir") / "lib"
    library = next((path for path in (mlir / "libMLIR.so", mlir / "libMLIR.dylib") if path.exists()), None)
    if library is None:
        print(MISSING, file=sys.stderr)
        return 1
    ctypes.CDLL(str(library), mode=os.RTLD_GLOBAL | os.RTLD_LAZY)
    dialects = _folder("htvm.dialects")
    plugin = ctypes.CDLL(str(dialects / "libhtvm_accel.so"), mode=os.RTLD_LAZY)
    server = ctypes.CDLL(str(dialects / "libhtvm_lsp.so"), mode=os.RTLD_LAZY)
    words = [word.encode() for word in ("htvm-lsp-server", *sys.argv[1:])]
    arguments = (ctypes.c_char_p * (len(words) + 1))(*words, None)
    return server.htvmServeLanguage(plugin.mlirGetDialectPluginInfo, len(words), arguments)


def _folder(package: str) -> Path:
    """Return the folder of a package that is installed."""
    found = find_spec(package)
    assert found is not None and found.submodule_search_locations, package
    return Path(next(iter(found.submodule_search_locations)))
