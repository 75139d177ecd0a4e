"""Operations on real values between two layers: what each does to integers and what they mean.

`meaning` gives the real value that an operation makes, without rounding; where its result is quantised, it is rounded
by real_values.quantised. What cannot be kept exact raises NotExact, with what would help.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlir import ir

from htvm.dialects import accel

from .builders import NotExact
from .reading import REMEDY, Reader
from .real_elements import binary, bounded, function, same
from .real_movement import concat, moved
from .real_sums import linear, matmul, pool
from .real_values import Lazy


def meaning(op: ir.OpView, reader: Reader) -> Lazy:
    """Return the real value that an operation makes, before any rounding. Raises NotExact."""
    handler = HANDLERS.get(type(op))
    if handler is None:
        raise NotExact(f"works on quantised values only; {REMEDY} before it")
    return handler(op, reader)


HANDLERS: dict[type, Callable[[Any, Reader], Lazy]] = {
    accel.QuantizeOp: same,
    accel.ReluOp: bounded,
    accel.ClampOp: bounded,
    accel.SigmoidOp: function,
    accel.UnaryOp: function,
    accel.AddOp: binary,
    accel.SubOp: binary,
    accel.MulOp: binary,
    accel.DivOp: binary,
    accel.MaximumOp: binary,
    accel.MinimumOp: binary,
    **dict.fromkeys((accel.TransposeOp, accel.TakeOp, accel.ReshapeOp, accel.PadOp), moved),
    accel.ConcatOp: concat,
    accel.Pool2dOp: pool,
    accel.Conv2dOp: linear,
    accel.DenseOp: linear,
    accel.MatMulOp: matmul,
}
