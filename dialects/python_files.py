"""Python files of users, which describe targets, kernels or passes: imported under names that nothing else has."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType


class LoadError(ValueError):
    """A file that cannot be imported. reason: why, in one line. line: where in the file, if it fails itself."""

    def __init__(self, path: Path, reason: str, line: int | None = None) -> None:
        super().__init__(f"{path}{f':{line}' if line else ''}: {reason}")
        self.reason, self.line = reason, line


def load(path: str | os.PathLike[str], kind: str) -> ModuleType:
    """Import a file, which may import its neighbours at its head, as a script may. kind: what it describes, a word.

    Raises LoadError.
    """
    path = Path(path)
    if not path.is_file():
        raise LoadError(path, "is no Python file" if path.exists() else "no such file")
    name = f"htvm_{kind}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise LoadError(path, "is no Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        with neighbours_of(path):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever the file does when it is imported
        frames = inspect.getinnerframes(error.__traceback__) if error.__traceback__ else []
        line = next((frame.lineno for frame in reversed(frames) if frame.filename == str(path)), None)
        raise LoadError(path, f"{type(error).__name__}: {' '.join(str(error).split())}", line) from error
    return module


@contextmanager
def neighbours_of(path: Path) -> Generator[None]:
    """Let a file import what is in its folder; another folder may have modules of the same names."""
    folder, before = str(path.resolve().parent), set(sys.modules)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        for name in set(sys.modules) - before:
            if is_in(sys.modules[name], folder):
                del sys.modules[name]


def is_in(module: ModuleType, folder: str) -> bool:
    """Say whether a module's file is in a folder, or below."""
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and Path(folder) in Path(file).resolve().parents
