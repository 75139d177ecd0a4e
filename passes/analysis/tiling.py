"""Cut a layer into the jobs that an accelerator runs fastest.

A tiling gives the size of a tile: output channels, rows, columns. Inputs and outputs lie whole in the accelerator's
memory, or their tiles pass through it, from and to another memory (`loads`, `stores`). A map that lies whole can only
be cut where the parts are dense: along the outermost axis of its layout.

All sizes that differ are tried (sizes with as many tiles are balanced: as equal as can be), both orders of the loops,
and one or two buffers for what passes through. A tiling whose lower bound, the larger of the engine's and the
transfers' own time, is not below the best time found is left out; of the others the tiles are run through a timeline
of host, engine and transfers. So the choice is the fastest of all, in this model, and `bound` is what none can beat.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from htvm.backend.targets.engines import launches
from htvm.backend.targets.jobs import DESCRIPTOR_WORDS, Job, Layout, Range
from htvm.backend.targets.soc import Accelerator, Driven, Route, Soc, is_driven, keeps_sums, operands, sums_bytes
from htvm.backend.targets.violations import AtMost, Bytes, Described, MapIn, OneOf, PartOf, Subject, Violation

from .layout import aligned
from .program_size import written
from .tile_timeline import Cost, Hop, Run
from .tiles import (
    MOST_OWN_BUFFERS,
    Tile,
    Tiling,
    balanced,
    channel_ranges,
    counted,
    counts_of_sizes,
    different,
    input_layout,
    pieces,
    ranges,
    tile_counts,
    tile_shapes,
    tiles,
    weights_in_turn,
)

WEIGHTS_AHEAD = 2
"""How many tasks ahead weights are fetched: one is computed, one waits, and the transfer engine has work."""

MOST_TILES = 20_000
"""How many tiles go through a timeline before the fastest tiling so far is taken: many can have one bound."""


ALONE = 4
"""How many times as much it counts what a layer takes by itself as what it takes if all weights have come before."""


@dataclass(frozen=True)
class Choice:
    """A tiling with its predicted time, and what no tiling of the layer can beat, in cycles."""

    tiling: Tiling
    cycles: int
    bound: int


@dataclass(frozen=True, eq=False)
class Search:
    """The tilings of one layer on one engine.

    home: the memory that tiles come from and go to. far: for a role, the far memory that its operand is in instead.
    budgets: what buffers may take of each memory that operands of the engine are in, or pass through. plain: jobs are
    lowered without what only saves time. keeps: which of two inputs lies in the engine's
    memory, though the other one is loaded. code_budget_bytes: what the code of the layer's commands may take, if there
    is a choice. in_turn: weights that come from a far memory go through a few buffers in turn, where they are many.
    """

    soc: Soc
    engine: Accelerator
    job: Job
    home: str
    budgets: Mapping[str, int]
    loads: bool
    stores: bool
    plain: bool = False
    keeps: int | None = None
    code_budget_bytes: int | None = None
    in_turn: bool = False
    far: Mapping[str, str] = field(default_factory=dict[str, str])
    costs: dict[tuple[Job, int], Cost] = field(default_factory=dict[tuple[Job, int], "Cost"], repr=False)
    weights: dict[Hashable, int] = field(default_factory=dict[Hashable, int], repr=False)
    weighted: dict[Hashable, list[Tile]] = field(default_factory=dict[Hashable, list[Tile]], repr=False)

    @property
    def key(self) -> Hashable:
        """What the choice depends on, in one function and target."""
        return self.key_beside("")

    def key_beside(self, memory: str) -> Hashable:
        """What the choice depends on, beside the room in a memory."""
        budgets = tuple(sorted(each for each in self.budgets.items() if each[0] != memory))
        far, flags = tuple(sorted(self.far.items())), (self.loads, self.stores, self.plain, self.keeps, self.in_turn)
        return self.engine.name, self.job, budgets, far, flags, self.code_budget_bytes

    def sharing(self, other: Search) -> Search:
        """Return the search with what another one knows, which differs in the room in the home memory alone."""
        return replace(self, costs=other.costs, weights=other.weights, weighted=other.weighted)

    def best(self, objective: str = "latency") -> Choice | None:
        """Return the tiling of least latency, or the fastest of those of least energy or memory; None if none fits.

        Of tilings whose bounds do not tell them apart, only the first are compared (MOST_TILES).
        Energy is the engine's: what it draws while it works is what is known. Memory is what buffers take. Tilings of
        more code than there is room for are left out, unless all are: then those of least code count.
        """
        found = self.with_room_for_code(list(self.fitting()))
        if objective != "latency" and found:
            price = self.busy if objective == "energy" else self.buffer_bytes
            prices = [price(each) for each in found]
            found = [each for each, one in zip(found, prices) if one == min(prices)]
        bounded = ((self.bound(each), order, each) for order, each in enumerate(found))
        bounds = sorted(bounded, key=lambda each: each[:2])
        best: tuple[int, int, Tiling] | None = None
        seen = 0
        for bound, _, tiling in bounds:
            busy, most = self.busy(tiling), math.inf if best is None else best[0]
            if ALONE * bound + busy >= most or (best is not None and seen > MOST_TILES):
                continue
            seen += sum(times for _, times in tile_counts(self.job, tiling))
            cycles = self.cycles(tiling, enough=(most - busy) / ALONE)
            if ALONE * cycles + busy >= most:
                continue
            with_weights = cycles
            if self.fetches_weights:
                with_weights = self.cycles(tiling, has_weights=True, enough=most - ALONE * cycles)
            if ALONE * cycles + with_weights < most:
                best = (ALONE * cycles + with_weights, cycles, tiling)
        return None if best is None else Choice(self.with_buffers(best[2]), best[1], bounds[0][0])

    def busy(self, tiling: Tiling) -> int:
        """Return the cycles for which the engine works."""
        return sum(times * self.cost(tile, tiling).compute for tile, times in tile_counts(self.job, tiling))

    def buffer_bytes(self, tiling: Tiling) -> int:
        return sum(self.map_bytes(tiling).values())

    def with_room_for_code(self, found: list[Tiling]) -> list[Tiling]:
        """Return those tilings whose code is within its budget; if none's is, those of least code."""
        if self.code_budget_bytes is None or not found:
            return found
        sizes = [self.code_bytes(each) for each in found]
        most = max(self.code_budget_bytes, min(sizes))
        return [each for each, size in zip(found, sizes) if size <= most]

    def code_bytes(self, tiling: Tiling) -> int:
        """Return what the code of a layer's commands takes at most."""
        places, parts = self.written(tiling)
        copied = [len(self.loaded_inputs) * tiling.loads * len(self.load_path), tiling.stores * len(self.store_path)]
        copied.append(self.fetches_weights * len(self.weights_path))
        calls = 2 * parts + sum(each + 1 for each in copied if each)  # each with its wait
        return places * calls * self.soc.host.call_bytes

    def descriptor_bytes(self, tiling: Tiling) -> int:
        """Return what the descriptors of a layer's jobs take at most."""
        return math.prod(self.written(tiling)) * 4 * DESCRIPTOR_WORDS

    def written(self, tiling: Tiling) -> tuple[int, int]:
        """Return how many tiles of a layer have commands of their own at most, and how many launches each of these."""
        job, turns = self.job, tiling.buffers if tiling.loads or tiling.stores else 1
        weight_turns, ends = (2, 2 + 2 * WEIGHTS_AHEAD) if self.fetches_weights else (turns, 2)
        shapes = tile_shapes(self.job, tiling.outputs, tiling.rows, tiling.columns)
        outputs = written(shapes[0], max(turns, weight_turns), ends)
        if tiling.channels:
            summed = ((job.of_channels(c), n) for c, n in counted(job.channels, tiling.channels, 1))
            outputs *= written(summed, max(turns, weight_turns), ends)
        if not self.in_turn and self.can_be_in_turn(tiling):
            outputs = len(self.with_weights(tiling))  # each has buffers of its own: no two are alike
        rows, columns = (written(each, turns, 2) for each in shapes[1:])
        parts = len(tiling.launches(self.job.tile((0, tiling.outputs), *self.whole)[0]))
        if self.job.form is not None:
            parts *= max(len(launches.steps(self.engine, tile.job)) for tile in different(self.job, tiling))
        return outputs * rows * columns, written([("launch", parts)], 1, 2)

    def pinned(self, tiling: Tiling) -> Choice | None:
        """Return a given tiling with its prediction; None if the layer cannot have it."""
        if self.violation(tiling):
            return None
        return Choice(self.with_buffers(tiling), self.cycles(tiling), self.bound(tiling))

    def violation(self, tiling: Tiling) -> Violation | None:
        """Return what keeps the layer from having a given tiling; None if it can have it."""
        part = tiling.launch_outputs or tiling.outputs
        most = {"outputs": self.job.outputs, "rows": self.job.out_size[0], "columns": self.job.out_size[1]}
        for name, limit in (most | {"channels": self.job.channels - 1}).items():
            if getattr(tiling, name) > limit:
                return Violation(name, getattr(tiling, name), AtMost(limit))
        if tiling.channels and tiling.channels not in self.channel_sizes:
            return Violation("channels", tiling.channels, OneOf(tuple(self.channel_sizes)))
        if part > self.engine.most_outputs(self.job):
            return Violation("outputs of a launch", part, AtMost(self.engine.most_outputs(self.job)))
        for name, found, wanted, inside in (
            ("loads", tiling.loads, self.loads, self.engine.input.memory),
            ("stores", tiling.stores, self.stores, self.engine.output.memory),
        ):
            if found != wanted:
                return Violation(name, found, MapIn(wanted, self.home if wanted else inside))
        size = PartOf((tiling.outputs, tiling.rows, tiling.columns), tuple(most.values()))
        if not self.is_cut_where_dense(tiling.outputs, tiling.rows, tiling.columns):
            memories = dict.fromkeys((self.engine.input.memory, self.engine.output.memory))
            cut = f"only the outermost axis cut of a map that stays in {' or '.join(memories)}"
            return Violation("tile", size, Described(cut))
        if not self.is_cut_inside(tiling.rows, tiling.columns):
            return Violation("tile", size, Described("no cut along an axis that has more padding than kernel"))
        for memory, needed in self.map_bytes(tiling).items():
            if needed > self.budgets[memory]:
                return Violation("buffers", Bytes(needed), AtMost(Bytes(self.budgets[memory], memory=memory)))
        weights, room = self.weights_of_a_tile(tiling), self.room_for_weights(tiling)
        if weights > room:
            limit = AtMost(Bytes(room, memory=self.engine.weights.memory))
            return Violation(Subject.WEIGHT_BYTES, Bytes(weights), limit)
        return None

    def too_large(self) -> tuple[Violation, ...]:
        """Return the violation of a memory that the smallest tile does not fit; none if it fits all."""
        if self.fits_uncut():
            return ()
        smallest = self.smallest()
        if smallest is None:
            room = self.soc.memory(self.engine.weights.memory).size_bytes
            count = min(self.engine.output_step, self.job.outputs)
            weights = self.engine.weight_bytes(Tile.of(self.job, (0, count), *self.whole).job)
            limit = AtMost(Bytes(room, memory=self.engine.weights.memory))
            return (Violation(Subject.WEIGHT_BYTES, Bytes(weights, outputs=count), limit),)
        for memory, needed in self.needed_bytes(smallest).items():
            if needed > self.budgets[memory]:
                limit = AtMost(Bytes(self.budgets[memory], memory=memory))
                return (Violation(Subject.SMALLEST_TILE, Bytes(needed), limit),)
        return ()

    def fits_uncut(self) -> bool:
        """Say whether tiles of whole rows and columns fit each memory with all their buffers: then the smallest do."""
        height, width = self.job.out_size
        if self.job.form is not None or not self.output_sizes:
            return False
        outputs = self.output_sizes[-1]
        if not self.allows(outputs, height, width):
            return False
        needed = self.needed_bytes(Tiling(outputs, height, width, self.loads, self.stores))
        return sum(needed.values()) <= min((self.budgets[memory] for memory in needed), default=0)

    @property
    def whole(self) -> tuple[Range, Range]:
        """All rows and columns."""
        return (0, self.job.out_size[0]), (0, self.job.out_size[1])

    @cached_property
    def fetches_weights(self) -> bool:
        """Whether launches read weights, an addition has none, and not where the constants are."""
        has_weights = self.engine.weight_bytes(Tile.of(self.job, (0, 1), *self.whole).job) > 0
        return has_weights and self.engine.weights.memory != self.soc.constants_in

    def weights_of_a_tile(self, tiling: Tiling) -> int:
        """Return the bytes of the weights that the largest tile of a tiling has."""
        if not self.fetches_weights:
            return 0
        return max(self.weights_of(tile.job, tiling) for tile in different(self.job, tiling))

    def weights_of(self, job: Job, tiling: Tiling) -> int:
        """Return the bytes of the weights that are fetched for the launches of a tile: as many wherever it is."""
        if not self.fetches_weights:
            return 0
        key = (job if job.form else (job.outputs, job.channels), tiling.launch_outputs)
        if key not in self.weights:
            self.weights[key] = sum(map(self.engine.weight_bytes, self.launched(job, tiling)))
        return self.weights[key]

    @cached_property
    def channel_sizes(self) -> list[int]:
        """The input channels of a tile that sums can be added up of; 0: all, the only one where none can."""
        engine, job = self.engine, self.job
        step = engine.input_step if keeps_sums(engine) and not job.has_own_channels else 0
        if not step or ((self.keeps is not None or not self.loads) and input_layout(self.engine, job) != Layout.NCHW):
            return [0]  # channels of a map that lies whole there pixel by pixel are not dense
        sizes = {-(-size // step) * step for size in balanced(job.channels)}
        return [0, *sorted((size for size in sizes if size < job.channels), reverse=True)]

    def allows(self, outputs: int, rows: int, columns: int) -> bool:
        """Say whether tiles of these sizes can be cut out and run, whatever memory they take."""
        height, width = self.job.out_size
        return (
            1 <= outputs <= max(self.output_sizes, default=0)
            and 1 <= rows <= height
            and 1 <= columns <= width
            and self.is_cut_where_dense(outputs, rows, columns)
            and self.is_cut_inside(rows, columns)
            and (not is_driven(self.engine) or self.is_computed(self.engine, outputs, rows, columns))
        )

    def is_computed(self, engine: Driven, outputs: int, rows: int, columns: int) -> bool:
        """Say whether a driver computes each tile of these sizes."""
        tiles = counts_of_sizes(self.job, outputs, rows, columns)
        return all(engine.computes(tile.job) for tile, _ in tiles)

    def is_cut_inside(self, rows: int, columns: int) -> bool:
        """Say whether every tile reads some of the map: with more padding than kernel one could read only that."""
        (top, left, bottom, right), (height, width) = self.job.pads, self.job.kernel
        sizes, far = (rows, columns), (max(top, bottom) >= height, max(left, right) >= width)
        return not any(size < whole and beyond for size, whole, beyond in zip(sizes, self.job.out_size, far))

    def is_cut_where_dense(self, outputs: int, rows: int, columns: int) -> bool:
        """Say whether maps that lie whole in the engine's memory are cut along their outermost axis only."""
        height, width = self.job.out_size
        resident = self.resident_orders
        one_channel = self.job.has_own_channels and outputs == 1
        if self.job.layout == Layout.BLOCKED:
            return (rows, columns) == (height, width) and outputs == self.engine.most_outputs(self.job)
        in_pixels = not self.stores and self.job.layout != Layout.NCHW
        reads_own = self.job.has_own_channels or self.job.residual  # a part of an input has as many channels
        if reads_own and (self.keeps is not None or not self.loads):
            in_pixels = in_pixels or input_layout(self.engine, self.job) != Layout.NCHW
        return (
            (Layout.NCHW not in resident or one_channel or (rows, columns) == (height, width))
            and (not resident or columns == width)
            and (not in_pixels or outputs == self.job.outputs)
        )

    def fitting(self) -> Iterator[Tiling]:
        """Yield the tilings that the layer allows and whose buffers fit, fewest tiles first."""
        for k, r, c in self.sizes():
            several = k < self.job.outputs or (r, c) != self.job.out_size or len(self.channel_sizes) > 1
            for outputs_first in (True, False) if several else (True,):
                for buffers in (2, 1) if several and (self.loads or self.stores) else (1,):
                    tiling = Tiling(k, r, c, self.loads, self.stores, outputs_first, buffers)
                    for channels in self.channel_sizes:
                        cut = replace(tiling, channels=channels) if channels else tiling
                        if self.fits(cut):
                            yield cut

    def sizes(self) -> Iterator[tuple[int, int, int]]:
        """Yield the different sizes of tiles that can be cut out; that of the form, if the layer has one."""
        height, width = self.job.out_size
        if (form := self.job.form) is not None:
            yield from ((form.outputs, form.rows, width) for _ in range(self.allows(form.outputs, form.rows, width)))
            return
        for k in self.output_sizes:
            for r in balanced(height):
                yield from ((k, r, c) for c in balanced(width) if self.allows(k, r, c))

    @property
    def resident_orders(self) -> set[Layout]:
        """The layouts of the maps that lie whole in the engine's memory."""
        inputs = [input_layout(self.engine, self.job)] if self.keeps is not None or not self.loads else []
        return set(inputs) if self.stores else {*inputs, self.job.layout}

    @cached_property
    def output_sizes(self) -> list[int]:
        """The numbers of output channels of a tile that the engine takes; whole steps of its lanes, largest first."""
        step, limit = self.engine.output_step, min(self.engine.most_outputs(self.job), self.job.outputs)
        if limit < 1:
            return []
        if self.job.form is not None:
            return [limit]
        sizes = {min(-(-k // step) * step, self.job.outputs) for k in balanced(self.job.outputs)}
        return sorted((k for k in sizes if k <= limit), reverse=True) or [limit]

    def smallest(self) -> Tiling | None:
        """Return the tiling that takes least memory, one buffer for each map; None if there is no tiling at all.

        Of tiles with the same rows and columns those with the fewest channels take least.
        """
        height, width = self.job.out_size
        if self.job.form is not None:
            return next((Tiling(*each, self.loads, self.stores) for each in self.sizes()), None)
        pixels = [(r, c) for r in sorted({1, height}) for c in sorted({1, width})]
        fewest = {(r, c): [k for k in self.output_sizes if self.allows(k, r, c)][-1:] for r, c in pixels}
        found = [
            Tiling(k, r, c, self.loads, self.stores, channels=channels)
            for (r, c), sizes in fewest.items()
            for k in sizes
            for channels in {0, self.channel_sizes[-1]}
        ]
        return min(found, key=lambda each: sum(self.needed_bytes(each).values()), default=None)

    def fits(self, tiling: Tiling) -> bool:
        """Say whether the buffers of a tiling are within the budgets of their memories."""
        needed = self.needed_bytes(tiling)
        return all(needed[memory] <= budget for memory, budget in self.budgets.items())

    def needed_bytes(self, tiling: Tiling) -> Counter[str]:
        """Return what the buffers of a tiling take of each memory: those of maps, and of one tile's weights."""
        needed = self.map_bytes(tiling)
        if self.shares_memory and self.fetches_weights:  # else the launch's limit is all there is
            needed[self.engine.weights.memory] += aligned(self.weights_of_a_tile(tiling))
        if self.fetches_weights and len(self.weights_path) > 1:
            size_bytes = self.weights_on_the_way(tiling)
            for route in self.weights_path[:-1]:
                needed[route.target] += size_bytes
        return needed

    def weights_on_the_way(self, tiling: Tiling) -> int:
        """Return what weights take in a memory that they pass through: a tile's if each is fetched once, else all."""
        sizes = [aligned(self.weights_of(tile.job, tiling)) for tile in self.with_weights(tiling)]
        if self.fetches_once(tiling):
            return max(sizes) * (max(weights_in_turn(sizes), 1) if self.in_turn else 1)
        return sum(sizes)

    def map_bytes(self, tiling: Tiling) -> Counter[str]:
        """Return what the buffers of maps and sums take of each memory, beside maps there: the largest of each."""
        jobs = [tile.job for tile in different(self.job, tiling)]
        needed: Counter[str] = Counter()
        if tiling.loads:
            largest = sum(aligned(max(job.bytes_of_input(n) for job in jobs)) for n in self.loaded_inputs)
            needed[self.engine.input.memory] += largest * tiling.buffers
            for route in self.load_path[:-1]:
                needed[route.target] += largest * tiling.buffers
        if tiling.stores:
            largest = aligned(max(job.output_bytes for job in jobs))
            needed[self.engine.output.memory] += largest * tiling.buffers
            for route in self.store_path[1:]:
                needed[route.source] += largest * tiling.buffers
        if self.sums_memory:
            needed[self.sums_memory] += aligned(max(self.sums_of(job, tiling) for job in jobs))
        scratch = (sum(map(aligned, launches.scratch(self.engine, job).values())) for job in jobs)
        if most := max(scratch):
            needed[self.engine.input.memory] += most
        return needed

    @cached_property
    def sums_memory(self) -> str | None:
        """The memory where launches keep sums; None if they keep none."""
        keeps = sums_bytes(self.engine, Tile.of(self.job, (0, self.job.outputs), *self.whole).job)
        return operands(self.engine)["sums"].memory if keeps else None

    def sums_of(self, job: Job, tiling: Tiling) -> int:
        """Return the bytes of the sums of a tile's largest launch."""
        return max(sums_bytes(self.engine, part) for part in self.launched(job, tiling))

    def launched(self, job: Job, tiling: Tiling) -> list[Job]:
        """Return the launches of a tile as jobs, not lowered."""
        full = (0, job.out_size[0]), (0, job.out_size[1])
        return [job.tile(part, *full)[0] for part in tiling.launches(job)]

    @property
    def shares_memory(self) -> bool:
        """Whether weights are in a memory that maps are in too."""
        return self.engine.weights.memory in (self.engine.input.memory, self.engine.output.memory)

    def room_for_weights(self, tiling: Tiling) -> int:
        """Return what the buffers of maps leave of the memory that weights are in."""
        memory = self.engine.weights.memory
        return self.budgets[memory] - self.map_bytes(tiling)[memory]

    @cached_property
    def loaded_inputs(self) -> tuple[int, ...]:
        """Which inputs are loaded, if any is."""
        return tuple(number for number in range(self.job.inputs) if number != self.keeps)

    def bound(self, tiling: Tiling) -> int:
        """Return the larger of the engine's own time and each transfer engine's: what waits for nothing takes."""
        busy: Counter[str] = Counter()
        for tile, times in tile_counts(self.job, tiling):
            cost = self.cost(tile, tiling)
            busy[self.engine.name] += times * cost.compute
            if tiling.stores:
                self.occupy(busy, cost.store, times)
        for tile, times in self.loaded(tiling):
            for hops in self.cost(tile, tiling).loads:
                self.occupy(busy, hops, times)
        for part in self.with_weights(tiling):
            self.occupy(busy, self.cost(part, tiling).weights, 1)
        return max(busy.values())

    def occupy(self, busy: Counter[str], hops: Sequence[Hop], times: int) -> None:
        """Let transfer engines be busy for so many times these hops."""
        for hop in hops:
            busy[self.soc.dma(hop.route).name] += times * hop.cycles

    def loaded(self, tiling: Tiling) -> tuple[tuple[Tile, int], ...]:
        """Return the tiles whose input is loaded, and how often: not again where the tile before has read the same."""
        if not tiling.loads:
            return ()
        if not (self.job.has_own_channels or self.job.residual or tiling.channels) and (
            not tiling.outputs_first or (tiling.rows, tiling.columns) == self.job.out_size
        ):
            every = tile_counts(self.job, replace(tiling, outputs=self.job.outputs))
            first = (0, min(tiling.outputs, self.job.outputs))
            return tuple((Tile.of(self.job, first, tile.rows, tile.columns), times) for tile, times in every)
        return tile_counts(self.job, tiling)

    def with_weights(self, tiling: Tiling) -> list[Tile]:
        """Return a tile for all that share their weights, each once."""
        if self.job.form is not None:
            return list(tiles(self.job, tiling))
        key = tiling.outputs, tiling.channels
        if key not in self.weighted:
            every = [(k, c) for k in ranges(self.job.outputs, key[0]) for c in channel_ranges(self.job, key[1])]
            self.weighted[key] = [Tile.of(self.job, k, *self.whole, c) for k, c in every]
        return self.weighted[key]

    def keeps_weights(self, tiling: Tiling) -> bool:
        """Say whether the weights of all tiles fit the weight memory together, so that each is fetched once."""
        size = sum(aligned(self.weights_of(tile.job, tiling)) for tile in self.with_weights(tiling))
        return not tiling.blocking and size <= self.room_for_weights(tiling)

    def with_buffers(self, tiling: Tiling) -> Tiling:
        """Return a tiling that says how many buffers its weights go through, if they are fetched again, or are many."""
        if tiling.weight_buffers or not self.fetches_weights:
            return tiling
        if self.fetches_once(tiling):
            if not self.in_turn or not self.can_be_in_turn(tiling):
                return tiling
        elif self.keeps_weights(tiling):
            return tiling
        sizes = [aligned(self.weights_of(tile.job, tiling)) for tile in self.with_weights(tiling)] * 2
        two_fit = max(sizes[::2]) + max(sizes[1::2]) <= self.room_for_weights(tiling)
        return replace(tiling, weight_buffers=2 if two_fit else 1)

    def can_be_in_turn(self, tiling: Tiling) -> bool:
        """Say whether weights from a far memory are so many that they may go through a few buffers in turn."""
        is_far = self.fetches_weights and len(self.weights_path) > 1
        return is_far and self.fetches_once(tiling) and len(self.with_weights(tiling)) > MOST_OWN_BUFFERS

    def fetches_once(self, tiling: Tiling) -> bool:
        """Say whether no weights are fetched again because of the order of the tiles."""
        places = -(-self.job.out_size[0] // tiling.rows) * -(-self.job.out_size[1] // tiling.columns)
        one_place = tiling.outputs_first or tiling.outputs >= self.job.outputs or self.job.form is not None
        return places == 1 or (one_place and not tiling.channels)

    @cached_property
    def weights_path(self) -> tuple[Route, ...]:
        """The routes that weights take to the engine."""
        return self.soc.path(self.far.get("weights", self.soc.constants_in), self.engine.weights.memory)

    @cached_property
    def load_path(self) -> tuple[Route, ...]:
        """The routes that tiles of inputs take to the engine; of two from different memories, those of the far one."""
        return self.soc.path(self.far.get("input", self.home), self.engine.input.memory)

    @cached_property
    def store_path(self) -> tuple[Route, ...]:
        """The routes that tiles of what is made take from the engine."""
        return self.soc.path(self.engine.output.memory, self.far.get("output", self.home))

    def cost(self, tile: Tile, tiling: Tiling) -> Cost:
        """Return what the units take for a tile, each alone."""
        key = (tile.job, tiling.launch_outputs)
        if key not in self.costs:
            self.costs[key] = self.new_cost(tile.job, tiling)
        return self.costs[key]

    def new_cost(self, job: Job, tiling: Tiling) -> Cost:
        model, engine, whole = self.soc.figures, self.engine, self.job
        loads = [self.load(job, number) for number in self.loaded_inputs if number < job.inputs]
        store = pieces(job.outputs, whole.outputs, job.out_size, whole.out_size, job.layout)
        parts, weight_bytes = self.launched(job, tiling), self.weights_of(job, tiling)
        return Cost(
            launches=tuple(
                model.job_cycles(engine.name, step.job)
                for part in parts
                for step in launches.steps(engine, part, self.plain)
            ),
            loads=tuple(loads),
            store=() if job.keeps else Hop.chain(self.soc, self.store_path, store, len(self.store_path) - 1),
            weights=Hop.chain(self.soc, self.weights_path, (1, weight_bytes), 0) if weight_bytes else (),
            weight_bytes=weight_bytes,
        )

    def load(self, job: Job, number: int) -> tuple[Hop, ...]:
        """Return the transfers that bring one of the inputs of a tile."""
        (channels, size), whole = job.input_shape(number), self.job.input_shape(number)
        runs = pieces(channels, whole[0], size, whole[1], input_layout(self.engine, job))
        return Hop.chain(self.soc, self.load_path, runs, 0)

    def cycles(self, tiling: Tiling, has_weights: bool = False, enough: float = math.inf) -> int:
        """Predict the time of a layer, from its first command to the end of its last, other layers left out.

        has_weights: while these ran all weights of the layer have come. enough: a time that it does not matter by how
        much it is reached; the result is then what the layer takes at least.
        """
        run = Run(self, tiling, has_weights)
        all_tiles = list(tiles(self.job, tiling))
        run.bring_on_the_way(all_tiles[0])
        run.load(all_tiles[0])
        for tile in all_tiles[1:2]:
            run.bring_on_the_way(tile)
        left = self.busy(tiling)
        for number, tile in enumerate(all_tiles):
            run.launch(tile)
            left -= self.cost(tile, tiling).compute
            if run.time.free_at[self.engine.name] + left >= enough:
                return run.time.free_at[self.engine.name] + left
            if number + 1 < len(all_tiles):
                run.load(all_tiles[number + 1])
            if number + 2 < len(all_tiles):
                run.bring_on_the_way(all_tiles[number + 2])
        return run.finish()
