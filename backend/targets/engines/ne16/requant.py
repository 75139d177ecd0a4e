"""Find scales, biases and shifts with which NE16 computes a layer's requantisation exactly, and prove it.

What a layer asks for is, for each channel, a step function of the accumulator that never falls; what the hardware does,

    clip((acc * scale[k] + bias[k]) >> shift[k], low, high)

is one too. They agree on all accumulators from `first` to `last` if and only if they reach each output at the same one.
Where the layer reaches q at T(q), the bias must be

    at least (q << shift) - scale * T(q), and at most (q << shift) - scale * (T(q) - 1) - 1

as far as these accumulators occur; a bias between all bounds is a proof. The sum wraps at 32 bits, so only it must fit,
not the product; without a bias the product has 48 bits. What is exact is so too with a scale and a bias twice as large
and a shift more: only the largest shifts that the widths allow are tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from htvm.backend.targets.engines.ne16.job import OUTPUT_BLOCK, Requantisation, Width
from htvm.backend.targets.engines.shift_requant import INT32, Requant
from htvm.backend.targets.violations import (
    AtLeast,
    Described,
    Interval,
    OfOutput,
    OneOf,
    Subject,
    Violation,
    WithOffset,
)

CLIPS = {True: (0, 255), False: (-128, 127)}
"""Of 8-bit results, with relu and without."""

FAR = 1 << 61
"""A bound that binds nothing."""

PRODUCT_BITS = 48
"""Of a result without bias."""

LARGEST_SHIFT = 31
"""Of one shift for all channels, and of any that has a bias: the sum has 32 bits."""

LARGEST_ARRAY_SHIFT = 47
"""Of an array without biases; its entries have 6 bits, and a product 48."""

LEVEL_SHIFT = 22
"""Of a channel whose output never changes: any 8-bit output, times 2^22, is a bias."""

PROVABLE_BITS = 60
"""Of products in a proof, which is made of 64-bit integers."""

SHIFTS_TRIED = 2
"""The largest, and the next one: the scale of the largest can miss its width by being rounded up."""


@dataclass(frozen=True, eq=False)
class Thresholds:
    """What a layer asks for: outputs from `lowest` on, of accumulators first[k] to last[k].

    places: int64[channels, outputs - 1], the smallest accumulator with at least the output lowest + 1, lowest + 2, ..;
    `first` where all have it, the one behind `last` where none has. slopes: float64[channels], about how much an output
    grows with the accumulator.
    """

    lowest: int
    places: np.ndarray
    first: np.ndarray
    last: np.ndarray
    slopes: np.ndarray

    @staticmethod
    def of(requant: Requant, first: Sequence[int] | np.ndarray, last: Sequence[int] | np.ndarray) -> Thresholds:
        """Return the thresholds of a layer's requantisation."""
        ends = np.asarray(first, np.int64), np.asarray(last, np.int64)
        places = requant.places(np.arange(requant.low + 1, requant.high + 1), *ends)
        return Thresholds(requant.low, places, *ends, requant.slopes(len(ends[0])))

    def within(self, clip: tuple[int, int]) -> np.ndarray | None:
        """Return the places of the outputs clip[0] + 1 to clip[1]; None if an output outside of the clip occurs."""
        highest = self.lowest + self.places.shape[1]
        before, behind = self.first[:, None], self.last[:, None] + 1
        below = min(max(clip[0] - self.lowest, 0), self.places.shape[1])
        above = max(clip[1] - self.lowest, 0)
        if (self.places[:, :below] > before).any() or (self.places[:, above:] < behind).any():
            return None
        found = [self.places[:, below:above]]
        if clip[0] < self.lowest:  # all accumulators have the layer's lowest output, at least
            found.insert(0, np.repeat(before, min(self.lowest, clip[1]) - clip[0], 1))
        if clip[1] > highest:  # none has more than its highest
            found.append(np.repeat(behind, clip[1] - max(highest, clip[0]), 1))
        return np.concatenate(found, 1)

    @property
    def reached(self) -> Interval:
        """The outputs that occur."""
        low = int((self.places <= self.first[:, None]).sum(1).min())
        high = int((self.places <= self.last[:, None]).sum(1).max())
        return Interval(self.lowest + low, self.lowest + high)


@dataclass(frozen=True)
class Scaling:
    """What the hardware is given: clip((acc * scales[k] + biases[k]) >> shifts[k]), by channel.

    width: of a scale. Biases are all 0 where there are none; shifts are all equal where there is no array of them.
    """

    width: Width
    scales: tuple[int, ...]
    biases: tuple[int, ...]
    shifts: tuple[int, ...]
    relu: bool
    has_bias: bool
    has_shift_array: bool

    @property
    def requantisation(self) -> Requantisation:
        """What a job's registers say of it."""
        shift = 0 if self.has_shift_array else self.shifts[0]
        return Requantisation(self.width, shift, self.has_bias, self.has_shift_array, self.relu)

    def outputs(self, accumulators: np.ndarray) -> np.ndarray:
        """Return the results of accumulators int64[channels, ..]."""
        scales, biases, shifts = (
            np.array(each, np.int64).reshape(-1, *[1] * (accumulators.ndim - 1))
            for each in (self.scales, self.biases, self.shifts)
        )
        return np.clip((accumulators * scales + biases) >> shifts, *CLIPS[self.relu])

    def of_channels(self, chosen: slice) -> Scaling:
        """Return the constants of some channels, with the same fields of registers."""
        return replace(self, scales=self.scales[chosen], biases=self.biases[chosen], shifts=self.shifts[chosen])

    def packed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the bytes of scales, shifts and biases; the last two are empty where there are none."""
        scales = np.array(self.scales, f"<u{self.width.size_bytes}").view(np.uint8)
        biases = np.array(self.biases if self.has_bias else (), "<i4").view(np.uint8)
        return scales, np.array(self.shifts if self.has_shift_array else (), np.uint8), biases


@dataclass(frozen=True)
class _Option:
    """A way to requantise: the width of scales, and which arrays there are."""

    width: Width
    has_bias: bool
    has_shift_array: bool

    @property
    def cycles(self) -> int:
        """What it takes of a full block of outputs."""
        scale = {Width.BITS_8: OUTPUT_BLOCK // 4, Width.BITS_16: OUTPUT_BLOCK // 2}.get(self.width, OUTPUT_BLOCK)
        return scale + (9 + OUTPUT_BLOCK // 8 if self.has_bias else 0) + (8 if self.has_shift_array else 0)

    @property
    def largest_shift(self) -> int:
        return LARGEST_ARRAY_SHIFT if self.has_shift_array and not self.has_bias else LARGEST_SHIFT


OPTIONS = sorted(
    (_Option(width, bias, array) for width in list(Width)[:3] for bias in (False, True) for array in (False, True)),
    key=lambda option: option.cycles,
)
"""From the fastest on."""


def solve(wanted: Thresholds, widest: Width = Width.BITS_32) -> Scaling | Violation:
    """Return the fastest constants that are exact for every accumulator that occurs; where there are none, why.

    widest: of scales. Both clips are tried: 0 to 255, and -128 to 127.
    """
    if wanted.first.min() < INT32[0] or wanted.last.max() > INT32[1]:
        return Violation("accumulator", Interval(int(wanted.first.min()), int(wanted.last.max())), Interval(*INT32))
    if wanted.slopes.min() < 0:
        channel = int(wanted.slopes.argmin())
        return Violation(Subject.MULTIPLIER, OfOutput(float(wanted.slopes[channel]), channel), AtLeast(0))
    clipped = {relu: places for relu, clip in CLIPS.items() if (places := wanted.within(clip)) is not None}
    best: np.ndarray | None = None
    for option in OPTIONS:
        if option.width > widest:
            continue
        for relu, places in clipped.items():
            search = _Search(wanted, places, CLIPS[relu][0], option)
            found = search.run()
            if found is not None:
                scales, biases, shifts = (tuple(each.tolist()) for each in found)
                return Scaling(option.width, scales, biases, shifts, relu, option.has_bias, option.has_shift_array)
            best = search.exact if best is None else best | search.exact
    return _violation(wanted, best, widest)


class _Search:
    """The constants of one option that are exact for each channel. exact: bool[channels], which have been found."""

    def __init__(self, wanted: Thresholds, places: np.ndarray, low: int, option: _Option) -> None:
        self.option, self.places = option, places
        self.first, self.last, self.slopes = wanted.first, wanted.last, wanted.slopes
        self.outputs = np.arange(low + 1, low + 1 + places.shape[1], dtype=np.int64)
        self.most = (1 << 8 * option.width.size_bytes) - 1
        channels = len(self.first)
        self.exact = np.zeros(channels, bool)
        self.scales, self.biases, self.shifts = (np.zeros(channels, np.int64) for _ in range(3))

    def run(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Return scales, biases and shifts of all channels; None if one has none."""
        largest = self.largest_shifts()
        if not self.option.has_shift_array:
            largest = np.full_like(largest, largest.min())
        for less in range(SHIFTS_TRIED):
            shift = largest - less
            rows = np.flatnonzero((shift >= 0) & ~self.exact)
            if not self.option.has_shift_array:
                self.exact[:] = False
                rows = np.arange(len(shift)) if shift[0] >= 0 else rows[:0]
            self.attempt(rows, shift[rows])
            if self.exact.all():
                return self.scales, self.biases, self.shifts
        return None

    def largest_shifts(self) -> np.ndarray:
        """Return the largest shift of each channel whose scale, and whose sums, fit their widths."""
        bits = 32 if self.option.has_bias else PRODUCT_BITS
        furthest = np.maximum(np.abs(self.first), np.abs(self.last)).astype(np.float64)
        span = (self.last - self.first).astype(np.float64) if self.option.has_bias else 2 * furthest
        room = np.minimum(float(self.most + 1), 2.0**bits / np.maximum(span, 1))
        room = np.minimum(room, 2.0**PROVABLE_BITS / np.maximum(furthest, 1))
        with np.errstate(divide="ignore"):
            largest = np.floor(np.log2(room) - np.log2(self.slopes))
        level = ((self.places <= self.first[:, None]) | (self.places > self.last[:, None])).all(1)
        largest = np.where(level | (self.slopes <= 0), LEVEL_SHIFT, largest)
        return np.clip(largest, -1, self.option.largest_shift).astype(np.int64)

    def attempt(self, rows: np.ndarray, shift: np.ndarray) -> None:
        """Look for constants of some channels, with these shifts."""
        if not len(rows):
            return
        about = np.floor(np.maximum(self.slopes[rows], 0) * 2.0**shift)
        # 0 is exact for a channel whose output never changes.
        trials = np.concatenate([np.zeros((len(rows), 1)), about[:, None] + np.arange(-1, 3)], 1)
        scales = np.clip(trials, 0, self.most).astype(np.int64)
        least, most = self.bounds(rows, scales, shift)
        fits = least <= most
        best = (np.arange(len(rows)), fits.argmax(1))
        good = fits[best]
        chosen = rows[good]
        self.exact[chosen] = True
        self.scales[chosen], self.shifts[chosen] = scales[best][good], shift[good]
        self.biases[chosen] = np.clip(0, least[best], most[best])[good]

    def bounds(self, rows: np.ndarray, scales: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the smallest and largest bias of scales [rows, trials]; crossed where there is none."""
        first, last, places = self.first[rows, None], self.last[rows, None], self.places[rows]
        goals = self.outputs << shift[:, None]
        least = np.full(scales.shape, -FAR)
        most = np.full(scales.shape, FAR)
        for trial in range(scales.shape[1]):
            products = scales[:, trial, None] * places
            least[:, trial] = np.where(places <= last, goals - products, -FAR).max(1, initial=-FAR)
            above = goals - products + scales[:, trial, None] - 1
            most[:, trial] = np.where(places > first, above, FAR).min(1, initial=FAR)
        if self.option.has_bias:
            least = np.maximum(least, np.maximum(INT32[0], INT32[0] - scales * first))
            return least, np.minimum(most, np.minimum(INT32[1], INT32[1] - scales * last))
        limit = 1 << PRODUCT_BITS - 1
        fits = (scales * first >= -limit) & (scales * last < limit) & (least <= 0) & (most >= 0)
        return np.where(fits, 0, FAR), np.where(fits, 0, -FAR)


def _violation(wanted: Thresholds, exact: np.ndarray | None, widest: Width) -> Violation:
    """Return why there are no constants: outputs that no clip has, or a channel's scale."""
    reached = wanted.reached
    fitting = [clip for clip in CLIPS.values() if Interval(*clip).contains(reached)]
    highest = wanted.lowest + wanted.places.shape[1]
    clips = OneOf(tuple(Interval(*clip) for clip in CLIPS.values()))
    if not fitting or exact is None:
        return Violation(Subject.CLIP, reached, clips)
    edges = {(wanted.lowest, highest)} - {*CLIPS.values()}
    if edges and (reached.high == highest or reached.low == wanted.lowest) and not exact.all():
        return Violation(Subject.CLIP, Interval(wanted.lowest, highest), clips)
    channel = int(np.flatnonzero(~exact)[0]) if not exact.all() else 0
    bits = 8 * widest.size_bytes
    wanted_scale = Described(f"a scale of {bits} bits and a bias of 32, over a power of two")
    return Violation(Subject.SCALE, OfOutput(WithOffset(float(wanted.slopes[channel])), channel), wanted_scale)
