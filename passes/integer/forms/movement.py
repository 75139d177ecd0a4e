"""Integer form of data movement: the stored integers as they are."""

from __future__ import annotations

from fractions import Fraction

from mlir import ir

from htvm.dialects import accel

from ...analysis.monotone_steps import exact_round
from .builders import NotExact, Operands, form_of, made, uniform, with_constants
from .tables import converted


@form_of(accel.ConcatOp, accel.PadOp, accel.TransposeOp, accel.TakeOp, accel.ReshapeOp)
def moved(op: accel.Layer, operands: Operands) -> ir.Value:
    """Move integers as they are; where the scale changes, change it before, where there are fewest elements."""
    y = uniform(accel.output(op), "result")
    inputs = list(op.operation.operands)
    for number, (source, value) in enumerate(zip(inputs, operands)):
        if value is None and not uniform(source, f"input {number}").signed:
            raise NotExact("moves a constant of unsigned integers, expected signed storage")
    parts = [
        converted(value, uniform(source, f"input {number}"), y, accel.rounding(op))
        for number, (source, value) in enumerate(zip(inputs, with_constants(op, operands)))
    ]
    attributes: dict[str, ir.Attribute] = {}
    if isinstance(op, accel.PadOp):
        pad = exact_round(Fraction(op.value.value) / y.scale, accel.rounding(op)) + y.zero_point
        attributes["value"] = ir.FloatAttr.get_f64(float(min(max(pad, y.lowest), y.highest)))
    return made(op, parts, attributes)
