"""htvm.backend.kernels: which kernels the host has, and where they are from.

htvm's own: every KernelSpec in a module of built_in/. Others come from entry points in the group `htvm.kernels`, whose
value is a KernelSpec, or from files given to `load`, whose variables hold them: `htvm compile --kernels my_kernels.py`,
`htvm.compile(.., kernels=["my_kernels.py"])`.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import cast

from htvm.dialects import python_files
from htvm.dialects.installed_packages import entry_points

from .spec import (
    LINEAR_OPS,
    OTHER_OPS,
    ConstantArray,
    KernelCall,
    KernelError,
    KernelSpec,
    Layer,
    Linear,
    Macro,
    Plan,
    Site,
    Tensor,
    Window,
    no_scratch,
)
from .trails import Trail, Walk, in_steps, pixels

__all__ = [
    "LINEAR_OPS", "OTHER_OPS", "ConstantArray", "KernelCall", "KernelError", "KernelSpec", "Layer", "Linear", "Macro",
    "Plan", "Site", "Tensor", "Trail", "Walk", "Window", "check", "found", "in_steps", "installed", "known", "load",
    "own", "pixels", "register",
]  # fmt: skip

ENTRY_POINT_GROUP = "htvm.kernels"

NAME = re.compile(r"[a-z][a-z0-9_]*")

SOURCES = (".c", ".S")

_registered: dict[str, KernelSpec] = {}
"""Kernels from files and programs, by name."""


@cache
def own() -> dict[str, KernelSpec]:
    """Return htvm's own kernels by name."""
    folder = Path(__file__).parent / "built_in"
    names = [f"{__name__}.built_in.{each.name}" for each in pkgutil.iter_modules([str(folder)])]
    return {spec.name: spec for name in names for spec in _specs(importlib.import_module(name))}


@cache
def installed() -> dict[str, KernelSpec]:
    """Return the kernels of installed packages by name. Raises KernelError for an entry point that is none."""
    every: dict[str, KernelSpec] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        what = f"entry point '{point.name} = {point.value}'"
        try:
            item = point.load()
            origin = importlib.import_module(point.module).__file__ or ""
        except Exception as error:  # whatever a package does when it is imported
            raise KernelError(f"{what}: {type(error).__name__}: {error}") from error
        if not isinstance(item, KernelSpec):
            raise KernelError(f"{what}: is {item!r}, expected a htvm.kernels.KernelSpec")
        spec = replace(item, origin=item.origin or origin)
        check([spec], what)
        every[spec.name] = spec
    return every


def known() -> dict[str, KernelSpec]:
    """Return all kernels by name, htvm's own first."""
    return {**own(), **installed(), **_registered}


def found(name: str) -> KernelSpec:
    """Return a kernel by its name. Raises KernelError if there is none."""
    every = known()
    if name not in every:
        raise KernelError(unknown(name))
    return every[name]


def unknown(name: str) -> str:
    """Say that there is no kernel of a name."""
    remedy = "others come from files: --kernels F.py, htvm.compile(kernels=[..])"
    return f"there is no kernel '{name}', expected one of {', '.join(known())}; {remedy}"


def load(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Load the kernels that a Python file describes and return their names; its former ones are replaced.

    Raises KernelError for a file that cannot be imported, that describes no kernel, or a wrong one.
    """
    try:
        module = python_files.load(path, "kernels")
    except python_files.LoadError as error:
        raise KernelError(str(error)) from error
    specs = [replace(spec, origin=spec.origin or str(path)) for spec in _specs(module)]
    if not specs:
        raise KernelError(f"{path}: describes no kernel: no variable holds a htvm.kernels.KernelSpec")
    check(specs, str(path))
    for spec in specs:
        _registered[spec.name] = spec
    return tuple(spec.name for spec in specs)


def register(given: Iterable[str | os.PathLike[str] | KernelSpec]) -> tuple[str, ...]:
    """Make kernels known: descriptions, and files that have some; return their names. Raises KernelError."""
    names: list[str] = []
    for each in given:
        if isinstance(each, KernelSpec):
            check([each], f"kernel '{each.name}'")
            _registered[each.name] = each
            names.append(each.name)
        else:
            names += load(each)
    return tuple(names)


def candidates(names: Iterable[str]) -> list[KernelSpec]:
    """Return the kernels that may compute a layer: htvm's own, installed ones, and those that are named."""
    return [*own().values(), *installed().values(), *(found(name) for name in names if name in _registered)]


def files(names: Iterable[str]) -> list[str]:
    """Return the files that loaded kernels of these names are from, each once."""
    specs = (_registered[name] for name in names if name in _registered)
    return list(dict.fromkeys(spec.origin for spec in specs if spec.origin))


def folder(spec: KernelSpec) -> Path:
    """Return the folder of the C of a kernel from outside."""
    return Path(spec.origin).resolve().parent


def _specs(module: ModuleType) -> list[KernelSpec]:
    """Return the kernels that the variables of a module hold, each once."""
    held: list[KernelSpec] = []
    for item in vars(module).values():
        items = cast("Sequence[object]", item) if isinstance(item, tuple | list) else (item,)
        held += [each for each in items if isinstance(each, KernelSpec) and each not in held]
    return held


def check(specs: list[KernelSpec], what: str) -> None:
    """Raise KernelError with all that is wrong with descriptions."""
    problems = [f"{what}: {problem}" for spec in specs for problem in _problems(spec)]
    names = [spec.name for spec in specs]
    problems += [f"{what}: describes two kernels '{name}'" for name in dict.fromkeys(names) if names.count(name) > 1]
    if problems:
        raise KernelError("\n".join(problems))


def _problems(spec: KernelSpec) -> Iterator[str]:
    """Yield what is wrong with a description."""
    if not NAME.fullmatch(spec.name):
        yield f"name is {spec.name!r}, expected small letters, digits and underscores, such as 'my_pointwise'"
        return
    what = f"kernel '{spec.name}'"
    if spec.name in own():
        yield f"{what}: htvm has a kernel of this name; choose another, such as 'my_{spec.name}'"
    if not spec.function and spec.call is None:
        yield f"{what}: has no function, expected the name of the C function that computes a layer"
    if wrong := [op for op in spec.ops if op not in (*LINEAR_OPS, *OTHER_OPS)]:
        expected = f"expected some of {', '.join(LINEAR_OPS)}, or some of {', '.join(OTHER_OPS)}"
        yield f"{what}: ops has {', '.join(map(repr, wrong))}, {expected}"
    linear = [op for op in spec.ops if op in LINEAR_OPS]
    if linear and len(linear) < len(spec.ops):
        yield f"{what}: ops has {', '.join(spec.ops)}, whose functions have other parameters than {linear[0]}'s"
    if not linear and spec.scratch_bytes is not no_scratch:
        yield f"{what}: has scratch_bytes, which only conv2d and dense have"
    for name in (spec.header, *spec.headers, *spec.sources):
        if Path(name).name != name:
            yield f"{what}: file '{name}': expected a name alone, of a file beside the description"
            return
    stems = [Path(name).stem for name in spec.sources]
    for stem in dict.fromkeys(stem for stem in stems if stems.count(stem) > 1):
        yield f"{what}: two sources are called '{stem}', and both would become {stem}.o; rename one"
    for name in spec.sources:
        if Path(name).suffix not in SOURCES:
            yield f"{what}: source '{name}': expected a file of C (.c) or of assembly (.S)"
    for name in (spec.header, *spec.headers, *spec.sources):
        if not spec.origin:
            yield f"{what}: has no origin, expected the path of its Python file: its C is looked for beside that"
            return
        if not (folder(spec) / name).is_file():
            yield f"{what}: there is no file '{folder(spec) / name}'"
