"""unsign-maps: store maps of 8 bits without sign, for accelerators that read only such.

    %y = accel.quantize %r : (tensor<1x16x8x8xf32>) -> tensor<1x16x8x8x!quant.uniform<i8:f32, 0.5:-128>>
    ==>
    %y = accel.quantize %r : (tensor<1x16x8x8xf32>) -> tensor<1x16x8x8x!quant.uniform<u8:f32, 0.5:0>>

A stored integer of 128 more, with a zero point of 128 more, is the same number: nothing changes but bits. Maps that are
weights of another layer keep their sign; so do the network's inputs and outputs: what sums or multiplies an input
reads a quantize of it, and an output is a quantize of what is made.

Stage    imported -> imported
Reads    quantised types of maps; the element types of the target's accelerators, if there is a target
Writes   the types of maps of 8 bits; quantizes at the network's ends
Needs    nothing; first of all, while no operation but these types knows what is stored
Fails    never: without a target, or where accelerators read signed maps or none does, nothing is changed
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from mlir import ir
from mlir.dialects import func
from mlir.passmanager import ExternalPass

from htvm.backend.targets.soc import Soc
from htvm.dialects import accel, quantisation
from htvm.dialects.quantisation import Quantisation

from ..analysis import activations
from ..analysis.movement import moved


@dataclass(frozen=True)
class UnsignMaps:
    """Give the maps between layers types without sign, if an accelerator wants that."""

    name: ClassVar[str] = "unsign-maps"
    stages: ClassVar[tuple[str, ...]] = ("imported",)

    target: Soc | None = None

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        if self.target is None or not self.target.reads_unsigned:
            return
        for function in accel.functions(module):
            with function.location:
                unsign_inputs(function)
                for value in unsigned(activations.layers(function)):
                    unsign_result(value)


def unsign_inputs(function: func.FuncOp) -> None:
    """Let what sums, multiplies or pools a signed input read a quantize of it without sign."""
    for argument in function.arguments:
        uses = [use for use in argument.uses if isinstance(use.owner.opview, SUMMING) and not is_fixed(use)]
        if uses and is_signed(argument):
            block = function.body.blocks[0]
            with ir.InsertionPoint.at_block_begin(block), uses[0].owner.location:
                stored = accel.QuantizeOp(without_sign(argument.type), argument)
            for use in uses:
                use.owner.operands[use.operand_number] = accel.output(stored)


SUMMING = (accel.Weighted, accel.Arithmetic, accel.Pool2dOp)


def unsigned(layers: Iterable[accel.Layer]) -> list[ir.Value]:
    """Return the maps that can lose their sign: all uses take any type, or are results that can lose it as well."""
    can_lose = [layer for layer in layers if isinstance(layer, accel.QuantizeOp) or moved(layer) is not None]
    made: list[ir.Value] = [accel.output(layer) for layer in can_lose]
    found = {value for value in made if is_signed(value)}
    while True:
        kept = {
            value for value in found if all(takes_any(use, found) for use in value.uses) and is_made_alike(value, found)
        }
        if kept == found:
            return [value for value in made if value in found and any(True for _ in value.uses)]
        found = kept


def takes_any(use: ir.OpOperand, found: set[ir.Value]) -> bool:
    """Say whether a use does not need the type that a map has."""
    reader = use.owner.opview
    if isinstance(reader, func.ReturnOp):
        return True
    result = reader.operation.results[0]
    is_free = Quantisation.of(result) is None or isinstance(reader, accel.QuantizeOp) or result in found
    return is_free and not is_fixed(use)


def is_fixed(use: ir.OpOperand) -> bool:
    """Say whether a map is weights, or a factor of a product of matrices."""
    reader = use.owner.opview
    return isinstance(reader, accel.MatMulOp) or (isinstance(reader, accel.Weighted) and use.operand_number > 0)


def is_made_alike(value: ir.Value, found: set[ir.Value]) -> bool:
    """Say whether what makes a map can make it without sign: what only moves numbers takes the type of its operands."""
    maker = accel.producer(value)
    if maker is None or isinstance(maker, accel.QuantizeOp):
        return maker is not None
    return all(operand in found for operand in maker.operation.operands)


def unsign_result(value: ir.Value) -> None:
    """Let a map have no sign; what the network returns is quantised again to have one."""
    returns = [use for use in value.uses if isinstance(use.owner.opview, func.ReturnOp)]
    signed = value.type
    if returns and len(returns) == sum(1 for _ in value.uses):
        return
    value.set_type(without_sign(signed))
    if returns:
        maker = accel.present(accel.producer(value), "defining operation")
        with ir.InsertionPoint.after(maker), maker.location:
            stored = accel.QuantizeOp(signed, value)
        for use in returns:
            use.owner.operands[use.operand_number] = accel.output(stored)


def is_signed(value: ir.Value) -> bool:
    """Say whether a map has signed integers of 8 bits, with one scale."""
    found = Quantisation.of(value)
    return found is not None and found.signed and found.bits == 8 and found.axis is None


def without_sign(kind: ir.Type) -> ir.Type:
    """Return the type of the same numbers, stored without sign."""
    found = accel.present(Quantisation.of(kind), "a quantised type")
    return quantisation.tensor(list(ir.ShapedType(kind).shape), found.without_sign().type())
