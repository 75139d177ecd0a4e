"""What can be imported, read from the code: each operator, the forms of it, and what it becomes."""

import ast
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from textwrap import dedent
from types import FunctionType
from typing import Any

from htvm.dialects import accel
from htvm.import_onnx.operators import CUSTOM_OPERATORS, MICROSOFT_OPERATORS, OPERATORS

DOMAINS: dict[str, Mapping[str, Callable[..., Any]]] = {
    "": OPERATORS,
    "com.microsoft": MICROSOFT_OPERATORS,
    "any": CUSTOM_OPERATORS,
}
"""Each domain of operators with its table; "any": the domain does not matter."""


@dataclass(frozen=True)
class Entry:
    """An operator. forms: which of it are taken, in words. becomes: names of operations of the accel dialect."""

    name: str
    domain: str
    forms: str
    becomes: tuple[str, ...]


def catalogue() -> list[Entry]:
    """Return all operators, by domain and name."""
    return [
        Entry(name, domain, _forms(function), tuple(sorted(_operations(function))))
        for domain, table in DOMAINS.items()
        for name, function in sorted(table.items())
    ]


def _forms(function: Any) -> str:
    """Return a function's docstring; an operator on stored integers has the forms of the one on real numbers."""
    if isinstance(function, partial):
        return _forms(function.func)
    if not isinstance(function, FunctionType):
        return f"{function.operator} on stored integers: {_forms(function.implementation)}"
    return " ".join((inspect.getdoc(function) or "").split())


def _operations(function: Any) -> set[str]:
    """Return the accel operations that a function can write: those that it, or a function it calls, names."""
    found: set[str] = set()
    seen: set[FunctionType] = set()
    ahead = [function]
    while ahead:
        one = ahead.pop()
        if isinstance(one, partial):
            ahead += [one.func, *one.args, *one.keywords.values()]
        elif hasattr(one, "implementation"):
            ahead.append(one.implementation)
            found.add("accel.quantize")
        elif isinstance(one, FunctionType) and one not in seen and one.__module__.startswith(_IMPORTER):
            seen.add(one)
            for node in ast.walk(ast.parse(dedent(inspect.getsource(one)))):
                if isinstance(node, ast.Name):
                    ahead.append(one.__globals__.get(node.id))
                elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    of = one.__globals__.get(node.value.id)
                    if of is accel and node.attr in _MNEMONICS:
                        found.add(f"accel.{node.attr}")
                    elif inspect.ismodule(of):
                        ahead.append(getattr(of, node.attr, None))
    return found


_IMPORTER = __name__.rpartition(".")[0]

_MNEMONICS = {
    name.partition(".")[2]
    for each in vars(accel).values()
    if isinstance(name := getattr(each, "OPERATION_NAME", None), str)
}
"""Names of the dialect's operations, as the functions that build them are called."""
