"""What each unit of the target did when: slices of cycles, and the JSON that Perfetto and Chrome's tracing show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from htvm.backend.targets.soc import HOST
from htvm.execution.program import RunResult
from htvm.project import Project, ProjectError
from htvm.runtime.simulator import Interval

START_UP = "start-up"
"""What the program does before its first layer."""


@dataclass(frozen=True)
class Slice:
    """A unit at work on one thing, from a cycle of the run on. arguments: what else there is to say, by name."""

    unit: str
    name: str
    start_cycle: int
    cycles: int
    arguments: dict[str, Any]


def slices(project: Project, result: RunResult) -> list[Slice]:
    """Return what the units did in the first sample's run: the host's slices, without gaps, then the others'.

    Raises ProjectError for a project without buffers in its report.json.
    """
    execution = result.execution
    start_up = execution.start_up
    found = [Slice(HOST, START_UP, 0, start_up.cycles, {"instructions": start_up.instructions})]
    for number, (step, profile) in enumerate(zip(steps(project), execution.steps, strict=True)):
        before = found[-1]
        arguments = {
            "step": number,
            "nodes": step["nodes"],
            "op": step["op"],
            "engine": step["engine"],
            "summary": step["summary"],
            "macs": step["macs"],
            "instructions": profile.instructions,
            "weight_bytes": step["weight_bytes"],
            "read_bytes": step["read_bytes"],
            "written_bytes": step["written_bytes"],
        }
        start = before.start_cycle + before.cycles
        found.append(Slice(HOST, step["name"], start, profile.cycles, arguments))
    names = [START_UP, *(step["name"] for step in steps(project))]
    return found + [unit_slice(interval, names[interval.step + 1]) for interval in execution.timeline]


def unit_slice(interval: Interval, step_name: str) -> Slice:
    """Return the slice of a copy or a job, named after its route or after the step that gave it."""
    arguments = {"op": interval.kind, "step": interval.step, "for": step_name, "stall_cycles": interval.stall_cycles}
    if interval.route:
        arguments["bytes"] = interval.size_bytes
    else:
        arguments["macs"] = interval.macs
    return Slice(interval.unit, interval.route or step_name, interval.start_cycle, interval.cycles, arguments)


def steps(project: Project) -> list[dict[str, Any]]:
    """Return the steps of a project's report, with the bytes of activations that each reads and makes."""
    report = project.report
    if "buffers" not in report:
        raise ProjectError("report.json has no buffers: an older htvm wrote this project; compile it again")
    made: dict[int | str, int] = {port["name"]: port["bytes"] for port in report["inputs"]}
    for number, step in enumerate(report["steps"]):
        made[number] = prod(step["shape"]) * np.dtype(report["buffers"][step["writes"][0]]["dtype"]).itemsize
    return [
        {
            **step,
            "read_bytes": sum(made[source] for source in step.get("sources", ())),
            "written_bytes": made[number],
        }
        for number, step in enumerate(report["steps"])
    ]


def trace(project: Project, result: RunResult) -> dict[str, Any]:
    """Return a run in the Trace Event format: a process for the target, a thread for each of its units.

    Times are microseconds of the target's clock; `cycles` and `start_cycle` in the arguments are exact.
    """
    metrics = result.metrics
    found = slices(project, result)
    threads = list(dict.fromkeys(each.unit for each in found))
    cycles_per_us = metrics["clock_hz"] / 1e6
    named = [event("process_name", 0, f"{metrics['model']} on {metrics['target']}")]
    named += [event("thread_name", number, unit) for number, unit in enumerate(threads)]
    return {
        "traceEvents": [*named, *(complete(each, threads, cycles_per_us) for each in found)],
        "displayTimeUnit": "ns",
        "otherData": {key: metrics[key] for key in ("model", "target", "clock_hz", "cycles", "latency_ms", "versions")},
    }


def event(what: str, thread: int, name: str) -> dict[str, Any]:
    """Return the event that names the process or a thread."""
    return {"ph": "M", "name": what, "pid": 0, "tid": thread, "args": {"name": name}}


def complete(each: Slice, threads: Sequence[str], cycles_per_us: float) -> dict[str, Any]:
    """Return the event of a slice."""
    return {
        "ph": "X",
        "name": each.name,
        "cat": each.arguments.get("op", START_UP),
        "pid": 0,
        "tid": threads.index(each.unit),
        "ts": each.start_cycle / cycles_per_us,
        "dur": each.cycles / cycles_per_us,
        "args": {"start_cycle": each.start_cycle, "cycles": each.cycles, **each.arguments},
    }
