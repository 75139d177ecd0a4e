"""A launch, which is a tile of a layer, as the jobs that the hardware runs for it, and what they take.

Mostly it is one job. Several are

    3x3 with stride 2        one for each 2 x 2 outputs
    requantised in two jobs  for each block of pixels the layer's own, whose sums stay in memory, and what finishes them
    a sum of two maps        adding.py

The driver gives them one after the other, each behind a SOFT_CLEAR, so that none starts on what another has left.
Behind the weights of a launch are its other constants, each beginning at a multiple of 4 bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from htvm.backend.targets.engines.ne16 import adding, cycles, finishing, layers
from htvm.backend.targets.engines.ne16.finishing import FinishingConstants, places_of_parts
from htvm.backend.targets.engines.ne16.job import REGISTERS, TILE, Mode, Requantisation, Sides, Width
from htvm.backend.targets.engines.ne16.job import Job as Registers
from htvm.backend.targets.engines.ne16.layers import Constants, Layer, Map, Span, Tile
from htvm.backend.targets.engines.ne16.two_jobs import FIRST
from htvm.backend.targets.jobs import Job
from htvm.dialects.accel import JobKind

CONFIGURATION_CYCLES = REGISTERS + 3
"""Of a job: its registers, and SOFT_CLEAR, ACQUIRE and TRIGGER, a word in each cycle (measured on the RTL)."""

BLOCK_BYTES = 8 << 10
"""Of the sums that a launch keeps, about: fewer leave maps more room, and take more jobs."""

IN_TWO = 1 << 11
"""Of a requantisation as a field of a job: it takes two jobs."""


def encoded(requantisation: Requantisation, in_two: bool = False) -> int:
    """Return a requantisation as a field of a job. in_two: it is what the second job does."""
    flags = requantisation.has_bias | requantisation.has_shift_array << 1 | requantisation.relu << 2
    return requantisation.scale | flags << 2 | requantisation.shift << 5 | IN_TWO * in_two


def decoded(field: int) -> Requantisation:
    """Return the requantisation that a field of a job says; of two jobs, what the second does."""
    flags = field >> 2 & 7
    return Requantisation(
        scale=Width(field & 3),
        shift=(field & IN_TWO - 1) >> 5,
        has_bias=bool(flags & 1),
        has_shift_array=bool(flags & 2),
        relu=bool(flags & 4),
    )


def is_in_two(job: Job) -> bool:
    """Say whether a launch is requantised in two jobs."""
    return bool(job["requant"] & IN_TWO)


def is_strided(job: Job) -> bool:
    """Say whether a job of the hardware computes 2 x 2 outputs of a launch."""
    return job.kernel == (3, 3) and job.strides == (2, 2)


def mode_of(job: Job) -> Mode:
    """Return the mode of a launch."""
    if job["linear"]:
        return Mode.LINEAR
    return tile_of(job).modes[0]


def tile_of(job: Job) -> Layer:
    """Return a launch as a layer of its own: a tile with the padding that it has."""
    top, left, bottom, right = job.pads
    offset = job["offset"]
    return Layer(
        inputs=job.channels,
        outputs=job.outputs,
        size=job.size,
        kernel=job.kernel,
        weights=(offset, offset + (1 << job["bits"]) - 1),
        strides=job.strides,
        pads=Sides(top, right, bottom, left),
        groups=job.groups,
        pad_value=job["pad_value"] if any(job.pads) else 0,
    )


@dataclass(frozen=True)
class Places:
    """Where the parts of a launch's constants begin, and the end of the last one.

    Those of finishing jobs come last: a launch that is requantised in one job has none.
    """

    weights: int
    scales: int
    shifts: int
    biases: int
    ones: int
    diagonal: int
    zeros: int
    end: int

    @staticmethod
    def of(job: Job) -> Places:
        """Return the places of a launch."""
        found, in_two = decoded(job["requant"]), is_in_two(job)
        sizes = (
            tile_of(job).layout(mode_of(job)).size_bytes,
            job.outputs * (FIRST if in_two else found).scale.size_bytes,
            job.outputs * found.has_shift_array,
            job.outputs * layers.SUM_BYTES * found.has_bias,
            finishing.GROUP * in_two,
            finishing.DIAGONAL.size_bytes * in_two,
            finishing.ZERO_BYTES * in_two,
            0,
        )
        return Places(*places_of_parts(sizes))

    def packed(self, weights: np.ndarray, scales: np.ndarray, shifts: np.ndarray, biases: np.ndarray) -> np.ndarray:
        """Return the constants of a launch, uint8[end], of the bytes of its own."""
        parts = [(self.weights, weights), (self.scales, scales), (self.shifts, shifts), (self.biases, biases)]
        if self.ones < self.end:
            parts += [(self.ones, np.ones(finishing.GROUP, np.uint8)), (self.diagonal, finishing.diagonal())]
        return finishing.assembled(self.end, parts)


def block_size(job: Job) -> tuple[int, int]:
    """Return the rows and columns of outputs whose sums a launch keeps at once: BLOCK_BYTES, if a tile has no more.

    Blocks are whole tiles, with stride 2 also whole jobs; those along a row are as equal as can be.
    """
    step = 2 * TILE if is_strided(job) else TILE
    rows, columns = job.out_size
    most = max(BLOCK_BYTES // (finishing.pixel_bytes(job.outputs) * min(step, rows) * step), 1) * step
    each = -(-columns // -(-columns // most))
    return min(step, rows), min(-(-each // step) * step, columns)


def sums_bytes(job: Job) -> int:
    """Return the bytes of the sums that a launch keeps in memory; 0 if it is requantised in one job."""
    if job.kind == JobKind.ADD:
        return adding.sums_bytes(job.output_bytes)
    rows, columns = block_size(job)
    return rows * columns * finishing.pixel_bytes(job.outputs) if is_in_two(job) else 0


def constant_bytes(job: Job) -> int:
    """Return the bytes of a launch's weights and other constants."""
    if job.kind == JobKind.ADD:
        return adding.Places.of(job["bits"] // 8, decoded(job["requant"])).end
    return Places.of(job).end


def registers_of(job: Job, source: int, target: int, sums: int = 0, rhs: int = 0) -> Iterator[Registers]:
    """Yield the hardware's jobs for a launch whose constants are at 0, its maps and its sums elsewhere.

    rhs: of a sum, where its second map is.
    """
    if job.kind == JobKind.ADD:
        requantisation = decoded(job["requant"])
        yield from adding.jobs(job.output_bytes, job["bits"] // 8, requantisation, (source, rhs), sums, target)
        return
    rows, columns = (Span(0, size) for size in job.out_size)
    if not is_in_two(job):
        yield from _own(job, source, target, rows, columns)
        return
    most_rows, most_columns = block_size(job)
    for part_rows in rows.cut(most_rows):
        for part_columns in columns.cut(most_columns):
            yield from _own(job, source, sums, part_rows, part_columns)
            yield from _finishing(job, sums, target, part_rows, part_columns)


def _finishing(job: Job, sums: int, target: int, rows: Span, columns: Span) -> Iterator[Registers]:
    """Yield the jobs that make results of the sums of a part of a launch."""
    places, size = Places.of(job), (rows.size, columns.size)
    constants = FinishingConstants(places.biases, places.shifts, places.ones, places.zeros, places.diagonal)
    yield from finishing.second_jobs(sums, job.outputs, rows.size * columns.size, decoded(job["requant"]), constants)
    y = _output(job, target)
    first = y.at(rows.start, columns.start)
    yield from finishing.packing_jobs(sums, first, job.outputs, size, y.row_bytes, constants)


def _output(job: Job, address: int) -> Map:
    return Map(address, job.outputs, job.outputs * job.out_size[1])


def _own(job: Job, source: int, target: int, rows: Span, columns: Span) -> Iterable[Registers]:
    """Return the jobs that compute a part of a launch: results in the map at `target`, or the part's sums there."""
    layer, places = tile_of(job), Places.of(job)
    x = Map(source, job.channels, job.channels * job.size[1])
    tile = Tile(Span(0, job.outputs), rows, columns, Span(0, job.channels))
    if is_in_two(job):
        pixel = finishing.pixel_bytes(job.outputs)
        y = Map(target, pixel, pixel * columns.size, rows.start, columns.start)
        constants = Constants(places.weights, places.scales, requantisation=FIRST)
        return layers.jobs(layer, mode_of(job), tile, x, y, constants, output=Width.BITS_32)
    constants = Constants(places.weights, places.scales, places.shifts, places.biases, decoded(job["requant"]))
    return layers.jobs(layer, mode_of(job), tile, x, _output(job, target), constants)


@lru_cache(maxsize=65536)
def job_cycles(job: Job) -> int:
    """Return the cycles of a launch: of its jobs, and of configuring each."""
    if job.kind == JobKind.ADD:
        return _taken(registers_of(job, 0, 0))
    (rows, columns), size = job.out_size, block_size(job)
    if not is_in_two(job):
        return _own_cycles(job, rows, columns)
    total = 0
    for row_count, part_rows in _alike(rows, size[0]):
        for column_count, part_columns in _alike(columns, size[1]):
            finishing_cycles = _taken(_finishing(job, 0, 0, Span(0, part_rows), Span(0, part_columns)))
            total += row_count * column_count * (_own_cycles(job, part_rows, part_columns) + finishing_cycles)
    return total


def _alike(size: int, step: int) -> list[tuple[int, int]]:
    """Return how many parts there are of each size: their jobs differ in places and padding only."""
    whole, rest = divmod(size, step)
    return [(count, part) for count, part in ((whole, step), (1, rest)) if count and part]


def _own_cycles(job: Job, rows: int, columns: int) -> int:
    """Return the cycles of computing some rows and columns: with stride 2, jobs are alike."""
    step, count = layers.STRIDED_OUTPUTS, 1
    if is_strided(job):
        count = -(-rows // step) * -(-columns // step)
        rows, columns = min(step, rows), min(step, columns)
    return count * _taken(_own(job, 0, 0, Span(0, rows), Span(0, columns)))


def _taken(jobs: Iterable[Registers]) -> int:
    return sum(cycles.cycles(each) + CONFIGURATION_CYCLES for each in jobs)
