"""The tiles of a layer on an accelerator: their size, their order, and how many of each kind there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from htvm.backend.targets.jobs import Job, Layout, Range, has_form
from htvm.backend.targets.soc import Accelerator
from htvm.dialects import accel
from htvm.dialects.accel import FormKind

NAME = "accel.tiling"
"""The attribute of a layer that holds its tiling."""


@dataclass(frozen=True)
class Tiling:
    """The size of the tiles of a layer, and how they are gone through.

    outputs_first: whether output channels are the outer loop. loads, stores: whether inputs come from, and
    outputs go to, another memory. buffers: 2 if a tile's transfers go on while another one is computed.
    launch_outputs: the output channels of a launch, if a tile has several (0: one for all). weight_buffers: those that
    weights which are fetched again go through in turn (0: each tile's have their own). channels: the input channels of
    a tile, if tiles add up sums (0: all), which then is the inner loop. group: the number of the layers whose tiles are
    in flight together (0: none, the layer runs by itself). blocking: the host waits for each command.
    """

    outputs: int
    rows: int
    columns: int
    loads: bool = False
    stores: bool = False
    outputs_first: bool = True
    buffers: int = 1
    launch_outputs: int = 0
    weight_buffers: int = 0
    channels: int = 0
    group: int = 0
    blocking: bool = False

    def launches(self, tile: Job) -> list[Range]:
        """Return the output channels of each launch of a tile, counted from the tile's first."""
        return list(ranges(tile.outputs, self.launch_outputs or tile.outputs))

    def attribute(self) -> accel.TilingAttr:
        """Return the tiling as the attribute NAME, in the current context."""
        return accel.TilingAttr.get(
            outputs=self.outputs,
            rows=self.rows,
            columns=self.columns,
            buffers=self.buffers,
            launch_outputs=self.launch_outputs,
            weight_buffers=self.weight_buffers,
            channels=self.channels,
            group=self.group,
            loads=self.loads,
            stores=self.stores,
            outputs_first=self.outputs_first,
            blocking=self.blocking,
        )

    @staticmethod
    def of_layer(layer: accel.Layer) -> Tiling:
        """Return the tiling that a layer carries."""
        stated = accel.present(accel.attribute(layer, NAME, accel.TilingAttr), NAME)
        return Tiling(**{name: getattr(stated, name) for name in (*SMALLEST, *FLAGS)})

    @staticmethod
    def of(stated: Mapping[str, object]) -> Tiling:
        """Return the tiling that a plan states. Raises ValueError that says what is wrong with it."""
        wrong = [f"no {name}" for name in ("outputs", "rows", "columns") if name not in stated]
        for name, value in stated.items():
            if name not in (*SMALLEST, *FLAGS):
                wrong.append(f"'{name}', which is none of {', '.join((*SMALLEST, *FLAGS))}")
            elif name in FLAGS and not isinstance(value, bool):
                wrong.append(f"{name} = {value!r}, expected true or false")
            elif name in SMALLEST and not (type(value) is int and value >= SMALLEST[name]):
                wrong.append(f"{name} = {value!r}, expected an integer of at least {SMALLEST[name]}")
            elif name in MOST and value not in range(MOST[name] + 1):
                wrong.append(f"{name} = {value!r}, expected {'1 or 2' if SMALLEST[name] else 'at most 2'}")
        if wrong:
            raise ValueError(f"tiling has {'; '.join(wrong)}")
        sizes = {name: value for name, value in stated.items() if name in SMALLEST and isinstance(value, int)}
        flags = {name: bool(stated.get(name, False)) for name in FLAGS}
        return Tiling(**sizes, **flags)


SMALLEST = {
    "outputs": 1, "rows": 1, "columns": 1, "buffers": 1, "launch_outputs": 0, "weight_buffers": 0, "channels": 0,
    "group": 0,
}  # fmt: skip
MOST = {"buffers": 2, "weight_buffers": 2}
FLAGS = ("loads", "stores", "outputs_first", "blocking")
"""The fields of a tiling in its attribute: numbers, with the smallest and the largest that each can be, and what is or
is not.
"""


@dataclass(frozen=True)
class Tile:
    """A part of a layer: the job, the output channels, rows and columns it makes, what it reads of the input.

    sums: the rows and columns of the sums that it is made of: those of the output, if no pool is between.
    """

    job: Job
    outputs: Range
    rows: Range
    columns: Range
    channels: Range
    in_rows: Range
    in_columns: Range
    sums: tuple[Range, Range]

    @property
    def weights(self) -> tuple[Range, ...]:
        """What of the layer its weights are for: equal for tiles that share them. Rows as channels have their own."""
        rows = has_form(self.job, FormKind.ROWS_AS_CHANNELS)
        return (self.outputs, self.rows) if rows else (self.outputs, self.channels)

    @property
    def source(self) -> tuple[Range, ...]:
        """What of the inputs the tile reads: equal for tiles that read the same."""
        own = self.channels, self.in_rows, self.in_columns
        return (*own, self.outputs, *self.sums) if self.job.residual else own

    def part(self, position: int) -> tuple[Range, Range, Range]:
        """Return the part of one of the inputs that the tile reads: channels, rows and columns."""
        is_added = self.job.residual and position > 0
        return (self.outputs, *self.sums) if is_added else (self.channels, self.in_rows, self.in_columns)

    @staticmethod
    def of(job: Job, outputs: Range, rows: Range, columns: Range, channels: Range | None = None) -> Tile:
        """Return the tile of a part of the output; channels: those of the input that it sums up, if not all."""
        part, in_rows, in_columns = job.tile(outputs, rows, columns)
        if channels is not None:
            part = part.of_channels(channels)
        elif job.has_own_channels:
            channels = outputs
        summed = (rows, columns) if job.pool is None else job.summed(rows, columns)
        return Tile(part, outputs, rows, columns, channels or (0, job.channels), in_rows, in_columns, summed)


def tiles(job: Job, tiling: Tiling) -> Iterator[Tile]:
    """Yield the tiles of a layer in the order of execution."""
    height, width = job.out_size
    places = [(r, c) for r in ranges(height, tiling.rows) for c in ranges(width, tiling.columns)]
    outputs = list(ranges(job.outputs, tiling.outputs))
    if tiling.outputs_first:
        pairs = [(k, place) for k in outputs for place in places]
    else:
        pairs = [(k, place) for place in places for k in outputs]
    summed = list(channel_ranges(job, tiling.channels))
    return (Tile.of(job, k, rows, columns, c) for k, (rows, columns) in pairs for c in summed)


MOST_OWN_BUFFERS = 16
"""How many tiles of a layer with something far may have buffers of their own for weights. What goes through the same
ones becomes loops: the host's memory has no room for the descriptors, and the code, of all tiles."""

FEWEST_IN_TURN = 4
"""Weights of as many tiles at least are on their way from a far memory."""

LONGEST_PERIOD = 16
"""After how many tiles, at most, weights of the same sizes are looked for."""


def weights_in_turn(sizes: Sequence[int]) -> int:
    """Return how many buffers the weights of tiles go through in turn, in each memory on their way; 0: one for each.

    sizes: bytes of the weights of each tile that has other ones. Buffers are as many as tiles that differ, if these
    repeat, or a multiple of that: then tiles of one size use the same buffers each time.
    """
    if len(sizes) <= MOST_OWN_BUFFERS:
        return 0
    periods = (each for each in range(1, LONGEST_PERIOD + 1) if all(a == b for a, b in zip(sizes, sizes[each:])))
    period = next(periods, FEWEST_IN_TURN)
    return -(-FEWEST_IN_TURN // period) * period


def channel_ranges(job: Job, channels: int) -> Iterator[Range | None]:
    """Yield the input channels that each of the tiles sums up which follow each other; None: all that it has."""
    return ranges(job.channels, channels) if channels else iter((None,))


def ranges(size: int, part: int) -> Iterator[Range]:
    for first in range(0, size, part):
        yield first, min(first + part, size)


def input_layout(engine: Accelerator, job: Job) -> Layout:
    """Return the layout of the maps that a job reads: one that is element-wise takes any, and writes the same."""
    if has_form(job, FormKind.CHANNEL_BLOCKS):
        return Layout.BLOCKED
    return job.layout if job.is_element_wise else engine.input.layouts[0]


def different(job: Job, tiling: Tiling) -> list[Tile]:
    """Return tiles among which every job of the tiling is."""
    return [tile for tile, _ in tile_counts(job, tiling)]


def tile_counts(job: Job, tiling: Tiling) -> tuple[tuple[Tile, int], ...]:
    """Return a tile of each different job of a tiling, and how many there are."""
    return counts_of_sizes(job, tiling.outputs, tiling.rows, tiling.columns, tiling.channels)


@lru_cache(maxsize=65536)
def counts_of_sizes(job: Job, outputs: int, rows: int, columns: int, channels: int = 0) -> tuple[tuple[Tile, int], ...]:
    """Return the tile counts of all tilings with these sizes: in whatever order, with however many buffers."""
    first: dict[Job, Tile] = {}
    counts: Counter[Job] = Counter()
    along_rows, along_columns = (counted_along(job, axis, part) for axis, part in enumerate((rows, columns)))
    for k, ks in counted_outputs(job, outputs):
        for r, rs in along_rows:
            for c, cs in along_columns:
                for summed, times in counted_channels(job, channels):
                    tile = Tile.of(job, k, r, c, summed)
                    first.setdefault(tile.job, tile)
                    counts[tile.job] += ks * rs * cs * times
    return tuple((first[part], counts[part]) for part in first)


def counted_outputs(job: Job, part: int) -> list[tuple[Range, int]]:
    """Return ranges of the output channels, and how many each stands for: those of a form for some have their own."""
    if has_form(job, FormKind.SOME_ROWS_AS_CHANNELS):
        return [(each, 1) for each in ranges(job.outputs, part)]
    return counted(job.outputs, part, 0)


def counted_channels(job: Job, channels: int) -> list[tuple[Range | None, int]]:
    """Return ranges of the input channels that tiles sum up, and how many each stands for: the ends differ."""
    return [(each, times) for each, times in counted(job.channels, channels, 1)] if channels else [(None, 1)]


def counted_along(job: Job, axis: int, part: int) -> list[tuple[Range, int]]:
    """Return ranges of the rows or columns of the output, and how many each stands for."""
    reach = job.kernel[axis] // job.strides[axis] + 1
    if (pool := job.pool) is not None:
        reach = (reach + pool.kernel[axis]) // pool.strides[axis] + 1
    return counted(job.out_size[axis], part, reach)


@lru_cache(maxsize=65536)
def tile_shapes(job: Job, outputs: int, rows: int, columns: int) -> tuple[tuple[tuple[Job, int], ...], ...]:
    """Return for output channels, rows and columns the jobs along this axis alone, and how many in a row are alike."""
    all_rows, all_columns = ((0, size) for size in job.out_size)
    return (
        tuple((job.tile(k, all_rows, all_columns)[0], n) for k, n in counted_outputs(job, outputs)),
        tuple((job.tile((0, 1), each, all_columns)[0], n) for each, n in counted_along(job, 0, rows)),
        tuple((job.tile((0, 1), all_rows, each)[0], n) for each, n in counted_along(job, 1, columns)),
    )


def counted(size: int, part: int, reach: int) -> list[tuple[Range, int]]:
    """Return ranges along an axis among which all different ones are, in order, and how many each stands for.

    reach: how many outputs from either end may read beyond it. Ranges between those are alike.
    """
    every = list(ranges(size, part))
    border = -(-reach // part) + 1
    if len(every) <= 2 * border + 1:
        return [(each, 1) for each in every]
    first, last = ([(each, 1) for each in ends] for ends in (every[:border], every[-border:]))
    return [*first, (every[border], len(every) - 2 * border), *last]


def pieces(
    channels: int, all_channels: int, part: tuple[int, int], size: tuple[int, int], layout: Layout = Layout.NCHW
) -> tuple[int, int]:
    """Return how many runs of bytes, and how long, a part of a map is whose copy lies dense in another memory."""
    rows, columns = part
    if layout == Layout.BLOCKED:  # a block, or all of them
        return 1, rows * columns * channels
    if layout != Layout.NCHW:
        if channels != all_channels:
            return rows * columns, channels
        return (1, rows * columns * channels) if columns == size[1] else (rows, columns * channels)
    if columns != size[1]:
        return channels * rows, columns
    return (channels, rows * columns) if rows != size[0] else (1, channels * rows * columns)


def balanced(size: int) -> list[int]:
    """Return the tile sizes that differ: for each number of tiles, the smallest that needs no more; largest first."""
    return sorted({-(-size // count) for count in range(1, size + 1)}, reverse=True)
