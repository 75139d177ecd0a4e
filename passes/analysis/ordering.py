"""Find the order of execution that needs the least memory at once.

A task reads some values and makes one. A value takes memory from the task that makes it to the last task that
reads it; a network input from the beginning, an output to the end. The peak is the largest sum over all tasks
of what is live while a task runs: its operands, its result, its scratch memory, and whatever waits for a later one. A
task whose result may lie over an operand takes as much less as both share, when nothing else needs the operand.

The search walks the sets of finished tasks, depth first, and gives up a path whose peak passes a limit. The
limit starts at the largest single task, which no order avoids, and rises to the next peak that was seen until
an order exists: that one is optimal. The sets number about one per task in a chain with residual branches,
and 2^n for n parallel branches; so the search stops after a number of sets, and the limit reached is a bound on every
order. Then the best order is taken that a beam finds: it extends the sets of least peak, a fixed number at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

SEARCH_LIMIT_SETS = 50_000
"""Sets of finished tasks that are looked at before the search gives up; about a second."""

BEAM_WIDTH = 50
"""Sets of finished tasks that the beam extends at a time."""


@dataclass(frozen=True)
class Task:
    """Reads values `operands` and makes value `result`.

    shared_bytes: by operand, the bytes that it and the result can share, if nothing reads the operand later.
    scratch_bytes: memory that is needed while the task runs.
    """

    operands: frozenset[int]
    result: int
    shared_bytes: Mapping[int, int] = field(default_factory=dict[int, int])
    scratch_bytes: int = 0


@dataclass(frozen=True)
class Network:
    """Tasks in their source order; sizes_bytes[v] is the size of value v."""

    tasks: Sequence[Task]
    sizes_bytes: Sequence[int]
    inputs: frozenset[int]
    outputs: frozenset[int]


@dataclass(frozen=True)
class Order:
    """Task numbers in order of execution, their peak, and a bound that no order's peak is below."""

    sequence: tuple[int, ...]
    peak_bytes: int
    lower_bound_bytes: int

    @property
    def is_optimal(self) -> bool:
        """Whether no order has a smaller peak."""
        return self.peak_bytes <= self.lower_bound_bytes


def best_order(network: Network, limit_sets: int = SEARCH_LIMIT_SETS) -> Order:
    """Return the order with the smallest peak; the source order if it is as good as any."""
    memory = _Memory(network)
    source = tuple(range(len(network.tasks)))
    source_peak = memory.peak(source)
    search = _Search(memory, limit_sets)
    limit = memory.least()
    while limit < source_peak:
        found = search.within(limit)
        if found is not None:
            return Order(found, limit, limit)
        if search.is_exhausted:
            best = min(source, memory.beam(), key=memory.peak)
            return Order(best, memory.peak(best), limit)
        limit = search.next_limit
    return Order(source, source_peak, source_peak)


class _Memory:
    """What is live after a set of tasks, as a bit mask, has run."""

    def __init__(self, network: Network) -> None:
        self.tasks = network.tasks
        self.sizes = network.sizes_bytes
        self.kept = network.outputs
        self.readers = [0] * len(self.sizes)
        maker = {task.result: number for number, task in enumerate(self.tasks)}
        self.needs = [0] * len(self.tasks)
        for number, task in enumerate(self.tasks):
            for value in task.operands:
                self.readers[value] |= 1 << number
                if value in maker:
                    self.needs[number] |= 1 << maker[value]
        self.at_start = sum(self.sizes[value] for value in network.inputs)
        self.unread = sum(self.sizes[value] for value in network.inputs - self.kept if not self.readers[value])
        self.everything = (1 << len(self.tasks)) - 1

    def ready(self, done: int) -> Iterator[int]:
        """Yield the tasks that can run next, in source order."""
        for number, needed in enumerate(self.needs):
            if not done >> number & 1 and needed & ~done == 0:
                yield number

    def step(self, done: int, live: int, number: int) -> tuple[int, int]:
        """Return the bytes live while task `number` runs, and those after it."""
        task = self.tasks[number]
        after = done | 1 << number
        dying = [value for value in task.operands if value not in self.kept and self.readers[value] & ~after == 0]
        result = self.sizes[task.result]
        during = live + result + task.scratch_bytes - _shared(task, dying)
        remains = result if self.readers[task.result] or task.result in self.kept else 0
        return during, live + remains - sum(self.sizes[value] for value in dying)

    def least(self) -> int:
        """Return a peak that no order goes below: that of the inputs, or of the largest task alone."""
        alone: list[int] = []
        for task in self.tasks:
            whole = sum(self.sizes[value] for value in (*task.operands, task.result)) + task.scratch_bytes
            alone.append(whole - _shared(task, [value for value in task.operands if value not in self.kept]))
        return max([self.at_start, *alone])

    def peak(self, sequence: Sequence[int]) -> int:
        """Return the largest number of bytes live at once in an order of all tasks."""
        done, live, peak = 0, self.at_start - self.unread, self.at_start
        for number in sequence:
            during, live = self.step(done, live, number)
            peak = max(peak, during)
            done |= 1 << number
        return peak

    def beam(self, width: int = BEAM_WIDTH) -> tuple[int, ...]:
        """Return an order of small peak: of all sets that one task more makes, those of least peak are kept.

        Of equal peaks the set that leaves least memory live is better, then the one that was found first.
        """
        following: list[list[int]] = [[] for _ in self.tasks]
        for number, needed in enumerate(self.needs):
            for other in range(len(self.tasks)):
                if needed >> other & 1:
                    following[other].append(number)
        states = [_State(0, self.at_start - self.unread, self.at_start, tuple(self.ready(0)), ())]
        for _ in self.tasks:
            best: dict[int, _State] = {}
            for state in states:
                for number in state.ready:
                    during, live = self.step(state.done, state.live, number)
                    done = state.done | 1 << number
                    peak, known = max(state.peak, during), best.get(done)
                    if known is None or peak < known.peak:
                        begun = [each for each in following[number] if self.needs[each] & ~done == 0]
                        ready = (*(each for each in state.ready if each != number), *begun)
                        best[done] = _State(done, live, peak, ready, (*state.sequence, number))
            states = sorted(best.values(), key=lambda state: (state.peak, state.live))[:width]
        return states[0].sequence


@dataclass(frozen=True)
class _State:
    """A set of finished tasks, as a bit mask, in the order of least peak found. live: bytes after it."""

    done: int
    live: int
    peak: int
    ready: tuple[int, ...]
    sequence: tuple[int, ...]


def _shared(task: Task, dying: Sequence[int]) -> int:
    """Return the most bytes that a task's result can share with an operand that nothing else needs."""
    return max((task.shared_bytes.get(value, 0) for value in dying), default=0)


class _Search:
    """Depth-first search for an order whose peak stays within a limit."""

    def __init__(self, memory: _Memory, limit_sets: int) -> None:
        self.memory = memory
        self.sets_left = limit_sets
        self.next_limit = 0

    @property
    def is_exhausted(self) -> bool:
        return self.sets_left <= 0

    def within(self, limit: int) -> tuple[int, ...] | None:
        """Return an order whose peak is at most `limit`; if there is none, `next_limit` is the next peak to try."""
        exceeded: list[int] = []
        visited = {0}
        start = self.memory.at_start - self.memory.unread
        path: list[int] = []
        pending = [self._choices(0, start, limit, exceeded)]
        states = [(0, start)]
        while pending:
            done, live = states[-1]
            if done == self.memory.everything:
                return tuple(path)
            number = next(pending[-1], None)
            if number is None or self.is_exhausted:
                pending.pop()
                states.pop()
                if path:
                    path.pop()
                continue
            after = done | 1 << number
            if after in visited:
                continue
            visited.add(after)
            self.sets_left -= 1
            _, live = self.memory.step(done, live, number)
            path.append(number)
            states.append((after, live))
            pending.append(self._choices(after, live, limit, exceeded))
        self.next_limit = min(exceeded, default=limit)
        return None

    def _choices(self, done: int, live: int, limit: int, exceeded: list[int]) -> Iterator[int]:
        """Return the tasks worth trying next within the limit."""
        allowed: list[int] = []
        for number in self.memory.ready(done):
            during, after = self.memory.step(done, live, number)
            if during > limit:
                exceeded.append(during)
            elif after <= live:
                return iter([number])  # it frees as much as it takes: whatever comes later only gains from it
            else:
                allowed.append(number)
        return iter(allowed)
