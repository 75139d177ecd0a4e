"""Arithmetic on arrays of integers that never overflows and never rounds.

An array is int64 where 64 bits are sure to hold every result, and an object array of Python's own integers
where they are not; results choose for themselves. Sums of products go through float64 (and so through BLAS)
as long as no partial sum can leave the 53 bits that float64 holds exactly.

Axis letters: N batch, C and K input and output channels, R S kernel. Spatial axes come last, in any number.
"""

import math
from collections.abc import Iterator, Sequence
from functools import reduce

import numpy as np


def magnitude(array: np.ndarray) -> int:
    """Return the largest absolute value in `array`, 0 if it is empty."""
    return max(int(array.max()), -int(array.min()), 0) if array.size else 0


def narrow(array: np.ndarray) -> np.ndarray:
    """Return `array`, of Python integers, as int64 if 64 bits hold it."""
    return array.astype(np.int64) if magnitude(array) < 2**63 else array


def add(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a + b, broadcasting."""
    if magnitude(a) + magnitude(b) < 2**63:
        return a + b
    return a.astype(object) + b.astype(object)


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a * b, broadcasting."""
    if magnitude(a) * magnitude(b) < 2**63:
        return a * b
    return a.astype(object) * b.astype(object)


def divide(numerators: np.ndarray, denominators: np.ndarray, rounding: str) -> np.ndarray:
    """Return numerators / denominators (positive) as integers, rounded 'half_even' or by 'floor'."""
    if magnitude(denominators) >= 2**62:
        numerators, denominators = numerators.astype(object), denominators.astype(object)
    quotients = numerators // denominators
    if rounding == "floor":
        return quotients
    twice = 2 * (numerators - quotients * denominators)
    return quotients + ((twice > denominators) | ((twice == denominators) & (quotients % 2 == 1)))


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the matrix product a @ b."""
    a, b = _ready_for_sums(a, b, terms=a.shape[-1])
    return _back_to_integers(a @ b)


def convolve(
    x: np.ndarray,
    w: np.ndarray,
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
    groups: int = 1,
    pad_value: int = 0,
) -> np.ndarray:
    """Correlate x [N, C, ..] with w [K, C / groups, ..] and return [N, K, ..].

    pads holds the elements before each spatial axis, then those after each; they read `pad_value`.
    """
    channels, kernel = w.shape[1], w.shape[2:]
    x, w = _ready_for_sums(x, w, terms=w[0].size, also=abs(pad_value))
    w = w.reshape(groups, -1, channels, *kernel)
    total: np.ndarray | None = None
    extents: tuple[int, ...] = ()
    for tap, seen in taps(x, kernel, strides, pads, dilations, pad_value):
        columns, matrix = seen.reshape(len(x), groups, channels, -1), w[(..., *tap)]
        products = matrix * columns if channels == 1 else matrix @ columns
        total, extents = products if total is None else total + products, seen.shape[2:]
    assert total is not None, "a kernel has at least one tap"
    return _back_to_integers(total.reshape(len(x), -1, *extents))


def taps(
    x: np.ndarray,
    kernel: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
    pad_value: int,
) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """Yield each position in the kernel with what all windows see there: [N, C, ..] of the result's size."""
    rank = len(kernel)
    others = [0] * (x.ndim - rank)
    padded = pad(x, [*others, *pads[:rank]], [*others, *pads[rank:]], pad_value)
    spans = [
        (size - dilation * (length - 1) - 1) // stride * stride + 1
        for size, length, stride, dilation in zip(padded.shape[-rank:], kernel, strides, dilations, strict=True)
    ]
    for tap in np.ndindex(*kernel):
        starts = [position * dilation for position, dilation in zip(tap, dilations, strict=True)]
        yield (
            tap,
            padded[
                (
                    ...,
                    *(
                        slice(start, start + span, step)
                        for start, span, step in zip(starts, spans, strides, strict=True)
                    ),
                )
            ],
        )


def pad(x: np.ndarray, low: Sequence[int], high: Sequence[int], value: object) -> np.ndarray:
    """Surround x with `low` elements before and `high` after each axis, all `value`."""
    sizes = [before + size + after for before, size, after in zip(low, x.shape, high, strict=True)]
    padded = np.full(sizes, value, x.dtype)
    padded[tuple(slice(before, before + size) for before, size in zip(low, x.shape, strict=True))] = x
    return padded


def axis_sums(x: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """Return the sums along `axes`, which stay with size 1."""
    if magnitude(x) * math.prod(x.shape[axis] for axis in axes) >= 2**63:
        x = x.astype(object)
    return x.sum(tuple(axes), keepdims=True)


def window_sums(
    x: np.ndarray,
    kernel: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int] | None = None,
) -> np.ndarray:
    """Return the sum under each window; elements outside the map count as 0."""
    if magnitude(x) * math.prod(kernel) >= 2**63:
        x = x.astype(object)
    views = taps(x, kernel, strides, pads, dilations or [1] * len(kernel), 0)
    return reduce(np.add, (seen for _, seen in views))


def window_maxima(
    x: np.ndarray,
    kernel: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int] | None = None,
) -> np.ndarray:
    """Return the maximum under each window; elements outside the map never win."""
    views = taps(x, kernel, strides, pads, dilations or [1] * len(kernel), int(x.min()))
    result = next(views)[1]
    for _, seen in views:
        result = np.maximum(result, seen)
    return result


def window_counts(
    extents: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int] | None = None,
) -> np.ndarray:
    """Return how many elements under each window lie inside a map of the given extents."""
    return window_sums(np.ones((1, 1, *extents), np.int64), kernel, strides, pads, dilations)[0, 0]


def _ready_for_sums(a: np.ndarray, b: np.ndarray, terms: int, also: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return a and b in a type that holds every sum of `terms` products of an element of each."""
    dtype = np.float64 if max(magnitude(a), also) * magnitude(b) * terms < 2**53 else object
    return a.astype(dtype), b.astype(dtype)


def _back_to_integers(sums: np.ndarray) -> np.ndarray:
    return narrow(sums) if sums.dtype == object else sums.astype(np.int64)
