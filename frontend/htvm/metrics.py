"""What `htvm run --json` writes: one object that says what a run computed and what it cost."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from htvm.backend.targets.soc import HOST, Soc
from htvm.runtime.simulator import Execution
from htvm.versions import versions

if TYPE_CHECKING:
    from htvm.execution import Program


def metrics(program: Program, execution: Execution, outputs: dict[str, np.ndarray], samples: int) -> dict[str, Any]:
    """Return the metrics of a run; counts and cycles are those of one sample, the first.

    ram_bytes: variables and the arena of activations, scratch included. stack_bytes: what was used of the stack.
    memories: what the program takes of each, with code, constants and the stack's reserve. engines: macs are those of
    the jobs as launched. transfers: 1-D copies, by route. energy_uj: of the units in energy_units only, None if the
    target has no sourced figure for any.
    """
    project, soc, sizes = program.project, program.soc, program.sizes
    clock_hz = soc.clock_hz
    host = {
        "instructions": execution.instructions,
        "cycles": execution.cycles,
        "stall_cycles": execution.stall_cycles,
        "wait_cycles": execution.wait_cycles,
    }
    energy_uj = unit_energy_uj(soc, execution)
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
        "engines": {name: asdict(totals) for name, totals in execution.engines.items()},
        "transfers": {name: asdict(totals) for name, totals in execution.routes.items()},
        "memories": {
            memory.name: {"peak_bytes": program.bytes_in(memory), "capacity_bytes": memory.size_bytes}
            for memory in soc.memories
        },
        "code_bytes": sizes.code_bytes,
        "rodata_bytes": sizes.rodata_bytes,
        "ram_bytes": sizes.data_bytes + sizes.bss_bytes - stack_reserve_bytes,
        "activation_bytes": arena_bytes,
        "stack_bytes": execution.stack_bytes,
        "energy_uj": sum(energy_uj.values()) if energy_uj else None,
        "energy_units": list(energy_uj),
        "macs": sum(step.macs for step in project.steps),
        "layers": [
            {
                "name": step.name,
                "op": step.op,
                "engine": step.engine,
                "cycles": profile.cycles,
                "predicted_cycles": facts.get("predicted_cycles"),
                "instructions": profile.instructions,
                "macs": step.macs,
            }
            for step, facts, profile in zip(project.steps, project.report["steps"], execution.steps, strict=True)
        ],
        "outputs": {name: hashlib.sha256(np.ascontiguousarray(value)).hexdigest() for name, value in outputs.items()},
        "versions": versions(program.cc),
    }


def unit_energy_uj(soc: Soc, execution: Execution) -> dict[str, float]:
    """Return what each unit whose power is known took while it worked, in microjoules; the host works all the time."""
    busy_cycles = {HOST: execution.cycles} | {name: one.busy_cycles for name, one in execution.engines.items()}
    watts = soc.power_w or {}
    return {
        unit: cycles / soc.clock_hz * watts[unit] * 1e6 for unit, cycles in busy_cycles.items() if unit in watts
    }
