"""Averages of any number of pixels, for an array that multiplies by bytes, adds a bias, shifts and adds feature maps.

A layer that sums P pixels, which the array sees as its input channels, and requantises the sum s to f(s), is computed
in several launches. Estimates are f(s) or up to N more, and each of N corrections takes one off where that is so:

    estimate    e = clip((m * s + b) >> t)          the sum of m * x, in as many equal rows as the next launch needs
    copy        x' = (x + x) >> 1                   so that e lies behind the pixels
    correction  c = (a * s - d * e + g) >> k        the sum of a * x' and of the rows of e with weights of -d; 0 or -1
    estimate    e + c                               behind another copy, if it is to be corrected again

Both f and e are step functions of s. Where f reaches the output q at the sum J(q), and e at I(q),

    f <= e <= f + N     if and only if     I(q) <= J(q) <= I(q + N)           for every q
    c is exact          if and only if     -2^k <= a * s - d * e + g < 0      for every s with e > f,
                                           0 <= a * s - d * e + g < 2^k       for every s with e = f

Each of these bounds an addend from below or from above, and one between all bounds is a proof for every sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice

import numpy as np

from htvm.backend.targets.engines.shift_requant import INT32, Range, Requant
from htvm.backend.targets.jobs import Form, Job, JobStep, Place
from htvm.dialects.accel import FormKind, JobKind, Layout

MOST_FACTOR = 127
"""Of a weight; below, weights reach one further."""
MOST_SUM_FACTOR = 16
"""Factors of the sum in the correction that are tried."""
MOST_CORRECTIONS = 2
MOST_ESTIMATES = 3
"""Estimates that are tried for each number of corrections: whether there is a correction depends on them but little."""
COPIED, CORRECTION = "copy and estimates", "correction"
"""Buffers, of which each correction has its own."""
BYTE: Range = (-128, 127)


@dataclass(frozen=True)
class Constants:
    """Of the estimate: multiplier, bias, shift, clip; of the correction, as its formula has them; and their number."""

    multiplier: int
    bias: int
    shift: int
    low: int
    high: int
    sum_factor: int
    estimate_factor: int
    addend: int
    correction_shift: int
    corrections: int

    def form(self) -> Form:
        """Return the form that has these constants."""
        own = (self.multiplier, self.bias, self.shift, self.low, self.high)
        correction = (self.sum_factor, self.estimate_factor, self.addend, self.correction_shift, self.corrections)
        return Form(FormKind.CORRECTED_AVERAGE, 1, 1, (*own, *correction))

    @staticmethod
    def of(job: Job) -> Constants:
        """Return the constants of a job in this form."""
        assert job.form is not None, job
        return Constants(*job.form.constants)

    @property
    def rows(self) -> list[int]:
        """The weights of the rows of estimates in the correction: bytes, whose sum is minus the factor."""
        return [-min(-BYTE[0], self.estimate_factor - used) for used in range(0, self.estimate_factor, -BYTE[0])]

    def estimates(self, sums: np.ndarray) -> np.ndarray:
        """Return the estimates of sums."""
        return np.clip((self.multiplier * sums + self.bias) >> self.shift, self.low, self.high)

    def results(self, sums: np.ndarray) -> np.ndarray:
        """Return what all launches make of sums."""
        found = self.estimates(sums)
        for _ in range(self.corrections):
            rest = self.sum_factor * sums - self.estimate_factor * found + self.addend
            found = found + np.clip(rest >> self.correction_shift, *BYTE)
        return found


@lru_cache(maxsize=256)
def solve(requant: Requant, first: int, last: int, clips: tuple[Range, ...], largest_shift: int) -> Constants | None:
    """Return constants that are exact for all sums from `first` to `last`; None if none were found."""
    every = [steps for clip in clips if (steps := Steps.of(requant, first, last, *clip)) is not None]
    for corrections in range(1, MOST_CORRECTIONS + 1):
        for steps in every:
            for estimate in islice(steps.estimates(corrections, largest_shift), MOST_ESTIMATES):
                if (found := steps.corrected(estimate, largest_shift)) is not None:
                    return found
    return None


@dataclass(frozen=True)
class Steps:
    """A requantisation of the sums first..last as its steps. starts: the first sum of each of the outputs."""

    first: int
    last: int
    low: int
    high: int
    outputs: np.ndarray
    starts: np.ndarray

    @staticmethod
    def of(requant: Requant, first: int, last: int, low: int, high: int) -> Steps | None:
        """Return the steps, if no output is beyond the clip low..high; the last one is that of no sum."""
        ends = np.array([first]), np.array([last])
        lowest, highest = (int(requant.outputs(end[:, None])[0, 0]) for end in ends)
        if lowest < low or highest > high:
            return None
        outputs = np.arange(lowest, highest + 2)
        starts = np.append(requant.places(outputs[:-1], *ends)[0], last + 1)
        starts[0] = first
        return Steps(first, last, low, high, outputs, starts)

    def estimates(self, corrections: int, largest_shift: int) -> Iterator[Constants]:
        """Yield estimates that are right or too large by up to the corrections, of small shifts first."""
        factors = np.arange(1, MOST_FACTOR + 1)[:, None]
        reached = self.starts[:-1] <= self.last, self.outputs[:-1] > self.low
        bounding = (self.starts > self.first) & (self.outputs + corrections <= self.high)
        for shift in range(largest_shift + 1):
            below = (self.outputs[:-1] << shift) - factors * self.starts[:-1]
            above = ((self.outputs + corrections) << shift) - 1 - factors * (self.starts - 1)
            least = np.where(reached[0] & reached[1], below, INT32[0]).max(1)
            most = np.where(bounding, above, INT32[1]).min(1)
            least, most = np.maximum(least, INT32[0]), np.minimum(most, INT32[1])
            for number in np.flatnonzero(least <= most):
                factor, bias = int(number) + 1, int(np.clip(0, least[number], most[number]))
                ends = [factor * end + bias for end in (self.first, self.last)]
                if INT32[0] <= min(ends) and max(ends) <= INT32[1]:
                    yield Constants(factor, bias, shift, self.low, self.high, 0, 0, 0, 0, corrections)

    def corrected(self, estimate: Constants, largest_shift: int) -> Constants | None:
        """Return an estimate with its correction; None if there is none."""
        sums = np.arange(self.first, self.last + 1)
        found = estimate.estimates(sums)
        wanted = self.outputs[np.searchsorted(self.starts, sums, side="right") - 1]
        states = [found]
        for _ in range(estimate.corrections - 1):
            states.append(states[-1] - (states[-1] > wanted))
        found, sums = np.concatenate(states), np.tile(sums, len(states))
        is_over = found > np.tile(wanted, len(states))
        span = max(int(self.outputs[-2] - self.outputs[0]), 1)
        for factor in range(1, MOST_SUM_FACTOR + 1):
            about = round(factor * (self.last - self.first) / span)
            near = {about + offset for offset in range(-3, 4)} | {factor * length for length in self.lengths()}
            for divisor in sorted(each for each in near if each > 0):
                rest = factor * sums - divisor * found
                least = -rest[~is_over].min(initial=INT32[1])
                most = -1 - rest[is_over].max(initial=INT32[0])
                if least > most:
                    continue
                addend = int(np.clip(0, least, most))
                far = max(int((rest + addend).max()), -1 - int((rest + addend).min()))
                shift = far.bit_length()
                if shift <= largest_shift and far <= INT32[1]:
                    return replace(
                        estimate, sum_factor=factor, estimate_factor=divisor, addend=addend, correction_shift=shift
                    )
        return None

    def lengths(self) -> list[int]:
        """Return how many sums the steps have, each number once."""
        return sorted(set(np.diff(self.starts[1:-1]).tolist()))[:4]


def steps(job: Job) -> Sequence[JobStep]:
    """Return the launches of a layer in this form; all of it is one tile."""
    constants = Constants.of(job)
    pixels, width = job.channels, job.size[1]
    rows = len(constants.rows)
    plain = replace(job, form=None, layout=Layout.NCHW)  # of estimates one row lies behind the other
    x = Place("input")
    copy = replace(plain, kind=JobKind.ADD, outputs=pixels).having(shift=1, low=BYTE[0], high=BYTE[1])
    estimate = replace(plain, outputs=rows).having(shift=constants.shift, low=constants.low, high=constants.high)
    correct = replace(plain, channels=pixels + rows).having(shift=constants.correction_shift, low=BYTE[0], high=BYTE[1])
    add = replace(plain, kind=JobKind.ADD, channels=rows, outputs=rows).having(shift=0, low=BYTE[0], high=BYTE[1])
    found = [JobStep(estimate, (x,), Place(buffer(COPIED, 1), pixels * width))]
    for number in range(1, constants.corrections + 1):
        is_last = number == constants.corrections
        outputs = 1 if is_last else rows
        copied, correction = Place(buffer(COPIED, number)), Place(buffer(CORRECTION, number))
        estimates = replace(copied, offset_bytes=pixels * width)
        better = Place("output") if is_last else Place(buffer(COPIED, number + 1), pixels * width)
        found += [
            JobStep(copy, (x, x), copied),
            JobStep(replace(correct, outputs=outputs), (copied,), correction),
            JobStep(replace(add, channels=outputs, outputs=outputs), (estimates, correction), better),
        ]
    return found


def buffer(name: str, number: int) -> str:
    """Return the name of a buffer of a correction."""
    return name if number == 1 else f"{name} {number}"


def scratch(job: Job) -> dict[str, int]:
    """Return the buffers that the launches of a layer need beside its feature maps: their bytes, by name."""
    return {
        step.output.buffer: step.output.offset_bytes + step.job.output_bytes
        for step in sorted(steps(job), key=lambda step: step.output.offset_bytes)
        if step.output.buffer != "output"
    }


def matrices(job: Job) -> Iterator[tuple[Job, np.ndarray, np.ndarray]]:
    """Yield the launches that have weights, with these [outputs, channels, 1, 1] and their biases [outputs]."""
    constants = Constants.of(job)
    first, *others = (step.job for step in steps(job) if step.job.kind != JobKind.ADD)
    yield (
        first,
        np.full((first.outputs, job.channels, 1, 1), constants.multiplier),
        np.full(first.outputs, constants.bias),
    )
    row = np.array([constants.sum_factor] * job.channels + constants.rows)
    for correct in others:
        weights = np.tile(row, (correct.outputs, 1))[:, :, None, None]
        yield correct, weights, np.full(correct.outputs, constants.addend)
