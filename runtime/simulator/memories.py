"""The memories as transfer engines and accelerators see them: by region, with what is in them."""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass

from unicorn import UC_PROT_READ, UC_PROT_WRITE, Uc

from htvm.backend.targets.soc import Memory, Soc, is_driven, operands
from htvm.runtime.simulator.error import SimulationError
from htvm.runtime.simulator.program import Program, memory_at

UNDEFINED = 0xA5
"""What is in memory before anything was written to it."""

PAGE_BYTES = 4096
"""What Unicorn maps and protects at once."""


@dataclass(frozen=True)
class Region:
    """Bytes of a memory: the offsets `first` up to, not including, `end`."""

    memory: Memory
    first: int
    end: int

    @property
    def address(self) -> int:
        return self.memory.base + self.first

    @property
    def size_bytes(self) -> int:
        return self.end - self.first

    def overlaps(self, other: "Region") -> bool:
        return self.memory.name == other.memory.name and self.first < other.end and other.first < self.end

    def __str__(self) -> str:
        return f"{self.memory.name}[{self.first}:{self.end}]"


class Private:
    """The content of a memory that the host does not reach, and which bytes anybody has written in this run.

    content: where it lies, if a driver reaches it; what was there is lost.
    """

    def __init__(self, size_bytes: int, content: bytearray | None = None) -> None:
        self.content = bytearray(size_bytes) if content is None else content
        self.content[:] = bytes([UNDEFINED]) * len(self.content)
        self.written = bytearray(size_bytes)


class Memories:
    """Reads and writes regions of all memories of a target."""

    def __init__(self, soc: Soc, machine: Uc, program: Program, planned: Mapping[str, int]) -> None:
        """planned: the bytes, from offset 0, that the program may use of memories that the host does not reach."""
        self.soc, self.machine, self.program, self.planned = soc, machine, program, planned
        self.private: dict[str, Private] = {}
        self.of_drivers = {name: self.mapped(soc.memory(name)) for name in drivers_memories(soc)}

    def mapped(self, memory: Memory) -> bytearray:
        """Let the machine reach a memory, for a driver that it executes; return the memory's bytes, in whole pages."""
        content = bytearray(-(-memory.size_bytes // PAGE_BYTES) * PAGE_BYTES)
        place = ctypes.addressof(ctypes.c_char.from_buffer(content))
        self.machine.mem_map_ptr(memory.base, len(content), UC_PROT_READ | UC_PROT_WRITE, place)
        return content

    def begin(self) -> None:
        """Start a run: nobody has written anything to the private memories."""
        self.private = {one.name: self.before_a_run(one) for one in self.soc.memories if not one.host_visible}

    def before_a_run(self, memory: Memory) -> Private:
        """Return what is in a memory that the host does not reach: constants, if it is a far one."""
        constants = [each for each in self.program.far if memory.base <= each.address < memory.end]
        last = max((each.end - memory.base for each in constants), default=0)
        size_bytes = max(last, min(self.planned.get(memory.name, memory.size_bytes), memory.size_bytes))
        private = Private(size_bytes, self.of_drivers.get(memory.name))
        for each in constants:
            first = each.address - memory.base
            private.content[first : first + len(each.data)] = each.data
            private.written[first : first + each.size_bytes] = b"\1" * each.size_bytes
        return private

    def region(self, address: int, size_bytes: int, writable: bool = False) -> Region:
        """Return the region at an address. Raises SimulationError unless all of it is the program's."""
        memory = memory_at(self.soc, address)
        if memory is None:
            known = ", ".join(f"{one.name} {one.base:#x}..{one.end:#x}" for one in self.soc.memories)
            raise SimulationError(f"{size_bytes:,} bytes at {address:#x}, which is in no memory ({known})")
        region = Region(memory, address - memory.base, address - memory.base + size_bytes)
        if region.end > memory.size_bytes:
            raise SimulationError(f"{region}, beyond the end of '{memory.name}', which has {memory.size_bytes:,} bytes")
        if memory.host_visible:
            allowed = [one for one in self.program.segments if one.writable or not writable]
            if not any(one.address <= address and address + size_bytes <= one.end for one in allowed):
                kind = "is no variable of the program" if writable else "is not in the program"
                raise SimulationError(f"{region} at {address:#x}, which {kind}")
        elif self.is_constant(region):
            if writable:
                raise SimulationError(f"{region} at {address:#x}, which is no variable of the program")
        elif region.end > self.planned.get(memory.name, memory.size_bytes):
            raise SimulationError(
                f"{region}, of which nobody has planned more than the first {self.planned[memory.name]:,} bytes"
            )
        return region

    def is_constant(self, region: Region) -> bool:
        """Say whether a region is among the constants in a far memory."""
        last = region.address + region.size_bytes
        return any(each.address <= region.address and last <= each.end for each in self.program.far)

    def read(self, region: Region) -> bytes:
        """Return what is in a region."""
        if region.memory.host_visible:
            return bytes(self.machine.mem_read(region.address, region.size_bytes))
        return bytes(self.private[region.memory.name].content[region.first : region.end])

    def write(self, region: Region, data: bytes) -> None:
        """Set a region."""
        if region.memory.host_visible:
            self.machine.mem_write(region.address, data)
        else:
            private = self.private[region.memory.name]
            private.content[region.first : region.end] = data
            private.written[region.first : region.end] = b"\1" * region.size_bytes

    def unwritten(self, region: Region) -> Region | None:
        """Return the first bytes of a region that nobody has written in this run; None if there are none.

        Of memory that the host reaches this is not known.
        """
        if region.memory.host_visible:
            return None
        written = self.private[region.memory.name].written
        first = written.find(0, region.first, region.end)
        if first < 0:
            return None
        end = written.find(1, first, region.end)
        return Region(region.memory, first, region.end if end < 0 else end)


def drivers_memories(soc: Soc) -> list[str]:
    """Return the memories that only units reach, of which a driver, which the host executes, is one."""
    named = [each.memory for engine in soc.accelerators if is_driven(engine) for each in operands(engine).values()]
    return [name for name in dict.fromkeys(named) if not soc.memory(name).host_visible]
