"""The order of the tiles of groups of layers that flow through several units together (analysis/flow.py).

What a tile needs of others follows from the bytes that launches and loads touch: of two tiles that touch the same
bytes, one of which writes them, the one that came first comes first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from mlir import ir

from htvm.backend.targets.soc import Soc
from htvm.dialects import accel

from ..analysis import layout
from ..analysis.interleaving import Role, TileWork, Transfer, interleaved
from .items import Copy, Fetch, Item, Task, group_of


@dataclass(frozen=True)
class Touch:
    """Elements of a buffer or map, from `begin` to before `end`, that a tile reads or writes."""

    begin: int
    end: int
    tile: int
    is_write: bool


def in_order(items: Sequence[Item], soc: Soc, rooms: Mapping[str, int]) -> list[Item]:
    """Return items with the tiles of each group, and what is brought for them, as early as units can begin them.

    rooms: the bytes for weights in memories, where limited.
    """
    found: list[Item] = []
    for number, run in groupby(items, group_of):
        if not number:
            found += run
            continue
        tasks = [item for item in run if isinstance(item, Task)]
        for given in interleaved(works(tasks, soc), rooms).sequence:
            task = tasks[given.tile]
            found.append(task if given.role == Role.LAUNCH else Fetch(task, given.role))
    return found


def works(tasks: Sequence[Task], soc: Soc) -> list[TileWork]:
    """Return tiles with what they need of each other."""
    touched: dict[ir.Value, list[Touch]] = defaultdict(list)
    layers: dict[accel.Layer, int] = {}
    brought: dict[ir.Value, int] = {}
    found: list[TileWork] = []
    for number, task in enumerate(tasks):
        brought |= {copy.writes: number for copy in task.weights[-1:]}
        own = list(touches(task, number))
        needs = {other for value, touch in own for other in before(touch, touched[value])}
        for value, touch in own:
            touched[value].append(touch)
        cycles = sum(soc.figures.job_cycles(task.engine.name, launch.job) for launch in task.launches)
        cycles += len(task.launches) * (soc.launch_cycles(task.engine.name) + soc.host.wait_cycles)
        found.append(
            TileWork(
                layers.setdefault(task.layer, len(layers)),
                task.engine.name,
                cycles,
                tuple(sorted(needs)),
                transfer(task.weights, soc),
                transfer([copy for chain in task.loads for copy in chain], soc),
                task.tiling.buffers,
                next((brought[value] for value in task.reads if value in brought), None),
            )
        )
    return found


def touches(task: Task, number: int) -> Iterator[tuple[ir.Value, Touch]]:
    """Yield what the launches and transfers of a tile touch; weights are no other layer's."""
    for launch in task.launches:
        for view in launch.inputs:
            yield view.source, Touch(*view.extent, number, is_write=False)
        yield launch.output.source, Touch(*launch.output.extent, number, is_write=True)
    for copy in (copy for chain in (*task.loads, *task.stores) for copy in chain):
        yield copy.reads, Touch(*copy.source.extent, number, is_write=False)
        yield copy.writes, Touch(*copy.target.extent, number, is_write=True)


def before(touch: Touch, others: Sequence[Touch]) -> Iterator[int]:
    """Yield the tiles that must have ended before one touches some elements."""
    for other in others:
        is_met = touch.begin < other.end and other.begin < touch.end
        if is_met and (touch.is_write or other.is_write) and other.tile != touch.tile:
            yield other.tile


def transfer(copies: Sequence[Copy], soc: Soc) -> Transfer | None:
    """Return what copies take together, on the unit of the last."""
    if not copies:
        return None
    routes = [copy.route for copy in copies]
    cycles = (copy.runs.count * soc.copy_cycles(route, copy.runs.bytes) for copy, route in zip(copies, routes))
    target = copies[-1].writes.type
    size_bytes = layout.aligned(layout.size_bytes(target))
    return Transfer(soc.dma(routes[-1]).name, sum(cycles), layout.memory_of(target), size_bytes)
