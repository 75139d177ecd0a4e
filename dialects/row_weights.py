"""What kernels "wide_row" and "quad_row" promise: runs of taps of one row whose sums always fit 16 bits.

Two channels share each multiplication (runtime/kernels/htvm_paired_row.h), exact under the condition of
packed_weights.py. A run that satisfies it does so without some of its taps, too: what is left out of a sum moves both
of its ends towards 0. So inputs may be skipped when running, and the runs stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .packed_weights import LEAST_SUM, MOST_SUM, reduced_run, sums_fit

CHANNELS = 8
"""Output channels of a block."""
UNIT = 4
"""Taps that are computed one after the other, without a test in between; a run has one unit at least."""
LONGEST_RUN = 255
"""Units of a run: its length is a byte."""
MOST_TAPS = 1 << 16
"""An excess names its tap in 16 bits; and 255 * 128 times as many fit 31."""
EXCESS_BYTES = 4
BYTE_BIAS = 128
"""What is added to a weight that is stored as a byte of a quad."""


@dataclass(frozen=True)
class RowBlock:
    """Eight channels, those beyond the last of weight 0.

    runs: the taps of each run, which are all taps together. weights: [tap, 8], what the runs hold. excess: (tap,
    channel, weight) for what they do not.
    """

    runs: tuple[int, ...]
    weights: np.ndarray
    excess: tuple[tuple[int, int, int], ...]

    @property
    def words(self) -> np.ndarray:
        """Two channels in each word, w_a + w_b * 2^16: uint32 [tap, 4]."""
        return ((self.weights[:, ::2] + (self.weights[:, 1::2] << 16)) & 0xFFFFFFFF).astype(np.uint32)

    @property
    def quads(self) -> np.ndarray:
        """Four channels in each word, 0 2 1 3 from the lowest byte: uint32 [tap, 2]."""
        stored = (self.weights + BYTE_BIAS).reshape(-1, 2, 4)[:, :, [0, 2, 1, 3]]
        return (stored << np.array([0, 8, 16, 24])).sum(axis=2).astype(np.uint32)

    @property
    def side_bytes(self) -> int:
        """What lies beside the weights: lengths, a head, and the excess."""
        return len(self.runs) + EXCESS_BYTES * (1 + len(self.excess))


def row_blocks(weights: np.ndarray, low: int, high: int) -> list[RowBlock]:
    """Cut weights [K, taps] into runs as long as inputs from `low` to `high` allow.

    The taps must be a multiple of UNIT.
    """
    k, taps = weights.shape
    padded = np.zeros((-(-k // CHANNELS) * CHANNELS, taps), np.int64)
    padded[:k] = weights
    return [_block(block, low, high) for block in padded.reshape(-1, CHANNELS, taps)]


def _block(weights: np.ndarray, low: int, high: int) -> RowBlock:
    channels, taps = weights.shape
    units = weights.reshape(channels, taps // UNIT, UNIT).copy()
    for channel, number in np.argwhere(~sums_fit(units, low, high)):
        units[channel, number] = reduced_run(units[channel, number][None], low, high)[0]
    kept = units.reshape(channels, taps)
    left = (weights - kept).T
    excess = tuple((int(tap), int(channel), int(left[tap, channel])) for tap, channel in np.argwhere(left))
    return RowBlock(_longest_runs(units, low, high), kept.T, excess)


def _longest_runs(units: np.ndarray, low: int, high: int) -> tuple[int, ...]:
    """Return the taps of each run, for units [channel, number, tap] each of which fits."""
    least = np.minimum(units * low, units * high).sum(axis=2).T
    most = np.maximum(units * low, units * high).sum(axis=2).T
    runs, (down, up) = [0], np.zeros((2, len(units)), np.int64)
    for below, above in zip(least, most):
        down, up = down + below, up + above
        if down.min() < LEAST_SUM or up.max() > MOST_SUM or runs[-1] == LONGEST_RUN:
            runs.append(0)
            down, up = below, above
        runs[-1] += 1
    return tuple(UNIT * run for run in runs)
