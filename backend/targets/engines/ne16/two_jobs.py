"""Constants for a layer that one job does not requantise exactly: a second job finishes what the first has scaled.

One job adds its bias to a product of 32 bits. A layer with float scales mostly needs more: an accumulator of 20 bits
times a scale that is exact to 17. Without a bias a product has 48 bits, and a result of 32. So

    first   value = (acc * scale[k]) >> shift[k]        the layer's job, 32-bit scales, int32 results
    second  clip((value + bias[k]) >> fraction[k])      1x1 with stream-in and weights of 0, 8 output channels

finishing.py has the second one, and what brings its results together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from htvm.backend.targets.engines.ne16.job import Requantisation, Width
from htvm.backend.targets.engines.ne16.requant import CLIPS, FAR, LEVEL_SHIFT, PRODUCT_BITS, Thresholds
from htvm.backend.targets.engines.shift_requant import INT32
from htvm.backend.targets.violations import Described, OfOutput, Subject, Violation, WithOffset

SHIFT = 16
"""Of the first job: a result of 32 bits, times 2^16, is a product of 48."""

VALUE_BITS = 31
"""Of a result of the first job, without its sign."""

FRACTIONS_TRIED = 4
"""The largest, and smaller ones: the bias must fit beside the values, and leaves them less room if it is as large."""

LARGEST_SCALE = (1 << 32) - 1
TRIALS = 17
"""Scales that are tried at a time, of those near a layer's own."""

FIRST = Requantisation(Width.BITS_32, SHIFT, has_bias=False, has_shift_array=False, relu=False)
"""How the first job scales; its results have 32 bits."""


@dataclass(frozen=True)
class TwoJobs:
    """The constants of both jobs, by channel. Fractions are all equal where there is no array of them."""

    scales: tuple[int, ...]
    biases: tuple[int, ...]
    fractions: tuple[int, ...]
    relu: bool
    has_shift_array: bool

    @property
    def requantisation(self) -> Requantisation:
        """How the second job finishes: its scales are all 1."""
        shift = 0 if self.has_shift_array else self.fractions[0]
        return Requantisation(Width.BITS_8, shift, has_bias=True, has_shift_array=self.has_shift_array, relu=self.relu)

    def of_channels(self, chosen: slice) -> TwoJobs:
        """Return the constants of some channels, with the same fields of registers."""
        return replace(self, scales=self.scales[chosen], biases=self.biases[chosen], fractions=self.fractions[chosen])

    def packed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the bytes of scales, fractions and biases; those of fractions are empty where there is no array."""
        scales, biases = np.array(self.scales, "<u4").view(np.uint8), np.array(self.biases, "<i4").view(np.uint8)
        return scales, np.array(self.fractions if self.has_shift_array else (), np.uint8), biases

    def outputs(self, accumulators: np.ndarray) -> np.ndarray:
        """Return the results of accumulators int64[channels, ..]."""
        scales, biases, fractions = (
            np.array(each, np.int64).reshape(-1, *[1] * (accumulators.ndim - 1))
            for each in (self.scales, self.biases, self.fractions)
        )
        return np.clip((((accumulators * scales) >> SHIFT) + biases) >> fractions, *CLIPS[self.relu])


def solve(wanted: Thresholds) -> TwoJobs | Violation:
    """Return constants that are exact for every accumulator that occurs, if there are some with one fraction for all
    channels, which is faster; where there are none, why.
    """
    failed = 0
    for relu, clip in CLIPS.items():
        places = wanted.within(clip)
        if places is None or wanted.slopes.min() < 0:
            continue
        largest = _largest_fractions(wanted)
        for is_one in (True, False):
            *found, exact = _constants(wanted, places, clip[0], largest, is_one)
            if exact.all():
                scales, biases, fractions = (tuple(int(number) for number in numbers) for numbers in found)
                return TwoJobs(scales, biases, fractions, relu, has_shift_array=len(set(fractions)) > 1)
            failed = int(exact.argmin())
    slope = OfOutput(WithOffset(float(wanted.slopes[failed])), failed)
    return Violation(Subject.SCALE, slope, Described(f"one that {PRODUCT_BITS} bits of a product are exact for"))


def _largest_fractions(wanted: Thresholds) -> np.ndarray:
    """Return the largest fraction of each channel with which scales and values fit their widths."""
    furthest = np.maximum(np.maximum(np.abs(wanted.first), np.abs(wanted.last)), 1).astype(np.float64)
    with np.errstate(divide="ignore"):
        most = np.minimum(VALUE_BITS - np.log2(furthest * wanted.slopes), 32 - SHIFT - np.log2(wanted.slopes))
    return np.clip(np.floor(most), 0, LEVEL_SHIFT).astype(np.int64)


def _constants(
    wanted: Thresholds, places: np.ndarray, low: int, largest: np.ndarray, is_one: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return scales, biases and fractions of all channels, and which are exact. is_one: they share a fraction."""
    slopes, channels = wanted.slopes, len(wanted.slopes)
    scales, biases, fractions = (np.zeros(channels, np.int64) for _ in range(3))
    exact = np.zeros(channels, bool)
    if is_one:
        largest = np.full_like(largest, largest.min())
    outputs = np.arange(low + 1, low + 1 + places.shape[1], dtype=np.int64)
    for less in range(FRACTIONS_TRIED):
        fraction = np.maximum(largest - less, 0)
        goals = outputs << fraction[:, None]
        about = np.clip(np.floor(slopes * 2.0 ** (SHIFT + fraction)), 1, LARGEST_SCALE - 1).astype(np.int64)
        if is_one:
            exact[:] = False
        # 0 is exact for a channel whose output never changes.
        for trial in (about, about + 1, np.zeros(channels, np.int64), None):
            rows = np.flatnonzero(~exact)
            if trial is None:
                peaks = [_roomiest(wanted, places, goals, channel, int(about[channel])) for channel in rows.tolist()]
                tried = np.array(peaks, np.int64)
            else:
                tried = trial[rows]
            least, most = _bias_bounds(wanted, places, goals, rows, tried)
            fits = least <= most
            chosen = rows[fits]
            scales[chosen], fractions[chosen] = tried[fits], fraction[chosen]
            biases[chosen] = np.clip(0, least[fits], most[fits])
            exact[chosen] = True
        if exact.all():
            break
    return scales, biases, fractions, exact


def _bias_bounds(
    wanted: Thresholds, places: np.ndarray, goals: np.ndarray, rows: np.ndarray, scales: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest bias of scales, one for each channel of `rows`; crossed if there is none."""
    first, last, places, goals = wanted.first[rows, None], wanted.last[rows, None], places[rows], goals[rows]
    scale = scales[:, None]
    least = np.where(places <= last, goals - (scale * places >> SHIFT), -FAR).max(1, initial=-FAR)
    most = np.where(places > first, goals - 1 - (scale * (places - 1) >> SHIFT), FAR).min(1, initial=FAR)
    lowest, highest = (scale * first >> SHIFT)[:, 0], (scale * last >> SHIFT)[:, 0]
    fits = (lowest >= INT32[0]) & (highest <= INT32[1])  # else results would be clipped
    least = np.maximum(least, INT32[0] - np.minimum(lowest, 0))
    most = np.minimum(most, INT32[1] - np.maximum(highest, 0))
    return np.where(fits, least, FAR), np.where(fits, most, -FAR)


def _roomiest(wanted: Thresholds, places: np.ndarray, goals: np.ndarray, channel: int, about: int) -> int:
    """Return the scale near `about` with the widest range of biases.

    The range has one peak, to which an interval is narrowed.
    """
    low, high = max(about - about // 256, 1), min(about + about // 256 + 1, LARGEST_SCALE)
    while high - low > TRIALS:
        trials = np.linspace(low, high, TRIALS).astype(np.int64)
        least, most = _bias_bounds(wanted, places, goals, np.full(TRIALS, channel), trials)
        best = int(np.argmax(most - least))
        low, high = int(trials[max(best - 1, 0)]), int(trials[min(best + 1, TRIALS - 1)])
    trials = np.arange(low, high + 1)
    least, most = _bias_bounds(wanted, places, goals, np.full(len(trials), channel), trials)
    return int(trials[np.argmax(most - least)])
