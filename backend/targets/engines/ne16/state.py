"""What NE16 keeps from one job to the next, and when it is cleared.

The nine pixels of a tile have accumulators for 32 channels each. The hardware clears those of the pixels that the next
tile uses; a job begins without that. While it is idle, it clears the pixels that are used by the *last* tile index of
the job before, seen with the registers of the context that runs next. Where that job had as many tiles or more, and the
next one has a partial last tile, some pixels keep their accumulators, and its first tile adds its sums to them.

Read in the RTL (rtl/ctrl/ne16_ctrl.sv, `enable_column`, `clear`); test/inputs/ne16/sequences.npz has what it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from htvm.backend.targets.engines.ne16.job import OUTPUT_BLOCK, REGISTERS, TILE, Job, Mode

CONTEXTS = 2
"""Sets of job registers, used in turn."""

ROW_REMAINDERS, TILE_COUNTS, CONFIGURATION = 16, 19, 23
"""The registers that say which pixels of a tile are used: rows and columns are their upper and lower halves."""

LINEAR_FLAG, STRIDED_FLAG = 1 << 7, 1 << 8

Words = tuple[int, ...]


def _no_accumulators() -> np.ndarray:
    return np.zeros((TILE * TILE, OUTPUT_BLOCK), np.int32)


@dataclass(frozen=True, eq=False)
class State:
    """What is left of the jobs so far. As it is made, what a reset leaves.

    accumulators: int32[9 pixels, 32 channels]. last_tile: row and column of the last tile that was computed.
    contexts: the registers of both contexts. context: the one that the next job is given.
    """

    accumulators: np.ndarray = field(default_factory=_no_accumulators)
    last_tile: tuple[int, int] = (0, 0)
    contexts: tuple[Words, Words] = ((0,) * REGISTERS, (0,) * REGISTERS)
    context: int = 0

    def soft_cleared(self) -> State:
        """Return what is left after a write of 1 to SOFT_CLEAR: the registers. What runs or is queued is lost."""
        return State(contexts=self.contexts)

    def given(self, words: Sequence[int], queued: bool = False) -> State:
        """Return the state in which a job with these registers starts.

        queued: they are written while the job before is running; else while the hardware is idle, in the order of the
        registers. An idle hardware clears by what the registers are at each moment, so both leave different pixels.
        """
        new, old = tuple(int(word) for word in words), self.contexts[self.context]
        stages = [new] if queued else [(*new[:end], *old[end:]) for end in range(REGISTERS + 1)]
        cleared = np.zeros(TILE * TILE, bool)
        for stage in dict.fromkeys(stages):
            cleared |= _used_pixels(stage, self.last_tile)
        contexts = (new, self.contexts[1]) if self.context == 0 else (self.contexts[0], new)
        kept = np.where(cleared[:, None], np.int32(0), self.accumulators)
        return replace(self, accumulators=kept, contexts=contexts)

    def after(self, job: Job, accumulators: np.ndarray) -> State:
        """Return the state behind a job that has left these accumulators."""
        last = (job.rows.count - 1, job.columns.count - 1)
        return replace(self, accumulators=accumulators, last_tile=last, context=(self.context + 1) % CONTEXTS)

    def is_exposed(self, job: Job) -> bool:
        """Say whether the first tile of a job adds to accumulators that are not 0, and so computes wrong sums.

        The job has been `given`. A depthwise job overwrites them, and so does one with stream-in.
        """
        if job.mode is Mode.DEPTHWISE3X3 or job.stream_in:
            return False
        channels = job.outputs.sizes(job.output_step)[0]
        return bool(self.accumulators[used_pixels(job, (0, 0)), :channels].any())


def _used_pixels(words: Words, tile: tuple[int, int]) -> np.ndarray:
    """Return bool[9]: the pixels that registers use of a tile, which need not be one of theirs."""
    if words[CONFIGURATION] & LINEAR_FLAG:
        return np.arange(TILE * TILE) == 0
    used = np.ones((TILE, TILE), bool)
    for axis, (shift, index) in enumerate(zip((16, 0), tile, strict=True)):
        count, remainder = (words[register] >> shift & 0xFFFF for register in (TILE_COUNTS, ROW_REMAINDERS))
        # The comparison is unsigned: count - 1 of a register that is 0 is the largest number.
        full = index < (count - 1) % (1 << 32) or remainder == 0
        size = TILE if full else remainder
        lines = np.arange(TILE) < size
        if words[CONFIGURATION] & STRIDED_FLAG:
            lines = lines & (np.arange(TILE) != 1)
        used &= np.expand_dims(lines, 1 - axis)
    return used.reshape(-1)


def used_pixels(job: Job, tile: tuple[int, int]) -> np.ndarray:
    """Return bool[9]: the pixels of one of a job's tiles that are computed."""
    return _used_pixels(job.words(), tile)


def can_be_exposed(job: Job, before: Job) -> bool:
    """Say whether a job can start on accumulators that `before`, or one before that, has left: by their sizes alone.

    True wherever `State.is_exposed` can be: an axis has a partial last tile, and no more tiles than `before` had.
    """
    if job.mode is Mode.DEPTHWISE3X3 or job.stream_in:
        return False
    axes = ((job.rows, before.rows), (job.columns, before.columns))
    return any(1 < axis.count <= other.count and axis.remainder % TILE for axis, other in axes)
