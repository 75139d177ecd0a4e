"""Find the biases, multipliers and shifts of an engine that multiplies its sums, and prove that they are exact.

    clip(((acc + bias[k]) * multiplier[k] + half) >> shift[k], low, high)

Where the layer reaches q at the sum T(q), the engine must reach it there: at the smallest a with
(a + bias) * multiplier + half >= q << shift, which is ceil(((q << shift) - half) / multiplier) - bias. So each q bounds
the bias from below, from above, or from both sides, as of an engine that only shifts (shift_requant.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import floor, frexp

import numpy as np

from htvm.backend.targets.engines.shift_requant import INT32, Range, Requant, bias_bounds, clip_violation
from htvm.backend.targets.violations import AtLeast, Described, Fact, Interval, OfOutput, Subject, Violation, any_of

SHIFTS_TRIED = 2
"""The largest, and the next one: the multiplier of the largest can miss its width by being rounded up."""


@dataclass(frozen=True)
class Multiplication:
    """What the engine does: constants by output channel."""

    biases: tuple[int, ...]
    multipliers: tuple[int, ...]
    shifts: tuple[int, ...]
    rounds: bool
    low: int
    high: int

    def outputs(self, sums: np.ndarray) -> np.ndarray:
        """Return the results of sums int64[channels, ..]."""
        biases, multipliers, shifts = (
            np.array(each, object).reshape(-1, *[1] * (sums.ndim - 1))
            for each in (self.biases, self.multipliers, self.shifts)
        )
        half = np.array([1 << shift >> 1 if self.rounds else 0 for shift in self.shifts], object).reshape(shifts.shape)
        products = (sums.astype(object) + biases) * multipliers + half
        return np.clip(products >> shifts, self.low, self.high).astype(np.int64)


@dataclass(frozen=True)
class Multiplier(Fact):
    """An engine that multiplies: bits of its multipliers (unsigned), its largest shift, its clips.

    rounds: whether a half is added before the shift, so that ties go up; else it rounds down. per_channel: whether each
    channel has a multiplier and a shift of its own. biases: those that it can add.
    """

    bits: int
    largest_shift: int
    clips: tuple[Range, ...]
    rounds: bool = True
    per_channel: bool = True
    biases: Range = INT32

    def solve(self, requant: Requant, first: np.ndarray, last: np.ndarray) -> Multiplication | Violation:
        """Return constants that are exact for sums first[k] to last[k]; where there are none, why."""
        return _solve(self, requant, *(tuple(np.asarray(ends, np.int64).tolist()) for ends in (first, last)))

    def __str__(self) -> str:
        clips = any_of(Interval(*clip) for clip in self.clips)
        half = " + half" if self.rounds else ""
        own = "for each output" if self.per_channel else "for all outputs"
        return (
            f"((acc + bias) * multiplier{half}) >> shift clipped to {clips}, a multiplier of {self.bits} bits and a "
            f"shift of 0 to {self.largest_shift} {own}: equal for every accumulator that occurs"
        )


@lru_cache(maxsize=256)
def _solve(
    engine: Multiplier, requant: Requant, first: tuple[int, ...], last: tuple[int, ...]
) -> Multiplication | Violation:
    ends = np.array(first), np.array(last)
    slopes = requant.slopes(len(first))
    if slopes.min() < 0:
        return Violation(Subject.MULTIPLIER, OfOutput(float(slopes.min()), int(slopes.argmin())), AtLeast(0))
    channel = 0
    for low, high in engine.clips:
        outputs = np.arange(low, high + 2)
        places = requant.places(outputs, *ends)
        if (places[:, 0] > ends[0]).any() or (places[:, -1] <= ends[1]).any():
            continue  # an output beyond the clip is reached
        found, missing = _within_clip(engine, outputs[1:-1], places[:, 1:-1], slopes, ends)
        if found is not None:
            biases, multipliers, shifts = (tuple(map(int, each)) for each in zip(*found))
            return Multiplication(biases, multipliers, shifts, engine.rounds, low, high)
        channel = missing
    reached = [requant.places(np.array([low, high + 1]), *ends) for low, high in engine.clips]
    if all((each[:, 0] > ends[0]).any() or (each[:, 1] <= ends[1]).any() for each in reached):
        return clip_violation(requant, engine.clips)
    wanted = Described(f"a multiplier of {engine.bits} bits over 2^0 to 2^{engine.largest_shift}, and a bias")
    return Violation(Subject.SCALE, OfOutput(float(slopes[channel]), channel), wanted)


Constants = tuple[int, int, int]
"""Bias, multiplier and shift of a channel."""


def _within_clip(
    engine: Multiplier, outputs: np.ndarray, places: np.ndarray, slopes: np.ndarray, ends: tuple[np.ndarray, np.ndarray]
) -> tuple[list[Constants] | None, int]:
    """Return constants of all channels; None, and a channel that has none, if there is one."""
    channels = range(len(slopes))
    if engine.per_channel:
        found: list[Constants] = []
        for channel in channels:
            own = _of_channels(engine, outputs, places, slopes[channel], ends, [channel])
            if own is None:
                return None, channel
            found += own
        return found, 0
    return _of_channels(engine, outputs, places, slopes.max(), ends, channels), int(slopes.argmax())


def _of_channels(
    engine: Multiplier,
    outputs: np.ndarray,
    places: np.ndarray,
    slope: float,
    ends: tuple[np.ndarray, np.ndarray],
    channels: range | list[int],
) -> list[Constants] | None:
    """Return constants of some channels, with one multiplier and shift; None if there are none."""
    first, last = (each[list(channels)] for each in ends)
    most = (1 << engine.bits) - 1
    largest = min(engine.largest_shift, engine.bits - frexp(slope)[1]) if slope > 0 else 0
    for shift in range(largest, max(largest - SHIFTS_TRIED, -1), -1):
        about = floor(slope * 2.0**shift)
        for multiplier in dict.fromkeys(min(max(about + each, 1), most) for each in (0, 1, -1, 2)):
            half = 1 << shift >> 1 if engine.rounds else 0
            reached = -((half - (outputs.astype(object) << shift)) // multiplier)
            least, above = bias_bounds(places[list(channels)], reached.astype(np.int64), first, last)
            least, above = np.maximum(least, engine.biases[0]), np.minimum(above, engine.biases[1])
            least, above = np.maximum(least, INT32[0] - first), np.minimum(above, INT32[1] - last)
            if (least <= above).all():
                return [(int(bias), multiplier, shift) for bias in np.clip(0, least, above)]
    return None
