"""Into which tiles the host computes a layer whose weights or maps are in a far memory.

The host reads and writes no memory but those that it addresses. What a layer has elsewhere comes and goes in tiles, as
it does for accelerators: parts of the output along one axis, and what these are computed from. Tiles are output
channels or rows; weights that are far are cut along output channels, and come in the order of the kernel that computes
convolutions whose weights are not known (KernelSpec.orders_weights). So there are as few tiles as there is room for,
two of each operand, so that one comes while another one is computed, or else one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod

from mlir import ir

import htvm.backend.kernels as kernels
from htvm.backend.kernels.scalar import BLOCK
from htvm.backend.targets.jobs import Range
from htvm.backend.targets.soc import HOST
from htvm.dialects import accel
from htvm.dialects.blocked_layout import block_of

from . import activations, layout
from .patches import ROW_BY_ROW, ROWS, Window, least_pixels
from .tiles import Tiling, balanced, ranges

CHANNELS = 1
"""The axis of channels of a feature map [N, C, H, W]."""


@dataclass(frozen=True)
class HostTile:
    """A tile of a layer of the host: its output channels and rows; those of an input are asked for."""

    outputs: Range
    rows: Range


@dataclass(frozen=True)
class HostTiles:
    """The tiles that a layer of the host can be cut into. far: which of its maps are far; has_far_weights: and whether
    its weights are."""

    layer: accel.Layer
    far: frozenset[ir.Value]
    has_far_weights: bool = False

    @staticmethod
    def of(layer: accel.Layer, far: Collection[ir.Value], has_far_weights: bool = False) -> HostTiles | None:
        """Return the tiles of a layer, `far` being maps that are far; None if it touches nothing that is far."""
        touched = frozenset({*activations.read_by(layer), accel.output(layer)}.intersection(far))
        return HostTiles(layer, touched, has_far_weights) if touched or has_far_weights else None

    @property
    def output(self) -> ir.Value:
        return accel.output(self.layer)

    @cached_property
    def shape(self) -> list[int]:
        """The shape of the output."""
        return list(ir.ShapedType(self.output.type).shape)

    @property
    def channels_axis(self) -> int:
        """The axis of the output that has its channels."""
        return len(self.shape) - 1 if isinstance(self.layer, accel.DenseOp) else CHANNELS

    @property
    def size(self) -> tuple[int, int]:
        """Channels and rows of the output; it has one row, if they are no axis."""
        return self.shape[self.channels_axis], self.shape[ROWS] if len(self.shape) > ROWS + 1 else 1

    @cached_property
    def axes(self) -> list[int]:
        """The axes along which all that is far is cut, the one first whose parts are dense; none if there is none."""
        if self.has_far_weights:
            return (
                [CHANNELS]
                if has_weights_in_blocks(self.layer) and self.layer.operation.operands[0] not in self.far
                else []
            )
        if any(not is_map(value) for value in self.far) or accel.HOST_KERNEL in self.layer.operation.attributes:
            return []
        found = [axis for axis, can in ((CHANNELS, cuts_channels), (ROWS, cuts_rows)) if can(self.layer)]
        steps = [layout.strides(value.type) for value in self.far]
        return sorted(found, key=lambda axis: -min(each[axis] for each in steps))

    def tiling(self, room_bytes: int) -> Tiling | None:
        """Return the tiling with the fewest tiles whose buffers have room; None if there is none."""
        for buffers in (2, 1):
            for axis in self.axes:
                for tiling in self.tilings(axis, buffers):
                    if self.buffer_bytes(tiling) <= room_bytes and self.is_computed(tiling):
                        return tiling
        return None

    @property
    def least_bytes(self) -> int:
        """Return the bytes that the buffers of the smallest tiles need."""
        found = [tiling for axis in self.axes for tiling in self.tilings(axis, 1) if self.is_computed(tiling)]
        return min(map(self.buffer_bytes, found), default=0)

    @property
    def more_scratch_bytes(self) -> int:
        """The bytes that the kernel for far weights needs beside operands, beyond what the layer's kernel needs."""
        if not self.has_far_weights:
            return 0
        assert isinstance(self.layer, accel.Weighted)
        return max(windows_bytes(self.layer) - activations.scratch_bytes(self.layer), 0)

    def tilings(self, axis: int, buffers: int) -> Iterator[Tiling]:
        """Yield the tilings along an axis, those of few tiles first."""
        outputs, rows = self.size
        columns = self.shape[-1] if len(self.shape) > ROWS + 1 else 1
        step = BLOCK if self.has_far_weights else 1
        size = outputs // step if axis == CHANNELS else rows
        for part in balanced(size):
            if part == size and buffers > 1:
                continue  # there is no other tile that could come meanwhile
            tile = (part * step, rows) if axis == CHANNELS else (outputs, part)
            loads = self.has_far_weights or bool(self.far - {self.output})
            yield Tiling(*tile, columns, loads=loads, stores=self.output in self.far, buffers=buffers)

    def tiles(self, tiling: Tiling) -> list[HostTile]:
        """Return the tiles of a tiling, in order."""
        outputs, rows = self.size
        return [HostTile(k, r) for k in ranges(outputs, tiling.outputs) for r in ranges(rows, tiling.rows)]

    def is_computed(self, tiling: Tiling) -> bool:
        """Say whether the kernel computes each tile."""
        least = least_pixels(self.layer)
        if self.has_far_weights or least is None or tiling.rows == self.size[1]:
            return True
        return all((tile.rows[1] - tile.rows[0]) * tiling.columns >= least for tile in self.tiles(tiling))

    def buffer_bytes(self, tiling: Tiling) -> int:
        """Return the bytes that the buffers of a tiling take of the host's memory: those of another size are others."""
        tiles = self.tiles(tiling)
        sizes = [[self.part_bytes(value, tile) for tile in tiles] for value in self.far]
        if self.has_far_weights:
            sizes.append([self.weight_bytes(tile) for tile in tiles])
        turns = ({(number % tiling.buffers, size) for number, size in enumerate(each)} for each in sizes)
        return sum(layout.aligned(size) for each in turns for _, size in each)

    def weight_bytes(self, tile: HostTile) -> int:
        """Return the bytes of the weights of a tile."""
        assert isinstance(self.layer, accel.Weighted)
        outputs = self.layer.weights.type.shape[0]
        return layout.size_bytes(self.layer.weights.type) // outputs * (tile.outputs[1] - tile.outputs[0])

    def part_bytes(self, value: ir.Value, tile: HostTile) -> int:
        """Return the bytes of what a tile reads or writes of a map."""
        return prod(self.part(value, tile)[1]) * layout.element_bytes(value.type)

    def part(self, value: ir.Value, tile: HostTile) -> tuple[list[int], list[int]]:
        """Return where what a tile reads or writes of a map begins, along each axis, and its shape."""
        shape = list(ir.ShapedType(value.type).shape)
        first = [0] * len(shape)
        is_output = value == self.output
        axis = self.channels_axis
        if (is_output or not isinstance(self.layer, accel.Weighted)) and tile.outputs != (0, self.size[0]):
            first[axis], shape[axis] = tile.outputs[0], tile.outputs[1] - tile.outputs[0]
        if tile.rows != (0, self.size[1]):
            rows = range(*tile.rows)
            if not is_output:
                rows = accel.present(Window.of(self.layer), "window").reads(rows, shape[ROWS])
            first[ROWS], shape[ROWS] = rows.start, len(rows)
        return first, shape


def is_map(value: ir.Value) -> bool:
    """Say whether a value is the map of one image, in a layout that the host reads."""
    shape = ir.ShapedType(value.type).shape
    return len(shape) == 4 and shape[0] == 1 and block_of(value.type) is None


def has_weights_in_blocks(layer: accel.Layer) -> bool:
    """Say whether the host's kernel for weights that are not known computes a layer, and these are whole blocks."""
    if (
        not isinstance(layer, accel.Weighted)
        or accel.engine(layer) != HOST
        or not activations.is_constant(layer.weights)
    ):
        return False
    is_grouped = isinstance(layer, accel.Conv2dOp) and layer.groups.value > 1
    is_plain = (
        layer.requant is not None and layer.bias is None and accel.attribute(layer, "rescale", ir.Attribute) is None
    )
    element = str(layer.weights.type.element_type)
    return is_plain and not is_grouped and layer.weights.type.shape[0] % BLOCK == 0 and element in ("i8", "i16")


def cuts_channels(layer: accel.Layer) -> bool:
    """Say whether a channel of what a layer makes depends on the same channel of each map alone."""
    maps = [*activations.read_by(layer), accel.output(layer)]
    if accel.engine(layer) != HOST or not all(map(is_map, maps)):
        return False
    if isinstance(layer, accel.Pool2dOp):
        return True
    channels = ir.ShapedType(maps[-1].type).shape[CHANNELS]
    return isinstance(layer, ROW_BY_ROW) and all(_has_channels(layer, each, channels) for each in layer.operands)


def _has_channels(layer: accel.Layer, operand: ir.Value, channels: int) -> bool:
    """Say whether a map has so many channels, or a constant is the same for all."""
    sizes = ir.ShapedType(operand.type).shape
    if not activations.is_constant(operand):
        return sizes[CHANNELS] == channels
    if isinstance(layer, accel.LookupOp | accel.ThresholdOp):
        return layer.axis is None
    return len(sizes) < 3 or sizes[-3] == 1


def cuts_rows(layer: accel.Layer) -> bool:
    """Say whether the rows of what a layer of the host makes can be computed apart."""
    maps = [*activations.read_by(layer), accel.output(layer)]
    if accel.engine(layer) != HOST or not all(map(is_map, maps)):
        return False
    return Window.of(layer) is not None and least_pixels(layer) is not None


def ordering_kernel() -> str:
    """Return the name of the kernel that computes convolutions whose weights come in its order."""
    (name,) = (each.name for each in kernels.own().values() if each.orders_weights)
    return name


def windows_bytes(layer: accel.Weighted) -> int:
    """Return the scratch memory of that kernel for a layer: two windows."""
    return 2 * prod(layer.weights.type.shape[1:]) * layout.element_bytes(layer.input.type)
