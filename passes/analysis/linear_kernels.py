"""What each host kernel would need for a conv2d or dense layer: instructions, constants, scratch memory.

Instructions are estimates: the inner loops, counted in what gcc and clang make of the kernels at -O3, and a constant
for what is around them. They need to be right in comparison only. Where a kernel skips inputs, there are two: with the
share of them that is assumed, and with none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from math import ceil, prod

import numpy as np
from mlir.dialects import arith

from htvm.dialects import accel, packed_weights, row_weights, winograd_weights
from htvm.dialects.packed_weights import CHANNELS, PIXELS, WORDS

from . import activations, layout

RANGES = {"i8": (-128, 127), "ui8": (0, 255)}
"""Inputs that the packed kernel takes, and which values they can have."""

SKIPPED_SHARE = 0.5
"""What part of a layer's inputs is assumed to be `skip`, where a relu made them. In the dense layers of MLPerf Tiny's
toyadmos it is 0.40 to 0.68 on the two goldens, 0.54 on average; but 0 in the one after the bottleneck of 8."""

LEAST_FITTING = 7 / 8
"""What part of its units must fit for a row to be cut into runs: with an excess in each unit of a block, nothing is
left of the gain."""

WORD_BYTES = 4

MOST_COPIED = 1 / 8
"""What part of a depthwise layer's activations its copy of four channels may need: where that is much, the layer could
not lie over its input and at the same time make room for the next one."""

SPARSE_CHANNELS = 16
"""Output channels of a block of kernel "sparse_row"."""


@dataclass(frozen=True)
class Linear:
    """A conv2d layer, or a dense one: then each row is a pixel.

    weights: [K, C, R, S]. size: rows and columns of the output. x: strides (C, H, W) of the input; (1, ..) if dense.
    has_words: whether four channels of the input are always one aligned word.
    skip: the element that many inputs are; None if there is none.
    """

    weights: np.ndarray
    groups: int
    batch: int
    size: tuple[int, int]
    in_type: str
    weights_type: str
    strides: tuple[int, int]
    dilations: tuple[int, int]
    is_inside: bool
    fits_depthwise_3x3: bool
    has_words: bool
    x: tuple[int, int, int]
    activation_bytes: int
    skip: int | None = None

    @property
    def pixels(self) -> int:
        return prod(self.size)

    @property
    def taps(self) -> int:
        return prod(self.weights.shape[1:])

    @property
    def out_channels(self) -> int:
        """Of one group."""
        return len(self.weights) // self.groups

    @property
    def outputs(self) -> int:
        return self.batch * self.pixels * len(self.weights)

    @property
    def has_bytes(self) -> bool:
        """Whether inputs and weights have 8 bits, as kernels want them that put two products in a word."""
        return self.in_type in RANGES and self.weights_type == "i8"

    @property
    def is_row(self) -> bool:
        """Whether the layer is one row times a matrix."""
        return self.batch == self.pixels == 1 and self.taps == self.weights.shape[1]

    @property
    def windows_are_rows(self) -> bool:
        """Whether each row of a window is one run of neighbouring elements, so that it can be read in place."""
        _, channels, _, columns = self.weights.shape
        x_c, _, x_w = self.x
        one_run = channels == 1 or x_c == 1
        gapless = columns == 1 or (x_w == channels and self.dilations[1] == 1)
        return self.groups == 1 and one_run and gapless


DATA_BYTES = "accel.data_bytes"
"""The attribute of a layer that says how many bytes its weights have in its kernel's order."""


@dataclass(frozen=True)
class Plan:
    """A kernel for a layer, and what it costs. data_bytes: of weights, in its order.

    skip: the input element that it does not multiply. worst: instructions if no input is that.
    """

    kernel: str
    instructions: int
    data_bytes: int
    scratch_bytes: int = 0
    run: int | None = None
    skip: int | None = None
    worst: int = 0

    @property
    def most_instructions(self) -> int:
        """What it takes for the worst input."""
        return max(self.worst, self.instructions)


def read(layer: accel.Conv2dOp | accel.DenseOp) -> Linear:
    """Return the facts of a layer on tensors."""
    x, y = layer.input.type, accel.output(layer).type
    constant = accel.producer(layer.weights)
    assert isinstance(constant, arith.ConstantOp), "accepted: a layer whose weights are computed has other kernels"
    weights = np.array(constant.value)
    common = partial(
        Linear,
        in_type=str(x.element_type),
        weights_type=str(layer.weights.type.element_type),
        activation_bytes=layout.size_bytes(x) + layout.size_bytes(y),
        skip=frequent_input(layer),
    )
    if isinstance(layer, accel.DenseOp):
        return common(
            weights=weights[:, :, None, None],
            groups=1,
            batch=1,
            size=(1, prod(y.shape[:-1])),
            strides=(1, 1),
            dilations=(1, 1),
            is_inside=True,
            fits_depthwise_3x3=False,
            has_words=False,
            x=(layout.strides(x)[-1], 0, 0),
        )
    (rows, columns), (down, across), pads = layer.strides, layer.dilations, list(layer.pads)
    (_, _, height, width), (_, *steps) = y.shape, layout.strides(x)
    kernel = tuple(weights.shape[2:])
    small = kernel == (3, 3) and (rows, columns) in ((1, 1), (2, 2)) and (down, across) == (1, 1)
    return common(
        weights=weights,
        groups=layer.groups.value,
        batch=x.shape[0],
        size=(height, width),
        strides=(rows, columns),
        dilations=(down, across),
        is_inside=not any(pads),
        fits_depthwise_3x3=small and max(pads) <= 1,
        has_words=has_words(layer),
        x=(steps[0], steps[1], steps[2]),
    )


def has_words(layer: accel.Conv2dOp) -> bool:
    """Say whether four channels of a layer's input are a word: bytes, neighbours, in memory that htvm has aligned."""
    steps = layout.strides(layer.input.type)
    by_caller = activations.is_of_caller(layer.input) or activations.is_returned(layer.input)
    is_aligned = steps[1] == 1 and not any(step % WORD_BYTES for step in (steps[0], *steps[2:]))
    return is_aligned and layout.element_bytes(layer.input.type) == 1 and not by_caller


def frequent_input(layer: accel.Conv2dOp | accel.DenseOp) -> int | None:
    """Return the element that a relu makes of all negative numbers, if one has made the input: the type's smallest.

    Averages are not clamped, and seldom 0; of what comes from outside nothing is known.
    """
    zero = layer.pad_value if isinstance(layer, accel.Conv2dOp) else layer.zero_point
    maker = accel.producer(layer.input)
    while isinstance(maker, accel.ReshapeOp):
        maker = accel.producer(maker.input)
    lowest, _ = RANGES.get(str(layer.input.type.element_type), (None, None))
    is_clamped = maker is not None and not isinstance(maker, accel.Pool2dOp)
    return lowest if is_clamped and zero is not None and zero.value == lowest else None


def plans(linear: Linear) -> Iterator[Plan]:
    """Yield the ways to compute a layer; the first one takes any."""
    if linear.groups > 1 and linear.weights.shape[1] == 1:
        yield from depthwise(linear)
        return
    yield collected(linear)
    if linear.windows_are_rows:
        yield in_place(linear)
        if linear.is_row:
            yield row(linear)
            yield from rows_of_bytes(linear)
    if linear.has_bytes and linear.pixels >= PIXELS:
        for unit in packed_weights.UNITS:
            yield packed(linear, unit)
    if fits_winograd(linear):
        yield winograd(linear)


def depthwise(linear: Linear) -> Iterator[Plan]:
    """Yield the ways to compute a depthwise layer.

    An output of a 3x3 kernel takes 37 instructions (stride 2: 40), and the beginning of a line of them 64. Of four
    channels in a word it takes 29 (33), a line 24, a channel 90, and a word of the input 7.
    """
    weight_bytes = linear.weights.nbytes
    yield Plan("depthwise", 30 * linear.taps * linear.outputs, weight_bytes)
    if not linear.fits_depthwise_3x3:
        return
    stride, channels = linear.strides[0], linear.batch * len(linear.weights)
    lines = channels * min(linear.size)
    at_once = (37 if stride == 1 else 40) * linear.outputs + 64 * lines
    yield Plan("depthwise_3x3", at_once, weight_bytes)
    words = prod((side - 1) * stride + 3 for side in linear.size)
    is_small = WORD_BYTES * words <= MOST_COPIED * linear.activation_bytes
    if linear.has_words and linear.out_channels == 1 and len(linear.weights) % WORD_BYTES == 0 and is_small:
        copying = 7 * words * channels // WORD_BYTES
        instructions = (29 if stride == 1 else 33) * linear.outputs + 24 * lines + 90 * channels + copying
        yield Plan("depthwise_words", instructions, weight_bytes, scratch_bytes=WORD_BYTES * words)


def scalar_blocks(linear: Linear) -> int:
    """Return the number of blocks of 8 outputs."""
    return linear.batch * linear.groups * ceil(linear.pixels * ceil(linear.out_channels / 4) / 2)


def scalar_tap(linear: Linear) -> int:
    """Return the instructions for a tap of such a block: 4 channels of 2 pixels, or 8 of 1."""
    return 22 if linear.pixels > 1 else 26


def in_place(linear: Linear) -> Plan:
    """Blocks of 8 outputs, 10 instructions for a row of a window."""
    rows = linear.weights.shape[2]
    instructions = scalar_blocks(linear) * (scalar_tap(linear) * linear.taps + 10 * rows) + 12 * linear.outputs
    return Plan("in_place", instructions, linear.weights.nbytes)


def row(linear: Linear) -> Plan:
    """As in_place, without anything that only maps need."""
    instructions = scalar_blocks(linear) * scalar_tap(linear) * linear.taps + 12 * linear.outputs
    return Plan("row", instructions, linear.weights.nbytes)


def collected(linear: Linear) -> Plan:
    """As in_place, after windows were copied: 6 instructions for a tap, 10 for a row."""
    windows = linear.batch * linear.groups * linear.pixels
    rows = linear.taps // linear.weights.shape[3]
    collecting = windows * (6 * linear.taps + 10 * rows)
    element_bytes = 2 if linear.in_type == "i16" else 1
    return Plan(
        "collected",
        scalar_blocks(linear) * scalar_tap(linear) * linear.taps + 12 * linear.outputs + collecting,
        linear.weights.nbytes,
        scratch_bytes=2 * linear.taps * element_bytes,
    )


def rows_of_bytes(linear: Linear) -> Iterator[Plan]:
    """Yield the ways to compute one row of 8 bits, all inputs or those that are not `skip`.

    There are no runs where weights are too large for most of them: then their excess takes longer than they save.
    """
    if not linear.has_bytes or linear.taps % row_weights.UNIT or linear.taps >= row_weights.MOST_TAPS:
        return
    if linear.skip is not None:
        yield sparse_row(linear, linear.skip)
    for skip in (None,) if linear.skip is None else (None, linear.skip):
        rows = linear.weights.reshape(-1, linear.taps)
        low, high = (end - (skip or 0) for end in RANGES[linear.in_type])
        if row_weights.share_that_fits(rows, low, high) < LEAST_FITTING:
            continue
        blocks = row_weights.row_blocks(rows, low, high)
        if max(len(block.excess) for block in blocks) > row_weights.MOST_EXCESS:
            continue
        yield paired_row(linear, "quad_row", blocks, skip, tap=16, run=38)
        yield paired_row(linear, "wide_row", blocks, skip, tap=13, run=23)


def sparse_row(linear: Linear, skip: int) -> Plan:
    """Blocks of 16 channels, see htvm_sparse_row.h: 51 instructions for a tap, 2 for one that is skipped."""
    blocks = ceil(len(linear.weights) / SPARSE_CHANNELS)
    instructions, worst = skipping(blocks * linear.taps, tap=51)
    around = 3 * blocks * linear.taps // row_weights.UNIT + 30 * blocks + 14 * linear.outputs
    data_bytes = blocks * SPARSE_CHANNELS * linear.taps
    return Plan("sparse_row", instructions + around, data_bytes, skip=skip, worst=worst + around)


def paired_row(
    linear: Linear, kernel: str, blocks: list[row_weights.RowBlock], skip: int | None, tap: int, run: int
) -> Plan:
    """Blocks of 8 channels, see htvm_paired_row.h: `tap` instructions for a tap, `run` for the end of a run.

    16 for a weight that is too large for its run, 80 for a block; 2 more for a tap where some are skipped, 2 for those.
    """
    taps = len(blocks) * linear.taps
    instructions, worst = (tap * taps,) * 2 if skip is None else skipping(taps, tap + 2)
    ends = sum(run * len(each.runs) + 16 * len(each.excess) + 80 for each in blocks)
    around = 3 * taps // row_weights.UNIT + ends + 14 * linear.outputs
    weight_bytes = row_weights.CHANNELS * taps * (2 if kernel == "wide_row" else 1)
    data_bytes = weight_bytes + sum(each.side_bytes for each in blocks)
    return Plan(kernel, instructions + around, data_bytes, skip=skip, worst=worst + around)


def skipping(taps: int, tap: int) -> tuple[int, int]:
    """Return the instructions for taps some of which are skipped, each for 2: as many as assumed, and none."""
    return int(taps * (SKIPPED_SHARE * 2 + (1 - SKIPPED_SHARE) * tap)), taps * tap


def packed(linear: Linear, unit: int) -> Plan:
    """Blocks of 2 channels of 6 pixels, see htvm_packed.h.

    A run of u taps takes 17 u + 18 + 3 instructions; a tap of a list 22, a list 40; a block 130 for its 12 outputs.
    Collecting takes 3 for each tap of a window, 4 where lines are short, and 15 for each of them.
    """
    low, high = RANGES[linear.in_type]
    weights = linear.weights
    if linear.x[0] == 1:
        weights = weights.transpose(0, 2, 3, 1)
    groups = weights.reshape(linear.groups, linear.out_channels, linear.taps)
    found = [packed_weights.pack_weights(group, unit, low, high) for group in groups]
    lists = sum(len(runs) for each in found for runs in each.lists)
    listed_taps = sum(len(run) for each in found for runs in each.lists for run in runs)
    runs = found[0].runs
    pair_blocks = linear.groups * ceil(linear.out_channels / CHANNELS)
    multiplying = pair_blocks * (runs * (17 * unit + 21) + 130) + 40 * lists + 22 * listed_taps
    lines = linear.weights.shape[2] * (1 if linear.x[0] == 1 else linear.weights.shape[1])
    if linear.x[0] == 1 and not linear.is_inside:
        lines *= linear.weights.shape[3]
    collecting = PIXELS * linear.groups * (3.5 * linear.taps + 15 * lines + 30)
    six = linear.batch * ceil(linear.pixels / PIXELS)
    return Plan(
        "packed",
        int(six * (multiplying + collecting)),
        sum(each.size_bytes for each in found),
        scratch_bytes=4 * WORDS * max(runs * unit, linear.taps),
        run=unit,
    )


def fits_winograd(linear: Linear) -> bool:
    """Say whether htvm_winograd.h computes a layer, and all its sums are exact."""
    is_3x3 = linear.weights.shape[2:] == (3, 3) and linear.strides == linear.dilations == (1, 1)
    neighbours = linear.x[0] == 1 and linear.groups == 1
    fits = is_3x3 and neighbours and linear.has_bytes
    return fits and winograd_weights.sums_fit(linear.weights, *RANGES[linear.in_type])


def winograd(linear: Linear) -> Plan:
    """Blocks of 4 tiles of 4x4 outputs, see htvm_winograd.h.

    An input channel of a tile takes 12 transforms of 35 instructions, 4 output channels of a block 36 points of 40 for
    an input channel and 44 around them, an output channel of a tile 430 for its 16 outputs.
    """
    out_channels, in_channels = linear.weights.shape[:2]
    tiles = linear.batch * prod(ceil(side / winograd_weights.TILE) for side in linear.size)
    blocks = linear.batch * ceil(tiles // linear.batch / winograd_weights.TILES)
    points = blocks * ceil(out_channels / winograd_weights.CHANNELS) * winograd_weights.POINTS
    around = tiles * (420 * in_channels + 460 * out_channels + 600)
    return Plan(
        "winograd",
        points * (41 * winograd_weights.padded(in_channels) + 44) + around,
        winograd_weights.size_bytes(out_channels, in_channels),
        scratch_bytes=winograd_weights.scratch_bytes(in_channels, 1),
    )
