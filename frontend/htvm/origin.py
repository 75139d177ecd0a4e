"""Where a project comes from: the ONNX file, and the tensor of it that each step computes."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import onnx

from htvm.backend.c.record import ModelOrigin, OutputOrigin, Source, StepOrigin
from htvm.options import CompileOptions
from htvm.project import Project


def with_origin(
    project: Project,
    model: onnx.ModelProto,
    options: CompileOptions,
) -> Project:
    """Return a project whose report.json says which model it is of, and how its tensors flow from step to step.

    options: what the user said of its inputs, and of RequantShift. Each step has the ONNX `tensor` that it makes, and
    `sources`: the steps, or the names of inputs, whose tensors it reads; each result of the network has its source.

    The hash is of the model as onnx serialises it: equal for a file and for what was read from it.
    """
    report = project.report
    origin = ModelOrigin(
        sha256=hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest(),
        input_types=dict(options.input_types),
        shapes={name: tuple(shape) for name, shape in options.shapes.items()},
        requant_shift="half" if options.requant_shift == "half" else None,
    )
    flow = _Flow.of(model, [step.nodes for step in report.steps])
    steps = tuple(
        replace(step, origin=StepOrigin(tensor(step.nodes, model), flow.sources(number)))
        for number, step in enumerate(report.steps)
    )
    outputs = tuple(replace(port, origin=OutputOrigin(flow.source(port.name))) for port in report.outputs)
    return replace(project, report=replace(report, origin=origin, outputs=outputs, steps=steps))


@dataclass(frozen=True)
class _Flow:
    """Which step computes what. makers: the node of each tensor; owners: the steps of each node, in order."""

    inputs: frozenset[str]
    makers: Mapping[str, onnx.NodeProto]
    owners: Mapping[str, list[int]]

    @staticmethod
    def of(model: onnx.ModelProto, nodes: Sequence[Collection[str]]) -> _Flow:
        owners: dict[str, list[int]] = {}
        for number, names in enumerate(nodes):
            for each in names:
                owners.setdefault(each, []).append(number)
        constants = {each.name for each in model.graph.initializer}
        makers = {made: node for node in model.graph.node for made in node.output}
        return _Flow(frozenset(each.name for each in model.graph.input) - constants, makers, owners)

    def sources(self, step: int) -> tuple[Source, ...]:
        """Return what a step reads; a node that several steps compute flows from each to the next."""
        inside = [node for node in self.makers.values() if step in self.owners.get(name(node), ())]
        found: list[Source] = []
        for node in inside:
            before = [each for each in self.owners[name(node)] if each < step]
            found += before[-1:] or (source for each in node.input for source in self._behind(each, step))
        return tuple(dict.fromkeys(found))

    def source(self, output: str) -> Source | None:
        """Return the step that makes an output of the network, or the input that it is."""
        return next(self._behind(output, None), None)

    def _behind(self, tensor_name: str, step: int | None) -> Iterator[Source]:
        """Yield where a tensor comes from; nodes that are in no step only pass on what they read."""
        seen, ahead = {tensor_name}, [tensor_name]
        while ahead:
            each = ahead.pop()
            if each in self.inputs:
                yield each
            elif each in self.makers:
                node = self.makers[each]
                owners = self.owners.get(name(node), ())
                others = [other for other in owners if other != step]
                if others and step not in owners:
                    yield others[-1]
                elif not owners:
                    ahead += [read for read in dict.fromkeys(reversed(node.input)) if read not in seen]
                    seen.update(node.input)


def tensor(nodes: Collection[str], model: onnx.ModelProto) -> str | None:
    """Return the tensor that some nodes compute together: the output of the last of them; None if there are none."""
    return next((node.output[0] for node in reversed(model.graph.node) if name(node) in nodes), None)


def name(node: onnx.NodeProto) -> str:
    """Return what the importer calls a node."""
    return node.name or f"{node.op_type}:{node.output[0]}"
