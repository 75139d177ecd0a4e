"""What `htvm run --json` writes: one object that says what a run computed and what it cost."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from htvm.runtime.simulator import Execution
from htvm.versions import versions

if TYPE_CHECKING:
    from htvm.execution import Program


def metrics(program: Program, execution: Execution, outputs: dict[str, np.ndarray], samples: int) -> dict[str, Any]:
    """Return the metrics of a run; counts and cycles are those of one sample, the first.

    ram_bytes: variables and the arena of activations, scratch included. stack_bytes: what was used of the stack.
    memories: what the program takes of each, with code, constants and the stack's reserve. energy_uj is None where
    the target has no sourced energy figures.
    """
    project, soc, sizes = program.project, program.soc, program.sizes
    clock_hz, host = soc.clock_hz, {"instructions": execution.instructions, "cycles": execution.cycles}
    arena_bytes = project.report["memories"][soc.arena_memory]["peak_bytes"]
    stack_reserve_bytes = program.host.stack_top - program.host.stack_bottom
    return {
        "model": project.report["model"],
        "target": soc.name,
        "samples": samples,
        "cycles": execution.cycles,
        "clock_hz": clock_hz,
        "latency_ms": execution.cycles / clock_hz * 1e3,
        "host": host,
        "engines": {},
        "transfers": {},
        "memories": {
            memory.name: {"peak_bytes": program.bytes_in(memory), "capacity_bytes": memory.size_bytes}
            for memory in soc.memories
        },
        "code_bytes": sizes.code_bytes,
        "rodata_bytes": sizes.rodata_bytes,
        "ram_bytes": sizes.data_bytes + sizes.bss_bytes - stack_reserve_bytes,
        "activation_bytes": arena_bytes,
        "stack_bytes": execution.stack_bytes,
        "energy_uj": None,
        "macs": sum(step.macs for step in project.steps),
        "layers": [
            {
                "name": step.name,
                "op": step.op,
                "engine": step.engine,
                "cycles": profile.cycles,
                "predicted_cycles": None,
                "instructions": profile.instructions,
                "macs": step.macs,
            }
            for step, profile in zip(project.steps, execution.steps, strict=True)
        ],
        "outputs": {name: hashlib.sha256(np.ascontiguousarray(value)).hexdigest() for name, value in outputs.items()},
        "versions": versions(program.cc),
    }
