"""What the units beside the host did in a run, and when."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from htvm.backend.targets.soc import Soc


@dataclass(frozen=True)
class Interval:
    """A unit at work on one command or job, from start_cycle until end_cycle of the run.

    step: that gave it, -1 for the start-up. kind: "copy", or the job's. route: of a copy. size_bytes: that are copied.
    macs: of the job as it was launched. stall_cycles: that the host waited because the unit's queue was full.
    """

    unit: str
    start_cycle: int
    end_cycle: int
    step: int
    kind: str
    route: str | None = None
    size_bytes: int = 0
    macs: int = 0
    stall_cycles: int = 0

    @property
    def cycles(self) -> int:
        return self.end_cycle - self.start_cycle


@dataclass(frozen=True)
class EngineTotals:
    """What an accelerator did in a run."""

    busy_cycles: int
    launches: int
    macs: int


@dataclass(frozen=True)
class RouteTotals:
    """What went along a route in a run; `count` is the number of 1-D copies."""

    bytes: int
    count: int
    busy_cycles: int


def engine_totals(soc: Soc, timeline: Iterable[Interval]) -> Mapping[str, EngineTotals]:
    """Add up the jobs of each accelerator, also of one that had none."""
    jobs = {engine.name: [one for one in timeline if one.unit == engine.name] for engine in soc.accelerators}
    return {
        name: EngineTotals(sum(one.cycles for one in done), len(done), sum(one.macs for one in done))
        for name, done in jobs.items()
    }


def route_totals(soc: Soc, timeline: Iterable[Interval]) -> Mapping[str, RouteTotals]:
    """Add up the copies of each route, also of one that had none."""
    names = [route.name for dma in soc.dmas for route in dma.routes]
    copies = {name: [one for one in timeline if one.route == name] for name in names}
    return {
        name: RouteTotals(sum(one.size_bytes for one in done), len(done), sum(one.cycles for one in done))
        for name, done in copies.items()
    }
