"""What the page of `htvm report` shows of a run, as typed data: the page draws it, and computes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from htvm.backend.c.record import BufferPlan, MemoryPlan, ModelOrigin
from htvm.backend.c.schema import INLINE, JsonObject
from htvm.backend.targets.soc import Soc
from htvm.execution.metrics import LayerMetrics, Metrics, layer_metrics, metrics
from htvm.execution.program import RunResult
from htvm.execution.record import RunRecord, StepRecord
from htvm.execution.trace import Slice, slices
from htvm.explanation.bound import Bound
from htvm.explanation.explanation import Decision, summary
from htvm.explanation.offload import Offload
from htvm.project import Project
from htvm.reporting.graph import Graph, graph

Span: TypeAlias = tuple[int, int]
"""From which to which cycle of the run."""


@dataclass(frozen=True)
class TargetFacts:
    """The machine."""

    name: str
    description: str
    clock_hz: int


@dataclass(frozen=True)
class SliceColumns:
    """Slices by column, which takes a third of the bytes of one object for each."""

    unit: tuple[str, ...]
    name: tuple[str, ...]
    start: tuple[int, ...]
    cycles: tuple[int, ...]
    step: tuple[int, ...]


@dataclass(frozen=True)
class BufferFacts:
    """A buffer, and the cycles of the run from which to which it is needed.

    name: of the ONNX tensor in it; of a buffer that holds a part of one, or weights, that of their node.
    """

    offset: int
    bytes: int
    dtype: str
    shape: tuple[int, ...]
    first: int
    last: int
    kind: str
    name: str
    start: int
    end: int


@dataclass(frozen=True)
class MemoryFacts:
    """A memory. program_bytes: what the program takes of it, with code and constants."""

    name: str
    plan: MemoryPlan = field(metadata=INLINE)
    program_bytes: int
    buffers: tuple[BufferFacts, ...]


@dataclass(frozen=True)
class LayerFacts:
    """A step: what the project says of it, and what the run measured."""

    nodes: tuple[str, ...]
    summary: str
    shape: tuple[int, ...]
    read_bytes: int
    written_bytes: int
    weight_bytes: int
    metrics: LayerMetrics = field(metadata=INLINE)


@dataclass(frozen=True)
class Provenance:
    """What repeats the run, and the SHA-256 digests that show whether it was the same.

    compiled_by: versions of what wrote the C. model: the ONNX file, None if the project does not come from one.
    """

    command: str
    versions: Mapping[str, str]
    compiled_by: Mapping[str, str]
    model: ModelOrigin | Mapping[str, str]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    files: Mapping[str, str]


@dataclass(frozen=True)
class PageFacts:
    """Everything that is shown. spans: of each step, the cycles from which to which any unit works for it.

    offload: how much runs on accelerators; None for a target that has none.
    """

    model: str
    target: TargetFacts
    metrics: Metrics
    offload: Offload | None
    engines: tuple[str, ...]
    graph: Graph
    units: tuple[str, ...]
    slices: SliceColumns
    spans: tuple[Span, ...]
    memories: tuple[MemoryFacts, ...]
    layers: tuple[LayerFacts, ...]
    decisions: tuple[JsonObject, ...]
    decision_summary: tuple[str, ...]
    origin: Provenance


def facts(
    project: Project,
    soc: Soc,
    result: RunResult,
    invocation: Sequence[str],
    decisions: Sequence[Decision] = (),
    share: Offload | None = None,
    bound: Bound | None = None,
) -> PageFacts:
    """Return everything that is shown; invocation: the words of the command, to repeat it.

    decisions: what htvm explain says of each layer; none for a project whose model is not at hand.
    share: how much runs on accelerators, bound: on the cycles; None for a target that has none.
    """
    record = result.record
    timeline = slices(record)
    spans = _spans(timeline)
    engines = tuple(engine.name for engine in soc.engines)
    return PageFacts(
        model=project.report.model,
        target=TargetFacts(soc.name, soc.description, soc.clock_hz),
        metrics=metrics(record),
        offload=share,
        engines=engines,
        graph=graph(record),
        units=tuple(dict.fromkeys([*engines, *(each.unit for each in timeline)])),
        slices=_in_columns(timeline),
        spans=tuple(spans[step.number] for step in record.steps),
        memories=_memories(record, spans),
        layers=tuple(_layer(step, has_routes=bool(record.execution.routes)) for step in record.steps),
        decisions=tuple(each.facts() for each in decisions),
        decision_summary=_summary(decisions, soc, bound),
        origin=_provenance(project, result, invocation),
    )


def _spans(timeline: Sequence[Slice]) -> dict[int, Span]:
    """Return the cycles from which to which each step has any unit at work."""
    spans: dict[int, Span] = {}
    for each in timeline:
        if each.step is not None:
            first, last = spans.get(each.step, (each.start_cycle, each.end_cycle))
            spans[each.step] = min(first, each.start_cycle), max(last, each.end_cycle)
    return spans


def _summary(decisions: Sequence[Decision], soc: Soc, bound: Bound | None) -> tuple[str, ...]:
    """Return what htvm explain says of all layers together, a line each."""
    lines: list[str] = list(summary(decisions, soc)) if decisions else []
    return tuple(line.strip() for line in [*lines, *(bound.text().splitlines() if bound else [])])


def _in_columns(timeline: Sequence[Slice]) -> SliceColumns:
    return SliceColumns(
        unit=tuple(each.unit for each in timeline),
        name=tuple(each.name for each in timeline),
        start=tuple(each.start_cycle for each in timeline),
        cycles=tuple(each.cycles for each in timeline),
        step=tuple(-1 if each.step is None else each.step for each in timeline),
    )


def _memories(record: RunRecord, spans: Mapping[int, Span]) -> tuple[MemoryFacts, ...]:
    """Return each memory with its buffers, in cycles of the run: an input is there from its beginning."""
    report, soc = record.report, record.soc
    tensors = {step.name: step.origin.tensor for step in report.steps if step.origin and step.origin.tensor}

    def shown(buffer: BufferPlan) -> BufferFacts:
        return BufferFacts(
            offset=buffer.offset,
            bytes=buffer.bytes,
            dtype=buffer.dtype,
            shape=buffer.shape,
            first=buffer.first,
            last=buffer.last,
            kind=buffer.kind.value,
            name=tensors.get(buffer.name, buffer.name),
            start=spans[buffer.first][0] if buffer.first in spans else 0,
            end=spans[buffer.last][1] if buffer.last in spans else record.execution.cycles,
        )

    return tuple(
        MemoryFacts(
            name=memory.name,
            plan=report.memories[memory.name],
            program_bytes=record.footprint.bytes_in[memory.name],
            buffers=tuple(shown(buffer) for buffer in report.buffers if buffer.memory == memory.name),
        )
        for memory in soc.memories
        if memory.name in report.memories
    )


def _layer(step: StepRecord, has_routes: bool) -> LayerFacts:
    """Return the row of a step."""
    plan = step.plan
    return LayerFacts(
        nodes=plan.nodes,
        summary=plan.summary,
        shape=plan.shape,
        read_bytes=step.read_bytes,
        written_bytes=step.written_bytes,
        weight_bytes=plan.weight_bytes,
        metrics=layer_metrics(step, has_routes),
    )


def _provenance(project: Project, result: RunResult, invocation: Sequence[str]) -> Provenance:
    """Return what repeats the run, and the hashes that show whether it was the same."""
    return Provenance(
        command=" ".join(invocation),
        versions=result.record.versions,
        compiled_by=project.report.versions,
        model=project.report.origin or {},
        inputs={name: _sha256(np.ascontiguousarray(value)) for name, value in result.inputs.items()},
        outputs=result.record.output_digests,
        files={name: _sha256(text.encode()) for name, text in sorted(project.files.items())},
    )


def _sha256(data: bytes | np.ndarray) -> str:
    return hashlib.sha256(data if isinstance(data, bytes) else data.tobytes()).hexdigest()
