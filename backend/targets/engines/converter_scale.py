"""Prove that the small scale, offset and shift behind a converter compute a layer's `rescale` exactly.

The converter's codes are few. What is wanted of each is computed (AccelOps.td, `rescale`), and what the engine does,

    clip((code * scale + offset) >> shift, low, high)

gives each of them a smallest and a largest offset; an offset between all of them is a proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from mlir import ir

from htvm.backend.targets.engines.shift_requant import FAR, Range, Requant
from htvm.backend.targets.rules import spans


@dataclass(frozen=True)
class Scale:
    """What the engine does: clip((code * scales[k] + offsets[k]) >> shift, low, high)."""

    scales: tuple[int, ...]
    offsets: tuple[int, ...]
    shift: int
    low: int
    high: int


@dataclass(frozen=True)
class Scaler:
    """What is behind a converter: its clips, its largest shift, and the scales and offsets there are."""

    clips: tuple[Range, ...]
    largest_shift: int
    factors: Range

    def solve(self, rescale: ir.DictAttr, first: np.ndarray, last: np.ndarray) -> Scale | str:
        """Return constants that are exact for codes first[k]..last[k]; where there are none, say why.

        Scales tried are those next to the layer's own, times 2^shift: others fit only where nearly all is clipped.
        """
        ends = tuple(map(int, first)), tuple(map(int, last))
        return _solve(self, Requant.of(rescale), tuple(rescale["weights"]), *ends)


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
) -> Scale | str:
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
    return _why_not(scaler, wanted, (requant.low, requant.high), fits)


def _why_not(scaler: Scaler, wanted: _Wanted, clip: Range, fits: dict[Range, list[np.ndarray]]) -> str:
    """Say what of a rescale is not done: the subject, the value found and the one wanted."""
    if clip not in fits:
        return f"clip: found {clip[0]}..{clip[1]}, wanted {spans(scaler.clips)}"
    by_shift = np.array(fits[clip])
    shift = int(by_shift.sum(1).argmax())
    channel = int((~by_shift[shift]).argmax())
    scale, range_text = wanted.slopes[channel] * 2.0**shift, spans([scaler.factors])
    if not scaler.factors[0] <= scale <= scaler.factors[1]:
        return f"scale: found {scale:.6g} over 2^{shift} (output {channel}), wanted {range_text} and one shift for all"
    if by_shift[:, channel].any():
        found = f"{shift}, and {int(by_shift[:, channel].argmax())} (output {channel})"
        return f"shift: found {found}, wanted one of 0 to {scaler.largest_shift} for all"
    found = f"{wanted.slopes[channel]:.6g} with its offset (output {channel})"
    return f"scale: found {found}, wanted two integers of {range_text} over a power of two"
