"""tabulate-functions: an expression of one quantised value is a table.

    %1 = accel.sigmoid %x : (tensor<1x8x!quant.uniform<i8:f32, 0.5:3>>) -> tensor<1x8xf32>
    %2 = accel.mul %x, %1
    %3 = accel.quantize %2 : (tensor<1x8xf32>) -> tensor<1x8x!quant.uniform<i8:f32, 0.25:-5>>
    ==>
    %3 = accel.lookup %x, %table {lowest = -128} : (tensor<1x8x!quant..>, tensor<256xi8>) -> tensor<1x8x!quant..>

Stage    imported -> imported
Reads    element-wise operations on real numbers between a quantised value and a quantize
Writes   a lookup in their place; where constants vary along an axis, one with a table for each index of it
Needs    propagate-scales before it, to see what is quantised; before convert-affine-to-depthwise and fold-arithmetic,
         which would take single operations out of the expression
Fails    never: an expression of several values, of one with too many, or that divides by 0, stays

What has a form of its own stays as well: a single operation, and sums and products with constants.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from mlir import ir
from mlir.dialects import arith
from mlir.passmanager import ExternalPass

from htvm.dialects import accel, quantisation
from htvm.dialects.quantisation import Quantisation
from htvm.dialects.semantics import real_layers
from htvm.dialects.semantics.real import Real

MOST_ENTRIES = 1 << 18
"""Of all tables of a layer: 1,024 channels with 256 entries each."""

MOST_VALUES = 1 << 16

FUNCTIONS = (accel.SigmoidOp, accel.UnaryOp, accel.Extremum)


@dataclass(frozen=True)
class TabulateFunctions:
    """Replace each expression of one value by a lookup."""

    name: ClassVar[str] = "tabulate-functions"
    stages: ClassVar[tuple[str, ...]] = ("imported",)

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        for op in list(accel.layers(module)):
            if isinstance(op, accel.QuantizeOp):
                found = expression(op)
                if found is None or not found.is_worth_a_table():
                    continue
                with ir.InsertionPoint(op), ir.Location.fused([each.location for each in (*found.ops, op)]):
                    try:
                        accel.output(op).replace_all_uses_with(found.lookup(op))
                    except ZeroDivisionError:
                        continue
                erase_unused([*found.ops, op])


@dataclass
class Expression:
    """Operations in the order they are computed, the one quantised value that they start from, and constants."""

    ops: list[accel.Layer] = field(default_factory=list[accel.Layer])
    leaf: ir.Value | None = None
    constants: list[ir.Value] = field(default_factory=list[ir.Value])

    def is_worth_a_table(self) -> bool:
        """Say whether the operations are more than those behind which quantize has a form of its own."""
        inner = list(self.ops)
        while inner and isinstance(inner[-1], accel.Bounds):
            inner.pop()
        return len(inner) > 1 and not all(isinstance(op, accel.Arithmetic) and self._has_constant(op) for op in inner)

    def _has_constant(self, op: accel.Layer) -> bool:
        operands = list(op.operation.operands)
        return any(value in self.constants for value in (operands[1:] if isinstance(op, accel.DivOp) else operands))

    def axis(self, rank: int) -> int | None:
        """Return the axis along which constants vary, None if they are numbers. Raises ValueError on more."""
        axes: set[int] = set()
        for value in self.constants:
            sizes = ir.RankedTensorType(value.type).shape
            axes.update(rank - len(sizes) + index for index, size in enumerate(sizes) if size > 1)
        if len(axes) > 1:
            raise ValueError(f"constants vary along the axes {sorted(axes)}")
        return axes.pop() if axes else None

    def lookup(self, quantize: accel.QuantizeOp) -> ir.Value:
        """Build the lookup whose table has the expression's result for every value that can occur."""
        leaf = accel.present(self.leaf, "leaf")
        x = accel.present(Quantisation.of(leaf), "quantised leaf")
        y = accel.present(Quantisation.of(accel.output(quantize)), "quantised result")
        axis = self.axis(ir.RankedTensorType(leaf.type).rank)
        occurring = Real.of_storage(np.arange(x.lowest, x.highest + 1)[None], x.scales[0], x.zero_point)
        known: dict[ir.Value, Real] = {leaf: occurring}
        known.update((value, _column(value)) for value in self.constants)
        for op in self.ops:
            operands = (known[value] for value in op.operation.operands)
            known[accel.output(op)] = real_layers.MEANINGS[op.operation.name](op, *operands)
        rounded = known[quantize.input].quantise(
            y.scales[0], y.zero_point, y.lowest, y.highest, accel.rounding(quantize)
        )
        entries = y.signless(rounded)
        table = quantisation.integers(entries[0] if axis is None else entries)
        return accel.output(accel.LookupOp(accel.output(quantize).type, leaf, table, lowest=x.lowest, axis=axis))


def expression(quantize: accel.QuantizeOp) -> Expression | None:
    """Return what a quantize rounds as an expression of one value; None if it is none, or has too many values."""
    found = Expression()
    y = Quantisation.of(accel.output(quantize))
    if y is None or y.axis is not None or not _collect(quantize.input, found) or found.leaf is None:
        return None
    x, shape = Quantisation.of(found.leaf), list(ir.RankedTensorType(found.leaf.type).shape)
    results = (list(ir.RankedTensorType(accel.output(op).type).shape) for op in found.ops)
    if x is None or x.axis is not None or any(each != shape for each in results):
        return None
    try:
        axis = found.axis(len(shape))
    except ValueError:
        return None
    values = x.highest - x.lowest + 1
    tables = 1 if axis is None else shape[axis]
    return found if values <= MOST_VALUES and values * tables <= MOST_ENTRIES else None


def _collect(value: ir.Value, found: Expression) -> bool:
    """Add what computes a value to an expression; say whether it is one of one quantised value."""
    source = accel.producer(value)
    if isinstance(source, arith.ConstantOp) or quantisation.stored(value) is not None:
        q = Quantisation.of(value)
        found.constants.append(value)
        if q is None and isinstance(source, arith.ConstantOp):
            return bool(np.isfinite(np.array(source.value)).all())  # else it is a mask
        return q is None or q.axis is None
    if Quantisation.of(value) is not None:
        is_same = found.leaf is None or found.leaf == value
        found.leaf = value
        return is_same
    if not isinstance(source, (accel.Bounds, accel.Arithmetic, *FUNCTIONS)):
        return False
    if source in found.ops:
        return True
    if not all(_collect(operand, found) for operand in source.operation.operands):
        return False
    found.ops.append(source)
    return True


def _column(constant: ir.Value) -> Real:
    """Return a constant as a column: a number for all tables, or one for each."""
    q = Quantisation.of(constant)
    if q is None:
        source = accel.producer(constant)
        assert isinstance(source, arith.ConstantOp), "what is constant and has no quantisation"
        return Real.of_floats(np.array(source.value).reshape(-1, 1))
    stored = accel.present(quantisation.stored(constant), "constant")
    return Real.of_storage(stored.reshape(-1, 1), q.scales[0], q.zero_point)


def erase_unused(ops: list[accel.Layer]) -> None:
    """Erase those whose results nobody reads any more, the last first."""
    for op in reversed(ops):
        if not list(accel.output(op).uses):
            op.operation.erase()
