"""split-patches: compute the first layers some rows at a time, where their feature maps do not fit the memory whole.

    %a = accel.buffer "conv0" : memref<1x16x32x32xi8, ..>
    accel.conv2d %x, %v into %a
    %b = accel.buffer "conv1" : memref<1x16x16x16xi8, ..>
    accel.conv2d %a, %w into %b {strides = array<i64: 2, 2>}
    ==>
    %b = accel.buffer "conv1" : memref<1x16x16x16xi8, ..>
    %a0 = accel.buffer "conv0 rows 0 to 16" : memref<1x16x17x32xi8, ..>
    accel.conv2d %x[rows 0 to 17], %v into %a0
    %k = accel.buffer "conv0 rows 16 to 16" : memref<1x16x1x32xi8, ..>
    accel.take %a0[row 16] into %k                       rows that the next patch reads again are kept
    accel.conv2d %a0, %w into %b[rows 0 to 7]
    %a1 = accel.buffer "conv0 rows 16 to 31" : memref<1x16x16x32xi8, ..>
    accel.take %k into %a1[row 16]
    ..

Stage    tiled
Reads    the layers that a function begins with; what constants leave of the memory (analysis/room.py); the layer at the
         peak of the activations
Writes   these layers, one for each patch of rows, and copies of the rows between two patches; nothing is computed twice
Needs    bufferize-layers before it; the order of the layers is fixed. A function with commands stays as it is
Fails    never: what does not fit in patches either is for plan-memory to report

Slices are views, and what later layers read is written where it stays: neither costs a copy. Of all numbers of layers
and of patches it takes the fewest steps with which the activations fit, or else what lacks least; they are tried on a
copy of the module, with the memory plan that plan-memory makes. Steps that do the same share their code (backend/c).

Where all fits, a layer at the peak that reads a network's input of several planes is cut if that saves its scratch
memory: what it collects of the first rows lies where its output is not written yet, of the last ones in a plane's rows
that are not read any more (analysis/liveness.py). That costs a call, and no copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import ClassVar

from mlir import ir
from mlir.dialects import func, memref
from mlir.passmanager import ExternalPass

from htvm.backend.targets.engines.host import INSTRUCTIONS
from htvm.backend.targets.soc import HOST, Soc
from htvm.dialects import accel, inserted
from htvm.dialects.accel import Purpose

from ..analysis import activations, layout, patches, room
from ..analysis.actions import actions
from ..analysis.constants import constant_bytes
from ..analysis.liveness import lifetimes, overlaps, packed_items
from ..analysis.packing import Item, Trails, loads, pack
from ..analysis.patches import ROWS, Patches
from ..analysis.trails import trails

FEW = (2, 3, 4)
"""The numbers of patches that are tried of a layer for its scratch memory."""

COUNTS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 32)
"""The numbers of patches that are tried."""


@dataclass(frozen=True)
class SplitPatches:
    """Cut the first layers of each function into patches, if its activations do not fit; one, if scratch memory then
    needs no room of its own."""

    name: ClassVar[str] = "split-patches"
    stages: ClassVar[tuple[str, ...]] = ("tiled",)

    target: Soc
    layers: int = 0
    patches: int = 0
    """If they are not 0: how many layers become how many patches, whatever fits."""

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        with module.location:
            for number, function in enumerate(accel.functions(module)):
                if may_be_split(function):
                    self.split(module, number, function)

    def split(self, module: ir.Operation, number: int, function: func.FuncOp) -> None:
        """Cut a function of a module, where that is asked for or helps."""
        if self.layers and self.patches:
            split(function, patches.first_layers(function)[: self.layers], self.patches)
            return
        needs = dict(loads(*arena(function, self.target)))
        if (cut := self.cut(module, number, needs)) is not None:
            split(function, patches.first_layers(function)[: cut[0]], cut[1])
        elif (found := self.cut_of_scratch(module, number, needs)) is not None:
            split(function, [found[0]], found[1])

    def cut(self, module: ir.Operation, number: int, needs: Mapping[int, int]) -> tuple[int, int] | None:
        """Return how many layers of a function of a module become how many patches; None if it fits whole, or if what
        comes behind the patches does not fit. needs: bytes by the number of the action that needs them."""
        constants_bytes = constant_bytes(module, self.target)[self.target.constants_in]
        function = list(accel.functions(module))[number]
        room_bytes = room.arena_bytes(module, self.target, constants_bytes)
        if max(needs.values(), default=0) <= room_bytes:
            return None
        layers = patches.first_layers(function)
        possible = [
            most
            for most in range(2, len(layers) + 1)
            if max((need for time, need in needs.items() if time >= most), default=0) <= room_bytes
        ]
        lacking: dict[tuple[int, int], int] = {}
        for most, count in sorted(product(possible, COUNTS), key=prod):
            if Patches.of(layers[:most], count) is None:
                continue
            tried = module.clone()
            copied = list(accel.functions(tried))[number]
            split(copied, patches.first_layers(copied)[:most], count)
            room_bytes = room.arena_bytes(module, self.target, constants_bytes, room.patches_bytes(copied))
            lacking[most, count] = needed_bytes(copied, self.target, room_bytes) - room_bytes
            if lacking[most, count] <= 0:
                break
        return min(lacking, key=lambda each: lacking[each], default=None)

    def cut_of_scratch(
        self, module: ir.Operation, number: int, needs: Mapping[int, int]
    ) -> tuple[accel.Layer, int] | None:
        """Return the layer at the peak, and in how many patches its scratch memory needs no room; or None.

        needs: as for `cut`."""
        function = list(accel.functions(module))[number]
        peak = max(needs, key=lambda time: needs[time], default=-1)
        layer = actions(function)[peak].op if peak >= 0 else None
        if not isinstance(layer, accel.Conv2dOp) or not leaves_room(layer):
            return None
        place = list(activations.layers(function)).index(layer)
        others = max((need for time, need in needs.items() if time != peak), default=0)
        found: dict[int, int] = {1: needs[peak]}
        for count in FEW:
            tried = module.clone()
            copied = list(accel.functions(tried))[number]
            split(copied, [list(activations.layers(copied))[place]], count)
            found[count] = pack(*arena(copied, self.target), limit=0).peak
            if found[count] <= others:
                break
        best = min(found, key=lambda count: found[count])
        return (layer, best) if best > 1 else None


def leaves_room(layer: accel.Conv2dOp) -> bool:
    """Say whether a layer's scratch memory has room before its input, and then between the planes of that."""
    scratch_bytes = sum(layout.size_bytes(each.type) for each in activations.scratch_of(layer))
    trail = trails(layer).get(layer.input)
    has_planes = layer.input.type.shape[1] > 1 != layout.strides(layer.input.type)[1]
    can_be_cut = has_planes and activations.is_argument(layer.input) and patches.is_cuttable(layer)
    return can_be_cut and trail is not None and 0 < scratch_bytes <= trail.distance


def may_be_split(function: func.FuncOp) -> bool:
    """Say whether a function gives no commands to accelerators, and has not been split."""
    kept = (inserted.purpose(op) == Purpose.KEEP_ROWS for op in function.body.blocks[0])
    return not any(kept) and not any(isinstance(op, accel.StepOp) for op in function.body.blocks[0])


def arena(function: func.FuncOp, target: Soc) -> tuple[list[Item], Trails]:
    """Return the pieces of the memory of the host's activations that a function needs, and which may overlap."""
    memory = target.memory(target.arena_memory)
    doing = actions(function)
    lives = [life for life in lifetimes(function, doing) if layout.memory_of(life.value.type) == memory.name]
    return packed_items(lives, memory), overlaps(doing, lives)


def needed_bytes(function: func.FuncOp, target: Soc, room_bytes: int) -> int:
    """Return the bytes of the arena of a function; at least so many, if they are more than the room."""
    items, trails = arena(function, target)
    least = max((need for _, need in loads(items, trails)), default=0)
    return least if least > room_bytes else pack(items, trails).peak


def split(function: func.FuncOp, layers: Sequence[accel.Layer], count: int) -> None:
    """Rewrite layers of a function that follow each other into patches, unless a kernel takes none so small."""
    found = Patches.of(layers, count)
    if not layers or found is None:
        return
    with ir.InsertionPoint(layers[-1]):
        writer = Writer(found)
        for patch in range(count):
            for layer in layers:
                with layer.location:
                    writer.write(layer, patch)
    buffers = {value for layer in layers for value in (accel.output(layer), *activations.scratch_of(layer))}
    for layer in reversed(layers):
        layer.operation.erase()
    for buffer in map(accel.producer, buffers):
        if isinstance(buffer, accel.BufferOp) and not list(buffer.memref.uses):
            buffer.operation.erase()
    if accel.ORDER_BOUND in function.attributes:  # of layers that are whole
        del function.attributes[accel.ORDER_BOUND]


@dataclass(frozen=True)
class Strip:
    """Rows of a feature map from `first` on, in a buffer of their own, or all in that of the map."""

    memory: ir.Value
    first: int = 0

    def view(self, rows: range) -> ir.Value:
        """Return the memory of some of the rows, at the insertion point."""
        if len(rows) == patches.row_count(self.memory):
            return self.memory
        kind = ir.MemRefType(self.memory.type)
        shape, steps = list(kind.shape), list(layout.strides(kind))
        shape[ROWS], begin = len(rows), (rows.start - self.first) * steps[ROWS]
        strided = ir.StridedLayoutAttr.get(begin, steps)
        part = ir.MemRefType.get(shape, kind.element_type, strided, kind.memory_space)
        return memref.ReinterpretCastOp(
            part, self.memory, [], [], [], static_offsets=[begin], static_sizes=shape, static_strides=steps
        ).result


@dataclass(frozen=True)
class Writer:
    """Writes the layers of each patch. strips: the rows at hand. kept: what the next patch begins with."""

    patches: Patches
    strips: dict[ir.Value, Strip] = field(default_factory=dict[ir.Value, Strip])
    kept: dict[ir.Value, Strip] = field(default_factory=dict[ir.Value, Strip])

    def write(self, layer: accel.Layer, patch: int) -> None:
        """Write the rows of a layer that a patch makes, and keep those of them that the next one begins with."""
        value = accel.output(layer)
        made, kept = self.patches.made[value][patch], self.patches.kept[value][patch]
        if value in self.patches.stays:
            self.strips[value] = Strip(value)
        elif made:
            self.strips[value] = Strip(rows_buffer(layer, range(kept.start, made.stop)), kept.start)
            if kept:
                copy(self.kept[value].view(kept), self.strips[value].view(kept))
        elif kept:
            self.strips[value] = self.kept[value]
        if not made:
            return
        self.compute(layer, made)
        if value not in self.patches.stays and patch + 1 < self.patches.count:
            self.keep(layer, self.patches.kept[value][patch + 1])

    def keep(self, layer: accel.Layer, rows: range) -> None:
        """Copy rows into a buffer of their own, so that the others need not stay."""
        if rows:
            value = accel.output(layer)
            self.kept[value] = Strip(rows_buffer(layer, rows), rows.start)
            copy(self.strips[value].view(rows), self.kept[value].memory)

    def compute(self, layer: accel.Layer, made: range) -> None:
        """Write a layer that computes some rows."""
        output, scratch = accel.output(layer), activations.scratch_of(layer)
        window = patches.window(layer)
        operands: list[ir.Value] = []
        for value in layer.operands:
            if value == output:
                operands.append(self.strips[output].view(made))
            elif value in scratch:
                operands.append(accel.BufferOp(value.type, f"{accel.node(layer)} scratch").memref)
            elif activations.is_constant(value):
                operands.append(value)
            else:
                rows = window.reads(made, patches.row_count(value))
                operands.append(self.strips.get(value, Strip(value)).view(rows))
        attributes = dict(layer.operation.attributes.items()) | {accel.INNER_ATTRIBUTE: ir.UnitAttr.get()}
        if isinstance(layer, accel.Conv2dOp | accel.Pool2dOp):
            reach, inside = window.reach(made), window.reads(made, patches.row_count(layer.input))
            _, left, _, right = layer.pads
            pads = [inside.start - reach.start, left, reach.stop - inside.stop, right]
            attributes["pads"] = ir.DenseI64ArrayAttr.get(pads)
        instructions = accel.attribute(layer, INSTRUCTIONS, ir.IntegerAttr)
        if instructions is not None:
            attributes[INSTRUCTIONS] = accel.integer(instructions.value * len(made) // patches.row_count(output))
        ir.Operation.create(layer.operation.name, operands=operands, attributes=attributes)


def rows_buffer(layer: accel.Layer, rows: range) -> ir.Value:
    """Return a new buffer for some rows of a layer's output, in the layout of the whole."""
    kind = ir.MemRefType(accel.output(layer).type)
    shape = list(kind.shape)
    shape[ROWS] = len(rows)
    tensor = layout.with_axes(ir.RankedTensorType.get(shape, kind.element_type), layout.NHWC)
    name = f"{accel.node(layer)} rows {rows.start} to {rows.stop - 1}"
    return accel.BufferOp(layout.memref(tensor, layout.memory_of(kind)), name).memref


def copy(source: ir.Value, target: ir.Value) -> None:
    """Write a copy of rows."""
    everything = ir.ArrayAttr.get([ir.DenseI64ArrayAttr.get([])] * 4)
    inserted.mark(accel.TakeOp(None, source, everything, out=target, engine=HOST), Purpose.KEEP_ROWS)
