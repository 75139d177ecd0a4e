"""The facts by which kernels from outside decide about layers that are neither conv2d nor dense."""

from __future__ import annotations

from mlir import ir

from htvm.backend.kernels import Layer, Tensor
from htvm.backend.kernels.requant import Requant
from htvm.backend.kernels.spec import Attribute
from htvm.dialects import accel
from htvm.dialects.text_enum import TextEnum

from . import layout

TABLES = ("table", "starts", "values", "scale", "bias", "constants")
"""Operands that are constants of an operation, which no kernel has as an input."""


def read(layer: accel.Layer) -> Layer:
    """Return the facts of a layer on tensors."""
    attributes = {name: fact(each) for name, each in layer.operation.attributes.items() if "." not in name}
    found = {name: value for name, value in attributes.items() if value is not None}
    if "requant" in layer.operation.attributes:
        found["requant"] = Requant.of(layer).form
    held: list[object] = [getattr(layer, name, None) for name in TABLES]
    tables = [each for each in held if each is not None]
    inputs = tuple(tensor(each) for each in layer.operation.operands if each not in tables)
    return Layer(accel.op_name(layer), inputs, tensor(accel.output(layer)), found)


def tensor(value: ir.Value) -> Tensor:
    """Return the facts of an operand or a result."""
    kind = ir.RankedTensorType(value.type)
    return Tensor(tuple(kind.shape), tuple(layout.strides(kind)), str(kind.element_type))


def fact(attribute: ir.Attribute) -> Attribute | None:
    """Return an attribute as a number, numbers or a word; None for others."""
    match attribute:
        case ir.BoolAttr() | ir.StringAttr():
            return attribute.value
        case ir.IntegerAttr():
            return attribute.value
        case ir.DenseI64ArrayAttr():
            return tuple(attribute)
        case _:
            value = getattr(attribute, "value", None)
            return str(value) if isinstance(value, TextEnum) else None
