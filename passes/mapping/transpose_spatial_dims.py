"""transpose-spatial-dims: swap rows and columns of narrow maps, where an accelerator has lanes for columns.

    %y = accel.conv2d %x, %w {pads = [0, 1, 2, 3], ..} : (tensor<1x1x50x5xi8>, tensor<64x1x5x3xi8>) -> ..
    ==>
    %0 = accel.transpose %x {permutation = [0, 1, 3, 2]} : (tensor<1x1x50x5xi8>) -> tensor<1x1x5x50xi8>
    %1 = accel.conv2d %0, %v {pads = [1, 0, 3, 2], ..} : (tensor<1x1x5x50xi8>, tensor<64x1x3x5xi8>) -> ..
    %y = accel.transpose %1 {permutation = [0, 1, 3, 2]} : ..

All layers that hang together are turned, so that only what others see is transposed.

Stage    integer, before dispatch-engines
Reads    convolutions, pools and element-wise layers on maps; rules and costs of the target's engines
Writes   the same layers on turned maps, and transposes around them, where all that takes fewer cycles
Needs    integerize before it; comes before legalize-conv, which makes kernels of an accelerator of the rest
Fails    never
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import inf, prod
from typing import ClassVar

from mlir import ir
from mlir.dialects import func
from mlir.passmanager import ExternalPass

from htvm.backend.targets.soc import Soc
from htvm.dialects import accel, inserted, quantisation
from htvm.dialects.accel import Purpose

from ..analysis import activations
from ..analysis.acceptance import fewest_cycles, is_accelerated
from ..analysis.conversion import behind

TURN = (0, 1, 3, 2)
PAIRS = ("kernel", "strides", "dilations")
"""Attributes that are [rows, columns]."""


@dataclass(frozen=True)
class TransposeSpatialDims:
    """Turn the layers of maps that hang together, if that is faster."""

    name: ClassVar[str] = "transpose-spatial-dims"
    stages: ClassVar[tuple[str, ...]] = ("integer",)

    target: Soc

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        if not self.target.accelerators:
            return
        with module.location:
            for function in accel.functions(module):
                for layers in together(function):
                    if not all(map(is_symmetric, layers)) and any(is_accelerated(self.target, each) for each in layers):
                        self.turn(layers)

    def turn(self, layers: Sequence[accel.Layer]) -> None:
        """Build the layers turned, and leave those that take fewer cycles."""
        turned = Turned(layers)
        turned.build()
        if sum(map(self.cycles, turned.made)) < sum(map(self.cycles, layers)):
            turned.keep()
        else:
            erase(turned.made)

    def cycles(self, layer: accel.Layer) -> float:
        """Return the fewest cycles of a layer on an engine that takes it; without end if none does."""
        found = fewest_cycles(self.target, layer, self.target.engines)
        return inf if found is None else found


@dataclass
class Turned:
    """Layers, and the same on turned maps. made: all that was built. values: what is turned, by the map that it was;
    back: what others read in place of a map.
    """

    layers: Sequence[accel.Layer]
    made: list[accel.Layer] = field(default_factory=list[accel.Layer])
    values: dict[ir.Value, ir.Value] = field(default_factory=dict[ir.Value, ir.Value])
    back: dict[ir.Value, ir.Value] = field(default_factory=dict[ir.Value, ir.Value])

    def others(self, value: ir.Value) -> list[ir.OpOperand]:
        """Return the uses of a map by others than the layers."""
        return [use for use in value.uses if not any(result in self.own for result in use.owner.results)]

    @cached_property
    def own(self) -> set[ir.Value]:
        """What the layers make."""
        return {accel.output(layer) for layer in self.layers}

    def build(self) -> None:
        """Build all layers, and transposes of what they read of others and of what others read of them."""
        for layer in self.layers:
            for value in activations.read_by(layer):
                if value not in self.values:
                    with behind(value), layer.location:
                        self.values[value] = self.transposed(value)
            with ir.InsertionPoint(layer), layer.location:
                result = self.clone(layer)
                self.values[accel.output(layer)] = result
                if self.others(accel.output(layer)):
                    self.back[accel.output(layer)] = self.transposed(result)

    def keep(self) -> None:
        """Let others read what is turned back, and take the old layers away."""
        for old, new in self.back.items():
            for use in self.others(old):
                use.owner.operands[use.operand_number] = new
        erase(self.layers)

    def transposed(self, value: ir.Value) -> ir.Value:
        """Return a map turned, at the insertion point; one pixel is itself."""
        if prod(ir.ShapedType(value.type).shape[2:]) == 1:
            return value
        layer = accel.TransposeOp(turned_type(value.type), value, permutation=list(TURN))
        inserted.mark(layer, Purpose.TRANSPOSE_SPATIAL_DIMS)
        self.made.append(layer)
        return accel.output(layer)

    def clone(self, layer: accel.Layer) -> ir.Value:
        """Return what a layer makes of turned maps, at the insertion point."""
        operands = [self.values.get(value, value) for value in layer.operation.operands]
        attributes = dict(layer.operation.attributes.items())
        if isinstance(layer, accel.Conv2dOp):
            weights = accel.present(quantisation.elements(layer.weights), "constant weights")
            operands[1] = quantisation.integers(weights.swapaxes(2, 3))
        for name in PAIRS:
            if name in attributes:
                attributes[name] = ir.DenseI64ArrayAttr.get(list(ir.DenseI64ArrayAttr(attributes[name]))[::-1])
        if "pads" in attributes:
            top, left, bottom, right = ir.DenseI64ArrayAttr(attributes["pads"])
            attributes["pads"] = ir.DenseI64ArrayAttr.get([left, top, right, bottom])
        kind = turned_type(accel.output(layer).type)
        if prod(kind.shape[2:]) > 1:
            attributes[accel.INNER_ATTRIBUTE] = ir.UnitAttr.get()
        name = layer.operation.name
        made = ir.Operation.create(name, results=[kind], operands=operands, attributes=attributes).opview
        assert accel.is_layer(made), name
        self.made.append(made)
        return accel.output(made)


def together(function: func.FuncOp) -> list[list[accel.Layer]]:
    """Return the layers that can be turned in groups that read and make the same maps, each in order."""
    group_of: dict[ir.Value, list[accel.Layer]] = {}
    for layer in activations.layers(function):
        if is_turnable(layer):
            merged: list[accel.Layer] = [layer]
            read = activations.read_by(layer)
            for group in {id(group_of[value]): group_of[value] for value in read if value in group_of}.values():
                merged = [*group, *merged]
            touched = {value for each in merged for value in (*activations.read_by(each), accel.output(each))}
            group_of.update(dict.fromkeys(touched, merged))
    place = {accel.output(layer): number for number, layer in enumerate(activations.layers(function))}
    groups = {id(group): group for group in group_of.values()}.values()
    return [sorted(group, key=lambda layer: place[accel.output(layer)]) for group in groups]


def is_turnable(layer: accel.Layer) -> bool:
    """Say whether a layer on maps treats rows as it treats columns, and no engine is named for it."""
    operands = activations.read_by(layer)
    if any(ir.ShapedType(value.type).rank != 4 for value in (accel.output(layer), *operands)):
        return False
    if layer.engine is not None:
        return False
    match layer:
        case accel.Conv2dOp():
            return len(operands) == 1 and quantisation.stored(layer.weights) is not None
        case accel.Pool2dOp():
            return True
        case accel.AddOp() | accel.MulOp() | accel.MaximumOp() | accel.MinimumOp():
            both = layer.lhs, layer.rhs
            shape = accel.output(layer).type.shape
            return all(value in operands and value.type.shape == shape for value in both)
        case accel.LookupOp():
            return layer.axis is None or layer.axis.value < 2
        case _:
            return False


def is_symmetric(layer: accel.Layer) -> bool:
    """Say whether a layer is as large and reads as far along rows as along columns: turned it takes as many cycles."""
    attributes = layer.operation.attributes
    pairs = [list(ir.DenseI64ArrayAttr(attributes[name])) for name in PAIRS if name in attributes]
    if "pads" in attributes:
        top, left, bottom, right = ir.DenseI64ArrayAttr(attributes["pads"])
        pairs += [[top, left], [bottom, right]]
    values = [*activations.read_by(layer), accel.output(layer)]
    if isinstance(layer, accel.Conv2dOp):
        values.append(layer.weights)
    pairs += [list(ir.ShapedType(value.type).shape[2:]) for value in values]
    return all(one == other for one, other in pairs)


def turned_type(value_type: ir.Type) -> ir.RankedTensorType:
    shaped = ir.ShapedType(value_type)
    return quantisation.tensor([shaped.shape[axis] for axis in TURN], shaped.element_type)


def erase(layers: Sequence[accel.Layer]) -> None:
    """Take layers away that nothing else reads, with weights that were only theirs."""
    for layer in reversed(layers):
        weights = accel.producer(layer.weights) if isinstance(layer, accel.Conv2dOp) else None
        layer.operation.erase()
        if weights is not None and not list(weights.result.uses):
            weights.erase()
