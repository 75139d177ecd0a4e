"""What memory a function on tensors needs while each of its layers runs, in the order in which they stand.

The sum of what is live, less what the layer's output may overlap (trails.py). No plan for this order goes below it.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlir import ir
from mlir.dialects import func

from htvm.dialects import accel

from . import activations, layout
from .trails import shared_bytes, trails_by


@dataclass(frozen=True)
class WorkingSet:
    """What is live while a layer runs. others_bytes: what it does not touch; dying: what it is last to read."""

    layer: accel.Layer
    others_bytes: int
    dying: frozenset[ir.Value]

    def size_bytes(self, kernel: str | None = None, scratch_bytes: int = 0) -> int:
        """Return the bytes that the layer needs, computed by a kernel with so much scratch memory."""
        output = accel.output(self.layer)
        output_bytes = layout.size_bytes(output.type)
        operands = activations.read_by(self.layer)
        shared = shared_bytes(self.layer, trails_by(self.layer, kernel))
        saved = (size for value, size in shared.items() if value in self.dying)
        operand_bytes = sum(layout.size_bytes(value.type) for value in operands)
        return self.others_bytes + operand_bytes + output_bytes + scratch_bytes - max(saved, default=0)


def working_sets(function: func.FuncOp) -> list[WorkingSet]:
    """Return the working set of each layer, in order."""
    layers = list(activations.layers(function))
    last: dict[ir.Value, int] = {}
    for number, layer in enumerate(layers):
        for value in activations.read_by(layer):
            last[value] = number
    for value in function.body.blocks[0].operations[-1].operands:
        last[value] = len(layers)
    live: list[ir.Value] = [argument for argument in function.arguments if argument in last]
    found: list[WorkingSet] = []
    for number, layer in enumerate(layers):
        read = activations.read_by(layer)
        live = [value for value in live if last[value] >= number]
        others = sum(layout.size_bytes(value.type) for value in live if value not in read)
        dying = frozenset(value for value in read if last.get(value, number) == number)
        found.append(WorkingSet(layer, others, dying))
        if accel.output(layer) in last:
            live.append(accel.output(layer))
    return found
