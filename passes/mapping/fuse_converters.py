"""fuse-converters: give a layer and the scaling of its result to an engine that does both at its converter.

    %c = accel.conv2d %x, %w {requant = #accel.requant<.., min = -32, max = 31>, ..}
    %y = accel.conv2d %c, %s {groups = 64 : i64, requant = #accel.requant<..>, ..}  // 1x1, one weight for each channel
    ==>
    %y = accel.conv2d %x, %w {requant = #accel.requant<.., min = -32, max = 31>, rescale = #accel.rescale<..>, ..}

Stage    integer -> integer
Reads    pairs of conv2d whose first result has one use and whose second is 1x1 and depthwise; the target's engines
Writes   the pair as one conv2d with `rescale`; its location has the nodes of both
Needs    integerize before it; comes before dispatch-engines, which chooses the engine
Fails    never: a pair that no engine takes, or that is cheaper in two, stays as it is, and so do layers that are
         pinned to an engine
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mlir import ir
from mlir.passmanager import ExternalPass

from htvm.backend.targets.soc import Soc
from htvm.dialects import accel, quantisation

from ..analysis.acceptance import fewest_cycles


@dataclass(frozen=True)
class FuseConverters:
    """Fuse each pair that an engine takes as one layer, if its predicted cycles are fewer."""

    name: ClassVar[str] = "fuse-converters"
    stages: ClassVar[tuple[str, ...]] = ("integer",)

    target: Soc

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        for scaling in list(accel.layers(module)):
            if not isinstance(scaling, accel.Conv2dOp) or (first := scaled(scaling)) is None:
                continue
            fused = together(first, scaling)
            alone = fewest_cycles(self.target, first), fewest_cycles(self.target, scaling)
            both = fewest_cycles(self.target, fused)
            if both is not None and (alone[0] is None or alone[1] is None or both < alone[0] + alone[1]):
                accel.output(scaling).replace_all_uses_with(accel.output(fused))
                scaling.operation.erase()
                first.operation.erase()
            else:
                fused.operation.erase()


def scaled(layer: accel.Conv2dOp) -> accel.Conv2dOp | None:
    """Return the convolution whose result a layer only multiplies by a weight for each channel and requantises."""
    if not is_scaling(layer):
        return None
    first = accel.producer(layer.input)
    if not isinstance(first, accel.Conv2dOp) or len(list(accel.output(first).uses)) != 1:
        return None
    return first if is_free(first) and is_free(layer) else None


def is_scaling(layer: accel.Conv2dOp) -> bool:
    """Say whether each result depends on one element of the input, and on a constant weight for its channel."""
    weights, channels = ir.ShapedType(layer.weights.type).shape, ir.ShapedType(layer.input.type).shape[1]
    return (
        quantisation.stored(layer.weights) is not None
        and list(weights) == [channels, 1, 1, 1]
        and layer.groups.value == channels
        and set(layer.strides) == {1}
        and set(layer.pads) == {0}
    )


def is_free(layer: accel.Conv2dOp) -> bool:
    """Say whether a layer requantises, once and exactly, and no engine is named for it."""
    inexact = "accel.inexact" in layer.operation.attributes
    return layer.requant is not None and layer.rescale is None and layer.engine is None and not inexact


def together(first: accel.Conv2dOp, scaling: accel.Conv2dOp) -> accel.Conv2dOp:
    """Build both layers as one, in front of the second."""
    weights = accel.present(quantisation.stored(scaling.weights), "constant weights").reshape(-1)
    requant = accel.present(scaling.requant, "requant")
    with ir.InsertionPoint(scaling), ir.Location.fused([first.location, scaling.location]):
        return accel.Conv2dOp(
            accel.output(scaling).type,
            first.input,
            first.weights,
            first.strides,
            first.pads,
            first.dilations,
            first.groups,
            pad_value=first.pad_value,
            requant=first.requant,
            rescale=accel.RescaleAttr.get(requant=requant, weights=weights.tolist()),
        )
