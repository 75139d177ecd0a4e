"""The pieces of memory of a program: where each is, and from which step to which it holds something needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlir import ir

from htvm.dialects import accel

from .commands import root_of
from .program import Program
from .record import BufferKind
from .values import offset_of, whole


@dataclass(frozen=True)
class Place:
    """An argument or a buffer, needed while the steps first..last run, both included.

    An input is there before the first step (-1), an output is needed after the last one. values: what is in it: a
    buffer, and what reshapes make of it without moving a byte. offset: bytes in the arena.
    """

    values: tuple[ir.Value, ...]
    name: str
    kind: BufferKind
    offset: int
    first: int
    last: int


def places(program: Program) -> list[Place]:
    """Return the arguments, then the buffers, in the order of the module."""
    uses: dict[ir.Value, list[int]] = {}
    for step in program.steps:
        for value in (*step.parameters, *step.held):
            uses.setdefault(whole(value), []).append(step.number)
    found: list[Place] = []
    for port in program.ports:
        kind, end = (BufferKind.OUTPUT, len(program.steps)) if port.is_result else (BufferKind.INPUT, -1)
        used = [*uses.get(port.value, []), end]
        found.append(Place((port.value,), port.onnx_name, kind, port.offset, min(used), max(used)))
    renamed = dict(reshapes_in_place(program))
    kinds = {value: BufferKind.SCRATCH for step in program.steps for value in step.scratch_buffers}
    for op in operations(program):
        if isinstance(op, accel.LaunchOp):
            for operand, kind in ((op.weights, BufferKind.WEIGHTS), (op.sums, BufferKind.SCRATCH)):
                if operand is not None:
                    kinds[root_of(operand)[0]] = kind
    for op in operations(program):
        if isinstance(op, accel.BufferOp) and op.memref not in renamed:
            held: list[ir.Value] = [op.memref]
            for made, source in renamed.items():
                if source in held:
                    held.append(made)
            used = [number for value in held for number in uses.get(value, [])]
            if used:
                kind = kinds.get(op.memref, BufferKind.ACTIVATION)
                found.append(Place(tuple(held), op.name.value, kind, offset_of(op), min(used), max(used)))
    return found


def reshapes_in_place(program: Program) -> Iterator[tuple[ir.Value, ir.Value]]:
    """Yield the buffer that a reshape makes and the one it reads, for the reshapes that are no steps."""
    steps = {step.layer.operation for step in program.steps}
    for op in operations(program):
        if isinstance(op, accel.ReshapeOp) and op.operation not in steps and op.input != accel.output(op):
            yield accel.output(op), op.input


def operations(program: Program) -> Iterator[ir.OpView]:
    """Yield the operations of the network's function; a network without inputs and outputs has none."""
    if program.ports and isinstance(block := program.ports[0].value.owner, ir.Block):
        yield from accel.nested(block)
