"""What a function on memrefs does, in order: layers on the host, copies and launches in the background, waits.

A copy or launch uses its memory from where it stands to the wait for its token.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlir import ir
from mlir.dialects import func, memref

from htvm.backend.targets.jobs import Job
from htvm.dialects import accel

from . import activations

VIEWS = (memref.SubViewOp, memref.ReinterpretCastOp)


@dataclass(frozen=True)
class Action:
    """An operation that touches memory, or waits for one that does.

    reads, writes: buffers and arguments, whole, though a copy may touch only a part; constants are left out. used:
    the scratch memory of a layer, the sums that a job begins; it reads those that it adds to. number: its place among
    the actions. end: the number of the wait, or its own.
    """

    op: ir.OpView
    number: int
    end: int
    reads: tuple[ir.Value, ...]
    writes: tuple[ir.Value, ...]
    used: tuple[ir.Value, ...] = ()

    @property
    def touches(self) -> tuple[ir.Value, ...]:
        return (*self.reads, *self.used, *self.writes)


def actions(function: func.FuncOp) -> list[Action]:
    """Return the actions of a function; a background operation that nobody waits for ends with the function."""
    ops = [op for op in function.body.blocks[0] if is_action(op)]
    number = {op.operation: index for index, op in enumerate(ops)}
    return [_action(op, index, number, len(ops)) for index, op in enumerate(ops)]


def is_action(op: ir.OpView) -> bool:
    return accel.is_layer(op) or isinstance(op, accel.Command)


def whole(value: ir.Value) -> ir.Value:
    """Return the buffer, argument or constant that a value is a view of."""
    while isinstance(view := accel.producer(value), VIEWS):
        value = view.source
    return value


def _action(op: ir.OpView, index: int, number: dict[ir.Operation, int], count: int) -> Action:
    match op:
        case accel.WaitOp():
            return Action(op, index, index, (), ())
        case accel.CopyOp():
            end = _waited_for(op, number, count)
            return Action(op, index, end, tuple(_memory([op.source])), (whole(op.target),))
        case accel.LaunchOp():
            end = _waited_for(op, number, count)
            weights = [op.weights] if op.weights is not None else []
            sums = (whole(op.sums),) if op.sums is not None else ()
            read, used = (sums, ()) if Job.of(op.job).adds else ((), sums)
            return Action(op, index, end, (*_memory([*op.inputs, *weights]), *read), (whole(op.out),), used)
        case _:
            assert accel.is_layer(op), op.operation.name
            read = tuple(dict.fromkeys(map(whole, activations.read_by(op))))
            return Action(op, index, index, read, (accel.output(op),), tuple(activations.scratch_of(op)))


def _memory(values: list[ir.Value]) -> Iterator[ir.Value]:
    """Yield what values are views of, each once, without constants."""
    yield from dict.fromkeys(root for root in map(whole, values) if not activations.is_constant(root))


def _waited_for(op: accel.CopyOp | accel.LaunchOp, number: dict[ir.Operation, int], count: int) -> int:
    return min((number[use.owner.operation] for use in op.token.uses), default=count)
