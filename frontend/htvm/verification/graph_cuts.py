"""Smaller models out of a larger one: parts of the graph, fewer channels, fewer rows and columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference
from onnx.helper import tensor_dtype_to_np_dtype

from htvm.backend.files import write_file
from htvm.dialects.semantics.real import Real
from htvm.import_onnx import onnx_files
from htvm.options import CompileOptions
from htvm.reference import evaluate
from htvm.verification.cuttable import Cut, Inputs, halves

GraphCut = tuple[onnx.ModelProto | None, Inputs]
"""A smaller model, or None where onnx finds it wrong, and its inputs."""


@dataclass(frozen=True)
class OnnxGraph:
    """A model of ONNX, with its shapes in it."""

    model: onnx.ModelProto

    @property
    def suffix(self) -> str:
        return ".onnx"

    @property
    def size(self) -> int:
        return len(self.model.graph.node)

    def options(self, options: CompileOptions, inputs: Inputs | None) -> CompileOptions:
        """Say of inputs that nothing quantises what they hold."""
        if inputs is None:
            return replace(options, shapes={})
        quantised = {name for node in self.model.graph.node if node.op_type == "QuantizeLinear" for name in node.input}
        types = {
            name: options.input_types.get(name) or _input_type(values)
            for name, values in inputs.items()
            if name not in quantised
        }
        return replace(options, input_types={name: kind for name, kind in types.items() if kind}, shapes={})

    def values(self, inputs: Inputs) -> dict[str, np.ndarray]:
        names = cut_tensors(self.model)
        values = _stored(evaluate(self.model, inputs, keep=names))
        return {name: values[name] for name in names if name in values}

    def part(self, known: Inputs, output: str, inputs: Inputs) -> Cut:
        return _wrapped(cut(self.model, known, output, inputs))

    def fewer_channels(self, inputs: Inputs) -> Iterator[Cut]:
        return map(_wrapped, keep_channels(self.model, inputs))

    def smaller_inputs(self, inputs: Inputs) -> Iterator[Cut]:
        return map(_wrapped, keep_inputs(self.model, inputs))

    def any_inputs(self) -> Inputs:
        constants = {tensor.name for tensor in self.model.graph.initializer}
        tensors = {value.name: value.type.tensor_type for value in self.model.graph.input}
        return {
            name: np.ones([size.dim_value for size in tensor.shape.dim], tensor_dtype_to_np_dtype(tensor.elem_type))
            for name, tensor in tensors.items()
            if name not in constants
        }

    def write(self, path: Path) -> None:
        write_file(path, self.model.SerializeToString())


def _wrapped(found: GraphCut) -> Cut:
    model, inputs = found
    return None if model is None else OnnxGraph(model), inputs


def _input_type(values: np.ndarray) -> str | None:
    """Return what a float32 input is taken to hold that nobody has said it of: i8, if that holds the values."""
    return "i8" if values.dtype == np.float32 and np.abs(values).max(initial=0) < 128 else None


def _stored(values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the tensors that can be inputs: quantised ones; if there are none, those that hold small integers."""
    arrays = {name: value for name, value in values.items() if not isinstance(value, Real)}
    quantised = {name: array for name, array in arrays.items() if array.dtype.kind in "iu"}
    if quantised:
        return quantised
    exact = {name: value.exact() for name, value in values.items() if name not in arrays}
    return {
        name: numbers.astype(np.float32)
        for name, numbers in exact.items()
        if all(each.denominator == 1 and -128 <= each <= 255 for each in numbers.flat)
    }


def cut_tensors(model: onnx.ModelProto) -> list[str]:
    """Return the tensors that depend on inputs, in the order of the graph: where it may be cut."""
    known = {value.name for value in model.graph.input} - {tensor.name for tensor in model.graph.initializer}
    found: list[str] = []
    for node in model.graph.node:
        if known.intersection(node.input):
            known.update(node.output)
            found += [name for name in node.output if name]
    return found


def cut(model: onnx.ModelProto, known: Inputs, output: str, inputs: Inputs) -> GraphCut:
    """Return the part of a model between the tensors whose values are known and an output; None if it has no node."""
    made_by = {name: node for node in model.graph.node for name in node.output}
    wanted = [output]
    needed: list[onnx.NodeProto] = []
    given: dict[str, np.ndarray] = {}
    while wanted:
        name = wanted.pop()
        if name in known and name != output:
            given[name] = known[name]
        elif name in made_by:
            node = made_by[name]
            if node not in needed:
                needed.append(node)
                wanted += [each for each in node.input if each]
        elif name in inputs:
            given[name] = inputs[name]
    if not needed:
        return None, {}
    nodes = [node for node in model.graph.node if node in needed]
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        model.graph.name,
        [_value(name, array) for name, array in given.items()],
        [helper.make_empty_tensor_value_info(output)],
        [tensor for tensor in model.graph.initializer if tensor.name in used],
    )
    return _checked(model, graph), given


def keep_channels(model: onnx.ModelProto, inputs: Inputs) -> Iterator[GraphCut]:
    """Yield the model with the first and the second half of the output channels of its only convolution."""
    arrays = _constants(model)
    kernels = [array for array in arrays.values() if array.ndim == 4]
    if len(kernels) == 1:
        channels = len(kernels[0])
        for half in halves(channels):
            fewer = {
                name: array[half] if array.ndim in (1, 4) and len(array) == channels else array
                for name, array in arrays.items()
            }
            yield _with(model, fewer, inputs), inputs


def keep_inputs(model: onnx.ModelProto, inputs: Inputs) -> Iterator[GraphCut]:
    """Yield the model with halves of its input channels, rows and columns, if they are as many in all maps."""
    arrays = _constants(model)
    for axis in (1, 2, 3):
        sizes = {array.shape[axis] for array in inputs.values() if array.ndim == 4}
        if len(sizes) == 1:
            for half in halves(*sizes):
                part = (slice(None),) * axis + (half,)
                fewer = {name: array[part] if array.ndim == 4 else array for name, array in inputs.items()}
                of_axis = {name: array[part] for name, array in arrays.items() if axis == 1 and array.ndim == 4}
                yield _with(model, arrays | of_axis, fewer), fewer


def _constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def _with(model: onnx.ModelProto, arrays: Inputs, inputs: Inputs) -> onnx.ModelProto | None:
    """Return a model with other initialisers and inputs of other shapes; what is between is inferred anew."""
    graph = helper.make_graph(
        list(model.graph.node),
        model.graph.name,
        [_value(name, array) for name, array in inputs.items()],
        [helper.make_empty_tensor_value_info(output.name) for output in model.graph.output],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in arrays.items()],
    )
    return _checked(model, graph)


def _value(name: str, array: np.ndarray) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)


def _checked(model: onnx.ModelProto, graph: onnx.GraphProto) -> onnx.ModelProto | None:
    """Return the graph as a model, with the types of its outputs; None if onnx finds it wrong."""
    made = helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)
    try:
        made = shape_inference.infer_shapes(made, check_type=True, strict_mode=True)
        onnx_files.check(made)
    except (onnx.checker.ValidationError, shape_inference.InferenceError):
        return None
    types = {value.name: value for value in made.graph.value_info}
    for number, output in enumerate(made.graph.output):
        if not output.type.HasField("tensor_type") and output.name in types:
            made.graph.output[number].CopyFrom(types[output.name])
    del made.graph.value_info[:]
    return made
