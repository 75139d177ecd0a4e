"""Arrays of Fractions: the units that the terms of a `Real` are multiples of."""

from __future__ import annotations

import math
from fractions import Fraction
from operator import attrgetter

import numpy as np

from htvm.dialects.semantics import integers


def exactly(scale: np.ndarray | float | Fraction, ndim: int) -> np.ndarray:
    """Return `scale` exactly as it is written, as Fractions, with at least `ndim` axes."""
    array = np.asarray(scale, object) if isinstance(scale, Fraction) else np.asarray(scale)
    if array.dtype != object:
        array = array.astype(np.float64)
        if not np.isfinite(array).all():
            raise ValueError(f"a scale is positive and finite, got {array[~np.isfinite(array)][0]}")
    units = raised(np.asarray(_to_fraction(array.astype(object)), object), ndim)
    if (units <= 0).any():
        raise ValueError(f"a scale is positive and finite, got {float(units.min())}")
    return units


def one(number: Fraction, ndim: int) -> np.ndarray:
    """Return one Fraction as an array with `ndim` axes."""
    return np.full((1,) * ndim, number, object)


def raised(array: np.ndarray, ndim: int) -> np.ndarray:
    """Return an array with axes of size 1 before the others, up to `ndim`."""
    return array.reshape((1,) * (ndim - array.ndim) + array.shape)


def common(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the largest fractions of which both are multiples (0 is a multiple of all), broadcasting."""
    return np.asarray(_common(a, b), object)


def common_along(units: np.ndarray, axis: int) -> np.ndarray:
    """Return the largest fractions of which all along an axis, which stays with size 1, are multiples."""
    return np.asarray(_common.reduce(units, axis=axis, keepdims=True), object)


def whole(fractions: np.ndarray) -> np.ndarray:
    """Return fractions that are integers as an array of integers."""
    return numerators_denominators(fractions)[0]


def numerators_denominators(fractions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both parts of each fraction, as arrays of integers."""
    numerators, denominators = (integers.narrow(np.asarray(part(fractions), object)) for part in _PARTS)
    return numerators, denominators


def _of_two_fractions(a: Fraction, b: Fraction) -> Fraction:
    return Fraction(math.gcd(a.numerator, b.numerator), math.lcm(a.denominator, b.denominator))


_common: np.ufunc = np.frompyfunc(_of_two_fractions, 2, 1)
_to_fraction: np.ufunc = np.frompyfunc(Fraction, 1, 1)
_PARTS: tuple[np.ufunc, ...] = tuple(np.frompyfunc(attrgetter(name), 1, 1) for name in ("numerator", "denominator"))
