"""What the operations of a function are called: what plans, comparisons and messages name them by."""

from __future__ import annotations

from mlir import ir
from mlir.dialects import func

from htvm.dialects import accel


def names_of(function: func.FuncOp) -> dict[ir.Operation, str]:
    """Return the name of each operation: that of its location, else file and line, else its kind and number."""
    found: dict[ir.Operation, str] = {}
    for number, op in enumerate(function.body.blocks[0]):
        named = accel.nodes(op)
        if named == [op.operation.name]:
            named = [_place(op.location) or f"{op.operation.name.rpartition('.')[2]}_{number}"]
        found[op.operation] = named[0]
    return found


def _place(location: ir.Location) -> str | None:
    """Return file and line of a location; None where it has none."""
    if location.is_a_file() and location.filename not in ("-", ""):
        return f"{location.filename.rpartition('/')[2]}:{location.start_line}"
    return f"line_{location.start_line}" if location.is_a_file() else None
