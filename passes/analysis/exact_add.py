"""Find integer constants that reproduce an exact, requantised addition, and prove that they do.

    exact(a, b) = clamp(round(slope_a * a + slope_b * b + intercept) + zero_point, lowest, highest)
    fast(a, b)  = clamp((a * multiplier_a + b * multiplier_b + offset) >> shift, lowest, highest)

Two 8-bit operands have at most 65,536 pairs: each bounds the offset from both sides, and an offset between all the
bounds is a proof.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import lcm

import numpy as np

from htvm.dialects.semantics import integers

INT32_LIMIT = 1 << 31


@dataclass(frozen=True)
class Sum:
    """The exact addition of two layers' outputs; `first` and `second` are the stored integers that can occur."""

    slopes: tuple[Fraction, Fraction]
    intercept: Fraction
    first: range
    second: range
    zero_point: int
    lowest: int
    highest: int
    rounding: str

    def table(self) -> np.ndarray:
        """Return exact(a, b) for every pair, [len(first), len(second)]."""
        common = lcm(*(number.denominator for number in (*self.slopes, self.intercept)))
        whole = [int(number * common) for number in (*self.slopes, self.intercept)]
        a, b = (np.array(list(values), object) for values in (self.first, self.second))
        numerators = integers.narrow(np.add.outer(a * whole[0] + whole[2], b * whole[1]))
        rounded = integers.divide(numerators, np.full((1, 1), common), self.rounding)
        return np.clip(rounded + self.zero_point, self.lowest, self.highest).astype(np.int64)


@dataclass(frozen=True)
class AddRequant:
    """Integer constants of an addition; fields as in the attribute `requant`."""

    multipliers: tuple[int, int]
    offset: int
    shift: int
    narrow: bool
    zero_point: int = 0
    tie_below: int = 0
    numerators: tuple[int, int] = (0, 0)
    divisor: int = 0
    rest: int = 0
    """The exact quotient is (a * numerators[0] + b * numerators[1] + rest) / divisor, if `divisor` is not 0."""


def corrected(wanted: Sum) -> AddRequant | None:
    """Return an exact quotient, and constants whose result is at most 1 beside it; None if 64 bits do not hold them.

    The difference is linear in both operands: less than a half in all four corners, it is so everywhere.
    """
    half = Fraction(1, 2) if wanted.rounding == "half_even" else Fraction(0)
    term = wanted.intercept + half
    divisor = lcm(*(number.denominator for number in (*wanted.slopes, term)))
    of_a, of_b = wanted.slopes
    numerators = int(of_a * divisor), int(of_b * divisor)
    largest = max(abs(slope) for slope in wanted.slopes)
    shift = max(0, min(40, 30 - (largest.numerator.bit_length() - largest.denominator.bit_length() + 1)))
    multipliers = round(of_a * (1 << shift)), round(of_b * (1 << shift))
    offset = round(term * (1 << shift))
    corners = product(*((values[0], values[-1]) for values in _operands(wanted)))
    errors: list[Fraction] = []
    sums: list[int] = []
    reach = Fraction(0)
    for corner in corners:
        sums.append(sum(m * value for m, value in zip(multipliers, corner)) + offset)
        exact = sum(slope * value for slope, value in zip(wanted.slopes, corner)) + term
        errors.append(abs(Fraction(sums[-1], 1 << shift) - exact))
        reach = max(reach, abs(exact))
    fits = divisor < 1 << 62 and max(map(abs, numerators)) < 1 << 62 and max(map(abs, multipliers)) < INT32_LIMIT
    if not fits or max(map(abs, (*sums, offset))) >= 1 << 62 or max(errors) >= Fraction(1, 2) or reach >= 1 << 30:
        return None
    return AddRequant(
        multipliers,
        offset,
        shift,
        narrow=False,
        zero_point=wanted.zero_point,
        tie_below=1 if half else 0,
        numerators=numerators,
        divisor=divisor,
        rest=int(term * divisor),
    )


def solve(wanted: Sum) -> AddRequant | None:
    """Return constants that are exact for every pair; None if there are none.

    Tried in this order: 32-bit sums, 64-bit sums, and 64-bit sums in which ties can be seen and made even.
    """
    table = wanted.table()
    for narrow, shift in ((True, _largest_shift(wanted, INT32_LIMIT)), (False, 40)):
        for bits in range(shift, max(shift - 8, 0), -1):
            for multipliers in _near(wanted, bits):
                offset = _offset(wanted, table, multipliers, bits, INT32_LIMIT if narrow else 1 << 62)
                if offset is not None:
                    return AddRequant(multipliers, offset, bits, narrow)
    return _ties_to_even(wanted)


def _largest_shift(wanted: Sum, limit: int) -> int:
    """Return the largest shift for which the sum stays about below `limit`."""
    reach = sum(abs(slope) * max(abs(v.start), abs(v.stop)) for slope, v in zip(wanted.slopes, _operands(wanted)))
    reach += abs(wanted.intercept) + abs(wanted.zero_point) + 1
    return max(0, min(30, (int(limit / reach)).bit_length() - 1))


def _operands(wanted: Sum) -> tuple[range, range]:
    return wanted.first, wanted.second


def _near(wanted: Sum, shift: int) -> Iterator[tuple[int, int]]:
    """Yield pairs of multipliers at and around the slopes, the nearest first."""
    centre = [round(slope * (1 << shift)) for slope in wanted.slopes]
    for da, db in sorted(product(range(-1, 2), repeat=2), key=lambda change: abs(change[0]) + abs(change[1])):
        pair = (centre[0] + da, centre[1] + db)
        if all(abs(multiplier) < INT32_LIMIT for multiplier in pair):
            yield pair


def _offset(wanted: Sum, table: np.ndarray, multipliers: tuple[int, int], shift: int, limit: int) -> int | None:
    """Return an offset that is right for every pair and keeps sums below `limit`, or None."""
    a, b = (np.array(list(values), np.int64) for values in _operands(wanted))
    linear = np.add.outer(a * multipliers[0], b * multipliers[1])
    lower = np.where(table > wanted.lowest, (table << shift) - linear, -limit - linear).max()
    upper = np.where(table < wanted.highest, ((table + 1) << shift) - 1 - linear, limit - 1 - linear).min()
    lower, upper = max(int(lower), -limit - int(linear.min())), min(int(upper), limit - 1 - int(linear.max()))
    return (lower + upper) // 2 if lower <= upper else None


def _ties_to_even(wanted: Sum) -> AddRequant | None:
    """Represent slopes and intercept exactly, as power-of-two scales allow: what is a tie can then be seen."""
    parts = (*wanted.slopes, wanted.intercept)
    shift = max(1, *(part.denominator.bit_length() - 1 for part in parts))
    whole = [part * (1 << shift) for part in parts]
    if wanted.rounding != "half_even" or any(part.denominator != 1 for part in whole) or shift > 40:
        return None
    if any(abs(multiplier) >= INT32_LIMIT for multiplier in whole[:2]):
        return None
    offset = int(whole[2]) + (1 << (shift - 1))
    multipliers = (int(whole[0]), int(whole[1]))
    return AddRequant(multipliers, offset, shift, False, zero_point=wanted.zero_point, tie_below=1)
