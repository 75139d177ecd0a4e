"""Prove that an engine which can only add a bias, shift and clip computes a layer's requantisation exactly.

What a layer asks for (AccelOps.td, `requant`) and what such an engine does,

    clip((acc + bias) >> shift, low, high)

are both monotone in the accumulator. So they agree on all accumulators from `first` to `last` if and only if they
reach each output at the same place. Where the layer reaches q at the accumulator T(q), the engine must have

    T(q) = q * 2^shift - bias

or both places must lie before `first`, or both behind `last`. Each q so bounds the bias from below, from above, or
from both sides, and a bias between the bounds is a proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import frexp

import numpy as np

from htvm.backend.targets.violations import (
    AtLeast,
    Both,
    Fact,
    Interval,
    OfOutput,
    OneOf,
    OneShift,
    PowerOfTwo,
    Quality,
    Subject,
    Violation,
    any_of,
)
from htvm.dialects import accel
from htvm.dialects.semantics import tosa_scaling

Range = tuple[int, int]

INT32: Range = (-(1 << 31), (1 << 31) - 1)
FAR = 1 << 60
"""A bound that binds nothing."""
SHIFTS = 54
"""Shifts that a message tells from scales that are no power of two; their multiples are below FAR."""


@dataclass(frozen=True)
class Requant:
    """The attribute `requant` as plain data; each tuple has one entry, or one for each output channel.

    addend: what is added to the product; accel.add has its offset there. double_round: the product is rounded as TOSA's
    DOUBLE_ROUND does. divisor, rest: of an exact quotient, (acc * multiplier + rest) / divisor, which has no offset and
    no shifts; () without.
    """

    multiplier: tuple[int, ...]
    offset: tuple[int, ...]
    shift: tuple[int, ...]
    low: int
    high: int
    pre_shift: int = 0
    zero_point: int = 0
    tie_below: int = 0
    addend: int = 0
    double_round: bool = False
    divisor: tuple[int, ...] = ()
    rest: tuple[int, ...] = ()

    @staticmethod
    def of(requant: accel.RequantAttr) -> Requant:
        """Return what the attribute of a layer with accumulators says."""
        if requant.divisor is not None:
            entries = zip(requant.offset, requant.multiplier, requant.shift)
            near = tuple(offset * multiplier >> shift for offset, multiplier, shift in entries)
            return Requant._quotient(requant, accel.present(requant.numerator, "numerator"), near)
        return Requant(requant.multiplier, requant.offset, requant.shift, requant.min, requant.max,
                       requant.pre_shift, requant.zero_point, requant.tie_below,
                       double_round=requant.double_round)  # fmt: skip

    @staticmethod
    def _quotient(requant: accel.RequantAttr, numerator: tuple[int, ...], near: tuple[int, ...]) -> Requant:
        """Return an exact quotient. near: about what it is of 0, by which rests that are modulo 2^64 are known."""
        divisor, rest = (accel.present(getattr(requant, name), name) for name in ("divisor", "rest"))
        count = max(map(len, (divisor, rest, near)))
        entries = zip(*(_each(each, count) for each in (divisor, rest, near)))
        rests = tuple(low + ((about * over - low + (1 << 63)) >> 64 << 64) for over, low, about in entries)
        return Requant(numerator, (0,), (0,), requant.min, requant.max, 0, requant.zero_point, requant.tie_below,
                       divisor=divisor, rest=rests)  # fmt: skip

    @staticmethod
    def of_sum(requant: accel.RequantAttr, factors: tuple[int, int] = (1, 1)) -> Requant | None:
        """Return what the attribute of an accel.add says of the sum of its operands times factors; None if it is no
        function of that sum."""
        first, second = accel.present(requant.numerator, "") if requant.divisor else requant.multiplier
        if first * factors[1] != second * factors[0] or first % factors[0]:
            return None
        if requant.divisor is not None:
            near = (requant.offset[0] >> requant.shift[0],)
            return Requant._quotient(requant, (first // factors[0],), near)
        stated = Requant.of(requant)
        return Requant((first // factors[0],), (0,), stated.shift, stated.low, stated.high, 0, stated.zero_point,
                       stated.tie_below, stated.offset[0])  # fmt: skip

    def places(self, outputs: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        """Return [channels, outputs]: the smallest accumulator whose output is at least that, clipped to low..high.

        Outputs are int64 and ascend; first and last have an entry for each channel. A place before the first
        accumulator is put there, one behind the last right behind it.
        """
        channels = len(first)
        pairs = [*zip(*(_each(each, channels) for each in (self.multiplier, self.shift, *self._exact)))]
        sums = {pair: self._sums(outputs, *pair) for pair in set(pairs)}
        largest = max(max(map(abs, self.offset)), *(max(-row[0], row[-1]) for row in sums.values()))
        kind = np.int64 if largest < FAR else object
        wanted = np.stack([sums[pair].astype(kind) for pair in pairs])
        found = -((np.array(_each(self.offset, channels), kind)[:, None] - wanted) // (1 << self.pre_shift))
        before, behind = first[:, None], last[:, None] + 1
        found = np.clip(found, before, behind).astype(np.int64)
        return np.where(outputs <= self.low, before, np.where(outputs > self.high, behind, found))

    @property
    def _exact(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Divisors, and what is added before the division; 0 where a shift divides."""
        return (self.divisor, self.rest) if self.divisor else ((0,), (self.addend,))

    def outputs(self, accumulators: np.ndarray) -> np.ndarray:
        """Return the outputs of accumulators [channels, ..], int64."""
        channels = len(accumulators)
        multiplier, offset, shift, divisor, rest = (
            np.array(_each(entries, channels), object)[:, None]
            for entries in (self.multiplier, self.offset, self.shift, *self._exact)
        )
        if self.divisor:
            dividends = accumulators.astype(object) * multiplier + rest
            return self._rounded(dividends // divisor, dividends % divisor)
        products = ((accumulators.astype(object) << self.pre_shift) + offset) * multiplier + self.addend
        if self.double_round:
            products = products + tosa_scaling.addend(products, shift.astype(np.int64), double_round=True)
        quotients = products >> shift
        return self._rounded(quotients, products - (quotients << shift))

    def _rounded(self, quotients: np.ndarray, left: np.ndarray) -> np.ndarray:
        """Return outputs of quotients and of what is left of their divisions."""
        ties = left < self.tie_below
        quotients = quotients - np.where(ties, quotients % 2, 0) + self.zero_point
        return np.clip(quotients, self.low, self.high).astype(np.int64)

    def slopes(self, channels: int) -> np.ndarray:
        """Return about how much an output grows with the accumulator, for each channel."""
        if self.divisor:
            pairs = zip(_each(self.multiplier, channels), _each(self.divisor, channels))
            return np.array([numerator / divisor for numerator, divisor in pairs])
        multiplier, shift = (np.array(_each(entries, channels)) for entries in (self.multiplier, self.shift))
        return multiplier * 2.0 ** (self.pre_shift - shift)

    def _sums(self, outputs: np.ndarray, multiplier: int, shift: int, divisor: int, addend: int) -> np.ndarray:
        """Return the smallest sum, before the multiplication, that reaches each output; Python integers.

        An odd output needs `tie_below` more: below that it was a tie, and the even one under it is taken.
        """
        goals = [int(q) - self.zero_point for q in outputs]
        if self.double_round:
            return tosa_scaling.places(np.array(goals), np.array(multiplier), np.array(shift), True).astype(object)
        step = divisor or 1 << shift
        products = [q * step + (self.tie_below if q % 2 else 0) - addend for q in goals]
        if multiplier == 0:
            return np.array([FAR if product > 0 else -FAR for product in products], object)
        return np.array([-(-product // multiplier) for product in products], object)


@dataclass(frozen=True)
class Shift:
    """What the engine does instead: clip((acc + biases[c]) >> shift, low, high)."""

    biases: tuple[int, ...]
    shift: int
    low: int
    high: int

    def outputs(self, sums: np.ndarray) -> np.ndarray:
        """Return the results of sums int64[channels, ..]."""
        biases = np.array(self.biases).reshape(-1, *[1] * (sums.ndim - 1))
        return np.clip((sums + biases) >> self.shift, self.low, self.high)


@dataclass(frozen=True)
class Shifter(Fact):
    """An engine that shifts: the clips it has, its largest shift and the biases it can add."""

    clips: tuple[Range, ...]
    largest_shift: int
    biases: Range = INT32

    def solve(
        self, requant: Requant, first: Sequence[int] | np.ndarray, last: Sequence[int] | np.ndarray
    ) -> Shift | Violation:
        """Return constants that are exact for accumulators first[c]..last[c]; where there are none, why.

        No sum of an accumulator and its bias leaves 32 bits.
        """
        return _solve(self, requant, *(tuple(np.asarray(ends, np.int64).tolist()) for ends in (first, last)))

    def __str__(self) -> str:
        sums = "acc" if self.biases == (0, 0) else "(acc + bias)"
        clips = any_of(Interval(*clip) for clip in self.clips)
        return (
            f"({sums} >> shift) clipped to {clips}, {OneShift(Interval(0, self.largest_shift))}"
            + (", bias of 32 bits" if self.biases == INT32 else "")
            + ": equal for every accumulator that occurs"
        )


@lru_cache(maxsize=256)
def _solve(shifter: Shifter, requant: Requant, first: tuple[int, ...], last: tuple[int, ...]) -> Shift | Violation:
    ends = np.array(first), np.array(last)
    if min(requant.multiplier) < 0:
        return Violation(Subject.MULTIPLIER, min(requant.multiplier), AtLeast(0))
    for low, high in shifter.clips:
        outputs = np.arange(low, high + 2)
        places = requant.places(outputs, *ends)
        if (places[:, 0] > ends[0]).any() or (places[:, -1] <= ends[1]).any():
            continue  # an output beyond the clip is reached
        outputs, places = outputs[1:-1], places[:, 1:-1]
        widest = int(np.argmax(ends[1] - ends[0]))  # the channel that leaves fewest shifts to be tried
        own = ends[0][widest], ends[1][widest]
        for shift in fitting_shifts(outputs, places[widest], own, shifter.largest_shift + 1):
            least, most = bias_bounds(places, outputs << shift, *ends)
            least, most = _within(least, most, shifter.biases, *ends)
            if (least <= most).all():
                biases = np.clip(0, least, most)
                return Shift(tuple(biases.tolist()), shift, low, high)
    return violation(shifter, requant, ends)


def bias_bounds(
    places: np.ndarray, multiples: np.ndarray, first: np.ndarray, last: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest bias [channels] whose steps are at `places`; none if they cross.

    multiples: q * 2^shift of each output. A place that can be reached bounds from below, one that is not before the
    first accumulator bounds from above.
    """
    bounds = multiples - places
    least = np.where(places <= last[:, None], bounds, -FAR).max(1, initial=-FAR)
    most = np.where(places > first[:, None], bounds, FAR).min(1, initial=FAR)
    return least, most


def _within(
    least: np.ndarray, most: np.ndarray, biases: Range, first: np.ndarray, last: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Narrow bounds to the biases there are, and to those whose sums fit 32 bits."""
    low = np.maximum(np.maximum(least, biases[0]), INT32[0] - first)
    return low, np.minimum(np.minimum(most, biases[1]), INT32[1] - last)


def violation(shifter: Shifter, requant: Requant, ends: tuple[np.ndarray, np.ndarray]) -> Violation:
    """Return what of a requantisation no shift does."""
    outputs = np.arange(requant.low + 1, requant.high + 1)
    places = requant.places(outputs, *ends)
    known: dict[tuple[bytes, int, int], list[int]] = {}
    fitting: list[list[int]] = []  # of each channel; many are alike
    for channel, (row, first, last) in enumerate(zip(places, *ends)):
        key = row.tobytes(), int(first), int(last)
        if key not in known:
            known[key] = fitting_shifts(outputs, row, key[1:], SHIFTS)
        if not known[key]:
            return _scale_violation(shifter, requant, channel, len(places))
        fitting.append(known[key])
    one = sorted(set(fitting[0]).intersection(*fitting))
    wanted_shift = OneShift(Interval(0, shifter.largest_shift))
    allowed = [shift for shift in one if shift <= shifter.largest_shift]
    if allowed:
        least, most = bias_bounds(places, outputs << allowed[0], *ends)
        outside = np.flatnonzero((most < shifter.biases[0]) | (least > shifter.biases[1]))
        if outside.size:
            bias = OfOutput(int(least[outside[0]]), int(outside[0]))
            return Violation(Subject.BIAS, bias, Interval(*shifter.biases))
        return clip_violation(requant, shifter.clips)
    if one:
        return Violation(Subject.SHIFT, one[0], wanted_shift)
    shifts = [each[0] for each in fitting]
    other = next((c for c, shift in enumerate(shifts) if shift != shifts[0]), 0)
    return Violation(Subject.SHIFT, Both(OfOutput(shifts[0], 0), OfOutput(shifts[other], other)), wanted_shift)


def fitting_shifts(outputs: np.ndarray, places: np.ndarray, ends: Range, count: int) -> list[int]:
    """Return the shifts below `count` for which a channel has a bias. places: of its outputs; ends: accumulators."""
    multiples = outputs << np.arange(count)[:, None]
    least, most = bias_bounds(np.broadcast_to(places, multiples.shape), multiples, *(np.array([end]) for end in ends))
    return [int(shift) for shift in np.flatnonzero(least <= most)]


def _scale_violation(shifter: Shifter, requant: Requant, channel: int, channels: int) -> Violation:
    """Return a violation of a channel whose scale or rounding no shift has."""
    ratio = float(requant.slopes(channels)[channel])
    if ratio <= 1 and frexp(ratio)[0] == 0.5:
        return Violation(Subject.ROUNDING, OfOutput(Quality.TIES_TO_EVEN, channel), Quality.ROUNDED_DOWN)
    return Violation(Subject.SCALE, OfOutput(ratio, channel), PowerOfTwo(shifter.largest_shift))


def clip_violation(requant: Requant, clips: Sequence[Range]) -> Violation:
    """Return a violation of an engine's clips."""
    wanted = OneOf(tuple(Interval(*clip) for clip in clips))
    return Violation(Subject.CLIP, Interval(requant.low, requant.high), wanted)


def _each(entries: tuple[int, ...], channels: int) -> tuple[int, ...]:
    """Return an entry for each channel."""
    return entries * channels if len(entries) == 1 else entries
