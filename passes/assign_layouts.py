"""assign-layouts: give each value the order in which its axes lie in memory.

    %y = accel.conv2d %x, %w {..} : (tensor<1x3x32x32xi8>, ..) -> tensor<1x16x32x32xi8>
    ==>
    %y = accel.conv2d %x, %w {..} : (tensor<1x3x32x32xi8>, ..) -> tensor<1x16x32x32xi8, #nhwc>

with #nhwc = affine_map<(n, c, h, w) -> (n, h, w, c)>. The rule: maps inside the network have their channels
innermost, which the host's convolutions read and write fastest. What others see or reinterpret is row-major:
inputs and outputs of the network, operands and results of a reshape, constants. Values that an element-wise
layer reads and writes in one sweep share one layout; one that must be row-major makes all of them so. Every
other layer reads and writes any layout, so no conversion is ever needed.

Stage    dispatched
Reads    shapes and uses of values
Writes   the encoding of what layers produce: none for row-major, also where another order is the same places
Needs    nothing
Fails    never
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from mlir import ir
from mlir.dialects import func
from mlir.passmanager import ExternalPass

from htvm.dialects import accel

from .analysis import activations, layout

ELEMENT_WISE = (
    accel.AddOp,
    accel.MulOp,
    accel.MaximumOp,
    accel.MinimumOp,
    accel.LookupOp,
    accel.SoftmaxOp,
)


@dataclass(frozen=True)
class AssignLayouts:
    """Put channels innermost, but where an interface or a reshape wants row-major."""

    name: ClassVar[str] = "assign-layouts"

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        with module.location:
            for values in tied(accel.layers(module)):
                is_plain = any(must_be_row_major(value) for value in values)
                for value in values:
                    if not activations.is_argument(value):
                        order = range(value.type.rank) if is_plain else layout.CHANNELS_LAST
                        value.set_type(layout.with_order(value.type, order))


def tied(layers: Iterable[ir.OpView]) -> list[list[ir.Value]]:
    """Return all activations in groups that share a layout, because an element-wise layer ties them."""
    group_of: dict[ir.Value, list[ir.Value]] = {}
    for layer in layers:
        merged: dict[ir.Value, None] = {}
        for value in one_sweep(layer):
            merged.update(dict.fromkeys(group_of.get(value, [value])))
        group_of.update(dict.fromkeys(merged, list(merged)))
    return list({id(group): group for group in group_of.values()}.values())


def one_sweep(layer: ir.OpView) -> list[ir.Value]:
    """Return the output of a layer, and the activations whose elements it reads in the same places."""
    output = accel.output(layer)
    if not isinstance(layer, ELEMENT_WISE):
        return [output]
    return [output, *(x for x in activations.read_by(layer) if list(x.type.shape) == list(output.type.shape))]


def must_be_row_major(value: ir.Value) -> bool:
    """Say whether a value has no channels to put innermost, or something takes it for a flat array."""
    if value.type.rank != len(layout.CHANNELS_LAST) or activations.is_argument(value):
        return True
    neighbours = [value.owner, *(use.owner for use in value.uses)]
    return any(isinstance(op, (accel.ReshapeOp, func.ReturnOp)) for op in neighbours)
