"""fuse-patterns: give several layers to an engine that computes them in one job.

    %c = accel.conv2d %x, %w {requant = #accel.requant<..>, ..}
    %y = accel.pool2d %c {kind = #accel.pool_kind<max>, ..}
    ==>
    %y = accel.fused %x, %w {
    ^bb0(%a: .., %b: ..):
      %c = accel.conv2d %a, %b {requant = #accel.requant<..>, ..}
      %p = accel.pool2d %c {kind = #accel.pool_kind<max>, ..}
      accel.output %p
    }

Which patterns there are, engines say (`patterns`, soc.Fuses). Layers are fused where an engine takes them so, in no
more cycles than the fastest engines take for each; their feature maps between need no memory then, nor a way there.

Stage    integer -> integer
Reads    chains of layers whose results have one use; the target's engines; the module's `accel.plan`
Writes   accel.fused; its location has the nodes of all its layers
Needs    integerize before it; comes before what makes other layers of those that no engine takes, and dispatch-engines
Fails    never: what no engine takes as one, or what is faster in several, stays as it is, and so do layers that a plan
         names or that are pinned to an engine; a plan that names a fused layer has it so
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from mlir import ir
from mlir.passmanager import ExternalPass

from htvm.backend.targets.soc import Fuses, Pattern, Soc, fuses
from htvm.dialects import accel

from ..analysis import activations
from ..analysis.acceptance import fewest_cycles

FUSED = "fused"
"""The operation's name in a plan."""


@dataclass(frozen=True)
class FusePatterns:
    """Fuse the layers that an engine computes in one job, if that is not slower."""

    name: ClassVar[str] = "fuse-patterns"
    stages: ClassVar[tuple[str, ...]] = ("integer",)

    target: Soc

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        engines = [each for each in self.target.accelerators if fuses(each)]
        if not engines or accel.mapping(module) != accel.Mapping.DEFAULT:
            return
        pins = {(pin.node, pin.op) for pin in plan_of(module)}
        with module.location:
            for function in accel.functions(module):
                # Readers come before what they read, so that no layer is met that is gone.
                for layer in reversed(list(activations.layers(function))):
                    for each in reversed(self.fused(layer, engines, pins)):
                        each.operation.erase()

    def fused(self, layer: accel.Layer, engines: Sequence[Fuses], pins: set[tuple[str, str]]) -> list[accel.Layer]:
        """Fuse a layer with those behind it, where an engine takes them; return those that now have no use."""
        for engine in engines:
            for pattern in engine.patterns:
                chain = chain_of(layer, pattern)
                is_wanted = (accel.node(layer), FUSED) in pins
                if chain is None or any((accel.node(each), accel.op_name(each)) in pins for each in chain):
                    continue
                fused = as_fused(chain)
                if self.is_better(engine, fused, chain, is_wanted):
                    accel.output(chain[-1]).replace_all_uses_with(accel.output(fused))
                    return chain
                fused.operation.erase()
        return []

    def is_better(self, engine: Fuses, fused: accel.FusedOp, chain: Sequence[accel.Layer], is_wanted: bool) -> bool:
        """Say whether an engine takes layers as one, and they take no more cycles so than apart."""
        both = fewest_cycles(self.target, fused, [engine])
        if both is None or is_wanted:
            return both is not None
        apart = [fewest_cycles(self.target, each) for each in chain]
        return any(each is None for each in apart) or both <= sum(each for each in apart if each is not None)


def plan_of(module: ir.Operation) -> list[accel.PinAttr]:
    """Return what a plan says of the module's layers."""
    plan = accel.attribute(module, accel.PLAN_ATTRIBUTE, ir.ArrayAttr)
    return [] if plan is None else [pin for pin in plan if isinstance(pin, accel.PinAttr)]


def chain_of(layer: accel.Layer, pattern: Pattern) -> list[accel.Layer] | None:
    """Return the layers of a pattern that begin with this one, each the only reader of the one before; None if others
    follow."""
    if accel.op_name(layer) != pattern[0] or not is_free(layer):
        return None
    chain = [layer]
    for name in pattern[1:]:
        uses = list(accel.output(chain[-1]).uses)
        reader = uses[0].owner.opview if len(uses) == 1 else None
        if reader is None or not accel.is_layer(reader) or accel.op_name(reader) != name or not is_free(reader):
            return None
        chain.append(reader)
    return chain


def is_free(layer: accel.Layer) -> bool:
    """Say whether a layer is exact, and no engine is named for it."""
    return layer.engine is None and "accel.inexact" not in layer.operation.attributes


def as_fused(chain: Sequence[accel.Layer]) -> accel.FusedOp:
    """Build layers as one, in front of the last: an input for each operand from outside, constants last."""
    made = {accel.output(layer) for layer in chain}
    operands = [(layer, number) for layer in chain for number in range(len(layer.operation.operands))]
    read = [each for each in operands if value_of(*each) not in made]
    read.sort(key=lambda each: activations.is_constant(value_of(*each)))
    inputs = [value_of(*each) for each in read]
    with ir.InsertionPoint(chain[-1]), ir.Location.fused([each.location for each in chain]):
        fused = accel.FusedOp(accel.output(chain[-1]).type, inputs)
        block = fused.body.blocks.append(*(value.type for value in inputs))
    argument = dict(zip(read, block.arguments, strict=True))
    inside: dict[ir.Value, ir.Value] = {}
    for layer in chain:
        with ir.InsertionPoint(block), layer.location:
            copy = layer.operation.clone()
            for number, operand in enumerate(layer.operation.operands):
                copy.operands[number] = inside[operand] if operand in inside else argument[layer, number]
            inside[accel.output(layer)] = copy.results[0]
    with ir.InsertionPoint(block), chain[-1].location:
        accel.OutputOp(inside[accel.output(chain[-1])])
    return fused


def value_of(layer: accel.Layer, number: int) -> ir.Value:
    return layer.operation.operands[number]
