"""What a function does on a machine with accelerators: tiles, layers of the host and transfers, and their commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from mlir import ir

from htvm.backend.targets.jobs import Job
from htvm.backend.targets.soc import Accelerator, Route
from htvm.dialects import accel
from htvm.dialects.copies import Runs

from ..analysis import activations, layout
from ..analysis.interleaving import Role
from ..analysis.tiles import Tiling
from .views import View


@dataclass(frozen=True, eq=False)
class Copy:
    """A transfer between views of two maps, buffers or globals."""

    source: View
    target: View

    @property
    def reads(self) -> ir.Value:
        return self.source.source

    @property
    def writes(self) -> ir.Value:
        return self.target.source

    @property
    def route(self) -> Route:
        return Route(layout.memory_of(self.reads.type), layout.memory_of(self.writes.type))

    @property
    def runs(self) -> Runs:
        """The runs of bytes that do it."""
        source, target = self.source.axes, self.target.axes
        element = ir.MemRefType(self.reads.type).element_type
        return Runs.between(source.shape, source.steps, target.steps, ir.IntegerType(element).width // 8)


Chain = tuple[Copy, ...]
"""The transfers that bring something where it is needed, from memory to memory; none if it is there."""


@dataclass(frozen=True)
class Launch:
    """A job, lowered, and the views it works on."""

    job: Job
    inputs: Sequence[View]
    weights: View | None
    sums: View | None
    output: View

    @property
    def extents(self) -> dict[ir.Value, tuple[int, int]]:
        """From which element to behind which it touches its maps, and the buffers of their tiles."""
        found: dict[ir.Value, tuple[int, int]] = {}
        for view in (*self.inputs, self.output):
            begin, end = found.get(view.source, view.extent)
            found[view.source] = min(begin, view.extent[0]), max(end, view.extent[1])
        return found


@dataclass(frozen=True)
class Task:
    """A tile: `weights` and `loads` are copied in, `launches` run, `stores` copied out.

    A task that has what it needs from the one before has no weights or loads. whole: the job that the layer is. reads,
    writes: what launches touch.
    """

    layer: accel.Layer
    whole: Job
    engine: Accelerator
    tiling: Tiling
    weights: Chain
    loads: Sequence[Chain]
    launches: Sequence[Launch]
    stores: Sequence[Chain]
    reads: frozenset[ir.Value]
    writes: frozenset[ir.Value]


@dataclass(frozen=True)
class Work:
    """A layer that the host runs, or a copy of a whole map, with what it touches.

    If it is a tile of a layer, `loads` are copied in before, weights included, and `stores` copied out; of: that layer.
    """

    op: accel.Layer
    reads: frozenset[ir.Value]
    writes: frozenset[ir.Value]
    copy: Copy | None = None
    loads: Sequence[Chain] = ()
    stores: Sequence[Chain] = ()
    of: accel.Layer | None = None


@dataclass(frozen=True)
class Fetch:
    """The transfer of a tile's weights or input, where a group says when it begins."""

    task: Task
    role: Role

    @property
    def chains(self) -> Sequence[Chain]:
        return [self.task.weights] if self.role == Role.WEIGHTS else self.task.loads


Item = Task | Work | Fetch


def layer_of(item: Item) -> accel.Layer:
    """Return the layer that an item is for."""
    match item:
        case Task():
            return item.layer
        case Fetch():
            return item.task.layer
        case Work():
            return item.of or item.op


def group_of(item: Item) -> int:
    """Return the number of the group that an item is of; 0: none."""
    task = item.task if isinstance(item, Fetch) else item
    return task.tiling.group if isinstance(task, Task) else 0


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

    item: Task | Work
    entries: list[Entry] = field(default_factory=list[Entry])


Extents = Mapping[ir.Value, tuple[int, int]]
"""From which element to behind which something is touched."""


@dataclass(eq=False)
class Pending:
    """A command that nobody has waited for yet. item: the number of the item that it belongs to.

    extents: from which element to behind which it touches some of what it reads and writes, of which it is not all.
    end: about when it ends, where the machine has far memories.
    """

    given: Given
    reads: frozenset[ir.Value]
    writes: frozenset[ir.Value]
    item: int
    extents: Extents = field(default_factory=dict[ir.Value, "tuple[int, int]"])
    end: int = 0

    @property
    def unit(self) -> str:
        return self.given.unit

    def meets(self, reads: Iterable[ir.Value], writes: Iterable[ir.Value], extents: Extents) -> bool:
        """Say whether it touches elements that another command touches too, and one of the two writes them."""
        shared = self.writes.intersection(reads) | (self.reads | self.writes).intersection(writes)
        return any(self.shares(value, extents) for value in shared)

    def shares(self, value: ir.Value, extents: Extents) -> bool:
        """Say whether the elements that it touches of a value are among those of another command."""
        if value not in self.extents or value not in extents:
            return True
        (begin, end), (first, last) = self.extents[value], extents[value]
        return begin < last and first < end


def touched_by(item: Item) -> list[ir.Value]:
    """Return the buffers and maps that an item touches, copies included."""
    if isinstance(item, Fetch):
        return [value for chain in item.chains for copy in chain for value in (copy.reads, copy.writes)]
    weights = (item.weights,) if isinstance(item, Task) else ()
    copies = [copy for chain in (*weights, *item.loads, *item.stores) for copy in chain]
    return [*item.reads, *item.writes, *(value for copy in copies for value in (copy.reads, copy.writes))]


def reserved_bytes(items: Sequence[Item], first_of: Sequence[int]) -> dict[str, np.ndarray]:
    """Return what is in use of each memory, int64[items], while each runs: buffers, maps, weights not fetched ahead.

    Buffers of a layer's maps are from its first item to behind its last: they are filled early and emptied late.
    """
    spans: dict[ir.Value, tuple[int, int]] = {}
    for number, item in enumerate(items):
        chains = ((), ()) if isinstance(item, Fetch) else (item.loads, item.stores)
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


def activations_of(values: Iterable[ir.Value]) -> frozenset[ir.Value]:
    return frozenset(value for value in values if not activations.is_constant(value))
