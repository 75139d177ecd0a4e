"""Which layers' tiles flow through several units together, and how many tiles has each?

Layers that follow each other on accelerators and whose maps stay in their memory need not run one after the other: as
soon as a tile of a map is there, the next layer's tile that reads it can run, on another engine at the same time. For
that maps are cut along their outermost axis (rows, where channels lie innermost), into about as many tiles each as
cuts a group best; a cut costs the host's commands, and takes effect where the layers before and behind have it too.
With more effort the layers are gone through again, and each gets the number of tiles that is best beside the others.

An order of tiles is predicted with the engines' own times (interleaving.py). A group is taken where this gains
LEAST_GAIN, and its maps, buffers and weights fit their memories in the order that was found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mlir import ir

from htvm.backend.targets.jobs import Layout, Range
from htvm.backend.targets.soc import Soc

from . import layout
from .interleaving import Order, Role, TileWork, Transfer, in_turn, interleaved
from .placement import pixels_are_channels
from .residency import SLACK, Placed, Residency
from .tile_timeline import Hop
from .tiles import Tile, Tiling, input_layout, tiles
from .tiling import Choice, Search

LEAST_GAIN = 0.02
"""The part of its cycles that a group must save: what is predicted is not exact."""

COUNTS = (2, 4, 8, 16)
"""The numbers of tiles that are tried for all maps of a group."""

OWN_COUNTS = (1, 2, 3, 4, 5, 6, 8, 11, 16)
"""The numbers of tiles that are tried for one layer beside the others."""


@dataclass(frozen=True)
class Member:
    """A layer of a group. search: its tilings. choice: what it has by itself. is_pinned: and must keep."""

    one: Placed
    search: Search
    choice: Choice
    is_pinned: bool

    def cut(self, count: int) -> Tiling:
        """Return its tiling with about so many tiles along the rows; its own where that is not possible."""
        own, height = self.choice.tiling, self.one.job.out_size[0]
        if self.is_pinned or own.rows < height or count == 1:
            return own
        buffers = 2 if own.loads or own.stores else 1
        cut = replace(own, rows=-(-height // count), buffers=buffers)
        if self.one.job.form is not None or not self.search.allows(cut.outputs, cut.rows, cut.columns):
            return own
        cut = self.search.with_buffers(cut)
        return cut if self.search.fits(cut) and not cut.weight_buffers else own


@dataclass
class Flow:
    """The groups of a function, whose layers have been tiled one by one.

    rounds: how often the layers of a group are gone through, each to get a number of tiles of its own.
    """

    residency: Residency
    choices: Mapping[ir.Value, Choice]
    rounds: int = 0
    tiles_of: dict[tuple[ir.Value, Tiling], list[Tile]] = field(
        default_factory=dict[tuple[ir.Value, Tiling], "list[Tile]"]
    )

    @property
    def soc(self) -> Soc:
        return self.residency.soc

    def tilings(self) -> dict[ir.Value, Tiling]:
        """Return the tilings of the layers that are in groups, by their results."""
        found: dict[ir.Value, Tiling] = {}
        if self.residency.mapping != "default" or self.residency.objective != "latency":
            return found
        for number, members in enumerate(self.runs(), 1):
            for output, tiling in self.group(members).items():
                found[output] = replace(tiling, group=number)
        return found

    def runs(self) -> Iterator[list[Member]]:
        """Yield layers in a row, on several accelerators, none of which loads a map that another of them makes."""
        run: list[Member] = []
        for one in self.residency.placed:
            made = {each.one.output for each in run}
            is_free = self.is_free(one)
            outside = {value for value in one.inputs if value not in self.residency.resident}
            if run and (one.number != run[-1].one.number + 1 or outside & made or not is_free):
                yield from self.on_several(run)
                run = []
            if is_free:
                search, pin = self.residency.search(one, self.residency.left(one)), self.residency.pin(one)
                run.append(Member(one, search, self.choices[one.output], pin is not None))
        yield from self.on_several(run)

    def on_several(self, run: list[Member]) -> Iterator[list[Member]]:
        if len({member.one.engine.name for member in run}) > 1:
            yield run

    def is_free(self, one: Placed) -> bool:
        """Say whether a layer may be launched in another order: nothing of it is far, and no plan says otherwise."""
        has_far, pin = self.residency.far and self.residency.far_operands(one), self.residency.pin(one)
        is_open = pin is None or pin.group > 0
        return not has_far and is_open and not self.choices[one.output].tiling.blocking

    def group(self, members: list[Member]) -> dict[ir.Value, Tiling]:
        """Return the tilings of the layers of a run that gain by being run together, by their results."""
        own = [member.choice.tiling for member in members]
        cycles = in_turn(self.works(members, own)).cycles
        best, order = own, self.order(members, own)
        for count in COUNTS:
            best, order = self.better(members, best, order, [member.cut(count) for member in members])
        for _ in range(self.rounds if order is not None else 0):
            before = best
            for line, member in enumerate(members):
                for cut in dict.fromkeys(member.cut(count) for count in OWN_COUNTS):
                    best, order = self.better(members, best, order, [*best[:line], cut, *best[line + 1 :]])
            if best == before:
                break
        if order is None or order.cycles > (1 - LEAST_GAIN) * cycles:
            return {}
        return {member.one.output: tiling for member, tiling in zip(members, best, strict=True)}

    def better(
        self, members: list[Member], best: list[Tiling], order: Order | None, other: list[Tiling]
    ) -> tuple[list[Tiling], Order | None]:
        """Return the better of two tilings of a run, and its order; None if the first does not fit."""
        found = self.order(members, other) if other != best else None
        if found is None or (order is not None and order.cycles <= found.cycles):
            return best, order
        return other, found

    def order(self, members: list[Member], tilings: list[Tiling]) -> Order | None:
        """Return the order in which tiles are launched; None if what is needed meanwhile does not fit."""
        works = self.works(members, tilings)
        orders = (interleaved(works, rooms) for rooms in ({}, rooms_for_weights(self.soc)))
        return next((order for order in orders if self.fits(members, tilings, works, order)), None)

    # Work

    def works(self, members: list[Member], tilings: list[Tiling]) -> list[TileWork]:
        """Return the tiles of layers, one layer after the other, with what they need of each other."""
        host, found = self.soc.host, list[TileWork]()
        made: dict[ir.Value, tuple[Member, list[Tile], int]] = {}
        for layer, (member, tiling) in enumerate(zip(members, tilings, strict=True)):
            every, first = self.every_tile(member, tiling), len(found)
            weights: dict[tuple[Range, ...], int] = {}
            source: tuple[Range, ...] | None = None
            for tile in every:
                cost = member.search.cost(tile, tiling)
                needs = {
                    number
                    for value in member.one.inputs
                    if value in made
                    for number in needed(value, member, tile, *made[value])
                }
                cycles = cost.compute + len(cost.launches) * (
                    self.soc.launch_cycles(member.one.engine.name) + host.wait_cycles
                )
                fetch = [cost.weights] if tile.weights not in weights else []
                loads = cost.loads if tiling.loads and tile.source != source else ()
                if fetch and cost.weights:
                    weights[tile.weights] = len(found)
                source = tile.source
                found.append(
                    TileWork(
                        layer,
                        member.one.engine.name,
                        cycles,
                        tuple(sorted(needs)),
                        self.transfer(fetch, layout.aligned(cost.weight_bytes)),
                        self.transfer(loads),
                        tiling.buffers,
                        weights.get(tile.weights),
                    )
                )
            made[member.one.output] = member, every, first
        return found

    def transfer(self, brought: Sequence[Sequence[Hop]], size_bytes: int = 0) -> Transfer | None:
        """Return what brings some things, each on its only hop; None where there is none."""
        hops = [each[0] for each in brought if each]
        if not hops:
            return None
        route = hops[0].route
        return Transfer(self.soc.dma(route).name, sum(hop.cycles for hop in hops), route.target, size_bytes)

    def every_tile(self, member: Member, tiling: Tiling) -> list[Tile]:
        key = member.one.output, tiling
        if key not in self.tiles_of:
            self.tiles_of[key] = list(tiles(member.one.job, tiling))
        return self.tiles_of[key]

    # Memory

    def fits(self, members: list[Member], tilings: list[Tiling], works: Sequence[TileWork], order: Order) -> bool:
        """Say whether the memories have room for all that is needed at once; a part is kept for gaps of lifetimes."""
        spans: dict[int, Range] = {}
        uses: dict[int, Range] = {}
        for place, given in enumerate(order.sequence):
            work = works[given.tile]
            if given.role != Role.WEIGHTS:
                spans[work.layer] = spans.get(work.layer, (place, place))[0], place
            tile = given.tile if given.role == Role.WEIGHTS else work.weights_of
            if tile is not None:
                uses[tile] = uses.get(tile, (place, place))[0], place
        changes: dict[str, Counter[int]] = {}
        weights = ((works[tile].weights, span) for tile, span in uses.items())
        brought = [(each.memory, each.size_bytes, *span) for each, span in weights if each is not None]
        for memory, size_bytes, first, last in (*self.needed(members, tilings, spans), *brought):
            at = changes.setdefault(memory, Counter())
            at[first] += layout.aligned(size_bytes)
            at[last + 1] -= layout.aligned(size_bytes)
        for memory, at in changes.items():
            room = self.soc.memory(memory).size_bytes
            used = most = 0
            for place in sorted(at):
                used += at[place]
                most = max(most, used)
            if most > room - room // SLACK:
                return False
        return True

    def needed(
        self,
        members: list[Member],
        tilings: list[Tiling],
        spans: Mapping[int, Range],
    ) -> Iterator[tuple[str, int, int, int]]:
        """Yield what is needed by maps and buffers: memory, bytes, from which place in the order to which.

        spans: from where to where a layer has tiles.
        """
        end = max(last for _, last in spans.values())
        line_of = {member.one.number: line for line, member in enumerate(members)}
        begin, stop = members[0].one.number, members[-1].one.number
        for value in self.residency.resident:
            first, last, memory = self.residency.lives[value]
            if last < begin or first > stop:
                continue
            readers = [spans[line][1] for line, member in enumerate(members) if value in member.one.inputs]
            is_made = first in line_of
            yield (
                memory,
                layout.size_bytes(value.type),
                spans[line_of[first]][0] if is_made else 0,
                end if last > stop else max([*readers, spans[line_of[first]][1] if is_made else 0]),
            )
        for line, (member, tiling) in enumerate(zip(members, tilings, strict=True)):
            for memory, size_bytes in member.search.map_bytes(tiling).items():
                yield memory, size_bytes, *spans[line]


def rooms_for_weights(soc: Soc) -> dict[str, int]:
    """Return the bytes that a group's weights may take of memories that have nothing else; a part is kept for gaps."""
    maps = {operand.memory for engine in soc.accelerators for operand in (engine.input, engine.output)}
    names = {engine.weights.memory for engine in soc.accelerators} - maps
    return {name: soc.memory(name).size_bytes * (SLACK - 1) // SLACK for name in names}


def needed(
    value: ir.Value, reader: Member, tile: Tile, maker: Member, made: Sequence[Tile], first: int
) -> Iterator[int]:
    """Yield the numbers of the tiles of a map that a tile reads, the first tile of the map having number `first`."""
    is_whole = not all(has_plain_axes(member) for member in (reader, maker))
    read = list(reader.one.layer.operation.operands)[: tile.job.inputs]
    parts = [tile.part(number) for number, each in enumerate(read) if each == value]
    for number, part in enumerate(made, first):
        if is_whole or any(meet(rows, part.rows) and meet(columns, part.columns) for _, rows, columns in parts):
            yield number


def has_plain_axes(member: Member) -> bool:
    """Say whether the rows of a layer's job are those of its maps."""
    job = member.one.job
    is_blocked = Layout.BLOCKED in (job.layout, input_layout(member.one.engine, job))
    return job.form is None and not is_blocked and not pixels_are_channels(member.one.layer, job)


def meet(one: Range, other: Range) -> bool:
    return one[0] < other[1] and other[0] < one[1]
