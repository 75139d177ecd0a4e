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
from dataclasses import replace
from fractions import Fraction
from functools import cached_property

import numpy as np

from .exact_quotient import corrected, exponent
from .monotone_steps import DoubleRounded, Inexact, Requant, Steps

INT32_LIMIT = 1 << 31
FAR = 1 << 61
"""A bound that binds nothing; far from overflow when a pre-shifted accumulator is added."""


def solve(steps: Steps) -> Requant:
    """Return integer constants for a layer, exact if any of the forms is; else the nearest, with what is wrong.

    Tried in this order: 32-bit sums (one high multiplication on the host) with one shift for all channels; 32-bit
    sums with a shift for each channel and the zero point added last; 64-bit sums; and sums that tell ties from
    other values, which alternating ties need; and what one multiplier gives, corrected. That comes first for results
    with more than 8 bits, which have too many steps for one multiplier.
    """
    has_many_steps = steps.highest - steps.lowest > MOST_STEPS
    if has_many_steps and isinstance(steps, DoubleRounded):
        return steps.as_written()
    if has_many_steps and (found := corrected(steps)):
        return found
    search = _Search(steps, steps.places())
    apart = steps.without_zero_point()
    return (
        _linear(search, NARROW_SHARED)
        or _linear(_Search(apart, search.places), NARROW_EACH, steps)
        or (steps.as_written() if isinstance(steps, DoubleRounded) else _linear(search, WIDE))
        or _ties_to_even(steps)
        or (None if has_many_steps else corrected(steps))
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
        # Of the steps before the first accumulator the last says all, of those behind the last one the first.
        self.begin = np.maximum(early.sum(axis=1) - 1, 0)
        self.end = np.minimum((~late).sum(axis=1) + 1, places.shape[1])
        self.level = steps.level(places)
        self.clamped = early.all(axis=1) | late.all(axis=1)
        self.magnitude = max(1, int(np.abs(self.first).max()), int(np.abs(self.last).max()))
        self.exponents = [exponent(slope) if slope > 0 else None for slope in steps.slope]

    def pre_shifts(self) -> range:
        """Return the pre-shifts worth trying: the largest first, for it has the finest offsets.

        Accumulator and offset share 32 bits; the offset is about where the unclamped output is 0, in accumulators.
        """
        most = 31 - self.magnitude.bit_length()
        least = 31 - (self.magnitude + self.furthest_zero).bit_length()
        return range(most, max(min(least, most - 2), 0) - 1, -1)

    @cached_property
    def furthest_zero(self) -> int:
        """The largest magnitude of an accumulator at which the unclamped output of a channel is 0."""
        point = self.steps.zero_point
        zero = (  # floor(|intercept + point| / slope), in integers, which is five times as fast
            abs(intercept.numerator + point * intercept.denominator)
            * slope.denominator
            // (intercept.denominator * slope.numerator)
            for slope, intercept in zip(self.steps.slope, self.steps.intercept)
            if slope > 0
        )
        return max(zero, default=0)

    def run(self, pre_shift: int, limit: int, bits: int, shared_shift: bool) -> Requant | None:
        """Search with sums below `limit` in magnitude and multipliers of `bits` bits; None if a channel has none.

        Where the multiplier nearest to the slope admits no offset, the one with most room for it is looked for.
        """
        shift = self.shifts(pre_shift, bits, shared_shift)
        if shift.min() < 32:
            return None
        multiplier = self.nearest(pre_shift, shift, bits)
        lower, upper = self.offsets(multiplier, np.arange(len(multiplier)), pre_shift, shift, limit)
        for row in map(int, np.flatnonzero(lower > upper)):
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
        known = [each for each in self.exponents if each is not None]
        exponents = [max(known, default=None)] if shared else self.exponents
        # 2^52 keeps the largest output, of 9 bits, times 2^shift below 2^61.
        most = np.array([52 if each is None else bits + pre_shift - each for each in exponents])
        return np.broadcast_to(np.clip(most, 0, 52), len(self.steps.slope)).copy()

    def nearest(self, pre_shift: int, shift: np.ndarray, bits: int) -> np.ndarray:
        """Return each channel's multiplier nearest to its slope.

        A channel that never steps may have any slope: the steepest where the output is clamped, else one that
        crosses half a step from the first to the last accumulator.
        """
        most = (1 << bits) - 1
        scaled = [scaled_by(slope, int(s) - pre_shift) for slope, s in zip(self.steps.slope, shift)]
        gentle = (np.int64(1) << shift) // (2 * (((self.last - self.first) << pre_shift) + 1))
        level = np.where(self.clamped, most, gentle)
        return np.clip(np.where(self.level, level, np.array(scaled, np.int64)), 1, most)

    def offsets(
        self, multiplier: np.ndarray, rows: np.ndarray, pre_shift: int, shift: np.ndarray, limit: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the smallest and largest offset that every step of the channels `rows` admits (none if crossed)."""
        begin, end = self.begin[rows].min(initial=0), self.end[rows].max(initial=0)
        first, last, place = self.first[rows, None], self.last[rows, None], self.places[rows, begin:end]
        outputs = np.arange(begin + 1, end + 1, dtype=np.int64) + self.steps.lowest << shift[rows, None]
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


def scaled_by(slope: Fraction, exponent_of_two: int) -> int:
    """Return slope * 2^exponent_of_two, rounded half to even as `round` does, in a fifth of the time."""
    numerator, denominator = slope.numerator << max(0, exponent_of_two), slope.denominator << max(0, -exponent_of_two)
    quotient, rest = divmod(numerator, denominator)
    return quotient + (2 * rest > denominator or (2 * rest == denominator and quotient % 2 == 1))


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
    level = [int(channel) for channel in np.flatnonzero(search.level)]
    ends = ((c, int(end[c])) for c in level for end in (steps.first, steps.last))
    return told_apart if all(told_apart(*end) == steps.exact(*end) for end in ends) else None


def _nearest(steps: Steps, search: _Search) -> Requant:
    """Round slope and intercept to the finest constants, and count the accumulators where that is wrong."""
    pre_shift = max(0, 30 - search.magnitude.bit_length())
    shift = search.shifts(pre_shift, 31, shared=False)
    multiplier = search.nearest(pre_shift, shift, 31)
    half = Fraction(1, 2) if steps.rounding == "half_even" else Fraction(0)
    wanted = [(intercept + half + steps.zero_point) for intercept in steps.intercept]
    offset = np.array([round(w * 2 ** int(s) / int(m)) for w, s, m in zip(wanted, shift, multiplier)], np.int64)
    found = Requant(multiplier, offset, pre_shift, shift, steps.lowest, steps.highest, narrow=False)
    return replace(found, inexact=difference(steps, search.places, reached(steps, found)))


def reached(steps: Steps, found: Requant) -> np.ndarray:
    """Return [channels, highest - lowest]: as Steps.places, for constants without ties and quotients."""
    assert not (found.tie_below or found.divisor or found.zero_point)
    outputs = np.arange(steps.lowest + 1, steps.highest + 1).astype(object)
    multiplier, offset = (each.astype(object)[:, None] for each in (found.multiplier, found.offset))
    sums = -(-(outputs << found.shift.astype(object)[:, None]) // multiplier)
    places = -(-(sums - offset) // (1 << found.pre_shift))
    return np.clip(places, steps.first[:, None], steps.last[:, None] + 1).astype(np.int64)


def difference(steps: Steps, places: np.ndarray, others: np.ndarray) -> Inexact | None:
    """Compare two step functions; None if all steps of all channels are at the same places.

    An accumulator is between the two places of a step, or of several. Both ends of these ranges grow with the step, so
    that what a range adds to the ones before begins where they end.
    """
    first = np.maximum(np.minimum(places, others), steps.first[:, None])
    end = np.minimum(np.maximum(places, others), steps.last[:, None] + 1)
    before = np.concatenate([steps.first[:, None], end[:, :-1]], axis=1)
    added = np.maximum(end - np.maximum(first, before), 0)
    wrong = np.argwhere(added)
    if not len(wrong):
        return None
    channel, step = map(int, wrong[0])
    return Inexact(int(added.sum()), channel, int(first[channel, step]))
