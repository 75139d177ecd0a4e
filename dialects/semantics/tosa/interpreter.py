"""Execute a function of the tosa dialect: what a TOSA module means."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from mlir import ir
from mlir.dialects import func

from . import elements, movement, reductions, windows
from .reading import evaluate, is_tosa, literal

FAMILIES = (elements, movement, reductions, windows)
"""The modules that register meanings."""

Observer = Callable[[ir.Operation, np.ndarray], None]


def interpret(function: func.FuncOp, inputs: Sequence[np.ndarray], observe: Observer | None = None) -> list[np.ndarray]:
    """Return the results of a function for its arguments, as int64.

    Operations of other dialects are executed by MLIR's engine. `observe` is called with each operation that gives a
    tensor, constants left out, and its result. Raises ValueError on operations without meaning here.
    """
    block = function.body.blocks[0]
    values: dict[ir.Value, np.ndarray] = dict(zip(block.arguments, (each.astype(np.int64) for each in inputs)))
    for op in block:
        if op.operation.name == "func.return":
            return [values[operand] for operand in op.operation.operands]
        numbers = literal(op)
        if numbers is None:
            if not is_tosa(op):
                numbers = executed(op.operation, values)
                if numbers is None:
                    continue
            else:
                try:
                    numbers = evaluate(op, [values[operand] for operand in op.operation.operands])
                except KeyError:
                    raise ValueError(f"no meaning of {op.operation.name} on integers") from None
            if observe:
                observe(op.operation, numbers)
        values[op.operation.results[0]] = numbers
    raise ValueError(f"function {function.name} does not return")


def executed(op: ir.Operation, values: dict[ir.Value, np.ndarray]) -> np.ndarray | None:
    """Return what an operation of another dialect gives, by MLIR's engine; None for one that gives no tensor.

    What it needs that has no value, such as a number that was taken out of a tensor, is computed with it. Raises
    NotLowered, a ValueError.
    """
    from htvm.dialects import calls  # which lowers operations of this package

    result = op.results[0]
    if calls.is_constant(result) or not isinstance(result.type, ir.RankedTensorType):
        return None
    ops, missing = set[ir.Operation](), [result]
    while missing:
        value = missing.pop()
        if value not in values and not calls.is_constant(value):
            made = ir.OpResult(value).owner.operation  # all arguments have values
            if made not in ops:
                ops.add(made)
                missing += calls.operands(made)
    outlined = calls.Outlined.of([each.operation for each in op.block if each.operation in ops])
    with op.location:
        module = ir.Module.create()
    function = calls.outline(outlined, "executed", ir.InsertionPoint(module.body))
    found = calls.execute(function, [values[each] for each in outlined.inputs])
    return found.reshape(ir.ShapedType(result.type).shape)
