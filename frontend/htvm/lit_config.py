"""FileCheck tests in a project of your own: what its lit.cfg.py needs.

    import htvm.lit_config

    htvm.lit_config.configure(config, name="my-passes", passes=["../my_passes.py"])

Tests are .mlir and .test files; they find htvm's commands, FileCheck, `not` and, where it is installed, mlir-opt.
`htvm example --passes DIR` writes a project that does so.
"""

from __future__ import annotations

import inspect
import os
import shlex
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def tool_folders() -> list[Path]:
    """Return where the commands are: those of this Python, then MLIR's and LLVM's of the packages that it has."""
    folders = [Path(sys.executable).parent]
    for package in ("mlir", "llvm"):
        spec = find_spec(package)
        folders += [Path(place) / "bin" for place in (spec.submodule_search_locations or () if spec else ())]
    return [folder for folder in folders if folder.is_dir()]


def configure(config: Any, name: str, passes: Iterable[str | os.PathLike[str]] = ()) -> None:
    """Set up lit's configuration object for tests of htvm-opt in the folder of the caller's file.

    name: of the test suite. passes: files to load into htvm-opt; relative ones are seen from that folder.
    """
    import lit.formats  # here, since only tests need lit

    folder = Path(inspect.stack()[1].filename).resolve().parent
    config.name = name
    config.suffixes = [".mlir", ".test"]
    config.test_format = lit.formats.ShTest(execute_external=False)
    config.test_source_root = str(folder)
    config.excludes = ["Inputs"]
    config.environment["PATH"] = os.pathsep.join([*map(str, tool_folders()), config.environment["PATH"]])
    plugins = "".join(f" --load-pass-plugin={shlex.quote(str((folder / each).resolve()))}" for each in passes)
    if plugins:
        config.substitutions.append((r"\bhtvm-opt\b", f"htvm-opt{plugins}"))
