"""A Relax function as an ONNX graph: what htvm's importer reads, node by node, named as the values in Relax are.

A dequantize or quantize becomes DequantizeLinear or QuantizeLinear, a layer between them the operator of ONNX that
means the same in real numbers. What has no such operator, or has one that means something else, is refused with a
`NotConvertible` that names the value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tvm import ir, relax, tirx

OPSET = 17
"""Of the graphs: the reductions still have their axes as attributes."""

ELEMENTS = {
    "int8": TensorProto.INT8,
    "uint8": TensorProto.UINT8,
    "int16": TensorProto.INT16,
    "uint16": TensorProto.UINT16,
    "int32": TensorProto.INT32,
    "float32": TensorProto.FLOAT,
}

Value = str | tuple[str, ...]
"""What a Relax value is in the graph: the name of a tensor, or those of a tuple's."""


class NotConvertible(Exception):
    """Relax that has no ONNX of the same meaning; the message says what was found, and what is taken."""


def shape_of(value: ir.Expr) -> tuple[int, ...]:
    """Return the sizes of a tensor. Raises NotConvertible if one is not a number."""
    sizes = value.ty.shape
    if sizes is None or not all(isinstance(size, tirx.IntImm) or type(size) is int for size in sizes):
        raise NotConvertible(f"the shape is {sizes}, expected fixed sizes")
    return tuple(int(size) for size in sizes)


def dtype_of(value: ir.Expr) -> str:
    """Return the type of a tensor's elements, such as "int8"."""
    return str(value.ty.dtype)


def array_of(constant: ir.Constant) -> np.ndarray:
    """Return what a constant holds."""
    return np.ascontiguousarray(constant.value.numpy())


Converter = Callable[["Graph", "Layer"], Value]
"""Writes a call of one operator of Relax. Raises NotConvertible."""


@dataclass
class Graph:
    """A graph being written.

    converters: by the name of Relax's operators, without `relax.`. names: what each Relax variable is here. arrays: the
    constants by name.
    """

    converters: Mapping[str, Converter]
    nodes: list[onnx.NodeProto] = field(default_factory=list[onnx.NodeProto])
    arrays: dict[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])
    names: dict[relax.Var, Value] = field(default_factory=dict[relax.Var, Value])

    def model(self, function: relax.Function, name: str) -> onnx.ModelProto:
        """Return a function as a model. Raises NotConvertible, naming the value, and for an ill-formed graph."""
        inputs = [self.port(f"input{number}", parameter) for number, parameter in enumerate(function.params)]
        for port, parameter in zip(inputs, function.params):
            self.names[parameter] = port.name
        found = self.body(function)
        results = (found,) if isinstance(found, str) else found
        kinds = [function.ret_ty] if isinstance(found, str) else list(function.ret_ty.fields)
        outputs = [
            self.port(self.node("Identity", [result], f"output{number}"), relax.Var(result, kind))
            for number, (result, kind) in enumerate(zip(results, kinds))
        ]
        nodes = needed(self.nodes, [port.name for port in outputs])
        read = {each for node in nodes for each in node.input}
        arrays = [numpy_helper.from_array(array, each) for each, array in self.arrays.items() if each in read]
        inputs = [port for port in inputs if port.name in read]  # AllocateWorkspace adds one that nothing reads
        graph = helper.make_graph(nodes, name, inputs, outputs, arrays)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        try:
            onnx.checker.check_model(model, full_check=True)  # pyright: ignore[reportUnknownMemberType]
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise NotConvertible(f"as ONNX it is not well-formed: {str(error).strip().splitlines()[0]}") from None
        return model

    def port(self, name: str, value: ir.Expr) -> onnx.ValueInfoProto:
        """Return an input or output of the graph. Raises NotConvertible for a type that ONNX's graphs here lack."""
        if dtype_of(value) not in ELEMENTS:
            raise NotConvertible(f"the type is {dtype_of(value)}, expected one of {', '.join(ELEMENTS)}")
        return helper.make_tensor_value_info(name, ELEMENTS[dtype_of(value)], shape_of(value))

    def body(self, function: relax.Function) -> Value:
        """Write the bindings of a function, whose parameters have names; return its result."""
        local: dict[relax.Var, relax.Function] = {}
        for block in function.body.blocks:
            for binding in block.bindings:
                value = binding.value
                if isinstance(value, relax.Function):
                    local[binding.var] = value
                elif isinstance(value, relax.Call) and isinstance(value.op, relax.Var):
                    inner = local[value.op]
                    for parameter, argument in zip(inner.params, value.args):
                        self.names[parameter] = self.value(argument)
                    self.names[binding.var] = self.body(inner)
                else:
                    self.names[binding.var] = self.bound(value, binding.var)
        return self.value(function.body.body)

    def bound(self, value: ir.Expr, var: relax.Var) -> Value:
        """Write what a variable is bound to. Raises NotConvertible, naming the variable."""
        if not isinstance(value, relax.Call):
            return self.value(value)
        if not isinstance(value.op, ir.Op):
            raise NotConvertible(f"'{var.name}' calls {value.op}, expected an operator of Relax")
        kind = value.op.name.removeprefix("relax.")
        if kind not in self.converters:
            raise NotConvertible(f"'{var.name}' is {value.op.name}, which htvm takes in no form")
        try:
            return self.converters[kind](self, Layer(value, var.name))
        except NotConvertible as error:
            raise NotConvertible(f"'{var.name}' ({value.op.name}): {error}") from None

    def value(self, expression: ir.Expr) -> Value:
        """Return what a variable, constant, tuple or element of one is here."""
        if isinstance(expression, ir.Constant):
            return self.constant(array_of(expression))
        if isinstance(expression, relax.Tuple):
            return tuple(self.tensor(each) for each in expression.fields)
        if isinstance(expression, relax.TupleGetItem):
            return self.value(expression.tuple_value)[expression.index]
        if isinstance(expression, relax.Var):
            return self.names[expression]
        raise NotConvertible(f"{type(expression).__name__} is no tensor")

    def tensor(self, expression: ir.Expr) -> str:
        """Return the name of a tensor."""
        found = self.value(expression)
        if not isinstance(found, str):
            raise NotConvertible("a tuple is read, expected a tensor")
        return found

    def constant(self, array: np.ndarray) -> str:
        """Return the name of a new constant."""
        name = f"constant{len(self.arrays)}"
        self.arrays[name] = np.asarray(array)
        return name

    def node(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Add a node with one output; return the output, which has the node's name if that is free."""
        taken = {each for node in self.nodes for each in node.output}
        output = name if name not in taken else f"{name}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def origin(self, name: str) -> onnx.NodeProto | None:
        """Return the node that gives a tensor."""
        return next((node for node in self.nodes if name in node.output), None)


@dataclass(frozen=True)
class Layer:
    """A call of a Relax operator, and the name of the variable that it is bound to."""

    call: relax.Call
    name: str

    @property
    def args(self) -> Sequence[ir.Expr]:
        return self.call.args

    @property
    def attrs(self) -> Any:
        """The attributes, of the operator's own class."""
        return self.call.attrs

    def ints(self, attribute: str) -> list[int]:
        """Return an attribute that is a list of integers."""
        return [int(each) for each in getattr(self.attrs, attribute)]

    def expect(self, attribute: str, *wanted: str) -> None:
        """Raise NotConvertible if an attribute is not as wanted."""
        found = str(getattr(self.attrs, attribute))
        if found not in wanted:
            raise NotConvertible(f"{attribute} is {found}, expected {' or '.join(wanted)}")

    def numbers(self, argument: int) -> np.ndarray:
        """Return an argument that is a constant tensor. Raises NotConvertible if it is computed."""
        found = self.args[argument]
        if not isinstance(found, ir.Constant):
            raise NotConvertible(f"argument {argument} is computed, expected a constant")
        return array_of(found)


def needed(nodes: Sequence[onnx.NodeProto], outputs: Sequence[str]) -> list[onnx.NodeProto]:
    """Return the nodes that some outputs need, in the same order."""
    wanted, kept = set(outputs), list[onnx.NodeProto]()
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= set(node.input)
            kept.append(node)
    return kept[::-1]
