"""Find integer constants that reproduce an exact requantisation, and prove that they do.

What a network asks for is, per channel, a step function of the integer accumulator a:

    exact(a) = clamp(round(slope * a + intercept) + zero_point, lowest, highest)

with rational slope and intercept. What a processor can do cheaply is

    fast(a) = clamp((((a << pre_shift) + offset) * multiplier) >> shift, lowest, highest)

Both are monotone, so they agree on all accumulators from `first` to `last` if and only if they step at the same
places; there are at most highest - lowest steps. For a multiplier m, `fast` reaches k at a = T exactly when

    (T << pre_shift) + offset >= ceil(k * 2^shift / m) > ((T - 1) << pre_shift) + offset

so each step bounds the offset from both sides, and any offset between the largest lower and the smallest upper
bound is a proof. All channels of a layer are searched together, as arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import lcm

import numpy as np

INT32_LIMIT = 1 << 31
FAR = 1 << 61
"""A bound that binds nothing; far from overflow when a pre-shifted accumulator is added."""


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
        for channel in np.flatnonzero(near.any(axis=1)):
            where = near[channel]
            exact = self._exact_places(channel, wanted[where])
            found[channel, where] = np.clip(exact, self.first[channel], self.last[channel] + 1)
        for channel in np.flatnonzero(slope[:, 0] == 0):
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
        return ((places <= self.first[:, None]) | (places > self.last[:, None])).all(axis=1)

    def without_zero_point(self) -> Steps:
        """Return the same steps with outputs counted from the zero point: the same places, smaller outputs."""
        lowest, highest = self.lowest - self.zero_point, self.highest - self.zero_point
        return replace(self, zero_point=0, lowest=lowest, highest=highest)

    def exact(self, channel: int, accumulator: int) -> int:
        """Return the output for one accumulator."""
        value = exact_round(self.slope[channel] * accumulator + self.intercept[channel], self.rounding)
        return min(max(value + self.zero_point, self.lowest), self.highest)


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
    wrong: tuple[tuple[int, int], ...] = ()
    """(channel, accumulator) where the constants differ from the exact meaning: empty when proved."""
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


def solve(steps: Steps) -> Requant:
    """Return integer constants for a layer, exact if any of the forms is; else the best with what is wrong.

    Tried in this order: 32-bit sums (one high multiplication on the host) with one shift for all channels; 32-bit
    sums with a shift for each channel and the zero point added last; 64-bit sums; and sums that tell ties from
    other values, which alternating ties need. Of results with more than 8 bits there are too many steps for one
    multiplier: what it gives is corrected.
    """
    if steps.highest - steps.lowest > MOST_STEPS and (corrected := _corrected(steps)):
        return corrected
    search = _Search(steps, steps.places())
    apart = steps.without_zero_point()
    return (
        _linear(search, NARROW_SHARED)
        or _linear(_Search(apart, search.places), NARROW_EACH, steps)
        or _linear(search, WIDE)
        or _ties_to_even(steps)
        or _nearest(steps, search)
    )


MOST_STEPS = 255
"""Of a result, where 31 bits of multiplier are likely to reproduce them all."""

NARROW_SHARED = ((INT32_LIMIT, 31, True),)
NARROW_EACH = ((INT32_LIMIT, 31, False),)
WIDE = tuple((INT32_LIMIT << 32 - bits, bits, False) for bits in (28, 26, 24))
"""Forms to search: the limit of sums, the bits of multipliers, and whether all channels share a shift."""


def _linear(
    search: _Search, forms: Sequence[tuple[int, int, bool]], zero_point_of: Steps | None = None
) -> Requant | None:
    """Return constants of one of the forms, if there are any; the search may be one for steps without zero point."""
    for limit, bits, shared_shift in forms:
        for pre_shift in search.pre_shifts():
            found = search.run(pre_shift, limit, bits, shared_shift)
            if found is not None and zero_point_of is not None:
                return replace(
                    found,
                    zero_point=zero_point_of.zero_point,
                    lowest=zero_point_of.lowest,
                    highest=zero_point_of.highest,
                )
            if found is not None:
                return found
    return None


class _Search:
    """The multipliers and offsets that a layer's steps admit.

    Of a channel's offsets the middle one is taken, or the lowest where `take_lowest` says so.
    """

    def __init__(self, steps: Steps, places: np.ndarray, take_lowest: np.ndarray | None = None):
        self.steps, self.places = steps, places
        self.take_lowest = np.zeros(len(steps.slope), bool) if take_lowest is None else take_lowest
        self.first, self.last = steps.first.astype(np.int64), steps.last.astype(np.int64)
        early, late = places <= self.first[:, None], places > self.last[:, None]
        self.level = steps.level(places)
        self.clamped = early.all(axis=1) | late.all(axis=1)
        self.magnitude = max(1, int(np.abs(self.first).max()), int(np.abs(self.last).max()))

    def pre_shifts(self) -> range:
        """Return the pre-shifts worth trying: the largest first, for it has the finest offsets.

        Accumulator and offset share 32 bits; the offset is about where the unclamped output is 0, in accumulators.
        """
        zero = [
            abs(intercept + self.steps.zero_point) / slope
            for slope, intercept in zip(self.steps.slope, self.steps.intercept)
            if slope > 0
        ]
        most = 31 - self.magnitude.bit_length()
        least = 31 - (self.magnitude + int(max(zero, default=0))).bit_length()
        return range(most, max(min(least, most - 2), 0) - 1, -1)

    def run(self, pre_shift: int, limit: int, bits: int, shared_shift: bool) -> Requant | None:
        """Search with sums below `limit` in magnitude and multipliers of `bits` bits; None if a channel has none.

        Where the multiplier nearest to the slope admits no offset, the one with most room for it is looked for.
        """
        shift = self.shifts(pre_shift, bits, shared_shift)
        if shift.min() < 32:
            return None
        multiplier = self.nearest(pre_shift, shift, bits)
        lower, upper = self.offsets(multiplier, np.arange(len(multiplier)), pre_shift, shift, limit)
        for row in np.flatnonzero(lower > upper):
            multiplier[row] = self.roomiest(row, pre_shift, shift, limit, bits)
            low, high = self.offsets(multiplier[row : row + 1], np.array([row]), pre_shift, shift, limit)
            if low[0] > high[0]:
                return None
            lower[row], upper[row] = low[0], high[0]
        offset = np.where(self.take_lowest, lower, lower + (upper - lower) // 2)
        narrow = limit == INT32_LIMIT
        return Requant(multiplier, offset, pre_shift, shift, self.steps.lowest, self.steps.highest, narrow)

    def shifts(self, pre_shift: int, bits: int, shared: bool) -> np.ndarray:
        """Return for each channel the largest shift at which its multiplier, or the steepest's, has `bits` bits."""
        slopes = [max(self.steps.slope)] if shared else self.steps.slope
        # 2^52 keeps the largest output, of 9 bits, times 2^shift below 2^61.
        most = np.array([52 if slope <= 0 else bits + pre_shift - _log2(slope) for slope in slopes])
        return np.broadcast_to(np.clip(most, 0, 52), len(self.steps.slope)).copy()

    def nearest(self, pre_shift: int, shift: np.ndarray, bits: int) -> np.ndarray:
        """Return each channel's multiplier nearest to its slope.

        A channel that never steps may have any slope: the steepest where the output is clamped, else one that
        crosses half a step from the first to the last accumulator.
        """
        most = (1 << bits) - 1
        scaled = [round(slope * 2 ** int(s - pre_shift)) for slope, s in zip(self.steps.slope, shift)]
        gentle = (np.int64(1) << shift) // (2 * (((self.last - self.first) << pre_shift) + 1))
        level = np.where(self.clamped, most, gentle)
        return np.clip(np.where(self.level, level, np.array(scaled, np.int64)), 1, most)

    def offsets(
        self, multiplier: np.ndarray, rows: np.ndarray, pre_shift: int, shift: np.ndarray, limit: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the smallest and largest offset that every step of the channels `rows` admits (none if crossed)."""
        first, last, place = self.first[rows, None], self.last[rows, None], self.places[rows]
        outputs = np.arange(self.steps.lowest + 1, self.steps.highest + 1, dtype=np.int64) << shift[rows, None]
        reach = -(-outputs // multiplier[:, None])  # ceil(k * 2^shift / m)
        lower = np.where(place <= last, reach - (place << pre_shift), -FAR).max(axis=1, initial=-FAR)
        upper = np.where(place > first, reach - 1 - ((place - 1) << pre_shift), FAR).min(axis=1, initial=FAR)
        lower = np.maximum(lower, -limit - (first[:, 0] << pre_shift))
        return lower, np.minimum(upper, limit - 1 - (last[:, 0] << pre_shift))

    def inside(self, row: int) -> np.ndarray:
        """Return the steps of a channel that accumulators can take."""
        place = self.places[row]
        return place[(place > self.first[row]) & (place <= self.last[row])]

    def stepping(self, row: int) -> tuple[int, int]:
        """Return the first and last accumulator of a channel beside a step, between which the output is not clamped."""
        inside = self.inside(row)
        return int(inside.min()) - 1, int(inside.max())

    def roomiest(self, row: int, pre_shift: int, shift: np.ndarray, limit: int, bits: int) -> int:
        """Return the multiplier with the widest range of offsets.

        The range is the smallest of some functions minus the largest of others, all nearly linear in 1 / m: it has
        one peak, found by narrowing an interval. n steps over d accumulators bound the slope to (n - 2) / d .. n / d.
        """
        inside = self.inside(row)
        low, high = 1, (1 << bits) - 1
        if inside.size > 1 and np.ptp(inside):
            unit, distance = 1 << int(shift[row] - pre_shift), int(np.ptp(inside))
            high = min(high, inside.size * unit // distance + 1)
            low = min(max(low, (inside.size - 2) * unit // distance), high)
        while high - low > 16:
            trials = np.linspace(low, high, 17).astype(np.int64)
            lower, upper = self.offsets(trials, np.full(len(trials), row), pre_shift, shift, limit)
            best = int(np.argmax(upper - lower))
            low, high = int(trials[max(best - 1, 0)]), int(trials[min(best + 1, len(trials) - 1)])
        trials = np.arange(low, high + 1)
        lower, upper = self.offsets(trials, np.full(len(trials), row), pre_shift, shift, limit)
        return int(trials[np.argmax(upper - lower)])


def _log2(value: Fraction) -> int:
    """Return the smallest e with value < 2^e, for value > 0."""
    e = value.numerator.bit_length() - value.denominator.bit_length()
    return e + (value >= Fraction(2) ** e)


def _ties_to_even(steps: Steps) -> Requant | None:
    """Round halves up, find the ties by what the shift drops, and make those even.

    Write q for a slope's denominator. The exact value plus a half lies on a grid of 1 / q; a tie is a whole number of
    it, so its fraction is 0, and that of the nearest other value at least 1 / q above (or where the grid begins,
    if it misses the whole numbers). The integer code differs from that by a constant, from the offset, and by the
    error of the slope times the accumulator. The zero point is added last: the value without it becomes even.
    """
    if steps.rounding != "half_even":
        return None
    half = Fraction(1, 2)
    half_up = replace(
        steps.without_zero_point(), intercept=[value + half for value in steps.intercept], rounding="floor"
    )
    # Where nothing steps there is nothing to round: the output is what it is.
    places, exact_places = half_up.places(), steps.places()
    level = steps.level(exact_places)
    places[level] = exact_places[level]
    begins = [value % Fraction(1, slope.denominator) for slope, value in zip(half_up.slope, half_up.intercept)]
    # Of the offsets that round halves up, the lowest leaves ties least above a whole number.
    search = _Search(half_up, places, take_lowest=np.array([begin == 0 for begin in begins]) & ~level)
    found = _linear(search, NARROW_SHARED + NARROW_EACH + WIDE)
    if found is None:
        return None
    above_ties, above_others = Fraction(0), Fraction(1 << 62)
    for channel, begin in enumerate(begins):
        if search.level[channel]:
            continue  # its slope may be any
        scale = Fraction(1 << int(found.shift[channel]))
        multiplier = int(found.multiplier[channel])
        constant = int(found.offset[channel]) * multiplier / scale - half_up.intercept[channel]
        slope_error = (multiplier << found.pre_shift) / scale - half_up.slope[channel]
        errors = [constant + slope_error * accumulator for accumulator in search.stepping(channel)]
        nearest_other = begin or Fraction(1, half_up.slope[channel].denominator)
        if begin == 0:
            above_ties = max(above_ties, max(errors) * scale)
        above_others = min(above_others, (nearest_other + min(errors)) * scale)
    if above_ties >= above_others:
        return None
    told_apart = replace(
        found,
        lowest=steps.lowest,
        highest=steps.highest,
        narrow=False,
        zero_point=steps.zero_point,
        tie_below=above_ties.numerator // above_ties.denominator + 1,
    )
    # Where nothing steps the code is still monotone: right at both ends is right between them.
    ends = ((c, int(end[c])) for c in np.flatnonzero(search.level) for end in (steps.first, steps.last))
    return told_apart if all(told_apart(*end) == steps.exact(*end) for end in ends) else None


def _corrected(steps: Steps) -> Requant | None:
    """Return an exact quotient for each channel, and constants whose result is at most 1 beside it.

    What the code computes differs from the quotient by a number that is linear in the accumulator: less than a half
    at both ends, it is so everywhere. None where 64 bits do not hold numerators and divisors.
    """
    half = Fraction(1, 2) if steps.rounding == "half_even" else Fraction(0)
    magnitude = max(1, *(int(abs(end)) for ends in (steps.first, steps.last) for end in ends))
    pre_shift = max(0, 30 - magnitude.bit_length())
    rows = []
    for channel, (slope, intercept) in enumerate(zip(steps.slope, steps.intercept)):
        ends = int(steps.first[channel]), int(steps.last[channel])
        if slope == 0 and ends == (0, 0):
            slope = Fraction(1, 256)  # of nothing: any does
        if slope <= 0:
            return None
        term = intercept + half
        divisor = lcm(slope.denominator, term.denominator)
        shift = min(30 + pre_shift - _log2(slope), 62)
        multiplier = round(slope * Fraction(2) ** (shift - pre_shift)) if shift >= 0 else 0
        if multiplier < 1 or divisor >= 1 << 62:
            return None
        offset = round(term * 2**shift / multiplier)
        errors = (((end << pre_shift) + offset) * Fraction(multiplier, 1 << shift) - slope * end - term for end in ends)
        exact = int(slope * divisor), int(term * divisor)
        fits = all(abs(n) < 1 << 62 for n in (exact[0], ((magnitude << pre_shift) + abs(offset)) * multiplier))
        reach = max(abs(slope * end + term) for end in ends)
        if not fits or reach >= 1 << 30 or any(abs(error) >= Fraction(1, 2) for error in errors):
            return None
        rows.append((multiplier, offset, shift, exact[0], divisor, exact[1]))
    multipliers, offsets, shifts, numerators, divisors, rests = zip(*rows)
    return Requant(
        np.array(multipliers),
        np.array(offsets, np.int64),
        pre_shift,
        np.array(shifts),
        steps.lowest,
        steps.highest,
        narrow=False,
        zero_point=steps.zero_point,
        tie_below=1 if half else 0,
        numerator=numerators,
        divisor=divisors,
        rest=rests,
    )


def _nearest(steps: Steps, search: _Search) -> Requant:
    """Round slope and intercept to the finest constants, and list every accumulator where that is wrong."""
    pre_shift = max(0, 30 - search.magnitude.bit_length())
    shift = search.shifts(pre_shift, 31, shared=False)
    multiplier = search.nearest(pre_shift, shift, 31)
    half = Fraction(1, 2) if steps.rounding == "half_even" else Fraction(0)
    wanted = [(intercept + half + steps.zero_point) for intercept in steps.intercept]
    offset = np.array([round(w * 2 ** int(s) / int(m)) for w, s, m in zip(wanted, shift, multiplier)], np.int64)
    found = Requant(multiplier, offset, pre_shift, shift, steps.lowest, steps.highest, narrow=False)
    return replace(found, wrong=tuple(differences(steps, found, search.places)))


def differences(steps: Steps, found: Requant, places: np.ndarray) -> list[tuple[int, int]]:
    """Return every (channel, accumulator) for which `found` is wrong: those between its steps and the exact ones."""
    wrong = set()
    for channel in range(len(steps.slope)):
        first, last = int(steps.first[channel]), int(steps.last[channel])
        for k, place in enumerate(places[channel], steps.lowest + 1):
            low, high = first, last + 1  # bisect for the smallest accumulator where the integer code reaches k
            while low < high:
                middle = (low + high) // 2
                low, high = (low, middle) if found(channel, middle) >= k else (middle + 1, high)
            wrong.update((channel, a) for a in range(min(low, int(place)), max(low, int(place))) if first <= a <= last)
    return sorted(wrong)
