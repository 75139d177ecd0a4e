"""The jobs that finish a layer which one job does not requantise: from scaled sums of 32 bits to results of 8.

A block that starts with what is at its output, and ends with 8 bits, has at most 8 channels, and reads and writes at
the same place (measured on the RTL). So the sums of a pixel lie in groups of 8 channels, 32 bytes each, and

    the second jobs   one for each group: 1x1 on inputs and weights of 0, results in the first 8 bytes of each 32
    the packing jobs  1x1 with 8 channels and weights of 1 on the diagonal: they bring the groups together

For neither does it matter which pixels are rows and which columns, so that they have as few tiles of 3x3 as can be:
about 1.3 cycles for each result of a second job, and 0.75 to pack it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from htvm.backend.targets.engines.ne16.job import TILE, Addresses, Blocks, Job, Mode, Requantisation, Strides, Width
from htvm.backend.targets.engines.ne16.rules import STREAM_IN_CHANNELS as GROUP
from htvm.backend.targets.engines.ne16.weights import FEWEST_BITS, Layout

WORD = 4
GROUP_BYTES = WORD * GROUP
"""Of the sums of a group; its results are the first 8."""

ZERO_BYTES = 36
"""Bytes of 0 that second jobs read as inputs and as weights: what an access is wide."""

DIAGONAL = Layout(Mode.CONV1X1, FEWEST_BITS, GROUP, GROUP)
"""The weights of packing jobs."""


@dataclass(frozen=True)
class FinishingConstants:
    """Where the constants of these jobs are. biases, shifts: of all channels of the sums; shifts if they are an array.

    ones: a byte of 1 for each channel of a group, the scales. zeros: ZERO_BYTES. diagonal: weights as DIAGONAL says.
    """

    biases: int
    shifts: int
    ones: int
    zeros: int
    diagonal: int


def pixel_bytes(outputs: int) -> int:
    """Return the bytes of the sums of a pixel: whole groups."""
    return -(-outputs // GROUP) * GROUP_BYTES


def diagonal() -> np.ndarray:
    """Return the packed weights of packing jobs, uint8[DIAGONAL.size_bytes]."""
    return DIAGONAL.pack(np.eye(GROUP, dtype=np.int64).reshape(GROUP, GROUP, 1, 1))


def places_of_parts(sizes: Sequence[int]) -> list[int]:
    """Return where parts of some bytes begin that lie one after the other, each at a multiple of 4."""
    return list(accumulate((-(-size // WORD) * WORD for size in sizes), initial=0))[: len(sizes)]


def assembled(size_bytes: int, parts: Iterable[tuple[int, np.ndarray]]) -> np.ndarray:
    """Return uint8[size_bytes] with parts where each begins, and 0 between them."""
    found = np.zeros(size_bytes, np.uint8)
    for start, part in parts:
        found[start : start + part.size] = part
    return found


class Grid(NamedTuple):
    """Elements from the one numbered `first` on, as rows and columns."""

    first: int
    rows: int
    columns: int


def grids(count: int) -> tuple[Grid, ...]:
    """Return elements in a line as the grid of the fewest tiles, or as two if that saves more than a job takes."""
    whole = min(
        (Grid(0, rows, count // rows) for rows in (3, 2, 1) if count % rows == 0),
        key=lambda grid: -(-grid.columns // TILE),
    )
    most = count - count % TILE
    saved = -(-whole.columns // TILE) - -(-most // (TILE * TILE)) - 1
    return (whole,) if saved < 1 or not most else (Grid(0, TILE, most // TILE), Grid(most, 1, count % TILE))


def second_jobs(
    sums: int, outputs: int, pixels: int, requantisation: Requantisation, constants: FinishingConstants
) -> Iterator[Job]:
    """Yield the jobs that finish the sums of some pixels, which lie dense from an address on, in place."""
    step = pixel_bytes(outputs)
    for start in range(0, outputs, GROUP):
        for grid in grids(pixels):
            addresses = Addresses(
                weights=constants.zeros,
                input=constants.zeros,
                output=sums + start * 4 + grid.first * step,
                scale=constants.ones,
                shift=constants.shifts + start,
                bias=constants.biases + start * 4,
            )
            channels = min(GROUP, outputs - start)
            steps = (0, 0), (step, step * grid.columns)
            yield grid_job((1, channels), grid, addresses, *steps, None, requantisation, stream_in=True)


def packing_jobs(
    sums: int, target: int, outputs: int, size: tuple[int, int], row_bytes: int, constants: FinishingConstants
) -> Iterator[Job]:
    """Yield the jobs that bring the results in finished sums together, to pixels of `outputs` bytes at `target`.

    size: rows and columns of the pixels, whose sums lie dense. row_bytes: of the rows at the target. Where all groups
    are whole, they are in one line, as pixels are; else each group is packed by jobs of its own.
    """
    rows, columns = size
    if outputs % GROUP == 0:
        lines = [(GROUP, columns * outputs // GROUP, sums, GROUP_BYTES, target, GROUP)]
    else:
        lines = [
            (min(GROUP, outputs - start), columns, sums + start * 4, pixel_bytes(outputs), target + start, outputs)
            for start in range(0, outputs, GROUP)
        ]
    for channels, count, source, step, to, to_step in lines:
        for row, grid in _grids_of_rows(rows, count, is_dense=row_bytes == columns * outputs):
            dense = grid.columns * step, grid.columns * to_step
            # A grid that is all of some rows has the strides of those.
            in_row, to_row = (count * step, row_bytes) if grid.columns == count else dense
            addresses = Addresses(
                weights=constants.diagonal,
                input=source + row * count * step + grid.first * step,
                output=to + row * row_bytes + grid.first * to_step,
            )
            strides = (step, in_row), (to_step, to_row)
            unscaled = Requantisation(enabled=False)
            yield grid_job((channels, channels), grid, addresses, *strides, DIAGONAL, unscaled)


def _grids_of_rows(rows: int, count: int, is_dense: bool) -> Iterator[tuple[int, Grid]]:
    """Yield all elements of rows with `count` each as grids, with the row that each begins in."""
    if is_dense:
        yield from ((0, grid) for grid in grids(rows * count))
        return
    whole = rows - rows % TILE
    yield from ((row, Grid(0, TILE, count)) for row in range(0, whole, TILE))
    yield from ((row, grid) for row in range(whole, rows) for grid in grids(count))


def grid_job(
    channels: tuple[int, int],
    grid: Grid,
    addresses: Addresses,
    input_steps: tuple[int, int],
    output_steps: tuple[int, int],
    weights: Layout | None,
    requantisation: Requantisation,
    output: Width = Width.BITS_8,
    stream_in: bool = False,
) -> Job:
    """Return a 1x1 job on a grid of elements. stream_in: it starts with what is at its output.

    channels: inputs and outputs. input_steps, output_steps: bytes from column to column and from row to row. weights:
    how they lie, None for one word of 0 for all.
    """
    rows, columns = Blocks.of(grid.rows, TILE), Blocks.of(grid.columns, TILE)
    inputs, outputs = (Blocks(1, count) for count in channels)
    return Job(
        mode=Mode.CONV1X1,
        weight_bits=FEWEST_BITS if weights is None else weights.bits,
        outputs=outputs,
        inputs=inputs,
        rows=rows,
        columns=columns,
        addresses=addresses,
        input_strides=Strides(*input_steps, 0),
        output_strides=Strides(GROUP_BYTES, *output_steps),
        weight_strides=Strides(0, 0, 0) if weights is None else weights.strides,
        input_rows=rows.remainder,
        input_columns=columns.remainder,
        requantisation=requantisation,
        output=output,
        stream_in=stream_in,
    )


def byte_of(channel: int) -> int:
    """Return where the result of a channel is in the finished sums of its pixel."""
    return channel // GROUP * GROUP_BYTES + channel % GROUP
