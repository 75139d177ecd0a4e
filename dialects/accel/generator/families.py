"""The abstract classes of families, which operations are registered with when the program runs."""

from __future__ import annotations

from collections.abc import Sequence

from .definitions import DO_NOT_EDIT, Definitions, Operation, sentence

FAMILIES_HEAD = f'''\
"""{DO_NOT_EDIT}"""

from abc import ABC

from . import _accel_ops_gen as operations


class Layer(ABC):  # noqa: B024  (only to ask isinstance; operations are registered with it)
    """The operations that compute values: all of the dialect but those on memory."""


'''


def families_module(dialect: Definitions) -> str:
    parts = [FAMILIES_HEAD, *_registered("Layer", [each for each in dialect.operations if each.is_layer])]
    for one in dialect.families:
        base = "Layer" if one.base == "Layer" else "ABC"
        parts.append(f'\n\nclass {one.name}({base}):  # noqa: B024\n    """{sentence(one.summary)}"""\n\n\n')
        parts += _registered(one.name, one.operations)
    return "".join(parts)


def _registered(family: str, operations: Sequence[Operation]) -> list[str]:
    return [f"{family}.register(operations.{each.cpp})\n" for each in operations]
