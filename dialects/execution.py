"""A function on memrefs as it runs: its layers and commands in order, loops as often as they go round.

The operations of a function are read once; going through them then costs little. What a command waits for is known by
the order in which units are given theirs: each does them one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from mlir import ir
from mlir.dialects import arith, func, scf

from . import accel


@dataclass(frozen=True, eq=False)
class Action:
    """A layer, or a command: an operation that touches memory, or waits for one that does.

    number: its place among all actions as they are written. loop: the outermost one that it is in.
    """

    op: ir.OpView
    number: int
    step: accel.StepOp | None
    loop: Loop | None
    token: ir.Value | None = None
    waits_for: ir.Value | None = None


@dataclass(eq=False)
class Loop:
    """A loop: how often it goes round, its index, and what it carries: (argument, first, given on, result).

    first, last: the numbers of the actions in it.
    """

    op: scf.ForOp
    times: int
    index: ir.Value
    begin: int
    step: int
    carried: Sequence[tuple[ir.Value, ir.Value, ir.Value, ir.Value]]
    body: list[Part]
    first: int
    last: int


@dataclass(frozen=True, eq=False)
class Yielded:
    """The end of a step: its results, and the tokens that they are."""

    pairs: list[tuple[ir.Value, ir.Value]]


Part: TypeAlias = "Action | Loop | Yielded"


@dataclass(frozen=True, eq=False)
class Event:
    """An action when it happens. number: its place in time. waited: the number of what it waits for, if anything.

    indices: of the loops around it.
    """

    action: Action
    number: int
    waited: int | None
    indices: Mapping[ir.Value, int]


@dataclass(eq=False)
class Outline:
    """The actions and loops of a function. actions: all of them, as they are written."""

    parts: list[Part]
    actions: list[Action]

    @staticmethod
    def of(function: func.FuncOp) -> Outline:
        reader = _Reader()
        return Outline(list(reader.parts(function.body.blocks[0], None, None)), reader.actions)

    def run(self) -> Iterator[Event]:
        """Yield what happens, in order."""
        yield from _Run(is_steady=False).parts(self.parts)

    def steady(self) -> Iterator[Event]:
        """Yield what happens in loops until nothing new does: once for each token that is carried, and once more."""
        yield from _Run(is_steady=True).parts(self.parts)


def is_action(op: ir.OpView) -> bool:
    return accel.is_layer(op) or accel.is_command(op)


class _Reader:
    """Reads blocks."""

    def __init__(self) -> None:
        self.actions: list[Action] = []

    def parts(self, block: ir.Block, step: accel.StepOp | None, outermost: Loop | None) -> Iterator[Part]:
        for op in block:
            if is_action(op):
                token = op.token if isinstance(op, (accel.CopyOp, accel.LaunchOp)) else None
                waits_for = op.token if isinstance(op, accel.WaitOp) else None
                action = Action(op, len(self.actions), step, outermost, token, waits_for)
                self.actions.append(action)
                yield action
            elif isinstance(op, accel.StepOp):
                yield from self.parts(op.body.blocks[0], op, None)
            elif isinstance(op, scf.ForOp):
                yield self.loop(op, step, outermost)
            elif isinstance(op, accel.YieldOp) and step is not None:
                yield Yielded(list(zip(step.tokens, op.tokens, strict=True)))

    def loop(self, op: scf.ForOp, step: accel.StepOp | None, outermost: Loop | None) -> Loop:
        lower, upper, by = (constant_of(each) for each in list(op.operands)[:3])
        *_, end = op.body
        arguments, results = list(op.inner_iter_args), list(op.results)
        carried = list(zip(arguments, list(op.operands)[3:], list(end.operands), results, strict=True))
        times = max(-(-(upper - lower) // by), 0)
        loop = Loop(op, times, op.induction_variable, lower, by, carried, [], len(self.actions), 0)
        loop.body = list(self.parts(op.body, step, outermost or loop))
        loop.last = len(self.actions) - 1
        return loop


def constant_of(value: ir.Value) -> int:
    """Return a bound of a loop. Raises ValueError if it is no constant."""
    op = accel.producer(value)
    if not isinstance(op, arith.ConstantOp):
        raise ValueError(f"a loop has a bound of {value}, expected arith.constant")
    return ir.IntegerAttr(op.value).value


class _Run:
    """Goes through parts. tokens: the number of the event that each stands for, None for none.

    is_steady: ends a loop when nothing new happens in it, see `Outline.steady`.
    """

    def __init__(self, is_steady: bool) -> None:
        self.is_steady = is_steady
        self.tokens: dict[ir.Value, int | None] = {}
        self.indices: dict[ir.Value, int] = {}
        self.number = 0

    def parts(self, parts: list[Part]) -> Iterator[Event]:
        for part in parts:
            if isinstance(part, Loop):
                yield from self.loop(part)
            elif isinstance(part, Yielded):
                for result, token in part.pairs:
                    self.tokens[result] = self.tokens.get(token)
            else:
                waited = None if part.waits_for is None else self.tokens.get(part.waits_for)
                if part.token is not None:
                    self.tokens[part.token] = self.number
                yield Event(part, self.number, waited, self.indices)
                self.number += 1

    def loop(self, loop: Loop) -> Iterator[Event]:
        values: list[int | None] = [self.tokens.get(first) for _, first, _, _ in loop.carried]
        times = min(loop.times, len(loop.carried) + 2) if self.is_steady else loop.times
        for time in range(times):
            self.indices[loop.index] = loop.begin + time * loop.step
            self.tokens |= {argument: value for (argument, *_), value in zip(loop.carried, values)}
            yield from self.parts(loop.body)
            values = [self.tokens.get(given) for _, _, given, _ in loop.carried]
        self.tokens |= {result: value for (*_, result), value in zip(loop.carried, values)}


@dataclass
class Outstanding:
    """What units were given and nobody has waited for: events, in order."""

    by_unit: dict[object, list[Event]] = field(default_factory=dict[object, list[Event]])
    unit_of: dict[int, object] = field(default_factory=dict[int, object])

    def see(self, event: Event) -> list[Event]:
        """Take note of an event; return those that have ended with it: a wait ends what its unit was given before."""
        if event.action.token is not None:
            unit = self.unit_of[event.number] = _unit(event)
            self.by_unit.setdefault(unit, []).append(event)
        if event.waited is None:
            return []
        given = self.by_unit[self.unit_of[event.waited]]
        ended = [each for each in given if each.number <= event.waited]
        del given[: len(ended)]
        return ended

    @property
    def left(self) -> list[Event]:
        return [event for events in self.by_unit.values() for event in events]


def _unit(event: Event) -> object:
    """Return the unit that does a command; where it is not said, the command stands for itself."""
    op = event.action.op
    if isinstance(op, accel.LaunchOp):
        return op.engine.value
    assert isinstance(op, accel.CopyOp)
    return event.number if op.engine is None else op.engine.value
