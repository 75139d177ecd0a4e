"""choose-kernels: choose how the host computes each linear layer.

    %y = accel.conv2d %x, %w {engine = "host", ..} : (tensor<1x16x32x32xi8, #nhwc>, tensor<16x16x3x3xi8>) -> ..
    ==>
    %y = accel.conv2d %x, %w {engine = "host", kernel = "packed", run = 4, scratch_bytes = 1728, ..} : ..

Stage    dispatched
Reads    shapes, layouts, element types and weights; a `kernel` that is there already stays
Writes   `kernel`, `run` and `scratch_bytes` of conv2d and dense on the host
Needs    assign-layouts before it: which windows can be read in place depends on it
Fails    never

The choice is the smallest estimate of instructions among the kernels that take the layer, that add at most a tenth
to its weights, and that need no more scratch memory than the layer has inputs and outputs. `most-data=2.1` trades
constants for speed: one row times a matrix then has its weights in words, two in each. The estimates and how
they were made are in analysis/linear_kernels.py.
"""

from dataclasses import dataclass
from typing import ClassVar

from mlir import ir
from mlir.passmanager import ExternalPass

from htvm.backend.targets.soc import HOST
from htvm.dialects import accel

from .analysis import linear_kernels
from .analysis.linear_kernels import Linear, Plan

FREE_DATA_BYTES = 64
"""Constants that no layer is refused."""


@dataclass(frozen=True)
class ChooseKernels:
    """Write the kernel of each linear layer on the host."""

    name: ClassVar[str] = "choose-kernels"

    most_data: float = 1.1
    """Bytes of constants that a layer may have for each byte of its weights."""

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        with module.location:
            for layer in accel.layers(module):
                if is_linear(layer) and layer.engine.value == HOST and layer.kernel is None:
                    write(layer, best(linear_kernels.read(layer), self.most_data))


def is_linear(layer: ir.OpView) -> bool:
    return isinstance(layer, (accel.Conv2dOp, accel.DenseOp))


def best(linear: Linear, most_data: float) -> Plan:
    """Return the plan with the fewest instructions that is affordable; the first one needs nothing extra."""
    most_data_bytes = most_data * linear.weights.nbytes + FREE_DATA_BYTES
    first, *others = linear_kernels.plans(linear, most_data_bytes)
    affordable = [plan for plan in others if is_affordable(linear, plan, most_data_bytes)]
    return min([first, *affordable], key=lambda plan: plan.instructions)


def is_affordable(linear: Linear, plan: Plan, most_data_bytes: float) -> bool:
    return plan.data_bytes <= most_data_bytes and plan.scratch_bytes <= linear.activation_bytes


def write(layer: ir.OpView, plan: Plan) -> None:
    attributes = layer.operation.attributes
    attributes["kernel"] = ir.StringAttr.get(plan.kernel)
    i64 = ir.IntegerType.get_signless(64)
    if plan.run is not None:
        attributes["run"] = ir.IntegerAttr.get(i64, plan.run)
    if plan.scratch_bytes:
        attributes["scratch_bytes"] = ir.IntegerAttr.get(i64, plan.scratch_bytes)
