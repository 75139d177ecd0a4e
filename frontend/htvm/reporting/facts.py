"""What the page of `htvm report` shows of a run, as plain JSON: the page draws, and computes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from htvm.backend.targets.soc import Soc
from htvm.execution.program import RunResult
from htvm.execution.trace import Slice, slices, steps
from htvm.explanation.explanation import Decision, summary
from htvm.project import Project


def facts(
    project: Project,
    soc: Soc,
    result: RunResult,
    invocation: Sequence[str],
    decisions: Sequence[Decision] = (),
) -> dict[str, Any]:
    """Return everything that is shown; invocation: the words of the command, to repeat it.

    decisions: what htvm explain says of each layer; none for a project whose model is not at hand.

    Raises ProjectError for a project of an htvm that wrote no buffers.
    """
    timeline = slices(project, result)
    spans = _spans(timeline)
    found = steps(project)
    engines = [engine.name for engine in soc.engines]
    return {
        "model": project.report["model"],
        "target": {"name": soc.name, "description": soc.description, "clock_hz": soc.clock_hz},
        "metrics": result.metrics,
        "engines": engines,
        "graph": _graph(project, found),
        "units": list(dict.fromkeys([*engines, *(each.unit for each in timeline)])),
        "slices": _in_columns(timeline),
        "spans": [[*spans[number]] for number in range(len(found))],
        "memories": _memories(project, soc, spans, result),
        "layers": _layers(found, result),
        "decisions": [each.facts() for each in decisions],
        "decision_summary": [line.strip() for line in summary(decisions, soc)] if decisions else [],
        "origin": _origin(project, result, invocation),
    }


def _spans(timeline: Sequence[Slice]) -> dict[int, tuple[int, int]]:
    """Return the cycles from which to which each step has any unit at work."""
    spans: dict[int, tuple[int, int]] = {}
    for each in timeline:
        step = each.arguments.get("step")
        if step is not None:
            start, end = each.start_cycle, each.start_cycle + each.cycles
            first, last = spans.get(step, (start, end))
            spans[step] = min(first, start), max(last, end)
    return spans


def _in_columns(timeline: Sequence[Slice]) -> dict[str, list[Any]]:
    """Return slices by column, which takes a third of the bytes of one object for each."""
    return {
        "unit": [each.unit for each in timeline],
        "name": [each.name for each in timeline],
        "start": [each.start_cycle for each in timeline],
        "cycles": [each.cycles for each in timeline],
        "step": [each.arguments.get("step", -1) for each in timeline],
    }


def _graph(project: Project, found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return steps, inputs and outputs as nodes, with `column` and `lane` to place them, and the edges between.

    An edge is a tensor: who makes it, who reads it, its name, shape and bytes. The column of a node is the longest way
    to it; its lane is that of the first node it reads from, if it is free.
    """
    nodes = [
        {"name": step["name"], "step": number, "op": step["op"], "engine": step["engine"], "sources": []}
        for number, step in enumerate(found)
    ]
    made = [(step.get("tensor") or step["name"], step["shape"], step["written_bytes"]) for step in found]
    at: dict[int | str, int] = {number: number for number in range(len(found))}
    for port in project.report["inputs"]:
        at[port["name"]] = len(nodes)
        made.append((port["name"], port["shape"], port["bytes"]))
        nodes.append({"name": port["name"], "step": -1, "op": "input", "engine": "", "sources": []})
    for number, step in enumerate(found):
        nodes[number]["sources"] = [at[source] for source in step.get("sources", ())]
    for port in project.report["outputs"]:
        sources = [at[port["source"]]] if port.get("source") is not None else []
        nodes.append({"name": port["name"], "step": -1, "op": "output", "engine": "", "sources": sources})
    _place(nodes)
    edges = [[source, target, *made[source]] for target, node in enumerate(nodes) for source in node["sources"]]
    return {"nodes": [{key: node[key] for key in node if key != "sources"} for node in nodes], "edges": edges}


def _place(nodes: Sequence[dict[str, Any]]) -> None:
    """Give each node its column and lane."""
    pending = list(range(len(nodes)))
    taken: set[tuple[int, int]] = set()
    while pending:
        for number in [one for one in pending if all("column" in nodes[source] for source in nodes[one]["sources"])]:
            node, sources = nodes[number], nodes[number]["sources"]
            node["column"] = max((nodes[source]["column"] + 1 for source in sources), default=0)
            lane = min((nodes[source]["lane"] for source in sources), default=0)
            while (node["column"], lane) in taken:
                lane += 1
            node["lane"] = lane
            taken.add((node["column"], lane))
            pending.remove(number)


def _memories(
    project: Project, soc: Soc, spans: Mapping[int, tuple[int, int]], result: RunResult
) -> list[dict[str, Any]]:
    """Return each memory with its buffers, in cycles of the run: an input is there from its beginning.

    Buffers have the name of the ONNX tensor in them; those that hold a part of one, or weights, that of their node.
    """
    tensors = {step["name"]: step["tensor"] for step in project.report["steps"] if step.get("tensor")}
    of_weights = {engine.weight_memory for engine in soc.accelerators}
    found = []
    for memory in (each for each in soc.memories if each.name in project.report["memories"]):
        buffers = [
            {
                **{key: buffer[key] for key in ("offset", "bytes", "dtype", "shape", "first", "last")},
                "kind": "weights" if memory.name in of_weights else buffer["kind"],
                "name": tensors.get(buffer["name"], buffer["name"]),
                "start": spans[buffer["first"]][0] if buffer["first"] in spans else 0,
                "end": spans[buffer["last"]][1] if buffer["last"] in spans else result.metrics["cycles"],
            }
            for buffer in project.report["buffers"]
            if buffer["memory"] == memory.name
        ]
        whole = result.metrics["memories"][memory.name]["peak_bytes"]
        facts_of = project.report["memories"][memory.name]
        found.append({"name": memory.name, **facts_of, "program_bytes": whole, "buffers": buffers})
    return found


def _layers(found: Sequence[Mapping[str, Any]], result: RunResult) -> list[dict[str, Any]]:
    """Return a row for each step: what the run measured, and what the project says of it."""
    keys = ("nodes", "summary", "shape", "read_bytes", "written_bytes", "weight_bytes")
    measured = result.metrics["layers"]
    return [{**{key: step[key] for key in keys}, **layer} for step, layer in zip(found, measured, strict=True)]


def _origin(project: Project, result: RunResult, invocation: Sequence[str]) -> dict[str, Any]:
    """Return what repeats the run, and the hashes that show whether it was the same."""
    return {
        "command": " ".join(invocation),
        "versions": result.metrics["versions"],
        "compiled_by": project.report["versions"],
        "model": project.report.get("origin", {}),
        "inputs": {name: _sha256(np.ascontiguousarray(value)) for name, value in result.inputs.items()},
        "outputs": result.metrics["outputs"],
        "files": {name: _sha256(text.encode()) for name, text in sorted(project.files.items())},
    }


def _sha256(data: bytes | np.ndarray) -> str:
    return hashlib.sha256(data).hexdigest()
