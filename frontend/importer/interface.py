"""The inputs and outputs of a graph: which quantised types they have in the function.

The function's types are always quantised. Where the graph has float32, the attribute accel.interface says so, and the
C can offer floats: an input that a QuantizeLinear rounds, an output that a DequantizeLinear made, or either that holds
integers.
"""

import warnings
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import onnx

from htvm.importer.errors import ModelWarning, Problem, choices_text
from htvm.importer.model import Model
from htvm.importer.node import DependsOnProblem, Node, quantise
from htvm.importer.operators.quantise import parameters
from htvm.importer.operators.shape import MOVES
from htvm.importer.quantisation import ACCUMULATOR, STORAGES, Quantisation, parse_input_type, storage_of
from htvm.importer.values import Constant, Floored, QuantisedConstant, Tensor, Unknown, Value, check_shape

ANY_8_BIT_INTEGER = Quantisation.integers(-128, 255, STORAGES["i16"])
"""What a float32 input without QuantizeLinear is taken to hold: an 8-bit integer of either sign."""


def static_shape(tensor: onnx.TypeProto.Tensor) -> tuple[int, ...]:
    """Return the shape of an ONNX type. Raises Problem if it is not fixed, or no microcontroller's tensor has it."""
    if not tensor.HasField("shape"):
        raise Problem("has no shape, expected a fixed one")
    for axis, size in enumerate(tensor.shape.dim):
        if not size.HasField("dim_value"):
            found = f"'{size.dim_param}'" if size.dim_param else "unknown"
            raise Problem(f"the size of axis {axis} is {found}, expected a number: export the model with fixed shapes")
    shape = tuple(size.dim_value for size in tensor.shape.dim)
    check_shape(shape)
    return shape


def interface_name(value: onnx.ValueInfoProto) -> str:
    """Return the element type that a graph input or output has in ONNX: "int8", "float32", .."""
    return onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name


class Arguments:
    """Finds the quantised types of graph inputs, by looking ahead to the nodes that quantise or dequantise them."""

    def __init__(self, model: Model, values: Mapping[str, Value | Unknown], input_types: Mapping[str, str]) -> None:
        self._model = model
        self._values = values
        self._input_types = input_types
        self._readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in model.graph.node:
            for name in dict.fromkeys(node.input):
                self._readers[name].append(node)
        kinds = {node.op_type for node in model.graph.node}
        self._has_quantisers = not kinds.isdisjoint(("QuantizeLinear", "DequantizeLinear"))

    def quantisation(self, value: onnx.ValueInfoProto) -> Quantisation:
        """Return the quantisation of a graph input. Raises Problem if there is not exactly one."""
        if not value.type.HasField("tensor_type"):
            raise Problem(f"is a {value.type.WhichOneof('value') or 'value without type'}, expected a tensor")
        static_shape(value.type.tensor_type)
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            return self._of_float(value.name)
        try:
            storage = storage_of(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
        except KeyError:
            storage = None
        if storage is None:
            known = choices_text(["float32", *(str(known.dtype) for known in STORAGES.values())])
            found = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()
            raise Problem(f"is {found}, expected {known}")
        self._refuse_input_type(value.name, f"is {storage.dtype}")
        for node in self._ends(value.name):
            if node.proto.op_type == "DequantizeLinear":
                return _parameters(node, storage.dtype)
        return Quantisation.integers(storage.low, storage.high, storage)

    def _of_float(self, name: str) -> Quantisation:
        ends = self._ends(name)
        quantisers = [node for node in ends if node.proto.op_type == "QuantizeLinear"]
        others = [node for node in ends if node.proto.op_type != "QuantizeLinear"]
        if quantisers:
            self._refuse_input_type(name, f"is quantised by node '{quantisers[0].name}'")
            first, *rest = (_parameters(node) for node in quantisers)
            if others:
                raise Problem(
                    f"is quantised by node '{quantisers[0].name}', but node '{others[0].name}' reads it as float32; "
                    "expected one QuantizeLinear before all"
                )
            if any(quantisation != first for quantisation in rest):
                names = choices_text([f"'{node.name}'" for node in quantisers])
                raise Problem(f"is quantised differently by nodes {names}, expected one QuantizeLinear before all")
            return first
        if name in self._input_types:
            return parse_input_type(self._input_types[name])
        if self._has_quantisers and others:
            raise Problem(
                f"is float32 and reaches node '{others[0].name}' without QuantizeLinear; expected one, "
                f"or, if it holds integers, an input type for it such as {name}=u8"
            )
        if others:
            message = f"is float32; it is taken to hold integers from {ANY_8_BIT_INTEGER.low} to "
            message += f"{ANY_8_BIT_INTEGER.high} in 16 bits; an input type such as {name}=u8 makes it smaller"
            warnings.warn(ModelWarning(f"{self._model.label}: input '{name}': {message}"), stacklevel=2)
        return ANY_8_BIT_INTEGER

    def _refuse_input_type(self, name: str, reason: str) -> None:
        if name in self._input_types:
            raise Problem(f"{reason}, expected no input type for it (got '{self._input_types[name]}')")

    def _ends(self, name: str) -> list[Node]:
        """Return the nodes that read a tensor, or elements of it that other nodes have only moved."""
        ends, seen, ahead = [], {name}, [name]
        while ahead:
            moved = ahead.pop()
            for proto in self._readers[moved]:
                if proto.op_type not in MOVES or proto.input[0] != moved:
                    ends.append(Node(proto, self._model.opset, self._values))
                elif proto.output[0] not in seen:
                    seen.add(proto.output[0])
                    ahead.append(proto.output[0])
        return ends


def _parameters(node: Node, stored: np.dtype | None = None) -> Quantisation:
    """Return what a quantising node's scale and zero point say, naming the node if they are wrong."""
    try:
        return parameters(node, stored=stored)
    except Problem as problem:
        raise Problem(f"node '{node.name}': {problem}") from None


def result_of(value: Value | Unknown) -> Tensor:
    """Return the quantised tensor for a graph output. Raises Problem if nothing quantises it."""
    if isinstance(value, Unknown):
        raise DependsOnProblem
    if isinstance(value, Constant | QuantisedConstant):
        raise Problem("is constant, expected a tensor that is computed")
    if isinstance(value, Floored):
        with value.location:
            return quantise(value.tensor, ACCUMULATOR, rounding="floor")
    if value.quantised:
        return value
    if value.grid is None:
        raise Problem(
            "is float32 that nothing quantises, expected a QuantizeLinear and DequantizeLinear before it, "
            "or integer arithmetic"
        )
    with value.value.owner.location:
        return quantise(value, value.grid)
