"""A quotient that steps where a layer's exact requantisation does, and cheap constants that estimate it.

    quotient(a) = floor((a * numerator + rest) / divisor)

A processor that has an estimate which is at most 1 beside the quotient finds the quotient itself by two comparisons,
modulo 2^64, without a division. Slope and intercept, as they are, are such a quotient if 62 bits hold them; ties are
what divides without a remainder then, as two that go to different sides must be told apart. Where 62 bits do not hold
them there is at most one tie: two, d accumulators apart, make the slope's denominator a divisor of d, and the
intercept's one of 2 d. Then the nearest slope that fits, with any rest that steps at the same places, is as exact;
`rest` is odd, `numerator` and `divisor` are even, so that nothing is taken for a tie.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import lcm

import numpy as np

from .monotone_steps import Requant, Steps

BITS = 62
"""Of numerator and divisor: what remains of a division is between -divisor and 2 * divisor."""

ESTIMATE_LIMIT = (1 << 31) - 2
"""Of what is estimated, before it is clamped: an estimate has 32 bits."""

LEVEL_SHIFT = 40
"""Of the estimate of a channel that never steps."""


@dataclass(frozen=True)
class Quotient:
    """floor((a * numerator + rest) / divisor), for any accumulator a."""

    numerator: int
    divisor: int
    rest: int

    @property
    def fits(self) -> bool:
        return max(abs(self.numerator), self.divisor) < 1 << BITS

    def line(self, accumulator: int) -> Fraction:
        """Return the quotient without floor."""
        return Fraction(accumulator * self.numerator + self.rest, self.divisor)


@dataclass(frozen=True)
class Estimate:
    """(((a << pre_shift) + offset) * multiplier) >> shift."""

    multiplier: int
    offset: int
    shift: int

    def line(self, shifted: int) -> Fraction:
        """Return the estimate without floor. shifted: a << pre_shift."""
        return Fraction((shifted + self.offset) * self.multiplier, 1 << self.shift)


def corrected(steps: Steps) -> Requant | None:
    """Return a quotient for each channel and its estimate; None where 64 bits do not hold what this takes."""
    magnitude = max(1, *(int(abs(end)) for ends in (steps.first, steps.last) for end in ends))
    pre_shift = max(0, 30 - magnitude.bit_length())
    rows: list[tuple[Quotient, Estimate]] = []
    places: np.ndarray | None = None
    for channel in range(len(steps.slope)):
        quotient = level(steps, channel) or as_written(steps, channel)
        if not quotient.fits:
            places = steps.places() if places is None else places
            quotient = by_nearest_slope(steps, channel, places[channel])
        if quotient is None:
            return None
        ends = int(steps.first[channel]), int(steps.last[channel])
        estimate = estimated(quotient, ends, pre_shift)
        if estimate is None:
            return None
        rows.append((quotient, estimate))
    quotients, estimates = [row[0] for row in rows], [row[1] for row in rows]
    return Requant(
        np.array([each.multiplier for each in estimates]),
        np.array([each.offset for each in estimates], np.int64),
        pre_shift,
        np.array([each.shift for each in estimates]),
        steps.lowest,
        steps.highest,
        narrow=False,
        zero_point=steps.zero_point,
        tie_below=int(steps.rounding == "half_even"),
        numerator=tuple(each.numerator for each in quotients),
        divisor=tuple(each.divisor for each in quotients),
        rest=tuple(each.rest for each in quotients),
    )


def level(steps: Steps, channel: int) -> Quotient | None:
    """Return a quotient that never steps, if the channel does not: its outputs are alike at both ends."""
    value, other = (steps.exact(channel, int(end[channel])) for end in (steps.first, steps.last))
    shift = BITS - 1
    return Quotient(0, 1 << shift, (value - steps.zero_point << shift) + (1 << shift - 1)) if value == other else None


def as_written(steps: Steps, channel: int) -> Quotient:
    """Return slope and intercept on their common denominator."""
    slope, half = steps.slope[channel], Fraction(int(steps.rounding == "half_even"), 2)
    term = steps.intercept[channel] + half
    divisor = lcm(slope.denominator, term.denominator)
    return Quotient(int(slope * divisor), divisor, int(term * divisor))


def by_nearest_slope(steps: Steps, channel: int, places: np.ndarray) -> Quotient | None:
    """Return a quotient with the nearest slope that steps at the same places; None if no rest does.

    places: of the steps of this channel (Steps.places).
    """
    first, last, slope = int(steps.first[channel]), int(steps.last[channel]), steps.slope[channel]
    largest = 1 << BITS - 2 - max(0, exponent(slope))
    near = slope.limit_denominator(largest)
    factor = 2 * (largest // near.denominator)
    divisor, numerator = factor * near.denominator, factor * near.numerator
    lower, upper = -1 << 2 * BITS, 1 << 2 * BITS
    for output, place in enumerate(map(int, places), steps.lowest + 1 - steps.zero_point):
        if place <= last:
            lower = max(lower, output * divisor - numerator * place)
        if place > first:
            upper = min(upper, output * divisor - 1 - numerator * (place - 1))
    rest = (lower + upper) // 2 | 1
    return Quotient(numerator, divisor, rest) if lower <= rest <= upper else None


def estimated(quotient: Quotient, ends: tuple[int, int], pre_shift: int) -> Estimate | None:
    """Return constants whose result is at most 1 beside a quotient from the first to the last accumulator.

    What they compute differs from the quotient by a number that is linear in the accumulator: less than 1 at both ends,
    it is so everywhere, and so are both rounded down.
    """
    if quotient.numerator == 0:
        value = quotient.rest // quotient.divisor
        return Estimate(1, (value << LEVEL_SHIFT) + (1 << LEVEL_SHIFT - 1), LEVEL_SHIFT)
    largest = max(abs(quotient.line(end)) for end in ends)
    if largest >= ESTIMATE_LIMIT:
        return None
    slope, term = (Fraction(each, quotient.divisor) for each in (quotient.numerator, quotient.rest))
    shift = min(30 + pre_shift - exponent(slope), BITS - 1 - exponent(largest + 2))
    multiplier = round(slope * Fraction(2) ** (shift - pre_shift)) if shift >= 0 else 0
    if multiplier < 1:
        return None
    found = Estimate(multiplier, round(term * 2**shift / multiplier), shift)
    return found if all(abs(found.line(end << pre_shift) - quotient.line(end)) < 1 for end in ends) else None


def exponent(value: Fraction) -> int:
    """Return the smallest e with value < 2^e, for value > 0."""
    e = value.numerator.bit_length() - value.denominator.bit_length()
    return e + (value.numerator << max(-e, 0) >= value.denominator << max(e, 0))
