"""A run as one typed record: of each step its plan, what the simulator measured, and the ONNX tensor that it is.

The plan is report.json's (htvm.backend.c.record), the rest is joined to it here, once. Tables, metrics, trace and page
are made from the record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from htvm.backend.c.record import Report, Source, StepPlan
from htvm.backend.targets.soc import HOST, Soc
from htvm.runtime.simulator import Execution, Interval, StepProfile
from htvm.runtime.simulator.toolchain import Sizes


@dataclass(frozen=True)
class Footprint:
    """What a built program takes of its target. bytes_in: of each memory, by name.

    stack_reserve_bytes: of the stack, whatever the program uses of it. worst_stack_bytes: what it uses at most,
    None if its code does not tell.
    """

    sizes: Sizes
    bytes_in: Mapping[str, int]
    stack_reserve_bytes: int
    worst_stack_bytes: int | None


@dataclass(frozen=True)
class StepRecord:
    """A step of a run. activity: the copies and jobs that it gave to units beside the host.

    read_bytes, written_bytes: of the feature maps that it reads and computes. energy_uj: of the units whose power is
    known, None if none of them worked for it.
    """

    number: int
    plan: StepPlan
    profile: StepProfile
    activity: tuple[Interval, ...]
    read_bytes: int
    written_bytes: int
    energy_uj: float | None

    @property
    def jobs(self) -> list[Interval]:
        """The jobs of the step's own engine, if that is an accelerator."""
        return [each for each in self.activity if each.unit == self.plan.engine and each.route is None]

    @property
    def busy_cycles(self) -> int | None:
        """The cycles that the engine worked; None on the host."""
        return sum(each.cycles for each in self.jobs) if self.jobs else None

    @property
    def taken_cycles(self) -> int:
        """The host's cycles, or the time from the first job's beginning to the last one's end if that is longer."""
        jobs = self.jobs
        span = max(each.end_cycle for each in jobs) - min(each.start_cycle for each in jobs) if jobs else 0
        return max(span, self.profile.cycles)

    @property
    def share_of_bound(self) -> float | None:
        """The bound over the cycles that were taken, at most 1: earlier copies of weights took no time of this step."""
        bound = self.plan.bound_cycles
        return min(bound / self.taken_cycles, 1.0) if bound else None

    @property
    def copied_bytes(self) -> int:
        """The bytes that the step had copied, for itself and for later ones."""
        return sum(each.size_bytes for each in self.activity)


@dataclass(frozen=True)
class RunRecord:
    """A run. execution: counts of the first sample's run. output_digests: SHA-256 of each output, by name.

    versions: of what the run depends on.
    """

    report: Report
    soc: Soc
    execution: Execution
    footprint: Footprint
    samples: int
    output_digests: Mapping[str, str]
    versions: Mapping[str, str]

    @cached_property
    def steps(self) -> tuple[StepRecord, ...]:
        """The steps, in the order of execution."""
        written = [written_bytes(self.report, step) for step in self.report.steps]
        sizes: dict[Source, int] = {port.name: port.bytes for port in self.report.inputs} | dict(enumerate(written))
        return tuple(
            StepRecord(
                number=number,
                plan=plan,
                profile=profile,
                activity=(activity := self.activity_of(number)),
                read_bytes=sum(sizes[source] for source in plan.sources),
                written_bytes=written[number],
                energy_uj=energy_uj(self.soc, profile, activity),
            )
            for number, (plan, profile) in enumerate(zip(self.report.steps, self.execution.steps, strict=True))
        )

    @cached_property
    def start_up(self) -> tuple[Interval, ...]:
        """The copies and jobs that precede the first step."""
        return self.activity_of(-1)

    def activity_of(self, step: int) -> tuple[Interval, ...]:
        """Return the copies and jobs that a step gave; -1 is the start-up."""
        return self._activity.get(step, ())

    @cached_property
    def _activity(self) -> dict[int, tuple[Interval, ...]]:
        given: dict[int, list[Interval]] = {}
        for each in self.execution.timeline:
            given.setdefault(each.step, []).append(each)
        return {step: tuple(intervals) for step, intervals in given.items()}


def written_bytes(report: Report, step: StepPlan) -> int:
    """Return the bytes of what a step computes."""
    return prod(step.shape) * np.dtype(report.buffers[step.writes[0]].dtype).itemsize


def energy_uj(soc: Soc, profile: StepProfile, activity: Sequence[Interval]) -> float | None:
    """Return what the units whose power is known took for a step, in microjoules; None if none of them worked."""
    cycles = Counter({HOST: profile.cycles})
    for each in activity:
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
