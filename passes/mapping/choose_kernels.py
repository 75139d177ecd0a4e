"""choose-kernels: choose how the host computes each linear layer.

    %y = accel.conv2d %x, %w {engine = "host", ..} : (tensor<1x16x32x32xi8, #nhwc>, tensor<16x16x3x3xi8>) -> ..
    ==>
    %y = accel.conv2d %x, %w {engine = "host", kernel = #accel.kernel<packed>, run = 4, scratch_bytes = 1728,
         accel.data_bytes = 2304, ..} : ..

Stage    dispatched
Reads    shapes, layouts, element types and weights; a `kernel` that is there already stays; the module's
         `accel.options`, and in `accel.kernels` the kernels from outside that it may choose; the
         `accel.pinned_kernel` of layers
Writes   `kernel`, `run`, `skip`, `scratch_bytes`, `accel.data_bytes` and `accel.instructions`, which is an estimate, of
         conv2d and dense on the host; `accel.host_kernel` of other layers that a kernel from outside computes
Needs    assign-layouts before it: which windows can be read in place depends on it
Fails    where a plan wants a kernel that there is not, or that does not compute the layer

Each layer begins with the smallest estimate of instructions among the kernels that take it, that add at most a tenth to
its weights, and that need no more scratch memory than it has inputs and outputs. Then constants are traded for
instructions, where that gains most by a byte: up to the budget of `accel.options`, a factor of all weights or bytes
in all, and until the memory of the constants is full. A convolution then has its weights transformed (kernel
"winograd"), one row times a matrix has two in each word. Without a budget it is MOST_DATA, a byte must gain LEAST_GAIN
instructions, and a target with accelerators keeps its memory for them.

With the objective "memory" only what keeps the peak of activations as small as it can be is looked at.

One row times a matrix may skip inputs that are 0, which is what a relu makes of about half of them. Its time then
depends on the data. It does so only if without any 0 it would take at most a fifth more than the best that never skips.
The estimates and how they were made are in the kernels' descriptions (backend/kernels).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, prod
from typing import ClassVar

from mlir import ir
from mlir.passmanager import ExternalPass

import htvm.backend.kernels as kernels
from htvm.backend.kernels.scalar import BLOCK
from htvm.backend.kernels.spec import KernelSpec, Layer, Linear, Plan
from htvm.backend.targets.engines.host import CYCLES_PER_INSTRUCTION, INSTRUCTIONS, HostEngine
from htvm.backend.targets.soc import HOST, Soc
from htvm.dialects import accel

from ..analysis import activations, layout, linear_kernels, other_layers, room, working_set
from ..analysis.linear_kernels import DATA_BYTES

MOST_DATA = 1.6
"""Bytes of constants for each byte of all weights, where the module has no budget."""

LEAST_GAIN = 8.0
"""Instructions that each byte of constants more must save then."""

MODEST_DATA = 1.1
"""Bytes of constants that a layer may always have for each byte of its weights."""

MOST_LOSS = 1.2
"""What a layer that skips inputs may take if there is none to skip, as a multiple of what never tries."""

MOST_FOR_MEMORY = 1.15
"""What a layer may take to need less memory, as a multiple of its best plan of modest constants."""

CODE_BYTES = 32 << 10
"""What is left for code, stack and the constants of other layers, where constants are traded for speed."""

FREE_DATA_BYTES = 64
"""Constants that no layer is refused."""

Linears = dict[accel.Conv2dOp | accel.DenseOp, Linear]
Plans = dict[accel.Conv2dOp | accel.DenseOp, list[Plan]]
"""The plans that each layer can have."""
Chosen = dict[accel.Conv2dOp | accel.DenseOp, Plan]


@dataclass(frozen=True)
class ChooseKernels:
    """Write the kernel of each linear layer on the host."""

    name: ClassVar[str] = "choose-kernels"
    stages: ClassVar[tuple[str, ...]] = ("dispatched",)

    target: Soc
    most_data: float = 0.0
    """If it is not 0: the budget's factor, whatever the module says."""

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        with module.location:
            wanted = accel.budget(module)
            linear = [layer for layer in accel.layers(module) if isinstance(layer, accel.Conv2dOp | accel.DenseOp)]
            layers = [layer for layer in linear if accel.engine(layer) == HOST]
            for layer in layers:
                if layer.kernel is None and not activations.is_constant(layer.weights):
                    write(layer, ordered_when_running(layer))
            open_layers = [layer for layer in layers if layer.kernel is None]
            linears: Linears = {layer: linear_kernels.read(layer) for layer in open_layers}
            for name in accel.kernels(module):
                if name not in kernels.known():
                    module.location.emit_error(kernels.unknown(name))
                    this_pass.signal_pass_failure()
                    return
            candidates = kernels.candidates(accel.kernels(module))
            if not replace_others(module, candidates):
                this_pass.signal_pass_failure()
                return
            plans: Plans = {}
            for layer, linear in linears.items():
                pinned = accel.attribute(layer, accel.PINNED_KERNEL, ir.StringAttr)
                plans[layer] = (
                    allowed_plans(linear, candidates) if pinned is None else pinned_plans(linear, pinned.value)
                )
                if not plans[layer]:
                    assert pinned is not None, "general kernels compute every layer"
                    layer.operation.location.emit_error(not_for(linear, pinned.value))
                    this_pass.signal_pass_failure()
            if not all(plans.values()):
                return
            if accel.objective(module) == accel.Objective.MEMORY:
                plans = within_least_peak(module, plans)
            for layer, plan in self.chosen(module, linears, plans, wanted).items():
                write(layer, plan)

    def chosen(
        self, module: ir.Operation, linears: Linears, plans: Plans, wanted: ir.FloatAttr | ir.IntegerAttr | None
    ) -> Chosen:
        """Return the plan of each layer: the fastest within the budget, or where activations then find no room, the
        fastest of those that need less, or where they never do, those that need least, for patches (split-patches)."""
        fastest = self.within_budget(linears, plans, wanted)
        if len(self.target.engines) > 1 or has_room(module, self.target, fastest):
            return fastest
        leaner = within_least_peak(module, plans)
        lean = self.within_budget(linears, leaner, wanted)
        if has_room(module, self.target, lean):
            return lean
        modest = {layer: modest_of(found, linears[layer].weights.nbytes) for layer, found in leaner.items()}
        return modest if has_room(module, self.target, modest) else least_scratch(linears, plans)

    def within_budget(self, linears: Linears, plans: Plans, wanted: ir.FloatAttr | ir.IntegerAttr | None) -> Chosen:
        """Return the fastest plans within the budget."""
        choices = [Choice.of(linear, plans[layer]) for layer, linear in linears.items()]
        return dict(zip(linears, within(self.budget(wanted, choices), choices), strict=True))

    def budget(self, wanted: ir.FloatAttr | ir.IntegerAttr | None, choices: Sequence[Choice]) -> Budget:
        """Return what may be spent, by the module's budget or without one."""
        room_bytes = constant_room(self.target, choices)
        if isinstance(wanted, ir.IntegerAttr) and not self.most_data:
            return Budget(min(wanted.value, room_bytes), 0.0)
        has_accelerators = len(self.target.engines) > 1
        factor = self.most_data or (wanted.value if wanted else MODEST_DATA if has_accelerators else MOST_DATA)
        most_bytes = int(factor * sum(choice.weight_bytes for choice in choices)) + FREE_DATA_BYTES * len(choices)
        return Budget(min(most_bytes, room_bytes), 0.0 if self.most_data or wanted else LEAST_GAIN)


def replace_others(module: ir.Operation, candidates: Sequence[KernelSpec]) -> bool:
    """Write the kernels from outside of the host's layers that are neither conv2d nor dense; say whether all is well.

    A plan's kernel, or the cheapest of those that compute the layer, if its estimate is below that of the layer.
    """
    is_well = True
    for layer in accel.layers(module):
        if isinstance(layer, accel.Conv2dOp | accel.DenseOp) or accel.engine(layer) != HOST:
            continue
        attributes = layer.operation.attributes
        pinned = accel.attribute(layer, accel.PINNED_KERNEL, ir.StringAttr)
        able = [each for each in candidates if each.origin and accel.op_name(layer) in each.ops]
        if pinned is None and not able:
            continue
        facts = other_layers.read(layer)
        if pinned is not None:
            del attributes[accel.PINNED_KERNEL]
            found = kernels.known().get(pinned.value)
            if found is None or found.why_not(facts):
                layer.operation.location.emit_error(not_for(facts, pinned.value))
                is_well = False
                continue
        else:
            costs = {each: each.estimate(facts) for each in able if not each.why_not(facts)}
            found = min(costs, key=costs.__getitem__, default=None)
            if found is None or costs[found] * CYCLES_PER_INSTRUCTION >= HostEngine().cycles(layer, None):
                continue
        attributes[accel.HOST_KERNEL] = ir.StringAttr.get(found.name)
        attributes[INSTRUCTIONS] = accel.integer(found.estimate(facts))
    return is_well


@dataclass(frozen=True)
class Budget:
    """Bytes that the constants of all layers may take, and what each byte more than the least must gain."""

    most_bytes: int
    least_gain: float


@dataclass(frozen=True)
class Choice:
    """The plans of a layer: `modest`, the best whose constants are about as large as the weights; and all others that
    take fewer instructions."""

    modest: Plan
    faster: tuple[Plan, ...]
    weight_bytes: int
    activation_bytes: int

    @staticmethod
    def of(linear: Linear, allowed: Sequence[Plan]) -> Choice:
        """Choose among the plans of a layer."""
        modest = modest_of(allowed, linear.weights.nbytes)
        faster = tuple(plan for plan in allowed if cost(plan) < cost(modest))
        return Choice(modest, faster, linear.weights.nbytes, linear.activation_bytes)


def allowed_plans(linear: Linear, candidates: Sequence[KernelSpec]) -> list[Plan]:
    """Return the plans of a layer that need no more scratch memory than it has inputs and outputs, general ones first.

    A kernel that computes every layer may need more.
    """
    ordered = sorted(candidates, key=lambda kernel: not kernel.is_general)
    found = ((kernel, plan) for kernel in ordered for plan in kernel.plans_of(linear))
    return [plan for kernel, plan in found if kernel.is_general or plan.scratch_bytes <= linear.activation_bytes]


def pinned_plans(linear: Linear, kernel: str) -> list[Plan]:
    """Return the plans of the kernel that a plan wants for a layer: none if it does not compute it."""
    every = kernels.known()
    return every[kernel].plans_of(linear) if kernel in every else []


def not_for(layer: Linear | Layer, kernel: str) -> str:
    """Say why a layer does not get the kernel that a plan wants for it."""
    if kernel not in kernels.known():
        return kernels.unknown(kernel)
    reasons = "".join(f"\n  {reason}" for reason in kernels.found(kernel).why_not(layer))
    return f"kernel '{kernel}', which the plan wants, does not compute this layer{reasons}"


def modest_of(plans: Sequence[Plan], weight_bytes: int) -> Plan:
    """Return the best plan whose constants are about as large as the weights, or as small as any."""
    most_bytes = max(MODEST_DATA * weight_bytes + FREE_DATA_BYTES, min(plan.data_bytes for plan in plans))
    return min((plan for plan in plans if plan.data_bytes <= most_bytes), key=cost)


def within_least_peak(module: ir.Operation, plans: Plans) -> Plans:
    """Return the plans with which no layer needs more memory at once than some layer needs with any of its plans.

    Plans that take much longer than the best of modest constants are left out: memory is not saved at any price.
    """
    weight_bytes = {layer: layout.size_bytes(layer.weights.type) for layer in plans}
    most = {layer: MOST_FOR_MEMORY * cost(modest_of(found, weight_bytes[layer])) for layer, found in plans.items()}
    plans = {layer: [plan for plan in found if cost(plan) <= most[layer]] for layer, found in plans.items()}
    needs: dict[accel.Layer, list[int]] = {}
    for function in accel.functions(module):
        for each in working_set.working_sets(function):
            layer = each.layer
            found = plans.get(layer, []) if isinstance(layer, accel.Conv2dOp | accel.DenseOp) else []
            kernels = [(plan.kernel, plan.scratch_bytes) for plan in found]
            needs[layer] = [each.size_bytes(*kernel) for kernel in kernels or [(None, 0)]]
    peak = max((min(sizes) for sizes in needs.values()), default=0)
    return {
        layer: [plan for plan, size in zip(found, needs[layer], strict=True) if size <= peak]
        for layer, found in plans.items()
    }


def has_room(module: ir.Operation, target: Soc, chosen: Chosen) -> bool:
    """Say whether activations fit the memory beside constants and code, as far as can be known before planning."""
    plans: dict[accel.Layer, Plan] = {**chosen}
    needs = [
        each.size_bytes(plan.kernel, plan.scratch_bytes) if (plan := plans.get(each.layer)) else each.size_bytes()
        for function in accel.functions(module)
        for each in working_set.working_sets(function)
    ]
    return max(needs, default=0) <= room.arena_bytes(module, target, sum(plan.data_bytes for plan in chosen.values()))


def least_scratch(linears: Linears, plans: Plans) -> Chosen:
    """Return the plans with the least scratch memory, of those of modest constants that do not take much longer."""
    found: Chosen = {}
    for layer, linear in linears.items():
        modest = modest_of(plans[layer], linear.weights.nbytes)
        most = MOST_FOR_MEMORY * cost(modest)
        lean = [plan for plan in plans[layer] if cost(plan) <= most and plan.data_bytes <= modest.data_bytes]
        found[layer] = min(lean, key=lambda plan: (plan.scratch_bytes, cost(plan)))
    return found


@dataclass(frozen=True)
class Upgrade:
    """A faster plan for the layer with this number; gain: instructions saved by each byte more than now."""

    number: int
    plan: Plan
    more_bytes: int
    gain: float


def within(budget: Budget, choices: Sequence[Choice]) -> list[Plan]:
    """Return the plan of each choice: modest ones, then faster ones where a byte gains most, as the budget allows."""
    plans = [choice.modest for choice in choices]
    left_bytes = budget.most_bytes - sum(plan.data_bytes for plan in plans)
    while True:
        possible = [
            upgrade
            for upgrade in upgrades(plans, choices)
            if upgrade.more_bytes <= max(left_bytes, 0) and upgrade.gain >= budget.least_gain
        ]
        if not possible:
            return plans
        best = max(possible, key=lambda upgrade: (upgrade.gain, -upgrade.number))
        plans[best.number] = best.plan
        left_bytes -= best.more_bytes


def upgrades(plans: Sequence[Plan], choices: Sequence[Choice]) -> Iterator[Upgrade]:
    """Yield every plan that takes fewer instructions than the present one of its layer."""
    for number, (now, choice) in enumerate(zip(plans, choices, strict=True)):
        for plan in choice.faster:
            saved, more_bytes = cost(now) - cost(plan), plan.data_bytes - now.data_bytes
            if saved > 0:
                yield Upgrade(number, plan, more_bytes, saved / more_bytes if more_bytes > 0 else inf)


def cost(plan: Plan) -> float:
    """Return what a plan is compared by: its instructions, or those for the worst input less the loss allowed."""
    return max(plan.instructions, plan.most_instructions / MOST_LOSS)


def constant_room(target: Soc, choices: Sequence[Choice]) -> int:
    """Return the bytes that weights may take of the memory of constants, as far as can be known before planning."""
    name = target.constants_in
    (memory,) = (memory for memory in target.memories if memory.name == name)
    activations = max((choice.activation_bytes for choice in choices), default=0) if name == target.arena_memory else 0
    return memory.size_bytes - CODE_BYTES - 2 * activations


def ordered_when_running(layer: accel.Weighted) -> Plan:
    """Return the plan of a convolution with computed weights: scratch memory has them in order, and two windows."""
    outputs, *window = layer.weights.type.shape
    weights = -(-outputs // BLOCK) * BLOCK * prod(window) * layout.element_bytes(layer.weights.type)
    windows = 2 * prod(window) * layout.element_bytes(layer.input.type)
    (kernel,) = (each.name for each in kernels.own().values() if each.orders_weights)
    return Plan(kernel, instructions=0, data_bytes=0, scratch_bytes=weights + windows)


def write(layer: accel.Layer, plan: Plan) -> None:
    attributes = layer.operation.attributes
    if accel.PINNED_KERNEL in attributes:
        del attributes[accel.PINNED_KERNEL]
    attributes["kernel"] = accel.KernelAttr.get(value=plan.kernel)
    if plan.data_bytes:
        attributes[DATA_BYTES] = accel.integer(plan.data_bytes)
    if plan.instructions:
        attributes[INSTRUCTIONS] = accel.integer(plan.instructions)
    if plan.run is not None:
        attributes["run"] = accel.integer(plan.run)
    if plan.skip is not None:
        attributes["skip"] = accel.integer(plan.skip)
    if plan.scratch_bytes:
        attributes["scratch_bytes"] = accel.integer(plan.scratch_bytes)
