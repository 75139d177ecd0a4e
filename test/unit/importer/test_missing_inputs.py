"""Inputs that say how elements are moved, where they are computed or not there: said of the node, by their name."""

import numpy as np
import onnx
import pytest
from mlir import ir
from onnx import TensorProto, helper

from htvm import dialects
from htvm.import_onnx import ModelError, import_onnx
from htvm.import_onnx.errors import Problem
from htvm.import_onnx.node import Node
from htvm.import_onnx.operators import operator
from htvm.import_onnx.values import Constant, Unknown, Value

REQUIRED = {
    "Slice": ["starts", "ends"],
    "Tile": ["repeats"],
    "Expand": ["shape"],
    "Unsqueeze": ["axes"],
    "Reshape": ["shape"],
    "Pad": ["pads"],
}
"""Inputs that an operator must have, behind its first one, from opset 13 on."""

OPTIONAL = {"Slice": ["axes", "steps"], "Squeeze": ["axes"], "Split": ["split"]}
"""Inputs that it may have behind those."""


def model_of(kind: str, names: list[str]) -> onnx.ModelProto:
    """Return a node that moves integers, as other integers of the graph say; an empty name is no input."""
    cast = helper.make_node("Cast", ["x"], ["computed"], to=TensorProto.INT64)
    node = helper.make_node(kind, ["x", *(name and "computed" for name in names)], ["y"], "node")
    flatten = helper.make_node("Flatten", ["y"], ["z"])
    x, z = (helper.make_tensor_value_info(name, TensorProto.INT8, shape) for name, shape in (("x", [2]), ("z", "ab")))
    graph = helper.make_graph([cast, node, flatten], "g", [x], [z])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


@pytest.mark.parametrize("kind", sorted(REQUIRED.keys() | OPTIONAL.keys()))
def test_computed_ones_are_refused_by_name(kind: str) -> None:
    names = REQUIRED.get(kind, []) + OPTIONAL.get(kind, [])
    with pytest.raises(ModelError) as caught:
        import_onnx(model_of(kind, names))
    said = [each for each in caught.value.problems if f"node 'node' ({kind}-" in each]
    assert any("is computed, expected a constant" in each for each in said)


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in REQUIRED.items() for name in names])
def test_missing_ones_are_named(kind: str, name: str) -> None:
    """onnx's checker sees to it first; an operator's function does not rely on that."""
    names = [other if other != name else "" for other in REQUIRED[kind]]
    values: dict[str, Value | Unknown] = {"x": Constant(np.zeros((1, 4), np.float32), "x")}
    values |= {other: Constant(np.zeros(1, np.int64), other) for other in names if other}
    node = Node(helper.make_node(kind, ["x", *names], ["y"], "node"), 18, values)
    said = f"{name} is missing"
    with dialects.context(), ir.Location.unknown():
        with ir.InsertionPoint(ir.Module.create().body), pytest.raises(Problem, match=said):
            operator("", kind)(node)
    with pytest.raises(ModelError, match="node 'node'"):
        import_onnx(model_of(kind, names))
