"""choose-kernels: choose how the host computes each linear layer.

    %y = accel.conv2d %x, %w {engine = "host", ..} : (tensor<1x16x32x32xi8, #nhwc>, tensor<16x16x3x3xi8>) -> ..
    ==>
    %y = accel.conv2d %x, %w {engine = "host", kernel = "packed", run = 4, scratch_bytes = 1728,
         accel.data_bytes = 2304, ..} : ..

Stage    dispatched
Reads    shapes, layouts, element types and weights; a `kernel` that is there already stays; the module's
         `accel.constants`
Writes   `kernel`, `run`, `skip`, `scratch_bytes` and `accel.data_bytes` of conv2d and dense on the host
Needs    assign-layouts before it: which windows can be read in place depends on it

The choice is the smallest estimate of instructions among the kernels that take the layer, that add at most a tenth
to its weights, and that need no more scratch memory than the layer has inputs and outputs. A budget trades constants
for instructions, up to its factor for each byte of the weights or up to its bytes in all, for the layers that gain most
by a byte until the memory of the constants is full: one row times a matrix may then have its weights in words.

One row times a matrix may skip inputs that are 0, which is what a relu makes of about half of them. Its time then
depends on the data. It does so only if without any 0 it would take at most a fifth more than the best that never skips.
The estimates and how they were made are in analysis/linear_kernels.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, prod
from typing import ClassVar

from mlir import ir
from mlir.passmanager import ExternalPass

from htvm.backend.targets.soc import HOST, Soc
from htvm.dialects import accel

from ..analysis import activations, layout, linear_kernels
from ..analysis.linear_kernels import DATA_BYTES, Linear, Plan

CONSTANTS = accel.CONSTANTS_ATTRIBUTE

MOST_DATA = 1.1
"""Bytes of constants that a layer may have for each byte of its weights, where the module has no budget."""

MOST_LOSS = 1.2
"""What a layer that skips inputs may take if there is none to skip, as a multiple of the best that never tries."""

CODE_BYTES = 32 << 10
"""What is left for code, stack and the constants of other layers, where constants are traded for speed."""

FREE_DATA_BYTES = 64
"""Constants that no layer is refused."""

BLOCK = 4
"""Output channels whose weights lie together for kernel "collected" (htvm_conv2d.h)."""


@dataclass(frozen=True)
class ChooseKernels:
    """Write the kernel of each linear layer on the host."""

    name: ClassVar[str] = "choose-kernels"

    target: Soc
    most_data: float = 0.0
    """If it is not 0: in place of MOST_DATA."""

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        with module.location:
            budget = module.attributes[CONSTANTS] if CONSTANTS in module.attributes else None
            most_data = budget.value if isinstance(budget, ir.FloatAttr) else inf if budget else MOST_DATA
            most_bytes = budget.value if isinstance(budget, ir.IntegerAttr) else inf
            most_data = self.most_data or most_data
            layers = [layer for layer in accel.layers(module) if is_linear(layer) and layer.engine.value == HOST]
            for layer in layers:
                if layer.kernel is None and not activations.is_constant(layer.weights):
                    write(layer, ordered_when_running(layer))
            open_layers = [layer for layer in layers if layer.kernel is None]
            choices = [Choice.of(linear_kernels.read(layer), most_data) for layer in open_layers]
            room = constant_room(self.target, choices)
            for layer, plan in zip(open_layers, within(min(most_bytes, room), choices), strict=True):
                write(layer, plan)


@dataclass(frozen=True)
class Choice:
    """Two plans of a layer: the best whose constants are about as large as the weights, and the best of all allowed."""

    modest: Plan
    fast: Plan
    activation_bytes: int

    @staticmethod
    def of(linear: Linear, most_data: float) -> Choice:
        """Choose from the plans with `most_data` bytes of constants for each of the weights."""
        limits = most_data, min(most_data, MOST_DATA)
        most_bytes, modest_bytes = (limit * linear.weights.nbytes + FREE_DATA_BYTES for limit in limits)
        first, *others = linear_kernels.plans(linear, most_bytes)  # the first one needs nothing extra
        others = [plan for plan in others if plan.scratch_bytes <= linear.activation_bytes]
        return Choice(
            cheapest([first, *(plan for plan in others if plan.data_bytes <= modest_bytes)]),
            cheapest([first, *(plan for plan in others if plan.data_bytes <= most_bytes)]),
            linear.activation_bytes,
        )

    @property
    def more_bytes(self) -> int:
        return self.fast.data_bytes - self.modest.data_bytes

    @property
    def gain_per_byte(self) -> float:
        """Instructions that each more byte of constants saves."""
        gain = self.modest.instructions - self.fast.instructions
        return gain / self.more_bytes if self.more_bytes > 0 else float("inf")


def within(room_bytes: float, choices: list[Choice]) -> list[Plan]:
    """Return the plan of each choice: the fast one where it gains most by a byte, until there is no more room."""
    left = room_bytes - sum(choice.modest.data_bytes for choice in choices)
    plans = [choice.modest for choice in choices]
    for number in sorted(range(len(choices)), key=lambda number: -choices[number].gain_per_byte):
        more_bytes = choices[number].more_bytes
        if more_bytes <= max(left, 0):
            plans[number] = choices[number].fast
            left -= more_bytes
    return plans


def cheapest(plans: list[Plan]) -> Plan:
    """Return the best of the plans that lose little for the worst input."""
    least = min(plan.instructions for plan in plans if plan.skip is None)
    safe = [plan for plan in plans if plan.skip is None or plan.most_instructions <= MOST_LOSS * least]
    return min(safe, key=lambda plan: plan.instructions)


def constant_room(target: Soc, choices: list[Choice]) -> int:
    """Return the bytes that weights may take of the memory of constants, as far as can be known before planning."""
    name = target.constant_memory or target.program_memory
    (memory,) = (memory for memory in target.memories if memory.name == name)
    activations = max((choice.activation_bytes for choice in choices), default=0) if name == target.arena_memory else 0
    return memory.size_bytes - CODE_BYTES - 2 * activations


def ordered_when_running(layer: accel.Conv2dOp) -> Plan:
    """Return the plan of a convolution with computed weights: scratch memory has them in order, and two windows."""
    outputs, *window = layer.weights.type.shape
    weights = -(-outputs // BLOCK) * BLOCK * prod(window) * layout.element_bytes(layer.weights.type)
    windows = 2 * prod(window) * layout.element_bytes(layer.input.type)
    return Plan("collected", instructions=0, data_bytes=0, scratch_bytes=weights + windows)


def is_linear(layer: ir.OpView) -> bool:
    return isinstance(layer, (accel.Conv2dOp, accel.DenseOp))


def write(layer: ir.OpView, plan: Plan) -> None:
    attributes = layer.operation.attributes
    attributes["kernel"] = ir.StringAttr.get(plan.kernel)
    if plan.data_bytes:
        attributes[DATA_BYTES] = accel.integer(plan.data_bytes)
    if plan.run is not None:
        attributes["run"] = accel.integer(plan.run)
    if plan.skip is not None:
        attributes["skip"] = accel.integer(plan.skip)
    if plan.scratch_bytes:
        attributes["scratch_bytes"] = accel.integer(plan.scratch_bytes)
