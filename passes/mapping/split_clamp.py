"""split-clamp: take a clip off an addition, for an engine that only saturates.

    %y = accel.add %a, %b {requant = #accel.requant<shift = [3], min = 0, max = 127, ..>} : ..
    ==>
    %s = accel.add %a, %b {requant = #accel.requant<shift = [3], min = -128, max = 127, ..>} : ..
    %y = accel.conv2d %s, %ones {groups = 16, requant = #accel.requant<min = 0, max = 127, ..>, ..} : ..

with ones of shape [16, 1, 1, 1]: a depthwise convolution that changes nothing but what is negative. Exact: a sum that
is cut off at -128 is negative all the same. And for values of fewer bits

    %y = accel.add %a, %b {requant = #accel.requant<shift = [3], min = -64, max = 63, ..>} : ..
    ==>
    %s = accel.add %a, %b {requant = #accel.requant<shift = [2], min = -128, max = 127, ..>} : ..
    %y = accel.add %s, %s {requant = #accel.requant<shift = [2], min = -64, max = 63, ..>} : ..

Twice as fine, a sum is cut off at twice the limits; half of it, rounded down, is what was wanted: it is a quarter of
s + s. With min = 0 and max = 63 the convolution halves.

Stage    integer, before dispatch-engines
Reads    additions with a clip to -2^n..2^n - 1 or 0..2^n - 1; rules and costs of the target's engines
Writes   both layers in place of one, where an accelerator takes them and no accelerator takes the one
Needs    integerize before it: the clip is in `requant`
Fails    never
"""

from dataclasses import dataclass
from typing import ClassVar

from mlir import ir
from mlir.passmanager import ExternalPass

from htvm.backend.targets.soc import Soc
from htvm.dialects import accel, inserted, scaling
from htvm.dialects.accel import Purpose

from ..analysis.acceptance import fewest_cycles, is_accelerated

LOWEST, HIGHEST = -128, 127
"""What a sum of the engine is cut off at."""


@dataclass(frozen=True)
class SplitClamp:
    """Let accelerators add, and clip the sum in a layer of its own, where that is faster than the host."""

    name: ClassVar[str] = "split-clamp"
    stages: ClassVar[tuple[str, ...]] = ("integer",)

    target: Soc

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        self.rewrite(module)

    def rewrite(self, module: ir.Operation) -> None:
        if not self.target.accelerators:
            return
        with module.location:
            for layer in list(accel.layers(module)):
                if (
                    isinstance(layer, accel.AddOp)
                    and is_clipped(layer)
                    and layer.engine is None
                    and not is_accelerated(self.target, layer)
                ):
                    self.split(layer)

    def split(self, layer: accel.AddOp) -> None:
        """Put both layers in place of the one, and keep them if an accelerator takes both and is faster."""
        requant = accel.present(layer.requant, "requant")
        bits = spare_bits(requant)
        with ir.InsertionPoint(layer), layer.location:
            total = saturated_sum(layer, requant, bits)
            clipped = shifted(requant, accel.output(total), bits)
        inserted.mark(clipped, Purpose.SPLIT_CLAMP)
        before = fewest_cycles(self.target, layer, self.target.engines)
        first, second = (fewest_cycles(self.target, each, self.target.accelerators) for each in (total, clipped))
        if first is not None and second is not None and (before is None or first + second < before):
            accel.output(layer).replace_all_uses_with(accel.output(clipped))
            layer.operation.erase()
            return
        if isinstance(clipped, accel.Conv2dOp):
            scaling.erase(clipped)
        else:
            clipped.operation.erase()
        total.operation.erase()


def is_clipped(layer: accel.AddOp) -> bool:
    """Say whether an addition is one of maps that is clipped, last of all, to all of n bits, with a sign or not."""
    if layer.requant is None or accel.output(layer).type.rank != 4:
        return False
    low, high = layer.requant.min, layer.requant.max
    if high & (high + 1) or not 0 < high <= HIGHEST or low not in (0, -high - 1):
        return False
    bits = spare_bits(layer.requant)
    return bits == 0 or (bits <= layer.requant.shift[0] and not needs_whole_shift(layer.requant))


def needs_whole_shift(requant: accel.RequantAttr) -> bool:
    """Say whether a requantisation has constants that mean something else with a smaller shift."""
    return requant.zero_point != 0 or requant.tie_below != 0 or requant.divisor is not None


def spare_bits(requant: accel.RequantAttr) -> int:
    """Return how many bits fewer than those of the engine the results of a clipped addition have."""
    return HIGHEST.bit_length() - requant.max.bit_length()


def saturated_sum(layer: accel.AddOp, requant: accel.RequantAttr, bits: int) -> accel.AddOp:
    """Return the same addition, 2^bits times as fine and cut off at LOWEST and HIGHEST, at the insertion point."""
    finer = requant.replace(min=LOWEST, max=HIGHEST, shift=[requant.shift[0] - bits])
    made = ir.Operation.create(
        layer.operation.name,
        results=[accel.output(layer).type],
        operands=[layer.lhs, layer.rhs],
        attributes=dict(layer.operation.attributes.items()) | {"requant": finer},
    )
    made.attributes[accel.INNER_ATTRIBUTE] = ir.UnitAttr.get()
    total = made.opview
    assert isinstance(total, accel.AddOp), made.name
    return total


def shifted(requant: accel.RequantAttr, value: ir.Value, bits: int) -> accel.AddOp | accel.Conv2dOp:
    """Return floor(value / 2^bits) with the clip of a requantisation, at the insertion point.

    Where nothing is cut off, it is value + value, shifted by one bit more.
    """
    low, high = requant.min, requant.max
    if low == 0:
        return scaling.scaled(value, value.type, shift=bits, low=low, high=high)
    halved = accel.RequantAttr.get(multiplier=[1, 1], offset=[0], shift=[bits + 1], min=low, max=high, narrow=True)
    return accel.AddOp(value.type, value, value, requant=halved)
