"""split-activations: take a relu off an addition, for an engine that adds without one.

    %y = accel.add %a, %b {requant = {min = 0, max = 127, ..}} : ..
    ==>
    %s = accel.add %a, %b {requant = {min = -128, max = 127, ..}} : ..
    %y = accel.conv2d %s, %ones {groups = 16, requant = {min = 0, max = 127, ..}, ..} : ..

with ones of shape [16, 1, 1, 1]: a depthwise convolution that changes nothing but what is negative. Exact: a sum that
is cut off at -128 is negative all the same.

Stage    integer, before dispatch-engines
Reads    additions with a clip from 0; rules and costs of the target's engines
Writes   both layers in place of one, where an accelerator takes them and no accelerator takes the one
Needs    integerize before it: the clip is in `requant`
Fails    never
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from mlir import ir
from mlir.passmanager import ExternalPass

from htvm.backend.targets.soc import Engine, Soc
from htvm.dialects import accel, quantisation

from .analysis import activations
from .analysis.placement import is_accelerated, refusal

LOWEST, HIGHEST = -128, 127
"""What a sum of the engine is cut off at."""


@dataclass(frozen=True)
class SplitActivations:
    """Let accelerators add, and do the relu of the sum as a convolution, where that is faster than the host."""

    name: ClassVar[str] = "split-activations"

    target: Soc

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        if not self.target.accelerators:
            return
        with module.location:
            for function in accel.functions(module):
                for layer in list(activations.layers(function)):
                    if layer.engine is None and has_relu(layer) and not is_accelerated(self.target, layer):
                        self.split(layer)

    def split(self, layer: accel.AddOp) -> None:
        """Put both layers in place of the one, and keep them if an accelerator takes both and is faster."""
        with ir.InsertionPoint(layer), layer.location:
            total = add_without_relu(layer)
            positive = relu(total.result)
        before = self.fastest(layer)
        first, second = self.fastest(total, accelerated=True), self.fastest(positive, accelerated=True)
        if first is not None and second is not None and (before is None or first + second < before):
            layer.result.replace_all_uses_with(positive.result)
            layer.operation.erase()
            return
        weights = positive.weights.owner
        for op in (positive.operation, weights, total.operation):
            op.erase()

    def fastest(self, layer: ir.OpView, accelerated: bool = False) -> int | None:
        """Return the fewest cycles of a layer on the engines, or accelerators, that take it; None if none does."""
        engines: tuple[Engine, ...] = self.target.accelerators if accelerated else self.target.engines
        willing = [engine for engine in engines if refusal(self.target, engine, layer) is None]
        return min((engine.cycles(layer, self.target.cost_model) for engine in willing), default=None)


def has_relu(layer: ir.OpView) -> bool:
    """Say whether a layer is an addition of maps whose result is cut off at 0 and 127."""
    if not isinstance(layer, accel.AddOp) or layer.requant is None or layer.result.type.rank != 4:
        return False
    return (layer.requant["min"].value, layer.requant["max"].value) == (0, HIGHEST)


def add_without_relu(layer: accel.AddOp) -> accel.AddOp:
    """Return the same addition, cut off at LOWEST and HIGHEST, at the insertion point."""
    entries = {entry.name: entry.attr for entry in layer.requant} | {"min": integer(LOWEST)}
    attributes = dict(layer.operation.attributes.items())
    made = ir.Operation.create(
        layer.operation.name,
        results=[layer.result.type],
        operands=[layer.lhs, layer.rhs],
        attributes=attributes | {"requant": ir.DictAttr.get(entries)},
    )
    return made.opview


def relu(value: ir.Value) -> accel.Conv2dOp:
    """Return max(value, 0) as a depthwise convolution with ones, at the insertion point."""
    channels = value.type.shape[1]
    ones = quantisation.integers(np.ones((channels, 1, 1, 1), np.int8))
    requant = {
        "multiplier": ir.DenseI32ArrayAttr.get([1 << 30]),
        "offset": ir.DenseI64ArrayAttr.get([0]),
        "shift": ir.DenseI32ArrayAttr.get([32]),
        "pre_shift": integer(2),
        "min": integer(0),
        "max": integer(HIGHEST),
        "narrow": ir.UnitAttr.get(),
    }
    return accel.Conv2dOp(
        value.type,
        value,
        ones,
        strides=[1, 1],
        pads=[0, 0, 0, 0],
        dilations=[1, 1],
        groups=channels,
        pad_value=0,
        requant=ir.DictAttr.get(requant),
    )


def integer(number: int) -> ir.IntegerAttr:
    return ir.IntegerAttr.get(ir.IntegerType.get_signless(64), number)
