"""The cycles of a job, state by state, and its accesses to memory.

Every number is measured on the RTL: 763 recorded jobs without a refused access have these cycles in each state, and 793
these accesses. A job is a sequence of blocks, one for each tile and each block of output channels; nothing overlaps.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from htvm.backend.targets.engines.ne16.job import Job, Mode, Width

START_CYCLES = 4
"""From the write of TRIGGER to the first block."""

QUEUED_CYCLES_LESS = 1
"""By as much does a job end sooner that was queued while the one before was running."""

INDEX_CYCLES = 34
"""What the sequential multipliers for addresses take at the start of a job: the first block waits for them."""

COLUMNS = 9
"""Output pixels of a tile. All are written, those outside of the map without a byte enabled."""


class Phase(Enum):
    """The states of the hardware in which a job spends cycles."""

    LOAD = "LOAD"
    WEIGHT_OFFSET = "WEIGHTOFFS"
    STREAM_IN = "STREAMIN"
    MATRIX_VECTOR = "MATRIXVEC"
    NEXT_INDEX = "UPDATEIDX"
    WAIT_FOR_INDEX = "UPDATEIDX_WAIT"
    SHIFT = "NORMQUANT_SHIFT"
    SCALE = "NORMQUANT"
    BIAS = "NORMQUANT_BIAS"
    STREAM_OUT = "STREAMOUT"
    NEXT_BLOCK = "STREAMOUT_DONE"


def cycles(job: Job, stalls: int = 0) -> int:
    """Return the cycles from the write of TRIGGER to the event.

    stalls: accesses that memory refuses for a cycle; each is counted as one cycle more. Measured in 36 jobs with 11 to
    4,535 of them: 0.89 to 1.04 cycles each.
    """
    return START_CYCLES + sum(phases(job).values()) + stalls


def phases(job: Job) -> Mapping[Phase, int]:
    """Return the cycles of a job in each state, without stalls."""
    tiles = job.rows.count * job.columns.count
    total = dict.fromkeys(Phase, 0)
    sizes = job.outputs.sizes(job.output_step)
    for channels in sizes:
        for phase, count in _block(job, channels).items():
            total[phase] += count * tiles
    first = _block(job, sizes[0])
    before_index = sum(first[phase] for phase in (Phase.LOAD, Phase.WEIGHT_OFFSET, Phase.MATRIX_VECTOR))
    one_step = before_index // job.input_steps + first[Phase.STREAM_IN]
    total[Phase.WAIT_FOR_INDEX] = max(0, INDEX_CYCLES - one_step)
    total[Phase.NEXT_BLOCK] = tiles * len(sizes) - 1
    return total


def _block(job: Job, channels: int) -> Mapping[Phase, int]:
    """Return the cycles in which a tile of `channels` outputs is computed."""
    steps, requant = job.input_steps, job.requantisation
    eights = -(-channels // 8)
    words = COLUMNS * (eights if job.output is Width.BITS_32 else 1)
    load = {Mode.CONV1X1: 19, Mode.LINEAR: 22}.get(job.mode, 31)
    scale_cycles = {Width.BITS_8: -(-channels // 4), Width.BITS_16: -(-channels // 2)}.get(requant.scale, channels)
    return {
        Phase.LOAD: steps * load,
        Phase.WEIGHT_OFFSET: steps * (6 + (channels if job.mode is Mode.DEPTHWISE3X3 else 0)),
        Phase.STREAM_IN: 7 + words if job.stream_in else 0,
        Phase.MATRIX_VECTOR: steps * (6 + channels * job.weight_reads + (5 if job.stream_in else 0)),
        Phase.NEXT_INDEX: steps * 2,
        Phase.SHIFT: 8 if requant.enabled and requant.has_shift_array else 0,
        Phase.SCALE: 8 + scale_cycles + (1 if requant.has_bias else 0) if requant.enabled else 0,
        Phase.BIAS: 8 + eights if requant.enabled and requant.has_bias else 0,
        Phase.STREAM_OUT: 3 + words,
    }


def accesses(job: Job) -> tuple[int, int]:
    """Return how often a job reads and writes memory: 36 bytes each time, whatever is needed of them."""
    requant, reads, writes = job.requantisation, 0, 0
    load = {Mode.CONV1X1: 9, Mode.LINEAR: 16}.get(job.mode, 25)
    for channels in job.outputs.sizes(job.output_step):
        eights = -(-channels // 8)
        words = COLUMNS * (eights if job.output is Width.BITS_32 else 1)
        reads += job.input_steps * (load + channels * job.weight_reads) + (words if job.stream_in else 0)
        if requant.enabled:
            reads += -(-channels * requant.scale.size_bytes // 32)
            reads += (eights if requant.has_bias else 0) + (1 if requant.has_shift_array else 0)
        writes += words
    tiles = job.rows.count * job.columns.count
    return tiles * reads, tiles * writes
