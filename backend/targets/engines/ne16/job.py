"""A job of NE16 as its registers say it, and the 24 words that the registers hold.

A word that a job is given and the job decoded from it say the same; bits that NE16 does not have are dropped.
Names of registers and of their bits: pulp-platform/ne16 6bd7272, rtl/ne16_package.sv and rtl/ctrl/ne16_ctrl.sv (read).
What they do: measured on the RTL (see the package).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import NamedTuple

REGISTERS = 24
"""Words of a job; they are registers 8 to 31 of the configuration port."""

TILE = 3
"""Rows and columns of outputs that are computed at a time."""

INPUT_BLOCK = 16
"""Input channels that are multiplied at a time; output channels of a depthwise block."""

OUTPUT_BLOCK = 32
LINEAR_BLOCK = 256
"""Input channels of linear mode that are multiplied at a time."""

OFFSET_SIGN = 1 << 31


class Mode(Enum):
    """What is computed: the field `filter_mode`, and the flag `mode_linear` with filter mode 0."""

    CONV3X3 = 0
    DEPTHWISE3X3 = 1
    CONV1X1 = 2
    LINEAR = 4

    @property
    def kernel(self) -> int:
        """Rows and columns of the kernel."""
        return 3 if self in (Mode.CONV3X3, Mode.DEPTHWISE3X3) else 1


class Width(IntEnum):
    """Bits of scales or of results, as their fields count them. The hardware has no meaning for the last one."""

    BITS_8 = 0
    BITS_16 = 1
    BITS_32 = 2
    UNDEFINED = 3

    @property
    def size_bytes(self) -> int:
        """Bytes of one number. Raises ValueError for a width without meaning."""
        if self is Width.UNDEFINED:
            raise ValueError("a width that has no meaning")
        return 1 << self


class Sides(NamedTuple):
    """Rows or columns on each side of a feature map or a kernel."""

    top: int = 0
    right: int = 0
    bottom: int = 0
    left: int = 0


@dataclass(frozen=True)
class Blocks:
    """How an axis is cut: the number of blocks, and the size of the last one; 0 for a full one."""

    count: int
    remainder: int

    @staticmethod
    def of(size: int, step: int) -> Blocks:
        """Return how `size` elements are cut in blocks of `step`; the remainder of a full last block is `step`."""
        count = -(-size // step)
        return Blocks(count, size - (count - 1) * step)

    def sizes(self, step: int) -> tuple[int, ...]:
        """Return the size of each block."""
        return (*[step] * (self.count - 1), self.remainder or step)

    def total(self, step: int) -> int:
        """Return the elements of all blocks."""
        return (self.count - 1) * step + (self.remainder or step)


class Strides(NamedTuple):
    """Distances in bytes: between elements of the inner axis, of the next one and of the outer one."""

    inner: int
    middle: int
    outer: int


@dataclass(frozen=True)
class Addresses:
    """Where the operands of a job begin. input: of pixel (0, 0) of the padded map, which can lie before the map."""

    weights: int
    input: int
    output: int
    scale: int = 0
    shift: int = 0
    bias: int = 0


@dataclass(frozen=True)
class Requantisation:
    """What becomes of the sums: ((sum * scale[k] + bias[k]) >> shift), clipped.

    shift: of all channels, without an array of shifts. relu: clip at 0 from below. rounds, weight_offset_per_layer in
    Job: flags without an effect (measured on the RTL); software sets them.
    """

    scale: Width = Width.BITS_8
    shift: int = 0
    has_bias: bool = False
    has_shift_array: bool = False
    relu: bool = True
    enabled: bool = True
    rounds: bool = True


@dataclass(frozen=True)
class Job:
    """One job: what its 24 registers say.

    outputs, inputs: channels, in blocks of 32 (16 in depthwise mode) and of 16 (256 in linear mode, where the remainder
    counts 16 channels). rows, columns: of outputs, in tiles of 3 x 3. input_rows, input_columns: rows and columns of
    the 5 x 5 (1x1: 3 x 3) input window of the last tile that are read, the others being 0; 0 for all.
    input_strides: of pixels, rows, unused. output_strides: of 32 bytes of one pixel, of pixels, of rows.
    weight_strides: of bits, of output channels, and of blocks of those (used in linear mode).
    pads: rows and columns around the map with `pad_value`; rows at the bottom count from the last of 5.
    weight_offset: what the register holds, signed; see `offset`. filter_mask: rows and columns of the kernel left out.
    strided: the middle row and column of each tile are not computed. stream_in: sums start with what is at the output.
    wide_inputs: 16-bit inputs, which were never measured.
    """

    mode: Mode
    weight_bits: int
    outputs: Blocks
    inputs: Blocks
    rows: Blocks
    columns: Blocks
    addresses: Addresses
    input_strides: Strides
    output_strides: Strides
    weight_strides: Strides
    input_rows: int = 0
    input_columns: int = 0
    pads: Sides = Sides()
    pad_value: int = 0
    weight_offset: int = 0
    weight_offset_per_layer: bool = True
    filter_mask: Sides = Sides()
    requantisation: Requantisation = Requantisation()
    output: Width = Width.BITS_8
    stream_in: bool = False
    strided: bool = False
    wide_inputs: bool = False

    @property
    def kernel(self) -> int:
        """Rows and columns of the kernel."""
        return self.mode.kernel

    @property
    def window(self) -> int:
        """Rows and columns of the input that a tile reads; not of linear mode, which reads one pixel."""
        return TILE + self.kernel - 1

    @property
    def output_step(self) -> int:
        """Output channels of a block."""
        return INPUT_BLOCK if self.mode is Mode.DEPTHWISE3X3 else OUTPUT_BLOCK

    @property
    def input_steps(self) -> int:
        """Blocks of input channels that are summed up for a block of outputs."""
        return 1 if self.mode is Mode.DEPTHWISE3X3 else self.inputs.count

    @property
    def output_channels(self) -> int:
        """All output channels."""
        return self.outputs.total(self.output_step)

    @property
    def input_channels(self) -> int:
        """All input channels; in linear mode up to the next multiple of 16."""
        if self.mode is Mode.LINEAR:
            return (self.inputs.count - 1) * LINEAR_BLOCK + (self.inputs.remainder or INPUT_BLOCK) * INPUT_BLOCK
        return self.inputs.total(INPUT_BLOCK)

    @property
    def offset(self) -> int:
        """What is added to each weight: 9 bits of the register, its sign and its lowest 8 (measured on the RTL)."""
        return (self.weight_offset & 0xFF) - (256 if self.weight_offset & OFFSET_SIGN else 0)

    @property
    def weight_reads(self) -> int:
        """Reads of weights for one output channel and block of input channels: of a bit each, in 1x1 mode of all."""
        return 1 if self.mode is Mode.CONV1X1 else self.weight_bits

    def words(self) -> tuple[int, ...]:
        """Return what the registers hold, uint32[REGISTERS]. Raises ValueError for a number that does not fit."""
        at, mask, pads, requant = self.addresses, self.filter_mask, self.pads, self.requantisation
        filter_mode = 0 if self.mode is Mode.LINEAR else self.mode.value
        return (
            *(at.weights, at.input, at.output, at.scale, at.shift, at.bias),
            *self.input_strides,
            *self.output_strides,
            *self.weight_strides,
            _packed((self.inputs.remainder, 16), (self.outputs.remainder, 16)),
            _packed((self.columns.remainder, 16), (self.rows.remainder, 16)),
            _packed((self.input_columns, 16), (self.input_rows, 16)),
            _packed((self.inputs.count, 16), (self.outputs.count, 16)),
            _packed((self.columns.count, 16), (self.rows.count, 16)),
            _packed((self.pad_value, 16), (pads.left, 4), (pads.bottom, 4), (pads.right, 4), (pads.top, 4)),
            self.weight_offset & 0xFFFFFFFF,
            _packed((mask.left, 8), (mask.bottom, 8), (mask.right, 8), (mask.top, 8)),
            _packed(
                (self.weight_bits - 1, 3),
                (self.wide_inputs, 1),
                (requant.enabled, 1),
                (filter_mode, 2),
                (self.mode is Mode.LINEAR, 1),
                (self.strided, 1),
                (0, 2),
                (not requant.rounds, 1),
                (requant.scale, 2),
                (self.stream_in, 1),
                (self.weight_offset_per_layer, 1),
                (requant.shift, 5),
                (self.output, 2),
                (not requant.relu, 1),
                (requant.has_shift_array, 1),
                (requant.has_bias, 1),
            ),
        )

    @staticmethod
    def of_words(words: Sequence[int]) -> Job:
        """Return the job that the registers say. Raises ValueError for a mode that was never measured."""
        at, rest = [int(word) for word in words[:6]], [int(word) for word in words[6:REGISTERS]]
        offset, conf = rest[15], rest[17]
        filter_mode, linear = conf >> 5 & 3, bool(conf >> 7 & 1)
        if filter_mode == 3 or (linear and filter_mode):
            raise ValueError(f"filter mode {filter_mode}{', linear' if linear else ''}: was never measured")
        low, high = [word & 0xFFFF for word in rest], [word >> 16 for word in rest]
        return Job(
            mode=Mode.LINEAR if linear else Mode(filter_mode),
            weight_bits=(conf & 7) + 1,
            outputs=Blocks(high[12], high[9]),
            inputs=Blocks(low[12], low[9]),
            rows=Blocks(high[13], high[10]),
            columns=Blocks(low[13], low[10]),
            addresses=Addresses(*at),
            input_strides=Strides(*rest[0:3]),
            output_strides=Strides(*rest[3:6]),
            weight_strides=Strides(*rest[6:9]),
            input_rows=high[11],
            input_columns=low[11],
            pads=Sides(high[14] >> 12, high[14] >> 8 & 15, high[14] >> 4 & 15, high[14] & 15),
            pad_value=low[14],
            weight_offset=offset - (1 << 32 if offset & OFFSET_SIGN else 0),
            weight_offset_per_layer=bool(conf >> 15 & 1),
            filter_mask=Sides(*(rest[16] >> place & 0xFF for place in (24, 16, 8, 0))),
            requantisation=Requantisation(
                scale=Width(conf >> 12 & 3),
                shift=conf >> 16 & 31,
                has_bias=bool(conf >> 25 & 1),
                has_shift_array=bool(conf >> 24 & 1),
                relu=not conf >> 23 & 1,
                enabled=bool(conf >> 4 & 1),
                rounds=not conf >> 11 & 1,
            ),
            output=Width(conf >> 21 & 3),
            stream_in=bool(conf >> 14 & 1),
            strided=bool(conf >> 8 & 1),
            wide_inputs=bool(conf >> 3 & 1),
        )


def _packed(*fields: tuple[int, int]) -> int:
    """Return numbers (value, bits) in one word, the first one lowest. Raises ValueError for one that does not fit."""
    word = place = 0
    for value, bits in fields:
        if not 0 <= value < 1 << bits:
            raise ValueError(f"a register's field of {bits} bits is given {value}")
        word, place = word | int(value) << place, place + bits
    return word
