"""fuse-epilogues: let each layer make its quantised result itself.

    %1 = accel.conv2d %x, %w : (..) -> tensor<..xf32>
    %2 = accel.relu %1 : (..) -> tensor<..xf32>
    %3 = accel.quantize %2 : (..) -> tensor<..x!quant.uniform<i8:f32, 0.5:3>>
    ==>
    %3 = accel.conv2d %x, %w : (..) -> tensor<..x!quant.uniform<i8<3:127>:f32, 0.5:3>>

Stage    imported -> imported, every result quantised ('fused')
Reads    chains layer -> relu, clamp -> quantize; what feeds several chains is done once for each
Writes   result types, the attribute `rounding`, locations (the ONNX nodes of all parts)
Needs    fold-arithmetic before it, so that nothing stands between a layer and its quantize
Fails    never: a real value that is left over is reported by integerize

Rounding and clamping are monotone, so a clamp before rounding is the clamp to its rounded bounds after it:
activations become the range of the stored integers, where the next layer finds what values can occur.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import isinf
from typing import ClassVar

from mlir import ir
from mlir.passmanager import ExternalPass

from htvm.dialects import accel
from htvm.dialects.quantisation import Quantisation

from ..analysis.monotone_steps import exact_round


@dataclass(frozen=True)
class FuseEpilogues:
    """Fold relu, clamp and quantize into the layer that feeds them."""

    name: ClassVar[str] = "fuse-epilogues"
    stages: ClassVar[tuple[str, ...]] = ("imported",)

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        for op in list(accel.layers(module)):
            if isinstance(op, accel.QuantizeOp):
                with op.location:
                    fuse(op)
        for function in accel.functions(module):
            with function.location:
                accel.update_type(function)


def fuse(quantize: accel.QuantizeOp) -> None:
    """Fuse the chain that ends in a quantize; its first link becomes the layer that has the quantised result."""
    chain: list[accel.Layer] = [quantize]
    q = accel.present(Quantisation.of(accel.output(quantize)), "quantised result")
    rounding = accel.rounding(quantize)
    while True:
        layer = accel.producer(chain[0].operation.operands[0])
        if layer is None or not accel.is_layer(layer) or Quantisation.of(accel.output(layer)) is not None:
            break
        # What comes before an activation goes on: the activation itself is only bounds.
        activation = chain[0]
        if isinstance(activation, accel.Bounds):
            narrowed = clamped(q, activation, rounding)
            if narrowed is None:
                fuse(rounded_before(activation, q, rounding))
                break
            q = narrowed
        if len(list(accel.output(layer).uses)) > 1:
            # Rounded in several ways: each has a layer of its own.
            layer = layer.operation.clone(ir.InsertionPoint(layer)).opview
            assert accel.is_layer(layer), layer.operation.name
            chain[0].operation.operands[0] = accel.output(layer)
        chain.insert(0, layer)
        if not isinstance(layer, accel.Bounds):
            break
    layer = chain[0]
    if layer is chain[-1]:
        return
    shape = ir.RankedTensorType(accel.output(quantize).type).shape
    accel.output(layer).set_type(ir.RankedTensorType.get(shape, q.type()))
    if rounding is not accel.Rounding.HALF_EVEN:
        layer.operation.attributes["rounding"] = accel.RoundingAttr.get(rounding)
    layer.operation.location = ir.Location.fused([link.location for link in chain])
    accel.output(quantize).replace_all_uses_with(accel.output(layer))
    for link in reversed(chain[1:]):
        link.operation.erase()
    if isinstance(layer, accel.Extremum):
        # Rounding is monotone: what is compared may be rounded first.
        for place, value in enumerate(list(layer.operation.operands)):
            source = accel.producer(value)
            if Quantisation.of(value) is None and source is not None and accel.is_layer(source):
                fuse(rounded_before(layer, q, rounding, place))


def rounded_before(monotone: ir.OpView, q: Quantisation, rounding: accel.Rounding, place: int = 0) -> accel.QuantizeOp:
    """Quantise an operand of what never falls, which changes nothing where its result is rounded in the same way."""
    operand = monotone.operation.operands[place]
    shape = ir.RankedTensorType(operand.type).shape
    with ir.InsertionPoint(monotone), monotone.location:
        made = accel.QuantizeOp(ir.RankedTensorType.get(shape, q.type()), operand, rounding=rounding)
    monotone.operation.operands[place] = accel.output(made)
    return made


def clamped(q: Quantisation, activation: accel.Bounds, rounding: accel.Rounding) -> Quantisation | None:
    """Return the quantisation with its range cut to the activation's; None if it leaves fewer than two values."""
    if q.axis is not None:
        return None
    low, high = accel.ends(activation)

    def rounded(bound: float) -> int:
        return exact_round(Fraction(bound) / q.scale, rounding) + q.zero_point

    lowest = q.lowest if isinf(low) else min(max(rounded(low), q.lowest), q.highest)
    highest = q.highest if isinf(high) else min(max(rounded(high), q.lowest), q.highest)
    return replace(q, lowest=lowest, highest=highest) if lowest < highest else None
