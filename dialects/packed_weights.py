"""What kernel "packed" promises: runs of taps whose sums always fit 16 bits; how weights are cut into them.

Two pixels share each multiplication (runtime/kernels/htvm_packed.h), which is exact as long as no sum of a run leaves
16 bits. With all inputs in [low, high] the sums of weights w lie between

    sum of min(w * low, w * high)   and   sum of max(w * low, w * high)

and both ends are reached, by inputs at the ends of their range. So a run fits exactly if these two numbers do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

CHANNELS = 2
"""Output channels whose weights lie together."""
PIXELS = 6
"""Pixels of a block; a packed layer has at least as many in each image."""
WORDS = 3
"""Words of a collected tap: two pixels in each."""
UNITS = (0, 3, 4, 6)
"""Taps of a run; 0 for no runs, where all taps are listed one by one."""
TAP_BYTES = 3
"""Bytes of a tap in a list: its distance from the tap before, and two weights."""
LEAST_SUM, MOST_SUM = -(1 << 15), (1 << 15) - 1
"""What the sum of a run may be."""
LONGEST_STEP = 255 // WORDS
LONGEST_RUN = 255 // TAP_BYTES


@dataclass(frozen=True)
class PackedWeights:
    """Weights as htvm_packed.h reads them: `runs` runs of `unit` taps for each two channels, and lists.

    dense: [block][runs * unit][2]. lists: for each block its runs of (tap, weight, weight).
    """

    unit: int
    runs: int
    dense: np.ndarray
    lists: tuple[tuple[list[tuple[int, int, int]], ...], ...]

    @property
    def rest(self) -> np.ndarray:
        """The lists in bytes."""
        return np.frombuffer(b"".join(map(_list_bytes, self.lists)), np.uint8)

    @property
    def size_bytes(self) -> int:
        return self.dense.size + self.rest.size


def run_fits(weights: np.ndarray, low: int, high: int) -> bool:
    """Say whether no inputs from `low` to `high` take the sum over a run, in any of its channels, out of 16 bits.

    weights: [channels, taps].
    """
    return bool(sums_fit(weights, low, high).all())


def sums_fit(weights: np.ndarray, low: int, high: int) -> np.ndarray:
    """Say of each sum along the last axis whether it stays in 16 bits."""
    at_low, at_high = weights.astype(np.int64) * low, weights.astype(np.int64) * high
    least, most = np.minimum(at_low, at_high).sum(axis=-1), np.maximum(at_low, at_high).sum(axis=-1)
    return (least >= LEAST_SUM) & (most <= MOST_SUM)


def pack_weights(weights: np.ndarray, unit: int, low: int, high: int) -> PackedWeights:
    """Cut weights [K, taps] of one group into runs of `unit` taps that fit, and lists of what they cannot hold.

    Raises ValueError if one weight alone does not fit.
    """
    k, taps = weights.shape
    runs = -(-taps // unit) if unit else 0
    padded = np.zeros((k + k % CHANNELS, max(runs * unit, taps)), np.int64)
    padded[:k, :taps] = weights
    blocks = padded.reshape(-1, CHANNELS, padded.shape[1])
    cut = blocks[:, :, : runs * unit].reshape(len(blocks), CHANNELS, runs, unit).copy()
    for block, run in np.argwhere(~sums_fit(cut, low, high).all(axis=1)):
        cut[block, :, run] = _reduced(cut[block, :, run].tolist(), low, high)
    kept = cut.reshape(len(blocks), CHANNELS, runs * unit)
    excess = blocks.copy()
    excess[:, :, : runs * unit] -= kept
    lists = tuple(tuple(_listed(each, low, high)) for each in _entries(excess))
    return PackedWeights(unit, runs, kept.transpose(0, 2, 1).astype(np.int8), lists)


def _reduced(run: list[list[int]], low: int, high: int) -> list[list[int]]:
    """Return the weights [channels][taps] of a run, made smaller in as few taps as possible, such that the run fits."""
    reduced: list[list[int]] = []
    shared: dict[int, None] = {}
    for channel in run:
        weights, bounds = [*channel], (0, 0)
        for weight in weights:
            bounds = _with_tap(bounds, weight, low, high)
        largest_first = sorted(range(len(weights)), key=lambda tap: -abs(channel[tap]))
        for tap in dict.fromkeys([*shared, *largest_first]):
            if _in_16_bits(bounds):
                break
            shared[tap] = None
            others = _without_tap(bounds, weights[tap], low, high)
            weights[tap] = _largest_that_fits(weights[tap], others, low, high)
            bounds = _with_tap(others, weights[tap], low, high)
        reduced.append(weights)
    return reduced


def _largest_that_fits(weight: int, others: tuple[int, int], low: int, high: int) -> int:
    """Return a weight as near to `weight` as the bounds of the other taps' sum allow, 0 if they allow none."""
    sign = 1 if weight > 0 else -1
    small, large = 0, abs(weight)
    while small < large:
        middle = (small + large + 1) // 2
        fits = _in_16_bits(_with_tap(others, sign * middle, low, high))
        small, large = (middle, large) if fits else (small, middle - 1)
    return sign * small


def _listed(entries: list[tuple[int, int, int]], low: int, high: int) -> Iterator[list[tuple[int, int, int]]]:
    """Yield runs of the entries of a block, each as long as it fits."""
    run: list[tuple[int, int, int]] = []
    sums = (0, 0), (0, 0)
    for entry in entries:
        _, first, second = entry
        longer = _with_tap(sums[0], first, low, high), _with_tap(sums[1], second, low, high)
        if run and (len(run) == LONGEST_RUN or not all(map(_in_16_bits, longer))):
            yield run
            run = []
            longer = _with_tap((0, 0), first, low, high), _with_tap((0, 0), second, low, high)
        if not run and not all(map(_in_16_bits, longer)):
            raise ValueError(f"weights {(first, second)} times inputs from {low} to {high} do not fit 16 bits")
        run.append(entry)
        sums = longer
    if run:
        yield run


def _entries(excess: np.ndarray) -> list[list[tuple[int, int, int]]]:
    """Return (tap, weight, weight) of the taps of each block of [blocks, 2, taps] that are not zero.

    Where two of them are too far apart for a byte, a tap of zeros comes between. Most blocks have none: NumPy is asked
    once for all.
    """
    found: list[list[tuple[int, int, int]]] = [[] for _ in excess]
    blocks, taps = np.nonzero(excess.any(axis=1))
    weights = excess[blocks, :, taps].tolist()
    for block, tap, (first, second) in zip(blocks.tolist(), taps.tolist(), weights):
        entries = found[block]
        at = entries[-1][0] if entries else 0
        entries += [(between, 0, 0) for between in range(at + LONGEST_STEP, tap, LONGEST_STEP)]
        entries.append((tap, first, second))
    return found


def _with_tap(bounds: tuple[int, int], weight: int, low: int, high: int) -> tuple[int, int]:
    """Return the least and the most of a sum after one more tap."""
    at_low, at_high = weight * low, weight * high
    if at_low > at_high:
        at_low, at_high = at_high, at_low
    return bounds[0] + at_low, bounds[1] + at_high


def _without_tap(bounds: tuple[int, int], weight: int, low: int, high: int) -> tuple[int, int]:
    """Return the least and the most of a sum before `_with_tap` of the same weight."""
    least, most = _with_tap((0, 0), weight, low, high)
    return bounds[0] - least, bounds[1] - most


def _in_16_bits(bounds: tuple[int, int]) -> bool:
    return LEAST_SUM <= bounds[0] and bounds[1] <= MOST_SUM


def _list_bytes(runs: tuple[list[tuple[int, int, int]], ...]) -> bytes:
    found, at = bytearray(), 0
    for run in runs:
        found.append(TAP_BYTES * len(run))
        for tap, first, second in run:
            found += bytes((WORDS * (tap - at), first & 255, second & 255))
            at = tap
    found.append(0)
    return bytes(found)
