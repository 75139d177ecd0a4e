"""One ONNX node as the function that imports its operator sees it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from mlir import ir

from htvm.dialects import accel
from htvm.dialects.quantisation import Quantisation, reinterpret
from htvm.import_onnx import quantisation as q
from htvm.import_onnx.errors import Problem
from htvm.import_onnx.values import (
    Constant,
    Integers,
    QuantisedConstant,
    Rounded,
    Tensor,
    Unknown,
    Value,
    emit_quantised,
    emit_real,
    quantised_type,
    real_type,
)


class DependsOnProblem(Exception):
    """The node reads a tensor of a node that has a problem."""


class Node:
    """The attributes and inputs of a node, and how to write operations at its location."""

    def __init__(
        self,
        proto: onnx.NodeProto,
        opset: int,
        values: Mapping[str, Value | Unknown],
        operands: Sequence[Value | None] | None = None,
    ) -> None:
        """values: what tensors' names stand for. operands: what the inputs are, if not what their names say."""
        self.proto = proto
        self.opset = opset
        self._values = values
        self._operands = operands
        self._attributes = {attribute.name: attribute for attribute in proto.attribute}
        self._unread = set(self._attributes)

    def with_operands(
        self, operator: str, operands: Sequence[Value], names: Sequence[str], opset: int | None = None
    ) -> "Node":
        """Return a node of another operator on other inputs, with the attributes that nobody has read yet."""
        proto = onnx.NodeProto(op_type=operator, name=self.name, input=names, output=self.proto.output)
        proto.attribute.extend(self._attributes[name] for name in sorted(self._unread))
        self._unread.clear()
        return Node(proto, opset or self.opset, self._values, operands)

    @property
    def name(self) -> str:
        """The name in the file; a node without one is called after its operator and first output."""
        return self.proto.name or f"{self.proto.op_type}:{next(iter(self.proto.output), '')}"

    @cached_property
    def location(self) -> ir.Location:
        return ir.Location.name(self.name)

    # Attributes

    def has_attribute(self, name: str) -> bool:
        return name in self._attributes

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute's value; a list for those with several, str for text."""
        self._unread.discard(name)
        if name not in self._attributes:
            return default
        if self._attributes[name].ref_attr_name:
            raise Problem(f"{name} is an attribute of a function ('{self._attributes[name].ref_attr_name}')")
        value = onnx.helper.get_attribute_value(self._attributes[name])
        return value.decode(errors="replace") if isinstance(value, bytes) else value

    def expect(self, name: str, wanted: Any) -> None:
        """Raise Problem if an attribute is there and has another value than the one that is supported."""
        found = self.attribute(name, wanted)
        if found != wanted:
            raise Problem(f"{name} is {found}, expected {wanted}")

    def ignore(self, *names: str) -> None:
        """Say that these attributes do not matter."""
        self._unread.difference_update(names)

    def check_all_read(self, outputs: int = 1) -> None:
        """Raise Problem on attributes that the operator's function never asked for, and outputs it does not make."""
        if self._unread:
            raise Problem("; ".join(f"attribute '{name}' is not supported" for name in sorted(self._unread)))
        for index, name in enumerate(self.proto.output):
            if index >= outputs and name:
                raise Problem(f"output {index} ('{name}') is not supported")

    # Inputs

    def __len__(self) -> int:
        """The number of inputs, without omitted ones at the end."""
        return max((index + 1 for index, name in enumerate(self.proto.input) if name), default=0)

    def has(self, index: int) -> bool:
        return index < len(self.proto.input) and bool(self.proto.input[index])

    def input_name(self, index: int) -> str:
        """Return the name of an input. Raises Problem if it is missing."""
        if not self.has(index):
            raise Problem(f"input {index} is missing")
        return self.proto.input[index]

    def value(self, index: int) -> Value:
        """Return an input as it is."""
        if self._operands is not None:
            value = self._operands[index]
        else:
            value = self._values.get(self.input_name(index), Unknown())
        if value is None:
            raise Problem(f"input {index} is missing")
        if isinstance(value, Unknown):
            raise DependsOnProblem
        return value

    def is_constant(self, index: int) -> bool:
        if self._operands is not None:
            return isinstance(self._operands[index], Constant)
        return isinstance(self._values.get(self.proto.input[index]), Constant)

    def constants(self) -> list[Constant] | None:
        """Return all inputs if they are known arrays, else None."""
        values = [self.value(index) for index in range(len(self)) if self.has(index)]
        known = [value for value in values if isinstance(value, Constant)]
        return known if known and len(known) == len(values) else None

    def array(self, index: int, what: str) -> np.ndarray:
        """Return an input that must be known; the numbers it means, if it is quantised."""
        value = self.value(index)
        if isinstance(value, Constant):
            return value.array
        if isinstance(value, QuantisedConstant):
            return q.numbers(value.quantisation, value.stored)
        raise Problem(f"{what} ('{self.proto.input[index]}') is computed, expected a constant")

    def number(self, index: int, what: str) -> float:
        """Return an input that must be one known number."""
        array = self.array(index, what)
        if array.size != 1:
            raise Problem(f"{what} has {array.size} numbers, expected 1")
        return float(array.reshape(()))

    def bound(self, index: int, name: str) -> float | None:
        """Return a number that is an input or, in other versions of the operator, an attribute."""
        return self.number(index, name) if self.has(index) else self.attribute(name)

    def integers(self, index: int, name: str) -> list[int] | None:
        """Return a list of integers that is an input or, in other versions of the operator, an attribute."""
        if not self.has(index):
            return self.attribute(name)
        array = self.array(index, name)
        if array.dtype.kind not in "iu" or array.ndim > 1:
            raise Problem(f"{name} is {array.dtype} of rank {array.ndim}, expected a list of int64")
        return array.reshape(-1).tolist()

    def given_integers(self, index: int, name: str) -> list[int]:
        """Return a list of integers as `integers` does. Raises Problem if it is missing."""
        found = self.integers(index, name)
        if found is None:
            raise Problem(f"{name} is missing")
        return found

    def axes(self, index: int, rank: int) -> list[int] | None:
        """Return the input or attribute `axes`, counted from the first axis of `rank`."""
        axes = self.integers(index, "axes")
        return None if axes is None else [axis_of(axis, rank, "axes holds") for axis in axes]

    def tensor(self, index: int) -> Tensor:
        """Return an input that holds real numbers, written into the function if it is constant."""
        tensor = self.any_tensor(index)
        if tensor.stored:
            found = f"input '{self.proto.input[index]}' is {q.storage(tensor.quantisation)}"
            raise Problem(f"{found}, expected float32 (from DequantizeLinear)")
        return tensor

    def any_tensor(self, index: int) -> Tensor:
        """Return an input that holds real numbers or stored integers."""
        value = self.value(index)
        if isinstance(value, Constant):
            return emit_real(value)
        if isinstance(value, QuantisedConstant):
            return emit_quantised(value.signed())
        if isinstance(value, Rounded):
            return settled(value)
        return stored_integers(value.numbers, value.dtype) if isinstance(value, Integers) else value

    # Outputs

    def emit(
        self,
        op: Callable[..., ir.Value],
        shape: Sequence[int],
        *operands: Any,
        grid: Quantisation | None = None,
        **attributes: Any,
    ) -> Tensor:
        """Write an accel operation whose result has real numbers, all of which `grid` can store."""
        return Tensor(op(real_type(tuple(shape)), *operands, **attributes), grid)

    def emit_move(
        self,
        op: Callable[..., ir.Value],
        shape: Sequence[int],
        inputs: Sequence[Tensor],
        *operands: Any,
        **attributes: Any,
    ) -> Tensor:
        """Write an operation whose result holds elements of its inputs.

        ONNX has them on real numbers and on stored integers; here they always are on real numbers, so that
        both forms become the same.
        """
        grids = {tensor.grid for tensor in inputs}
        grid = grids.pop() if len(grids) == 1 else None
        moved = self.emit(op, shape, *operands, grid=grid, **attributes)
        if not any(tensor.stored for tensor in inputs):
            return moved
        if grid is None:
            raise Problem("its inputs are quantised with different scales or zero points")
        return Tensor(quantise(moved, grid).value, grid, stored=True)


def quantise(tensor: Tensor, quantisation: Quantisation, rounding: str | None = None) -> Tensor:
    """Round a tensor to a quantised type; a tensor that has this type already stays as it is."""
    type_ = quantised_type(tensor.shape, quantisation)
    if type_ == tensor.value.type:
        return tensor
    how = None if rounding is None else accel.Rounding(rounding)
    return Tensor(accel.quantize(type_, tensor.value, rounding=how), quantisation)


def meaning(stored: Tensor, quantisation: Quantisation) -> Tensor:
    """Return the numbers that stored integers mean in a quantisation."""
    if quantisation.same_numbers(stored.quantisation):
        return Tensor(stored.value, stored.grid)
    return Tensor(reinterpret(stored.value, quantisation), quantisation)


def settle(rounded: Rounded) -> Tensor:
    """Write integers that are rounded, in the smallest storage for their bounds; without bounds in 32 bits."""
    if rounded.dtype and rounded.lowest < 0:
        raise Problem(
            f"divides {rounded.dtype} that may be negative, which rounds towards zero; expected Clip or Relu to 0 or "
            "more behind it, or Cast to float32 before it and Floor behind it"
        )
    reach = q.ACCUMULATOR.lowest, q.ACCUMULATOR.highest
    if rounded.tensor.quantised and rounded.tensor.quantisation.axis is None:
        grid = rounded.tensor.quantisation
        numbers = [grid.scale * (end - grid.zero_point) for end in (grid.lowest, grid.highest)]
        reach = max(reach[0], math.floor(numbers[0])), min(reach[1], math.ceil(numbers[1]))
    lowest, highest = (int(min(max(end, rounded.lowest), rounded.highest)) for end in reach)
    if lowest >= highest:
        raise Problem(f"is clamped to the one value {lowest}, expected a range")
    with rounded.location:
        grid = q.integers(q.storage_for(lowest, highest), lowest, highest)
        return quantise(rounded.tensor, grid, rounded.rounding)


def settled(rounded: Rounded) -> Tensor:
    """Write integers that are rounded; what ONNX has as integers is stored as them."""
    numbers = settle(rounded)
    return stored_integers(numbers, rounded.dtype) if rounded.dtype else numbers


def as_numbers(x: Tensor) -> Tensor:
    """Return stored integers as numbers, with the range that they have."""
    return meaning(x, replace(x.quantisation, scales=(1.0,), zero_points=(0,)))


def stored_integers(numbers: Tensor, dtype: np.dtype) -> Tensor:
    """Write real numbers that are integers as stored integers of a type."""
    grid = q.integers(dtype)
    return Tensor(quantise(numbers, grid).value, grid, stored=True)


def axis_of(axis: int, rank: int, what: str = "axis is") -> int:
    """Return an axis counted from the first of `rank`. Raises Problem if there is no such axis."""
    if not -rank <= axis < rank:
        raise Problem(f"{what} {axis}, expected {-rank} to {rank - 1}")
    return axis % rank
