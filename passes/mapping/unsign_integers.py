"""unsign-integers: store maps of 8 bits without sign, for accelerators that read only such.

    %y = accel.conv2d %x, %w {pad_value = -128, requant = #accel.requant<offset = [7], min = -128, max = 127, ..>, ..}
         : (tensor<1x16x8x8xi8>, ..) -> tensor<1x16x8x8xi8>
    ==>
    %y = accel.conv2d %x, %w {pad_value = 0, requant = #accel.requant<offset = [7 - 128 * sum of %w],
         zero_point = 128, min = 0, max = 255, ..>, ..} : (tensor<1x16x8x8xui8>, ..) -> tensor<1x16x8x8xui8>

A stored integer of 128 more is the same number, if those that read it know: sums of products and zero points change by
constants, and no rounding does. It is what unsign-maps does where types still have zero points, for modules that begin
with integers, as those of tosa do.

Stage    integer -> integer
Reads    element types of maps; those of the target's accelerators, if there is a target
Writes   the types of maps that linear layers read, and of maps that are moved to them; the constants of what makes and
         reads these; `accel.unsigned` on layers whose results now are 128 more
Needs    nothing
Fails    never: without a target, or where accelerators read signed maps or none does, nothing is changed

What the network is given or returns, and what functions that are called do, keeps its sign: a lookup is in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from mlir import ir
from mlir.dialects import func
from mlir.passmanager import ExternalPass

from htvm.backend.targets.soc import Soc
from htvm.dialects import accel, quantisation
from htvm.dialects.semantics import value_ranges

from ..analysis import activations
from ..integer.forms.builders import modulo

MORE = 128
"""What is added to an integer of 8 bits."""

SIGNED = range(-MORE, MORE)


@dataclass(frozen=True)
class UnsignIntegers:
    """Give maps that linear layers read types without sign, if an accelerator wants that."""

    name: ClassVar[str] = "unsign-integers"
    stages: ClassVar[tuple[str, ...]] = ("integer",)

    target: Soc | None = None

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        if self.target is None or not self.target.reads_unsigned:
            return
        for function in accel.functions(module):
            with function.location:
                for values in wanted(function):
                    if all(can_be_made(value) for value in values):
                        unsign(values)
                    else:
                        convert(values)


def wanted(function: func.FuncOp) -> Iterator[list[ir.Value]]:
    """Yield the signed maps of 8 bits that linear layers read, each with those that must have the same type."""
    seen = set[ir.Value]()
    for layer in list(activations.layers(function)):
        if not isinstance(layer, accel.Weighted) or not requantises(layer) or layer.input in seen:
            continue
        if is_signed(layer.input):
            values = alike(layer.input)
            seen.update(values)
            yield values


def alike(value: ir.Value) -> list[ir.Value]:
    """Return all values that layers move to a value or from it, or compare with it."""
    found = {value: None}
    waiting = [value]
    while waiting:
        one = waiting.pop()
        maker = accel.producer(one)
        layers = [use.owner.opview for use in one.uses] + ([] if maker is None else [maker])
        for layer in layers:
            if not keeps_type(layer):
                continue
            for other in (*layer.operation.operands, *layer.operation.results):
                if other not in found:
                    found[other] = None
                    waiting.append(other)
    return list(found)


def keeps_type(layer: ir.OpView) -> bool:
    """Say whether the result of a layer has the type of its operands."""
    return accel.only_moves(layer) or isinstance(layer, accel.PadOp | accel.Extremum)


def is_signed(value: ir.Value) -> bool:
    return str(ir.ShapedType(value.type).element_type) == "i8"


# Who makes a map, and who reads it


def can_be_made(value: ir.Value) -> bool:
    """Say whether the layer that makes a map can make it 128 more."""
    maker = accel.producer(value)
    if maker is None or not accel.is_layer(maker) or maker.engine is not None:
        return False
    return keeps_type(maker) or isinstance(maker, accel.LookupOp) or requantises(maker)


def requantises(layer: ir.OpView) -> bool:
    """Say whether a layer's result is what a requantisation makes of a sum."""
    return accel.attribute(layer, "requant", accel.RequantAttr) is not None


def can_read(use: ir.OpOperand) -> bool:
    """Say whether a use can take integers that are 128 more."""
    layer = use.owner.opview
    if isinstance(layer, accel.Weighted):
        return use.operand_number == 0 and requantises(layer) and quantisation.stored(layer.weights) is not None
    if isinstance(layer, accel.AddOp):
        return accel.present(layer.requant, "requant").divisor is None
    return isinstance(layer, accel.LookupOp | accel.MulOp | accel.MatMulOp | accel.Pool2dOp | accel.ArgMaxOp)


def unsign(values: Sequence[ir.Value]) -> None:
    """Let maps have no sign, and change what makes and reads them."""
    members = set(values)
    for value in values:
        outside = [use for use in value.uses if not (keeps_type(use.owner.opview) and use.owner.results[0] in members)]
        maker = accel.present(accel.producer(value), "defining layer")
        assert accel.is_layer(maker), maker.operation.name
        value.set_type(without_sign(value.type))
        make_more(maker)
        fixed = [use for use in outside if not can_read(use)]
        for use in outside:
            if use not in fixed:
                read_more(use.owner.opview, use.operand_number)
        if fixed:
            with ir.InsertionPoint.after(maker), maker.location:
                signed = looked_up(value, -MORE)
            for use in fixed:
                use.owner.operands[use.operand_number] = signed


def convert(values: Sequence[ir.Value]) -> None:
    """Let the linear layers that read maps read what a lookup makes of these."""
    for value in values:
        uses = [use for use in value.uses if isinstance(use.owner.opview, accel.Weighted) and can_read(use)]
        if not uses:
            continue
        with ir.InsertionPoint(first(uses)), first(uses).location:
            unsigned = looked_up(value, MORE)
        for use in uses:
            read_more(use.owner.opview, use.operand_number)
            use.owner.operands[use.operand_number] = unsigned


def first(uses: Sequence[ir.OpOperand]) -> ir.Operation:
    """Return the first of some users in their block."""
    owners = {use.owner.operation for use in uses}
    return next(op.operation for op in uses[0].owner.operation.block if op.operation in owners)


def looked_up(value: ir.Value, more: int) -> ir.Value:
    """Return the integers of a map with a number added, at the insertion point."""
    lowest = SIGNED[0] if more > 0 else 0
    kind = without_sign(value.type) if more > 0 else with_element(value.type, ir.IntegerType.get_signless(8))
    entries = np.arange(lowest, lowest + len(SIGNED)) + more
    made = accel.LookupOp(kind, value, quantisation.integers(entries.astype(np.uint8).view(np.int8)), lowest=lowest)
    made.operation.attributes[accel.INNER_ATTRIBUTE] = ir.UnitAttr.get()
    return accel.output(made)


# Integers that are 128 more


def make_more(layer: accel.Layer) -> None:
    """Let a layer make integers that are 128 more."""
    layer.operation.attributes[accel.UNSIGNED_ATTRIBUTE] = ir.UnitAttr.get()
    if isinstance(layer, accel.PadOp):
        number = ir.FloatAttr.get_f64(layer.value.value + MORE)
        layer.operation.attributes["value"] = number
    elif isinstance(layer, accel.LookupOp):
        table = accel.present(quantisation.stored(layer.table), "table")
        with ir.InsertionPoint(layer.operation), layer.location:
            entries = quantisation.integers((table + MORE).astype(np.uint8).view(np.int8))
        layer.operation.operands[1] = entries
    elif not keeps_type(layer):
        stated = accel.present(accel.attribute(layer, "requant", accel.RequantAttr), "requant")
        made = stated.replace(min=stated.min + MORE, max=stated.max + MORE)
        if isinstance(layer, accel.AddOp) and not told_apart(stated):
            made = with_more(layer, made, MORE << stated.shift[0])
        else:
            made = made.replace(zero_point=stated.zero_point + MORE)
        layer.operation.attributes["requant"] = made


def read_more(layer: ir.OpView, place: int) -> None:
    """Let a layer read integers that are 128 more, and make what it did."""
    attributes = layer.operation.attributes
    if isinstance(layer, accel.Weighted):
        name = "pad_value" if isinstance(layer, accel.Conv2dOp) else "zero_point"
        before = ir.IntegerAttr(attributes[name]).value if name in attributes else 0
        attributes[name] = accel.integer(before + MORE)
        weights = accel.present(quantisation.stored(layer.weights), "weights")
        add_to_sums(layer, -MORE * weights.reshape(len(weights), -1).astype(np.int64).sum(1))
    elif isinstance(layer, accel.LookupOp):
        attributes["lowest"] = accel.integer(layer.lowest.value + MORE)
    elif isinstance(layer, accel.MulOp | accel.MatMulOp):
        points = list(layer.zero_points or (0, 0))
        points[place] += MORE
        attributes["zero_points"] = ir.DenseI64ArrayAttr.get(points)
    elif isinstance(layer, accel.AddOp):
        stated = accel.present(layer.requant, "requant")
        factors = stated.multiplier
        attributes["requant"] = with_more(layer, stated, -MORE * factors[place if len(factors) > 1 else 0])
    elif isinstance(layer, accel.Pool2dOp) and requantises(layer):
        low, high = ir.DenseI64ArrayAttr(attributes["accel.range"])
        attributes["accel.range"] = ir.DenseI64ArrayAttr.get([low + MORE, high + MORE])
        add_to_sums(layer, -MORE * np.array(accel.present(layer.counts, "counts")))


def add_to_sums(layer: accel.Weighted | accel.Pool2dOp, more: np.ndarray) -> None:
    """Add a number for each channel, or number of elements, to what a layer sums up: in its offsets."""
    stated = accel.present(layer.requant, "requant")
    offset = np.array(stated.offset) + (more << stated.pre_shift)
    changed = stated.replace(offset=offset.tolist())
    if stated.numerator is not None:
        rest = np.array(stated.rest).astype(object) + more.astype(object) * np.array(stated.numerator)
        changed = changed.replace(rest=[modulo(each) for each in rest.tolist()])
    layer.operation.attributes["requant"] = changed


def told_apart(requant: accel.RequantAttr) -> bool:
    """Say whether an addition adds its zero point last, as it tells ties from others before."""
    return bool(requant.tie_below) or requant.divisor is not None


def with_more(layer: accel.AddOp, requant: accel.RequantAttr, more: int) -> accel.RequantAttr:
    """Return the constants of an addition with more in the offset, which 32 bits may hold no longer, or the sum."""
    offset = requant.offset[0] + more
    factors = map(abs, requant.multiplier * 2 if len(requant.multiplier) == 1 else requant.multiplier)
    ranges = (accel.present(value_ranges.held(value), "integers") for value in (layer.lhs, layer.rhs))
    reach = sum(max(abs(low), abs(high)) * factor for (low, high), factor in zip(ranges, factors))
    is_narrow = requant.narrow and abs(offset) + reach < 1 << 31
    return requant.replace(offset=[offset], narrow=is_narrow)


def without_sign(kind: ir.Type) -> ir.Type:
    return with_element(kind, ir.IntegerType.get_unsigned(8))


def with_element(kind: ir.Type, element: ir.Type) -> ir.Type:
    shaped = ir.RankedTensorType(kind)
    return ir.RankedTensorType.get(shaped.shape, element, shaped.encoding)
