"""Prove that the small scale, offset and shift behind a converter compute a layer's `rescale` exactly.

The converter's codes are few. What is wanted of each is computed (AccelOps.td, `rescale`), and what the engine does,

    clip((code * scale + offset) >> shift, low, high)

gives each of them a smallest and a largest offset; an offset between all of them is a proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from htvm.backend.targets.engines.shift_requant import FAR, Range, Requant, clip_violation
from htvm.backend.targets.violations import (
    Both,
    Fact,
    FactorOverOneShift,
    FactorsOverPowerOfTwo,
    Interval,
    OfOutput,
    OneShift,
    OverPowerOfTwo,
    Subject,
    Violation,
    WithOffset,
    any_of,
)
from htvm.dialects import accel


@dataclass(frozen=True)
class Scale:
    """What the engine does: clip((code * scales[k] + offsets[k]) >> shift, low, high)."""

    scales: tuple[int, ...]
    offsets: tuple[int, ...]
    shift: int
    low: int
    high: int


@dataclass(frozen=True)
class Scaler(Fact):
    """What is behind a converter: its clips, its largest shift, and the scales and offsets there are."""

    clips: tuple[Range, ...]
    largest_shift: int
    factors: Range

    def solve(self, rescale: accel.RescaleAttr, first: np.ndarray, last: np.ndarray) -> Scale | Violation:
        """Return constants that are exact for codes first[k]..last[k]; where there are none, why.

        Scales tried are those next to the layer's own, times 2^shift: others fit only where nearly all is clipped.
        """
        ends = tuple(map(int, first)), tuple(map(int, last))
        return _solve(self, Requant.of(rescale.requant), rescale.weights, *ends)

    def __str__(self) -> str:
        return (
            f"((code * scale + offset) >> shift) clipped to {any_of(Interval(*clip) for clip in self.clips)}, "
            f"scales and offsets of {Interval(*self.factors)}, {OneShift(Interval(0, self.largest_shift))}: "
            "equal for every code that occurs"
        )


@dataclass(frozen=True)
class _Wanted:
    """What is wanted of each code: outputs [channels, codes], which of them occur, and how steep they are."""

    codes: np.ndarray
    occur: np.ndarray
    outputs: np.ndarray
    slopes: np.ndarray

    def reaches_beyond(self, low: int, high: int) -> bool:
        return bool(((self.outputs < low) | (self.outputs > high))[self.occur].any())

    def nearest(self, shift: int, clip: Range, factors: Range) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return for each channel a scale, an offset, and whether they are exact."""
        about = np.floor(self.slopes * 2.0**shift).astype(np.int64)
        scales = np.clip(about[:, None] + np.arange(-1, 3), *factors)
        products = scales[:, :, None] * self.codes  # [channels, scales, codes]
        floors, ceilings = self.outputs << shift, (self.outputs + 1 << shift) - 1
        least = np.where(self.occur & (self.outputs > clip[0]), floors, -FAR)[:, None] - products
        most = np.where(self.occur & (self.outputs < clip[1]), ceilings, FAR)[:, None] - products
        least, most = np.maximum(least.max(2), factors[0]), np.minimum(most.min(2), factors[1])
        best = (np.arange(len(scales)), (least <= most).argmax(1))
        return scales[best], np.clip(0, least[best], most[best]), (least <= most)[best]


@lru_cache(maxsize=256)
def _solve(
    scaler: Scaler, requant: Requant, weights: tuple[int, ...], first: tuple[int, ...], last: tuple[int, ...]
) -> Scale | Violation:
    codes = np.arange(min(first), max(last) + 1)
    occur = (codes >= np.array(first)[:, None]) & (codes <= np.array(last)[:, None])
    outputs = requant.outputs(np.array(weights)[:, None] * codes)
    wanted = _Wanted(codes, occur, outputs, requant.slopes(len(weights)) * np.array(weights))
    fits: dict[Range, list[np.ndarray]] = {}
    for clip in scaler.clips:
        for shift in range(scaler.largest_shift + 1) if not wanted.reaches_beyond(*clip) else ():
            scales, offsets, fit = wanted.nearest(shift, clip, scaler.factors)
            if fit.all():
                return Scale(tuple(scales.tolist()), tuple(offsets.tolist()), shift, *clip)
            fits.setdefault(clip, []).append(fit)
    return _violation(scaler, wanted, requant, fits)


def _violation(scaler: Scaler, wanted: _Wanted, requant: Requant, fits: dict[Range, list[np.ndarray]]) -> Violation:
    """Return what of a rescale is not done."""
    clip = (requant.low, requant.high)
    if clip not in fits:
        return clip_violation(requant, scaler.clips)
    by_shift = np.array(fits[clip])
    shift = int(by_shift.sum(1).argmax())
    channel = int((~by_shift[shift]).argmax())
    slope, factors = float(wanted.slopes[channel]), Interval(*scaler.factors)
    scale = slope * 2.0**shift
    if not factors.low <= scale <= factors.high:
        return Violation(Subject.SCALE, OfOutput(OverPowerOfTwo(scale, shift), channel), FactorOverOneShift(factors))
    if by_shift[:, channel].any():
        found = Both(shift, OfOutput(int(by_shift[:, channel].argmax()), channel))
        return Violation(Subject.SHIFT, found, OneShift(Interval(0, scaler.largest_shift)))
    return Violation(Subject.SCALE, OfOutput(WithOffset(slope), channel), FactorsOverPowerOfTwo(factors))
