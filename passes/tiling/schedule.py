"""The order in which the host gives commands, and where it waits.

Commands run in the background until they are waited for. Before one is given that would meet another in memory (one
of the two writes), or that needs an accelerator which holds as many jobs as it can, the host waits for the other.
Commands to one unit are done in their order and never meet. So what follows is right in any order that gives each
task's copies before its launch; which order is chosen decides how much overlaps:

    weights of the next tasks are fetched as soon as their memory has room, also for what runs before them, and nobody
    needs what is in their buffer; those of later tasks too while the transfer engine has nothing else to do,
    from far memories they come to the host's as early as there is room, but only while the bus has nothing else to do:
    about when that is, a timeline says,
    the next tile of the same layer is fetched while a tile is computed, from a far memory one tile earlier,
    results are copied out when the next tile has started, or before, if what it needs has no room beside them.

Tiles of a layer of the host come and go in the same way: the next one is fetched while the host computes one.

Tiles of a group (groups.py) come in an order of their own, in which weights and inputs are items as well. There two
commands meet only if they touch the same elements of a map, and results leave when their engine has a new tile.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mlir import ir

from htvm.backend.targets.soc import HOST, Accelerator, Dma, Soc, queue_depth
from htvm.dialects import accel

from ..analysis import activations, layout
from ..analysis.tiling import WEIGHTS_AHEAD
from ..analysis.timeline import Timeline
from .items import (
    Chain,
    Copy,
    Extents,
    Fetch,
    Given,
    Item,
    Launch,
    Pending,
    Task,
    Trace,
    Wait,
    Work,
    activations_of,
    group_of,
    layer_of,
    reserved_bytes,
    touched_by,
)


@dataclass(frozen=True)
class Ahead:
    """How much is fetched ahead into a memory: the part of it that is filled, the tasks whose weights may come while
    their transfer engine has nothing else to do.
    """

    part: float = 1.0
    idle_tasks: int = 0


@dataclass
class Schedule:
    """The commands of a function while they are decided.

    traces: what they are so far, step by step. counts: how many commands each unit was given. rooms: the bytes that
    buffers and maps may take of each memory. ahead: how much is fetched ahead into them; Ahead() where none is given.
    waits_between: a layer begins when all that was given before has ended: where its tiles are loops, their buffers are
    needed from the first on, beside what is on its way then.
    unsent: what still has to be copied out, with the number of its item. brought: copies that were given. nearing: the
    first of the tasks with weights whose weights may still have to be brought from a far memory.
    """

    soc: Soc
    items: Sequence[Item]
    rooms: Mapping[str, int]
    ahead: Mapping[str, Ahead] = field(default_factory=dict[str, Ahead])
    waits_between: bool = False
    pending: list[Pending] = field(default_factory=list[Pending])
    held: dict[ir.Value, int] = field(default_factory=dict[ir.Value, int])
    brought: set[Copy] = field(default_factory=set[Copy])
    begun: set[ir.Value] = field(default_factory=set[ir.Value])
    traces: list[Trace] = field(default_factory=list[Trace])
    counts: Counter[str] = field(default_factory=Counter[str])
    unsent: list[tuple[int, Task | Work, Chain]] = field(default_factory=list["tuple[int, Task | Work, Chain]"])
    number: int = 0
    nearing: int = 0

    def __post_init__(self) -> None:
        layers = [layer_of(item) for item in self.items]
        together = [group_of(item) or layer for item, layer in zip(self.items, layers)]
        self.first_of = [0] * len(layers)  # the number of the first item of the layer of each item, or of its group
        for number in range(1, len(layers)):
            self.first_of[number] = self.first_of[number - 1] if together[number] == together[number - 1] else number
        self.next_of: dict[int, int] = {}  # the number of the next item of the same layer, in one group
        last: dict[accel.Layer, int] = {}
        for number, layer in enumerate(layers):
            if isinstance(self.items[number], Fetch):
                continue
            if layer in last:
                self.next_of[last[layer]] = number
            last[layer] = number
        # The items that have weights, with the copies that bring them.
        self.weighted: list[tuple[int, Task, Chain]] = [
            (number, item, item.weights)
            for number, item in enumerate(self.items)
            if isinstance(item, Task) and item.weights
        ]
        self.last_touch = {value: n for n, item in enumerate(self.items) for value in touched_by(item)}
        self.readers: dict[ir.Value, list[int]] = {}  # of tasks that work on a buffer, or fetch weights there
        for number, item in enumerate(self.items):
            for value in (*item.reads, *(copy.reads for copy in item.weights)) if isinstance(item, Task) else ():
                self.readers.setdefault(value, []).append(number)
        self.reserved = reserved_bytes(self.items, self.first_of)
        self.time = Timeline(self.soc)

    def run(self) -> list[Trace]:
        """Return all commands and waits, step by step.

        A step begins with a layer of the host, or with the first launch of one on an accelerator; what comes before the
        first belongs to that.
        """
        first = self.items[0]
        before = Trace(first.task if isinstance(first, Fetch) else first)
        self.traces = [before]
        for number, item in enumerate(self.items):
            self.number = number
            match item:
                case Task():
                    self.tile(item)
                case Fetch():
                    for chain in item.chains:
                        self.bring(number, item.task, chain)
                case Work():
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
        self.load(self.number, item)
        self.load_ahead()
        self.fetch_ahead()
        self.wait_for_memory(item.reads, item.writes)
        self.hold(touched_by(item))
        cycles = self.soc.engine(HOST).cycles(item.op, self.soc.cost_model)
        self.bring_from_far(self.time.now + cycles, waits=False)
        self.fetch_while_idle(self.time.now + cycles, waits=False)
        self.time.work(cycles)
        self.traces.append(Trace(item, [item]))
        self.unsent += [(self.number, item, chain) for chain in item.stores]
        self.send_all()

    def tile(self, task: Task) -> None:
        """Run a tile: fetch what is missing, launch, send away what the tile before has made, fetch ahead."""
        blocking = task.tiling.blocking
        if self.waits_between and self.first_of[self.number] == self.number:
            self.send_all()
            self.wait_for(list(self.pending))
        elif not blocking:
            self.wait_for_old()
        if any(copy.reads in task.writes for copy in self.unsent_copies()):
            self.send_all()
        self.bring(self.number, task, task.weights)
        self.load(self.number, task)
        self.bring_on_the_way(1)
        self.fetch_ahead()
        for launch in task.launches:
            extents = launch.extents if task.tiling.group else {}
            self.hold([*task.reads, *task.writes])
            running = [pending for pending in self.pending if pending.unit == task.engine.name]
            self.wait_for(running[: max(len(running) - queue_depth(task.engine) + 1, 0)])
            self.wait_for_memory(task.reads, task.writes, task.engine.name, extents)
            if accel.output(task.layer) not in self.begun:
                self.begun.add(accel.output(task.layer))
                self.traces.append(Trace(task))
            self.give(launch, task.engine.name, task.reads, task.writes, self.number, task.layer, extents)
        self.send_next(task.engine if task.tiling.group else None)
        self.unsent += [(self.number, task, chain) for chain in task.stores]
        if blocking:
            self.send_all()
            self.wait_for(list(self.pending))
            return
        self.fetch_ahead()
        if not task.tiling.group:
            self.load_ahead()
            self.bring_on_the_way(2)
        end = self.time.free_at[task.engine.name]
        self.bring_from_far(end)
        self.fetch_while_idle(end)

    # Copies

    def fetch_ahead(self) -> None:
        """Fetch the weights of the next tasks that have some, as far as their memory has room without a wait."""
        start = bisect_left(self.weighted, self.number, key=lambda each: each[0])
        own = group_of(self.items[self.number])
        for number, task, chain in self.weighted[start : start + WEIGHTS_AHEAD + 1]:
            if own and task.tiling.group == own:
                continue  # the group says when
            if task.tiling.blocking or not self.may_bring(number, chain):
                break
            self.bring(number, task, chain)
        self.bring_from_far(self.time.now)

    def fetch_while_idle(self, until: int, waits: bool = True) -> None:
        """Fetch weights of tasks further ahead, in their order, while their transfer engine would do nothing.

        until: when that may have something else to do, as a unit that works now has ended. waits: whether the host may
        wait until the engine takes a command, with nothing else to do. In groups the order of their items says what is
        fetched.
        """
        if group_of(self.items[self.number]):
            return
        start = bisect_left(self.weighted, self.number, key=lambda each: each[0])
        for count, (number, task, chain) in enumerate(self.weighted[start:]):
            (*before, last) = chain
            if count >= self.ahead.get(last.route.target, Ahead()).idle_tasks:
                return
            if last in self.brought:
                continue
            dma = self.dma_of(last)
            is_idle = self.time.free_at[dma.name] < until and (waits or self.time.takes(dma))
            if not is_idle or before or task.tiling.blocking or not self.may_bring(number, chain):
                return
            self.bring(number, task, chain)

    def bring_from_far(self, until: int, waits: bool = True) -> None:
        """Bring weights of tasks to come as near as the host's memory, in their order, while they have room there.

        A copy is given if the one before is over at the cycle `until`. waits: as for fetch_while_idle. Where tiles of
        maps come and go on the same way, only the weights that are needed next are brought.
        """
        if not self.soc.far_memories:
            return
        start = bisect_left(self.weighted, self.number, key=lambda each: each[0])
        self.nearing = max(self.nearing, start)
        item = self.items[self.number]
        is_shared = isinstance(item, Task) and any(len(chain) > 1 for chain in (*item.loads, *item.stores))
        end = start + WEIGHTS_AHEAD + 1 if is_shared else len(self.weighted)
        while self.nearing < min(end, len(self.weighted)):
            number, task, chain = self.weighted[self.nearing]
            for copy in chain[:-1]:
                dma = self.dma_of(copy)
                is_late = self.time.free_at[dma.name] > until or not (waits or self.time.takes(dma))
                is_late = is_late and copy not in self.brought
                if is_late or task.tiling.blocking or not self.may_bring(number, (copy,)):
                    return
                self.bring(number, task, (copy,))
            self.nearing += 1

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

    def bring(self, number: int, item: Task | Work, chain: Sequence[Copy]) -> None:
        """Give those copies of a chain that an item needs and that have not been given."""
        for copy in chain:
            if copy in self.brought:
                continue
            self.brought.add(copy)
            if any(copy.reads == store.writes for store in self.unsent_copies()):
                self.send_all()
            self.hold([copy.writes])
            self.copy(copy, number, layer_of(item))
            if isinstance(item, Task) and item.tiling.blocking:
                self.wait_for(list(self.pending))

    def load_ahead(self) -> None:
        """Fetch the input of the next tile, if it is of the same layer and has a buffer of its own."""
        number, following = self.following(1)
        if isinstance(following, Task) and following.tiling.buffers > 1:
            self.load(number, following)
        item = self.items[self.number]
        if isinstance(following, Work) and isinstance(item, Work):
            there = {chain[-1].writes for chain in item.loads}
            if not any(chain[-1].writes in there for chain in following.loads):
                self.load(number, following)

    def load(self, number: int, item: Task | Work) -> None:
        """Fetch the input of a tile, if it has not been fetched."""
        for chain in item.loads:
            self.bring(number, item, chain)

    def bring_on_the_way(self, ahead: int) -> None:
        """Bring the input of a tile that is so many ahead as far as the last memory before the engine's.

        The tile before has left the buffers there if its input is on its last way.
        """
        (_, before), (number, following) = self.following(ahead - 1), self.following(ahead)
        if before is None or any(chain[-1] not in self.brought for chain in before.loads):
            return
        if isinstance(following, Task) and not following.tiling.blocking:
            for chain in following.loads:
                self.bring(number, following, chain[:-1])

    def following(self, ahead: int) -> tuple[int, Task | Work | None]:
        """Return the tile of the layer that is running which is so many ahead, and its number; None: there is none."""
        number = self.number
        for _ in range(ahead):
            if number not in self.next_of:
                return number, None
            number = self.next_of[number]
        item = self.items[number]
        return number, None if isinstance(item, Fetch) else item

    def unsent_copies(self) -> Iterator[Copy]:
        """Yield the copies of results that are still to be given."""
        return (copy for _, _, chain in self.unsent for copy in chain)

    def send_next(self, engine: Accelerator | None = None) -> None:
        """Give the next copy of each result that is still to be sent away; of an engine, if one is given."""
        for unsent in list(self.unsent):
            number, item, (copy, *rest) = unsent
            if engine is not None and isinstance(item, Task) and item.engine.name != engine.name:
                continue
            self.hold([copy.writes])
            place = next((place for place, each in enumerate(self.unsent) if each is unsent), None)
            if place is not None:  # else it had to be sent for room
                self.copy(copy, number, layer_of(item))
                self.unsent[place : place + 1] = [(number, item, tuple(rest))] if rest else []

    def send_all(self) -> None:
        """Give all copies of results that are still to be given."""
        while self.unsent:
            self.send_next()

    def copy(self, copy: Copy, number: int, layer: accel.Layer) -> None:
        dma = self.dma_of(copy)
        reads, writes = activations_of([copy.reads]), activations_of([copy.writes])
        self.wait_for_memory(reads, writes, dma.name)
        self.give(copy, dma.name, reads, writes, number, layer)

    def dma_of(self, copy: Copy) -> Dma:
        return self.soc.dma(copy.route)

    # Waits

    def give(
        self,
        command: Copy | Launch,
        unit: str,
        reads: frozenset[ir.Value],
        writes: frozenset[ir.Value],
        item: int,
        layer: accel.Layer,
        extents: Extents | None = None,
    ) -> None:
        given = Given(unit, self.counts[unit], command, layer)
        self.counts[unit] += 1
        self.traces[-1].entries.append(given)
        self.pending.append(Pending(given, reads, writes, item, extents or {}, self.timed(command, unit)))

    def timed(self, command: Copy | Launch, unit: str) -> int:
        """Return about when a command ends that is given now."""
        if isinstance(command, Launch):
            return self.time.launch(unit, command.job)
        return self.time.copy(command.route, 1, command.runs.count * command.runs.bytes)

    def wait_for_memory(
        self,
        reads: Iterable[ir.Value],
        writes: Iterable[ir.Value],
        unit: str = "",
        extents: Extents | None = None,
    ) -> None:
        """Wait for the commands of other units that would meet a command in memory."""
        known = extents or {}
        self.wait_for(each for each in list(self.pending) if each.unit != unit and each.meets(reads, writes, known))

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
        self.time.wait(command.end)
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
        return bool(used + size <= self.ahead.get(memory, Ahead()).part * self.rooms[memory])

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
