"""The pieces of C that steps are made of, as values: what they say is asked of them, and text is made last.

`str` of a piece is its C. Statements of several lines have them indented as at the left margin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from htvm.backend.kernels.fields import Fields

INDENT = "    "


@dataclass(frozen=True)
class Declaration:
    """A parameter that points to elements of a type."""

    type: str
    name: str
    is_const: bool

    def __str__(self) -> str:
        return f"{'const ' if self.is_const else ''}{self.type} *{self.name}"


@dataclass(frozen=True)
class Stride:
    """How far a pointer moves with the index of a loop: elements for each iteration."""

    elements: int

    def at(self, index: str) -> str:
        return f"{index} * {self.elements}"


@dataclass(frozen=True)
class Entry:
    """How far a pointer moves with the index of a loop: the entry of a table."""

    table: Pointer

    def at(self, index: str) -> str:
        return f"{self.table}[{index}]"


Move: TypeAlias = Stride | Entry


@dataclass(frozen=True)
class Pointer:
    """The address of elements: a name, cast to a type, then moved by elements and with the indices of loops.

    cast: the types of casts, the last one first in C. moves: what a loop's index adds, with the index.
    """

    name: str
    offset: int = 0
    cast: tuple[str, ...] = ()
    moves: tuple[tuple[Move, str], ...] = ()

    def __add__(self, elements: int) -> Pointer:
        return replace(self, offset=self.offset + elements)

    def cast_to(self, type: str) -> Pointer:
        """Return a pointer to another type, through void, so that alignment is not complained of."""
        return replace(self, cast=(f"{type} *", "void *", *self.cast))

    def moved(self, move: Move, index: str) -> Pointer:
        return replace(self, moves=(*self.moves, (move, index)))

    def __str__(self) -> str:
        casts = "".join(f"({type})" for type in self.cast)
        offset = f" + {self.offset}" if self.offset else ""
        return casts + self.name + offset + "".join(f" + {move.at(index)}" for move, index in self.moves)


@dataclass(frozen=True)
class ArenaAddress:
    """The address of a buffer: bytes behind the arena's beginning, `base`."""

    type: str
    offset_bytes: int

    element_bytes: int = 1

    def __add__(self, elements: int) -> ArenaAddress:
        return replace(self, offset_bytes=self.offset_bytes + elements * self.element_bytes)

    def __str__(self) -> str:
        return f"({self.type} *)(base + {self.offset_bytes})"


@dataclass(frozen=True)
class AddressOf:
    """The address of a variable."""

    name: str

    def __str__(self) -> str:
        return f"&{self.name}"


NULL = Pointer("NULL")

Argument: TypeAlias = Pointer | AddressOf | int


@dataclass(frozen=True)
class Call:
    """A statement that calls a function."""

    function: str
    arguments: tuple[Argument, ...]

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.arguments))});"


@dataclass(frozen=True)
class Loops:
    """A call inside loops: (index, count) of each, outermost first."""

    loops: tuple[tuple[str, int], ...]
    call: Call

    def __str__(self) -> str:
        if not self.loops:
            return str(self.call)
        heads = (f"for (int32_t {index} = 0; {index} < {count}; {index}++) " for index, count in self.loops)
        return f"{''.join(heads)}{{\n{INDENT}{self.call}\n}}"


@dataclass(frozen=True)
class StructConstant:
    """A constant struct in a function."""

    type: str
    name: str
    fields: Fields

    def __str__(self) -> str:
        return f"static const {self.type} {self.name} = {initializer(self.fields)};"


@dataclass(frozen=True)
class ConstPointer:
    """A local name of an address."""

    type: str
    name: str
    value: Pointer

    def __str__(self) -> str:
        return f"const {self.type} *const {self.name} = {self.value};"


@dataclass(frozen=True)
class Line:
    """A line of what calls.py writes, indented in a function by so many loops."""

    text: str
    loops: int = 0

    def __str__(self) -> str:
        return INDENT * self.loops + self.text


Statement: TypeAlias = Call | Loops | StructConstant | ConstPointer | Line


def initializer(fields: Fields, depth: int = 0) -> str:
    """Return the initialiser of a struct."""
    indent = INDENT * depth
    rows: list[str] = []
    for key, value in fields.items():
        if isinstance(value, Mapping):
            rows.append(f".{key} = {initializer(value, depth + 1)}")
        elif isinstance(value, int | str):
            rows.append(f".{key} = {value}")
        elif " " in key:
            rows.append(", ".join(f".{name} = {number}" for name, number in zip(key.split(), value, strict=True)))
        else:
            rows.append(f".{key} = {{{', '.join(map(str, value))}}}")
    inner = "".join(f"{indent}{INDENT}{row},\n" for row in rows)
    return f"{{\n{inner}{indent}}}"


@dataclass(frozen=True)
class KernelFunction:
    """A function that the macro of a kernel's header defines: HTVM_DEFINE_<kind>(name, arguments)."""

    kind: str
    name: str
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return f"HTVM_DEFINE_{self.kind}({', '.join([self.name, *self.arguments])})"


@dataclass(frozen=True)
class KernelInPlace:
    """A function in the place of one of htvm's: it calls that of a kernel with the same arguments, and some more."""

    name: str
    function: str
    parameters: str
    more: tuple[str, ...]

    def __str__(self) -> str:
        names = [each.split()[-1].lstrip("*") for each in self.parameters.split(",")]
        call = f"{self.function}({', '.join([*names, *self.more])});"
        return f"HTVM_SHARED void {self.name}({self.parameters})\n{{\n{INDENT}{call}\n}}"


@dataclass(frozen=True)
class KernelWrapper:
    """A function that calls that of a kernel, which is inlined if its header says so.

    types: of input, weights and output. output: the requantisation form.
    """

    name: str
    function: str
    types: tuple[str, str, str]
    output: str

    def __str__(self) -> str:
        x, w, y = self.types
        return (
            f"HTVM_SHARED void {self.name}(const htvm_conv2d_layer *layer, const {x} *x, const {w} *weights,\n"
            f"    const void *scales, void *scratch, {y} *y)\n{{\n"
            f"    {self.function}(layer, x, weights, scales, scratch, y, HTVM_{self.output});\n}}"
        )


Defined: TypeAlias = KernelFunction | KernelInPlace | KernelWrapper
"""The definition of a function that steps call."""
