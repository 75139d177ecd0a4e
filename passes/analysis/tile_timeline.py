"""The tiles of a layer going through a timeline of host, engine and transfers: what a tiling takes, in cycles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from htvm.backend.targets.jobs import Range
from htvm.backend.targets.soc import Route, Soc, queue_depth

from .tiles import Tile, Tiling
from .timeline import Timeline

if TYPE_CHECKING:
    from .tiling import Search


@dataclass(frozen=True)
class Hop:
    """A transfer on one of the routes that data take: `count` runs of `run_bytes` bytes, which take `cycles`."""

    route: Route
    count: int
    run_bytes: int
    cycles: int

    @staticmethod
    def chain(soc: Soc, path: Sequence[Route], runs: tuple[int, int], strided_at: int) -> tuple[Hop, ...]:
        """Return the hops of a path. Data lie in runs (how many, bytes each) at one of them, dense at the others."""
        dense = (1, runs[0] * runs[1])
        found: list[Hop] = []
        for number, route in enumerate(path):
            count, run_bytes = runs if number == strided_at else dense
            found.append(Hop(route, count, run_bytes, count * soc.copy_cycles(route, run_bytes)))
        return tuple(found)


@dataclass(frozen=True)
class Cost:
    """What the units take for a tile.

    launches: the cycles of each. loads, weights, store: the transfers that bring each input, bring weights, and take
    what is made away, hop by hop; none within a memory.
    """

    launches: tuple[int, ...]
    loads: tuple[tuple[Hop, ...], ...]
    store: tuple[Hop, ...]
    weights: tuple[Hop, ...]
    weight_bytes: int

    @property
    def compute(self) -> int:
        """The cycles of the engine."""
        return sum(self.launches)


class Run:
    """The tiles of a layer going through a timeline. has_all_weights: these are there from the beginning."""

    def __init__(self, search: Search, tiling: Tiling, has_all_weights: bool = False) -> None:
        self.search, self.tiling, self.time = search, tiling, Timeline(search.soc)
        self.has_all_weights = has_all_weights
        self.room = search.room_for_weights(tiling)
        self.is_far = len(search.load_path) > 1
        self.keeps_weights = search.keeps_weights(tiling)
        self.fetched: set[tuple[Range, ...]] = set()
        self.weights_of: tuple[Range, ...] | None = None
        self.source: tuple[Range, ...] | None = None
        self.held: list[int] = [0, 0]
        self.ready = 0
        self.running: list[int] = []
        self.queued = queue_depth(search.engine) - 1
        self.stored: list[int] = []
        self.pending: Tile | None = None
        self.weights_come: dict[tuple[Range, ...], int] = {}
        self.input_comes: dict[tuple[Range, ...], int] = {}
        self.leaving: tuple[int, tuple[Hop, ...]] | None = None

    def bring_on_the_way(self, tile: Tile) -> None:
        """Bring the weights and the input of a tile from far memories to the last one before the engine's.

        Weights are kept there until the layer has ended, an input until the next one comes.
        """
        cost = self.search.cost(tile, self.tiling)
        if len(cost.weights) > 1 and tile.weights not in self.weights_come and not self.has_all_weights:
            self.weights_come[tile.weights] = self.through(cost.weights[:-1])
        if self.tiling.loads and self.is_far and tile.source not in self.input_comes:
            for hops in cost.loads:
                self.input_comes = {tile.source: self.through(hops[:-1])}

    def through(self, hops: Sequence[Hop]) -> int:
        """Copy from hop to hop; return when the last one ends."""
        end = 0
        for number, hop in enumerate(hops):
            if number:
                self.time.wait(end)
            end = self.given(self.time.copy(hop.route, hop.count, hop.run_bytes))
        return end

    def load(self, tile: Tile) -> None:
        """Fetch the weights and the input of a tile, if they are not there already."""
        cost, time = self.search.cost(tile, self.tiling), self.time
        if self.tiling.blocking or (self.tiling.loads and self.tiling.buffers == 1):
            self.wait_for_launch()
        if cost.weights and not self.has_weights(tile):
            self.weights_of, self.held = tile.weights, [self.held[1], cost.weight_bytes]
            if sum(self.held) > self.room:
                self.wait_for_launch()
            if len(cost.weights) > 1:
                time.wait(self.weights_come[tile.weights])
            self.ready = self.through(cost.weights[-1:])
        if self.tiling.loads and tile.source != self.source:
            self.source = tile.source
            self.wait_for_launch(self.tiling.buffers - 1)
            if self.is_far:
                time.wait(self.input_comes[tile.source])
            for hops in cost.loads:
                self.ready = self.through(hops[-1:])

    def has_weights(self, tile: Tile) -> bool:
        """Say whether the weights of a tile are there: of the tile before, or all that have been fetched are kept."""
        if self.has_all_weights:
            return True
        if self.keeps_weights:
            known = tile.weights in self.fetched
            self.fetched.add(tile.weights)
            return known
        return tile.weights == self.weights_of

    def launch(self, tile: Tile) -> None:
        """Run the jobs of a tile, then send away what the one before has made."""
        time, engine = self.time, self.search.engine
        if self.tiling.buffers == 1 and self.pending is not None:
            self.wait_for_launch()
            self.store()
        time.wait(self.ready)
        if len(self.stored) >= self.tiling.buffers:
            time.wait(self.stored[-self.tiling.buffers])
        launches = self.search.cost(tile, self.tiling).launches
        for cycles in launches:
            self.wait_for_launch(self.queued)
            self.running.append(time.run(engine.name, cycles))
        if self.pending is not None:
            self.wait_for_launch(len(launches))
        self.store()
        self.pending = tile if self.tiling.stores and not tile.job.keeps else None
        if self.tiling.blocking:
            self.wait_for_launch()
            self.store()

    def store(self) -> None:
        """Send away what the tile before has made, and on from where the one before that has come to."""
        if self.leaving is not None:
            end, hops = self.leaving
            self.time.wait(end)
            self.through(hops)
            self.leaving = None
        if self.pending is not None:
            hops = self.search.cost(self.pending, self.tiling).store
            self.stored.append(self.through(hops[:1]))
            self.leaving = (self.stored[-1], hops[1:]) if hops[1:] else None
            self.pending = None

    def finish(self) -> int:
        self.wait_for_launch()
        self.store()
        self.store()
        return self.time.end

    def given(self, end: int) -> int:
        """Wait for a copy that was given, if the tiling says so; return when it ends."""
        if self.tiling.blocking:
            self.time.wait(end)
        return end

    def wait_for_launch(self, left: int = 0) -> None:
        """Wait for jobs, until so many of them are left."""
        if len(self.running) > left:
            self.time.wait(self.running[-left - 1])
            del self.running[: len(self.running) - left]
