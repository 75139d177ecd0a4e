"""What `htvm run --json` writes: one object that says what a run computed and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from htvm.execution.record import RunRecord, StepRecord, energy_uj, unit_energy_uj
from htvm.runtime.simulator import EngineTotals, RouteTotals


@dataclass(frozen=True)
class HostMetrics:
    """What the host did. stall_cycles: it waited for the queue of a unit; wait_cycles: for a unit's result."""

    instructions: int
    cycles: int
    stall_cycles: int
    wait_cycles: int


@dataclass(frozen=True)
class MemoryMetrics:
    """peak_bytes: of code, constants, the stack's reserve and buffers; planned_peak_bytes: of buffers alone."""

    peak_bytes: int
    planned_peak_bytes: int
    capacity_bytes: int


@dataclass(frozen=True)
class LayerMetrics:
    """What a step took.

    busy_cycles: of its engine, None on the host. bound_cycles: what no tiling of the layer beats, the larger of its
    engine's time and its transfers'. share_of_bound: that over what the layer took: `cycles`, which are the host's, or
    the time from its first job's beginning to its last one's end, if jobs outlast the step. At most 1: weights that
    came under the layer before it took no time of this one. transferred_bytes: that it had copied, for itself and for
    later layers; None on a target without transfers. energy_uj: of the units whose power is known, None if none of them
    worked for it. skips: if not None, inputs of that value are not multiplied, so the time depends on the data.
    inserted: what it is for, of one that no node of the ONNX file asks for.
    kernel: what computes it, if that is a kernel from outside.
    """

    name: str
    op: str
    engine: str
    cycles: int
    predicted_cycles: int | None
    instructions: int
    macs: int
    busy_cycles: int | None
    bound_cycles: int | None
    share_of_bound: float | None
    transferred_bytes: int | None
    energy_uj: float | None
    skips: int | None
    inserted: str | None
    kernel: str | None = None


@dataclass(frozen=True)
class StartUpMetrics:
    """What precedes the first layer; with the layers it makes the totals of cycles, transferred bytes and energy."""

    cycles: int
    transferred_bytes: int
    energy_uj: float | None


@dataclass(frozen=True)
class Metrics:
    """The metrics of a run; counts and cycles are those of one sample, the first.

    ram_bytes: variables and the arena of activations, scratch included. stack_bytes: what was used of the stack;
    worst_stack_bytes: what other inputs could use of it at most, None if the code does not tell.
    memories: what the program takes of each, by name. engines: macs are those of the jobs as launched. transfers: 1-D
    copies, by route. energy_uj: of the units in energy_units only, None if no source says what those draw that worked.
    outputs: SHA-256 of each.
    """

    model: str
    target: str
    samples: int
    cycles: int
    clock_hz: int
    latency_ms: float
    host: HostMetrics
    engines: Mapping[str, EngineTotals]
    transfers: Mapping[str, RouteTotals]
    memories: Mapping[str, MemoryMetrics]
    code_bytes: int
    rodata_bytes: int
    ram_bytes: int
    activation_bytes: int
    stack_bytes: int
    worst_stack_bytes: int | None
    energy_uj: float | None
    energy_units: tuple[str, ...]
    macs: int
    layers: tuple[LayerMetrics, ...]
    start_up: StartUpMetrics
    outputs: Mapping[str, str]
    versions: Mapping[str, str]


def metrics(record: RunRecord) -> Metrics:
    """Return the metrics of a run."""
    report, soc, execution, footprint = record.report, record.soc, record.execution, record.footprint
    sizes = footprint.sizes
    energy = unit_energy_uj(soc, execution)
    return Metrics(
        model=report.model,
        target=soc.name,
        samples=record.samples,
        cycles=execution.cycles,
        clock_hz=soc.clock_hz,
        latency_ms=execution.cycles / soc.clock_hz * 1e3,
        host=HostMetrics(execution.instructions, execution.cycles, execution.stall_cycles, execution.wait_cycles),
        engines=execution.engines,
        transfers=execution.routes,
        memories={
            memory.name: MemoryMetrics(
                peak_bytes=footprint.bytes_in[memory.name],
                planned_peak_bytes=report.planned_bytes(memory.name),
                capacity_bytes=memory.size_bytes,
            )
            for memory in soc.memories
        },
        code_bytes=sizes.code_bytes,
        rodata_bytes=sizes.rodata_bytes,
        ram_bytes=sizes.data_bytes + sizes.bss_bytes - footprint.stack_reserve_bytes,
        activation_bytes=report.planned_bytes(soc.arena_memory),
        stack_bytes=execution.stack_bytes,
        worst_stack_bytes=footprint.worst_stack_bytes,
        energy_uj=sum(energy.values()) if energy else None,
        energy_units=tuple(energy),
        macs=sum(step.macs for step in report.steps),
        layers=tuple(layer_metrics(step, has_routes=bool(execution.routes)) for step in record.steps),
        start_up=StartUpMetrics(
            cycles=execution.start_up.cycles,
            transferred_bytes=sum(each.size_bytes for each in record.start_up),
            energy_uj=energy_uj(soc, execution.start_up, record.start_up),
        ),
        outputs=record.output_digests,
        versions=record.versions,
    )


def layer_metrics(step: StepRecord, has_routes: bool) -> LayerMetrics:
    """Return the metrics of a step."""
    plan, profile = step.plan, step.profile
    return LayerMetrics(
        name=plan.name,
        op=plan.op,
        engine=plan.engine,
        cycles=profile.cycles,
        predicted_cycles=plan.predicted_cycles,
        instructions=profile.instructions,
        macs=plan.macs,
        busy_cycles=step.busy_cycles,
        bound_cycles=plan.bound_cycles,
        share_of_bound=step.share_of_bound,
        transferred_bytes=step.copied_bytes if has_routes else None,
        energy_uj=step.energy_uj,
        skips=plan.skips,
        kernel=plan.kernel,
        inserted=plan.inserted,
    )
