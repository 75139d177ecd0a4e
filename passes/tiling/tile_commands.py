"""The commands of a layer on an accelerator: for each tile, what is copied in, launched, and copied out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import numpy as np
from mlir import ir
from mlir.dialects import memref

from htvm.backend.targets.engines import launches
from htvm.backend.targets.jobs import OPERANDS, Job, JobStep, Layout, Place, Range
from htvm.backend.targets.soc import Accelerator, Soc, keeps_sums, operands, sums_bytes
from htvm.dialects import accel, blocked_layout

from ..analysis import layout
from ..analysis.names import Names, identifier
from ..analysis.placement import pixels_are_channels
from ..analysis.residency import whole_job
from ..analysis.tiles import Tile, Tiling, input_layout, tiles, weights_in_turn
from .items import Chain, Copy, Launch, Task
from .views import Form, View, blocks_as_rows, dense, pixels_as_channels


@dataclass(frozen=True)
class Weights:
    """The packed weights of a tile: the global that has them, from where on, and how many bytes each launch has.

    before: the copies that bring them to the last memory before the engine's.
    """

    everything: ir.Value
    offset: int
    sizes: Sequence[int]
    before: Chain = ()

    @property
    def size_bytes(self) -> int:
        return sum(self.sizes)

    def copy(self, buffer: ir.Value) -> Copy:
        """Return the copy that brings them to the start of a buffer: the next one after those before."""
        target = part_of(buffer, 0, self.size_bytes)
        if self.before:
            return Copy(self.before[-1].target, target)
        return Copy(part_of(self.everything, self.offset, self.size_bytes), target)

    def through(self, buffers: Sequence[ir.Value]) -> Weights:
        """Return the same weights on their way through buffers."""
        on_the_way = self
        for buffer in buffers:
            on_the_way = replace(on_the_way, before=(*on_the_way.before, on_the_way.copy(buffer)))
        return on_the_way

    def of_launch(self, index: int, buffer: ir.Value | None) -> View | None:
        """Return those of a launch, in a buffer; where there is none, in the global. None if it has no weights."""
        before = sum(self.sizes[:index])
        if self.sizes[index] == 0:
            return None
        if buffer is None:
            return part_of(self.everything, self.offset + before, self.sizes[index])
        return part_of(buffer, before, self.sizes[index])


class Packed:
    """The packed weights of a module: one global for all tiles of a layer, named after the first that has them."""

    def __init__(self, module: ir.Operation) -> None:
        self.top = list(module.regions[0].blocks[0])
        self.names = Names(module)
        self.made: dict[tuple[str, bytes], str] = {}

    def get(self, wanted: str, data: np.ndarray, memory: str) -> ir.Value:
        """Return the memref of a global in a memory that holds `data`, uint8[n]: equal data share one."""
        kind = ir.MemRefType.get([data.size], ir.IntegerType.get_signless(8), memory_space=ir.StringAttr.get(memory))
        key = memory, data.tobytes()
        if key not in self.made:
            name = self.made[key] = self.names.free(wanted)
            value = ir.DenseElementsAttr.get(np.ascontiguousarray(data).view(np.int8))
            with ir.InsertionPoint(self.top[0]):
                memref.GlobalOp(name, kind, sym_visibility="private", initial_value=value, constant=True)
        return memref.GetGlobalOp(kind, self.made[key]).result


def tasks(layer: accel.Layer, engine: Accelerator, soc: Soc, packed: Packed, plain: bool) -> list[Task]:
    """Return the tasks of a layer in the order of its tiling; its buffers are made at the insertion point."""
    return list(Layer(layer, engine, soc, packed, plain).tasks())


class Layer:
    """A layer on an accelerator while its tasks are made."""

    def __init__(self, layer: accel.Layer, engine: Accelerator, soc: Soc, packed: Packed, plain: bool) -> None:
        self.layer, self.engine, self.soc, self.plain = layer, engine, soc, plain
        self.tiling = Tiling.of_layer(layer)
        self.jobs: dict[tuple[Job, Range], Job] = {}
        self.job = whole_job(engine, layer)
        self.tiles = list(tiles(self.job, self.tiling))
        self.inputs: list[ir.Value] = list(layer.operation.operands)[: self.job.inputs]
        self.output = accel.output(layer)
        self.node = accel.node(layer)
        self.loads = [
            self.tiling.loads and layout.memory_of(value.type) != engine.input.memory for value in self.inputs
        ]
        turns = 1 + sum(one.source != other.source for one, other in pairwise(self.tiles))
        read_bytes = [max(tile.job.bytes_of_input(number) for tile in self.tiles) for number in self.positions]
        self.in_buffers = [
            self.buffers("input", value, engine.input.memory, turns, size_bytes) if loads else []
            for value, loads, size_bytes in zip(self.inputs, self.loads, read_bytes)
        ]
        self.in_stops = [
            self.stops("input", value, layout.memory_of(value.type), engine.input.memory, turns, size_bytes)
            if loads
            else []
            for value, loads, size_bytes in zip(self.inputs, self.loads, read_bytes)
        ]
        written_bytes = max(tile.job.output_bytes for tile in self.tiles)
        stores, memory, count = self.tiling.stores, engine.output.memory, len(self.tiles)
        self.out_buffers = self.buffers("output", self.output, memory, count, written_bytes) if stores else []
        to = layout.memory_of(self.output.type)
        self.out_stops = self.stops("output", self.output, memory, to, count, written_bytes) if stores else []
        self.scratch = {
            name: buffer(f"{self.node} {name}", size_bytes, engine.input.memory)
            for name, size_bytes in launches.scratch(engine, self.job).items()
        }
        self.weights = self.pack(packed)
        self.sums = self.sums_buffer()

    @property
    def positions(self) -> range:
        return range(len(self.inputs))

    def buffers(self, what: str, value: ir.Value, memory: str, turns: int, size_bytes: int) -> list[ir.Value]:
        """Return the buffers of so many bytes that tiles of a map use in turn."""
        element, numbers = ir.MemRefType(value.type).element_type, range(min(self.tiling.buffers, turns))
        return [buffer(f"{self.node} {what}", size_bytes, memory, element) for _ in numbers]

    def sums_buffer(self) -> ir.Value | None:
        """Return the buffer of the sums of all launches, one after the other; None if they keep none in memory."""
        jobs = (self.launched(tile, part) for tile in self.tiles for part in self.tiling.launches(tile.job))
        size = max(sums_bytes(self.engine, job) for job in dict.fromkeys(jobs))
        return buffer(f"{self.node} sums", size, operands(self.engine)["sums"].memory) if size else None

    def stops(
        self, what: str, value: ir.Value, source: str, target: str, turns: int, size_bytes: int
    ) -> list[list[ir.Value]]:
        """Return for each memory that tiles of a map pass through, on their way, the buffers that they use in turn."""
        element, numbers = ir.MemRefType(value.type).element_type, range(min(self.tiling.buffers, turns))
        return [
            [buffer(f"{self.node} {what}", size_bytes, route.target, element) for _ in numbers]
            for route in self.soc.path(source, target)[:-1]
        ]

    def pack(self, packed: Packed) -> dict[tuple[Range, ...], Weights]:
        """Return the packed weights of each tile by what they are for; nothing if the layer has none."""
        parts: dict[tuple[Range, ...], list[np.ndarray]] = {}
        for tile in self.tiles if self.has_weights else []:
            if tile.weights not in parts:
                parts[tile.weights] = [self.packed_part(tile, part) for part in self.tiling.launches(tile.job)]
        if not parts:
            return {}
        data = np.concatenate([part for each in parts.values() for part in each])
        path = self.soc.path(self.constants_in, self.engine.weights.memory)
        everything = packed.get(f"{identifier(self.node)}_packed", data, self.constants_in)
        sizes = {tile.weights: self.launch_bytes(tile) for tile in self.tiles}
        is_fetched_once = 1 + sum(a.weights != b.weights for a, b in pairwise(self.tiles)) == len(parts)
        is_in_turn = self.tiling.weight_buffers and is_fetched_once
        count = weights_in_turn([sum(sizes[key]) for key in parts]) if is_in_turn else 0
        count = count or len(parts)
        largest = [max(sum(sizes[key]) for key in list(parts)[first::count]) for first in range(count)]
        stops = [[buffer(f"{self.node} weights", size, route.target) for size in largest] for route in path[:-1]]
        found: dict[tuple[Range, ...], Weights] = {}
        offset = 0
        for number, key in enumerate(parts):
            weights = Weights(everything, offset, sizes[key])
            offset += weights.size_bytes
            found[key] = weights.through([each[number % count] for each in stops])
        return found

    @property
    def constants_in(self) -> str:
        """The memory that the packed weights are in."""
        far = accel.attribute(self.layer, accel.WEIGHTS_MEMORY, ir.StringAttr)
        return self.soc.constants_in if far is None else far.value

    @property
    def reads_constants(self) -> bool:
        """Whether launches read weights where the constants are."""
        return self.engine.weights.memory == self.constants_in

    @property
    def has_weights(self) -> bool:
        """Whether launches read weights: an addition has none."""
        return any(self.launch_bytes(self.tiles[0]))

    def fetch(self) -> Iterator[tuple[ir.Value | None, bool]]:
        """Yield for each tile the buffer of its weights, and whether they must be fetched for it.

        Weights that are fetched once have a buffer each, the others those that the tiling says. None is fetched if the
        engine reads them where the constants are.
        """
        if not self.weights or self.reads_constants:
            yield from ((None, False) for _ in self.tiles)
            return
        turns = list(accumulate((a.weights != b.weights for a, b in pairwise(self.tiles)), initial=0))
        if not self.tiling.weight_buffers:
            number_of = {key: number for number, key in enumerate(self.weights)}
            turns = [number_of[tile.weights] for tile in self.tiles]
        sizes = list({turn: self.weights[tile.weights].size_bytes for turn, tile in zip(turns, self.tiles)}.values())
        count = self.tiling.weight_buffers or len(sizes)
        buffers = [
            buffer(f"{self.node} weights", max(sizes[first::count]), self.engine.weights.memory)
            for first in range(min(count, len(sizes)))
        ]
        fetched = 0
        for turn in turns:
            yield buffers[turn % count], turn == fetched
            fetched = max(fetched, turn + 1)

    def packed_part(self, tile: Tile, part: Range) -> np.ndarray:
        first = tile.outputs[0]
        job = self.launched(tile, part)
        outputs = first + part[0], first + part[1]
        if keeps_sums(self.engine) and self.tiling.channels:
            return self.engine.pack(job, self.layer, outputs, tile.channels)
        return self.engine.pack(job, self.layer, outputs)

    def launch_bytes(self, tile: Tile) -> list[int]:
        """Return the bytes of the weights of each launch of a tile, in order."""
        parts = (self.launched(tile, part) for part in self.tiling.launches(tile.job))
        return [self.engine.weight_bytes(step.job if job.form else job) for job in parts for step in self.steps(job)]

    def steps(self, job: Job) -> Sequence[JobStep]:
        """Return the launches of a job, not lowered."""
        return launches.steps(self.engine, job, self.plain)

    def launched(self, tile: Tile, part: Range) -> Job:
        """Return the job of some of a tile's output channels, not lowered."""
        key = tile.job, part
        if key not in self.jobs:
            self.jobs[key] = tile.job.tile(part, (0, tile.job.out_size[0]), (0, tile.job.out_size[1]))[0]
        return self.jobs[key]

    def tasks(self) -> Iterator[Task]:
        there: tuple[Range, ...] | None = None
        turn, number = -1, 0
        for tile, (place, is_fetched) in zip(self.tiles, self.fetch(), strict=True):
            weights: Chain = ()
            if place is not None and is_fetched:
                packed = self.weights[tile.weights]
                weights = (*packed.before, packed.copy(place))
            loads: list[Chain] = []
            if any(self.loads) and tile.source != there:
                there, turn = tile.source, turn + 1
                loads = [self.load(tile, i, turn) for i in range(tile.job.inputs) if self.loads[i]]
            yield self.task(tile, place, weights, loads, turn, number)
            number += not tile.job.keeps

    def task(
        self, tile: Tile, place: ir.Value | None, weights: Chain, loads: list[Chain], turn: int, number: int
    ) -> Task:
        out = self.out_buffers[number % len(self.out_buffers)] if self.out_buffers else None
        stores = [] if out is None or tile.job.keeps else [self.store(tile, out, number)]
        given: list[Launch] = []
        for part in self.tiling.launches(tile.job):
            job = self.launched(tile, part)
            views = {OPERANDS[i]: self.input_of(tile, job, part, i, turn) for i in range(job.inputs)}
            views["output"] = self.output_of(tile, job, part, out)
            size = sums_bytes(self.engine, job)
            sums = part_of(self.sums, 0, size) if self.sums is not None and size else None
            for step in self.steps(job):
                packed = self.weights[tile.weights].of_launch(len(given), place) if self.weights else None
                sizes = map(step.job.bytes_of_input, range(len(step.inputs)))
                inputs = [self.place(each, size, views) for each, size in zip(step.inputs, sizes)]
                output = self.place(step.output, step.job.output_bytes, views)
                given.append(Launch(step.job, inputs, packed, sums, output))
        held: list[ir.Value] = [self.ring(i, turn) if self.loads[i] else self.inputs[i] for i in self.positions]
        if place is not None:
            held.append(place)
        made = [self.output if out is None else out, *self.scratch.values(), *([self.sums] if self.sums else [])]
        return Task(
            self.layer,
            self.job,
            self.engine,
            self.tiling,
            weights,
            loads,
            given,
            stores,
            frozenset(held),
            frozenset(made),
        )

    def place(self, place: Place, size_bytes: int, views: Mapping[str, View]) -> View:
        """Return what a launch reads or writes at a place. views: of the tile's operands, each whole."""
        if place.buffer in self.scratch:
            return part_of(self.scratch[place.buffer], place.offset_bytes, size_bytes)
        view = views[place.buffer]
        if place.size_bytes is None:
            return view
        return View(view.source, Form((place.size_bytes,), (1,)), view.first + place.offset_bytes)

    def ring(self, position: int, turn: int) -> ir.Value:
        """Return the buffer that an input's tile of a turn is in."""
        return self.in_buffers[position][turn % len(self.in_buffers[position])]

    def load(self, tile: Tile, position: int, turn: int) -> Chain:
        """Return the copies of what a tile reads of one input, dense from the first on."""
        source, shape = self.inputs[position], self.shape(*tile.job.input_shape(position))
        wanted = input_layout(self.engine, self.job)
        stops = [each[turn % len(each)] for each in self.in_stops[position]]
        part = self.part(source, self.offsets(*(first for first, _ in tile.part(position))), shape)
        places = (*stops, self.ring(position, turn))
        if wanted == Layout.BLOCKED:
            block = accel.present(blocked_layout.block_of(source.type), "blocks")
            views = [part, *(blocks_as_rows(each, block, 0, shape) for each in places)]
        else:
            views = [part, *(dense(each, shape, wanted) for each in places)]
        return chain_of(views)

    def store(self, tile: Tile, out: ir.Value, number: int) -> Chain:
        """Return the copies that take away what a tile has made in a buffer, dense up to the last."""
        shape = self.shape(tile.job.outputs, tile.job.out_size)
        stops = [each[number % len(each)] for each in self.out_stops]
        part = self.part(self.output, self.offsets(tile.outputs[0], tile.rows[0], tile.columns[0]), shape)
        views = [*(dense(each, shape, self.job.layout) for each in (out, *stops)), part]
        return chain_of(views)

    def input_of(self, tile: Tile, job: Job, part: Range, position: int, turn: int) -> View:
        """Return what a launch reads: a part of the buffer that was filled, or of the map."""
        shape = self.shape(*job.input_shape(position))
        first = part[0] if self.job.has_own_channels or (position and self.job.residual) else 0
        if self.loads[position] and input_layout(self.engine, self.job) == Layout.BLOCKED:
            block, ring = (
                accel.present(blocked_layout.block_of(self.inputs[position].type), "blocks"),
                self.ring(position, turn),
            )
            return blocks_as_rows(ring, block, 0, shape)
        if self.loads[position]:
            wanted = input_layout(self.engine, self.job)
            whole = dense(self.ring(position, turn), self.shape(*tile.job.input_shape(position)), wanted)
            return whole.part(self.offsets(first, 0, 0), shape)
        (channel, _), (row, _), (column, _) = tile.part(position)
        return self.part(self.inputs[position], self.offsets(channel + first, row, column), shape)

    def output_of(self, tile: Tile, job: Job, part: Range, out: ir.Value | None) -> View:
        """Return what a launch writes: a part of a buffer, or of the map."""
        shape = self.shape(job.outputs, job.out_size)
        if out is not None:
            whole = dense(out, self.shape(tile.job.outputs, tile.job.out_size), self.job.layout)
            return whole.part(self.offsets(part[0], 0, 0), shape)
        return self.part(self.output, self.offsets(tile.outputs[0] + part[0], tile.rows[0], tile.columns[0]), shape)

    def part(self, value: ir.Value, offsets: Sequence[int], shape: Sequence[int]) -> View:
        """Return a part of a map of the layer, as its job sees it."""
        if pixels_are_channels(self.layer, self.job):
            return pixels_as_channels(value).part(offsets, shape)
        if (block := blocked_layout.block_of(value.type)) is not None:
            return blocks_as_rows(value, block, offsets[1] // block, shape)
        return View(value).part(offsets, shape)

    def shape(self, channels: int, size: tuple[int, int]) -> list[int]:
        """Return the shape of a part of a map: [N, C, H, W], or [N, C] of a dense layer."""
        return [1, channels, *size][: self.output.type.rank]

    def offsets(self, channel: int, row: int, column: int) -> list[int]:
        return [0, channel, row, column][: self.output.type.rank]


def chain_of(views: Sequence[View]) -> Chain:
    """Return the copies from each view to the next."""
    return tuple(Copy(*ends) for ends in pairwise(views))


def buffer(name: str, size_bytes: int, memory: str, element: ir.Type | None = None) -> ir.Value:
    """Make a buffer of bytes at the insertion point; of elements of a byte, where it is for some."""
    element = ir.IntegerType.get_signless(8) if element is None else element
    kind = ir.MemRefType.get([size_bytes], element, memory_space=ir.StringAttr.get(memory))
    return accel.BufferOp(kind, name).memref


def part_of(value: ir.Value, offset: int, size_bytes: int) -> View:
    """Return some bytes of a buffer or global."""
    return View(value).part([offset], [size_bytes])
