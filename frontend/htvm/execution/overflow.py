"""A program that is too large for its memories: what is in them, largest first, and what would help."""

from __future__ import annotations

import re
from collections.abc import Sequence

from htvm.backend.c.constants import far_section
from htvm.backend.c.emit import LISTED
from htvm.backend.targets.shortage import Shortage
from htvm.backend.targets.soc import HOST, STACK_BYTES, Soc
from htvm.project import Project
from htvm.runtime.simulator.toolchain import BuildError, MemoryFull


class ProgramTooLarge(BuildError):
    """A program that does not fit its memories. shortages: what each needs, all counted."""

    def __init__(self, message: str, shortages: Sequence[Shortage]) -> None:
        super().__init__(message)
        self.shortages = tuple(shortages)


def too_large(full: MemoryFull, project: Project, soc: Soc) -> ProgramTooLarge:
    """Say for each memory that the linker has found too small what it needs and has, and what fills it."""
    shortages = [Shortage(name, soc.memory(name).size_bytes + excess) for name, excess in full.excess.items()]
    return ProgramTooLarge("\n".join(memory_full(each, full, project, soc) for each in shortages), shortages)


def memory_full(shortage: Shortage, full: MemoryFull, project: Project, soc: Soc) -> str:
    """Say that one memory is too small."""
    memory = shortage.memory
    parts = [(part.size_bytes, named(part.name, project)) for part in full.parts if placed(part.section, soc) == memory]
    if memory == soc.program_memory:
        parts.append((STACK_BYTES, "stack"))
    largest = sorted(parts, key=lambda part: -part[0])
    lines = [f"  {size:>9,} bytes: {name}" for size, name in largest[:LISTED]]
    if rest := largest[LISTED:]:
        lines.append(
            f"  {sum(size for size, _ in rest):>9,} bytes: {len(rest)} more functions, constants and variables"
        )
    return "\n".join(
        [
            f"{project.report.model}: does not fit target '{soc.name}': {memory} needs {shortage.needed_bytes:,} bytes "
            f"for {contents(memory, soc)}, has {soc.memory(memory).size_bytes:,}",
            *lines,
            f"  {advice(shortage, project, soc)}",
        ]
    )


def placed(section: str, soc: Soc) -> str:
    """Return the memory that a section goes to, as link.ld has it."""
    constants = soc.constants_in
    if section.startswith(far := far_section("")):
        return section.removeprefix(far)
    return {".rodata": constants, ".srodata": constants, ".arena": soc.arena_memory}.get(section, soc.program_memory)


def contents(memory: str, soc: Soc) -> str:
    """Return what a target keeps in a memory."""
    kinds = [
        ("code, variables and stack", soc.program_memory),
        ("constants", soc.constants_in),
        ("activations", soc.arena_memory),
    ]
    return " and ".join(what for what, where in kinds if where == memory)


def named(symbol: str, project: Project) -> str:
    """Return what a symbol is to the user: of a step, its node as well."""
    if number := re.fullmatch(r"htvm_step_(\d+)", symbol):
        step = project.steps[int(number[1])]
        return f"{symbol}, node '{step.name}' on {step.engine}"
    return symbol


def advice(shortage: Shortage, project: Project, soc: Soc) -> str:
    """Return what would help: a larger memory, unless another one is behind it, and less in it."""
    if shortage.memory != soc.program_memory:
        less = "fewer weights"
    elif any(step.engine != HOST for step in project.steps):
        less = "fewer tiles (another --objective, or more of the engines' memory)"
    else:
        less = "fewer kinds of layers"
    larger = f"a larger {shortage.memory} or " if shortage.can_end(soc) else ""
    return f"{larger}{less} would help"
