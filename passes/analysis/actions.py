"""What a function on memrefs does, in order: layers on the host, copies and launches in the background, waits.

A copy or launch uses its memory from where it stands to the wait that ends it; in a loop, from its beginning to its
end, since it may be the memory of another time round.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlir import ir
from mlir.dialects import func, memref

from htvm.dialects import accel, execution
from htvm.dialects.execution import Outline, Outstanding

from . import activations

VIEWS = (memref.SubViewOp, memref.ReinterpretCastOp)


@dataclass(frozen=True)
class Touched:
    """The memory that an operation touches: buffers and arguments, whole, though a copy may touch only a part.

    Constants are left out. used: the scratch memory of a layer, the sums that a job begins; it reads those that it
    adds to.
    """

    reads: tuple[ir.Value, ...] = ()
    writes: tuple[ir.Value, ...] = ()
    used: tuple[ir.Value, ...] = ()

    @property
    def all(self) -> tuple[ir.Value, ...]:
        return (*self.reads, *self.used, *self.writes)


@dataclass(frozen=True)
class Action:
    """A layer or command. number: its place among the actions. begin, end: from which to which its memory is needed."""

    op: ir.OpView
    number: int
    begin: int
    end: int
    touched: Touched


def actions(function: func.FuncOp) -> list[Action]:
    """Return the actions of a function; a background operation that nobody waits for ends with the function."""
    outline = Outline.of(function)
    ends = {action.number: action.number for action in outline.actions}
    outstanding = Outstanding()
    for event in outline.steady():
        for ended in outstanding.see(event):
            number = ended.action.number
            ends[number] = max(ends[number], event.action.number)
    for left in outstanding.left:
        ends[left.action.number] = len(outline.actions)
    return [_action(action, ends[action.number]) for action in outline.actions]


def whole(value: ir.Value) -> ir.Value:
    """Return the buffer, argument or constant that a value is a view of."""
    while isinstance(view := accel.producer(value), VIEWS):
        value = view.source
    return value


def touched_by(op: ir.OpView) -> Touched:
    """Return the memory that a layer or command touches."""
    match op:
        case accel.WaitOp():
            return Touched()
        case accel.CopyOp():
            return Touched(tuple(_memory([op.source])), (whole(op.target),))
        case accel.LaunchOp():
            weights = [op.weights] if op.weights is not None else []
            sums = (whole(op.sums),) if op.sums is not None else ()
            read, used = (sums, ()) if op.job.adds else ((), sums)
            return Touched((*_memory([*op.inputs, *weights]), *read), (whole(op.out),), used)
        case _:
            assert accel.is_layer(op), op.operation.name
            read = tuple(dict.fromkeys(map(whole, activations.read_by(op))))
            return Touched(read, (whole(accel.output(op)),), tuple(activations.scratch_of(op)))


def _action(action: execution.Action, end: int) -> Action:
    touched = touched_by(action.op)
    if action.loop is None:
        return Action(action.op, action.number, action.number, end, touched)
    return Action(action.op, action.number, action.loop.first, max(end, action.loop.last), touched)


def _memory(values: list[ir.Value]) -> Iterator[ir.Value]:
    """Yield what values are views of, each once, without constants."""
    yield from dict.fromkeys(root for root in map(whole, values) if not activations.is_constant(root))
