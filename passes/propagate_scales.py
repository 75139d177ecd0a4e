"""propagate-scales: what only moves numbers keeps their quantised type.

    %1 = accel.reshape %x : (tensor<1x64x1x1x!quant.uniform<i8:f32, 0.5:3>>)
             -> tensor<1x64xf32>
    ==>
    %1 = accel.reshape %x : (tensor<1x64x1x1x!quant.uniform<i8:f32, 0.5:3>>)
             -> tensor<1x64x!quant.uniform<i8:f32, 0.5:3>>

Stage    imported -> imported
Reads    quantised operands of reshape, transpose, concat and max pooling
Writes   their result types
Needs    nothing; before fuse-epilogues, for which a quantize behind such an operation is then a change of scale
Fails    never: operands of a concat that differ leave its result real
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from mlir import ir
from mlir.passmanager import ExternalPass

from htvm.dialects import accel, quantisation
from htvm.dialects.quantisation import Quantisation


@dataclass(frozen=True)
class PropagateScales:
    """Give data movement the type of what it moves."""

    name: ClassVar[str] = "propagate-scales"

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        for op in accel.layers(module):
            q = moved(op)
            if q is not None and Quantisation.of(op.result) is None:
                with op.location:
                    shape = ir.RankedTensorType(op.result.type).shape
                    op.result.set_type(quantisation.tensor(shape, q.type()))


def moved(op: ir.OpView) -> Quantisation | None:
    """Return the quantisation of the numbers that an operation moves; None if it does not just move."""
    if isinstance(op, accel.ReshapeOp | accel.TransposeOp | accel.ConcatOp) or (
        isinstance(op, accel.Pool2dOp) and op.kind.value == "max"
    ):
        parts = [Quantisation.of(operand) for operand in op.operation.operands]
        first = parts[0]
        if first is None or first.axis is not None:
            return None
        if all(part is not None and part.same_numbers(first) and part.bits == first.bits for part in parts):
            lowest, highest = min(part.lowest for part in parts), max(part.highest for part in parts)
            return replace(first, lowest=lowest, highest=highest)
    return None
