"""What tile-layers makes of a function that has layers with tilings: the commands of their tiles, in steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from mlir import ir
from mlir.dialects import func, scf

from htvm.backend.targets.jobs import Job
from htvm.backend.targets.soc import MOST_STRAIGHT, Soc, is_driven, operands
from htvm.dialects import accel

from ..analysis import activations, layout, packing
from ..analysis.actions import actions
from ..analysis.flow import rooms_for_weights
from ..analysis.liveness import Lifetime, lifetimes, packed_items
from ..analysis.tiles import NAME, Tiling
from ..analysis.trails import write_trail
from .groups import in_order
from .host_commands import works
from .items import Copy, Item, Task, Trace, Work, group_of
from .schedule import Ahead, Schedule
from .tile_commands import Packed, tasks
from .views import View
from .write_steps import Writer, calls

STRAIGHT = (MOST_STRAIGHT, 64, 32, 16, 0)
"""The most calls of a step that are given one after the other, the first for which all of these have room."""

AHEAD = tuple(map(Ahead, (1.0, 0.875, 0.75, 0.0)))
"""What is fetched ahead into a memory of accelerators: less, if lifetimes then cannot be packed."""

WHILE_IDLE = tuple(Ahead(part, 256) for part in (1.0, 0.96875, 0.9375, 0.875))
"""The same, if weights come also while their transfer engine has nothing else to do."""

AHEAD_ON_THE_WAY = tuple(map(Ahead, (1.0, 0.9375, 0.875, 0.8125, 0.75, 0.0)))
"""The same of a memory that weights pass through."""

Levels = dict[str, tuple[Ahead, ...]]
"""How much is fetched ahead into each memory: the first for which there is room."""


@dataclass(frozen=True)
class Written:
    """Steps that were written: about how many cycles they take, whether buffers have room, what is fetched ahead."""

    cycles: int
    is_packed: bool
    ahead: Mapping[str, Ahead]

    def is_better(self, other: Written) -> bool:
        return (not self.is_packed, self.cycles) < (not other.is_packed, other.cycles)


@dataclass(frozen=True)
class Tiler:
    """Replaces the layers with tilings in functions of a module by commands, those of the host by layers of tiles."""

    target: Soc
    module: ir.Operation

    @cached_property
    def packed(self) -> Packed:
        """The weights that are packed, in the functions so far."""
        return Packed(self.module)

    def rooms(self, function: func.FuncOp) -> dict[str, int]:
        """Return the bytes that buffers and maps may take of each memory, as far as it is known."""
        sizes = {memory.name: memory.size_bytes for memory in self.target.memories}
        return sizes | accel.bytes_by_memory(accel.present(function.operation.parent, "module"), accel.ARENA_ROOM)

    def tile(self, function: func.FuncOp, cut: Sequence[accel.Layer]) -> None:
        """Rewrite one function; cut: its layers with a tiling, on accelerators or the host."""
        end = function.body.blocks[0].operations[-1]
        names = {engine.name for engine in self.target.accelerators}
        items: list[Item] = []
        with ir.InsertionPoint(end):
            for layer in list(activations.layers(function)):
                if accel.engine(layer) in names:
                    engine = self.target.accelerator(accel.engine(layer))
                    with layer.location:
                        items += tasks(layer, engine, self.target, self.packed, Tiling.of_layer(layer).blocking)
                elif layer in cut:
                    with layer.location:
                        items += works(layer, self.target, self.packed)
                else:
                    items.append(work(layer))
        replaced = [*cut, *(item.op for item in items if isinstance(item, Work) and item.copy is not None)]
        for layer in replaced:  # what packing is asked about are their commands
            layer.operation.detach_from_parent()
        self.schedule(function, items)
        scratch = [value for layer in replaced for value in activations.scratch_of(layer)]
        for layer in replaced:
            layer.operation.erase()
        for value in scratch:  # tiles have their own
            accel.present(accel.producer(value), "buffer").operation.erase()
        self.write_trails(function)

    def write_trails(self, function: func.FuncOp) -> None:
        """Write on launches how far outputs may lie over inputs, where their engine says so of its jobs."""
        alignment = layout.ALIGNMENT_BYTES
        trailing = {
            engine.name: engine
            for engine in self.target.accelerators
            if is_driven(engine) and alignment % self.target.memory(engine.input.memory).row_bytes == 0
        }
        for op in accel.operations(function):
            if isinstance(op, accel.LaunchOp) and (engine := trailing.get(op.engine.value)):
                trail = engine.trail(Job.of(op.job))
                if trail is not None:
                    write_trail(op, trail)

    def schedule(self, function: func.FuncOp, items: list[Item]) -> None:
        """Write the steps of all items; layers of groups one after the other if that is faster, or at once they lack
        room."""
        orders = [[alone(item) for item in items]]
        if any(map(group_of, items)):
            orders += [in_order(items, self.target, rooms) for rooms in ({}, rooms_for_weights(self.target))]
        best: tuple[Written, list[Item]] | None = None
        for order in reversed(orders):
            if best is not None:
                self.take_back(function, items)
            written = self.write(function, order)
            if best is None or written.is_better(best[0]):
                best = written, order
        assert best is not None, "there is an order"
        written, order = best
        if order is not orders[0]:
            self.take_back(function, items)
            self.put(function, order, written.ahead)
        if not self.loops_have_room(function):
            self.take_back(function, items)
            self.put(function, order, written.ahead, waits_between=True)

    def loops_have_room(self, function: func.FuncOp) -> bool:
        """Say whether buffers that are used in loops, and so as long as these last, have room beside all others."""
        if not any(isinstance(op, scf.ForOp) for op in accel.operations(function)):
            return True
        rooms, lives = self.rooms(function), lifetimes(function, actions(function))
        return all(self.can_be_packed(lives, each, rooms[each], quickly=False) for each in self.memories_of_engines)

    def write(self, function: func.FuncOp, items: Sequence[Item]) -> Written:
        """Write the steps of items in their order: whether weights come while transfer engines are idle or only when
        it is their turn, as is faster."""
        fetched = {
            layout.memory_of(copy.writes.type) for item in items if isinstance(item, Task) for copy in item.weights
        }
        on_the_way: Levels = {memory: AHEAD_ON_THE_WAY for memory in fetched & {self.target.arena_memory}}
        into_engines = fetched & self.memories_of_engines
        tried: list[Written] = []
        for levels in (WHILE_IDLE, AHEAD) if into_engines else (AHEAD,):
            if tried:
                self.take_back(function, items)
            tried.append(self.attempt(function, items, on_the_way | dict.fromkeys(into_engines, levels)))
        if tried[0].is_better(tried[-1]):
            self.take_back(function, items)
            self.put(function, items, tried[0].ahead)
            return tried[0]
        return tried[-1]

    def attempt(self, function: func.FuncOp, items: Sequence[Item], levels: Levels) -> Written:
        """Write the steps of items in their order; less is fetched ahead into a memory that has no room."""
        rooms = self.rooms(function)
        while True:
            ahead = {memory: each[0] for memory, each in levels.items()}
            cycles = self.put(function, items, ahead)
            names = self.memories_of_engines | levels.keys() if any(map(group_of, items)) else levels.keys()
            quickly = {memory for memory, each in levels.items() if each[0].idle_tasks}
            lives = lifetimes(function, actions(function))
            full = [each for each in names if not self.can_be_packed(lives, each, rooms[each], each in quickly)]
            lower = [memory for memory in full if len(levels.get(memory, ())) > 1]
            if not lower:
                return Written(cycles, not full, ahead)
            levels = levels | {memory: levels[memory][1:] for memory in lower}
            self.take_back(function, items)

    def put(
        self, function: func.FuncOp, items: Sequence[Item], ahead: Mapping[str, Ahead], waits_between: bool = False
    ) -> int:
        """Write the steps of items in their order; return about how many cycles they take."""
        schedule = Schedule(self.target, items, self.rooms(function), ahead, waits_between)
        traces = schedule.run()
        with ir.InsertionPoint(function.body.blocks[0].operations[-1]):
            for layer, tiling in {each.layer: each.tiling for each in items if isinstance(each, Task)}.items():
                layer.operation.attributes[NAME] = tiling.attribute()  # it says whether the layer is in a group
            Writer(self.straight(traces)).write(traces)
        return schedule.time.end

    def take_back(self, function: func.FuncOp, items: Sequence[Item]) -> None:
        """Erase the steps that were written; layers of the host stand in the function again."""
        block = function.body.blocks[0]
        with ir.InsertionPoint(block.operations[-1]):
            for item in items:
                if isinstance(item, Work) and item.copy is None:
                    ir.InsertionPoint.current.insert(item.op.operation.detach_from_parent())
        for op in reversed(list(block)):
            if isinstance(op, accel.StepOp):
                op.operation.erase()

    def straight(self, traces: Sequence[Trace]) -> int:
        """Return how many calls a step may have one after the other: in loops they take less code, and more cycles."""
        counts = [sum(map(calls, trace.entries)) for trace in traces]
        return next(
            most
            for most in STRAIGHT
            if sum(each for each in counts if each <= most) * self.target.host.call_bytes
            <= self.target.calls_room_bytes
        )

    @cached_property
    def memories_of_engines(self) -> frozenset[str]:
        """The memories of accelerators, those of the host left out."""
        inside = {operand.memory for engine in self.target.accelerators for operand in operands(engine).values()}
        return frozenset(inside - {self.target.arena_memory, self.target.constants_in})

    def can_be_packed(self, lives: Sequence[Lifetime], name: str, room_bytes: int, quickly: bool) -> bool:
        """Say whether the buffers in a memory fit the room there is. quickly: as far as no solver is needed for it."""
        inside = [life for life in lives if layout.memory_of(life.value.type) == name]
        return packing.fits(packed_items(inside, self.target.memory(name)), room_bytes, quickly)


def alone(item: Item) -> Item:
    """Return an item that is in no group."""
    return replace(item, tiling=replace(item.tiling, group=0)) if isinstance(item, Task) else item


def work(layer: accel.Layer) -> Work:
    """Return a layer of the host, or a transfer, as an item of the schedule."""
    reads = frozenset(activations.read_by(layer))
    writes = frozenset([accel.output(layer), *activations.scratch_of(layer)])
    copy = None
    if isinstance(layer, accel.TransferOp):
        source, target = layer.input, accel.output(layer)
        copy = Copy(View(source), View(target))
    return Work(layer, reads, writes, copy)
