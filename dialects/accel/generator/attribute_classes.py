"""The Python classes of attributes and choices, over the functions of c_functions.py (binding.py calls them)."""

from __future__ import annotations

from textwrap import indent

from .definitions import DO_NOT_EDIT, Attribute, Choice, Definitions, Holder, Parameter, sentence

PYTHON_HEAD = '''\
"""{note}"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

from mlir import ir

from .binding import {names}

if TYPE_CHECKING:
    from typing_extensions import Unpack
'''


def attributes_module(dialect: Definitions) -> str:
    names = "Choice, " * bool(dialect.choices) + "TypedAttribute, builder, reader, registered, writer"
    parts = [PYTHON_HEAD.format(note=DO_NOT_EDIT, names=names)]
    parts += [_enum(choice) for choice in dialect.choices]
    parts += [_choice_class(holder) for holder in dialect.holders]
    parts += [text for one in dialect.attributes for text in (_fields(one), _class(one))]
    return "\n\n".join(parts)


def _enum(choice: Choice) -> str:
    cases = "".join(f'    {member} = "{word}"\n' for member, word in zip(choice.members, choice.words, strict=True))
    return f'class {choice.name}(Choice):\n    """{sentence(choice.summary)}"""\n\n{cases}'


def _choice_class(holder: Holder) -> str:
    name, enum = holder.cpp, holder.choice.name
    text = f'''\
@registered("{name}")
class {name}(TypedAttribute):
    """An attribute that holds a {enum}."""

    _value = reader.case({enum})("{name}", "value")
    _make = builder("{name}", writer.case)

    @staticmethod
    def get(value: {enum} | str, context: ir.Context | None = None) -> {name}:
        """Return the attribute, in the current context. Raises ValueError for what is no {enum}."""
        return {name}({name}._make(context, {enum}(value)))

    @property
    def value(self) -> {enum}:
        return {name}._value(self)
'''
    if holder.constraint is None:
        return text
    return f'''\
{text}

@ir.register_attribute_builder("{holder.constraint}", replace=True)
def _{holder.constraint}(value: {enum} | str, context: ir.Context | None = None) -> {name}:
    return {name}.get(value, context)
'''


def _fields(one: Attribute) -> str:
    lines = "".join(f"    {each.name}: {each.accepted}\n" for each in one.parameters)
    total = ", total=False"
    return f'class {one.cpp}Fields(TypedDict{total}):\n    """Parameters of {one.cpp}."""\n\n{lines}'


def _class(one: Attribute) -> str:
    name = one.cpp
    required = [f"{each.name}: {each.accepted}" for each in one.parameters if each.default is None]
    optional = [f"{each.name}: {each.accepted} = {each.default}" for each in one.parameters if each.default is not None]
    signature = ", ".join(["*", *required, *optional, "context: ir.Context | None = None"])
    values = ", ".join(each.name for each in one.parameters)
    changed = ", ".join(f'{each.name}=changes.get("{each.name}", self.{each.name})' for each in one.parameters)
    readers = "".join(f'    _{each.name} = reader.{each.reader}("{name}", "{each.name}")\n' for each in one.parameters)
    writers = ", ".join(f"writer.{each.kind.writer}" for each in one.parameters)
    head = f'''\
@registered("{name}")
class {name}(TypedAttribute):
    """{sentence(one.summary)}

{indent(one.description, "    ")}
    """

{readers}    _make = builder("{name}", {writers})

    @staticmethod
    def get({signature}) -> {name}:
        """Return the attribute, in the current context. Raises ValueError for parameters that it cannot have."""
        return {name}({name}._make(context, {values}))

    def replace(self, **changes: Unpack[{name}Fields]) -> {name}:
        """Return the attribute with some parameters changed."""
        return {name}.get({changed}, context=self.context)

    def fields(self) -> {name}Fields:
        """Return all parameters by their names."""
        return {{{", ".join(f'"{each.name}": self.{each.name}' for each in one.parameters)}}}
'''
    return head + "".join(f"\n{indent(_property(name, each), '    ')}" for each in one.parameters)


def _property(name: str, one: Parameter) -> str:
    what = f'    """{sentence(one.what)}"""\n' if one.what else ""
    return f"@property\ndef {one.name}(self) -> {one.python}:\n{what}    return {name}._{one.name}(self)\n"
