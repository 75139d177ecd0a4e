"""How many bytes the constants of a module on memrefs take, by memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

from mlir import ir
from mlir.dialects import memref

from htvm.backend.targets.jobs import DESCRIPTOR_WORDS, Job
from htvm.backend.targets.soc import Soc, has_launcher
from htvm.dialects import accel
from htvm.dialects.execution import Outline

from . import layout
from .linear_kernels import DATA_BYTES


def constant_bytes(module: ir.Operation, target: Soc) -> dict[str, int]:
    """Return the bytes of all constants, and of a descriptor of each different job, by memory; 0 for any other memory.

    A program needs no fewer descriptors; how many more it has, for jobs in several places, is known when it is written.
    """
    found: dict[str, int] = defaultdict(int)
    done = _done(module)
    descriptors = sum(dict(descriptor(target, op) for op in done if isinstance(op, accel.LaunchOp)).values())
    beside_code = min(descriptors, _descriptor_room_bytes(done, target))
    found[target.program_memory] += beside_code
    found[target.constants_in] += descriptors - beside_code
    weights = weight_bytes(module)
    for op in accel.constants(module):
        memref_type = op.type_.value
        size_bytes = weights.get(op.sym_name.value, layout.size_bytes(memref_type))
        found[layout.memory_of(memref_type)] += layout.aligned(size_bytes)
    return found


def descriptor_room_bytes(module: ir.Operation, target: Soc) -> int:
    """Return what the memory of programs has for descriptors, beside code: the host alone reads them.

    0 if constants are in that memory anyway.
    """
    return _descriptor_room_bytes(_done(module), target)


def _descriptor_room_bytes(done: Sequence[ir.OpView], target: Soc) -> int:
    if target.program_memory == target.constants_in:
        return 0
    commands = sum(map(accel.is_command, done))
    return max(target.commands_room_bytes - commands * target.host.call_bytes, 0)


def _done(module: ir.Operation) -> list[ir.OpView]:
    """Return the layers and commands of a module."""
    return [action.op for function in accel.functions(module) for action in Outline.of(function).actions]


def descriptor(target: Soc, op: accel.LaunchOp) -> tuple[Hashable, int]:
    """Return what tells the descriptor of a job from others, and its bytes."""
    engine = target.accelerator(op.engine.value)
    if has_launcher(engine):
        words = tuple(engine.descriptor(Job.of(op.job)))
        return words, 4 * len(words)
    return op.job, 4 * DESCRIPTOR_WORDS


def weight_bytes(module: ir.Operation) -> dict[str, int]:
    """Return the bytes of weights as the kernels have them that choose-kernels chose, by the global's name."""
    found: dict[str, int] = {}
    for layer in accel.layers(module):
        data_bytes = accel.attribute(layer, DATA_BYTES, ir.IntegerAttr)
        if data_bytes is not None and isinstance(layer, accel.Weighted):
            source = accel.producer(layer.weights)
            if isinstance(source, memref.GetGlobalOp):
                found[source.name.value] = data_bytes.value
    return found
