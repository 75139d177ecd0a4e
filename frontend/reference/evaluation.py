"""Evaluate an ONNX graph node by node on exact real numbers."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import onnx
import onnx.inliner

from htvm.dialects.semantics.real import Real
from htvm.reference.movement import joined
from htvm.reference.node import Node
from htvm.reference.operators import value_of
from htvm.reference.qoperators import meaning_of
from htvm.reference.registry import Operator, Value


class UnsupportedOperators(ValueError):
    """The graph has operators whose meaning is not defined here."""


@overload
def evaluate(model: onnx.ModelProto, inputs: Mapping[str, np.ndarray], keep: None = None) -> dict[str, np.ndarray]: ...
@overload
def evaluate(
    model: onnx.ModelProto, inputs: Mapping[str, np.ndarray], keep: Collection[str], exact: Collection[str] = ()
) -> dict[str, np.ndarray | Real]: ...
@overload
def evaluate(
    model: onnx.ModelProto, inputs: Mapping[str, np.ndarray], keep: None = None, *, exact: Collection[str]
) -> dict[str, np.ndarray | Real]: ...
def evaluate(
    model: onnx.ModelProto,
    inputs: Mapping[str, np.ndarray],
    keep: Collection[str] | None = None,
    exact: Collection[str] = (),
) -> Mapping[str, np.ndarray | Real]:
    """Return each output of the graph, and each tensor named in `keep`, for the given inputs.

    Outputs have their ONNX type: integers for quantised outputs, and for float ones the floats nearest to the
    exact real numbers, or `Real` for those named in `exact`. Kept tensors are integer arrays where they are quantised,
    else `Real`.

    A graph whose inputs have batch 1 also takes N samples on axis 0, and returns N results on axis 0.

    Raises UnsupportedOperators, naming all of them and their nodes, and ValueError on inputs that do not fit.
    """
    graph = _Graph.of(onnx.inliner.inline_local_functions(model) if model.functions else model)
    wanted = [output.name for output in graph.outputs]
    wanted += [name for name in keep or () if name not in wanted]
    runs = [graph.run(sample, wanted) for sample in graph.samples(inputs)]
    results = {name: _joined([run[name] for run in runs]) for name in wanted}
    for output in graph.outputs:
        value = results[output.name]
        if isinstance(value, Real) and output.name not in exact:
            double = output.type.tensor_type.elem_type == onnx.TensorProto.DOUBLE
            results[output.name] = value.to_float64() if double else value.to_float32()
    return results


def tensor_names(model: onnx.ModelProto) -> list[str]:
    """Return the names of all tensors that nodes compute, in the order of the graph."""
    return [name for node in model.graph.node for name in node.output if name]


@dataclass(frozen=True)
class _Graph:
    """A graph with everything computed that does not depend on its inputs."""

    inputs: tuple[onnx.ValueInfoProto, ...]
    outputs: tuple[onnx.ValueInfoProto, ...]
    steps: tuple[tuple[Operator, Node, tuple[str, ...]], ...]
    constants: dict[str, Value]

    @staticmethod
    def of(model: onnx.ModelProto) -> "_Graph":
        graph = model.graph
        _check_operators(graph.node)
        opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 1)
        constants = {tensor.name: value_of(onnx.numpy_helper.to_array(tensor)) for tensor in graph.initializer}
        steps: list[tuple[Operator, Node, tuple[str, ...]]] = []
        for proto in graph.node:
            meaning, node, operands = meaning_of(proto), Node.of(proto, opset), tuple(proto.input)
            assert meaning is not None, "checked above"
            if all(name in constants for name in operands if name):
                constants.update(_results(meaning, node, operands, constants))
            else:
                steps.append((meaning, node, operands))
        inputs = tuple(value for value in graph.input if value.name not in constants)
        return _Graph(inputs, tuple(graph.output), tuple(steps), constants)

    def samples(self, inputs: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
        """Split the inputs into samples of the shapes that the graph states."""
        counts = {value.name: _sample_count(value, inputs) for value in self.inputs}
        if len(set(counts.values())) > 1:
            raise ValueError(f"the inputs hold different numbers of samples: {counts}")
        count = max(counts.values(), default=1)
        parts = {name: np.split(inputs[name], count) if count > 1 else [inputs[name]] for name in counts}
        return [{name: parts[name][index] for name in counts} for index in range(count)]

    def run(self, inputs: Mapping[str, np.ndarray], wanted: Sequence[str]) -> dict[str, Value]:
        """Evaluate the graph, dropping each tensor after its last use."""
        values = self.constants | {value.name: value_of(inputs[value.name]) for value in self.inputs}
        uses = Counter(name for _, _, operands in self.steps for name in operands)
        uses.update(wanted)
        for meaning, node, operands in self.steps:
            values.update(_results(meaning, node, operands, values))
            uses.subtract(operands)
            for name in set(operands):
                if name and not uses[name]:
                    del values[name]
        return {name: values[name] for name in wanted}


def _sample_count(value: onnx.ValueInfoProto, inputs: Mapping[str, np.ndarray]) -> int:
    """Return how many samples a graph input holds. Raises ValueError if it is not what the graph states."""
    if value.name not in inputs:
        raise ValueError(f"input '{value.name}' is missing; given: {', '.join(inputs) or 'none'}")
    array, tensor = inputs[value.name], value.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    if array.dtype != dtype:
        raise ValueError(f"input '{value.name}' has type {array.dtype}, expected {dtype}")
    stated = [size.dim_value for size in tensor.shape.dim]  # 0 where the size is a name
    found = list(array.shape)
    count = max(found[0], 1) if found and stated[:1] == [1] else 1
    sample = [found[0] // count, *found[1:]] if found else []
    if len(sample) != len(stated) or any(want not in (0, size) for want, size in zip(stated, sample, strict=True)):
        raise ValueError(f"input '{value.name}' has shape {found}, expected {stated}")
    return count


def _check_operators(nodes: Sequence[onnx.NodeProto]) -> None:
    unknown: dict[str, list[str]] = {}
    for node in nodes:
        if meaning_of(node) is None:
            operator = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            unknown.setdefault(operator, []).append(f"'{node.name or node.output[0]}'")
    if unknown:
        listing = "; ".join(f"{operator} (node {', '.join(names)})" for operator, names in unknown.items())
        raise UnsupportedOperators(f"no reference for {listing}")


def _results(meaning: Operator, node: Node, operands: Sequence[str], values: Mapping[str, Value]) -> dict[str, Value]:
    """Return the results of a node by name, naming the node in the message if that fails."""
    try:
        found = meaning(node, *(values[name] if name else None for name in operands))
        several = [found] if isinstance(found, (Real, np.ndarray)) else found
        return dict(zip(node.outputs, several, strict=False))
    except (ValueError, ZeroDivisionError) as error:
        raise type(error)(f"node '{node.name}' ({node.op_type}-{node.version}): {error}") from error


def _joined(values: Sequence[Value]) -> Value:
    if len(values) == 1:
        return values[0]
    return joined(values, 0)
