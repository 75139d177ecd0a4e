"""The functions of a module that are networks of tosa, and what their inputs and outputs are called."""

from __future__ import annotations

from mlir import ir
from mlir.dialects import func

from htvm.dialects import accel

from .reading import is_tosa

INTEGER_DIALECTS = ("arith.", "linalg.", "math.", "tensor.", "scf.")
"""Dialects beside tosa whose operations on integers are called as functions."""


def networks(module: ir.Module | ir.Operation) -> list[func.FuncOp]:
    """Return the functions with operations of tosa, without private ones: layers call those.

    If there is none, and no layer either, return those with operations of other dialects on tensors.
    """
    found = [op for op in module.operation.regions[0].blocks[0] if isinstance(op, func.FuncOp) and not op.is_external]
    public = [each for each in found if not accel.is_private(each)]
    of_tosa = [each for each in public if any(is_tosa(op) for op in each.body.blocks[0])]
    if of_tosa or any(op.operation.name.startswith("accel.") for each in found for op in each.body.blocks[0]):
        return of_tosa
    return [each for each in public if is_of_tensors(each)]


def is_of_tensors(function: func.FuncOp) -> bool:
    """Say whether a function computes tensors of tensors, by operations that can be called."""
    types = [*function.type.inputs, *function.type.results]
    names = [op.operation.name for op in function.body.blocks[0]]
    return (
        bool(function.type.results)
        and all(isinstance(each, ir.RankedTensorType) for each in types)
        and any(name.startswith(INTEGER_DIALECTS) for name in names)
    )


def input_names(function: func.FuncOp) -> list[str]:
    """Return what a function's inputs are called: by attributes of the accel dialect, or TensorFlow's, or arg0, .."""
    return _names(function, "arg_attrs", "inputs", "arg", len(function.arguments))


def output_names(function: func.FuncOp) -> list[str]:
    """Return the same for the results."""
    return _names(function, "res_attrs", "outputs", "result", len(function.type.results))


def _names(function: func.FuncOp, key: str, entry: str, otherwise: str, count: int) -> list[str]:
    names = [f"{otherwise}{number}" for number in range(count)]
    attributes = function.attributes
    if "tf.entry_function" in attributes:  # TensorFlow's converters write it
        stated = ir.DictAttr(attributes["tf.entry_function"])
        listed = str(ir.StringAttr(stated[entry]).value).split(",") if entry in stated else []
        names[: len(listed)] = listed[:count]
    if key in attributes:
        for number, each in enumerate(map(ir.DictAttr, ir.ArrayAttr(attributes[key]))):
            if "accel.name" in each:
                names[number] = ir.StringAttr(each["accel.name"]).value
    return names
