"""The tiles of a layer of the host: for each what is copied in, the layer that computes it, and what is copied out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from math import prod
from typing import TypeVar

import numpy as np
from mlir import ir

from htvm.backend.kernels.scalar import BLOCK, conv2d_weights
from htvm.backend.targets.engines.host import INSTRUCTIONS
from htvm.backend.targets.jobs import Layout, Range
from htvm.backend.targets.soc import Soc
from htvm.dialects import accel, quantisation
from htvm.dialects.blocked_layout import weights_in_blocks

from ..analysis import activations, layout
from ..analysis.actions import whole
from ..analysis.host_tiles import HostTile, HostTiles
from ..analysis.names import identifier
from ..analysis.patches import row_count, window
from ..analysis.tiles import NAME, Tiling
from .items import Chain, Work
from .tile_commands import Packed, buffer, chain_of, part_of
from .views import Form, View, dense

T = TypeVar("T")


def works(layer: accel.Layer, soc: Soc, packed: Packed) -> list[Work]:
    """Return the tiles of a layer in order; its buffers, and the layers of tiles, are made at the insertion point."""
    return Writer(layer, soc, packed).works()


class Writer:
    """A layer of the host while its tiles are made."""

    def __init__(self, layer: accel.Layer, soc: Soc, packed: Packed) -> None:
        self.layer, self.soc, self.packed = layer, soc, packed
        self.node, self.output = accel.node(layer), accel.output(layer)
        self.inputs = activations.read_by(layer)
        self.weights_memory = accel.attribute(layer, accel.WEIGHTS_MEMORY, ir.StringAttr)
        far = [value for value in (*self.inputs, self.output) if self.is_far(value)]
        self.shapes = HostTiles(layer, frozenset(far), self.weights_memory is not None)
        tiling = Tiling.of_layer(layer)
        self.tiles = self.shapes.tiles(tiling)
        self.count = min(tiling.buffers, len(self.tiles))
        self.far = {value: self.buffers(value) for value in far}

    def is_far(self, value: ir.Value) -> bool:
        return layout.memory_of(value.type) != self.soc.arena_memory

    def works(self) -> list[Work]:
        fetched = self.fetched()
        return [self.work(tile, number, fetched[number] if fetched else None) for number, tile in enumerate(self.tiles)]

    # What comes and goes

    def in_turn(self, sizes: Sequence[int], make: Callable[[int], T]) -> list[T]:
        """Return for each tile the buffers that it uses in turn with the others. sizes: of its own.

        Those of another size are others: what a command touches of a buffer is all of it.
        """
        made: dict[tuple[int, int], T] = {}
        for number, size in enumerate(sizes):
            if (turn := (number % self.count, size)) not in made:
                made[turn] = make(size)
        return [made[number % self.count, size] for number, size in enumerate(sizes)]

    def buffers(self, value: ir.Value) -> list[list[ir.Value]]:
        """Return the buffers that each tile of a map uses: those in the memories on its way, the host's last."""
        element, memory = ir.MemRefType(value.type).element_type, layout.memory_of(value.type)
        path = self.soc.path(memory, self.soc.arena_memory)
        name = f"{self.node} {'output' if value == self.output else 'input'}"
        sizes = [prod(self.shapes.part(value, tile)[1]) for tile in self.tiles]
        return self.in_turn(sizes, lambda size: [buffer(name, size, each.target, element) for each in path])

    def chain(self, value: ir.Value, tile: HostTile, number: int) -> Chain:
        """Return the copies that bring what a tile reads of a map, or take away what it writes."""
        part = View(value).part(*self.shapes.part(value, tile))
        there = [part, *(self.dense(each, value, tile) for each in self.far[value][number])]
        return chain_of(there if value != self.output else there[::-1])

    def dense(self, place: ir.Value, value: ir.Value, tile: HostTile) -> View:
        """Return what a tile reads or writes of a map, without gaps at the start of a buffer, in the map's layout."""
        kind = Layout.NCHW if layout.is_row_major(value.type) else Layout.NHWC
        return dense(place, self.shapes.part(value, tile)[1], kind)

    def fetched(self) -> list[Chain]:
        """Return for each tile the copies that bring its weights; nothing if they are in the host's memory."""
        if self.weights_memory is None:
            return []
        assert isinstance(self.layer, accel.Weighted)
        kind, memory = ir.MemRefType(self.layer.weights.type), self.weights_memory.value
        numbers = accel.present(quantisation.stored(self.layer.weights), "weights")
        shape = (*numbers.shape, 1, 1)[:4]
        stored = numbers.astype(f"int{8 * layout.element_bytes(kind)}").reshape(shape)
        data = conv2d_weights(stored, 1, collected=True).view(np.uint8)
        everything = self.packed.get(f"{identifier(self.node)}_packed", data, memory)
        path = self.soc.path(memory, self.soc.arena_memory)
        sizes = [self.shapes.weight_bytes(tile) for tile in self.tiles]
        name, element_bytes = f"{self.node} weights", layout.element_bytes(kind)

        def stops(size: int) -> list[View]:
            *window, blocks = *kind.shape[1:], weights_in_blocks(kind.rank, BLOCK)
            shape = [size // (prod(window) * element_bytes), *window]
            home = ir.StringAttr.get(self.soc.arena_memory)
            place = accel.BufferOp(ir.MemRefType.get(shape, kind.element_type, blocks, home), name).memref
            whole_place = View(place, Form((size // element_bytes,), (1,)))
            return [*(View(buffer(name, size, each.target)) for each in path[:-1]), whole_place]

        starts = accumulate(sizes[:-1], initial=0)
        return [
            chain_of([part_of(everything, start, size), *views])
            for start, size, views in zip(starts, sizes, self.in_turn(sizes, stops))
        ]

    # The layer

    def work(self, tile: HostTile, number: int, fetched: Chain | None) -> Work:
        """Return a tile, with its layer, which is made at the insertion point."""
        op = self.part(tile, number, fetched[-1].writes if fetched else None)
        loads = [self.chain(value, tile, number) for value in self.inputs if value in self.far]
        stores = [self.chain(self.output, tile, number)] if self.output in self.far else []
        return Work(
            op,
            frozenset(whole(each) for each in activations.read_by(op)),
            frozenset([whole(accel.output(op)), *activations.scratch_of(op)]),
            loads=[*([fetched] if fetched else []), *loads],
            stores=stores,
            of=self.layer,
        )

    def part(self, tile: HostTile, number: int, weights: ir.Value | None) -> accel.Layer:
        """Make the layer that computes a tile."""
        layer = self.layer
        operands: list[ir.Value] = []
        for value in layer.operation.operands:
            if value in self.far:
                operands.append(self.dense(self.far[value][number][-1], value, tile).make())
            elif value in self.inputs or value == self.output:
                operands.append(View(value).part(*self.shapes.part(value, tile)).make())
            elif weights is not None and isinstance(layer, accel.Weighted) and value == layer.weights:
                operands.append(weights)
            elif value in activations.scratch_of(layer):  # each its own: it may lie over what a tile reads no more
                operands.append(accel.BufferOp(value.type, f"{self.node} scratch").memref)
            else:
                operands.append(value)
        attributes = dict(layer.operation.attributes.items()) | {accel.INNER_ATTRIBUTE: ir.UnitAttr.get()}
        for name in (NAME, accel.WEIGHTS_MEMORY, accel.MEMORY):
            attributes.pop(name, None)
        if isinstance(layer, accel.Conv2dOp | accel.Pool2dOp):
            attributes["pads"] = ir.DenseI64ArrayAttr.get(self.pads(layer, tile))
        if isinstance(layer, accel.Weighted) and layer.requant is not None:
            attributes["requant"] = of_channels(layer.requant, tile.outputs)
        if (instructions := accel.attribute(layer, INSTRUCTIONS, ir.IntegerAttr)) is not None:
            share = prod(self.shapes.part(self.output, tile)[1]) / prod(ir.ShapedType(self.output.type).shape)
            attributes[INSTRUCTIONS] = accel.integer(round(instructions.value * share))
        made = ir.Operation.create(layer.operation.name, operands=operands, attributes=attributes).opview
        assert accel.is_layer(made)
        return made

    def pads(self, layer: accel.Conv2dOp | accel.Pool2dOp, tile: HostTile) -> list[int]:
        """Return the padding around a tile."""
        top, left, bottom, right = layer.pads
        if tile.rows == (0, self.shapes.size[1]):
            return [top, left, bottom, right]
        rows, walk = range(*tile.rows), window(layer)
        reach, inside = walk.reach(rows), walk.reads(rows, row_count(layer.input))
        return [inside.start - reach.start, left, reach.stop - inside.stop, right]


def of_channels(requant: accel.RequantAttr, channels: Range) -> accel.RequantAttr:
    """Return the constants of some output channels."""

    def some(numbers: Sequence[int]) -> Sequence[int]:
        return numbers[slice(*channels)] if len(numbers) > 1 else numbers

    part = requant.replace(multiplier=some(requant.multiplier), offset=some(requant.offset), shift=some(requant.shift))
    if requant.numerator is None or requant.divisor is None or requant.rest is None:
        return part
    return part.replace(numerator=some(requant.numerator), divisor=some(requant.divisor), rest=some(requant.rest))
