"""The inputs and outputs of a graph: which quantised types they have in the function.

The types of arguments are always quantised. Where the graph has float32, the attribute accel.interface says so,
and the C can offer floats: an input that a QuantizeLinear rounds, an output that a DequantizeLinear made, or
either that holds integers. An output that nothing quantises is returned as a real number.
"""

import math
import warnings
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import onnx
from mlir import ir

from htvm.dialects import accel
from htvm.dialects.quantisation import Quantisation
from htvm.import_onnx import quantisation as q
from htvm.import_onnx.errors import ModelWarning, Problem, choices_text
from htvm.import_onnx.model import Model
from htvm.import_onnx.node import DependsOnProblem, Node, quantise, settled, stored_integers
from htvm.import_onnx.operators.elementwise import BOUNDS, ROUNDINGS, bounds
from htvm.import_onnx.operators.qoperators import meaning_of_input
from htvm.import_onnx.operators.quantise import parameters
from htvm.import_onnx.operators.shape import JOINS, MOVES
from htvm.import_onnx.values import Constant, Integers, QuantisedConstant, Rounded, Tensor, Unknown, Value, check_shape

INDEX_TYPES = (onnx.TensorProto.INT64, onnx.TensorProto.INT32)
"""Of integers that index, as ONNX's Gather takes them."""

INDEX_MOVES = frozenset(("Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"))
"""Between an input and what it indexes."""

UNSIGNED = {onnx.TensorProto.UINT8: np.dtype(np.uint8), onnx.TensorProto.UINT16: np.dtype(np.uint16)}
"""Types of integers to which Cast rounds floats down, as it rounds towards zero."""

ANY_8_BIT_INTEGER = q.integers(np.dtype(np.int16), -128, 255)
"""What a float32 input without QuantizeLinear is taken to hold: an 8-bit integer of either sign."""


def static_shape(tensor: onnx.TypeProto.Tensor) -> tuple[int, ...]:
    """Return the shape of an ONNX type. Raises Problem if it is not fixed or not possible."""
    if not tensor.HasField("shape"):
        raise Problem("has no shape, expected one with a number for each axis")
    for axis, size in enumerate(tensor.shape.dim):
        if not size.HasField("dim_value"):
            found = f"axis {axis} has size '{size.dim_param}'" if size.dim_param else f"axis {axis} has no size"
            raise Problem(f"{found}, expected a number")
    shape = tuple(size.dim_value for size in tensor.shape.dim)
    check_shape(shape)
    return shape


def _check_sizes(value: onnx.ValueInfoProto) -> None:
    """Raise Problem on an input whose shape is not fixed, and say how to fix it."""
    tensor = value.type.tensor_type
    try:
        static_shape(tensor)
    except Problem as problem:
        if all(size.HasField("dim_value") for size in tensor.shape.dim) and tensor.HasField("shape"):
            raise
        sizes = [str(size.dim_value) if size.HasField("dim_value") else "?" for size in tensor.shape.dim]
        if sizes[:1] == ["?"]:  # usually the batch
            sizes[0] = "1"
        option = f"--shape {value.name}={'x'.join(sizes) or '..'}"
        wanted = f"give the input's shape ({option}), or export the model with fixed ones"
        raise Problem(f"{problem}: {wanted}") from None


def dtype_of(tensor: onnx.TypeProto.Tensor) -> np.dtype:
    """Return the element type of an ONNX type: float32 or a storage. Raises Problem on others."""
    known = (np.dtype(np.float32), *q.STORAGES.values())
    for dtype in known:
        if onnx.helper.np_dtype_to_tensor_dtype(dtype) == tensor.elem_type:
            return dtype
    numbers = onnx.TensorProto.DataType
    found = numbers.Name(tensor.elem_type).lower() if tensor.elem_type in numbers.values() else "unknown"
    raise Problem(f"is {found}, expected {choices_text(map(str, known))}")


@dataclass(frozen=True)
class Argument:
    """What a graph input becomes.

    rounding: how floats are rounded to it, if the graph has floats. holds: the type of the graph's integers, where
    `quantisation` is of fewer of them.
    """

    quantisation: Quantisation
    rounding: str = "half_even"
    holds: np.dtype | None = None


class Arguments:
    """Finds the quantised types of graph inputs by looking ahead to the nodes that quantise or dequantise them."""

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

    def argument(self, value: onnx.ValueInfoProto) -> Argument:
        """Return what a graph input becomes. Raises Problem if it is quantised in no way, or in several."""
        if not value.type.HasField("tensor_type"):
            raise Problem(f"is a {value.type.WhichOneof('value') or 'value without type'}, expected a tensor")
        _check_sizes(value)
        if (rows := self._rows(value)) is not None:
            self._refuse_input_type(value.name, "indexes a table")
            return Argument(q.integers(q.storage_for(0, rows - 1, ("u8", "u16", "i32")), 0, rows - 1))
        dtype = dtype_of(value.type.tensor_type)
        if dtype == np.float32:
            return self._of_float(value.name)
        for name, node in self._named_ends(value.name, through=MOVES | JOINS):
            grid = _parameters(node, dtype) if node.proto.op_type == "DequantizeLinear" else None
            if grid := grid or meaning_of_input(node, name, dtype):
                self._refuse_input_type(value.name, f"is {dtype}, quantised by node '{node.name}'")
                return Argument(grid)
        return self._of_integers(value.name, dtype)

    def _rows(self, value: onnx.ValueInfoProto) -> int | None:
        """Return the rows of the smallest table that an integer input indexes, if it does nothing else."""
        if value.type.tensor_type.elem_type not in INDEX_TYPES:
            return None
        found: list[int] = []
        for name, node in self._named_ends(value.name, INDEX_MOVES):
            table = node.proto.input[0]
            if node.proto.op_type != "Gather" or name == table or list(node.proto.input).index(name) != 1:
                return None
            known = self._values.get(table)
            if isinstance(known, Constant | QuantisedConstant):
                shape = known.shape
            elif table in self._model.tensors:
                shape = tuple(size.dim_value for size in self._model.tensors[table].shape.dim)
            else:
                return None
            axis: int = node.attribute("axis", 0)
            if not -len(shape) <= axis < len(shape) or shape[axis] < 2:
                return None
            found.append(shape[axis])
        return min(found, default=None)

    def _of_integers(self, name: str, dtype: np.dtype) -> Argument:
        """Return what an input of integers holds: all of its type, or those of them that the user says."""
        limits = np.iinfo(dtype)
        if name in self._input_types:
            given = q.from_text(self._input_types[name])
            if not limits.min <= given.lowest <= given.highest <= limits.max:
                raise Problem(f"is {dtype}, expected an input type within it (got '{self._input_types[name]}')")
            return Argument(given, holds=dtype)
        if limits.bits > 16:
            message = f"is {dtype} and may hold any; an input type such as {name}=u8 makes it smaller"
            warnings.warn(ModelWarning(f"{self._model.label}: input '{name}': {message}"), stacklevel=2)
        return Argument(q.integers(dtype))

    def _of_float(self, name: str) -> Argument:
        """Return what the graph's QuantizeLinear or Floor makes of an input, or what integers it holds."""
        ends = self._ends(name, through=MOVES)
        quantisers = [node for node in ends if node.proto.op_type == "QuantizeLinear"]
        others = [node for node in ends if node.proto.op_type != "QuantizeLinear"]
        if quantisers:
            self._refuse_input_type(name, f"is quantised by node '{quantisers[0].name}'")
            return Argument(_one_quantisation(quantisers, others))
        if name in self._input_types:
            return Argument(q.from_text(self._input_types[name]))
        rounded = [self._rounded(node) for node in others]
        if rounded and all(argument == rounded[0] for argument in rounded) and rounded[0]:
            return rounded[0]
        if self._has_quantisers and others:
            raise Problem(
                f"is float32 and reaches node '{others[0].name}' without QuantizeLinear, expected one "
                f"(or, if it holds integers, an input type such as {name}=u8)"
            )
        if others:
            lowest, highest = ANY_8_BIT_INTEGER.lowest, ANY_8_BIT_INTEGER.highest
            message = f"is float32 and taken to hold integers from {lowest} to {highest}, in 16 bits"
            hint = f"an input type such as {name}=u8 makes it smaller"
            text = f"{self._model.label}: input '{name}': {message}; {hint}"
            warnings.warn(ModelWarning(text), stacklevel=2)
        return Argument(ANY_8_BIT_INTEGER)

    def _rounded(self, node: Node) -> Argument | None:
        """Return what [Div or Mul ->] Floor or Round -> bounds, of which `node` is the first, make of an input.

        Cast to integers that have no sign is such a Floor.
        """
        try:
            if node.proto.op_type == "Cast":
                dtype = UNSIGNED.get(node.attribute("to"))
                return Argument(q.integers(dtype), "floor") if dtype else None
            scale = 1.0
            if node.proto.op_type in ("Div", "Mul"):
                factor = node.number(1, "factor")
                if not (math.isfinite(factor) and factor > 0):
                    return None
                scale = factor if node.proto.op_type == "Div" else 1 / factor
                if not q.SMALLEST_SCALE <= scale <= q.LARGEST_SCALE or (
                    node.proto.op_type == "Mul" and Fraction(scale) * Fraction(factor) != 1
                ):
                    return None
                following = self._only_reader(node)
                if following is None:
                    return None
                node = following
            if node.proto.op_type not in ROUNDINGS:
                return None
            rounding, low, high = ROUNDINGS[node.proto.op_type], -math.inf, math.inf
            while (following := self._only_reader(node)) and following.proto.op_type in BOUNDS:
                node = following
                _, *limits = bounds(node)
                low, high = (min(max(bound, limits[0]), limits[1]) for bound in (low, high))
            if not low < high or not low.is_integer() or not high.is_integer():
                return None
            grid = q.integers(q.storage_for(int(low), int(high)), int(low), int(high))
        except (Problem, DependsOnProblem):  # said when the node is imported
            return None
        return Argument(replace(grid, scales=(scale,)), rounding)

    def _only_reader(self, node: Node) -> Node | None:
        """Return the node that reads another's output, if it is one."""
        readers = self._readers[node.proto.output[0]]
        return Node(readers[0], self._model.opset, self._values) if len(readers) == 1 else None

    def _refuse_input_type(self, name: str, reason: str) -> None:
        if name in self._input_types:
            raise Problem(f"{reason}, expected no input type for it (got '{self._input_types[name]}')")

    def _ends(self, name: str, through: frozenset[str]) -> list[Node]:
        """Return the nodes that read a tensor, or what operators of `through` make of it."""
        return [node for _, node in self._named_ends(name, through)]

    def _named_ends(self, name: str, through: frozenset[str]) -> list[tuple[str, Node]]:
        """Return the nodes that read a tensor, or what operators of `through` make of it, and what they read."""
        ends: list[tuple[str, Node]] = []
        seen, ahead = {name}, [name]
        while ahead:
            moved = ahead.pop()
            for proto in self._readers[moved]:
                is_moved = moved == proto.input[0] or proto.op_type == "Concat"
                if proto.op_type not in through or not is_moved:
                    ends.append((moved, Node(proto, self._model.opset, self._values)))
                    continue
                ahead += [output for output in proto.output if output not in seen]
                seen.update(proto.output)
        return ends


def _one_quantisation(quantisers: list[Node], others: list[Node]) -> Quantisation:
    """Return the quantisation of an input that `quantisers` read, and `others` should not."""
    found, wanted = f"is quantised by node '{quantisers[0].name}'", "expected one QuantizeLinear before all"
    if others:
        raise Problem(f"{found}, but node '{others[0].name}' reads it as float32; {wanted}")
    first, *rest = (_parameters(node) for node in quantisers)
    for node, quantisation in zip(quantisers[1:], rest, strict=True):
        if quantisation != first:
            raise Problem(f"{found}, and differently by node '{node.name}'; {wanted}")
    return first


def _parameters(node: Node, stored: np.dtype | None = None) -> Quantisation:
    """Return what a quantising node's scale and zero point say, naming the node if they are wrong."""
    try:
        return parameters(node, stored)
    except Problem as problem:
        raise Problem(f"node '{node.name}': {problem}") from None


def result_of(value: Value | Unknown) -> Tensor:
    """Return the tensor for a graph output: quantised, or real where nothing quantises it. Raises Problem."""
    if isinstance(value, Unknown):
        raise DependsOnProblem
    if isinstance(value, Constant | QuantisedConstant):
        raise Problem("is constant, expected a tensor that is computed")
    if isinstance(value, Rounded):
        return settled(value)
    if isinstance(value, Integers):
        return stored_integers(value.numbers, value.dtype)
    if value.quantised or value.grid is None:
        return value
    source = accel.producer(value.value)
    with source.location if source is not None else ir.Location.unknown():
        return quantise(value, value.grid)
