"""How tensors flow from step to step: past nodes that no step computes, and through those that several do."""

import json

import onnx
from onnx import TensorProto, helper

from htvm.origin import with_origin
from htvm.project import Project


def value(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [4])


NODES = [
    helper.make_node("Relu", ["x"], ["a"], "first"),
    helper.make_node("Identity", ["a"], ["b"], "nothing"),
    helper.make_node("Add", ["b", "w"], ["c"], "split"),
    helper.make_node("Relu", ["c"], ["d"], "inside"),
    helper.make_node("Add", ["d", "a"], ["y"], "last"),
]
OUTPUTS = ("y", "x")


def test_flow() -> None:
    constant = helper.make_tensor("w", TensorProto.FLOAT, [4], [0.0] * 4)
    graph = helper.make_graph(NODES, "net", [value("x")], [value(name) for name in OUTPUTS], [constant])
    steps = [{"nodes": names} for names in (["first"], ["split"], ["split", "inside"], ["last"])]
    report = {"steps": steps, "outputs": [{"name": name} for name in OUTPUTS]}
    made = with_origin(Project({"report.json": json.dumps(report)}), helper.make_model(graph), {}, {}).report
    assert [step["sources"] for step in made["steps"]] == [["x"], [0], [1], [2, 0]]
    assert [step["tensor"] for step in made["steps"]] == ["a", "c", "d", "y"]
    assert [port["source"] for port in made["outputs"]] == [3, "x"]
