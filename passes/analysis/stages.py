"""In which stage is a module? Told from the IR alone, so that text, bytecode and modules of other tools can continue.

imported -> integer -> dispatched -> scheduled -> tiled -> planned
"""

from __future__ import annotations

from collections.abc import Iterator

from mlir import ir
from mlir.dialects import func, quant

from htvm.dialects import accel

STAGES: tuple[str, ...] = ("imported", "integer", "dispatched", "scheduled", "tiled", "planned")
"""The stages, in their order."""


def stage_of(module: ir.Module | ir.Operation) -> str | None:
    """Return the stage of a module: the earliest of its functions; None if no function is htvm's.

    A stage is what the IR has, not what it should have: `verify-stage` says whether its promises hold.
    """
    found = [possible_stages(function)[0] for function in accel.functions(module)]
    return min(found, key=STAGES.index) if found else None


def is_in(stages: tuple[str, ...], module: ir.Module | ir.Operation) -> bool:
    """Say whether a module has functions of htvm's, and all of them are in one of some stages."""
    found = [possible_stages(function) for function in accel.functions(module)]
    return bool(found) and all(set(each) & set(stages) for each in found)


def possible_stages(function: func.FuncOp) -> tuple[str, ...]:
    """Return the stages that one of htvm's functions may be in, in their order.

    Two where nothing tells them apart: where the user pinned every layer to an engine, or where there is no layer.
    """
    types = [value.type for value in _values(function)]
    if any(isinstance(each, ir.MemRefType) for each in types):
        return ("planned",) if _is_placed(function) else ("tiled",)
    if "accel.order" in function.attributes:
        return ("scheduled",)
    if any(_is_real(each) for each in types):
        return ("imported",)
    if "accel.placement" in function.attributes:
        return ("dispatched",)
    layers = [op for op in accel.operations(function) if accel.is_layer(op)]
    return ("integer", "dispatched") if all(layer.engine is not None for layer in layers) else ("integer",)


def _values(function: func.FuncOp) -> Iterator[ir.Value]:
    """Yield the arguments of a function and the results of its layers."""
    yield from function.arguments
    for op in function.body.blocks[0]:
        if op.operation.name.startswith(("accel.", "quant.")):
            yield from op.operation.results


def _is_placed(function: func.FuncOp) -> bool:
    """Say whether all arguments and buffers have offsets."""
    buffers = [op for op in function.body.blocks[0] if isinstance(op, accel.BufferOp)]
    attributes = ir.ArrayAttr(function.attributes["arg_attrs"]) if "arg_attrs" in function.attributes else ()
    arguments = [ir.DictAttr(each) for each in attributes]
    placed = [each for each in arguments if "accel.offset" in each]
    return len(placed) == len(function.arguments) and all(buffer.offset is not None for buffer in buffers)


def _is_real(value_type: ir.Type) -> bool:
    """Say whether elements are quantised values or real numbers, which no stage but the first has."""
    if not isinstance(value_type, ir.ShapedType):
        return False
    element = value_type.element_type
    return isinstance(element, quant.QuantizedType | ir.F32Type | ir.F64Type | ir.F16Type)
