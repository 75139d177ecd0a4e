"""What each unit of the target did when: slices of cycles, and the JSON that Perfetto and Chrome's tracing show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from htvm.backend.c.schema import JsonObject, as_json, as_object
from htvm.backend.targets.soc import HOST
from htvm.execution.record import RunRecord, StepRecord
from htvm.runtime.simulator import Interval

START_UP = "start-up"
"""What the program does before its first layer."""


@dataclass(frozen=True)
class StartUpDetails:
    """What there is to say of the host's start-up."""

    instructions: int


@dataclass(frozen=True)
class StepDetails:
    """What there is to say of a step of the host."""

    step: int
    nodes: tuple[str, ...]
    op: str
    engine: str
    summary: str
    macs: int
    instructions: int
    weight_bytes: int
    read_bytes: int
    written_bytes: int


@dataclass(frozen=True)
class UnitDetails:
    """What there is to say of a copy, which has bytes, or a job, which has macs. target: the step that gave it."""

    op: str
    step: int
    target: str = field(metadata={"key": "for"})
    stall_cycles: int = 0
    bytes: int | None = None
    macs: int | None = None


Details: TypeAlias = StartUpDetails | StepDetails | UnitDetails


@dataclass(frozen=True)
class Slice:
    """A unit at work on one thing, from a cycle of the run on."""

    unit: str
    name: str
    start_cycle: int
    cycles: int
    details: Details

    @property
    def end_cycle(self) -> int:
        return self.start_cycle + self.cycles

    @property
    def step(self) -> int | None:
        """The step that it is for, -1 for what the start-up gave to a unit; None for the host's start-up."""
        return None if isinstance(self.details, StartUpDetails) else self.details.step

    @property
    def op(self) -> str:
        return START_UP if isinstance(self.details, StartUpDetails) else self.details.op


def slices(record: RunRecord) -> list[Slice]:
    """Return what the units did in the first sample's run: the host's slices, without gaps, then the others'."""
    start_up = record.execution.start_up
    found = [Slice(HOST, START_UP, 0, start_up.cycles, StartUpDetails(start_up.instructions))]
    for step in record.steps:
        found.append(Slice(HOST, step.plan.name, found[-1].end_cycle, step.profile.cycles, step_details(step)))
    names = [START_UP, *(step.name for step in record.report.steps)]
    return found + [unit_slice(interval, names[interval.step + 1]) for interval in record.execution.timeline]


def step_details(step: StepRecord) -> StepDetails:
    """Return what there is to say of a step."""
    plan, profile = step.plan, step.profile
    return StepDetails(
        step=step.number,
        nodes=plan.nodes,
        op=plan.op,
        engine=plan.engine,
        summary=plan.summary,
        macs=plan.macs,
        instructions=profile.instructions,
        weight_bytes=plan.weight_bytes,
        read_bytes=step.read_bytes,
        written_bytes=step.written_bytes,
    )


def unit_slice(interval: Interval, step_name: str) -> Slice:
    """Return the slice of a copy or a job, named after its route or after the step that gave it."""
    details = UnitDetails(
        op=interval.kind,
        step=interval.step,
        target=step_name,
        stall_cycles=interval.stall_cycles,
        bytes=interval.size_bytes if interval.route else None,
        macs=None if interval.route else interval.macs,
    )
    return Slice(interval.unit, interval.route or step_name, interval.start_cycle, interval.cycles, details)


def trace(record: RunRecord) -> JsonObject:
    """Return a run in the Trace Event format: a process for the target, a thread for each of its units.

    Times are microseconds of the target's clock; `cycles` and `start_cycle` in the arguments are exact.
    """
    report, soc, cycles = record.report, record.soc, record.execution.cycles
    found = slices(record)
    threads = list(dict.fromkeys(each.unit for each in found))
    named = [event("process_name", 0, f"{report.model} on {soc.name}")]
    named += [event("thread_name", number, unit) for number, unit in enumerate(threads)]
    return {
        "traceEvents": [*named, *(complete(each, threads, soc.clock_hz / 1e6) for each in found)],
        "displayTimeUnit": "ns",
        "otherData": {
            "model": report.model,
            "target": soc.name,
            "clock_hz": soc.clock_hz,
            "cycles": cycles,
            "latency_ms": cycles / soc.clock_hz * 1e3,
            "versions": as_json(record.versions),
        },
    }


def event(what: str, thread: int, name: str) -> JsonObject:
    """Return the event that names the process or a thread."""
    return {"ph": "M", "name": what, "pid": 0, "tid": thread, "args": {"name": name}}


def complete(each: Slice, threads: Sequence[str], cycles_per_us: float) -> JsonObject:
    """Return the event of a slice."""
    return {
        "ph": "X",
        "name": each.name,
        "cat": each.op,
        "pid": 0,
        "tid": threads.index(each.unit),
        "ts": each.start_cycle / cycles_per_us,
        "dur": each.cycles / cycles_per_us,
        "args": {"start_cycle": each.start_cycle, "cycles": each.cycles, **as_object(each.details)},
    }
