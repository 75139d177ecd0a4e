"""Which passes there are: htvm's own, those of installed packages, and those of files that were loaded.

htvm's own: every class with a `name` in a module of a phase's folder, one pass to a file. Others come from entry points
in the group `htvm.passes`, whose value is the class, and from files given to `load_passes`, whose classes with a `name`
are passes: `htvm-opt --load-pass-plugin my_passes.py`, `htvm.load_passes("my_passes.py")`.
"""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import re
import typing
from collections.abc import Iterator
from dataclasses import Field, fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeGuard, cast

from mlir import ir
from mlir.passmanager import ExternalPass

from htvm.dialects import python_files
from htvm.dialects.installed_packages import entry_points

from .analysis.stages import STAGES

PHASE_FOLDERS = ("tosa", "imported", "integer", "mapping", "tiling", "planning", "verification")
"""The folders of passes, in the order of the pipeline."""

HERE = Path(__file__).parent

ENTRY_POINT_GROUP = "htvm.passes"

OPTION_TYPES = (bool, int, float, str, Path, Enum)
"""What an option can be: its text in a pipeline says its value, one word."""

PASS_NAME = re.compile(r"[a-z][a-z0-9]*([.-][a-z0-9]+)*")


class PluginError(ValueError):
    """A plug-in that cannot be loaded; the message names it and says why."""


class Pass(Protocol):
    """A pass: a frozen dataclass whose fields are its options; `target: Soc` is filled in by the pipeline;
    one that has None as its default does without.

    stages: those of which it takes a module; none if it takes every one. A pass from outside may leave it out.
    """

    name: ClassVar[str]
    stages: ClassVar[tuple[str, ...]]
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        """Rewrite the module in place; emit errors at locations and signal failure."""


_loaded: dict[str, type[Pass]] = {}
"""Passes of files that were loaded, by name."""

_files: dict[str, Path] = {}
"""The file that each of these is from."""


@cache
def own_passes() -> dict[str, type[Pass]]:
    """Return htvm's own passes by name, in alphabetical order. The file of `tile-buffers` is `tile_buffers.py`."""
    files = (module.name for phase in PHASE_FOLDERS for module in pkgutil.iter_modules([str(HERE / phase)]))
    found = {name: own_pass(name) for name in sorted(each.replace("_", "-") for each in files)}
    return {name: own for name, own in found.items() if own}


@cache
def own_pass(name: str) -> type[Pass] | None:
    """Return htvm's own pass of a name, without importing the others; None if there is none."""
    file = name.replace("-", "_")
    for phase in PHASE_FOLDERS:
        if (HERE / phase / f"{file}.py").is_file():
            contents = vars(importlib.import_module(f"{__package__}.{phase}.{file}"))
            own = (item for item in contents.values() if isinstance(item, type) and getattr(item, "name", None) == name)
            return next(own, None)
    return None


@cache
def installed_passes() -> dict[str, type[Pass]]:
    """Return the passes of installed packages by name. Raises PluginError for an entry point that is no pass."""
    found: dict[str, type[Pass]] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        what = f"entry point '{point.name} = {point.value}'"
        try:
            item = point.load()
        except Exception as error:  # whatever a package does when it is imported
            raise PluginError(f"{what}: {type(error).__name__}: {error}") from error
        if not _is_pass(item):
            raise PluginError(f"{what}: {_why_not(item)}")
        if item.name in own_passes():
            raise PluginError(
                f"{what}: htvm has a pass '{item.name}'; another name is needed, such as 'my-{item.name}'"
            )
        found[item.name] = item
    return found


def find(name: str) -> type[Pass] | None:
    """Return the pass of a name, None if there is none. Raises PluginError as `passes` does."""
    return _loaded.get(name) or own_pass(name) or installed_passes().get(name)


def passes() -> dict[str, type[Pass]]:
    """Return all passes by name, htvm's own first. Raises PluginError for an installed package that has none."""
    return {**own_passes(), **installed_passes(), **_loaded}


def load_passes(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Load the passes of a Python file and return their names. One that is loaded again takes the former's place.

    A pass of an installed package gives way to a file's: to try a project's sources it need not be uninstalled.
    Raises PluginError for a file that cannot be imported, that has no pass, or one with the name of another's.
    """
    path = Path(path)
    try:
        module = python_files.load(path, "passes")
    except python_files.LoadError as error:
        raise PluginError(str(error)) from error
    contents: list[object] = list(module.__dict__.values())
    classes: list[type] = [each for each in contents if isinstance(each, type) and each.__module__ == module.__name__]
    named = [each for each in classes if isinstance(getattr(each, "name", None), str)]
    found: list[str] = []
    if not named:
        raise PluginError(f"{path}: has no pass: none of its classes has a text `name`")
    for each in named:
        if not _is_pass(each):
            raise PluginError(f"{path}: {_why_not(each)}")
        place = _files.get(each.name)
        if each.name in own_passes():
            raise PluginError(f"{path}: there is a pass '{each.name}' already; another name is needed")
        if place not in (None, path.resolve()):
            raise PluginError(f"{path}: there is a pass '{each.name}' already, of {place}; another name is needed")
        _loaded[each.name], _files[each.name] = each, path.resolve()
        found.append(each.name)
    return tuple(found)


def register_pass(own: Pass | type[Pass]) -> str:
    """Make a pass known that a program has defined, and return the element of a pipeline that is it.

    An object's fields are its options; one without fields of its own may be a class. Raises PluginError.
    """
    kind = own if inspect.isclass(own) else type(own)
    if not _is_pass(kind):
        raise PluginError(_why_not(kind))
    known = passes().get(kind.name)
    if known not in (None, kind) and (kind.name not in _loaded or known.__module__ != kind.__module__):
        raise PluginError(f"there is a pass '{kind.name}' already; another name is needed")
    if known is None or kind.name in _loaded:
        _loaded[kind.name] = kind
    given = {} if inspect.isclass(own) else {each.name: getattr(own, each.name) for each in fields(own)}
    words = [f"{name.replace('_', '-')}={_text(value)}" for name, value in given.items() if name != "target"]
    return f"{kind.name}{{{' '.join(words)}}}" if words else kind.name


def _text(value: object) -> str:
    """Return the value of an option as a pipeline has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_pass(item: object) -> TypeGuard[type[Pass]]:
    return not any(_problems(item))


def _why_not(item: object) -> str:
    return next(_problems(item))


def _problems(item: object) -> Iterator[str]:
    """Yield why something is no pass."""
    if not inspect.isclass(item):
        yield f"is {item!r}, expected a class, a frozen dataclass with a `name`"
        return
    name = getattr(item, "name", None)
    if not isinstance(name, str) or not PASS_NAME.fullmatch(name):
        yield f"class '{item.__name__}': name is {name!r}, expected words in small letters, such as 'count-layers'"
    if not is_dataclass(item):
        yield f"class '{item.__name__}': is no dataclass: write @dataclass(frozen=True) above it"
    if "__call__" not in vars(item):
        yield f"class '{item.__name__}': has no __call__(self, module, this_pass)"
    stages = getattr(item, "stages", ())
    named = cast("tuple[object, ...]", stages) if isinstance(stages, tuple) else (None,)
    if any(each not in STAGES for each in named):
        yield f"class '{item.__name__}': stages is {stages!r}, expected a tuple of some of {', '.join(STAGES)}"
    if is_dataclass(item):
        yield from _unreadable(item)


def _unreadable(own: type[Any]) -> Iterator[str]:
    """Yield which fields of a pass are no options, because no word of a pipeline can be their value."""
    what = f"pass '{getattr(own, 'name', own.__name__)}'"
    try:
        kinds = typing.get_type_hints(own)
    except NameError as error:
        yield f"{what}: the type of a field is unknown: {error}"
        return
    for field in fields(own):
        kind = kinds[field.name]
        # A generic such as tuple[str, ...] counts as a class in Python 3.10.
        is_class = isinstance(kind, type) and typing.get_origin(kind) is None
        if field.name != "target" and field.init and not (is_class and issubclass(kind, OPTION_TYPES)):
            found = kind.__name__ if is_class else str(kind)
            wanted = "bool, int, float, str, pathlib.Path or a subclass of enum.Enum"
            yield f"{what}: option '{field.name}' has type '{found}', which is not read from text; expected {wanted}"


def origin(name: str) -> str | None:
    """Return where a pass is from: a file or a package; None for htvm's own."""
    if name in own_passes():
        return None
    return str(_files[name]) if name in _files else passes()[name].__module__


def is_loaded(name: str) -> bool:
    """Say whether a pass is from a file, which a command that repeats a run must load."""
    return name in _files


def summary(own: type[Pass]) -> str:
    """Return what a pass does in a line: the first of its file's header, `name: what it does`, or of its docstring."""
    lines = (importlib.import_module(own.__module__).__doc__ or "").splitlines()
    name, _, told = (lines or [""])[0].partition(": ")
    return told if name == own.name else (inspect.getdoc(own) or "").partition("\n")[0]
