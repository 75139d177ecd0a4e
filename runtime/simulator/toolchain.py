"""From C to an executable for the host: the clang of the `ziglang` package, or any RISC-V gcc or clang.

The code is freestanding: no C library, and no compiler library either, so that nothing is linked but what was
written or generated. A 64-bit division, for one, is then an undefined symbol, and an error that names it.
"""

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from htvm.backend.targets.soc import Host
from htvm.runtime.interrupts import run_child, scratch_folder

# `zig clang` is the driver inside, which takes options as given (`zig cc` makes -O2 of every level above).
ZIG = (sys.executable, "-m", "ziglang")
WARNINGS = ("-Wall", "-Wextra", "-Wconversion")


class BuildError(Exception):
    """The compiler or the linker has refused. The message is what it said."""


@dataclass(frozen=True)
class Part:
    """A function, constant or variable: the section that it is in, and its size.

    section: `.text`, `.rodata` and so on; `.far.NAME` for a constant in that far memory.
    """

    name: str
    section: str
    size_bytes: int


class MemoryFull(BuildError):
    """The linker has refused because memories are too small. excess: by how many bytes each; parts: of the program."""

    def __init__(self, message: str, excess: Mapping[str, int], parts: Sequence[Part]) -> None:
        super().__init__(message)
        self.excess, self.parts = excess, parts


@dataclass(frozen=True)
class Toolchain:
    """The commands that compile one file and that link."""

    compile_command: tuple[str, ...]
    link_command: tuple[str, ...]

    def build(
        self,
        sources: Sequence[Path],
        script: Path,
        elf: Path,
        options: Sequence[str] = ("-O3",),
        own_options: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> str:
        """Compile C and assembly and link them as `script` says; return the warnings.

        own_options: more options for some sources, by the name of the file.

        Raises BuildError, MemoryFull if that is why.
        """
        warnings = ""
        with scratch_folder() as folder:
            run = partial(run_tool, scratch=folder)
            objects = [Path(folder, f"{number}.o") for number in range(len(sources))]
            for source, object_file in zip(sources, objects, strict=True):
                more = own_options.get(source.name, ())
                command = [*self.compile_command, *options, *more, "-c", str(source), "-o", str(object_file)]
                warnings += run(command, f"cannot compile {source}")
            command = [*self.link_command, *map(str, objects), "-T", str(script), "-o", str(elf)]
            try:
                warnings += run(command, f"cannot link {elf}")
            except BuildError as error:
                if excess := overflows(str(error)):
                    parts = [part for each in objects for part in parts_of(each)]
                    raise MemoryFull(str(error), excess, parts) from None
                raise
        return warnings


def toolchain(host: Host, cc: str | None = None) -> Toolchain:
    """Return the tools for `host`: those of `ziglang`, or the compiler that the command `cc` runs."""
    machine = (f"-march={host.march}", f"-mabi={host.mabi}")
    if cc is None:
        found = find_spec("ziglang")
        assert found is not None and found.origin is not None, "installed with htvm"
        headers = Path(found.origin).parent / "lib" / "include"  # stdint.h and the like
        driver = (*ZIG, "clang", "--target=riscv32-freestanding", "-isystem", str(headers))
        link = (*ZIG, "ld.lld", "-m", "elf32lriscv")
    else:
        driver = tuple(shlex.split(cc))
        link = (*driver, *machine, "-nostdlib", "-nostartfiles")
    return Toolchain((*driver, *machine, "-std=c99", "-ffreestanding", *WARNINGS), link)


def run_tool(command: Sequence[str], problem: str, scratch: Path) -> str:
    """Run a tool, whose temporary files go to `scratch`; return what it wrote to its error stream.

    Raises BuildError if it fails.
    """
    try:
        done = run_child(command, {"TMPDIR": str(scratch)})
    except OSError as error:
        raise BuildError(f"{problem}: cannot run '{command[0]}': {error.strerror}") from error
    if done.returncode:
        missing = sorted(set(re.findall(r"undefined (?:symbol: |reference to `)(\w+)", done.stderr)))
        reason = f": nothing defines {', '.join(missing)}" if missing else ""
        raise BuildError(f"{problem}{reason}\n{shlex.join(command)}\n{done.stderr}")
    return done.stderr


def overflows(text: str) -> dict[str, int]:
    """Return by how many bytes each memory is too small, as lld or GNU ld says it; a line for each section."""
    found: dict[str, int] = {}
    for memory, size in re.findall(r"region [`'](\w+)':? overflowed by (\d+) bytes", text):
        found[memory] = max(found.get(memory, 0), int(size))
    return found


def parts_of(object_file: Path) -> list[Part]:
    """Return the functions, constants and variables of an object."""
    found: list[Part] = []
    with object_file.open("rb") as file:
        elf = ELFFile(file)
        for table in elf.iter_sections(type="SHT_SYMTAB"):
            assert isinstance(table, SymbolTableSection), "said by its type"
            for symbol in table.iter_symbols():
                if symbol["st_size"] and isinstance(symbol["st_shndx"], int):
                    kind, *more = elf.get_section(symbol["st_shndx"]).name.split(".")[1:]
                    section = f".far.{more[0]}" if kind == "far" else f".{kind}"
                    found.append(Part(symbol.name, section, symbol["st_size"]))
    return found


@dataclass(frozen=True)
class Sizes:
    """Bytes of a linked program. `bss_bytes` is all that the file does not fill: arena and stack too."""

    code_bytes: int
    rodata_bytes: int
    data_bytes: int
    bss_bytes: int


def sizes(elf: Path) -> Sizes:
    """Measure an executable by its sections."""
    found = dict.fromkeys(("code_bytes", "rodata_bytes", "data_bytes", "bss_bytes"), 0)
    with elf.open("rb") as file:
        for section in ELFFile(file).iter_sections():
            flags = section["sh_flags"]
            if flags & SH_FLAGS.SHF_ALLOC:
                if section["sh_type"] == "SHT_NOBITS":
                    kind = "bss_bytes"
                elif flags & SH_FLAGS.SHF_EXECINSTR:
                    kind = "code_bytes"
                else:
                    kind = "data_bytes" if flags & SH_FLAGS.SHF_WRITE else "rodata_bytes"
                found[kind] += section["sh_size"]
    return Sizes(**found)
