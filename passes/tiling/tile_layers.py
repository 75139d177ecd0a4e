"""tile-layers: turn each layer on an accelerator into copies, launches and waits.

    accel.conv2d %x, %w into %y {engine = "npu", accel.tiling = {outputs = 16, rows = 8, ..}, ..}
    ==>
    %t = accel.copy %packed to %weights
    %u = accel.copy %x_tile to %input
    accel.wait %t
    accel.wait %u
    %v = accel.launch "npu" %input weights %weights into %output {job = #accel.job<kind = conv2d, ..>}
    ..

Copies and launches run in the background; waits are only where memory or an accelerator is needed that is in use.
The weights of the next tasks are fetched early, the next tile's input while a tile is computed (schedule.py).
Weights are packed as the accelerator reads them, those of a tile together. A transfer is one copy. A layer of the host
with a tiling becomes a layer for each tile, on buffers that copies fill and empty (host_commands.py).

Stage    tiled
Reads    `engine`, `accel.tiling` and `accel.weights_memory` of layers on memrefs; the memories of their maps; the
         module's `accel.arena_room`; the target's accelerators
Writes   the order of all operations; buffers in accelerators' memories; globals with packed weights; `accel.trail` of
         launches whose output may lie over their input
Needs    bufferize-layers before it: layers write memrefs; choose-tilings before that
Fails    on a layer on an accelerator without a tiling, or whose tiling does not say what passes through
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mlir import ir
from mlir.dialects import func, memref
from mlir.passmanager import ExternalPass

from htvm.backend.targets.soc import HOST, Soc
from htvm.dialects import accel

from ..analysis import activations, layout
from ..analysis.tiles import NAME, Tiling


@dataclass(frozen=True)
class TileLayers:
    """Replace layers on accelerators by the commands of their tiles."""

    name: ClassVar[str] = "tile-layers"
    stages: ClassVar[tuple[str, ...]] = ("tiled",)

    target: Soc

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        with module.location:
            functions = list(accel.functions(module))
            layers = [layer for function in functions for layer in self.cut(function)]
            wrong = [(layer, why) for layer in layers if (why := self.objection(layer))]
            for layer, why in wrong:
                layer.location.emit_error(f"'{layer.operation.name}' on engine '{accel.engine(layer)}': {why}")
                this_pass.signal_pass_failure()
            if wrong:
                return
            if layers:
                from .tiler import Tiler  # slow to load, as what it is made of

                tiler = Tiler(self.target, module)
                for function in functions:
                    if cut := self.cut(function):
                        tiler.tile(function, cut)
            erase_unused_globals(module)

    def cut(self, function: func.FuncOp) -> list[accel.Layer]:
        """Return the layers on accelerators, and those of the host with a tiling."""
        names = [engine.name for engine in self.target.accelerators]
        return [
            layer
            for layer in activations.layers(function)
            if accel.engine(layer) in names or NAME in layer.operation.attributes
        ]

    def objection(self, layer: accel.Layer) -> str | None:
        """Say why a layer cannot be cut into jobs: its tiling is missing, or its maps lie elsewhere."""
        if NAME not in layer.operation.attributes:
            return f"no {NAME}, expected choose-tilings to have written one"
        if accel.engine(layer) == HOST:
            return None
        tiling, engine = Tiling.of_layer(layer), self.target.accelerator(accel.engine(layer))
        sources = [layout.memory_of(value.type) for value in activations.read_by(layer)]
        outside = [source for source in sources if source != engine.input.memory]
        if outside and not tiling.loads:
            return f"{NAME} without loads, but an input is in {outside[0]}, expected {engine.input.memory}"
        to = layout.memory_of(accel.output(layer).type)
        if tiling.stores != (to != engine.output.memory):
            return f"{NAME} {'with' if tiling.stores else 'without'} stores, but the output is in {to}"
        return None


def erase_unused_globals(module: ir.Operation) -> None:
    """Erase the weights that only accelerators read: they are packed now."""
    before = list(accel.constants(module))
    for function in accel.functions(module):
        for op in list(function.body.blocks[0]):
            if isinstance(op, memref.GetGlobalOp) and not any(True for _ in op.result.uses):
                op.operation.erase()
    used = {op.sym_name.value for op in accel.constants(module)}
    for op in before:
        if op.sym_name.value not in used:
            op.operation.erase()
