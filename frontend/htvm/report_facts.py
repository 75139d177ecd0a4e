"""What the page of `htvm report` shows of a run, as plain JSON: the page draws, and computes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from htvm.backend.targets.soc import Soc
from htvm.execution import RunResult
from htvm.project import Project
from htvm.trace import Slice, slices, steps


def facts(project: Project, soc: Soc, result: RunResult, invocation: Sequence[str]) -> dict[str, Any]:
    """Return everything that is shown; invocation: the words of the command, to repeat it.

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
        "memories": _memories(project, spans, result),
        "layers": _layers(found, result),
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
    """Return inputs, steps and outputs as nodes, with `column` and `lane` to place them, and the edges between.

    An edge is a tensor that one step writes and another reads. The column of a node is the longest way to it; its
    lane is that of the first node it reads from, if it is free.
    """
    buffers = project.report["buffers"]
    tensors = _tensors(project)
    nodes = [
        {"name": step["name"], "step": number, "op": step["op"], "engine": step["engine"], "sources": []}
        for number, step in enumerate(found)
    ]
    origin: dict[int, int] = {}
    edges = []

    def port(buffer: int, kind: str) -> int:
        nodes.append({"name": buffers[buffer]["name"], "step": -1, "op": kind, "engine": "", "sources": []})
        return len(nodes) - 1

    def edge(source: int, target: int, buffer: int) -> None:
        held = buffers[buffer]
        edges.append([source, target, tensors[buffer], held["shape"], held["dtype"], held["bytes"]])
        nodes[target]["sources"].append(source)

    for number, step in enumerate(found):
        for buffer in step["reads"]:
            if buffer not in origin:
                origin[buffer] = port(buffer, "input")
            edge(origin[buffer], number, buffer)
        origin[step["writes"][0]] = number
    for number, buffer in enumerate(buffers):
        if buffer["kind"] == "output" and number in origin:
            edge(origin[number], port(number, "output"), number)
    _place(nodes)
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


def _tensors(project: Project) -> dict[int, str]:
    """Return what to call each buffer: the ONNX tensor in it, or by its node if the project does not know."""
    names = {number: buffer["name"] for number, buffer in enumerate(project.report["buffers"])}
    for step in project.report["steps"]:
        if step.get("tensor"):
            names[step["writes"][0]] = step["tensor"]
    return names


def _memories(project: Project, spans: Mapping[int, tuple[int, int]], result: RunResult) -> list[dict[str, Any]]:
    """Return each memory with its buffers, in cycles of the run: an input is there from its beginning."""
    tensors, total = _tensors(project), result.metrics["cycles"]
    found = []
    for name, memory in project.report["memories"].items():
        buffers = [
            {
                **{key: buffer[key] for key in ("kind", "offset", "bytes", "dtype", "shape", "first", "last")},
                "name": tensors[number],
                "start": spans[buffer["first"]][0] if buffer["first"] in spans else 0,
                "end": spans[buffer["last"]][1] if buffer["last"] in spans else total,
            }
            for number, buffer in enumerate(project.report["buffers"])
            if buffer["memory"] == name
        ]
        whole = result.metrics["memories"].get(name, {}).get("peak_bytes")
        found.append({"name": name, **memory, "program_bytes": whole, "buffers": buffers})
    return found


def _layers(found: Sequence[Mapping[str, Any]], result: RunResult) -> list[dict[str, Any]]:
    """Return a row for each step: what the run measured, and what the project says of it."""
    return [
        {
            **{key: step[key] for key in ("nodes", "summary", "shape", "read_bytes", "written_bytes", "weight_bytes")},
            **layer,
        }
        for step, layer in zip(found, result.metrics["layers"], strict=True)
    ]


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


