"""The tiles of a layer going through a timeline of host, engine and transfers: what a tiling takes, in cycles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from htvm.backend.targets.jobs import Range

from .tiles import Tile, Tiling
from .timeline import Timeline

if TYPE_CHECKING:
    from .tiling import Search


@dataclass(frozen=True)
class Cost:
    """What the units take for a tile: cycles, weights to fetch, the runs of its copies as (how many, bytes each)."""

    compute: int
    load: int
    store: int
    weight_bytes: int
    load_runs: tuple[int, int]
    store_runs: tuple[int, int]


class Run:
    """The tiles of a layer going through a timeline."""

    def __init__(self, search: Search, tiling: Tiling) -> None:
        self.search, self.tiling, self.time = search, tiling, Timeline(search.soc)
        self.room = search.room_for_weights(tiling)
        self.keeps_weights = search.keeps_weights(tiling)
        self.fetched: set[Range] = set()
        self.weights_of: Range | None = None
        self.source: tuple[Range, ...] | None = None
        self.held: list[int] = [0, 0]
        self.ready = self.launched = 0
        self.stored: list[int] = []
        self.pending: Tile | None = None

    def load(self, tile: Tile) -> None:
        """Fetch the weights and the input of a tile, if they are not there already."""
        search, cost, time = self.search, self.search.cost(tile, self.tiling), self.time
        if self.tiling.blocking or (self.tiling.loads and self.tiling.buffers == 1):
            self.wait_for_launch()
        if cost.weight_bytes and not self.has_weights(tile):
            self.weights_of, self.held = tile.outputs, [self.held[1], cost.weight_bytes]
            if sum(self.held) > self.room:
                self.wait_for_launch()
            self.ready = self.given(time.copy(search.weights_route, 1, cost.weight_bytes))
        if self.tiling.loads and tile.source != self.source:
            self.source = tile.source
            for _ in range(search.inputs):
                self.ready = self.given(time.copy(search.load_route, *cost.load_runs))

    def has_weights(self, tile: Tile) -> bool:
        """Say whether the weights of a tile are there: of the tile before, or all that have been fetched are kept."""
        if self.keeps_weights:
            known = tile.outputs in self.fetched
            self.fetched.add(tile.outputs)
            return known
        return tile.outputs == self.weights_of

    def launch(self, tile: Tile) -> None:
        """Run the jobs of a tile, then send away what the one before has made."""
        time, engine = self.time, self.search.engine
        if self.tiling.buffers == 1 and self.pending is not None:
            self.wait_for_launch()
            self.store()
        time.wait(self.ready)
        if len(self.stored) >= self.tiling.buffers:
            time.wait(self.stored[-self.tiling.buffers])
        for part in self.tiling.launches(tile.job):
            self.wait_for_launch()
            job, *_ = tile.job.tile(part, (0, tile.job.out_size[0]), (0, tile.job.out_size[1]))
            self.launched = time.launch(engine.name, engine.lowered(job, self.search.plain))
        self.store()
        self.pending = tile if self.tiling.stores else None
        if self.tiling.blocking:
            self.wait_for_launch()
            self.store()

    def store(self) -> None:
        if self.pending is not None:
            runs = self.search.cost(self.pending, self.tiling).store_runs
            self.stored.append(self.given(self.time.copy(self.search.store_route, *runs)))
            self.pending = None

    def finish(self) -> int:
        self.wait_for_launch()
        self.store()
        return self.time.end

    def given(self, end: int) -> int:
        """Wait for a copy that was given, if the tiling says so; return when it ends."""
        if self.tiling.blocking:
            self.time.wait(end)
        return end

    def wait_for_launch(self) -> None:
        if self.launched:
            self.time.wait(self.launched)
            self.launched = 0
