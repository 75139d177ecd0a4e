"""A module of tosa before it is converted: its inputs get sizes, and fully connected layers the rounding asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from mlir import ir
from mlir.dialects import func
from mlir.passmanager import PassManager

from htvm.dialects.semantics.tosa.functions import input_names, networks
from htvm.dialects.semantics.tosa.reading import literal, users


class TosaError(ValueError):
    """A module that cannot be prepared; the text says why."""


def prepare(module: ir.Module, shapes: Mapping[str, Sequence[int]], tflite_rounding: bool) -> None:
    """Give a module static shapes, and TFLite's rounding if asked. Raises TosaError.

    shapes: of inputs, by name. Without one, an open first axis is the batch, of one sample.
    """
    for function in networks(module):
        set_shapes(function, shapes)
        if tflite_rounding:
            round_once(function)


def set_shapes(function: func.FuncOp, shapes: Mapping[str, Sequence[int]]) -> None:
    """Give inputs static shapes, and infer those of all else."""
    names = input_names(function)
    if unknown := sorted(set(shapes) - set(names)):
        raise TosaError(f"there is no input '{unknown[0]}'; inputs are {', '.join(names)}")
    is_open = False
    for name, argument in zip(names, function.arguments):
        stated = list(ir.ShapedType(argument.type).shape)
        kind = ir.RankedTensorType(argument.type)
        batch = [1 if kind.is_dynamic_dim(0) else stated[0]] if stated else []
        wanted = list(shapes.get(name, [*batch, *stated[1:]]))
        if len(wanted) != len(stated) or any(
            not kind.is_dynamic_dim(axis) and size != stated[axis] for axis, size in enumerate(wanted)
        ):
            raise TosaError(
                f"input '{name}' is {argument.type}, which the shape {'x'.join(map(str, wanted))} does not fit"
            )
        dynamic = [axis for axis, size in enumerate(wanted) if size < 1]
        if dynamic:
            raise TosaError(f"input '{name}' has an open axis {dynamic[0]} ({argument.type}): give --shape {name}=..")
        if wanted != stated:
            is_open = True
            argument.set_type(ir.RankedTensorType.get(wanted, kind.element_type, loc=argument.location))
    if is_open:
        infer(function)


def infer(function: func.FuncOp) -> None:
    """Infer the shapes of all values from those of the arguments."""
    *_, terminator = function.body.blocks[0].operations
    inputs = [argument.type for argument in function.arguments]
    outputs = [value.type for value in terminator.operation.operands]
    function.attributes["function_type"] = ir.TypeAttr.get(ir.FunctionType.get(inputs, outputs))
    try:
        PassManager.parse("func.func(tosa-infer-shapes)", function.context).run(function.operation)
    except ir.MLIRError as error:
        raise TosaError("; ".join(each.message for each in error.error_diagnostics) or error.message) from None
    for place, value in enumerate(terminator.operation.operands):
        cast = value.owner
        if not isinstance(cast, ir.Block) and cast.name == "tensor.cast":  # back to the open shape
            terminator.operation.operands[place] = cast.operands[0]
            cast.erase()
    _state_sizes(list(function.body.blocks[0].operations))
    outputs = [value.type for value in terminator.operation.operands]
    function.attributes["function_type"] = ir.TypeAttr.get(ir.FunctionType.get(inputs, outputs))


def _state_sizes(ops: Sequence[ir.OpView]) -> None:
    """Put the sizes of results that are known now in the place of those that slices and reshapes leave open, -1."""
    places = {"tosa.slice": 2, "tosa.reshape": 1}
    for op in (each.operation for each in ops if each.operation.name in places):
        place = places[op.name]
        source, result = op.operands[place].owner, ir.RankedTensorType(op.results[0].type)
        sizes = None if isinstance(source, ir.Block) else literal(source)
        if sizes is None or (sizes >= 0).all() or not result.has_static_shape:
            continue
        with op.location, ir.InsertionPoint(op):
            values = ir.DenseElementsAttr.get(np.array(result.shape, np.int64), type=ir.IndexType.get())
            kind = op.operands[place].type
            made = ir.Operation.create("tosa.const_shape", results=[kind], attributes={"values": values})
        op.operands[place] = made.results[0]


def round_once(function: func.FuncOp) -> None:
    """Let fully connected layers round once, as TFLite's reference kernels do: those whose weights are a matrix."""
    for op in function.body.blocks[0]:
        if op.operation.name != "tosa.conv2d" or not is_matrix(op.operation.operands[1]):
            continue
        for reader in users(op.operation.results[0]):
            if reader.name == "tosa.rescale" and "DOUBLE_ROUND" in str(reader.attributes["rounding_mode"]):
                with function.context:
                    reader.attributes["rounding_mode"] = ir.Attribute.parse("#tosa.rounding_mode<SINGLE_ROUND>")


def is_matrix(weights: ir.Value) -> bool:
    """Say whether weights are a constant of two axes under the shape of kernels, as those of fully connected layers."""
    source = weights.owner
    if isinstance(source, ir.Block) or source.name != "tosa.reshape":
        return False
    matrix = source.operands[0]
    is_constant = not isinstance(matrix.owner, ir.Block) and literal(matrix.owner) is not None
    return is_constant and ir.ShapedType(matrix.type).rank == 2
