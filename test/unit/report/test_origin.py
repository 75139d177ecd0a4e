"""How tensors flow from step to step: past nodes that no step computes, and through those that several do."""

import onnx
from onnx import TensorProto, helper

from htvm.backend.c.record import PortPlan, Report, Rounding, StepOrigin, StepPlan
from htvm.options import CompileOptions
from htvm.origin import with_origin
from htvm.project import Project


def value(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [4])


def step(*nodes: str) -> StepPlan:
    return StepPlan(
        name=nodes[0],
        nodes=nodes,
        op="add",
        summary="",
        engine="host",
        macs=0,
        shape=(4,),
        scratch_bytes=0,
        weight_bytes=0,
        reads=(),
        writes=(0,),
    )


def output(name: str) -> PortPlan:
    return PortPlan(name, name, "float32", "int8", (4,), 0, 4, 1.0, 0, None, Rounding.HALF_EVEN)


def report(steps: tuple[StepPlan, ...], outputs: tuple[PortPlan, ...]) -> Report:
    return Report(
        versions={},
        name="net",
        model="net",
        target="rv32",
        inputs=(),
        outputs=outputs,
        memories={},
        constant_bytes=0,
        scratch_bytes=0,
        buffers=(),
        steps=steps,
    )


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
    steps = tuple(step(*names) for names in (["first"], ["split"], ["split", "inside"], ["last"]))
    project = Project({}, report(steps, tuple(output(name) for name in OUTPUTS)))
    joined = with_origin(project, helper.make_model(graph), CompileOptions()).report
    assert [each.origin for each in joined.steps] == [
        StepOrigin("a", ("x",)),
        StepOrigin("c", (0,)),
        StepOrigin("d", (1,)),
        StepOrigin("y", (2, 0)),
    ]
    assert [port.origin.source for port in joined.outputs] == [3, "x"]
    assert joined.origin is not None and len(joined.origin.sha256) == 64
