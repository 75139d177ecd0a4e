"""split-rounding: compute a layer that rounds in two steps as two that round once, for an engine that does so.

    %y = accel.conv2d %x, %w {requant = #accel.requant<double_round, min = 0, max = 255, zero_point = 128, ..>, ..}
    ==>
    %u = accel.conv2d %x, %w {requant = #accel.requant<min = 0, max = 255, ..>, ..} : (.., ..) -> tensor<..xui8>
    %v = accel.conv2d %x, %w {requant = #accel.requant<min = -128, max = 127, ..>, ..} : (.., ..) -> tensor<..xi8>
    %y = accel.add %u, %v {requant = #accel.requant<offset = [128 - 127], min = 0, max = 255, ..>} : ..

TOSA's DOUBLE_ROUND adds 2^30 to products from 0 on, and subtracts it from those below: results step along two lines.
One line is right from 0 on, where both give 0 or more, the other one below, where both give 0 or less: the result is
what the first gives above 0, plus what the second gives below. A layer on each line is exact for an engine that
multiplies, adds and shifts; the second one counts from 127, where its results are cut off. Exact, because no result of
8 bits is more than 255 from its zero point.

Stage    integer, before dispatch-engines
Reads    linear layers with `double_round`; rules and costs of the target's engines
Writes   both layers and their sum in place of one, where an accelerator takes them, and no accelerator takes the one
Needs    unsign-integers before it: an engine must see the types that it reads
Fails    never
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np
from mlir import ir
from mlir.passmanager import ExternalPass

from htvm.backend.targets.engines import linear_ops
from htvm.backend.targets.soc import Soc
from htvm.dialects import accel, inserted, quantisation
from htvm.dialects.accel import Purpose
from htvm.dialects.semantics.tosa_scaling import addend_of

from ..analysis import exact_requant
from ..analysis.acceptance import fewest_cycles, is_accelerated
from ..analysis.monotone_steps import Requant, Steps
from ..integer.forms.builders import requant

ABOVE, BELOW = (0, 255), (-128, 127)
"""What the results of both layers are cut off at."""


@dataclass(frozen=True)
class SplitRounding:
    """Let accelerators compute what rounds in two steps, where that is faster than the host."""

    name: ClassVar[str] = "split-rounding"
    stages: ClassVar[tuple[str, ...]] = ("integer",)

    target: Soc

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        if not self.target.accelerators:
            return
        with module.location:
            for layer in list(accel.layers(module)):
                if (
                    isinstance(layer, accel.Conv2dOp | accel.DenseOp)
                    and layer.engine is None
                    and rounds_twice(layer)
                    and not is_accelerated(self.target, layer)
                    and (lines := lines_of(layer)) is not None
                ):
                    self.split(layer, *lines)

    def split(self, layer: accel.Conv2dOp | accel.DenseOp, above: Requant, below: Requant) -> None:
        """Put the layers in place of the one, and keep them if an accelerator takes both and all is faster."""
        stated = accel.present(layer.requant, "requant")
        with ir.InsertionPoint(layer), layer.location:
            first = on_line(layer, above, ir.IntegerType.get_unsigned(8))
            second = on_line(layer, below, ir.IntegerType.get_signless(8))
            constants = accel.RequantAttr.get(
                multiplier=[1, 1],
                offset=[stated.zero_point - BELOW[1]],
                shift=[0],
                min=stated.min,
                max=stated.max,
                narrow=True,
            )
            total = accel.AddOp(accel.output(layer).type, accel.output(first), accel.output(second), requant=constants)
        for each in (second, total):
            inserted.mark(each, Purpose.SPLIT_ROUNDING)
        for name in (accel.INNER_ATTRIBUTE, accel.UNSIGNED_ATTRIBUTE, accel.CHANNELS_FIRST_ATTRIBUTE):
            if name in layer.operation.attributes:
                total.operation.attributes[name] = layer.operation.attributes[name]
        engines = self.target.engines
        costs = (
            fewest_cycles(self.target, first, self.target.accelerators),
            fewest_cycles(self.target, second, self.target.accelerators),
            fewest_cycles(self.target, total, engines),
        )
        before = fewest_cycles(self.target, layer, engines)
        known = [each for each in costs if each is not None]
        if len(known) == len(costs) and (before is None or sum(known) < before):
            accel.output(layer).replace_all_uses_with(accel.output(total))
            layer.operation.erase()
        else:
            for each in (total, second, first):
                each.operation.erase()


def rounds_twice(layer: accel.Conv2dOp | accel.DenseOp) -> bool:
    """Say whether a layer's results of 8 bits are rounded as TOSA's DOUBLE_ROUND does."""
    stated = layer.requant
    if stated is None or not stated.double_round or stated.pre_shift:
        return False
    element = str(ir.ShapedType(accel.output(layer).type).element_type)
    return element in ("i8", "ui8") and quantisation.stored(layer.weights) is not None


def lines_of(layer: accel.Conv2dOp | accel.DenseOp) -> tuple[Requant, Requant] | None:
    """Return constants of the layers for results above 0 and below, in that order; None if some are not exact."""
    above = exact_requant.solve(steps(layer, False, 0, ABOVE))
    below = exact_requant.solve(steps(layer, True, BELOW[1], BELOW))
    return None if above.inexact or below.inexact else (above, below)


def steps(layer: accel.Conv2dOp | accel.DenseOp, is_negative: bool, zero_point: int, ends: tuple[int, int]) -> Steps:
    """Return what a layer asks for on one of its two lines."""
    stated = accel.present(layer.requant, "requant")
    first, last = linear_ops.accumulators(layer)
    entries = (stated.multiplier, stated.offset, stated.shift)
    constants = (np.broadcast_to(each, len(first)).tolist() for each in entries)
    slopes: list[Fraction] = []
    intercepts: list[Fraction] = []
    for multiplier, offset, shift in zip(*constants):
        unit = 1 << shift
        slopes.append(Fraction(multiplier, unit))
        intercepts.append(Fraction(offset * multiplier + addend_of(is_negative, shift, double_round=True), unit))
    return Steps(slopes, intercepts, first, last, zero_point, *ends, "floor")


def on_line(
    layer: accel.Conv2dOp | accel.DenseOp, constants: Requant, element: ir.Type
) -> accel.Conv2dOp | accel.DenseOp:
    """Return the same layer with other constants and elements, at the insertion point."""
    result = ir.RankedTensorType.get(ir.ShapedType(accel.output(layer).type).shape, element)
    attributes = dict(layer.operation.attributes.items()) | requant(constants)
    attributes[accel.INNER_ATTRIBUTE] = ir.UnitAttr.get()
    made = ir.Operation.create(
        layer.operation.name, results=[result], operands=list(layer.operation.operands), attributes=attributes
    ).opview
    assert isinstance(made, accel.Conv2dOp | accel.DenseOp), made
    return made
