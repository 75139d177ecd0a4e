"""C of a target compiled for this computer, so that `htvm test-engine` can call it in its own process."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from htvm.runtime.interrupts import run_child, scratch_folder

OPTIONS = ("-std=c99", "-O1", "-shared", "-fPIC", "-nostdlib", "-fno-sanitize=undefined")


class NotCompiledError(Exception):
    """What the compiler says of C that it does not compile."""


def loaded(
    text: str, name: str, folders: Sequence[str | Path], sources: Sequence[Path] = (), flags: Sequence[str] = ()
) -> ctypes.CDLL:
    """Return the library of a C file and other sources, compiled with the clang of `ziglang`.

    name: of the library. folders: where headers are, before htvm's own. Raises NotCompiledError.
    """
    with scratch_folder() as folder:
        for header in (resources.files("htvm.runtime") / "kernels").iterdir():
            if header.name.endswith(".h"):
                (folder / header.name).write_text(header.read_text(encoding="utf-8"), encoding="utf-8")
        source, library = folder / "call.c", folder / name
        source.write_text(text, encoding="utf-8")
        files = [str(each) for each in (source, *sources)]
        included = [f"-I{each}" for each in (*folders, folder)]
        compiler = [sys.executable, "-m", "ziglang", "cc", *OPTIONS, *flags, *included]
        done = run_child([*compiler, *files, "-o", str(library)])
        if done.returncode:
            raise NotCompiledError(done.stderr.strip())
        return ctypes.CDLL(str(library))
