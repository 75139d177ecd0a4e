"""Copies and jobs in flight: what happens at which cycle, and what must not happen meanwhile."""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, product

from htvm.runtime.simulator.error import SimulationError
from htvm.runtime.simulator.memories import UNDEFINED, Memories, Region
from htvm.runtime.simulator.timeline import Interval

ENDS, STARTS = range(2)
"""Of what happens in the same cycle, ends come first."""


@dataclass(eq=False)
class Work:
    """A copy or a job, from being given until it has ended.

    compute: from what was in `reads` as it started to what is in `writes` when it has ended: the first is the result.
    on_end: called then. is_in_order: whether the first of `writes` may lie over the first of `reads`: it is written
    behind what is still to be read. sources: what was in those of `reads` that the host reaches, as far as units wrote
    them.
    """

    interval: Interval
    reads: Sequence[Region]
    writes: Sequence[Region]
    compute: Callable[[Sequence[bytes]], Sequence[bytes]]
    on_end: Callable[[], None]
    is_in_order: bool = False
    sources: dict[int, bytes] = field(default_factory=dict[int, bytes])
    operands: Sequence[bytes] = ()

    def __str__(self) -> str:
        one = self.interval
        what = one.kind if one.route is None else f"{one.kind} {one.route}"
        step = f"step {one.step}" if one.step >= 0 else "start-up"
        return f"'{what}' of {step} ({one.unit}, cycles {one.start_cycle:,} to {one.end_cycle:,})"


class InFlight:
    """All work that has not ended. Bytes move in the order of simulated time, whenever the host looks.

    The host must not change what is read before it can know of the end: sources are compared from when work is
    given until it ends. Where work will write memory of the host, undefined bytes lie until it has ended.
    `observe` is called with work that has ended and what it has made.
    """

    def __init__(self, memories: Memories) -> None:
        self.memories = memories
        self.observe: Callable[[Work, bytes], None] = lambda work, made: None
        self.begin()

    def begin(self) -> None:
        """Start a run."""
        self.events: list[tuple[int, int, int, Work]] = []  # cycle, ENDS or STARTS, number, work
        self.given: list[Work] = []  # not ended, in the order of being given
        self.running: list[Work] = []
        self.timeline: list[Interval] = []

    def give(self, work: Work) -> None:
        """Take work that starts now or later."""
        one = work.interval
        if one.cycles < 1:
            raise SimulationError(f"{work} takes {one.cycles} cycles, expected 1 at least")
        for first, second in combinations(work.writes, 2):
            if first.overlaps(second):
                raise SimulationError(f"{work} writes {first}, of which it writes {second} too")
        for index, region in enumerate(work.reads):
            for place, written in enumerate(work.writes):
                if region.overlaps(written) and not (work.is_in_order and index == place == 0):
                    raise SimulationError(f"{work} writes {written}, of which it reads {region}")
            if region.memory.host_visible:
                work.sources[index] = self.memories.read(region)
        number = len(self.timeline)
        heapq.heappush(self.events, (one.start_cycle, STARTS, number, work))
        heapq.heappush(self.events, (one.end_cycle, ENDS, number, work))
        self.timeline.append(one)
        self.given.append(work)

    def advance(self, cycle: int) -> None:
        """Let happen what happens up to a cycle. Raises SimulationError if it must not."""
        while self.events and self.events[0][0] <= cycle:
            _, event, _, work = heapq.heappop(self.events)
            if event == STARTS:
                self.start(work)
            else:
                self.end(work)

    def start(self, work: Work) -> None:
        for other in self.running:
            self.check_pair(work, other)
        for region in work.reads:
            missing = self.memories.unwritten(region)
            if missing:
                raise SimulationError(f"{work} reads {region}, but nobody has written {missing} in this run")
        self.check_sources(work)
        work.operands = [self.memories.read(region) for region in work.reads]
        for region in work.writes:
            if region.memory.host_visible:
                self.store(region, bytes([UNDEFINED]) * region.size_bytes)
        self.running.append(work)

    def end(self, work: Work) -> None:
        self.check_sources(work)
        for region in work.writes:
            if region.memory.host_visible and self.memories.read(region).strip(bytes([UNDEFINED])):
                raise SimulationError(f"the host has written to {region} before the end of {work}, which writes it")
        self.running.remove(work)
        self.given.remove(work)
        made = work.compute(work.operands)
        for region, content in zip(work.writes, made, strict=True):
            self.store(region, content)
        self.observe(work, made[0])
        work.on_end()

    def check_pair(self, work: Work, other: Work) -> None:
        """Raise SimulationError if work must not start because of what is running."""
        for region, written in product(work.reads, other.writes):
            if region.overlaps(written):
                raise SimulationError(f"{work} reads {region}, while {other} writes {written}")
        for verb, regions in (("reads", other.reads), ("writes", other.writes)):
            for region, written in product(regions, work.writes):
                if written.overlaps(region):
                    raise SimulationError(f"{work} writes {written}, while {other} {verb} {region}")

    def check_sources(self, work: Work) -> None:
        """Raise SimulationError if the host has changed what work reads."""
        for index, before in work.sources.items():
            region, now = work.reads[index], self.memories.read(work.reads[index])
            if now != before:
                different = [k for k, (a, b) in enumerate(zip(before, now, strict=True), region.first) if a != b]
                changed = replace(region, first=different[0], end=different[-1] + 1)
                place = self.memories.program.data_place(changed.address)
                raise SimulationError(
                    f"the host has changed {changed} ({place}) before the end of {work}, which reads {region}"
                )

    def store(self, region: Region, data: bytes) -> None:
        """Write memory, as a unit: other work that will read it there gets the new bytes."""
        self.memories.write(region, data)
        if region.memory.host_visible:
            for work in self.given:
                for index, before in work.sources.items():
                    work.sources[index] = overlaid(before, work.reads[index], data, region)

    def finish(self, cycle: int) -> None:
        """End the run. Raises SimulationError if anything is still in flight."""
        self.advance(cycle)
        if self.given:
            raise SimulationError(f"the program has ended at cycle {cycle:,} before {self.given[0]}")


def overlaid(below: bytes, below_region: Region, above: bytes, above_region: Region) -> bytes:
    """Return the bytes of a region, those from `above` where the other region covers them."""
    if not below_region.overlaps(above_region):
        return below
    first, end = max(below_region.first, above_region.first), min(below_region.end, above_region.end)
    new = above[first - above_region.first : end - above_region.first]
    return below[: first - below_region.first] + new + below[end - below_region.first :]
