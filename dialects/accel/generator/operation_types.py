"""The types of the operation classes, and of the families that they inherit from."""

from __future__ import annotations

from collections.abc import Iterator

from .definitions import DO_NOT_EDIT, Definitions, Family, Member, Operation, sentence

STUB_HEAD = f'''\
"""{DO_NOT_EDIT}"""

from collections.abc import Sequence
from typing import TypeAlias

from mlir import ir

from ._attributes import *

_Value: TypeAlias = ir.Value | ir.OpView | ir.Operation

class Layer(ir.OpView):
    """What layers share; when the program runs it is an abstract class that they are registered with."""

    @property
    def out(self) -> ir.Value[ir.MemRefType] | None: ...
    @property
    def engine(self) -> ir.StringAttr | None: ...
    @engine.setter
    def engine(self, value: ir.StringAttr | None) -> None: ...
    @engine.deleter
    def engine(self) -> None: ...
    # None on memrefs, unlike for every other OpView.
    @property
    def result(self) -> ir.OpResult[ir.RankedTensorType] | None: ...  # type: ignore[override]
'''

OF_LAYERS = ("out", "engine", "result")
"""Members that the stub has once for all layers."""


def operations_stub(dialect: Definitions) -> str:
    families = (_family(one) for one in dialect.families)
    return "\n".join([STUB_HEAD, *families, *(_operation(one) for one in dialect.operations)])


def _family(one: Family) -> str:
    members = [each for each in one.members if one.base != "Layer" or each.name not in OF_LAYERS]
    lines = [f"class {one.name}({one.base}):", f'    """{sentence(one.summary)}"""']
    return "\n".join([*lines, *(line for each in members for line in _accessors(each)), ""])


def _operation(one: Operation) -> str:
    bases = ", ".join(one.families) or ("Layer" if one.is_layer else "ir.OpView")
    lines = [f"class {one.cpp}({bases}):", f'    """{sentence(one.summary)}"""', "", "    def __init__("]
    lines += [f"        {each}," for each in _constructor(one)]
    lines.append("    ) -> None: ...")
    of_base = OF_LAYERS if one.is_layer else ()
    for each in one.members:
        lines += _accessors(each) if each.name not in of_base else ()
    for each in one.results:
        if each.name in of_base:
            continue
        lines += ["    @property", f"    def {each.name}(self) -> {_maybe(each.python, each.is_optional)}: ..."]
    for name in one.regions:
        lines += ["    @property", f"    def {name}(self) -> ir.Region: ..."]
    return "\n".join([*lines, "", *(_function(one) if one.is_layer else ())])


def _function(one: Operation) -> Iterator[str]:
    """Yield the function that makes a layer on tensors and returns its result."""
    yield f"def {one.mnemonic}("
    yield from (f"    {each}," for each in _constructor(one) if each != "self")
    yield ") -> ir.OpResult[ir.RankedTensorType]: ..."
    yield ""


def _constructor(one: Operation) -> Iterator[str]:
    """Yield the parameters of an operation's constructor, in mlir-tblgen's order."""
    yield "self"
    for each in one.results:
        yield f"{each.name}: {_maybe(each.accepted, each.is_optional)}"
    for each in one.members:
        if not each.is_optional:
            yield f"{each.name}: {each.accepted}"
    yield "*"
    for each in one.members:
        if each.is_optional:
            yield f"{each.name}: {each.accepted} | None = None"
    yield "loc: ir.Location | None = None"
    yield "ip: ir.InsertionPoint | None = None"


def _accessors(one: Member) -> Iterator[str]:
    type_ = _maybe(one.python, one.is_optional and not one.is_flag)
    yield "    @property"
    # The attribute `name` of an operation hides its name, which every other OpView has.
    ignore = "  # type: ignore[override]" if one.name == "name" else ""
    yield f"    def {one.name}(self) -> {type_}: ...{ignore}"
    if not one.is_operand:
        yield f"    @{one.name}.setter"
        yield f"    def {one.name}(self, value: {type_}) -> None: ..."
        if one.is_optional:
            yield f"    @{one.name}.deleter"
            yield f"    def {one.name}(self) -> None: ..."


def _maybe(type_: str, is_optional: bool) -> str:
    return f"{type_} | None" if is_optional else type_
