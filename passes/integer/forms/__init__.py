"""The integer form of each operation: a function that builds it from the operation and its integer operands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlir import ir

from htvm.dialects import accel

from .arithmetic import add, argmax, divided, extreme, mul, pool
from .builders import NotExact
from .linear import linear, matmul
from .movement import moved
from .normalisation import layer_norm
from .tables import UNARY, lookup, softmax, tabulated

__all__ = ["FORMS", "NotExact"]

FORMS: dict[type, Callable[[Any, list[ir.Value]], ir.Value]] = {
    accel.Conv2dOp: linear,
    accel.DenseOp: linear,
    accel.MatMulOp: matmul,
    accel.AddOp: add,
    accel.SubOp: add,
    accel.MulOp: mul,
    accel.DivOp: divided,
    accel.MaximumOp: extreme,
    accel.MinimumOp: extreme,
    accel.Pool2dOp: pool,
    accel.ArgMaxOp: argmax,
    accel.LayerNormOp: layer_norm,
    **dict.fromkeys(UNARY, lookup),
    accel.LookupOp: tabulated,
    accel.SoftmaxOp: softmax,
    **dict.fromkeys((accel.ConcatOp, accel.PadOp, accel.TransposeOp, accel.TakeOp, accel.ReshapeOp), moved),
}
