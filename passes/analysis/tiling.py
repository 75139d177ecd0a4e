"""Cut a layer into the jobs that an accelerator runs fastest.

A tiling gives the size of a tile: output channels, rows, columns. Two forms are searched, both by trying every size
that differs (sizes with as many tiles are balanced: as equal as can be):

whole       input and output lie whole in the accelerator's memory; only output channels are cut, which its weight
            memory or the kind of job may demand
streamed    tiles of input and output pass through that memory, from and to another one; weights and inputs that the
            next tile needs again stay

The time of a tiling is predicted by running its tiles through the units' timelines: transfers in, the engine,
transfers out, each one thing after the other, the next tile's transfers while the engine works.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from htvm.backend.targets.jobs import PLANAR, Job, Range
from htvm.backend.targets.soc import Accelerator, Route, Soc


@dataclass(frozen=True)
class Tiling:
    """The size of the tiles of a layer. is_streamed: its form. outputs_first: whether they are the outer loop."""

    outputs: int
    rows: int
    columns: int
    is_streamed: bool = False
    outputs_first: bool = True


@dataclass(frozen=True)
class Tile:
    """A part of a layer: the job, what it makes, what it reads."""

    job: Job
    outputs: Range
    rows: Range
    columns: Range
    in_rows: Range
    in_columns: Range

    @property
    def channels(self) -> Range:
        """The input channels that are read: those of its outputs where each output has its own."""
        return self.outputs if self.job.groups > 1 or self.job.kind == "add" else (0, self.job.channels)


def tiles(job: Job, tiling: Tiling) -> Iterator[Tile]:
    """Yield the tiles of a layer in the order of execution."""
    height, width = job.out_size
    places = [(r, c) for r in ranges(height, tiling.rows) for c in ranges(width, tiling.columns)]
    outputs = list(ranges(job.outputs, tiling.outputs))
    if tiling.outputs_first:
        pairs = [(k, place) for k in outputs for place in places]
    else:
        pairs = [(k, place) for place in places for k in outputs]
    for k, (rows, columns) in pairs:
        part, in_rows, in_columns = job.tile(k, rows, columns)
        yield Tile(part, k, rows, columns, in_rows, in_columns)


def ranges(size: int, part: int) -> Iterator[Range]:
    for first in range(0, size, part):
        yield first, min(first + part, size)


@dataclass(frozen=True)
class Search:
    """The tilings of one layer on one engine.

    home: the memory that streamed tiles come from and go to. budget_bytes: what tiles may take of the engine's memory.
    most_outputs: of one job, beside the engine's own limit; None if there is no other.
    """

    soc: Soc
    engine: Accelerator
    job: Job
    home: str
    budget_bytes: int
    most_outputs: int | None = None

    def whole(self) -> Tiling | None:
        """Return the fastest tiling with maps that lie whole in the engine's memory; None if there is none."""
        height, width = self.job.out_size
        found = [Tiling(k, height, width) for k in self.output_sizes]
        return min(found, key=lambda each: (self.cycles(each), -each.outputs), default=None)

    def streamed(self) -> Tiling | None:
        """Return the fastest tiling with tiles that pass through the engine's memory; None if none fits."""
        height, width = self.job.out_size
        found = [
            Tiling(k, r, c, True, outputs_first)
            for k in self.output_sizes
            for r in balanced(height)
            for c in balanced(width)
            for outputs_first in (True, False)
        ]
        fitting = [each for each in found if self.bytes_of(each) <= self.budget_bytes]
        return min(fitting, key=self.cycles, default=None)

    def smallest_bytes(self) -> int:
        """Return the bytes of the engine's memory that the smallest tile takes."""
        k = min(self.output_sizes, default=1)
        return min(self.bytes_of(Tiling(k, 1, c, True)) for c in balanced(self.job.out_size[1]))

    @cached_property
    def output_sizes(self) -> list[int]:
        """The numbers of output channels of a tile that the engine takes; whole steps of its lanes."""
        step, limit = self.engine.output_step, self.engine.most_outputs(self.job)
        limit = min(limit, self.most_outputs or limit, self.job.outputs)
        if limit < 1:
            return []
        sizes = {min(-(-k // step) * step, self.job.outputs) for k in balanced(self.job.outputs)}
        fitting = sorted(k for k in sizes if k <= limit)
        return fitting or [limit]

    def bytes_of(self, tiling: Tiling) -> int:
        """Return what one tile takes of the engine's memory: the largest one, in the corner or the middle."""
        return max(tile.job.input_bytes * self.inputs + tile.job.output_bytes for tile in self.different(tiling))

    @property
    def inputs(self) -> int:
        return 2 if self.job.kind == "add" else 1

    def different(self, tiling: Tiling) -> list[Tile]:
        """Return tiles among which every job of the tiling is."""
        return list({tile.job: tile for tile in tiles(self.job, tiling)}.values())

    def cycles(self, tiling: Tiling) -> int:
        """Predict the time of a layer, from its first transfer to the end of its last."""
        fetched = computed = stored = 0
        last_weights = last_input = None
        model, cost = self.soc.cost_model, {}
        to_weights = Route(self.home, self.engine.weight_memory)
        there, back = Route(self.home, self.engine.memory), Route(self.engine.memory, self.home)
        room = 2 * self.bytes_of(tiling) <= self.budget_bytes  # the next tile may come while this one is computed
        for tile in tiles(self.job, tiling):
            if tile.job not in cost:
                cost[tile.job] = (
                    model.job_cycles(self.engine.name, self.engine.lowered(tile.job)),
                    self.engine.weight_bytes(tile.job),
                    self.inputs * copy_cycles(model, there, *pieces(tile.job.channels, tile.job.size, self.job.size)),
                    copy_cycles(model, back, *pieces(tile.job.outputs, tile.job.out_size, self.job.out_size)),
                )
            compute, weight_bytes, load, store = cost[tile.job]
            if tiling.is_streamed and not room:
                fetched = max(fetched, computed, stored)
            if weight_bytes and tile.outputs != last_weights:
                fetched += model.copy_cycles(to_weights, weight_bytes)
                last_weights = tile.outputs
            source = (tile.channels, tile.in_rows, tile.in_columns)
            if tiling.is_streamed and source != last_input:
                fetched += load
                last_input = source
            computed = max(computed, fetched) + compute
            if tiling.is_streamed:
                stored = max(stored, computed) + store
        return max(computed, stored)


def pieces(channels: int, part: tuple[int, int], size: tuple[int, int], order: str = PLANAR) -> tuple[int, int]:
    """Return how many runs of bytes, and how long, a part of a map is that lies dense in both memories."""
    rows, columns = part
    if order != PLANAR:
        return (1, rows * columns * channels) if columns == size[1] else (rows, columns * channels)
    if columns != size[1]:
        return channels * rows, columns
    return (channels, rows * columns) if rows != size[0] else (1, channels * rows * columns)


def copy_cycles(model: object, route: Route, count: int, run_bytes: int) -> int:
    return count * model.copy_cycles(route, run_bytes)


def balanced(size: int) -> list[int]:
    """Return the tile sizes that differ: for each number of tiles, the smallest that needs no more."""
    return sorted({-(-size // count) for count in range(1, size + 1)}, reverse=True)
