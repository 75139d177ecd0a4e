"""report.json: what was generated, for programs to read."""

from __future__ import annotations

from typing import Any

from htvm.backend.targets.soc import Soc
from htvm.dialects import accel

from .program import Port, Program

GENERATOR = "htvm"
"""Marks a folder as written by htvm, so that it may be written again."""


def report(program: Program, soc: Soc, versions: dict[str, str]) -> dict[str, Any]:
    """Return what is written as report.json."""
    arena = program.arena
    return {
        "generator": GENERATOR,
        "versions": versions,
        "name": program.name,
        "model": program.model,
        "target": soc.name,
        "inputs": [port_facts(port) for port in program.inputs],
        "outputs": [port_facts(port) for port in program.outputs],
        "memories": {
            arena.name: {
                "peak_bytes": arena.peak_bytes,
                "lower_bound_bytes": arena.lower_bound_bytes,
                "capacity_bytes": soc.memory(arena.name).size_bytes,
            }
        },
        "constant_bytes": program.shared.constants.size_bytes,
        "scratch_bytes": max((step.scratch_bytes for step in program.steps), default=0),
        "steps": [
            {
                "name": step.node,
                "nodes": accel.nodes(step.layer),
                "op": step.layer.operation.name.removeprefix("accel."),
                "engine": step.engine,
                "macs": step.macs,
                "scratch_bytes": step.scratch_bytes,
            }
            for step in program.steps
        ],
    }


def port_facts(port: Port) -> dict[str, Any]:
    return {
        "name": port.onnx_name,
        "c_name": port.name,
        "onnx_type": port.onnx_type,
        "dtype": port.type.numpy,
        "shape": list(port.shape),
        "offset": port.offset,
        "bytes": port.size_bytes,
        "scale": port.scale,
        "zero_point": port.zero_point,
        "range": port.range,
        "rounding": port.rounding,
    }
