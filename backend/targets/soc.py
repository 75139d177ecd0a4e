"""The words a target is described with. A target is one file that builds one `Soc`."""

from dataclasses import dataclass
from typing import Protocol

from mlir import ir


class Engine(Protocol):
    """Something that runs accel ops: the host or an accelerator."""

    @property
    def name(self) -> str: ...

    def refuses(self, op: ir.Operation) -> str | None:
        """Say why this engine does not run `op`; None if it does."""


@dataclass(frozen=True)
class Memory:
    """A memory that software manages, as the host addresses it."""

    name: str
    base: int
    size_bytes: int

    @property
    def end(self) -> int:
        """The address behind the last byte."""
        return self.base + self.size_bytes


@dataclass(frozen=True)
class Host:
    """The RISC-V core that runs the generated C. `march` and `mabi` are what a C compiler is told."""

    march: str
    mabi: str


@dataclass(frozen=True)
class Soc:
    """A target: what passes, backend and simulator know of a machine.

    engines: in order of preference; the first that accepts an op runs it.
    program_memory: where code, constants, variables and stack are. arena_memory: where activations are.
    """

    name: str
    description: str
    clock_hz: int
    host: Host
    memories: tuple[Memory, ...]
    program_memory: str
    arena_memory: str
    engines: tuple[Engine, ...]

    def memory(self, name: str) -> Memory:
        """Return the memory of that name; KeyError names those there are."""
        for memory in self.memories:
            if memory.name == name:
                return memory
        known = ", ".join(memory.name for memory in self.memories)
        raise KeyError(f"target '{self.name}' has no memory '{name}'; it has {known}")
