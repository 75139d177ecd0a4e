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

    `observe` is called with each operation of the dialect and its result. Raises ValueError on operations without
    meaning here.
    """
    block = function.body.blocks[0]
    values: dict[ir.Value, np.ndarray] = dict(zip(block.arguments, (each.astype(np.int64) for each in inputs)))
    for op in block:
        if op.operation.name == "func.return":
            return [values[operand] for operand in op.operation.operands]
        numbers = literal(op)
        if numbers is None:
            if not is_tosa(op):
                raise ValueError(f"no meaning of {op.operation.name} beside operations of tosa")
            try:
                numbers = evaluate(op, [values[operand] for operand in op.operation.operands])
            except KeyError:
                raise ValueError(f"no meaning of {op.operation.name} on integers") from None
            if observe:
                observe(op.operation, numbers)
        values[op.operation.results[0]] = numbers
    raise ValueError(f"function {function.name} does not return")
