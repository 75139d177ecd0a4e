"""order-layers: put the layers in the order that needs the least memory at once.

    %a = accel.conv2d %x ..       wide
    %b = accel.conv2d %x ..       wide
    %c = accel.pool2d %a ..       narrow
    %d = accel.pool2d %b ..       narrow
    ==>
    %a, %c, %b, %d: the wide values are never there together

Stage    dispatched -> scheduled
Reads    sizes and uses of values; scratch memory, and how far a layer's output may lie over its input, which its kernel
         decides
Writes   the order of the layers in each function's block, which stays as it was where nothing is gained; the
         function's attribute `accel.order`: "optimal", or "bounded" where the graph is too wide to be sure; and
         `accel.order_bound`, bytes that no order needs less than
Needs    assign-layouts before it: a layer works in place only between equal layouts; choose-kernels
Fails    never
"""

from dataclasses import dataclass
from typing import ClassVar

from mlir import ir
from mlir.dialects import func
from mlir.passmanager import ExternalPass

from htvm.dialects import accel

from ..analysis import activations, layout
from ..analysis.ordering import SEARCH_LIMIT_SETS, Network, Task, best_order
from ..analysis.trails import shared_bytes, trails


@dataclass(frozen=True)
class OrderLayers:
    """Move the layers of each function into the order with the smallest peak."""

    name: ClassVar[str] = "order-layers"
    stages: ClassVar[tuple[str, ...]] = ("dispatched",)

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        with module.location:
            for function in accel.functions(module):
                layers = list(activations.layers(function))
                order = best_order(network(function, layers), SEARCH_LIMIT_SETS * accel.effort(module))
                if order.sequence != tuple(range(len(layers))):
                    end = function.body.blocks[0].operations[-1]
                    for number in order.sequence:
                        layers[number].operation.move_before(end.operation)
                function.attributes[accel.ORDER_BOUND] = accel.integer(order.lower_bound_bytes)
                function.attributes[accel.ORDER] = accel.OptimalityAttr.get(
                    accel.Optimality.OPTIMAL if order.is_optimal else accel.Optimality.BOUNDED
                )


def network(function: func.FuncOp, layers: list[accel.Layer]) -> Network:
    """Describe a function to the search: a task for each layer, a number for each activation."""
    values: list[ir.Value] = [*function.arguments, *(accel.output(layer) for layer in layers)]
    number = {value: index for index, value in enumerate(values)}
    returned = function.body.blocks[0].operations[-1].operands
    tasks = [
        Task(
            operands=frozenset(number[value] for value in activations.read_by(layer)),
            result=number[accel.output(layer)],
            shared_bytes={
                number[value]: size for value, size in shared_bytes(layer, trails(layer)).items() if value in number
            },
            scratch_bytes=activations.scratch_bytes(layer),
        )
        for layer in layers
    ]
    return Network(
        tasks,
        sizes_bytes=[layout.size_bytes(value.type) for value in values],
        inputs=frozenset(range(len(function.arguments))),
        outputs=frozenset(number[value] for value in returned if value in number),
    )
