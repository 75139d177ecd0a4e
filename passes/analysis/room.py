"""What is left of a memory for activations, as far as is known before the program is linked."""

from __future__ import annotations

from collections import Counter

from mlir import ir
from mlir.dialects import func

from htvm.backend.targets.soc import STACK_BYTES, Soc
from htvm.dialects import accel, inserted
from htvm.dialects.accel import Purpose

from . import activations, layout

CODE_BYTES = 16 << 10
"""What is left for code, and for the constants of requantisation: MLPerf Tiny's networks have 4 to 16 kB of both."""

CALL_BYTES = 16
"""Code of a step of patches whose work another step does as well: 15.9 in ResNet-8 from 8 to 16 patches (clang -O3)."""

WORK_BYTES = 170
"""Code and descriptor of what such steps do: 170 of a convolution, 166 of an addition."""

COPY_BYTES = 90
"""The same of a copy of rows."""


def arena_bytes(module: ir.Operation, target: Soc, constants_bytes: int, patches_bytes: int = 0) -> int:
    """Return what constants, code and stack leave of the memory of the host's activations.

    constants_bytes: of all constants. patches_bytes: of code, for steps of patches. `accel.arena_room` on the module
    overrides it.
    """
    memory = target.memory(target.arena_memory)
    asked = accel.bytes_by_memory(module, accel.ARENA_ROOM)
    if memory.name in asked:
        return asked[memory.name]
    return memory.size_bytes - beside_bytes(target, constants_bytes, patches_bytes)


def beside_bytes(target: Soc, constants_bytes: int, patches_bytes: int = 0) -> int:
    """Return what constants, code and stack take of the memory of the host's activations."""
    taken = constants_bytes if target.constants_in == target.arena_memory else 0
    if target.program_memory == target.arena_memory:
        taken += CODE_BYTES + STACK_BYTES + patches_bytes
    return taken


def patches_bytes(function: func.FuncOp) -> int:
    """Return an estimate of the code of the steps of patches of a function on memrefs; those that do the same share it.

    A layer is in patches if a node has several of its kind.
    """
    layers = list(activations.layers(function))
    copies = [each for each in layers if inserted.purpose(each) == Purpose.KEEP_ROWS]
    others = [each for each in layers if each not in copies]
    times = Counter(map(_kind, others))
    parts = [each for each in others if times[_kind(each)] > 1]
    sizes = {layout.size_bytes(accel.output(each).type) for each in copies}
    return CALL_BYTES * (len(copies) + len(parts)) + WORK_BYTES * len(set(map(_work, parts))) + COPY_BYTES * len(sizes)


def _kind(layer: accel.Layer) -> tuple[str, str]:
    return accel.node(layer), accel.op_name(layer)


def _work(layer: accel.Layer) -> tuple[object, ...]:
    """Return what tells the work of a layer in patches from that of others: its node, and its feature maps' rows."""
    maps = [each.type for each in (*activations.read_by(layer), accel.output(layer))]
    padding = str(layer.operation.attributes["pads"]) if "pads" in layer.operation.attributes else ""
    return *_kind(layer), padding, *(tuple(ir.ShapedType(each).shape) for each in maps)
