"""What kernels "wide_row" and "quad_row" promise: runs of taps of one row whose sums always fit 16 bits.

Two channels share each multiplication (runtime/kernels/htvm_paired_row.h), exact under the condition of
packed_weights.py. A run that satisfies it does so without some of its taps, too: what is left out of a sum moves both
of its ends towards 0. So inputs may be skipped when running, and the runs stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from .packed_weights import LEAST_SUM, MOST_SUM, sums_fit

CHANNELS = 8
"""Output channels of a block."""
UNIT = 4
"""Taps that are computed one after the other, without a test in between; a run has one unit at least."""
MOST_REMEMBERED = 1 << 17
"""Weights of a layer whose runs are remembered."""
LONGEST_RUN = 255
"""Units of a run: its length is a byte."""
MOST_TAPS = 1 << 16
"""An excess names its tap in 16 bits; and 255 * 128 times as many fit 31."""
MOST_EXCESS = (1 << 16) - 1
"""Of a block: their number has 16 bits."""
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


def row_blocks(weights: np.ndarray, low: int, high: int) -> Sequence[RowBlock]:
    """Cut weights [K, taps] into runs as long as inputs from `low` to `high` allow, where low <= 0 <= high.

    The taps must be a multiple of UNIT. Small layers are remembered: they are asked for when kernels are chosen, and
    for the C.
    """
    whole = np.ascontiguousarray(weights, np.int64)
    cut = _remembered if whole.size <= MOST_REMEMBERED else _cut
    return cut(whole.tobytes(), whole.shape[1], low, high)


def _cut(numbers: bytes, taps: int, low: int, high: int) -> tuple[RowBlock, ...]:
    weights = np.frombuffer(numbers, np.int64).reshape(-1, taps)
    padded = _whole_blocks(weights)
    kept = _reduced(padded.reshape(-1, UNIT), low, high).reshape(padded.shape)
    left = padded - kept
    excess = (
        tuple((int(tap), int(channel), int(block[channel, tap])) for tap, channel in np.argwhere(block.T))
        for block in left.reshape(-1, CHANNELS, weights.shape[1])
    )
    blocks = kept.reshape(-1, CHANNELS, weights.shape[1])
    runs = _longest_runs(blocks, low, high)
    return tuple(RowBlock(*parts) for parts in zip(runs, blocks.transpose(0, 2, 1), excess))


_remembered = lru_cache(maxsize=32)(_cut)


def share_that_fits(weights: np.ndarray, low: int, high: int) -> float:
    """Return what part of the units of weights [K, taps] needs no excess."""
    return float(sums_fit(weights.reshape(-1, UNIT), low, high).mean())


def _whole_blocks(weights: np.ndarray) -> np.ndarray:
    return np.pad(weights.astype(np.int64), [(0, -len(weights) % CHANNELS), (0, 0)])


def _reduced(units: np.ndarray, low: int, high: int) -> np.ndarray:
    """Return units [number, UNIT], whose weights are made smaller until they fit: those first that reach furthest."""
    units = units.copy()
    wrong = np.flatnonzero(~sums_fit(units, low, high))
    while len(wrong):
        weights = units[wrong]
        least, most = _ends(weights, low, high)
        is_above = most.sum(axis=1) > MOST_SUM
        reach = np.where(is_above[:, None], most, -least)  # of each weight, to the side that is too far
        bound = np.where(is_above, MOST_SUM, -LEAST_SUM)
        furthest = reach.argmax(axis=1)
        rows = np.arange(len(wrong))
        one, by = weights[rows, furthest], reach[rows, furthest]
        room = np.maximum(bound - (reach.sum(axis=1) - by), 0)
        weights[rows, furthest] = np.sign(one) * (room * np.abs(one) // by)  # `by` is |one| times an end of the inputs
        units[wrong] = weights
        wrong = wrong[~sums_fit(weights, low, high)]
    return units


def _ends(weights: np.ndarray, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the most of each product with inputs from `low` to `high`."""
    lows, highs = weights * low, weights * high
    return np.minimum(lows, highs), np.maximum(lows, highs)


def _longest_runs(blocks: np.ndarray, low: int, high: int) -> list[tuple[int, ...]]:
    """Return the taps of each run of blocks [block, channel, tap], each unit of which fits."""
    ends = (each.reshape(*blocks.shape[:2], -1, UNIT).sum(axis=3) for each in _ends(blocks, low, high))
    least, most = (each.transpose(2, 0, 1) for each in ends)
    begins = np.zeros((len(least), len(blocks)), bool)  # whether a run of each block begins at each unit
    units: np.ndarray = np.stack([most, -least], axis=1)
    limits: np.ndarray = np.array([MOST_SUM, -LEAST_SUM])[:, None, None]
    sums: np.ndarray = np.zeros((2, *blocks.shape[:2]), np.int64)
    length = np.zeros(len(blocks), np.int64)
    for number, begin in enumerate(begins):
        sums = sums + units[number]
        begin[:] = (length == LONGEST_RUN) | (sums > limits).any(axis=(0, 2))
        sums = np.where(begin[None, :, None], units[number], sums)
        length = np.where(begin, 1, length + 1)
    ends = ([0, *np.flatnonzero(begin).tolist(), len(least)] for begin in begins.T)
    return [tuple(UNIT * (stop - start) for start, stop in pairwise(each)) for each in ends]
