"""What a requantisation asks for, where its output steps, and what its integer constants compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np


@dataclass(frozen=True)
class Steps:
    """A layer's exact requantisation: slope[c] * a + intercept[c], rounded, for a in first[c]..last[c]."""

    slope: Sequence[Fraction]
    intercept: Sequence[Fraction]
    first: np.ndarray
    last: np.ndarray
    zero_point: int
    lowest: int
    highest: int
    rounding: str

    def places(self) -> np.ndarray:
        """Return [channels, highest - lowest]: the smallest a where the output reaches lowest + 1, lowest + 2, ...

        A step before the first accumulator is put there; one after the last, right behind it. Exact: float64
        says about where each step is, and those within its error of an integer are computed again with rationals.
        """
        wanted = np.arange(self.lowest + 1, self.highest + 1) - self.zero_point
        half = 0.5 if self.rounding == "half_even" else 0.0
        first, last = self.first[:, None], self.last[:, None]
        slope = np.array([float(value) for value in self.slope])[:, None]
        intercept = np.array([float(value) for value in self.intercept])[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            goal = wanted - half
            place = (goal - intercept) / slope
            # Three roundings of float64, each relative to no more than the sum of the magnitudes.
            error = 2.0**-50 * (np.abs(goal) + np.abs(intercept)) / slope
            near = (np.abs(place - np.rint(place)) <= error) & (place > first - 2) & (place < last + 2)
        found = np.clip(np.nan_to_num(np.ceil(place)), first, last + 1).astype(np.int64)
        for channel in map(int, np.flatnonzero(near.any(axis=1))):
            where = near[channel]
            exact = self._exact_places(channel, wanted[where])
            found[channel, where] = np.clip(exact, self.first[channel], self.last[channel] + 1)
        for channel in map(int, np.flatnonzero(slope[:, 0] == 0)):
            value = exact_round(self.intercept[channel], self.rounding)
            found[channel] = np.where(wanted <= value, self.first[channel], self.last[channel] + 1)
        return found

    def _exact_places(self, channel: int, wanted: np.ndarray) -> np.ndarray:
        """Return the smallest a with round(slope * a + intercept) >= wanted, in integers.

        2 * wanted - 1 (or 2 * wanted, for floor) halves minus the intercept, over the slope, on one denominator.
        """
        slope, intercept = self.slope[channel], self.intercept[channel]
        ties = self.rounding == "half_even"
        factor = intercept.denominator * slope.denominator
        constant = 2 * intercept.numerator * slope.denominator
        denominator = 2 * intercept.denominator * slope.numerator
        largest = (2 * int(np.abs(wanted).max(initial=0)) + 1) * factor + abs(constant)
        halves = (2 * wanted - ties).astype(np.int64 if max(largest, denominator) < 1 << 62 else object)
        numerators = halves * factor - constant
        places = -(-numerators // denominator)
        # A tie goes to the even neighbour, which is below for an odd output.
        return places + (ties * (wanted % 2) * (numerators % denominator == 0))

    def level(self, places: np.ndarray) -> np.ndarray:
        """Say of each channel whether no accumulator steps."""
        return np.asarray(((places <= self.first[:, None]) | (places > self.last[:, None])).all(axis=1))

    def without_zero_point(self) -> Steps:
        """Return the same steps with outputs counted from the zero point: the same places, smaller outputs."""
        lowest, highest = self.lowest - self.zero_point, self.highest - self.zero_point
        return replace(self, zero_point=0, lowest=lowest, highest=highest)

    def exact(self, channel: int, accumulator: int) -> int:
        """Return the output for one accumulator."""
        value = exact_round(self.slope[channel] * accumulator + self.intercept[channel], self.rounding)
        return min(max(value + self.zero_point, self.lowest), self.highest)


@dataclass(frozen=True)
class Inexact:
    """How many accumulators, of all channels together, give another output than the exact one; the first of them."""

    count: int
    channel: int
    accumulator: int


@dataclass(frozen=True)
class Requant:
    """Integer constants of a layer; the attribute `requant` of the accel dialect holds the same fields.

    `multiplier`, `offset` and `shift` have one entry per channel. `tie_below` is 0 where no ties must be told apart.
    """

    multiplier: np.ndarray
    offset: np.ndarray
    pre_shift: int
    shift: np.ndarray
    lowest: int
    highest: int
    narrow: bool
    zero_point: int = 0
    tie_below: int = 0
    inexact: Inexact | None = None
    """Where the constants differ from the exact meaning: None when they are proved to be exact."""
    numerator: tuple[int, ...] = ()
    divisor: tuple[int, ...] = ()
    rest: tuple[int, ...] = ()
    """By channel, (accumulator * numerator + rest) / divisor: what the other constants estimate, if it is there."""

    def __call__(self, channel: int, accumulator: int) -> int:
        """Return what the integer code computes for one accumulator."""
        product = ((accumulator << self.pre_shift) + int(self.offset[channel])) * int(self.multiplier[channel])
        shift = int(self.shift[channel])
        value = product >> shift
        left = product & ((1 << shift) - 1)
        if self.divisor:
            divisor = self.divisor[channel]
            left = accumulator * self.numerator[channel] + self.rest[channel] - value * divisor
            step = -1 if left < 0 else int(left >= divisor)
            value, left = value + step, left - step * divisor
        if left < self.tie_below:
            value &= ~1
        return min(max(value + self.zero_point, self.lowest), self.highest)


def exact_round(value: Fraction, rounding: str) -> int:
    """Round a rational half to even, or towards minus infinity."""
    return round(value) if rounding == "half_even" else value.numerator // value.denominator
