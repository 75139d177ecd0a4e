"""Walk an ONNX graph in order and write each node as accel operations; collect every problem on the way."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from mlir import ir
from mlir.dialects import func

from htvm import dialects
from htvm.dialects import accel
from htvm.import_onnx import quantisation as q
from htvm.import_onnx.errors import ModelError, Problem
from htvm.import_onnx.interface import Argument, Arguments, dtype_of, result_of, static_shape
from htvm.import_onnx.model import ONNX_DOMAINS, Model, read_model
from htvm.import_onnx.node import DependsOnProblem, Node, as_numbers
from htvm.import_onnx.operators import folding, operator
from htvm.import_onnx.values import Constant, Integers, Tensor, Unknown, Value, quantised_type, real_type

MAX_OPERATIONS = 1_200
"""Of the accel dialect, quantisers included: the passes take up to 15 ms for one."""


def import_onnx(
    model: str | os.PathLike[str] | onnx.ModelProto,
    *,
    input_types: Mapping[str, str] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    requant_shift: str = "floor",
    context: ir.Context | None = None,
) -> ir.Module:
    """Return a module of stage 'imported' with one function, named after the model's file (or graph).

    input_types: for float32 inputs that hold integers and have no QuantizeLinear, what they hold: "i8", "u8",
    "i16", "u16", "i32", or a range such as "0..127". The default is -128..255, with a ModelWarning.
    shapes: for inputs with axes of no fixed size, such as the batch, their shapes.
    requant_shift: how RequantShift rounds: "floor", or "half" of div is added first.

    Raises ModelError with all the problems that were found.
    """
    read = read_model(model, shapes, requant_shift)
    if context is None:
        context = dialects.context()
    else:
        dialects.load(context)
    with context, ir.Location.name(read.label):
        return _Import(read, dict(input_types or {})).module()


KNOWN_EARLY = frozenset(
    "Cast Concat Expand Flatten Gather Identity QuantizeLinear Reshape Slice Squeeze Tile Transpose Unsqueeze".split()
)
"""Operators that compute constants from constants, on which scales and zero points may depend."""


class _Import:
    """One run over a model's graph. `values` has what each tensor's name stands for."""

    def __init__(self, model: Model, input_types: dict[str, str]) -> None:
        self.model = model
        self.input_types = input_types
        self.problems: list[str] = []
        self.values: dict[str, Value | Unknown] = {}

    def module(self) -> ir.Module:
        """Return the imported module. Raises ModelError."""
        graph = self.model.graph
        module = ir.Module.create()
        self._read_constants()
        inputs = [value for value in graph.input if value.name not in self.values]
        arguments = self._arguments(inputs)
        with ir.InsertionPoint(module.body):
            function = self._function(inputs, arguments)
        with ir.InsertionPoint(function.entry_block):
            for index, proto in enumerate(graph.node):
                if proto.op_type != "Constant":
                    self._import_node(index, proto)
            results = self._results()
            self._check_size(function)
            if self.problems:
                raise ModelError(self.problems)
            func.ReturnOp(results)
        types = ir.FunctionType.get(function.type.inputs, [result.type for result in results])
        function.attributes["function_type"] = ir.TypeAttr.get(types)
        function.attributes["res_attrs"] = ir.ArrayAttr.get([_interface(value) for value in graph.output])
        self._verify(module)
        return module

    def _report(self, place: str, message: object) -> None:
        self.problems.append(": ".join(part for part in (self.model.label, place, str(message)) if part))

    def _verify(self, module: ir.Module) -> None:
        """Let the verifiers have the last word; what they find is said of the node in its location."""
        context = module.context
        as_before, context.emit_error_diagnostics = context.emit_error_diagnostics, False  # else the error has none
        try:
            module.operation.verify()
        except ir.MLIRError as error:
            for diagnostic in error.error_diagnostics:
                location = diagnostic.location
                name = location.name_str if location.is_a_name() else str(location)
                self._report(f"node '{name}'", diagnostic.message)
            raise ModelError(self.problems) from None
        finally:
            context.emit_error_diagnostics = as_before

    # Constants

    def _read_constants(self) -> None:
        """Read constants before all else: what the inputs are depends on scales and zero points."""
        for tensor in self.model.graph.initializer:
            try:
                self.values[tensor.name] = Constant(onnx.numpy_helper.to_array(tensor), tensor.name)
            except Exception as error:  # numpy_helper raises exceptions of several unrelated types
                self.values[tensor.name] = Unknown()
                self._report(f"initialiser '{tensor.name}'", f"cannot be read: {error}")
        for sparse in self.model.graph.sparse_initializer:
            self._report(f"initialiser '{sparse.values.name}'", "is sparse, expected a dense tensor")
        for index, proto in enumerate(self.model.graph.node):
            if proto.op_type == "Constant":
                self._import_node(index, proto)
        for index, proto in enumerate(self.model.graph.node):
            if proto.op_type in KNOWN_EARLY and index not in self.model.problems:
                self._fold_early(proto)

    def _fold_early(self, proto: onnx.NodeProto) -> None:
        """Compute a node whose inputs are constants; what is wrong with it is said when it is imported."""
        read = [self.values.get(name) for name in proto.input if name]
        if not read or not all(isinstance(value, Constant) for value in read):
            return
        try:
            results = _import(Node(proto, self.model.opset, self.values))
        except (Problem, DependsOnProblem):
            return
        if all(isinstance(value, Constant) for value in results):
            self.values.update(zip(proto.output, results, strict=False))

    # The function

    def _arguments(self, inputs: list[onnx.ValueInfoProto]) -> list[Argument | None]:
        """Return what each graph input becomes, None where there is a problem."""
        look_ahead = Arguments(self.model, self.values, self.input_types)
        found: list[Argument | None] = []
        for value in inputs:
            try:
                found.append(look_ahead.argument(value))
            except Problem as problem:
                self._report(f"input '{value.name}'", problem)
                found.append(None)
            except DependsOnProblem:
                found.append(None)
        names = [value.name for value in inputs]
        for name in sorted(self.input_types.keys() - set(names)):
            self._report("", f"an input type is given for '{name}', the inputs are {', '.join(names) or 'none'}")
        return found

    def _function(self, inputs: list[onnx.ValueInfoProto], arguments: list[Argument | None]) -> func.FuncOp:
        """Write the function with its arguments, and let their names stand for them."""
        known = [(value, argument) for value, argument in zip(inputs, arguments, strict=True) if argument]
        types = [
            quantised_type(static_shape(value.type.tensor_type), argument.quantisation) for value, argument in known
        ]
        function = func.FuncOp(self.model.name, (types, []))
        block = function.add_entry_block([ir.Location.name(value.name) for value, _ in known])
        function.arg_attrs = [_interface(value, argument.rounding) for value, argument in known]
        for (value, argument), written in zip(known, block.arguments, strict=True):
            stored = value.type.tensor_type.elem_type != onnx.TensorProto.FLOAT
            tensor = Tensor(written, argument.quantisation, stored)
            self.values[value.name] = tensor
            if argument.holds:
                ends = argument.quantisation.lowest, argument.quantisation.highest
                self.values[value.name] = Integers(as_numbers(tensor), argument.holds, *ends)
        return function

    def _results(self) -> list[ir.Value]:
        """Return the function's results, quantising those that are not."""
        results: list[ir.Value] = []
        for output in self.model.graph.output:
            try:
                results.append(result_of(self.values.get(output.name, Unknown())).value)
            except Problem as problem:
                self._report(f"output '{output.name}'", problem)
            except DependsOnProblem:
                pass
        return results

    def _check_size(self, function: func.FuncOp) -> None:
        """Report a graph without outputs, and one of more operations than a network for a microcontroller has."""
        if not self.model.graph.output:
            self._report("", "has no outputs, expected at least one")
        count = sum(op.operation.name.startswith("accel.") for op in function.entry_block.operations)
        if count > MAX_OPERATIONS:
            self._report("", f"becomes {count:,} operations, expected at most {MAX_OPERATIONS:,}")

    # Nodes

    def _import_node(self, index: int, proto: onnx.NodeProto) -> None:
        """Let the outputs of a node stand for what its operator's function makes of it."""
        node = Node(proto, self.model.opset, self.values)
        results: list[Value] = []
        with node.location:
            try:
                if index in self.model.problems:
                    raise Problem(self.model.problems[index])
                results = _import(node)
            except Problem as problem:
                self._report(_place(node), problem)
            except DependsOnProblem:
                pass
            for place, name in enumerate(proto.output):
                self.values[name] = results[place] if place < len(results) else self._stand_in(proto, name)

    def _stand_in(self, proto: onnx.NodeProto, name: str) -> Tensor | Unknown:
        """Return a tensor to go on with after a node with a problem, if its type and shape are known to onnx."""
        tensor = self.model.tensors.get(name)
        if tensor is None or all(isinstance(self.values.get(read), Constant) for read in proto.input if read):
            return Unknown()
        try:
            shape, dtype = static_shape(tensor), dtype_of(tensor)
        except Problem:
            return Unknown()
        stored = dtype != np.float32
        grid = q.integers(dtype) if stored else q.ACCUMULATOR
        type_ = quantised_type(shape, grid) if stored else real_type(shape)
        value = ir.Operation.create("builtin.unrealized_conversion_cast", results=[type_]).result
        return Tensor(value, grid, stored)


def _import(node: Node) -> list[Value]:
    """Return a node's outputs: computed if its inputs are known, else what its operator's function makes of it.

    Raises Problem if there is none.
    """
    folded = folding.folded(node)
    if folded is not None:
        return folded
    result = operator(node.proto.domain, node.proto.op_type)(node)
    results = result if isinstance(result, list) else [result]
    node.check_all_read(len(results))
    return results


def _place(node: Node) -> str:
    """Return how messages name a node: node 'Softmax_42' (Softmax-13)."""
    kind = node.proto.op_type
    if node.proto.domain not in ONNX_DOMAINS or not onnx.defs.has(kind, node.opset, ""):
        return f"node '{node.name}' ({kind})"
    return f"node '{node.name}' ({kind}-{onnx.defs.get_schema(kind, node.opset, '').since_version})"


def _interface(value: onnx.ValueInfoProto, rounding: str = "half_even") -> ir.DictAttr:
    """Return what the function says of an argument or result: its name and type in ONNX, how floats are rounded."""
    dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    texts = {"accel.name": value.name, "accel.interface": dtype.name}
    facts: dict[str, ir.Attribute] = {key: ir.StringAttr.get(text) for key, text in texts.items()}
    if rounding != accel.Rounding.HALF_EVEN:
        facts["accel.rounding"] = accel.RoundingAttr.get(rounding)
    return ir.DictAttr.get(facts)
