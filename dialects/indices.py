"""Indices of loops, and what is computed from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlir import ir
from mlir.dialects import affine, arith


@dataclass(frozen=True)
class Linear:
    """A number that grows with indices of loops: by so much with each."""

    constant: int
    steps: tuple[tuple[ir.Value, int], ...] = ()

    def __add__(self, other: Linear | int) -> Linear:
        if isinstance(other, int):
            return Linear(self.constant + other, self.steps)
        total = dict(self.steps)
        for index, step in other.steps:
            total[index] = total.get(index, 0) + step
        return Linear(self.constant + other.constant, tuple((index, step) for index, step in total.items() if step))

    def __mul__(self, factor: int) -> Linear:
        return Linear(self.constant * factor, tuple((index, step * factor) for index, step in self.steps if factor))

    def at(self, indices: Mapping[ir.Value, int]) -> Linear:
        """Return the number for values of some indices."""
        known = sum(step * indices[index] for index, step in self.steps if index in indices)
        return Linear(self.constant + known, tuple(each for each in self.steps if each[0] not in indices))


def linear(value: ir.Value) -> Linear:
    """Return an index as a sum of indices of loops. Raises ValueError for what is none."""
    if isinstance(value.owner, ir.Block):
        return Linear(0, ((value, 1),))
    op = value.owner.opview
    if isinstance(op, arith.ConstantOp):
        return Linear(ir.IntegerAttr(op.value).value)
    if isinstance(op, affine.AffineApplyOp):
        (expression,) = ir.AffineMapAttr(op.operation.attributes["map"]).value.results
        return _sum(expression.maybe_downcast(), [linear(each) for each in op.operands])
    raise ValueError(f"an offset is {value}, expected affine.apply of the indices of loops")


def _sum(expression: ir.AffineExpr, of: list[Linear]) -> Linear:
    match expression:
        case ir.AffineConstantExpr():
            return Linear(expression.value)
        case ir.AffineDimExpr():
            return of[expression.position]
        case ir.AffineAddExpr():
            return _sum(expression.lhs.maybe_downcast(), of) + _sum(expression.rhs.maybe_downcast(), of)
        case ir.AffineMulExpr():
            left, right = (_sum(each.maybe_downcast(), of) for each in (expression.lhs, expression.rhs))
            if not right.steps:
                return left * right.constant
        case _:
            pass
    raise ValueError(f"an offset is {expression}, expected a sum of multiples of the indices of loops")
