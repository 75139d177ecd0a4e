"""What of a job the hardware does not do: what never ends, and what has no meaning or was never measured.

Each as a violation: which field, what was found, what was expected. Sources: the RTL, measured; "source" where it is
only read there.
"""

from __future__ import annotations

from collections.abc import Iterator

from htvm.backend.targets.engines.ne16.job import INPUT_BLOCK, TILE, Blocks, Job, Mode, Width
from htvm.backend.targets.violations import AtMost, Both, Described, Interval, OneOf, Value, Violation, all_of
from htvm.dialects.text_enum import TextEnum

LARGEST_COUNT = 4095
"""Blocks along an axis: loop indices have 12 bits (read in the source)."""

LARGEST_PAD = 4
"""On each side; more was not tried."""

LARGEST_MASK = 1
"""Rows or columns of a kernel left out on each side; more was not tried."""

OFFSETS = Interval(-256, 255)
"""Of weights. Others are cut to 9 bits, silently: defined, but hardly meant."""

STREAM_IN_CHANNELS = 8
"""Of a block that starts with what is at its output and ends with 8 bits: more wait for words that do not come."""


class Field(TextEnum):
    """What of a job a violation is about."""

    WEIGHT_BITS = "weight bits"
    INPUT_WIDTH = "input width"
    OUTPUT_WIDTH = "output width"
    SCALE_WIDTH = "scale width"
    STREAM_IN = "stream-in"
    PADS = "pads"
    PAD_VALUE = "pad value"
    FILTER_MASK = "filter mask"
    BLOCKS = "blocks"
    REMAINDERS = "remainders"
    DEPTHWISE_CHANNELS = "channels of a depthwise job"
    LINEAR_PIXELS = "pixels of a linear job"
    LINEAR_FLAGS = "flags of a linear job"
    OPERANDS = "operands"


class UndefinedJob(ValueError):
    """A job whose results the hardware does not define."""

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        super().__init__(all_of(violations))
        self.violations = violations


def violations(job: Job) -> tuple[Violation, ...]:
    """Return everything that makes a job hang, or its results undefined."""
    return (*hangs(job), *undefined(job))


def hangs(job: Job) -> tuple[Violation, ...]:
    """Return why a job never ends; only SOFT_CLEAR or a reset helps then."""
    found: list[Violation] = []
    if job.output in (Width.BITS_16, Width.UNDEFINED):
        found.append(Violation(Field.OUTPUT_WIDTH, str(job.output.name), OneOf(("BITS_8", "BITS_32"))))
    channels = max(job.outputs.sizes(job.output_step))
    if job.stream_in and job.output is Width.BITS_8 and channels > STREAM_IN_CHANNELS:
        wanted = AtMost(STREAM_IN_CHANNELS, "output channels with 8-bit results")
        found.append(Violation(Field.STREAM_IN, channels, wanted))
    return tuple(found)


def undefined(job: Job) -> tuple[Violation, ...]:
    """Return why the results of a job have no meaning, or were never measured."""
    return tuple(_undefined(job))


def _undefined(job: Job) -> Iterator[Violation]:
    if job.wide_inputs:
        yield Violation(Field.INPUT_WIDTH, 16, OneOf((8,)))
    if not 2 <= job.weight_bits <= 8:
        yield Violation(Field.WEIGHT_BITS, job.weight_bits, Interval(2, 8))
    if job.requantisation.enabled and job.requantisation.scale is Width.UNDEFINED:
        yield Violation(Field.SCALE_WIDTH, 3, Described("a width of 8, 16 or 32 bits"))
    yield from _within(Field.PADS, job.pads, Interval(0, LARGEST_PAD))
    yield from _within(Field.PAD_VALUE, (job.pad_value,), Interval(0, 255))
    yield from _within(Field.FILTER_MASK, job.filter_mask, Interval(0, LARGEST_MASK))
    axes = (job.outputs, job.inputs, job.rows, job.columns)
    yield from _within(Field.BLOCKS, (axis.count for axis in axes), Interval(1, LARGEST_COUNT))
    steps = (job.output_step, INPUT_BLOCK, TILE, TILE)
    for axis, step in zip(axes, steps, strict=True):
        yield from _within(Field.REMAINDERS, (axis.remainder,), Interval(0, step))
    yield from _within(Field.REMAINDERS, (job.input_rows, job.input_columns), Interval(0, job.window))
    if job.mode is Mode.DEPTHWISE3X3 and job.inputs != job.outputs:
        found = Both(job.input_channels, job.output_channels)
        yield Violation(Field.DEPTHWISE_CHANNELS, found, Described("as many inputs as outputs"))
    if job.mode is Mode.LINEAR:
        if (job.rows, job.columns) != (Blocks(1, 1), Blocks(1, 1)):
            yield Violation(Field.LINEAR_PIXELS, (job.rows.total(TILE), job.columns.total(TILE)), OneOf(((1, 1),)))
        if job.stream_in or job.strided or any(job.pads) or any(job.filter_mask):
            yield Violation(Field.LINEAR_FLAGS, None, Described("no stream-in, strides, pads or filter mask"))


def _within(subject: Field, values: Iterator[int] | tuple[int, ...], wanted: Interval) -> Iterator[Violation]:
    """Yield a violation for each number outside of the interval."""
    for value in values:
        if not wanted.low <= value <= wanted.high:
            found: Value = value
            yield Violation(subject, found, wanted)
