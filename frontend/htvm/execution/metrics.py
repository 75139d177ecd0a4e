"""What `htvm run --json` writes: one object that says what a run computed and what it cost."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from htvm.backend.targets.soc import HOST, Soc
from htvm.runtime.simulator import Execution, Interval, StepProfile
from htvm.versions import versions

if TYPE_CHECKING:
    from htvm.execution.program import Program


def metrics(program: Program, execution: Execution, outputs: dict[str, np.ndarray], samples: int) -> dict[str, Any]:
    """Return the metrics of a run; counts and cycles are those of one sample, the first.

    ram_bytes: variables and the arena of activations, scratch included. stack_bytes: what was used of the stack.
    memories: what the program takes of each, with code, constants and the stack's reserve, and of that what the memory
    plan of report.json has: the peak of buffers that live at the same time. engines: macs are those of the jobs as
    launched. transfers: 1-D copies, by route. energy_uj: of the units in energy_units only, None if no source says what
    those draw that worked. start_up: what precedes the first layer; with the layers it makes the totals of cycles, of
    transferred bytes, and of energy.
    layers: one whose `skips` is not None does not multiply inputs of that value, so its time depends on the data.
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
    planned = project.report["memories"]
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
            memory.name: {
                "peak_bytes": program.bytes_in(memory),
                "planned_peak_bytes": planned[memory.name]["planned_peak_bytes"] if memory.name in planned else 0,
                "capacity_bytes": memory.size_bytes,
            }
            for memory in soc.memories
        },
        "code_bytes": sizes.code_bytes,
        "rodata_bytes": sizes.rodata_bytes,
        "ram_bytes": sizes.data_bytes + sizes.bss_bytes - stack_reserve_bytes,
        "activation_bytes": planned[soc.arena_memory]["planned_peak_bytes"],
        "stack_bytes": execution.stack_bytes,
        "energy_uj": sum(energy_uj.values()) if energy_uj else None,
        "energy_units": list(energy_uj),
        "macs": sum(step.macs for step in project.steps),
        "layers": layers(program, execution),
        "start_up": {
            "cycles": execution.start_up.cycles,
            "transferred_bytes": sum(each.size_bytes for each in execution.timeline if each.step < 0),
            "energy_uj": step_energy_uj(soc, execution.start_up, given_by(execution, -1)),
        },
        "outputs": {name: hashlib.sha256(np.ascontiguousarray(value)).hexdigest() for name, value in outputs.items()},
        "versions": versions(program.cc),
    }


def layers(program: Program, execution: Execution) -> list[dict[str, Any]]:
    """Return what each step took.

    busy_cycles: of its engine, None on the host. bound_cycles: what no tiling of the layer beats, the larger of its
    engine's time and its transfers'. share_of_bound: that over what the layer took: `cycles`, which are the host's, or
    the time from its first job's beginning to its last one's end, if jobs outlast the step. At most 1: weights that
    came under the layer before it took no time of this one. transferred_bytes: that it had copied, for itself and for
    later layers; None on a target without transfers. energy_uj: of the units whose power is known, None if none of them
    worked for it. inserted: what it is for, of one that no node of the ONNX file asks for.
    """
    found = []
    steps = zip(program.project.steps, program.project.report["steps"], execution.steps, strict=True)
    for number, (step, facts, profile) in enumerate(steps):
        own = given_by(execution, number)
        jobs = [each for each in own if each.unit == step.engine and each.route is None]
        bound = facts.get("bound_cycles")
        span = max(each.end_cycle for each in jobs) - min(each.start_cycle for each in jobs) if jobs else 0
        taken = max(span, profile.cycles)
        found.append(
            {
                "name": step.name,
                "op": step.op,
                "engine": step.engine,
                "cycles": profile.cycles,
                "predicted_cycles": facts.get("predicted_cycles"),
                "instructions": profile.instructions,
                "macs": step.macs,
                "busy_cycles": sum(each.cycles for each in jobs) if jobs else None,
                "bound_cycles": bound,
                "share_of_bound": min(bound / taken, 1.0) if bound else None,
                "transferred_bytes": sum(each.size_bytes for each in own) if execution.routes else None,
                "energy_uj": step_energy_uj(program.soc, profile, own),
                "skips": facts.get("skips"),
                "inserted": facts.get("inserted"),
            }
        )
    return found


def given_by(execution: Execution, step: int) -> list[Interval]:
    """Return the copies and jobs that a step gave; -1 is the start-up."""
    return [each for each in execution.timeline if each.step == step]


def step_energy_uj(soc: Soc, profile: StepProfile, own: Sequence[Interval]) -> float | None:
    """Return what the units whose power is known took for a step, in microjoules; None if none of them worked."""
    cycles = Counter({HOST: profile.cycles})
    for each in own:
        cycles[each.unit] += each.cycles
    watts = soc.power_w or {}
    known = [count * watts[unit] for unit, count in cycles.items() if unit in watts]
    return sum(known) / soc.clock_hz * 1e6 if known else None


def unit_energy_uj(soc: Soc, execution: Execution) -> dict[str, float]:
    """Return what each unit that worked and whose power is known took, in microjoules; the host works all the time."""
    busy_cycles = {HOST: execution.cycles} | {name: one.busy_cycles for name, one in execution.engines.items()}
    watts = soc.power_w or {}
    return {
        unit: cycles / soc.clock_hz * watts[unit] * 1e6
        for unit, cycles in busy_cycles.items()
        if unit in watts and cycles
    }
