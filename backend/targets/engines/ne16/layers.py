"""Which layers NE16 computes, and as which jobs: a whole layer, or a tile of it, on maps that lie pixel by pixel.

A job reads and writes parts of maps: it has strides for pixels and rows. So a tile needs no copy of its own, and a
layer may be cut anywhere. What a job cannot do as one is done as several:

    3x3 with stride 2     a job computes 2 x 2 outputs (measured on the RTL: it steps 3 pixels, always)
    input channels, cut   sums stay in memory as int32; each job adds to them; blocks of 32 outputs, each its own job

A 1x1 convolution takes any stride: that of its input's pixels. A dense layer is a 1x1 convolution of one pixel, or in
linear mode the same with other weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from htvm.backend.targets.engines.ne16 import cycles
from htvm.backend.targets.engines.ne16.job import (
    INPUT_BLOCK,
    OUTPUT_BLOCK,
    TILE,
    Addresses,
    Blocks,
    Job,
    Mode,
    Requantisation,
    Sides,
    Strides,
    Width,
)
from htvm.backend.targets.engines.ne16.state import can_be_exposed
from htvm.backend.targets.engines.ne16.weights import MOST_BITS, Layout, bits_and_offset
from htvm.backend.targets.violations import (
    AtMost,
    Described,
    EachSide,
    Groups,
    Interval,
    MultipleOf,
    OneOf,
    Quality,
    Subject,
    Value,
    Violation,
)

KERNELS = ((1, 1), (3, 3))
INPUTS = Interval(0, 255)
LARGEST_PAD = 2
"""Rows and columns around a map of a 3x3 convolution; a third would be a window of nothing but padding."""

STRIDED_OUTPUTS = 2
"""Rows and columns of outputs that a job with stride 2 computes."""

SUM_BYTES = 4


class Span(NamedTuple):
    """Indices from `start` to before `end`."""

    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start

    def cut(self, step: int) -> Iterator[Span]:
        """Yield parts of `step` indices, and what is left."""
        for start in range(self.start, self.end, step):
            yield Span(start, min(start + step, self.end))


@dataclass(frozen=True)
class Layer:
    """A convolution in plain numbers; a dense layer has a kernel of 1x1 and a size of (1, 1).

    size: rows and columns of the input. weights, values: the lowest and highest weight, and input that occurs; values
    are what the bytes say as unsigned numbers. pad_value: what is around the map.
    """

    inputs: int
    outputs: int
    size: tuple[int, int]
    kernel: tuple[int, int]
    weights: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    pads: Sides = Sides()
    dilations: tuple[int, int] = (1, 1)
    groups: int = 1
    pad_value: int = 0
    values: tuple[int, int] = (0, 255)

    @property
    def is_depthwise(self) -> bool:
        return self.groups > 1

    @property
    def out_size(self) -> tuple[int, int]:
        """Rows and columns of the output."""
        (height, width), (down, right), pads = self.size, self.strides, self.pads
        rows = (height + pads.top + pads.bottom - self.kernel[0]) // down + 1
        return rows, (width + pads.left + pads.right - self.kernel[1]) // right + 1

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes that compute the layer."""
        if self.is_depthwise:
            return (Mode.DEPTHWISE3X3,)
        if self.kernel == (3, 3):
            return (Mode.CONV3X3,)
        one_pixel = self.size == (1, 1) and not any(self.pads) and not linear_violations(self)
        return (Mode.CONV1X1, Mode.LINEAR) if one_pixel else (Mode.CONV1X1,)

    @property
    def stored(self) -> tuple[int, int]:
        """Bits of a stored weight and the offset. Raises ValueError for weights that there are none for."""
        found = bits_and_offset(*self.weights)
        if found is None:
            raise ValueError(f"weights of {self.weights[0]}..{self.weights[1]} are not stored in {MOST_BITS} bits")
        return found

    def layout(self, mode: Mode) -> Layout:
        """Return how the weights lie for a mode."""
        return Layout(mode, self.stored[0], self.outputs, 1 if self.is_depthwise else self.inputs)


def violations(layer: Layer) -> tuple[Violation, ...]:
    """Return why NE16 does not compute a layer; none if it does. How results are requantised: `requant.solve`."""
    found: list[Violation] = []

    def unless(fits: bool, subject: Subject, value: Value, wanted: Value) -> None:
        if not fits:
            found.append(Violation(subject, value, wanted))

    unless(layer.kernel in KERNELS, Subject.KERNEL, layer.kernel, OneOf(KERNELS))
    depthwise = layer.groups == layer.inputs == layer.outputs and layer.kernel == (3, 3)
    groups = Groups(layer.groups, layer.inputs, layer.outputs)
    unless(layer.groups == 1 or depthwise, Subject.GROUPS, groups, Quality.UNGROUPED_OR_DEPTHWISE)
    strides = ((1, 1), (2, 2))
    # 1x1 takes any: its input's pixels and rows have strides of their own.
    unless(layer.kernel == (1, 1) or layer.strides in strides, Subject.STRIDES, layer.strides, OneOf(strides))
    unless(layer.dilations == (1, 1), Subject.DILATIONS, layer.dilations, OneOf(((1, 1),)))
    largest = 0 if layer.kernel == (1, 1) else LARGEST_PAD
    unless(max(layer.pads) <= largest, Subject.PADS, tuple(layer.pads), EachSide(Interval(0, largest)))
    unless(
        not any(layer.pads) or INPUTS.contains((layer.pad_value, layer.pad_value)),
        Subject.PADDING,
        layer.pad_value,
        INPUTS,
    )
    unless(INPUTS.contains(layer.values), Subject.INPUT_VALUES, Interval(*layer.values), INPUTS)
    if bits_and_offset(*layer.weights) is None:
        wanted = Described(f"{MOST_BITS} bits above an offset of -256 to 255")
        found.append(Violation(Subject.WEIGHT_VALUES, Interval(*layer.weights), wanted))
    return tuple(found)


def linear_violations(layer: Layer) -> tuple[Violation, ...]:
    """Return why a dense layer is not computed in linear mode, which masks inputs by 16: the offset counts for all."""
    if layer.inputs % INPUT_BLOCK == 0 or layer.stored[1] == 0:
        return ()
    return (Violation(Subject.INPUT_CHANNELS, layer.inputs, MultipleOf(INPUT_BLOCK)),)


@dataclass(frozen=True)
class Map:
    """A feature map, or a part of one, in memory. address: of channel 0 of the pixel (row, column) of the whole map.

    pixel_bytes, row_bytes: from pixel to pixel and row to row.
    """

    address: int
    pixel_bytes: int
    row_bytes: int
    row: int = 0
    column: int = 0

    def at(self, row: int, column: int, byte: int = 0) -> int:
        """Return the address of a byte of a pixel; of one that is not there, where it would be."""
        return self.address + (row - self.row) * self.row_bytes + (column - self.column) * self.pixel_bytes + byte


@dataclass(frozen=True)
class Constants:
    """Where the constants of a whole layer are. requantisation: how they are used; without one, sums are written."""

    weights: int
    scale: int = 0
    shift: int = 0
    bias: int = 0
    requantisation: Requantisation = Requantisation(enabled=False)

    def first_of(self, layout: Layout, output: int, source: int = 0) -> Addresses:
        """Return the addresses for outputs from one on; of weights, for inputs from `source` on. Of maps they are 0."""
        if layout.mode is Mode.DEPTHWISE3X3:
            start = output // INPUT_BLOCK * layout.strides.inner * layout.bits
        elif layout.mode is Mode.LINEAR:
            start = output * layout.strides.middle
        else:
            plane = INPUT_BLOCK // 8 * layout.kernel * layout.kernel * layout.bits
            start = output * layout.strides.middle + source // INPUT_BLOCK * plane
        size = self.requantisation.scale.size_bytes
        scale, shift, bias = self.scale + output * size, self.shift + output, self.bias + output * SUM_BYTES
        return Addresses(self.weights + start, 0, 0, scale, shift, bias)


@dataclass(frozen=True)
class Tile:
    """A part of a layer: outputs, rows and columns of the result, and the inputs that are summed up."""

    outputs: Span
    rows: Span
    columns: Span
    inputs: Span

    @staticmethod
    def whole(layer: Layer) -> Tile:
        """Return the whole layer."""
        rows, columns = layer.out_size
        return Tile(Span(0, layer.outputs), Span(0, rows), Span(0, columns), Span(0, layer.inputs))


def tile_violations(layer: Layer, mode: Mode, tile: Tile, output: Map) -> tuple[Violation, ...]:
    """Return why a tile is not computed: it has to be cut elsewhere, or its output has to lie otherwise."""
    found: list[Violation] = []
    step = INPUT_BLOCK if layer.is_depthwise else 1
    if tile.outputs.start % step:
        found.append(Violation("first output channel", tile.outputs.start, MultipleOf(step)))
    if tile.inputs != Span(0, layer.inputs):
        if layer.is_depthwise or mode is Mode.LINEAR:
            found.append(Violation(Subject.INPUT_CHANNELS, tuple(tile.inputs), OneOf(((0, layer.inputs),))))
        elif tile.inputs.start % INPUT_BLOCK:
            found.append(Violation("first input channel", tile.inputs.start, MultipleOf(INPUT_BLOCK)))
    strided = _is_strided(layer)
    if strided and (output.pixel_bytes % STRIDED_OUTPUTS or output.row_bytes % STRIDED_OUTPUTS):
        strides = (output.pixel_bytes, output.row_bytes)
        found.append(Violation("bytes of an output's pixel and row", strides, MultipleOf(STRIDED_OUTPUTS)))
    for axis, span in enumerate((tile.rows, tile.columns)):
        _, (_, behind) = _window(layer, axis, span)
        if not behind:
            continue
        # The window of the tile before the last one must end before the padding: it is 0 in the last one only.
        last = (span.size - 1) % (STRIDED_OUTPUTS if strided else TILE) + 1
        lines = 2 * last - 1 if strided else last
        if behind > lines and span.size > TILE and not strided:
            found.append(Violation(Subject.PADS, behind, AtMost(lines, "lines of the last tile")))
        if layer.pad_value and lines < TILE:
            wanted = Described(f"0, or a last tile of {TILE} lines")
            found.append(Violation(Subject.PADDING, layer.pad_value, wanted))
    return tuple(found)


def _is_strided(layer: Layer) -> bool:
    return layer.kernel == (3, 3) and layer.strides == (2, 2)


def _window(layer: Layer, axis: int, span: Span) -> tuple[Span, tuple[int, int]]:
    """Return the padded lines of the input that some outputs need, from the map's first one, and those of padding."""
    stride, kernel = layer.strides[axis], layer.kernel[axis]
    before = layer.pads.top if axis == 0 else layer.pads.left
    start, end = span.start * stride - before, (span.end - 1) * stride - before + kernel
    return Span(start, end), (max(-start, 0), max(end - layer.size[axis], 0))


def jobs(
    layer: Layer,
    mode: Mode,
    tile: Tile,
    source: Map,
    target: Map,
    constants: Constants,
    *,
    adds: bool = False,
    output: Width | None = None,
) -> tuple[Job, ...]:
    """Return the jobs that compute a tile, in order: any order is as good.

    source, target: maps, or parts of them, of unsigned bytes and of results. output: the width of results; None: bytes,
    or int32 without requantisation.
    adds: to sums that are there. A tile of some inputs has no requantisation.
    Raises ValueError for what `violations` and `tile_violations` name.
    """
    broken = (*violations(layer), *tile_violations(layer, mode, tile, target))
    if broken:
        raise ValueError("; ".join(map(str, broken)))
    is_cut = tile.inputs != Span(0, layer.inputs)
    requantisation = constants.requantisation
    if (is_cut or adds) and requantisation.enabled:
        raise ValueError("sums that are not complete are requantised")
    # Between blocks of outputs, weights move by all blocks of inputs of the job: those of a part lie further apart.
    step = OUTPUT_BLOCK if is_cut else max(tile.outputs.size, 1)
    found: list[Job] = []
    for outputs in tile.outputs.cut(step):
        for rows, columns in _pixels(layer, tile):
            part = Tile(outputs, rows, columns, tile.inputs)
            found.append(_job(layer, mode, part, source, target, constants, adds, output))
    return tuple(found)


def _pixels(layer: Layer, tile: Tile) -> Iterator[tuple[Span, Span]]:
    """Yield the rows and columns of each job."""
    if not _is_strided(layer):
        yield tile.rows, tile.columns
        return
    for rows in tile.rows.cut(STRIDED_OUTPUTS):
        for columns in tile.columns.cut(STRIDED_OUTPUTS):
            yield rows, columns


def _job(
    layer: Layer,
    mode: Mode,
    part: Tile,
    source: Map,
    target: Map,
    constants: Constants,
    adds: bool,
    width: Width | None,
) -> Job:
    """Return the job that computes a part of a layer."""
    layout, strided = layer.layout(mode), _is_strided(layer)
    output = width
    if output is None:
        output = Width.BITS_8 if constants.requantisation.enabled else Width.BITS_32
    (rows, (top, bottom)), (columns, (left, right)) = (
        _window(layer, axis, span) for axis, span in enumerate((part.rows, part.columns))
    )
    lines = [2 * span.size - 1 if strided else span.size for span in (part.rows, part.columns)]
    row_blocks, column_blocks = (Blocks.of(count, TILE) for count in lines)
    addresses = replace(
        constants.first_of(layout, part.outputs.start, part.inputs.start),
        input=source.at(rows.start, columns.start, part.outputs.start if layer.is_depthwise else part.inputs.start),
        output=target.at(part.rows.start, part.columns.start, part.outputs.start * output.size_bytes),
    )
    linear = mode is Mode.LINEAR
    channels = part.outputs if layer.is_depthwise else part.inputs
    down, right_step = (1, 1) if layer.kernel == (3, 3) else layer.strides
    halves = STRIDED_OUTPUTS if strided else 1
    pixel, row = target.pixel_bytes // halves, target.row_bytes // halves
    return Job(
        mode=mode,
        weight_bits=layout.bits,
        outputs=Blocks.of(part.outputs.size, INPUT_BLOCK if layer.is_depthwise else OUTPUT_BLOCK),
        inputs=linear_inputs(channels.size) if linear else Blocks.of(channels.size, INPUT_BLOCK),
        rows=row_blocks,
        columns=column_blocks,
        addresses=addresses,
        input_strides=Strides(INPUT_BLOCK if linear else source.pixel_bytes * right_step, source.row_bytes * down, 0),
        output_strides=Strides(OUTPUT_BLOCK, pixel, row),
        weight_strides=layout.strides,
        input_rows=0 if linear else _lines_read(layer, row_blocks, bottom),
        input_columns=0 if linear else _lines_read(layer, column_blocks, right),
        pads=Sides(top, right, bottom, left),
        pad_value=layer.pad_value if any((top, right, bottom, left)) else 0,
        weight_offset=layer.stored[1],
        requantisation=constants.requantisation,
        output=output,
        stream_in=adds,
        strided=strided,
    )


def _lines_read(layer: Layer, axis: Blocks, padding: int) -> int:
    """Return the lines of the last tile's window that are not 0: padding is, or has a value in a full tile."""
    lines = axis.remainder + layer.kernel[0] - 1
    return lines if layer.pad_value and padding else lines - padding


def linear_inputs(channels: int) -> Blocks:
    """Return how the inputs of a linear job are cut: blocks of 256, of which the last one counts 16 channels."""
    whole = Blocks.of(-(-channels // INPUT_BLOCK), 16)
    return Blocks(whole.count, whole.remainder % 16)


def best_mode(layer: Layer) -> Mode:
    """Return the mode that takes the fewest cycles."""

    def taken(mode: Mode) -> int:
        nowhere = Map(0, 2, 2)
        return sum(map(cycles.cycles, jobs(layer, mode, Tile.whole(layer), nowhere, nowhere, Constants(0))))

    first, *others = layer.modes
    return min(layer.modes, key=taken) if others else first


def needs_soft_clear(sequence: Sequence[Job]) -> tuple[bool, ...]:
    """Say of each job of a sequence whether SOFT_CLEAR must come before it, or it starts on what is left.

    The first one follows an unknown job. A job after SOFT_CLEAR cannot be queued while another one is running.
    """
    first = [any(1 < axis.count and axis.remainder % TILE for axis in (job.rows, job.columns)) for job in sequence[:1]]
    return (*first, *(can_be_exposed(job, before) for before, job in zip(sequence, sequence[1:])))
