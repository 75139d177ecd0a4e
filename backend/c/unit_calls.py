"""Calls of htvm_soc.h as values: what a unit is given, with the places that it reads and writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from mlir import ir

from htvm.dialects.indices import Linear

from .syntax import Pointer


@dataclass(frozen=True)
class MemoryBase:
    """Where a memory begins that only units address: a macro, and the number that it stands for."""

    macro: str
    address: int

    def __str__(self) -> str:
        return self.macro


@dataclass(frozen=True)
class PointerBase:
    """Where something begins that the host addresses."""

    pointer: Pointer

    def __str__(self) -> str:
        return f"(uintptr_t){self.pointer}"


Base: TypeAlias = MemoryBase | PointerBase


@dataclass(frozen=True)
class Place:
    """Where something is: bytes from a base, or a number alone."""

    base: Base | None
    offset: Linear

    def __add__(self, size_bytes: int) -> Place:
        return replace(self, offset=self.offset + size_bytes)


@dataclass(frozen=True)
class Command:
    """A call that gives a unit a command, or waits. job: of a launch, what its descriptor has before addresses.

    takes_places: whether the function is given the addresses beside the descriptor, which has none.
    """

    function: str
    unit: str
    places: tuple[Place, ...]
    job: tuple[int, ...] = ()
    takes_places: bool = False

    @property
    def is_placed_late(self) -> bool:
        """Whether a job has an operand whose address only the program knows, not its descriptor."""
        return not self.takes_places and any(
            isinstance(each.base, PointerBase) or each.offset.steps for each in self.places
        )


@dataclass(frozen=True)
class CallLoop:
    """A loop around calls: its index, from 0 on, and how often it goes round."""

    index: ir.Value
    times: int
    body: Sequence[Call]


Call: TypeAlias = "Command | CallLoop"


def call(
    function: str,
    unit: str,
    *arguments: Place | Linear | int,
    job: tuple[int, ...] = (),
    takes_places: bool = False,
) -> Command:
    """Return a call."""
    return Command(function, unit, tuple(map(_place, arguments)), job, takes_places)


def _place(argument: Place | Linear | int) -> Place:
    if isinstance(argument, Place):
        return argument
    return Place(None, argument if isinstance(argument, Linear) else Linear(argument))
