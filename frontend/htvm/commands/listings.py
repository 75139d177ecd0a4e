"""What htvm-opt lists: passes with their options, phases, dialects."""

from __future__ import annotations

import dataclasses
import pkgutil
import re
import typing
from pathlib import Path

import mlir.dialects
from mlir import ir

from htvm.passes import pipeline, registry


def passes() -> str:
    """Say what passes and phases there are."""
    known = registry.passes()
    width = max(map(len, known))
    lines = ["Passes of htvm; every pass of MLIR can be named too:", ""]
    for name, kind in known.items():
        source = registry.origin(name)
        lines.append(f"  {name:{width}}  {registry.summary(kind)}{f' ({source})' if source else ''}")
        lines += [f"  {'':{width}}    {option}" for option in options(kind)]
    lines += ["", "Phases, each a list of passes that takes a module to the stage it is named after:", ""]
    lines += [f"  {stage:{width}}  {', '.join(names)}" for stage, names in pipeline.PHASES.items()]
    return "\n".join(lines) + "\n"


def options(kind: type[registry.Pass]) -> list[str]:
    """Return an option of a pass a line: name, type, and the default if it has one."""
    types = typing.get_type_hints(kind)
    return [
        f"{{{each.name.replace('_', '-')}={getattr(types[each.name], '__name__', 'text')}}}{_default(each)}"
        for each in dataclasses.fields(kind)
        if each.name != "target"
    ]


def _default(option: dataclasses.Field[typing.Any]) -> str:
    if option.default is dataclasses.MISSING:
        return " must be given"
    return f" (default: {str(option.default).lower() if isinstance(option.default, bool) else option.default})"


def dialects(context: ir.Context) -> str:
    """Say which dialects a context reads, of those that have classes in Python."""
    folders = [*map(Path, mlir.dialects.__path__), Path(__file__).parents[1] / "dialects"]
    candidates = {"accel", "builtin", "quant"}
    for folder in folders:
        for module in pkgutil.iter_modules([str(folder)]):
            file = folder / f"{module.name}.py"
            if module.name.endswith("_ops_gen") and file.exists():
                candidates |= set(re.findall(r'DIALECT_NAMESPACE = "(\w+)"', file.read_text(encoding="utf-8")))
    found = sorted(name for name in candidates if _is_known(name, context))
    return f"Available Dialects: {', '.join(found)}\n"


def _is_known(name: str, context: ir.Context) -> bool:
    try:
        context.get_dialect_descriptor(name)
    except ValueError:
        return False
    return True
