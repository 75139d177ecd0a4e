"""The functions of a module that have operations of tosa, and what their inputs and outputs are called."""

from __future__ import annotations

from mlir import ir
from mlir.dialects import func

from htvm.dialects import accel

from .reading import is_tosa


def networks(module: ir.Module | ir.Operation) -> list[func.FuncOp]:
    """Return the functions with operations of tosa, without private ones: layers call those."""
    found = [op for op in module.operation.regions[0].blocks[0] if isinstance(op, func.FuncOp) and not op.is_external]
    return [each for each in found if not accel.is_private(each) and any(is_tosa(op) for op in each.body.blocks[0])]


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
