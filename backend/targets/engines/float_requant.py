"""Find the scale and the biases of an engine that multiplies by a float32, and prove that they are exact.

    clip(rint(float32(acc + bias[k]) * scale), low, high)

in float32, ties to even. Where the hardware reaches an output is tried out around the place that the scale says; a bias
shifts that. A shift that rounds down has its ends between two sums, where ties are to even: a scale that is smaller by
a little puts them in place, for outputs from 0 on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from htvm.backend.targets.engines.shift_requant import INT32, Range, Requant, bias_bounds, clip_violation
from htvm.backend.targets.violations import Both, Described, Fact, Interval, Subject, Violation, any_of

AROUND = np.arange(-3, 5)
"""Sums around the one where an output should begin, of which one is where it does."""

EQUAL = 1e-7
"""The relative difference of slopes that one float32 can be exact for."""


@dataclass(frozen=True)
class FloatScale:
    """What the engine does: constants, and the clip."""

    scale: np.float32
    biases: tuple[int, ...]
    low: int
    high: int

    def outputs(self, sums: np.ndarray) -> np.ndarray:
        """Return the results of sums int64[channels, ..], to which biases are added."""
        biases = np.array(self.biases).reshape(-1, *[1] * (sums.ndim - 1))
        return np.clip(rounded(sums + biases, self.scale), self.low, self.high).astype(np.int64)


def rounded(sums: np.ndarray, scale: np.float32) -> np.ndarray:
    """Return sums, biases included, times a scale as the hardware rounds the products."""
    return np.rint(sums.astype(np.float32) * scale)


@dataclass(frozen=True)
class FloatScaler(Fact):
    """An engine with one float32 for all channels, and a bias for each: its clips."""

    clips: tuple[Range, ...]

    def solve(self, requant: Requant, first: np.ndarray, last: np.ndarray) -> FloatScale | Violation:
        """Return constants that are exact for sums first[k] to last[k]; where there are none, why."""
        if (requant.low, requant.high) not in self.clips:
            return clip_violation(requant, self.clips)
        slopes = requant.slopes(len(first))
        if slopes.min() <= 0 or np.ptp(slopes) > EQUAL * slopes.max():
            found = Both(float(slopes.min()), float(slopes.max()))
            return Violation(Subject.SCALE, found, Described("one, above 0"))
        outputs = np.arange(requant.low + 1, requant.high + 1)
        places = requant.places(outputs, first, last)
        for scale in near(float(slopes.mean())):
            biases = biases_of(outputs, places, first, last, scale)
            if biases is not None:
                return FloatScale(scale, tuple(biases.tolist()), requant.low, requant.high)
        wanted = Described("one that a float32, rounded to even, is exact for")
        return Violation(Subject.SCALE, float(slopes[0]), wanted)

    def __str__(self) -> str:
        clips = any_of(Interval(*clip) for clip in self.clips)
        what = f"(acc + bias) times one float32, rounded to even, clipped to {clips}"
        return f"{what}: equal for every accumulator that occurs"


def near(slope: float) -> list[np.float32]:
    """Return the float32 nearest to a slope, and others from there on, each further away."""
    changes = [0.0, *(sign * 2.0**-bits for bits in range(23, 8, -1) for sign in (-1, 1))]
    return list(dict.fromkeys(np.float32(slope * (1 + change)) for change in changes))


def biases_of(
    outputs: np.ndarray, places: np.ndarray, first: np.ndarray, last: np.ndarray, scale: np.float32
) -> np.ndarray | None:
    """Return the biases with which a scale reaches each output where the layer does; None if there are none."""
    about = np.floor((outputs - 0.5) / np.float64(scale)).astype(np.int64)[:, None] + AROUND
    reached = rounded(about, scale) >= outputs[:, None]
    if reached[:, 0].any() or not reached[:, -1].all():  # sums beyond 24 bits, which float32 rounds
        return None
    begins = about[np.arange(len(about)), reached.argmax(1)]
    least, most = bias_bounds(places, begins, first, last)
    least, most = np.maximum(least, INT32[0] - first), np.minimum(most, INT32[1] - last)
    return np.clip(0, least, most) if (least <= most).all() else None
