"""Calls of htvm_soc.h as values: what a unit is given, with the places that it reads and writes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from .loops import Single
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
    """Where something is: bytes from a base."""

    base: Base
    offset_bytes: int

    def __add__(self, size_bytes: int) -> Place:
        return replace(self, offset_bytes=self.offset_bytes + size_bytes)


@dataclass(frozen=True)
class UnitCall:
    """What calls have in common that may become one in a loop: all but numbers.

    bases: what each number is added to, None for nothing. job: of a launch, what its descriptor has before addresses.
    """

    function: str
    unit: str
    bases: tuple[Base | None, ...]
    job: tuple[int, ...] = ()

    @property
    def is_placed_late(self) -> bool:
        """Whether a job has an operand whose address only the program knows, not its descriptor."""
        return bool(self.job) and any(isinstance(base, PointerBase) for base in self.bases)


Command: TypeAlias = Single[UnitCall]


def call(function: str, unit: str, *arguments: Place | int, job: tuple[int, ...] = ()) -> Command:
    """Return a call as a command that loops.py knows."""
    bases = tuple(each.base if isinstance(each, Place) else None for each in arguments)
    numbers = tuple(each.offset_bytes if isinstance(each, Place) else each for each in arguments)
    return Single(UnitCall(function, unit, bases, job), numbers)
