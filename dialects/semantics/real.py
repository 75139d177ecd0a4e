"""Exact real numbers: what a quantised network means before anything is rounded.

Every number of a quantised network is an integer times a unit: q - zero_point times a float32 scale, an
accumulator times the product of two scales. A `Real` array is a sum of such terms, with the units kept as
fractions, so additions of different scales, products, averages and convolutions stay exact. Only `quantise`
and the conversions to floating point round, each once, correctly.

What makes it fast: units are few, one per tensor or channel, and the integers stay in numpy. `quantise`
computes in float64, with a bound of its error, and repeats with exact integers only the elements so near to a
rounding boundary that the error could change them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce

import numpy as np

from htvm.dialects.semantics import integers, units


@dataclass(frozen=True)
class Term:
    """The array `integers * unit`. Both have the same rank and broadcast; units are positive Fractions."""

    integers: np.ndarray
    unit: np.ndarray

    def __post_init__(self) -> None:
        """Undo numpy's habit to turn results without axes into scalars."""
        object.__setattr__(self, "integers", np.asarray(self.integers))
        object.__setattr__(self, "unit", np.asarray(self.unit, object))

    def map(self, function: Callable[[np.ndarray], np.ndarray]) -> Term:
        """Apply a change of shape to both parts."""
        return Term(function(self.integers), function(self.unit))


@dataclass(frozen=True)
class Real:
    """An array of exact real numbers: the sum of `terms` (all of one rank), then clamped to [low, high]."""

    terms: tuple[Term, ...]
    low: Fraction | float = -math.inf
    high: Fraction | float = math.inf

    # Making

    @staticmethod
    def of_integers(array: np.ndarray, unit: Fraction = Fraction(1)) -> Real:
        """Return the array times `unit`, which is positive."""
        array = np.asarray(array)
        array = array if array.dtype == object else array.astype(np.int64)
        return Real((Term(array, units.one(unit, array.ndim)),))

    @staticmethod
    def of_storage(storage: np.ndarray, scale: np.ndarray | float, zero_point: np.ndarray | int = 0) -> Real:
        """Return (storage - zero_point) * scale, broadcasting, the scale being exactly the float written."""
        difference = np.asarray(storage).astype(np.int64) - np.asarray(zero_point).astype(np.int64)
        return Real((Term(difference, units.exactly(scale, difference.ndim)),))

    @staticmethod
    def of_floats(array: np.ndarray | float) -> Real:
        """Return exactly the numbers that floats are. Raises ValueError on infinities and NaN."""
        array = np.asarray(array, np.float64)
        if not np.isfinite(array).all():
            raise ValueError(f"{array[~np.isfinite(array)][0]} is not a real number")
        fractions, exponents = np.frexp(array)
        mantissas = (fractions * 2.0**53).astype(np.int64)
        last_bits = np.frexp((mantissas & -mantissas).astype(np.float64))[1] - 1 + exponents - 53
        lowest = int(last_bits[mantissas != 0].min(initial=0))
        unit = Fraction(2) ** lowest
        if exponents.max(initial=0) - lowest < 63:
            return Real.of_integers(np.ldexp(array, -lowest).astype(np.int64), unit)
        steps = [int(Fraction(value) / unit) for value in array.ravel().tolist()]
        return Real.of_integers(np.array(steps, object).reshape(array.shape), unit)

    # Looking

    @property
    def shape(self) -> tuple[int, ...]:
        return np.broadcast_shapes(*(part.shape for term in self.terms for part in (term.integers, term.unit)))

    @property
    def ndim(self) -> int:
        return self.terms[0].integers.ndim

    def exact(self) -> np.ndarray:
        """Return an object array of Fractions."""
        term = self.single()
        return np.broadcast_to(term.integers.astype(object) * term.unit, self.shape)

    def to_float64(self) -> np.ndarray:
        """Return the nearest float64 of each element."""
        return self.exact().astype(np.float64)

    def to_float32(self) -> np.ndarray:
        """Return the nearest float32 of each element."""
        exact, nearest = self.exact(), self.to_float64()
        below, above = np.nextafter(nearest, -np.inf), np.nextafter(nearest, np.inf)
        # On the middle of two float32, or beside it, the second rounding must know what the first one did.
        critical = np.argwhere(np.asarray(below.astype(np.float32) != above.astype(np.float32)))
        for index in map(tuple, critical):
            remainder = exact[index] - Fraction(float(nearest[index]))
            if remainder:
                nearest[index] = (above if remainder > 0 else below)[index]
        return nearest.astype(np.float32)

    # Rounding

    def quantise(
        self,
        scale: np.ndarray | float | Fraction,
        zero_point: np.ndarray | int,
        low: int,
        high: int,
        rounding: str = "half_even",
    ) -> np.ndarray:
        """Return clamp(round(x / scale) + zero_point, low, high) as int64, exactly.

        rounding is 'half_even' or 'floor'; scale and zero point broadcast against the array.
        """
        step = units.exactly(scale, self.ndim)
        steps, error = self._steps(step)
        if rounding == "half_even":
            steps += 0.5
        doubtful = np.abs(steps - np.rint(steps)) <= error
        rounded = np.asarray(np.clip(np.floor(steps), -(2.0**62), 2.0**62), np.int64)
        if doubtful.any():
            exact = integers.divide(*self._ratios(step, doubtful), rounding)
            rounded[doubtful] = np.clip(exact, -(2**62), 2**62)
        for bound, limit in self._bounds():
            rounded = limit(rounded, integers.divide(*units.numerators_denominators(bound / step), rounding))
        return np.asarray(np.clip(rounded + zero_point, low, high), np.int64)

    def floor(self) -> Real:
        """Return the largest integer that is not above each element; elements lie within 2^62."""
        return Real.of_integers(self.quantise(1, 0, -(2**62), 2**62, "floor"))

    def _steps(self, step: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the sum of the terms in units of `step`, in float64, and a bound of every element's error.

        Each term is rounded three times (its integer, its unit, their product), each sum once, and adding a
        half rounds once more: each time by at most 2^-53 of a number that is not above `spread`.
        """
        value, spread = np.zeros(self.shape), 1.0
        for term in self.terms:
            part = term.integers.astype(np.float64) * np.asarray(term.unit / step, np.float64)
            spread += max(part.max(initial=0), -part.min(initial=0))
            value = value + part
        return value, (len(self.terms) + 4) * 2.0**-53 * spread

    def _ratios(self, step: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the sum of the terms in units of `step`, where told, as numerators and denominators."""
        common = reduce(units.common, (term.unit for term in self.terms), step)

        def select(array: np.ndarray) -> np.ndarray:
            return np.broadcast_to(array, where.shape)[where]

        parts = (integers.multiply(select(t.integers), select(units.whole(t.unit / common))) for t in self.terms)
        return reduce(integers.add, parts), select(units.whole(step / common))

    # Arithmetic

    def __neg__(self) -> Real:
        return Real(tuple(Term(-term.integers, term.unit) for term in self.terms), -self.high, -self.low)

    def __add__(self, other: Real) -> Real:
        ndim = max(self.ndim, other.ndim)
        return Real(tuple(term for real in (self, other) for term in real.raised_to(ndim).unclamped().terms))

    def __sub__(self, other: Real) -> Real:
        return self + -other

    def __mul__(self, other: Real) -> Real:
        ndim = max(self.ndim, other.ndim)
        left, right = (real.raised_to(ndim).unclamped().terms for real in (self, other))
        return Real(
            tuple(Term(integers.multiply(a.integers, b.integers), a.unit * b.unit) for a in left for b in right)
        )

    def __truediv__(self, other: Real) -> Real:
        """Raises ZeroDivisionError if any element of the divisor is 0."""
        divisor = other.exact()
        if not divisor.all():
            raise ZeroDivisionError("division by zero")
        sign = np.where(divisor > 0, 1, -1)
        return self * Real((Term(sign, 1 / abs(divisor)),))

    def clamp(self, low: Fraction | float = -math.inf, high: Fraction | float = math.inf) -> Real:
        """Return min(max(x, low), high)."""
        return Real(self.terms, *(min(max(bound, low), high) for bound in (self.low, self.high)))

    def unclamped(self) -> Real:
        """Return the same numbers without bounds: the clamp is done in integers."""
        return Real((self.single(),)) if self._bounds() else self

    def _bounds(self) -> list[tuple[Fraction, np.ufunc]]:
        """Return each finite bound with the function that keeps it."""
        bounds: tuple[tuple[Fraction | float, np.ufunc], ...] = ((self.low, np.maximum), (self.high, np.minimum))
        return [(Fraction(bound), limit) for bound, limit in bounds if not math.isinf(bound)]

    def single(self, uniform: Sequence[int] = ()) -> Term:
        """Return the same numbers as one term, whose unit does not vary along the axes `uniform`."""
        bounds = [units.one(abs(bound), self.ndim) for bound, _ in self._bounds()]
        varying = [axis for axis in uniform if any(term.unit.shape[axis] != 1 for term in self.terms)]
        if len(self.terms) == 1 and not bounds and not varying:
            return self.terms[0]
        unit = reduce(units.common, [term.unit for term in self.terms] + bounds)
        for axis in varying:
            unit = units.common_along(unit, axis)
        total = reduce(integers.add, (integers.multiply(t.integers, units.whole(t.unit / unit)) for t in self.terms))
        for bound, limit in self._bounds():
            total = np.asarray(limit(total, units.whole(bound / unit)))
        return Term(total, unit)

    def uniform(self) -> tuple[np.ndarray, Fraction]:
        """Return integers and one unit for all of them."""
        term = self.single(range(self.ndim))
        return np.broadcast_to(term.integers, self.shape), term.unit.item()

    # Shape

    def transpose(self, permutation: Sequence[int]) -> Real:
        return self._map(lambda part: part.transpose(permutation))

    def reshape(self, shape: Sequence[int]) -> Real:
        full = self.shape

        def reshaped(part: np.ndarray) -> np.ndarray:
            return part.reshape([1] * len(shape)) if part.size == 1 else np.broadcast_to(part, full).reshape(shape)

        return Real(tuple(_filled(self, term).map(reshaped) for term in self.terms), self.low, self.high)

    def __getitem__(self, slices: tuple[slice, ...]) -> Real:
        """Return the elements that one slice for each axis selects."""

        def sliced(part: np.ndarray) -> np.ndarray:
            return part[tuple(s if size != 1 else slice(None) for s, size in zip(slices, part.shape, strict=True))]

        full = (_filled(self, term) for term in self.terms)
        return Real(tuple(Term(t.integers[slices], sliced(t.unit)) for t in full), self.low, self.high)

    def take(self, indices: Sequence[np.ndarray | None]) -> Real:
        """Return the elements at the indices that are given for each axis; None is the whole axis."""

        def taken(part: np.ndarray) -> np.ndarray:
            for axis, places in enumerate(indices):
                if places is not None and part.shape[axis] > 1:
                    part = part.take(places, axis)
            return part

        shape = [size if places is None else len(places) for size, places in zip(self.shape, indices, strict=True)]
        terms = (term.map(taken) for term in self.terms)
        spread = (Term(np.broadcast_to(term.integers, shape), term.unit) for term in terms)
        return Real(tuple(spread), self.low, self.high)

    def pad(self, low: Sequence[int], high: Sequence[int], value: Fraction = Fraction(0)) -> Real:
        """Surround the array with `low` elements before and `high` after each axis, all `value`."""

        def stretched(unit: np.ndarray) -> np.ndarray:
            before, after = (
                [0 if size == 1 else n for n, size in zip(side, unit.shape, strict=True)] for side in (low, high)
            )
            return integers.pad(unit, before, after, Fraction(1))

        terms = [_filled(self, term) for term in self.unclamped().terms]
        padded = [Term(integers.pad(t.integers, low, high, 0), stretched(t.unit)) for t in terms]
        if value:
            frame = integers.pad(np.zeros(self.shape, np.int64), low, high, 1 if value > 0 else -1)
            padded.append(Term(frame, units.one(abs(value), self.ndim)))
        return Real(tuple(padded))

    def _map(self, function: Callable[[np.ndarray], np.ndarray]) -> Real:
        return Real(tuple(term.map(function) for term in self.terms), self.low, self.high)

    def raised_to(self, ndim: int) -> Real:
        """Put axes of size 1 before the others, as broadcasting does."""
        return self._map(lambda part: units.raised(part, ndim))


# Functions of several arrays, and reductions


def concat(parts: Sequence[Real], axis: int) -> Real:
    """Join arrays along an axis."""
    terms = [_filled(part, part.single()) for part in parts]
    each = [term.unit for term in terms]
    if any(unit.size > 1 or unit.item() != each[0].item() for unit in each):
        others = np.broadcast_shapes(*(_with_size(unit.shape, axis, 1) for unit in each))
        each = [np.broadcast_to(t.unit, _with_size(others, axis, t.integers.shape[axis])) for t in terms]
        each = [np.concatenate(each, axis)]
    return Real((Term(np.concatenate([term.integers for term in terms], axis), each[0]),))


def matmul(a: Real, b: Real) -> Real:
    """Return the matrix product of a [.., M, C] and b [.., C, K]."""
    left, right = _filled(a, a.single(uniform=[a.ndim - 1])), _filled(b, b.single(uniform=[b.ndim - 2]))
    return Real((Term(integers.matmul(left.integers, right.integers), left.unit * right.unit),))


def conv2d(
    x: Real, w: Real, strides: Sequence[int], pads: Sequence[int], dilations: Sequence[int], groups: int = 1
) -> Real:
    """Convolve x [N, C, ..] with w [K, C / groups, ..]; elements outside the map are 0."""
    image, kernel = (_filled(real, real.single(uniform=range(1, real.ndim))) for real in (x, w))
    total = integers.convolve(image.integers, kernel.integers, strides, pads, dilations, groups)
    return Real((Term(total, image.unit * kernel.unit.swapaxes(0, 1)),))


def window_sum(
    x: Real,
    kernel: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int] | None = None,
) -> Real:
    """Return the sum under each window of x [N, C, ..]; elements outside the map are 0."""
    term = _filled(x, x.single(uniform=range(2, x.ndim)))
    return Real((Term(integers.window_sums(term.integers, kernel, strides, pads, dilations), term.unit),))


def window_mean(
    x: Real,
    kernel: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int] | None = None,
    count_include_pad: bool = False,
) -> Real:
    """Return the mean under each window of x [N, C, ..], of the elements inside the map or also outside."""
    counts = integers.window_counts(x.shape[2:], kernel, strides, pads, dilations)
    if count_include_pad or (counts == counts.flat[0]).all():
        counts = np.array(math.prod(kernel) if count_include_pad else counts.flat[0])
    return window_sum(x, kernel, strides, pads, dilations) / Real.of_integers(counts)


def window_max(
    x: Real,
    kernel: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int] | None = None,
) -> Real:
    """Return the maximum under each window of x [N, C, ..]; elements outside the map never win."""
    term = _filled(x, x.single(uniform=range(2, x.ndim)))
    return Real((Term(integers.window_maxima(term.integers, kernel, strides, pads, dilations), term.unit),))


def maximum(a: Real, b: Real) -> Real:
    """Return the larger of each two elements, broadcasting."""
    ndim = max(a.ndim, b.ndim)
    left, right = (real.raised_to(ndim).single() for real in (a, b))
    unit = units.common(left.unit, right.unit)
    parts = (integers.multiply(term.integers, units.whole(term.unit / unit)) for term in (left, right))
    return Real((Term(np.maximum(*parts), unit),))


def axis_argmax(x: Real, axis: int, last: bool = False) -> Real:
    """Return the index of the first, or last, of the largest elements along an axis, which stays with size 1."""
    steps, _ = x.uniform()
    if last:
        places = steps.shape[axis] - 1 - np.flip(steps, axis).argmax(axis, keepdims=True)
    else:
        places = steps.argmax(axis, keepdims=True)
    return Real.of_integers(places)


def axis_sum(x: Real, axes: Sequence[int], keepdims: bool) -> Real:
    """Return the sum along `axes`."""
    axes = tuple(axis % x.ndim for axis in axes)
    term = _filled(x, x.single(uniform=axes))
    total = Real((Term(integers.axis_sums(term.integers, axes), term.unit),))
    kept = [size for axis, size in enumerate(x.shape) if axis not in axes]
    return total if keepdims else total.reshape(kept)


def _filled(real: Real, term: Term) -> Term:
    """Return a term of `real` with its integers broadcast to the whole shape, and a unit of the same rank."""
    return Term(np.broadcast_to(term.integers, real.shape), term.unit)


def _with_size(shape: tuple[int, ...], axis: int, size: int) -> tuple[int, ...]:
    axis %= len(shape)
    return (*shape[:axis], size, *shape[axis + 1 :])
