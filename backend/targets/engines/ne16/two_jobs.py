"""Requantise exactly where one job cannot: a second job finishes what the first one has scaled.

One job adds its bias to a product of 32 bits. A layer with float scales mostly needs more: an accumulator of 20 bits
times a scale that is exact to 17. Without a bias a product has 48 bits, and a result of 32. So

    first   value = (acc * scale[k]) >> shift[k]        the layer's job, 32-bit scales, int32 results
    second  clip((value + bias[k]) >> fraction[k])      1x1 with stream-in and weights of 0, 8 output channels

The second is made of jobs with 8 channels each: with 8-bit results, stream-in takes no more. It reads and writes at the
same place (measured on the RTL), so the result of 8 channels lies in the first 8 bytes of their 32: a copy out of the
engine's memory takes 8 bytes of each 32. It takes about 1.3 cycles for each element of the output.

The engine does not use it yet: a launch has no memory for the sums of the first job.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from htvm.backend.targets.engines.ne16.job import Addresses, Blocks, Job, Mode, Requantisation, Strides, Width
from htvm.backend.targets.engines.ne16.layers import Map, Span
from htvm.backend.targets.engines.ne16.requant import CLIPS, FAR, LEVEL_SHIFT, PRODUCT_BITS, Thresholds
from htvm.backend.targets.engines.ne16.rules import STREAM_IN_CHANNELS
from htvm.backend.targets.engines.shift_requant import INT32
from htvm.backend.targets.violations import Described, OfOutput, Subject, Violation, WithOffset

GROUP_BYTES = 4 * STREAM_IN_CHANNELS
"""Of the sums of a second job; its results are the first 8."""

SHIFT = 16
"""Of the first job: a result of 32 bits, times 2^16, is a product of 48."""

VALUE_BITS = 30
"""Of a result of the first job, without its sign: a bias of as many still fits beside it."""

FRACTIONS_TRIED = 3
"""The largest, and smaller ones: a bias that is as large as the values leaves them less room."""

LARGEST_SCALE = (1 << 32) - 1
TRIALS = 17
"""Scales that are tried at a time, of those near a layer's own."""

ZERO_BYTES = 36
"""Bytes of 0 that second jobs read as inputs and as weights: what an access is wide."""


@dataclass(frozen=True)
class TwoJobs:
    """The constants of both jobs, by channel."""

    scales: tuple[int, ...]
    biases: tuple[int, ...]
    fractions: tuple[int, ...]
    relu: bool

    @property
    def first(self) -> Requantisation:
        """How the layer's job scales; its results have 32 bits."""
        return Requantisation(Width.BITS_32, SHIFT, has_bias=False, has_shift_array=False, relu=False)

    @property
    def second(self) -> Requantisation:
        """How the second job finishes: its scales are all 1."""
        one = len(set(self.fractions)) == 1
        fraction = self.fractions[0] if one else 0
        return Requantisation(Width.BITS_8, fraction, has_bias=True, has_shift_array=not one, relu=self.relu)

    def outputs(self, accumulators: np.ndarray) -> np.ndarray:
        """Return the results of accumulators int64[channels, ..]."""
        scales, biases, fractions = (
            np.array(each, np.int64).reshape(-1, *[1] * (accumulators.ndim - 1))
            for each in (self.scales, self.biases, self.fractions)
        )
        return np.clip((((accumulators * scales) >> SHIFT) + biases) >> fractions, *CLIPS[self.relu])


def solve(wanted: Thresholds) -> TwoJobs | Violation:
    """Return constants that are exact for every accumulator that occurs; where there are none, why."""
    failed = 0
    for relu, clip in CLIPS.items():
        places = wanted.within(clip)
        if places is None or wanted.slopes.min() < 0:
            continue
        scales, biases, fractions, exact = _constants(wanted, places, clip[0])
        if exact.all():
            found = (tuple(int(number) for number in each) for each in (scales, biases, fractions))
            return TwoJobs(*found, relu=relu)
        failed = int(exact.argmin())
    slope = OfOutput(WithOffset(float(wanted.slopes[failed])), failed)
    return Violation(Subject.SCALE, slope, Described(f"one that {PRODUCT_BITS} bits of a product are exact for"))


def _constants(
    wanted: Thresholds, places: np.ndarray, low: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return scales, biases and fractions of all channels, and which are exact."""
    slopes, channels = wanted.slopes, len(wanted.slopes)
    furthest = np.maximum(np.maximum(np.abs(wanted.first), np.abs(wanted.last)), 1).astype(np.float64)
    with np.errstate(divide="ignore"):
        most_fraction = np.minimum(VALUE_BITS - np.log2(furthest * slopes), 32 - SHIFT - np.log2(slopes))
    largest = np.clip(np.floor(most_fraction), 0, LEVEL_SHIFT).astype(np.int64)
    scales, biases, fractions = (np.zeros(channels, np.int64) for _ in range(3))
    exact = np.zeros(channels, bool)
    outputs = np.arange(low + 1, low + 1 + places.shape[1], dtype=np.int64)
    for less in range(FRACTIONS_TRIED):
        fraction = np.maximum(largest - less, 0)
        goals = outputs << fraction[:, None]
        about = np.clip(np.floor(slopes * 2.0 ** (SHIFT + fraction)), 1, LARGEST_SCALE - 1).astype(np.int64)
        # 0 is exact for a channel whose output never changes.
        for trial in (about, about + 1, np.zeros(channels, np.int64), None):
            rows = np.flatnonzero(~exact)
            if trial is None:
                peaks = [_roomiest(wanted, places, goals, channel, int(about[channel])) for channel in rows.tolist()]
                tried = np.array(peaks, np.int64)
            else:
                tried = trial[rows]
            least, most = _bias_bounds(wanted, places, goals, rows, tried)
            fits = least <= most
            chosen = rows[fits]
            scales[chosen], fractions[chosen] = tried[fits], fraction[chosen]
            biases[chosen] = np.clip(0, least[fits], most[fits])
            exact[chosen] = True
    return scales, biases, fractions, exact


def _bias_bounds(
    wanted: Thresholds, places: np.ndarray, goals: np.ndarray, rows: np.ndarray, scales: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest bias of scales, one for each channel of `rows`; crossed if there is none."""
    first, last, places, goals = wanted.first[rows, None], wanted.last[rows, None], places[rows], goals[rows]
    scale = scales[:, None]
    least = np.where(places <= last, goals - (scale * places >> SHIFT), -FAR).max(1, initial=-FAR)
    most = np.where(places > first, goals - 1 - (scale * (places - 1) >> SHIFT), FAR).min(1, initial=FAR)
    lowest, highest = (scale * first >> SHIFT)[:, 0], (scale * last >> SHIFT)[:, 0]
    fits = (lowest >= INT32[0]) & (highest <= INT32[1])  # else results would be clipped
    least = np.maximum(least, INT32[0] - np.minimum(lowest, 0))
    most = np.minimum(most, INT32[1] - np.maximum(highest, 0))
    return np.where(fits, least, FAR), np.where(fits, most, -FAR)


def _roomiest(wanted: Thresholds, places: np.ndarray, goals: np.ndarray, channel: int, about: int) -> int:
    """Return the scale near `about` with the widest range of biases.

    The range has one peak, to which an interval is narrowed.
    """
    low, high = max(about - about // 256, 1), min(about + about // 256 + 1, LARGEST_SCALE)
    while high - low > TRIALS:
        trials = np.linspace(low, high, TRIALS).astype(np.int64)
        least, most = _bias_bounds(wanted, places, goals, np.full(TRIALS, channel), trials)
        best = int(np.argmax(most - least))
        low, high = int(trials[max(best - 1, 0)]), int(trials[min(best + 1, TRIALS - 1)])
    trials = np.arange(low, high + 1)
    least, most = _bias_bounds(wanted, places, goals, np.full(len(trials), channel), trials)
    return int(trials[np.argmax(most - least)])


@dataclass(frozen=True)
class SecondConstants:
    """Where the constants of second jobs are: bytes of 1 for scales, biases, shifts if they are an array, and zeros."""

    ones: int
    biases: int
    shifts: int
    zeros: int


def second_jobs(
    sums: Map, outputs: Span, rows: Span, columns: Span, requantisation: Requantisation, constants: SecondConstants
) -> tuple[Job, ...]:
    """Return the jobs that finish a part of a map of int32 sums, in place: channel k is then the byte `byte_of(k)`.

    sums: with whole groups of 8 channels in each pixel. outputs: from a multiple of 8 on. constants: of the whole map.
    """
    found: list[Job] = []
    for group in outputs.cut(STREAM_IN_CHANNELS):
        start = group.start
        if start % STREAM_IN_CHANNELS:
            raise ValueError(f"outputs from {start} on, expected a multiple of {STREAM_IN_CHANNELS}")
        row_blocks, column_blocks = Blocks.of(rows.size, 3), Blocks.of(columns.size, 3)
        found.append(
            Job(
                mode=Mode.CONV1X1,
                weight_bits=2,
                outputs=Blocks(1, group.size),
                inputs=Blocks(1, 1),
                rows=row_blocks,
                columns=column_blocks,
                addresses=Addresses(
                    weights=constants.zeros,
                    input=constants.zeros,
                    output=sums.at(rows.start, columns.start, 4 * start),
                    scale=constants.ones + start,
                    shift=constants.shifts + start,
                    bias=constants.biases + 4 * start,
                ),
                input_strides=Strides(0, 0, 0),
                output_strides=Strides(GROUP_BYTES, sums.pixel_bytes, sums.row_bytes),
                weight_strides=Strides(0, 0, 0),
                input_rows=row_blocks.remainder,
                input_columns=column_blocks.remainder,
                requantisation=requantisation,
                stream_in=True,
            )
        )
    return tuple(found)


def byte_of(channel: int) -> int:
    """Return where the result of a channel is in its pixel."""
    return channel // STREAM_IN_CHANNELS * GROUP_BYTES + channel % STREAM_IN_CHANNELS
