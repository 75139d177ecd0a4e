"""choose-tilings: choose what stays in the accelerators' memory, and how each of their layers is tiled.

    %y = accel.conv2d %x, %w {engine = "npu", ..} : (tensor<1x16x32x32xi8>, ..) -> ..
    %z = accel.conv2d %y, %v {engine = "npu", ..} : ..
    ==>
    %y = accel.conv2d %x, %w {engine = "npu", accel.memory = "l1", accel.tiling = #accel.tiling<outputs = 16, rows = 32,
         columns = 32, loads = true, outputs_first = true>, accel.predicted = <cycles = 9412, bound = 9216>, ..}
    %z = accel.conv2d %y, %v {engine = "npu", accel.tiling = #accel.tiling<.., stores = true, ..>, ..}

A map that an accelerator makes and another layer there reads stays in its memory if it can: `accel.memory` of the layer
that makes it. Who needs it in the host's memory all the same reads what `accel.transfer` brings there. All other maps
pass through in tiles: `loads`, `stores`. Where the host's memory is too small for maps and weights, some are in a far
one (analysis/far_memories.py): `accel.memory` of the layer that makes a map, `accel.weights_memory` of the layer that
reads weights. The sizes of the tiles are the fastest of all that fit in what resident maps leave, and whose code fits
the memory for programs together with that of the other layers (analysis/tiling.py, analysis/residency.py,
analysis/program_size.py); `bound` is what no tiling of the layer can beat. Layers of the host that touch something far
have tilings too (analysis/host_tiles.py), and if it is their weights the kernel that takes some of these at a time.

With `mapping = htvm` in the module's `accel.options` the choice is HTVM's: nothing stays, tiles are those of its tiler,
one transfer or job follows the other.

Stage    scheduled
Reads    engines, shapes, layouts and order of the layers; the target; an `accel.tiling` that is there already stays
Writes   `accel.memory`, `accel.weights_memory`, `accel.tiling` and `accel.predicted` of layers on accelerators; the
         same, without the last, and the kernel of layers of the host that touch something far; transfers;
         `accel.arena_room` of the module if something is in a far memory
Needs    order-layers before it: what is resident at a time depends on the order
Fails    on a layer whose smallest tile does not fit, giving the memory, what it needs and what there is; on a tiling
         that is there already and is none, or that the layer cannot have, giving the reason
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from mlir import ir
from mlir.passmanager import ExternalPass

import htvm.backend.kernels as kernels
from htvm.backend.targets.engines.host import INSTRUCTIONS
from htvm.backend.targets.soc import HOST, Route, Soc
from htvm.dialects import accel

from ..analysis import activations, linear_kernels, tiles
from ..analysis.host_tiles import ordering_kernel

if TYPE_CHECKING:
    from ..analysis.tiling import Choice

ROUNDS = 2
"""How often the layers of a group are gone through for each effort beyond the first: the second changes many."""

PREDICTED = "accel.predicted"


@dataclass(frozen=True)
class ChooseTilings:
    """Write where the maps of accelerators lie, and the tiling of each of their layers."""

    name: ClassVar[str] = "choose-tilings"
    stages: ClassVar[tuple[str, ...]] = ("scheduled",)

    target: Soc

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        if not self.target.accelerators and not self.target.far_memories:
            return
        from ..analysis.flow import Flow  # slow to load, as what it is for
        from ..analysis.residency import DoesNotFit, Residency

        with module.location:
            mapping, objective = accel.mapping(module), accel.objective(module)
            rooms: list[int] = []
            for function in accel.functions(module):
                residency = Residency(self.target, list(activations.layers(function)), mapping, objective)
                try:
                    choices = residency.settle()
                except DoesNotFit as error:
                    for layer, reason in error.reasons.items():
                        layer.location.emit_error(does_not_fit(layer, reason, self.target))
                    this_pass.signal_pass_failure()
                    continue
                rounds = ROUNDS * (accel.effort(module) - 1)
                flowing = Flow(residency, choices, rounds).tilings()
                can_flow = len({one.engine.name for one in residency.placed}) > 1
                for one in residency.placed:
                    write(one.layer, choices[one.output], flowing.get(one.output), can_flow)
                layer_of: dict[ir.Value, accel.Layer] = {accel.output(layer): layer for layer in residency.layers}
                for value in residency.resident:
                    layer = layer_of[value]
                    memory = self.target.accelerator(accel.engine(layer)).output.memory
                    layer.operation.attributes[accel.MEMORY] = ir.StringAttr.get(memory)
                    self.transfer_for_others(layer, memory)
                for value, memory in residency.far.maps.items():
                    layer_of[value].operation.attributes[accel.MEMORY] = ir.StringAttr.get(memory)
                for value, memory in residency.far.weights.items():
                    layer_of[value].operation.attributes[accel.WEIGHTS_MEMORY] = ir.StringAttr.get(memory)
                for value, tiling in residency.on_host.items():
                    layer_of[value].operation.attributes[tiles.NAME] = tiling.attribute()
                    if value in residency.far.weights:
                        take_ordered_weights(layer_of[value])
                if residency.far:
                    rooms.append(residency.far.room_bytes)
            if rooms:
                room = {self.target.arena_memory: accel.integer(min(rooms))}
                module.attributes[accel.ARENA_ROOM] = ir.DictAttr.get(room)

    def transfer_for_others(self, layer: accel.Layer, memory: str) -> None:
        """Give those who need the resident map that a layer makes in the host's memory a transfer of it."""
        value = accel.output(layer)
        others = list(outsiders(value, memory, self.target))
        if not others:
            return
        with ir.InsertionPoint.after(layer), layer.location:
            transfer = accel.TransferOp(value.type, value)
        transfer.engine = ir.StringAttr.get(self.target.dma(Route(memory, self.target.arena_memory)).name)
        for use in others:
            use.owner.operands[use.operand_number] = accel.output(transfer)


def outsiders(value: ir.Value, memory: str, target: Soc) -> Iterator[ir.OpOperand]:
    """Yield the uses of a map by the host, by engines with another memory, and by the return; transfers left out."""
    inside = {engine.name for engine in target.accelerators if engine.input.memory == memory}
    for use in list(value.uses):
        reader = use.owner.opview
        is_inside = accel.is_layer(reader) and accel.engine(reader) in inside
        if not is_inside and not isinstance(reader, accel.TransferOp):
            yield use


def take_ordered_weights(layer: accel.Layer) -> None:
    """Let the host compute a layer by the kernel whose weights come in its order, those of some outputs at a time."""
    assert isinstance(layer, accel.Conv2dOp | accel.DenseOp)
    kernel, facts = ordering_kernel(), linear_kernels.read(layer)
    (plan,) = kernels.found(kernel).plans_of(facts)
    attributes = layer.operation.attributes
    for name in ("run", "skip", linear_kernels.DATA_BYTES):
        if name in attributes:
            del attributes[name]
    attributes["kernel"] = accel.KernelAttr.get(value=kernel)
    attributes[INSTRUCTIONS] = accel.integer(plan.instructions)
    attributes["scratch_bytes"] = accel.integer(plan.scratch_bytes)


def write(layer: accel.Layer, choice: Choice, in_group: tiles.Tiling | None, can_flow: bool) -> None:
    """Write the tiling of a layer, and what it takes by itself.

    in_group: its tiling in a group, if it is in one. can_flow: whether there may be groups, of a plan too: where only
    one accelerator has layers there is none.
    """
    attributes, own = layer.operation.attributes, choice.tiling
    attributes[tiles.NAME] = (in_group or (own if can_flow else replace(own, group=0))).attribute()
    attributes[PREDICTED] = accel.PredictedAttr.get(cycles=choice.cycles, bound=choice.bound)


def does_not_fit(layer: accel.Layer, reason: str, target: Soc) -> str:
    """Say why a layer cannot have the tiling that it carries, or any at all, and what would help."""
    is_pinned = tiles.NAME in layer.operation.attributes
    fails = "leaves tiles no room" if accel.engine(layer) == HOST else "cannot be tiled"
    problem = f"cannot have the {tiles.NAME} that it carries" if is_pinned else fails
    advice = "without it the best is chosen" if is_pinned else "more of that memory or another engine would help"
    where = f"on engine '{accel.engine(layer)}' of target '{target.name}'"
    return f"'{layer.operation.name}' {where} {problem}: {reason}; {advice}"
