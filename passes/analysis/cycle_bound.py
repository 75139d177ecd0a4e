"""What no mapping of a function on a target takes less than, in cycles of the target's cost model.

Two bounds, each the optimum of a constraint program over engine, form and layout of every layer. Both let no unit work
longer than the network takes: each layer's work is its engine's, or the host's; weights and feature maps that change
memories are work of transfer engines, every launch is work of the host. A layer has a start, when its first tile
begins, and an end, when its last tile has ended, and lasts at least as long as its own work.

    in turn     A layer starts when those have ended whose results it reads, conversions included: so this compiler runs
                layers, but those of groups.
    in flight   It also holds where tiles of several layers are in flight at once. A layer starts behind the start of
                those that it reads, and behind their end where each of its tiles reads all of a map: what sums over
                channels, of a map whose channels lie one behind the other; what sums over pixels; what the host
                computes, or has computed; what is converted, or written pixel by pixel. One that reads some channels
                of all rows waits for the end too, unless launches make some of the channels, which can be more work.
                It ends behind the end of those whose last row it reads.

Both add: from the start of a layer to the end of another one a unit works for all layers in between. Why that holds:

- Each of these starts no earlier than the first one, since what is in between reads it, or reads what does.
- Each ends no later than the last one, if on a path from it to there every layer reads the last row: the tiles of a
  layer keep their order, so the last of them is then needed.
- So all their work is in that time, and a unit does one thing at a time.
- A map that is made again in its other layout has taken the same work once more, from the same maps or such that were
  made again. Start and end of a layer are those of its first tile and of the copy that ends first; what the reader of
  either copy waits for is no less.

Single tiles are taken to cost nothing: a layer may start with the one it reads. All else that depends on tilings is
left out too: waits, weights that come late, transfers in parts, room for feature maps. An engine works for a layer no
less than in the best of all tiles that the compiler looks for, whatever memory they take. Constants must fit their
memory, beside the largest input or output if these lie there: they are there from the beginning to the end. Layers of
one accelerator are in no group (analysis/flow.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from enum import Enum
from math import prod
from typing import TYPE_CHECKING

from mlir import ir
from mlir.dialects import func

from htvm.backend.targets.engines import fused_ops, launches
from htvm.backend.targets.jobs import Job, Layout
from htvm.backend.targets.soc import HOST, Accelerator, Route, Soc, keeps_sums
from htvm.dialects import accel

from . import activations, layout
from .acceptance import violations
from .placement import Placing, maker, pixels_are_channels
from .tiles import Tiling, tile_counts
from .tiling import Search
from .ways import PARTIAL, Least, Way, other_forms, partial_forms, price

if TYPE_CHECKING:
    from .constraint_program import Expression, IntVar

BOUND_LIMIT = 2.0
"""The solver's deterministic work for a bound; one that it has not proven to be the optimum holds as well."""


@dataclass(frozen=True)
class Share:
    """A layer's part of a bound: the operation, and the cycles of its unit's work."""

    layer: accel.Layer
    cycles: int


@dataclass(frozen=True)
class CycleBound:
    """Bounds on the cycles of a function.

    in_turn, in_flight: see above. units: the work of each unit in the mapping that takes no less than the bound of the
    kind asked about, and of which layers, most first. unlimited: that bound without a limit of constants; None if that
    is none.
    """

    in_turn: int
    in_flight: int
    units: Mapping[str, int]
    shares: Mapping[str, Sequence[Share]]
    unlimited: int | None

    @property
    def busiest(self) -> str:
        """The unit with the most work."""
        return max(self.units, key=lambda unit: self.units[unit])


def cycle_bound(soc: Soc, function: func.FuncOp, has_groups: bool = False) -> CycleBound:
    """Return bounds for a function of stage 'integer', whose layers name no engines.

    has_groups: whether it is asked about mappings with groups in flight, or about those in turn.
    """
    layers = activations.layers(function)
    ways: dict[ir.Value, list[Way]] = {accel.output(layer): every_way(soc, layer) for layer in layers}
    works: dict[tuple[str, Job], int] = {}
    every = {output: {way: least_of(soc, maker(output), way, works) for way in each} for output, each in ways.items()}
    few = {output: grouped(each) for output, each in every.items()}
    turn = Bounding.of(soc, function, every, in_turn=True).bound()
    # Groups are of layers on several accelerators.
    accelerators = {way.engine.name for each in ways.values() for way in each if way.accelerator}
    flight = Bounding.of(soc, function, few).bound() if len(accelerators) > 1 else turn
    bound, units, shares = flight if has_groups else turn
    free, _, _ = Bounding.of(soc, function, few if has_groups else every, not has_groups, has_limit=False).bound()
    return CycleBound(max(turn[0], flight[0]), flight[0], units, shares, free if free < bound else None)


def every_way(soc: Soc, layer: accel.Layer) -> list[Way]:
    """Return the ways in which engines can compute a layer, those left out that are in no respect less than another."""
    found: list[Way] = []
    for engine in soc.engines:
        ways = [Way(engine)] if not violations(soc, engine, layer) else []
        ways += [*other_forms(soc, layer, engine), *partial_forms(soc, layer, engine)]
        least = {way: price(soc, layer, way).least for way in ways}
        found += [way for way in ways if not any(is_below(other, way, least) for other in ways)]
    return found


def grouped(least: Mapping[Way, Least]) -> dict[Way, Least]:
    """Return ways with one that takes no more than any of those in forms for some channels, which are many."""
    partial = [way for way in least if way.form is not None and way.form.kind in PARTIAL]
    found = {way: each for way, each in least.items() if way not in partial}
    if partial:
        found[partial[0]] = Least(*map(min, zip(*(astuple(least[way]) for way in partial))))
    return found


def is_below(other: Way, way: Way, least: Mapping[Way, Least]) -> bool:
    """Say whether a way of the same engine, read and written alike, takes no more than another and something less."""
    if other.reads_blocks or way.reads_blocks:
        return False
    one, two = ((each.work, each.fetch, each.given, each.weight_bytes) for each in (least[other], least[way]))
    is_plain = other.form is None or way.form is not None  # the plain one writes more layouts
    return is_plain and one != two and all(a <= b for a, b in zip(one, two))


@dataclass
class Bounding(Placing):
    """The constraint program of a bound. in_turn: layers wait for what they read. has_limit: constants must fit.

    least: what each way takes. work: of each unit, and own: for each layer. late: what a map comes later than its
    layer's own work says. in_pixels: whether a map is written pixel by pixel. cuts: whether launches make some of the
    channels of a map each. starts, ends: of layers, in cycles.
    """

    least: Mapping[tuple[ir.Value, Way], Least] = field(default_factory=dict[tuple[ir.Value, Way], "Least"])
    in_turn: bool = False
    has_limit: bool = True
    work: dict[str, list[Expression]] = field(default_factory=lambda: defaultdict(list))
    late: dict[ir.Value, list[Expression]] = field(default_factory=lambda: defaultdict(list))
    in_pixels: dict[ir.Value, list[IntVar]] = field(default_factory=lambda: defaultdict(list))
    own: dict[ir.Value, dict[str, Expression]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    cuts: dict[tuple[ir.Value, Way], Expression] = field(default_factory=dict[tuple[ir.Value, Way], "Expression"])
    starts: dict[ir.Value, IntVar] = field(default_factory=dict[ir.Value, "IntVar"])
    ends: dict[ir.Value, IntVar] = field(default_factory=dict[ir.Value, "IntVar"])

    @staticmethod
    def of(
        soc: Soc,
        function: func.FuncOp,
        least: Mapping[ir.Value, Mapping[Way, Least]],
        in_turn: bool = False,
        has_limit: bool = True,
    ) -> Bounding:
        """Return the program of a function. least: what each layer takes in each of its ways, by its result."""
        ways = {output: list(each) for output, each in least.items()}
        takes = {(output, way): found for output, each in least.items() for way, found in each.items()}
        return Bounding(soc, function, ways, least=takes, in_turn=in_turn, has_limit=has_limit)

    def bound(self) -> tuple[int, dict[str, int], dict[str, list[Share]]]:
        """Return the bound, what each unit works in the best mapping found, and for which layers."""
        least = self.least
        for key in least:
            self.runs[key] = self.flag()
        for output, ways in self.candidates.items():
            self.model.exactly_one(self.runs[output, way] for way in ways)
        for value in self.values:
            self.transfer(value)
            self.layout(value)
            self.layout_in_blocks(value)
        for (output, way), each in least.items():
            runs = self.runs[output, way]
            self.work[way.engine.name].append(each.work * runs)
            self.work[HOST].append(each.given * runs)
            if way.accelerator is not None:
                self.layout_by(output, way, way.accelerator)
                if each.fetch:
                    route = Route(self.soc.constants_in, way.accelerator.weights.memory)
                    self.work[self.soc.dma(route).name].append(each.fetch * runs)
        self.limit(least)
        last = self.model.integer(0, 1 << 40)
        self.order(least, last)
        for works in self.work.values():
            self.model.add(sum(works) <= last)
        self.model.minimize(last)
        solution = self.model.solve(BOUND_LIMIT, relaxes=self.in_turn)
        if not solution.is_found:
            raise AssertionError(f"no bound: {solution.status}")
        units = {unit: solution.value(sum(works)) for unit, works in self.work.items()}
        shares: dict[str, list[Share]] = defaultdict(list)
        for (output, way), each in least.items():
            if solution.value(self.runs[output, way]) and each.work:
                shares[way.engine.name].append(Share(maker(output), each.work))
        ordered = {unit: sorted(found, key=lambda share: -share.cycles) for unit, found in shares.items()}
        return round(solution.bound), units, ordered

    def limit(self, least: Mapping[tuple[ir.Value, Way], Least]) -> None:
        """Let the weights that are used fit the memory of constants; not those that may lie in a far memory."""
        if not self.has_limit or self.soc.far_memories:
            return
        room = self.soc.memory(self.soc.constants_in).size_bytes
        if self.soc.constants_in == self.soc.arena_memory:
            room -= max(layout.size_bytes(value.type) for value in (*self.function.arguments, *self.returned))
        sizes = {key: each.weight_bytes for key, each in least.items()}
        fewest = sum(min(sizes[output, way] for way in ways) for output, ways in self.candidates.items())
        self.model.add(sum(size * self.runs[key] for key, size in sizes.items()) <= max(room, fewest))

    def order(self, least: Mapping[tuple[ir.Value, Way], Least], last: IntVar) -> None:
        """Let each layer begin and end no earlier than what it reads, and units work for all layers in between."""
        for output, ways in self.candidates.items():
            self.starts[output], self.ends[output] = self.model.integer(0, 1 << 40), self.model.integer(0, 1 << 40)
            for way in ways:
                each, runs = least[output, way], self.runs[output, way]
                self.own[output][way.engine.name] += each.work * runs
                self.own[output][HOST] += each.given * runs
        for output in self.candidates:
            for value in activations.read_by(maker(output)):
                if value not in self.ends:
                    continue
                if self.in_turn:
                    self.model.add(self.starts[output] >= self.ends[value] + self.conversion(value))
                else:
                    self.flow(value, output)
        for output, works in self.own.items():
            units = sum(work for unit, work in works.items() if unit != HOST)
            own = sum(
                least[output, way].work * self.runs[output, way]
                for way in self.candidates[output]
                if not way.accelerator
            )
            self.model.add(self.ends[output] >= self.starts[output] + units + own + sum(self.late[output]))
            self.model.add(last >= self.ends[output])
        self.between(last)

    def flow(self, value: ir.Value, output: ir.Value) -> None:
        """Let a layer start behind the start of one that it reads; behind its end where it must have all of the map."""
        start, end, layer = self.starts[output], self.ends[output], maker(output)
        self.model.add(start >= self.starts[value])
        if reads_last(layer, value):
            self.model.add(end >= self.ends[value])
        is_behind = self.model.boolean()
        self.model.add(start >= self.ends[value]).only_enforce_if(is_behind)
        for is_scattered in self.in_pixels[value]:
            self.model.add(is_behind >= is_scattered)
        for way in self.candidates[value]:
            if way.accelerator is None:
                self.model.add(is_behind >= self.runs[value, way])
        for way in self.candidates[output]:
            runs, part = self.runs[output, way], part_read(layer, way)
            if part is Part.ALL:
                self.model.add(is_behind >= runs)
            elif part is Part.CHANNELS or (part is Part.SAME and output in self.nhwc):
                planar = runs if part is Part.CHANNELS else runs - self.nhwc[output]
                for other in self.candidates[value]:
                    self.model.add(is_behind + self.cut(value, other) >= planar + self.runs[value, other] - 1)
        if value in self.nhwc and len(self.readers[value]) == 1 and value not in self.returned:
            # Whoever turns a map to channels innermost reads all channels of it at once.
            to_nhwc = self.converts[value, Layout.NHWC]
            converted = self.ends[value] + self.conversion_cycles(value, Layout.NHWC)
            self.model.add(start >= converted).only_enforce_if(to_nhwc)

    def cut(self, output: ir.Value, way: Way) -> Expression:
        """Return whether launches make some of the channels of a map each, which may be more work."""
        if (output, way) not in self.cuts:
            layer, engine = maker(output), way.accelerator
            in_parts = 0 if engine is None else work_in_parts(self.soc, engine, way.job(layer))
            more = in_parts - self.least[output, way].work
            self.cuts[output, way] = flag = 1 if more <= 0 else self.model.boolean()
            if engine is not None and more > 0 and len(self.readers[output]) == 1 and output not in self.returned:
                self.model.add(flag <= self.runs[output, way])
                self.work[engine.name].append(more * flag)
                self.own[output][engine.name] += more * flag
        return self.cuts[output, way]

    def between(self, last: IntVar) -> None:
        """Let no unit work longer for layers than from the start of what all of them read to the end of what reads all.

        Where layers are in turn, the times of a chain say so already.
        """
        units = self.unit_work()
        outputs = list(self.candidates)
        behind: dict[ir.Value, set[ir.Value]] = {output: {output} for output in outputs}
        before: dict[ir.Value, set[ir.Value]] = {output: {output} for output in outputs}
        for output in outputs:
            for value in activations.read_by(maker(output)):
                if value in before and (self.in_turn or reads_last(maker(output), value)):
                    before[output] |= before[value]
        for output in reversed(outputs):
            for reader in self.readers[output]:
                behind[output] |= behind[reader]
        forks = [output for output in outputs if not self.in_turn or len(self.readers[output]) > 1]
        for first in forks:
            for end in outputs:
                if len(found := behind[first] & before[end]) > 1:
                    for works in units:
                        if len(own := [works[output] for output in found if output in works]) > 1:
                            self.model.add(self.ends[end] >= self.starts[first] + sum(own))

    def unit_work(self) -> list[dict[ir.Value, IntVar]]:
        """Return the work of each accelerator for each layer that it can compute."""
        found: dict[str, dict[ir.Value, IntVar]] = defaultdict(dict)
        for output, works in self.own.items():
            for unit, work in works.items():
                if unit != HOST:
                    found[unit][output] = self.model.integer(0, 1 << 40)
                    self.model.add(found[unit][output] == work)
        return list(found.values())

    def conversion(self, value: ir.Value) -> Expression:
        """Return what the only reader of a map waits for its conversion; 0 of several, of which some may not wait."""
        if value not in self.nhwc or len(self.readers[value]) + (value in self.returned) > 1:
            return 0
        layouts = (Layout.NCHW, Layout.NHWC)
        return sum(self.conversion_cycles(value, each) * self.converts[value, each] for each in layouts)

    def scatters(self, output: ir.Value, cycles: int) -> IntVar:
        """Return whether a map is written pixel by pixel: it then leaves the engine's memory, and comes back whole."""
        is_scattered = self.flag()
        self.late[output].append(cycles * is_scattered)
        if cycles:
            self.in_pixels[output].append(is_scattered)
        return is_scattered

    def moves(self, source: str, target: str, value: ir.Value) -> IntVar:
        """Return whether a map is copied, and let a transfer engine work for what is needed of it."""
        is_moved, size = self.flag(), layout.size_bytes(value.type)
        if target != self.soc.arena_memory:
            size = int(size * min((read_share(maker(reader)) for reader in self.readers[value]), default=1))
        if source != target:
            self.work[self.soc.dma(Route(source, target)).name].append(self.copy(source, target, size) * is_moved)
        return is_moved


def least_of(soc: Soc, layer: accel.Layer, way: Way, works: dict[tuple[str, Job], int]) -> Least:
    """Return what a way takes at least: of a layer that can be cut, in the tiles that take an accelerator least work.

    works: those of jobs that have been asked about, by engine.
    """
    least = price(soc, layer, way).least
    if way.accelerator is None or way.form is not None:
        return least
    key = way.engine.name, way.job(layer)
    if key not in works:
        works[key] = work_in_tiles(soc, way.accelerator, way.job(layer))
    return replace(least, work=min(least.work, works[key]))


def work_in_tiles(soc: Soc, engine: Accelerator, job: Job) -> int:
    """Return the least work of a layer in tiles of one size: not always that of the fewest, where lanes stay free."""
    budgets = {memory.name: memory.size_bytes for memory in soc.memories}
    search = Search(soc, engine, job, soc.arena_memory, budgets, loads=True, stores=True)
    known: dict[Job, int] = {}

    def work(tile: Job) -> int:
        if tile not in known:
            parts = launches.fewest(engine, tile)
            steps = [step for part in parts for step in launches.steps(engine, part)]
            known[tile] = sum(soc.figures.job_cycles(engine.name, step.job) for step in steps)
        return known[tile]

    best = work(job)
    for size in search.sizes():
        for channels in search.channel_sizes:
            total = 0
            counts = tile_counts(job, Tiling(*size, loads=True, stores=True, channels=channels))
            for tile, times in sorted(counts, key=lambda each: -each[1]):
                total += times * work(tile.job)
                if total >= best:
                    break
            best = min(best, total)
    return best


def read_share(layer: accel.Layer) -> float:
    """Return about the least part of a map that tiles of a layer read: not what lies between windows."""
    if isinstance(layer, accel.FusedOp):
        return prod(map(read_share, fused_ops.layers(layer)))
    if isinstance(layer, accel.Pool2dOp):
        return prod(min(1, size / step) for size, step in zip(layer.kernel, layer.strides))
    if not isinstance(layer, accel.Conv2dOp):
        return 1.0
    kernel = ir.ShapedType(layer.weights.type).shape[2:]
    return prod(min(1, size / step) for size, step in zip(kernel, layer.strides))


class Part(Enum):
    """What the first tile of a layer reads at least: all of its maps, some channels, some rows; or what it writes."""

    ALL = "all"
    CHANNELS = "channels"
    ROWS = "rows"
    SAME = "same"


def part_read(layer: accel.Layer, way: Way) -> Part:
    """Return what a layer in a way must have of its maps to begin."""
    engine = way.accelerator
    if engine is None:
        return Part.ALL
    job = way.job(layer)
    if job.is_element_wise:
        return Part.SAME
    if keeps_sums(engine) or isinstance(layer, accel.FusedOp):  # of which one map may be read as another is not
        return Part.ROWS
    if job.has_own_channels and engine.input.layouts[0] == Layout.NCHW and not pixels_are_channels(layer, job):
        return Part.CHANNELS
    if job.has_own_channels:
        return Part.ROWS
    if job.form is not None or pixels_are_channels(layer, job) or job.out_size[0] == 1:
        return Part.ALL
    return Part.ALL if engine.input.layouts[0] == Layout.NCHW and job.channels > 1 else Part.ROWS


def work_in_parts(soc: Soc, engine: Accelerator, job: Job) -> int:
    """Return the least work of a layer if no launch makes all of its channels."""
    if job.form is not None or job.outputs == 1 or engine.most_outputs(job) < job.outputs:
        return 0
    rows, columns = ((0, size) for size in job.out_size)

    def work(count: int) -> int:
        tile, _, _ = job.tile((0, count), rows, columns)
        return sum(soc.figures.job_cycles(engine.name, step.job) for step in launches.steps(engine, tile))

    return min(work(count) + work(job.outputs - count) for count in range(1, job.outputs // 2 + 1))


def reads_last(layer: accel.Layer, value: ir.Value) -> bool:
    """Say whether a layer reads the last row and column of a map, for which it then has to wait."""
    if isinstance(layer, accel.Conv2dOp):
        kernel, dilations = ir.ShapedType(layer.weights.type).shape[2:], list(layer.dilations)
    elif isinstance(layer, accel.Pool2dOp):
        kernel, dilations = list(layer.kernel), [1, 1]
    else:
        return not isinstance(layer, accel.FusedOp)
    size, out = (ir.ShapedType(each.type).shape[2:] for each in (value, accel.output(layer)))
    pads, strides = list(layer.pads), list(layer.strides)
    taken = [(count - 1) * stride for count, stride in zip(out, strides)]
    ends = [first - pad + (side - 1) * step + 1 for first, pad, side, step in zip(taken, pads, kernel, dilations)]
    return all(end >= length for end, length in zip(ends, size))
