"""How large memories must be for a model, found by trying: with more room other kernels are chosen, and the size of
the code is known when it is linked."""

from __future__ import annotations

from collections.abc import Sequence

from htvm import driver
from htvm.backend.targets.shortage import Shortage
from htvm.backend.targets.soc import Soc
from htvm.diagnostics import CompileError
from htvm.execution.overflow import ProgramTooLarge
from htvm.execution.program import Program
from htvm.options import CompileOptions
from htvm.runtime.simulator import SimulationError
from htvm.runtime.simulator.toolchain import BuildError

LARGEST_BYTES = 128 << 20
"""Of a memory: what needs more is no network for a microcontroller, and trying it would take as much here."""

TRIES = 8
"""Of compiling with more room; each asks for more than the one before, mostly for the last time at the third."""


def sufficient_memory(
    model: driver.Model, soc: Soc, options: CompileOptions, shortages: Sequence[Shortage]
) -> dict[str, int] | None:
    """Return bytes of memories with which a model compiles and links, which it does not with those of `soc`.

    shortages: what was said when it was tried. None if a memory cannot grow as far, or that does not help.
    """
    sizes: dict[str, int] = {}
    for _ in range(TRIES):
        if not shortages or not all(each.needed_bytes <= LARGEST_BYTES and each.can_end(soc) for each in shortages):
            return None
        sizes |= {each.memory: max(each.needed_bytes, sizes.get(each.memory, 0)) for each in shortages}
        larger = options.having(memory={**options.memory, **sizes})
        try:
            compiled = driver.compile(model, soc, options=larger)
            Program(compiled.project, compiled.soc)
        except (CompileError, ProgramTooLarge) as error:
            shortages = error.shortages
        except (BuildError, SimulationError):
            return None
        else:
            return sizes
    return None
