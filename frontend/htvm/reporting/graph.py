"""The network of a run as a drawing: nodes in columns and lanes, and the tensors between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from htvm.backend.c.record import Source
from htvm.execution.record import RunRecord

Edge: TypeAlias = tuple[int, int, str, tuple[int, ...], int]
"""A tensor: the numbers of the nodes that compute and read it, its name, shape and bytes."""


@dataclass(frozen=True)
class Node:
    """A step, an input or an output; `step` is -1 for the last two.

    column: the longest way to the node. lane: that of the first node that it reads from, if it is free.
    """

    name: str
    step: int
    op: str
    engine: str
    column: int
    lane: int


@dataclass(frozen=True)
class Graph:
    """The network: its steps, then its inputs, then its outputs."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


@dataclass(frozen=True)
class _Unplaced:
    """A node before it has a place. sources: the nodes that it reads from."""

    name: str
    step: int
    op: str
    engine: str
    sources: tuple[int, ...]


@dataclass(frozen=True)
class _Tensor:
    """What a node computes."""

    name: str
    shape: tuple[int, ...]
    size_bytes: int


def graph(record: RunRecord) -> Graph:
    """Return the network of a run."""
    report, steps = record.report, record.steps
    numbers: dict[Source, int] = {step.number: step.number for step in steps}
    numbers |= {port.name: len(steps) + place for place, port in enumerate(report.inputs)}
    nodes = [
        _Unplaced(step.plan.name, step.number, step.plan.op, step.plan.engine,
                  tuple(numbers[source] for source in step.plan.sources))
        for step in steps
    ]  # fmt: skip
    tensors = [
        _Tensor((step.plan.origin and step.plan.origin.tensor) or step.plan.name, step.plan.shape, step.written_bytes)
        for step in steps
    ]
    for port in report.inputs:
        nodes.append(_Unplaced(port.name, -1, "input", "", ()))
        tensors.append(_Tensor(port.name, port.shape, port.bytes))
    for port in report.outputs:
        source = port.origin.source if port.origin else None
        nodes.append(_Unplaced(port.name, -1, "output", "", () if source is None else (numbers[source],)))
    edges = tuple(
        (source, target, tensors[source].name, tensors[source].shape, tensors[source].size_bytes)
        for target, node in enumerate(nodes)
        for source in node.sources
    )
    placed = _places(nodes)
    return Graph(tuple(Node(node.name, node.step, node.op, node.engine, *at) for node, at in zip(nodes, placed)), edges)


def _places(nodes: Sequence[_Unplaced]) -> list[tuple[int, int]]:
    """Return the column and lane of each node."""
    pending = list(range(len(nodes)))
    places: dict[int, tuple[int, int]] = {}
    taken: set[tuple[int, int]] = set()
    while pending:
        for number in [one for one in pending if all(source in places for source in nodes[one].sources)]:
            sources = [places[source] for source in nodes[number].sources]
            column = max((source_column + 1 for source_column, _ in sources), default=0)
            lane = min((source_lane for _, source_lane in sources), default=0)
            while (column, lane) in taken:
                lane += 1
            places[number] = column, lane
            taken.add((column, lane))
            pending.remove(number)
    return [places[number] for number in range(len(nodes))]
