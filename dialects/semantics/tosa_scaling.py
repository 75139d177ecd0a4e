"""How TOSA scales integers: apply_scale_32 of its specification, and where the scaled value steps.

    apply_scale_32(v, multiplier, shift) = (v * multiplier + addend(v, shift)) >> shift

The addend is half of what is shifted out, 2^(shift - 1). DOUBLE_ROUND rounds bit 31 first, away from 0: where shift is
above 31, 2^30 is added for v >= 0, and -2^30 for v < 0.
"""

from __future__ import annotations

import numpy as np

FIRST_HALF = 1 << 30
"""What DOUBLE_ROUND's first step adds to a product, or subtracts."""

MOST_SHIFT = 62

REACH = 1 << 62
"""Products of 32-bit numbers, with what the first step of rounding adds, are below this in magnitude."""

FAR = 1 << 40
"""A place beyond all values of 32 bits."""


def addend_of(is_negative: bool, shift: int, double_round: bool) -> int:
    """Return what is added to one product before it is shifted."""
    first = 0 if not double_round or shift <= 31 else -FIRST_HALF if is_negative else FIRST_HALF
    return (1 << shift - 1) + first


def addend(values: np.ndarray, shift: np.ndarray, double_round: bool) -> np.ndarray:
    """Return what is added to the products of values before they are shifted; shift broadcasts against them."""
    half = np.int64(1) << (np.asarray(shift, np.int64) - 1)
    if not double_round:
        return half
    return half + np.where(np.asarray(shift) > 31, np.where(values >= 0, FIRST_HALF, -FIRST_HALF), 0)


def apply_scale(values: np.ndarray, multiplier: np.ndarray, shift: np.ndarray, double_round: bool) -> np.ndarray:
    """Return values (of 32 bits, or of 48 with multipliers of 16), scaled and rounded, as int64."""
    shift = np.asarray(shift, np.int64)
    return (values.astype(np.int64) * multiplier + addend(values, shift, double_round)) >> shift


def places(outputs: np.ndarray, multiplier: np.ndarray, shift: np.ndarray, double_round: bool) -> np.ndarray:
    """Return the smallest v with apply_scale_32(v) >= output, for v of 32 bits; the arrays broadcast.

    An output that no v reaches has a place beyond 32 bits. multiplier: at least 1.
    """
    shift = np.asarray(shift, np.int64)
    most = (np.int64(REACH) >> shift) + 1
    reached = np.abs(outputs) < most
    wanted = (np.where(reached, outputs, 0) << shift) - (np.int64(1) << (shift - 1))
    first = np.where(shift > 31, FIRST_HALF, 0) if double_round else np.int64(0)
    above, below = (-(-(wanted - sign * first) // multiplier) for sign in (1, -1))
    return np.where(reached, np.where(below < 0, below, np.maximum(above, 0)), np.where(outputs > 0, FAR, -FAR))
