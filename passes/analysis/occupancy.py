"""Follow a planned function through memory: whose bytes are where after each action.

This trusts no lifetime. It does what the machine does: a layer takes the bytes of its output away from
whoever had them, and whoever reads must still have all of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from mlir import ir
from mlir.dialects import func

from htvm.dialects import accel
from htvm.dialects.execution import Outline, Outstanding

from . import activations, layout
from .actions import touched_by
from .trails import trails_of_buffers


@dataclass(frozen=True)
class Region:
    """The place of a buffer or an argument, in bytes of its memory's arena."""

    value: ir.Value
    name: str
    memory: str
    begin: int
    end: int

    def overlaps(self, other: "Region") -> bool:
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
    """Yield every read of bytes that were taken or never written, in order of execution."""
    places = regions(function)
    is_result = ["accel.result" in each for each in activations.attributes_of_arguments(function)]
    inputs = [value for value, is_out in zip(function.arguments, is_result, strict=True) if not is_out]
    results = [value for value, is_out in zip(function.arguments, is_result, strict=True) if is_out]
    owned: list[Region] = []
    taken: dict[ir.Value, tuple[Region, str]] = {}

    def take(region: Region, node: str) -> None:
        """Give a region its bytes; who had any of them has lost its own."""
        if region in owned:  # another part of it is written
            return
        for other in [other for other in owned if other.overlaps(region)]:
            taken[other.value] = (region, node)
            owned.remove(other)
        owned.append(region)

    def missing(layer: ir.OpView | None, region: Region) -> Iterator[Conflict]:
        if region not in owned:
            yield Conflict(layer, region, *taken.get(region.value, (None, "")))

    for value in inputs:
        take(places[value], "")
    outline, outstanding = Outline.of(function), Outstanding()
    touched = [touched_by(action.op) for action in outline.actions]
    for event in outline.steady():
        layer, own = event.action.op, touched[event.action.number]
        node = accel.node(layer)
        for ended in outstanding.see(event):  # what a copy or launch uses is its own until it has ended
            for value in touched[ended.action.number].all:
                yield from missing(ended.action.op, places[value])
        for value in own.used:
            take(places[value], node)
        for value in own.reads:
            yield from missing(layer, places[value])
            for output in map(places.__getitem__, own.writes):
                if places[value].overlaps(output) and not _may_replace(layer, places[value], output):
                    yield Conflict(layer, places[value], output, node)
        for value in own.writes:
            take(places[value], node)
        for value in own.used:
            yield from missing(layer, places[value])
    for value in results:
        yield from missing(None, places[value])


def _may_replace(layer: ir.OpView, source: Region, output: Region) -> bool:
    """Say whether a layer may write its output over `source` while it reads it: behind its reads, or, of two buffers,
    element by element."""
    found = trails_of_buffers(layer) if accel.is_layer(layer) else {}
    trail = found.get(source.value)
    if trail is None or not trail.allows(source.begin - output.begin):
        return False
    return trail.multiple > 0 or not (activations.is_argument(source.value) or activations.is_argument(output.value))


def _region(value: ir.Value, name: str, offset: int) -> Region:
    memory = ir.StringAttr(accel.present(ir.MemRefType(value.type).memory_space, "memory space")).value
    return Region(value, name, memory, offset, offset + layout.size_bytes(value.type))
