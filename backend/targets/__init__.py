"""htvm.backend.targets: the machines that htvm compiles for. A target is one file in `socs/` that exports `SOC`.

A target outside this folder is a Python file given by its path, or an installed package's entry point in the
group `htvm.targets` whose value is a `Soc`.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import replace
from pathlib import Path

from htvm.backend.targets.soc import Soc
from htvm.backend.targets.validation import validate
from htvm.dialects import python_files
from htvm.dialects.installed_packages import entry_points

BUILT_IN = ("rv32", "diana", "gap9")
ENTRY_POINT_GROUP = "htvm.targets"


def names() -> tuple[str, ...]:
    """Return the names that `load` knows: built-in targets, then installed ones."""
    return (*BUILT_IN, *(point.name for point in entry_points(group=ENTRY_POINT_GROUP)))


def load(name_or_path: str | os.PathLike[str]) -> Soc:
    """Return the target of that name, or the one that the Python file of that path exports as SOC.

    Raises ValueError if there is no such target, or if what is there is not a Soc; TypeError for what is no text.
    """
    if not isinstance(name_or_path, str | os.PathLike):  # pyright: ignore[reportUnnecessaryIsInstance]  (callers need not be typed)
        found = type(name_or_path).__name__
        raise TypeError(f"a target is a name, the path of a .py file, or a Soc; found {found}")
    name_or_path = os.fspath(name_or_path)
    if name_or_path in BUILT_IN:
        return checked(importlib.import_module(f"{__name__}.socs.{name_or_path}").SOC, f"target '{name_or_path}'")
    if name_or_path.endswith(".py"):
        return load_file(Path(name_or_path))
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name == name_or_path:
            return checked(point.load(), f"entry point '{point.name} = {point.value}'")
    raise ValueError(f"unknown target '{name_or_path}'; known are {', '.join(names())}, or the path of a .py file")


def load_file(path: Path) -> Soc:
    """Run a target's file and return its SOC. It may import its neighbours, as a script may, at its head."""
    if not path.is_file():
        raise ValueError(f"target file '{path}' does not exist")
    try:
        module = python_files.load(path, "target")
    except python_files.LoadError as error:
        line = f" (line {error.line})" if error.line else ""
        raise ValueError(f"target file '{path}' fails: {error.reason}{line}") from error
    return replace(checked(getattr(module, "SOC", None), f"target file '{path}'"), file=str(path))


def checked(found: object, where: str) -> Soc:
    """Return `found` if it is a Soc that passes validation."""
    if not isinstance(found, Soc):
        raise ValueError(f"{where}: SOC: found {type(found).__name__}, wanted a htvm.backend.targets.soc.Soc")
    if problems := validate(found):
        raise ValueError("\n".join(f"{where}: {each}" for each in problems))
    return found
