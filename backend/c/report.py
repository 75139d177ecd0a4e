"""report.json: what was generated, for programs to read."""

from __future__ import annotations

from typing import Any

from mlir import ir

from htvm.backend.targets.soc import Soc
from htvm.dialects import accel

from . import values
from .buffers import Place, places, scratch_of
from .commands import root_of
from .program import Port, Program
from .step import Step

GENERATOR = "htvm"
"""Marks a folder as written by htvm, so that it may be written again."""


def report(program: Program, soc: Soc, versions: dict[str, str]) -> dict[str, Any]:
    """Return what is written as report.json."""
    buffers = places(program)
    numbers = {value: number for number, buffer in enumerate(buffers) for value in buffer.values}
    return {
        "generator": GENERATOR,
        "versions": versions,
        "name": program.name,
        "model": program.model,
        "target": soc.name,
        **({"cost_model": soc.cost_model.name} if soc.cost_model else {}),
        "inputs": [port_facts(port) for port in program.inputs],
        "outputs": [port_facts(port) for port in program.outputs],
        "memories": {
            each.name: {
                "planned_peak_bytes": each.peak_bytes,
                "lower_bound_bytes": each.lower_bound_bytes,
                "capacity_bytes": soc.memory(each.name).size_bytes,
            }
            for each in program.memories
        },
        "constant_bytes": program.shared.constants.size_bytes,
        "scratch_bytes": max((step.scratch_bytes for step in program.steps), default=0),
        "buffers": [buffer_facts(buffer) for buffer in buffers],
        "steps": [step_facts(step, numbers) for step in program.steps],
    }


def buffer_facts(buffer: Place) -> dict[str, Any]:
    """Describe a buffer. first, last: the steps between which it is needed, both included. strides: in elements."""
    value = buffer.values[0]
    return {
        "name": buffer.name,
        "kind": buffer.kind,
        "memory": value.type.memory_space.value,
        "offset": buffer.offset,
        "bytes": values.size_bytes(value),
        "dtype": values.element_type(value).numpy,
        "shape": list(values.shape(value)),
        "strides": list(values.strides(value)),
        "first": buffer.first,
        "last": buffer.last,
    }


def step_facts(step: Step, numbers: dict[ir.Value, int]) -> dict[str, Any]:
    """Describe a step.

    reads, writes: numbers of buffers. weight_bytes: its constants, as the model has them, or packed for an accelerator.
    skips: the input element that costs no multiplication, of a step whose time depends on the data. inserted: what a
    step is for that no node of the ONNX file asks for.
    """
    constants = {values.global_name(value) for value in step.layer.operation.operands} - {None} | step.packed
    own = [root_of(step.output)[0], *scratch_of(step)]
    return {
        "name": step.node,
        "nodes": accel.nodes(step.layer),
        "op": step.op,
        "summary": step.summary,
        "engine": step.engine,
        "macs": step.macs,
        **({"skips": step.skips} if step.skips is not None else {}),
        **({"inserted": purpose} if (purpose := accel.inserted(step.layer)) else {}),
        "shape": list(step.shape),
        "scratch_bytes": step.scratch_bytes,
        "weight_bytes": sum(step.shared.data[name].nbytes for name in constants),
        "reads": [numbers[value] for value in step.parameters if value not in own],
        "writes": [numbers[value] for value in own],
        **predicted(step),
    }


def predicted(step: Step) -> dict[str, Any]:
    """Return what predict-cycles says of a step, and what choose-tilings has chosen for a layer on an accelerator."""
    attributes = step.layer.operation.attributes
    facts: dict[str, Any] = {}
    if "accel.predicted_cycles" in attributes:
        facts["predicted_cycles"] = attributes["accel.predicted_cycles"].value
    if "accel.predicted" in attributes:
        tiling = {each.name: each.attr.value if isinstance(each.attr, ir.IntegerAttr) else True
                  for each in attributes["accel.tiling"]}  # fmt: skip
        alone = {each.name: each.attr.value for each in attributes["accel.predicted"]}
        facts |= {"tiling": tiling, "alone_cycles": alone["cycles"], "bound_cycles": alone["bound"]}
    return facts


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
