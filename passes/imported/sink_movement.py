"""sink-movement: work on single elements before moving them.

    %1 = accel.pool2d %x : (..) -> tensor<1x64x1x1xf32>
    %2 = accel.reshape %1 : (tensor<1x64x1x1xf32>) -> tensor<1x64xf32>
    %3 = accel.quantize %2 : (tensor<1x64xf32>) -> tensor<1x64x!quant.uniform<i8:f32, 0.5:3>>
    ==>
    %1 = accel.pool2d %x : (..) -> tensor<1x64x1x1xf32>
    %2 = accel.quantize %1 : (tensor<1x64x1x1xf32>) -> tensor<1x64x1x1x!quant.uniform<i8:f32, 0.5:3>>
    %3 = accel.reshape %2 : (tensor<1x64x1x1x!quant..>) -> tensor<1x64x!quant.uniform<i8:f32, 0.5:3>>

Stage    imported -> imported
Reads    reshape, transpose, take, concat, pad, max and min pooling of real numbers, and the element-wise operation
         behind them
Writes   the two in the other order
Needs    nothing; before fold-arithmetic and fuse-epilogues, which look for arithmetic right behind a layer
Fails    never: movement that something else reads stays, and integerize says what it cannot do
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, prod
from typing import ClassVar

import numpy as np
from mlir import ir
from mlir.dialects import arith
from mlir.passmanager import ExternalPass

from htvm.dialects import accel, quantisation
from htvm.dialects.quantisation import Quantisation

MOVEMENTS = (accel.Moves, accel.PadOp, accel.Pool2dOp)


@dataclass(frozen=True)
class SinkMovement:
    """Move data after the element-wise operations on it."""

    name: ClassVar[str] = "sink-movement"
    stages: ClassVar[tuple[str, ...]] = ("imported",)

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        for op in list(accel.layers(module)):
            if isinstance(op, (accel.Monotone, accel.Arithmetic, accel.UnaryOp)):
                with op.location:
                    sink(op)


def sink(op: accel.Layer) -> None:
    """Exchange an element-wise operation and the movement before it, as often as there is one."""
    found = _operands(op)
    q = Quantisation.of(accel.output(op))
    if found is None or (q is not None and q.axis is not None):
        return
    index, constant = found
    movement = accel.producer(op.operation.operands[index])
    if not isinstance(movement, MOVEMENTS):
        return
    inputs = list(movement.operation.operands)
    real = [value for value in inputs if Quantisation.of(value) is None]
    if Quantisation.of(accel.output(movement)) is not None or not real or not exchangeable(movement, op):
        return
    with ir.InsertionPoint(movement):
        moved_constant = None if constant is None else before(movement, constant)
        if constant is not None and moved_constant is None:
            return
        parts = [_applied(op, value, index, moved_constant) for value in inputs]
    with ir.InsertionPoint(op):
        moved = _moved(movement, op, list(map(accel.output, parts)))
    accel.output(op).replace_all_uses_with(moved)
    op.operation.erase()
    if not list(accel.output(movement).uses):
        movement.operation.erase()
    for part in parts:
        sink(part)


def exchangeable(movement: accel.Layer, op: accel.Layer) -> bool:
    """Say whether an element-wise operation gives the same before a movement; its constant is not looked at."""
    if isinstance(movement, accel.Pool2dOp):
        return movement.kind.value in accel.EXTREMES and isinstance(op, accel.Monotone)
    if isinstance(movement, accel.PadOp):  # its number must be what the operation makes of it
        return isinstance(op, accel.QuantizeOp | accel.Bounds)
    return True


def before(movement: accel.Layer, constant: ir.Value) -> ir.Value | None:
    """Build the constant that fits what a movement reads, for one that fits what it makes; None if there is none."""
    shape = list(ir.RankedTensorType(accel.output(movement).type).shape)
    sizes = list(ir.RankedTensorType(constant.type).shape)
    sizes = [1] * (len(shape) - len(sizes)) + sizes
    varying = [axis for axis, size in enumerate(sizes) if size > 1]
    if not varying:
        return _reshaped(constant, [], None)
    old = list(ir.RankedTensorType(movement.operation.operands[0].type).shape)
    axis = _axis_before(movement, varying[0], shape, old) if len(varying) == 1 else None
    if axis is None:
        return None
    return _reshaped(constant, [sizes[varying[0]] if i == axis else 1 for i in range(len(old))], axis)


def _axis_before(movement: accel.Layer, axis: int, new: list[int], old: list[int]) -> int | None:
    """Return which axis of what a movement reads becomes `axis`."""
    if isinstance(movement, accel.TransposeOp):
        return list(movement.permutation)[axis]
    if isinstance(movement, accel.TakeOp):
        return axis if accel.indices_of(movement)[axis] is None else None
    if isinstance(movement, accel.ReshapeOp):
        for index, size in enumerate(old):
            if size == new[axis] and prod(old[:index]) == prod(new[:axis]):
                return index
    return None


def _reshaped(constant: ir.Value, shape: list[int], axis: int | None) -> ir.Value | None:
    """Build a constant with another shape; `axis` is where it varies."""
    q = Quantisation.of(constant)
    if q is None:
        source = accel.producer(constant)
        assert isinstance(source, arith.ConstantOp), "what is constant and has no quantisation"
        numbers = np.array(source.value).reshape(shape)
        element = ir.RankedTensorType(constant.type).element_type
        attribute = ir.DenseElementsAttr.get(numbers, type=ir.RankedTensorType.get(shape, element))
        return arith.ConstantOp(attribute.type, attribute).result
    if q.axis is not None and (axis is None or len(q.scales) != shape[axis]):
        return None
    stored = accel.present(quantisation.stored(constant), "constant")
    return quantisation.constant(stored.reshape(shape), q if q.axis is None else replace(q, axis=axis))


def _operands(op: accel.Layer) -> tuple[int, ir.Value | None] | None:
    """Return which operand varies, and the constant if there is another; None if both vary."""
    operands = list(op.operation.operands)
    if len(operands) == 1:
        return 0, None
    constant = [index for index, value in enumerate(operands) if _is_constant(value)]
    varying = ir.RankedTensorType(operands[1 - constant[0]].type).shape if len(constant) == 1 else None
    if varying is None or list(varying) != list(ir.RankedTensorType(accel.output(op).type).shape):
        return None
    return 1 - constant[0], operands[constant[0]]


def _is_constant(value: ir.Value) -> bool:
    return isinstance(accel.producer(value), arith.ConstantOp) or quantisation.stored(value) is not None


def _applied(op: accel.Layer, value: ir.Value, index: int, constant: ir.Value | None) -> accel.Layer:
    """Build an element-wise operation like `op` on another value."""
    shape = ir.RankedTensorType(value.type).shape
    operands = [value] if constant is None else [value, constant] if index == 0 else [constant, value]
    element = ir.RankedTensorType(accel.output(op).type).element_type
    made = ir.Operation.create(
        op.operation.name,
        results=[ir.RankedTensorType.get(shape, element)],
        operands=operands,
        attributes={name: attribute for name, attribute in op.operation.attributes.items()},
        loc=op.location,
    ).opview
    assert accel.is_layer(made), op.operation.name
    return made


def _moved(movement: accel.Layer, op: accel.Layer, operands: Sequence[ir.Value]) -> ir.Value:
    """Build a movement like `movement` of what `op` makes."""
    attributes = {name: attribute for name, attribute in movement.operation.attributes.items()}
    if isinstance(movement, accel.PadOp):
        low, high = accel.ends(op) if isinstance(op, accel.Bounds) else (-inf, inf)
        number = min(max(movement.value.value, low), high)
        attributes["value"] = ir.FloatAttr.get_f64(number)
        if isinstance(op, accel.QuantizeOp) and op.rounding is not None:
            attributes["rounding"] = op.rounding
    return ir.Operation.create(
        movement.operation.name,
        results=[accel.output(op).type],
        operands=operands,
        attributes=attributes,
        loc=movement.location,
    ).result
