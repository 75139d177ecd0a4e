"""fold-constants: what is computed from constants alone is a constant.

    %w = quant.scast %integers : tensor<4xi8> to tensor<4x!quant.uniform<i8:f32, 0.5>>
    %1 = accel.sigmoid %w : (tensor<4x!quant.uniform<i8:f32, 0.5>>) -> tensor<4xf32>
    %2 = accel.quantize %1 : (tensor<4xf32>) -> tensor<4x!quant.uniform<i8:f32, 0.01>>
    ==>
    %2 = quant.scast %others : tensor<4xi8> to tensor<4x!quant.uniform<i8:f32, 0.01>>

Stage    imported -> imported
Reads    operations whose operands are all constants
Writes   the constants that they make: quantised ones, and real ones that float32 or integers times a scale hold
Needs    nothing; first of all, so that every other pass sees constants where there are any
Fails    on a result of the network that depends on no input
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import ClassVar

import numpy as np
from mlir import ir
from mlir.dialects import arith, func
from mlir.passmanager import ExternalPass

from htvm.dialects import accel, quantisation
from htvm.dialects.quantisation import Quantisation
from htvm.dialects.semantics import real_layers
from htvm.dialects.semantics.real import Real

from ..analysis.movement import moved

MOST_ELEMENTS = 1 << 20
"""Of a constant that is computed."""


@dataclass(frozen=True)
class FoldConstants:
    """Compute every operation on constants, exactly."""

    name: ClassVar[str] = "fold-constants"
    stages: ClassVar[tuple[str, ...]] = ("imported",)

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        known: dict[ir.Value, Real] = {}
        folded: list[ir.OpView] = []
        for op in list(accel.layers(module)):
            operands = exact_operands(op, known)
            result = op.operation.results[0]
            if not operands or prod(ir.ShapedType(result.type).shape) > MOST_ELEMENTS:
                continue
            if any(isinstance(use.owner.opview, func.ReturnOp) for use in result.uses):
                op.location.emit_error("makes an output of constants alone, expected one that depends on an input")
                this_pass.signal_pass_failure()
                continue
            exact = real_layers.MEANINGS[op.operation.name](op, *operands)
            with ir.InsertionPoint(op), op.location:
                q = Quantisation.of(result)
                kept = q or moved(op)
                made = written(exact) if kept is None else rounded(exact, kept, op)
            if q is None:
                known[result] = exact
            if made is not None:
                result.replace_all_uses_with(made)
                known[made] = exact
            folded.append(op)
        for op in reversed(folded):
            if not list(op.operation.results[0].uses):
                op.operation.erase()


def exact_operands(op: accel.Layer, known: Mapping[ir.Value, Real]) -> list[Real] | None:
    """Return the numbers of all operands of an operation; None, without a look at the others, if one is computed."""
    found: list[Real] = []
    for value in op.operation.operands:
        exact = known[value] if value in known else constant(value)
        if exact is None:
            return None
        found.append(exact)
    return found


def constant(value: ir.Value) -> Real | None:
    """Return the numbers of a constant, real or quantised; None for what is computed."""
    q, stored = Quantisation.of(value), quantisation.stored(value)
    if q is not None:
        return None if stored is None else Real.of_storage(stored, *q.parameters(stored.ndim))
    source = accel.producer(value)
    if isinstance(source, arith.ConstantOp) and isinstance(ir.ShapedType(value.type).element_type, ir.F32Type):
        numbers = np.array(source.value)
        return Real.of_floats(numbers) if np.isfinite(numbers).all() else None  # a mask
    return None


def rounded(exact: Real, q: Quantisation, op: accel.Layer) -> ir.Value:
    """Build the constant of a quantised type that an operation rounds its numbers to."""
    stored = exact.quantise(*q.parameters(exact.ndim), q.lowest, q.highest, accel.rounding(op))
    return quantisation.constant(np.broadcast_to(stored, accel.output(op).type.shape), q)


def written(exact: Real) -> ir.Value | None:
    """Build a constant of exactly these real numbers; None where neither float32 nor integers hold them."""
    numbers = exact.exact()
    nearest = exact.to_float32()
    if all(np.isfinite(n) and Fraction(float(n)) == m for n, m in zip(nearest.flat, numbers.flat)):
        attribute = ir.DenseElementsAttr.get(np.ascontiguousarray(nearest))
        return arith.ConstantOp(attribute.type, attribute).result
    integers, unit = exact.uniform()
    scale = float(unit)
    for bits in (8, 16, 32):
        limit = 1 << bits - 1
        if Fraction(scale) == unit and integers.min() >= -limit and integers.max() < limit:
            q = Quantisation(bits, True, -limit, limit - 1, (scale,), (0,))
            return quantisation.constant(integers.astype(np.int64), q)
    return None
