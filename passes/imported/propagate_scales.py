"""propagate-scales: what only moves numbers keeps their quantised type.

    %1 = accel.reshape %x : (tensor<1x64x1x1x!quant.uniform<i8:f32, 0.5:3>>)
             -> tensor<1x64xf32>
    ==>
    %1 = accel.reshape %x : (tensor<1x64x1x1x!quant.uniform<i8:f32, 0.5:3>>)
             -> tensor<1x64x!quant.uniform<i8:f32, 0.5:3>>

Stage    imported -> imported
Reads    quantised operands of reshape, transpose, take, concat, max and min pooling; of relu and clamp on demand
Writes   their result types, and those of functions that return them
Needs    nothing; before fuse-epilogues, for which a quantize behind such an operation is then a change of scale
Fails    never: operands of a concat that differ leave its result real
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor
from typing import ClassVar

from mlir import ir
from mlir.passmanager import ExternalPass

from htvm.dialects import accel, quantisation
from htvm.dialects.quantisation import Quantisation

from ..analysis.movement import moved

FARTHEST = 1e30


@dataclass(frozen=True)
class PropagateScales:
    """Give data movement the type of what it moves."""

    name: ClassVar[str] = "propagate-scales"
    stages: ClassVar[tuple[str, ...]] = ("imported",)

    activations: bool = False
    """Also give relu and clamp of a quantised value its type, with a narrower range, where nothing rounds them."""

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        for op in accel.layers(module):
            q = moved(op)
            if q is None and self.activations:
                q = bounded(op)
            if q is not None and Quantisation.of(accel.output(op)) is None:
                with op.location:
                    shape = ir.RankedTensorType(accel.output(op).type).shape
                    accel.output(op).set_type(quantisation.tensor(shape, q.type()))
        for function in accel.functions(module):
            with function.location:
                accel.update_type(function)  # what is returned may have got a scale


def bounded(op: accel.Layer) -> Quantisation | None:
    """Return the quantisation of a quantised value between bounds that are on its grid.

    None where that is no help: a quantize, or an activation with one behind it, makes one table of all.
    """
    q = Quantisation.of(op.input) if isinstance(op, accel.Bounds) else None
    if not isinstance(op, accel.Bounds) or q is None:
        return None
    if q.axis is not None or is_rounded(op):
        return None
    low, high = accel.ends(op)
    ends: list[int] = []
    for bound, end in ((low, q.lowest), (high, q.highest)):
        # Bounds beyond what a float32 takes are none.
        place = Fraction(end) if abs(bound) > FARTHEST else Fraction(bound) / q.scale + q.zero_point
        if place.denominator != 1 and q.lowest < place < q.highest:
            return None
        ends.append(min(max(floor(place), q.lowest), q.highest))
    return replace(q, lowest=ends[0], highest=ends[1]) if ends[0] < ends[1] else None


def is_rounded(op: accel.Layer) -> bool:
    """Say whether each use of an activation is a quantize, perhaps behind another activation."""
    users = (use.owner.opview for use in accel.output(op).uses)
    return all(
        isinstance(user, accel.QuantizeOp) or (isinstance(user, accel.Bounds) and is_rounded(user)) for user in users
    )
