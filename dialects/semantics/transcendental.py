"""Exact values of functions that no fractions have: exp and its relatives, and the root in a normalisation.

They are taken to 2^-128.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext
from fractions import Fraction

import numpy as np

from htvm.dialects.semantics import integers
from htvm.dialects.semantics.real import Real

TRANSCENDENTAL_UNIT = Fraction(1, 2**128)
"""The grid that values of exp, sigmoid and softmax are rounded to. Where such a value is a simple fraction,
as sigmoid(0) is, the grid holds it; other values are too far from any rounding boundary to notice."""


def layer_norm(x: Real, scale: Real, epsilon: Fraction) -> Real:
    """Return (x - mean) / sqrt(variance + epsilon) * scale along the last axis, to 2^-128.

    Where that is a fraction of a power of two, as it is on a rounding boundary, it is exact.
    """
    steps, unit = x.uniform()
    count = steps.shape[-1]
    rows = steps.astype(object)
    distances = count * rows - rows.sum(-1, keepdims=True)
    variances = count * (rows * rows).sum(-1, keepdims=True) - rows.sum(-1, keepdims=True) ** 2
    factors = [number * unit for number in np.broadcast_to(scale.exact(), count).tolist()]
    grid = TRANSCENDENTAL_UNIT.denominator
    result = np.empty(steps.shape, object)
    with localcontext(Context(prec=120, Emin=MIN_EMIN, Emax=MAX_EMAX)):
        for index in np.ndindex(*steps.shape):
            square = unit * unit * variances[(*index[:-1], 0)] + epsilon * count * count
            left = factors[index[-1]] * distances[index]
            value = Decimal(left.numerator) / left.denominator
            value /= (Decimal(square.numerator) / square.denominator).sqrt() if square else 1
            result[index] = round(value * grid)
    return Real.of_integers(result, TRANSCENDENTAL_UNIT)


def sigmoid(x: Real) -> Real:
    """Return 1 / (1 + exp(-x)) to 2^-128."""
    return of_each_value(x, _sigmoid)


def tanh(x: Real) -> Real:
    """Return tanh(x) = 2 sigmoid(2x) - 1 to 2^-128."""
    return of_each_value(x, lambda value: 2 * _sigmoid(2 * value) - 1)


def softmax(x: Real, axis: int) -> Real:
    """Return exp(x) / sum of exp(x) along an axis, to about 2^-128."""
    steps, unit = x.uniform()
    below_largest = Real.of_integers(steps - steps.max(axis, keepdims=True), unit)
    powers, grid = of_each_value(below_largest, Decimal.exp).uniform()
    sums = powers.sum(axis, keepdims=True)
    return Real.of_integers(integers.divide(powers * grid.denominator, sums, "half_even"), grid)


def _sigmoid(value: Decimal) -> Decimal:
    power = (-abs(value)).exp()
    return (1 if value >= 0 else power) / (1 + power)


def of_each_value(x: Real, function: Callable[[Decimal], Decimal]) -> Real:
    """Apply a function of one number, computed once for each different value."""
    steps, unit = x.uniform()
    distinct, places = np.unique(steps, return_inverse=True)
    grid = TRANSCENDENTAL_UNIT.denominator
    with localcontext(Context(prec=80, Emin=MIN_EMIN, Emax=MAX_EMAX)):
        numbers = (step * Decimal(unit.numerator) / unit.denominator for step in distinct.tolist())
        values = [round(function(number) * grid) for number in numbers]
    return Real.of_integers(np.array(values, object)[places.reshape(-1)].reshape(steps.shape), TRANSCENDENTAL_UNIT)
