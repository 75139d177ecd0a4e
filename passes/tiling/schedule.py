"""The order in which the host gives commands, and where it waits.

Commands run in the background until they are waited for. Before one is given that would meet another in memory (one
of the two writes), or that needs an accelerator which is busy, the host waits for the other. Commands to one transfer
engine are done in their order and never meet. So what follows is right in any order that gives each task's copies
before its launch; which order is chosen decides how much overlaps:

    weights of the next tasks are fetched as soon as their memory has room, also for what runs before them, and nobody
    needs what is in their buffer,
    the next tile of the same layer is fetched while a tile is computed, from a far memory one tile earlier,
    results are copied out when the next tile has started, or before, if what it needs has no room beside them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from mlir import ir

from htvm.backend.targets.soc import Route, Soc
from htvm.dialects import accel

from ..analysis import activations, layout
from ..analysis.tiling import WEIGHTS_AHEAD
from .tile_commands import Chain, Copy, Launch, Task

WEIGHTS_ON_THE_WAY = 32
"""For how many of the next tasks with weights these come from a far memory, as far as there is room on their way."""


@dataclass(frozen=True)
class Work:
    """A layer that the host runs, or a copy of a whole map, with what it touches."""

    op: accel.Layer
    reads: frozenset[ir.Value]
    writes: frozenset[ir.Value]
    copy: Copy | None = None


Item = Task | Work


@dataclass(frozen=True, eq=False)
class Given:
    """A command that a unit is given, for a layer. place: how many the unit was given before."""

    unit: str
    place: int
    command: Copy | Launch
    layer: accel.Layer


@dataclass(frozen=True)
class Wait:
    """A wait for a command of a unit, `behind` others that it was given since, and so for all that came before."""

    unit: str
    behind: int
    layer: accel.Layer


Entry = Given | Wait | Work


@dataclass
class Trace:
    """What the host does, in order, while it runs a layer: that of a task, or one of its own."""

    item: Item
    entries: list[Entry] = field(default_factory=list[Entry])


@dataclass(eq=False)
class Pending:
    """A command that nobody has waited for yet. item: the number of the item that it belongs to."""

    given: Given
    reads: frozenset[ir.Value]
    writes: frozenset[ir.Value]
    item: int

    @property
    def unit(self) -> str:
        return self.given.unit

    def meets(self, reads: Iterable[ir.Value], writes: Iterable[ir.Value]) -> bool:
        return not self.writes.isdisjoint(reads) or any(
            not touched.isdisjoint(writes) for touched in (self.reads, self.writes)
        )


@dataclass
class Schedule:
    """The commands of a function while they are decided.

    traces: what they are so far, step by step. counts: how many commands each unit was given. rooms: the bytes that
    buffers and maps may take of each memory. ahead: the part of one that what is fetched ahead may fill; all, where
    none is given. unsent: what still has to be copied out, with the number of its item. brought: copies that were
    given.
    """

    soc: Soc
    items: Sequence[Item]
    rooms: Mapping[str, int]
    ahead: Mapping[str, float] = field(default_factory=dict[str, float])
    pending: list[Pending] = field(default_factory=list[Pending])
    held: dict[ir.Value, int] = field(default_factory=dict[ir.Value, int])
    brought: set[Copy] = field(default_factory=set[Copy])
    begun: set[ir.Value] = field(default_factory=set[ir.Value])
    traces: list[Trace] = field(default_factory=list[Trace])
    counts: Counter[str] = field(default_factory=Counter[str])
    unsent: list[tuple[int, Task, Chain]] = field(default_factory=list[tuple[int, Task, Chain]])
    number: int = 0

    def __post_init__(self) -> None:
        layers = [item.layer if isinstance(item, Task) else item.op for item in self.items]
        self.first_of = [0] * len(layers)  # the number of the first item of the layer of each item
        for number in range(1, len(layers)):
            self.first_of[number] = self.first_of[number - 1] if layers[number] == layers[number - 1] else number
        # The items that have weights, with the copies that bring them.
        self.weighted: list[tuple[int, Task, Chain]] = [
            (number, item, item.weights)
            for number, item in enumerate(self.items)
            if isinstance(item, Task) and item.weights
        ]
        self.last_touch = {value: n for n, item in enumerate(self.items) for value in touched_by(item)}
        self.readers: dict[ir.Value, list[int]] = {}  # the numbers of the tasks that work on a buffer
        for number, item in enumerate(self.items):
            for value in item.reads if isinstance(item, Task) else ():
                self.readers.setdefault(value, []).append(number)
        self.reserved = reserved_bytes(self.items, self.first_of)

    def run(self) -> list[Trace]:
        """Return all commands and waits, step by step.

        A step begins with a layer of the host, or with the first launch of one on an accelerator; what comes before the
        first belongs to that.
        """
        before = Trace(self.items[0])
        self.traces = [before]
        for number, item in enumerate(self.items):
            self.number = number
            if isinstance(item, Task):
                self.tile(item)
            else:
                self.work(item)
        self.send_all()
        while self.pending:
            self.wait(self.pending[0])
        if len(self.traces) > 1:
            self.traces[1].entries[:0] = before.entries
            del self.traces[0]
        return self.traces

    # Items

    def work(self, item: Work) -> None:
        """Let the host run a layer, or copy a whole map."""
        self.send_all()
        if item.copy is not None:
            self.hold(touched_by(item))
            self.copy(item.copy, self.number, item.op)
            return
        self.fetch_ahead()
        self.wait_for_memory(item.reads, item.writes)
        self.hold(touched_by(item))
        self.traces.append(Trace(item, [item]))

    def tile(self, task: Task) -> None:
        """Run a tile: fetch what is missing, launch, send away what the tile before has made, fetch ahead."""
        blocking = task.tiling.blocking
        if not blocking:
            self.wait_for_old()
        if any(copy.reads in task.writes for copy in self.unsent_copies()):
            self.send_all()
        self.bring(self.number, task, task.weights)
        self.load(self.number, task)
        self.bring_on_the_way(self.number + 1)
        self.fetch_ahead()
        for launch in task.launches:
            self.hold([*task.reads, *task.writes])
            self.wait_for(pending for pending in list(self.pending) if pending.unit == task.engine.name)
            self.wait_for_memory(task.reads, task.writes)
            if accel.output(task.layer) not in self.begun:
                self.begun.add(accel.output(task.layer))
                self.traces.append(Trace(task))
            self.give(launch, task.engine.name, task.reads, task.writes, self.number, task.layer)
        self.send_next()
        self.unsent += [(self.number, task, chain) for chain in task.stores]
        if blocking:
            self.send_all()
            self.wait_for(list(self.pending))
            return
        self.fetch_ahead()
        self.load_ahead()
        self.bring_on_the_way(self.number + 2)

    # Copies

    def fetch_ahead(self) -> None:
        """Fetch the weights of the next tasks that have some, as far as their memory has room without a wait."""
        start = bisect_left(self.weighted, self.number, key=lambda each: each[0])
        for number, task, chain in self.weighted[start : start + WEIGHTS_AHEAD + 1]:
            if task.tiling.blocking or not self.may_bring(number, chain):
                break
            self.bring(number, task, chain)
        for number, task, chain in self.weighted[start : start + WEIGHTS_ON_THE_WAY]:
            for copy in chain[:-1]:
                if task.tiling.blocking or not self.may_bring(number, (copy,)):
                    return
                self.bring(number, task, (copy,))

    def may_bring(self, number: int, chain: Chain) -> bool:
        """Say whether what a task needs can be copied now, without a wait; if so its room is taken from now on."""
        places = [copy.writes for copy in chain if copy not in self.brought]
        if not all(self.is_free(place, number) for place in places):
            return False
        for place in places:
            self.reserve(place, number)
        return True

    def is_free(self, place: ir.Value, number: int) -> bool:
        """Say whether a buffer of item `number` has room now, and until then beside all that runs."""
        return not self.is_needed(place, number) and self.has_room(place) and self.leaves_room(place, number)

    def is_needed(self, buffer: ir.Value, number: int) -> bool:
        """Say whether a task before `number` works on a buffer, which other weights must not reach before."""
        readers = self.readers.get(buffer, [])
        next_reader = bisect_left(readers, self.number)
        return next_reader < len(readers) and readers[next_reader] < number

    def bring(self, number: int, task: Task, chain: Sequence[Copy]) -> None:
        """Give those copies of a chain that a task needs and that have not been given."""
        for copy in chain:
            if copy in self.brought:
                continue
            self.brought.add(copy)
            if any(copy.reads == store.writes for store in self.unsent_copies()):
                self.send_all()
            self.hold([copy.writes])
            self.copy(copy, number, task.layer)
            if task.tiling.blocking:
                self.wait_for(list(self.pending))

    def load_ahead(self) -> None:
        """Fetch the input of the next tile, if it is of the same layer and has a buffer of its own."""
        following = self.following(self.number + 1)
        if following is not None and following.tiling.buffers > 1:
            self.load(self.number + 1, following)

    def load(self, number: int, task: Task) -> None:
        """Fetch the input of a task, if it has not been fetched."""
        for chain in task.loads:
            self.bring(number, task, chain)

    def bring_on_the_way(self, number: int) -> None:
        """Bring the input of a tile that is soon to come as far as the last memory before the engine's.

        The tile before has left the buffers there if its input is on its last way.
        """
        before, following = self.following(number - 1), self.following(number)
        if before is None or any(chain[-1] not in self.brought for chain in before.loads):
            return
        if following is not None and not following.tiling.blocking:
            for chain in following.loads:
                self.bring(number, following, chain[:-1])

    def following(self, number: int) -> Task | None:
        """Return the item with a number, if it is a tile of the layer that is running; else None."""
        item, now = self.items[number] if number < len(self.items) else None, self.items[self.number]
        if isinstance(item, Task) and isinstance(now, Task) and item.layer == now.layer:
            return item
        return None

    def unsent_copies(self) -> Iterator[Copy]:
        """Yield the copies of results that are still to be given."""
        return (copy for _, _, chain in self.unsent for copy in chain)

    def send_next(self) -> None:
        """Give the next copy of each result that is still to be sent away."""
        for unsent in list(self.unsent):
            number, task, (copy, *rest) = unsent
            self.hold([copy.writes])
            place = next((place for place, each in enumerate(self.unsent) if each is unsent), None)
            if place is not None:  # else it had to be sent for room
                self.copy(copy, number, task.layer)
                self.unsent[place : place + 1] = [(number, task, tuple(rest))] if rest else []

    def send_all(self) -> None:
        """Give all copies of results that are still to be given."""
        while self.unsent:
            self.send_next()

    def copy(self, copy: Copy, number: int, layer: accel.Layer) -> None:
        dma = self.soc.dma(Route(layout.memory_of(copy.reads.type), layout.memory_of(copy.writes.type)))
        reads, writes = activations_of([copy.reads]), activations_of([copy.writes])
        self.wait_for_memory(reads, writes, dma.name)
        self.give(copy, dma.name, reads, writes, number, layer)

    # Waits

    def give(
        self,
        command: Copy | Launch,
        unit: str,
        reads: frozenset[ir.Value],
        writes: frozenset[ir.Value],
        item: int,
        layer: accel.Layer,
    ) -> None:
        given = Given(unit, self.counts[unit], command, layer)
        self.counts[unit] += 1
        self.traces[-1].entries.append(given)
        self.pending.append(Pending(given, reads, writes, item))

    def wait_for_memory(self, reads: Iterable[ir.Value], writes: Iterable[ir.Value], unit: str = "") -> None:
        """Wait for the commands of other units that would meet a command in memory."""
        self.wait_for(each for each in list(self.pending) if each.unit != unit and each.meets(reads, writes))

    def wait_for_old(self) -> None:
        """Wait for what is left of layers before the last one, so that its memory is free."""
        start = self.first_of[max(self.first_of[self.number] - 1, 0)]
        self.wait_for(each for each in list(self.pending) if each.item < start)

    def wait_for(self, commands: Iterable[Pending]) -> None:
        """Wait for commands, the last first: those before it have ended then."""
        for each in reversed(list(commands)):
            if each in self.pending:
                self.wait(each)

    def wait(self, command: Pending) -> None:
        """Wait for a command; those that its unit was given before have ended with it."""
        given = command.given
        self.traces[-1].entries.append(Wait(given.unit, self.counts[given.unit] - 1 - given.place, given.layer))
        index = self.pending.index(command)
        self.pending[: index + 1] = [each for each in self.pending[:index] if each.unit != given.unit]

    # Memory

    def hold(self, values: Iterable[ir.Value]) -> None:
        """Take room for buffers that are used from now on, waiting for others to be free if need be."""
        for value in values:
            if value in self.held or activations.is_argument(value) or activations.is_constant(value):
                continue
            memory = layout.memory_of(value.type)
            while not self.has_room(value):
                if any(layout.memory_of(each.reads.type) == memory for each in self.unsent_copies()):
                    self.send_all()
                blocking = [each for each in self.pending if each.item < self.number or self.is_over(each)]
                same = [each for each in blocking if self.is_in(each, memory)]
                if not same:
                    break  # the plan of the memory will say what is too much
                self.wait(same[0])
            self.held[value] = layout.aligned(layout.size_bytes(value.type))

    def leaves_room(self, value: ir.Value, number: int) -> bool:
        """Say whether all that runs before item `number` leaves room for a buffer."""
        if value in self.held:
            return True
        memory, size = layout.memory_of(value.type), layout.aligned(layout.size_bytes(value.type))
        used = self.reserved[memory][self.number : number].max(initial=0)
        return bool(used + size <= self.ahead.get(memory, 1.0) * self.rooms[memory])

    def reserve(self, value: ir.Value, number: int) -> None:
        """Take room for a buffer before item `number`, from now on."""
        if value not in self.held:
            there = self.reserved[layout.memory_of(value.type)]
            there[self.number : number] += layout.aligned(layout.size_bytes(value.type))

    def is_over(self, command: Pending) -> bool:
        return any(self.last_touch.get(value, -1) < self.number for value in (*command.reads, *command.writes))

    def is_in(self, command: Pending, memory: str) -> bool:
        return any(layout.memory_of(value.type) == memory for value in (*command.reads, *command.writes))

    def has_room(self, value: ir.Value) -> bool:
        """Say whether a buffer fits beside those in use."""
        if value in self.held:
            return True
        busy = {touched for each in self.pending for touched in (*each.reads, *each.writes)}
        busy |= {copy.reads for copy in self.unsent_copies()}
        for over in [each for each in self.held if self.last_touch[each] < self.number and each not in busy]:
            del self.held[over]
        memory = layout.memory_of(value.type)
        used = sum(size for each, size in self.held.items() if layout.memory_of(each.type) == memory)
        return used + layout.aligned(layout.size_bytes(value.type)) <= self.rooms[memory]


def reserved_bytes(items: Sequence[Item], first_of: Sequence[int]) -> dict[str, np.ndarray]:
    """Return what is in use of each memory, int64[items], while each runs: buffers, maps, weights not fetched ahead.

    Buffers of a layer's maps are from its first item to behind its last: they are filled early and emptied late.
    """
    spans: dict[ir.Value, tuple[int, int]] = {}
    for number, item in enumerate(items):
        chains = (item.loads, item.stores) if isinstance(item, Task) else ((), ())
        early = {copy.writes for chain in chains[0] for copy in chain}
        late = {copy.reads for chain in chains[1] for copy in chain}
        for value in touched_by(item):
            first = first_of[number] if value in early or value in late else number
            last = number + (value in late)
            before = spans.get(value, (first, last))
            spans[value] = min(before[0], first), max(before[1], last)
    steps: dict[str, list[int]] = {}
    for value, (first, last) in spans.items():
        if not activations.is_argument(value) and not activations.is_constant(value):
            changes = steps.setdefault(layout.memory_of(value.type), [0] * (len(items) + 2))
            size = layout.aligned(layout.size_bytes(value.type))
            changes[first] += size
            changes[last + 1] -= size
    return {memory: np.cumsum(changes) for memory, changes in steps.items()}


def touched_by(item: Item) -> list[ir.Value]:
    """Return the buffers and maps that an item touches, copies included."""
    if isinstance(item, Work):
        return [*item.reads, *item.writes]
    copies = [copy for chain in (item.weights, *item.loads, *item.stores) for copy in chain]
    return [*item.reads, *item.writes, *(value for copy in copies for value in (copy.reads, copy.writes))]


def activations_of(values: Iterable[ir.Value]) -> frozenset[ir.Value]:
    return frozenset(value for value in values if not activations.is_constant(value))
