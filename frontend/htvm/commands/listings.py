"""What htvm-opt lists: passes with their options, phases, dialects."""

from __future__ import annotations

import dataclasses
import typing

from htvm.dialects import context, plugin
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


def dialects() -> str:
    """Say which dialects can be read, those of libraries that were loaded among them."""
    return f"Available Dialects: {', '.join(plugin.available_dialects(context()))}\n"
