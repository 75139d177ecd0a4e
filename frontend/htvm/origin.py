"""Where a project comes from: the ONNX file, and the tensor of it that each step computes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence

import onnx

from htvm.project import REPORT, Project


def with_origin(
    project: Project,
    model: onnx.ModelProto,
    input_types: Mapping[str, str],
    shapes: Mapping[str, Sequence[int]],
) -> Project:
    """Return a project whose report.json says which model it is of, and names the tensor that each step makes.

    input_types, shapes: what the user said of its inputs.

    The hash is of the model as onnx serialises it: equal for a file and for what was read from it.
    """
    origin = {
        "sha256": hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest(),
        "input_types": dict(input_types),
        "shapes": {name: list(shape) for name, shape in shapes.items()},
    }
    steps = [{**step, "tensor": tensor(step["nodes"], model)} for step in project.report["steps"]]
    report = {**project.report, "origin": origin, "steps": steps}
    return Project({**project.files, REPORT: json.dumps(report, indent=1) + "\n"})


def tensor(nodes: Collection[str], model: onnx.ModelProto) -> str | None:
    """Return the tensor that some nodes compute together: the output of the last of them; None if there are none."""
    return next((node.output[0] for node in reversed(model.graph.node) if name(node) in nodes), None)


def name(node: onnx.NodeProto) -> str:
    """Return what the importer calls a node."""
    return node.name or f"{node.op_type}:{node.output[0]}"
