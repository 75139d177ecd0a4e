"""Follow a planned function through memory: whose bytes are where after each action.

This trusts no lifetime. It does what the machine does: a layer takes the bytes of its output away from
whoever had them, and whoever reads must still have all of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from mlir import ir
from mlir.dialects import func

from htvm.dialects import accel
from htvm.dialects.execution import Outline, Outstanding

from . import activations, layout
from .actions import touched_by, whole
from .trails import trail_of_launch, trails_of_buffers


@dataclass(frozen=True)
class Region:
    """The place of a buffer or an argument, in bytes of its memory's arena."""

    value: ir.Value
    name: str
    memory: str
    begin: int
    end: int

    def overlaps(self, other: Region) -> bool:
        return self.memory == other.memory and self.begin < other.end and other.begin < self.end


@dataclass(frozen=True)
class Conflict:
    """At `layer` (None: when the function returns) the bytes of `region` are not its own.

    `taker` has taken them at node `taken_at` ("": as another input); without a taker they were never written.
    """

    layer: ir.OpView | None
    region: Region
    taker: Region | None
    taken_at: str


def regions(function: func.FuncOp) -> dict[ir.Value, Region]:
    """Return the place of every argument and buffer that has an offset."""
    found: dict[ir.Value, Region] = {}
    attributes_of_arguments = activations.attributes_of_arguments(function)
    for argument, attributes in zip(function.arguments, attributes_of_arguments, strict=True):
        if "accel.offset" in attributes:
            name = activations.named(argument, attributes)
            found[argument] = _region(argument, name, ir.IntegerAttr(attributes["accel.offset"]).value)
    for op in function.body.blocks[0]:
        if isinstance(op, accel.BufferOp) and op.offset is not None:
            found[op.memref] = _region(op.memref, op.name.value, op.offset.value)
    return found


def conflicts(function: func.FuncOp) -> Iterator[Conflict]:
    """Yield every read of bytes that were taken or never written, in order of execution.

    Layers on the host touch the bytes that their operands are views of, commands all of a buffer.
    """
    places = regions(function)
    is_result = ["accel.result" in each for each in activations.attributes_of_arguments(function)]
    inputs = [value for value, is_out in zip(function.arguments, is_result, strict=True) if not is_out]
    results = [value for value, is_out in zip(function.arguments, is_result, strict=True) if is_out]
    owners = Owners.of(places)
    for value in inputs:
        owners.take(value, slice(None), "")
    outline, outstanding = Outline.of(function), Outstanding()
    touched = [touched_by(action.op) for action in outline.actions]
    for event in outline.steady():
        layer, own = event.action.op, touched[event.action.number]
        node = accel.node(layer)
        for ended in outstanding.see(event):  # what a copy or launch uses is its own until it has ended
            command = touched[ended.action.number]
            for value in command.all:
                over = next((each for each in command.writes if _may_cover(places, ended.action.op, value, each)), None)
                yield from owners.missing(ended.action.op, value, over=over)
        for value in own.used:
            owners.take(value, slice(None), node)
        outputs = {value: _part(layer, value, [accel.output(layer)]) for value in own.writes if accel.is_layer(layer)}
        for value in own.reads:
            part = _part(layer, value, layer.operands)
            yield from owners.missing(layer, value, part)
            for output in own.writes:
                written = outputs.get(output, slice(None))
                if _meet(places[value], part, places[output], written) and not _may_replace(
                    layer, places[value], places[output]
                ):
                    yield Conflict(layer, places[value], places[output], node)
        for value in own.writes:
            owners.take(value, outputs.get(value, slice(None)), node)
        for value in own.used:
            yield from owners.missing(layer, value)
    for value in results:
        yield from owners.missing(None, value)


Part = np.ndarray | slice
"""Bytes of a region: which of them, or all."""


@dataclass(frozen=True)
class Owners:
    """Who has each byte of each memory: numbers of regions, from 1 on; 0: nobody. nodes: by which it was written."""

    places: dict[ir.Value, Region]
    numbers: dict[ir.Value, int]
    bytes: dict[str, np.ndarray]
    nodes: dict[int, tuple[Region, str]]

    @staticmethod
    def of(places: dict[ir.Value, Region]) -> Owners:
        sizes: dict[str, int] = {}
        for region in places.values():
            sizes[region.memory] = max(sizes.get(region.memory, 0), region.end)
        arrays = {memory: np.zeros(size, np.int32) for memory, size in sizes.items()}
        return Owners(places, {value: number for number, value in enumerate(places, 1)}, arrays, {})

    def take(self, value: ir.Value, part: Part, node: str) -> None:
        """Give a buffer bytes of its place; who had any of them has lost them."""
        self._of(self.places[value])[part] = self.numbers[value]
        self.nodes[self.numbers[value]] = (self.places[value], node)

    def missing(
        self, layer: ir.OpView | None, value: ir.Value, part: Part = slice(None), over: ir.Value | None = None
    ) -> Iterator[Conflict]:
        """Yield a conflict if a buffer lacks bytes of its place. over: another one that may have them."""
        region = self.places[value]
        had = self._of(region)[part]
        lost = had[
            (had != self.numbers[value]) & (had != (self.numbers[value] if over is None else self.numbers[over]))
        ]
        if lost.size:
            yield Conflict(layer, region, *self.nodes.get(int(lost.max()), (None, "")))

    def _of(self, region: Region) -> np.ndarray:
        return self.bytes[region.memory][region.begin : region.end]


def _part(op: ir.OpView, value: ir.Value, operands: Iterable[ir.Value]) -> Part:
    """Return the bytes of a buffer that an operation touches by some of its operands."""
    parts = [each for each in operands if whole(each) == value]
    if not accel.is_layer(op) or value in parts:
        return slice(None)
    size_bytes = layout.size_bytes(value.type)
    return np.any([layout.bytes_covered(each.type, size_bytes) for each in parts], axis=0)


def _meet(one: Region, part: Part, other: Region, other_part: Part) -> bool:
    """Say whether parts of two regions have bytes in common."""
    if not one.overlaps(other):
        return False
    both = range(max(one.begin, other.begin), min(one.end, other.end))
    found = np.ones(len(both), bool)
    for region, which in ((one, part), (other, other_part)):
        if not isinstance(which, slice):
            found &= which[both.start - region.begin : both.stop - region.begin]
    return bool(found.any())


def _may_replace(layer: ir.OpView, source: Region, output: Region) -> bool:
    """Say whether a layer may write its output over `source` while it reads it: behind its reads, or, of two buffers,
    element by element."""
    if isinstance(layer, accel.LaunchOp):
        trail = trail_of_launch(layer) if source.value == whole(layer.inputs[0]) else None
    else:
        trail = trails_of_buffers(layer).get(source.value) if accel.is_layer(layer) else None
    if trail is None or not trail.allows(source.begin - output.begin):
        return False
    return trail.multiple > 0 or not (activations.is_argument(source.value) or activations.is_argument(output.value))


def _may_cover(places: Mapping[ir.Value, Region], op: ir.OpView, source: ir.Value, output: ir.Value) -> bool:
    """Say whether a launch may have taken bytes of its input for its output."""
    return isinstance(op, accel.LaunchOp) and source != output and _may_replace(op, places[source], places[output])


def _region(value: ir.Value, name: str, offset: int) -> Region:
    memory = ir.StringAttr(accel.present(ir.MemRefType(value.type).memory_space, "memory space")).value
    return Region(value, name, memory, offset, offset + layout.size_bytes(value.type))
