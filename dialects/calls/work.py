"""How much a called function does: what its cycles are estimated from."""

from __future__ import annotations

from math import prod

from mlir import ir
from mlir.dialects import func

PER_ELEMENT = 8
"""Operations on numbers that one operation on tensors becomes, of each element: its loop, loads and stores included."""

FREE = ("arith.constant", "scf.yield", "linalg.yield", "func.return", "tosa.const", "tosa.const_shape", "tensor.empty")


def operations(function: func.FuncOp) -> int:
    """Return about how many operations on numbers a call executes. function: on tensors, or lowered to loops.

    What is executed under a condition counts as if it always were, and a loop of unknown length as one round.
    """
    return _within(function.operation, 1)


def _within(op: ir.Operation, times: int) -> int:
    total = 0
    for region in op.regions:
        for block in region.blocks:
            for inner in (each.operation for each in block.operations):
                if inner.name in FREE:
                    continue
                shaped = [ir.ShapedType(each.type) for each in inner.results if isinstance(each.type, ir.ShapedType)]
                elements = max((prod(each.shape) for each in shaped if each.has_static_shape), default=0)
                total += times * (elements * PER_ELEMENT or 1)
                total += _within(inner, times * (_rounds(inner) if inner.name == "scf.for" else max(elements, 1)))
    return total


def _rounds(loop: ir.Operation) -> int:
    """Return how often the body of a loop is executed."""
    bounds = [_number(value) for value in list(loop.operands)[:3]]
    first, end, step = (0 if each is None else each for each in bounds)
    return 1 if None in bounds or step < 1 else max(0, -(-(end - first) // step))


def _number(value: ir.Value) -> int | None:
    """Return a constant index; None for what is computed."""
    if isinstance(value.owner, ir.Block) or value.owner.name != "arith.constant":
        return None
    return ir.IntegerAttr(value.owner.attributes["value"]).value
