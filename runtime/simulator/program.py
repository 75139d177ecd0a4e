"""A program as the simulator sees it: what an ELF file puts where, and what its symbols say."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.constants import P_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from htvm.backend.targets.soc import Memory, Soc
from htvm.runtime.simulator.error import SimulationError

START, DONE = "_start", "htvm_done"
STACK_BOTTOM, STACK_TOP = "htvm_stack_bottom", "htvm_stack_top"
STEP_PREFIX = "htvm_step_"


@dataclass(frozen=True)
class Segment:
    """A range of memory that the program uses: `data` at its start, undefined bytes behind."""

    address: int
    data: bytes
    size_bytes: int
    writable: bool
    executable: bool

    @property
    def end(self) -> int:
        return self.address + self.size_bytes


@dataclass(frozen=True)
class Program:
    """An executable that fits a target. `steps` are the addresses of htvm_step_0, htvm_step_1 and so on.

    segments: of memories that the host addresses. far: constants in others, there before the program starts.
    """

    path: Path
    segments: tuple[Segment, ...]
    far: tuple[Segment, ...]
    symbols: dict[str, int]
    steps: tuple[int, ...]

    def symbol(self, name: str) -> int:
        """Return the address of a symbol; SimulationError if the program has none of that name."""
        if name not in self.symbols:
            raise SimulationError(f"{self.path.name}: has no symbol '{name}'")
        return self.symbols[name]

    def place(self, address: int) -> str:
        """Name the code at `address`: the symbol before it and the distance."""
        if not any(segment.executable and segment.address <= address < segment.end for segment in self.segments):
            return "outside the code"
        return self.nearest(address, lambda segment: segment.executable)

    def data_place(self, address: int) -> str:
        """Name the constant or variable at `address`."""
        return self.nearest(address, lambda segment: segment.address <= address < segment.end)

    def nearest(self, address: int, wanted: Callable[[Segment], bool]) -> str:
        """Name the last symbol up to `address` that is in one of the segments wanted."""
        ranges = [(segment.address, segment.end) for segment in self.segments if wanted(segment)]
        named = sorted(
            (at, name)
            for name, at in self.symbols.items()
            if name != STACK_TOP and any(first <= at < end for first, end in ranges)
        )
        index = bisect_right(named, address, key=lambda one: one[0])
        if not index:
            return "before the first symbol"
        at, name = named[index - 1]
        return f"{name}+{address - at:#x}" if address > at else name


def read_program(path: Path, soc: Soc) -> Program:
    """Read an ELF file for `soc`. Raises SimulationError if it cannot run there."""
    try:
        with path.open("rb") as file:
            elf = ELFFile(file)
            if elf["e_machine"] != "EM_RISCV" or elf.elfclass != 32:
                raise SimulationError(f"{path.name}: is for {elf['e_machine']}, expected 32-bit RISC-V")
            if elf["e_type"] != "ET_EXEC":
                raise SimulationError(f"{path.name}: is {elf['e_type']}, expected a linked executable")
            segments = tuple(read_segments(elf))
            symbols = read_symbols(elf)
    except (OSError, ELFError) as error:
        raise SimulationError(f"{path}: is not an ELF file that can be read: {error}") from error
    check_fit(path, segments, soc)
    missing = [name for name in (START, DONE, STACK_BOTTOM, STACK_TOP) if name not in symbols]
    if missing:
        raise SimulationError(f"{path.name}: has no symbol {', '.join(map(repr, missing))}")
    far = tuple(each for each in segments if is_far(each, soc))
    near = tuple(each for each in segments if each not in far)
    return Program(path, near, far, symbols, read_steps(path, symbols))


def is_far(segment: Segment, soc: Soc) -> bool:
    """Say whether constants are in a far memory."""
    return not segment.writable and memory_at(soc, segment.address) in soc.far_memories


def read_segments(elf: ELFFile) -> Iterator[Segment]:
    """Yield what the program headers load, by address."""
    for header in sorted(elf.iter_segments(type="PT_LOAD"), key=lambda one: one["p_vaddr"]):
        if header["p_memsz"]:
            flags = header["p_flags"]
            yield Segment(
                address=header["p_vaddr"],
                data=header.data(),
                size_bytes=header["p_memsz"],
                writable=bool(flags & P_FLAGS.PF_W),
                executable=bool(flags & P_FLAGS.PF_X),
            )


def read_symbols(elf: ELFFile) -> dict[str, int]:
    """Return the addresses of the program's symbols, without the compiler's marks."""
    found: dict[str, int] = {}
    for table in elf.iter_sections():
        if isinstance(table, SymbolTableSection):
            for symbol in table.iter_symbols():
                of_program = symbol["st_info"]["type"] not in ("STT_FILE", "STT_SECTION")
                if of_program and symbol.name[:1] not in ("", "$", ".") and symbol["st_shndx"] != "SHN_UNDEF":
                    found[symbol.name] = symbol["st_value"]
    return found


def read_steps(path: Path, symbols: dict[str, int]) -> tuple[int, ...]:
    """Return the addresses of the step functions. Raises SimulationError if a number is missing."""
    numbers = sorted(
        int(name.removeprefix(STEP_PREFIX))
        for name in symbols
        if name.startswith(STEP_PREFIX) and name.removeprefix(STEP_PREFIX).isdigit()
    )
    if numbers != list(range(len(numbers))):
        missing = next(number for number in range(len(numbers)) if number not in numbers)
        raise SimulationError(f"{path.name}: has {STEP_PREFIX}{numbers[-1]}, but no {STEP_PREFIX}{missing}")
    return tuple(symbols[f"{STEP_PREFIX}{number}"] for number in numbers)


def check_fit(path: Path, segments: tuple[Segment, ...], soc: Soc) -> None:
    """Raise SimulationError, with all of the problems, unless each segment is inside a memory of `soc`."""
    problems: list[str] = []
    for segment in segments:
        memory = memory_at(soc, segment.address)
        if memory is None:
            known = ", ".join(f"{one.name} {one.base:#x}..{one.end:#x}" for one in soc.memories)
            problems.append(
                f"loads {segment.size_bytes:,} bytes at {segment.address:#x}, outside the memories ({known})"
            )
        elif not memory.host_visible and not is_far(segment, soc):
            problems.append(f"loads {segment.size_bytes:,} bytes into '{memory.name}', which the host does not reach")
        elif segment.end > memory.end:
            problems.append(
                f"needs {segment.end - memory.base:,} bytes of memory '{memory.name}', which has {memory.size_bytes:,}"
            )
    if problems:
        raise SimulationError("\n".join(f"{path.name}: does not fit target '{soc.name}': {one}" for one in problems))


def memory_at(soc: Soc, address: int) -> Memory | None:
    """Return the memory that holds `address`."""
    return next((one for one in soc.memories if one.base <= address < one.end), None)
