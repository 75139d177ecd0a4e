"""The integer form of each operation: a function that builds it from the operation and its integer operands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlir import ir

from htvm.dialects import accel

from .arithmetic import add, mul, pool
from .linear import linear
from .movement import moved
from .shared import NotExact
from .tables import UNARY, lookup, softmax

__all__ = ["FORMS", "NotExact"]

FORMS: dict[type, Callable[[Any, list[ir.Value]], ir.Value]] = {
    accel.Conv2dOp: linear,
    accel.DenseOp: linear,
    accel.AddOp: add,
    accel.SubOp: add,
    accel.MulOp: mul,
    accel.Pool2dOp: pool,
    **dict.fromkeys(UNARY, lookup),
    accel.SoftmaxOp: softmax,
    **dict.fromkeys((accel.ConcatOp, accel.PadOp, accel.TransposeOp, accel.ReshapeOp), moved),
}
