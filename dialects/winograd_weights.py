"""What kernel "winograd" promises: weights transformed by G on both sides, and sums that 32 bits tell apart.

htvm_winograd.h computes 576 = 9 * 64 times each sum modulo 2^32, multiplies by the inverse of 9 and shifts by 6: exact
if no sum leaves (-2^25, 2^25). With all inputs in [low, high] a sum of weights w lies between

    sum of min(w * low, w * high)   and   sum of max(w * low, w * high)

whatever the window, since padding is an input, too.
"""

from __future__ import annotations

import numpy as np

from .semantics import value_ranges

POINTS = 36
"""Products of a tile and a channel: 6 x 6."""
TILE = 4
"""Outputs of a tile's side."""
TILES = 4
"""Tiles of a block."""
CHANNELS = 4
"""Output channels of a block; input channels are filled up to a multiple of it as well."""
MOST_SUM = (1 << 25) - 1
G = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 12]])
"""Windows of weights to points; 24 times what the rational matrix gives, less what A' of the header holds."""


def sums_fit(weights: np.ndarray, low: int, high: int) -> bool:
    """Say whether all sums over weights [K, C, 3, 3] stay within MOST_SUM for inputs from `low` to `high`."""
    least, most = value_ranges.sums(weights, (low, high))
    return bool((least >= -MOST_SUM).all() and (most <= MOST_SUM).all())


def padded(channels: int) -> int:
    """Return channels rounded up to whole blocks."""
    return -(-channels // CHANNELS) * CHANNELS


def transformed(weights: np.ndarray) -> np.ndarray:
    """Return weights [K, C, 3, 3] as the kernel reads them: int16 [K / 4][36][C][4], rounded up to whole blocks."""
    k, c, _, _ = weights.shape
    blocks = np.zeros((padded(k), padded(c), 3, 3), np.int64)
    blocks[:k, :c] = weights
    points = np.einsum("ar,kcrs,bs->abkc", G, blocks, G)
    ordered = points.reshape(POINTS, -1, CHANNELS, padded(c)).transpose(1, 0, 3, 2)
    return ordered.astype(np.int16).reshape(-1)


def size_bytes(out_channels: int, in_channels: int) -> int:
    """Return the bytes of the transformed weights."""
    return 2 * POINTS * padded(out_channels) * padded(in_channels)


def scratch_bytes(in_channels: int, element_bytes: int) -> int:
    """Return the bytes of scratch memory: inputs and sums of a block's points, and padding."""
    return 2 * POINTS * padded(in_channels) * TILES + 4 * POINTS * TILES * CHANNELS + in_channels * element_bytes
