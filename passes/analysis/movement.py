"""Which operations only move numbers, so that these keep their quantised type."""

from __future__ import annotations

from dataclasses import replace

from mlir import ir

from htvm.dialects import accel
from htvm.dialects.quantisation import Quantisation


def moved(op: ir.OpView) -> Quantisation | None:
    """Return the quantisation of the numbers that an operation moves; None if it does not just move."""
    if accel.only_moves(op):
        parts = [Quantisation.of(operand) for operand in op.operation.operands]
        first = parts[0]
        if first is None or first.axis is not None:
            return None
        alike = [part for part in parts if part is not None and part.same_numbers(first) and part.bits == first.bits]
        if len(alike) == len(parts):
            lowest, highest = min(part.lowest for part in alike), max(part.highest for part in alike)
            return replace(first, lowest=lowest, highest=highest)
    return None
