"""What a requantisation asks for, where its output steps, and what its integer constants compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from htvm.dialects.semantics import tosa_scaling


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
        channels = np.flatnonzero(near.any(axis=1))
        exact = np.clip(self._exact_places(channels.tolist(), wanted), first[channels], last[channels] + 1)
        found[channels] = np.where(near[channels], exact, found[channels])
        for channel in map(int, np.flatnonzero(slope[:, 0] == 0)):
            value = exact_round(self.intercept[channel], self.rounding)
            found[channel] = np.where(wanted <= value, self.first[channel], self.last[channel] + 1)
        return found

    def _exact_places(self, channels: Sequence[int], wanted: np.ndarray) -> np.ndarray:
        """Return [channels, wanted]: the smallest a with round(slope * a + intercept) >= wanted, in integers.

        2 * wanted - 1 (or 2 * wanted, for floor) halves minus the intercept, over the slope, on one denominator.
        """
        ties = self.rounding == "half_even"
        pairs = [(self.slope[channel], self.intercept[channel]) for channel in channels]
        factors = [intercept.denominator * slope.denominator for slope, intercept in pairs]
        constants = [2 * intercept.numerator * slope.denominator for slope, intercept in pairs]
        denominators = [2 * intercept.denominator * slope.numerator for slope, intercept in pairs]
        most = 2 * int(np.abs(wanted).max(initial=0)) + 1
        largest = max((most * factor + abs(constant) for factor, constant in zip(factors, constants)), default=0)
        kind = np.int64 if max(largest, *denominators, 0) < 1 << 62 else object
        factor, constant, denominator = (np.array(each, kind)[:, None] for each in (factors, constants, denominators))
        numerators = (2 * wanted - ties).astype(kind) * factor - constant
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
class DoubleRounded(Steps):
    """A requantisation that TOSA rounds in two steps: apply_scale_32(a + offset[c], multiplier[c], shift[c]).

    `slope` and `intercept` are those of the line between the two that values below 0 and others are rounded along.
    """

    offset: np.ndarray
    multiplier: np.ndarray
    shift: np.ndarray

    @staticmethod
    def of(
        scales: Scales,
        offset: np.ndarray,
        ends: tuple[np.ndarray, np.ndarray],
        zero_point: int,
        limits: tuple[int, int],
    ) -> Steps:
        """Return the steps of clamp(apply_scale_32(a + offset) + zero_point), of one rounding where that is the same.

        offset, ends: one number for each channel. limits: of the clamp.
        """
        channels = len(offset)
        multiplier, shift = (
            np.broadcast_to(each, channels).astype(np.int64) for each in (scales.multiplier, scales.shift)
        )
        slope = [Fraction(int(m), 1 << int(s)) for m, s in zip(multiplier, shift)]
        intercept = [each * int(start) + Fraction(1, 2) for each, start in zip(slope, offset)]
        shared = slope, intercept, *ends, zero_point, *limits
        if not scales.double_round or (shift <= 31).all():
            return Steps(*shared, "floor")
        return DoubleRounded(*shared, "double", offset.astype(np.int64), multiplier, shift)

    def places(self) -> np.ndarray:
        wanted = np.arange(self.lowest + 1, self.highest + 1) - self.zero_point
        factor, shift = np.maximum(self.multiplier, 1)[:, None], self.shift[:, None]
        found = tosa_scaling.places(wanted[None], factor, shift, double_round=True) - self.offset[:, None]
        first, last = self.first[:, None], self.last[:, None]
        level = np.where(wanted[None] <= 0, first, last + 1)  # a multiplier of 0 makes 0 of every value
        return np.where(self.multiplier[:, None] == 0, level, np.clip(found, first, last + 1)).astype(np.int64)

    def exact(self, channel: int, accumulator: int) -> int:
        value, shift = accumulator + int(self.offset[channel]), int(self.shift[channel])
        product = value * int(self.multiplier[channel]) + tosa_scaling.addend_of(value < 0, shift, double_round=True)
        return min(max((product >> shift) + self.zero_point, self.lowest), self.highest)

    def as_written(self) -> Requant:
        """Return the constants as they are, which the rounding of the form makes exact."""
        ends = self.lowest, self.highest
        multiplier = np.maximum(self.multiplier, 0)
        return Requant(
            multiplier, self.offset, 0, self.shift, *ends, narrow=False, zero_point=self.zero_point, double_round=True
        )


@dataclass(frozen=True)
class Scales:
    """The constants of a tosa.rescale: of each channel, or one for all."""

    multiplier: np.ndarray
    shift: np.ndarray
    double_round: bool


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
    double_round: bool = False
    """Whether the product is rounded as TOSA's DOUBLE_ROUND does, instead of down."""

    def __call__(self, channel: int, accumulator: int) -> int:
        """Return what the integer code computes for one accumulator."""
        product = ((accumulator << self.pre_shift) + int(self.offset[channel])) * int(self.multiplier[channel])
        shift = int(self.shift[channel])
        if self.double_round:
            product += tosa_scaling.addend_of(product < 0, shift, double_round=True)
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
