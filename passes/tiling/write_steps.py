"""Write the steps of a function: operations for what a schedule has decided, in loops where much of it repeats.

Tokens that are waited for later are carried: a unit does its commands in their order, so that what a wait needs is the
token of the command so many before the last one. So each loop takes and gives the last tokens of each unit, as many
as are needed in it and behind it, and each step those that later steps wait for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import prod
from typing import TypeAlias

from mlir import ir
from mlir.dialects import affine, arith, scf

from htvm.backend.targets.jobs import FORM
from htvm.dialects import accel, inserted

from ..analysis.tiles import NAME
from .items import Copy, Entry, Given, Launch, Task, Trace, Wait, Work
from .loops import Repeat, Single, Term, rolled
from .views import View

Depths = Counter[str]
"""How many of the last tokens of each unit are needed."""

Moves = tuple[tuple[ir.Value, tuple[int, ...]], ...]
"""The loops around something, outermost first: the index, and by how much each of its numbers grows."""


@dataclass
class Kinds:
    """What commands are, their numbers aside: each kind has a number, and the first command that is of it.

    entries: the command of a kind with these numbers. runs: how many commands of the C one of a kind is. given: after
    each command of a unit, how many there were.
    """

    numbers: dict[Hashable, int] = field(default_factory=dict[Hashable, int])
    first: list[Given | Wait] = field(default_factory=list["Given | Wait"])
    entries: dict[Single[int], Given] = field(default_factory=dict["Single[int]", Given])
    runs: list[int] = field(default_factory=list[int])
    given: dict[str, list[int]] = field(default_factory=dict[str, "list[int]"])

    def single(self, entry: Given | Wait) -> Single[int]:
        """Return a command as what loops.py knows.

        A wait has the number that the C will wait for: in a loop it must grow by the same each time round.
        """
        if isinstance(entry, Wait):
            return Single(self.number(entry, entry), (self.given[entry.unit][-1 - entry.behind],))
        key, numbers = kind_of(entry)
        kind = self.number(key, entry)
        given = self.given.setdefault(entry.unit, [])
        given.append((given[-1] if given else 0) + self.runs[kind])
        single = Single(kind, numbers)
        self.entries.setdefault(single, entry)
        return single

    def number(self, key: Hashable, entry: Given | Wait) -> int:
        """Return the number of a kind, which may be new."""
        if key not in self.numbers:
            self.numbers[key] = len(self.first)
            self.first.append(entry)
            command = entry.command if isinstance(entry, Given) else None
            self.runs.append(command.runs.count if isinstance(command, Copy) else 1)
        return self.numbers[key]


def kind_of(entry: Given) -> tuple[Hashable, tuple[int, ...]]:
    """Return what two commands have in common that can be one in a loop, and the numbers that can differ."""
    views = views_of(entry.command)
    job = entry.command.job if isinstance(entry.command, Launch) else None
    shapes = tuple(None if each is None else (each.source, each.axes) for each in views)
    return (entry.unit, entry.layer, job, shapes), tuple(each.first for each in views if each is not None)


def views_of(command: Copy | Launch) -> list[View | None]:
    """Return what a command reads and writes."""
    if isinstance(command, Copy):
        return [command.source, command.target]
    return [*command.inputs, command.weights, command.sums, command.output]


Piece: TypeAlias = "Term[int] | Work"
"""What a step consists of: commands, loops of commands, a layer of the host."""


@dataclass
class Writer:
    """The steps of a function while they are written, at the insertion point.

    straight: how many commands of a step stand one after the other; if there are more, what repeats is a loop. tokens:
    the last of each unit, newest first.
    """

    straight: int
    bounds: Bounds = field(init=False)
    kinds: Kinds = field(default_factory=Kinds)
    tokens: dict[str, list[ir.Value]] = field(default_factory=dict[str, "list[ir.Value]"])

    def write(self, traces: Sequence[Trace]) -> None:
        """Write steps, one for each trace."""
        steps = [list(self.pieces(trace)) for trace in traces]
        after: list[Depths] = []
        depths = Depths()
        for pieces in reversed(steps):
            after.append(depths)
            depths = self.before(pieces, depths)
        for trace, pieces, needed in zip(traces, steps, reversed(after), strict=True):
            self.step(trace, pieces, needed)

    def pieces(self, trace: Trace) -> Iterator[Piece]:
        """Yield what a step consists of."""
        commands: list[Single[int]] = []
        rolls = sum(map(calls, trace.entries)) > self.straight
        for entry in trace.entries:
            if isinstance(entry, Work):
                yield from rolled(commands) if rolls else commands
                commands = []
                yield entry
            else:
                commands.append(self.kinds.single(entry))
        yield from rolled(commands) if rolls else commands

    # How many tokens are needed

    def before(self, pieces: Sequence[Piece], after: Depths) -> Depths:
        """Return how many tokens are needed before some pieces, if so many are needed behind them."""
        depths = Depths(after)
        for piece in reversed(pieces):
            if isinstance(piece, Repeat):
                depths = self.around(piece, depths)
            elif isinstance(piece, Single):
                entry = self.kinds.first[piece.kind]
                if isinstance(entry, Wait):
                    depths[entry.unit] = max(depths[entry.unit], entry.behind + 1)
                else:
                    depths[entry.unit] = max(depths[entry.unit] - 1, 0)
        return depths

    def around(self, loop: Repeat[int], after: Depths) -> Depths:
        """Return how many tokens a loop takes and gives, if so many are needed behind it."""
        depths = Depths(after)
        while (more := depths | self.before(loop.body, depths)) != depths:
            depths = more
        return depths

    def given(self, pieces: Iterable[Piece]) -> Counter[str]:
        """Return how many commands each unit is given."""
        found: Counter[str] = Counter()
        for piece in pieces:
            if isinstance(piece, Repeat):
                found += Counter({unit: piece.count * count for unit, count in self.given(piece.body).items()})
            elif isinstance(piece, Single) and isinstance(entry := self.kinds.first[piece.kind], Given):
                found[entry.unit] += 1
        return found

    # Operations

    def step(self, trace: Trace, pieces: Sequence[Piece], after: Depths) -> None:
        """Write a step. after: how many tokens later ones need."""
        own = self.given(pieces)
        results = {unit: depth for unit in after if (depth := min(after[unit], own[unit]))}
        older = {unit: list(tokens) for unit, tokens in self.tokens.items()}
        layer = trace.item.layer if isinstance(trace.item, Task) else trace.item.op
        with layer.location:
            op = accel.StepOp([token_type()] * sum(results.values()))
            if isinstance(trace.item, Task):
                describe(op, trace.item)
            with ir.InsertionPoint(op.body.blocks.append()):
                self.bounds = Bounds()
                self.body(pieces, (), after)
                accel.YieldOp([token for unit, depth in results.items() for token in self.tokens[unit][:depth]])
        given = iter(op.tokens)
        self.tokens = older | {
            unit: [*(next(given) for _ in range(depth)), *older.get(unit, [])] for unit, depth in results.items()
        }

    def body(self, pieces: Sequence[Piece], moves: Moves, after: Depths) -> None:
        """Write pieces that loops are around. after: how many tokens are needed behind them."""
        needed = [after]
        for piece in reversed(pieces):
            needed.append(self.before([piece], needed[-1]))
        start = 0
        for piece, behind in zip(pieces, reversed(needed[:-1]), strict=True):
            if isinstance(piece, Work):
                ir.InsertionPoint.current.insert(piece.op.operation.detach_from_parent())
                continue
            end = start + len(piece.numbers)
            own = tuple((index, steps[start:end]) for index, steps in moves)
            start = end
            if isinstance(piece, Repeat):
                self.loop(piece, own, behind)
            else:
                self.command(piece, own)

    def loop(self, loop: Repeat[int], moves: Moves, after: Depths) -> None:
        """Write a loop, which takes and gives tokens."""
        depths = +self.around(loop, after)
        taken: list[ir.Value] = []
        for unit, depth in depths.items():
            there = self.tokens.get(unit, [])[:depth]
            taken += [*there, *(accel.ReadyOp(token_type()).token for _ in range(depth - len(there)))]
        op = scf.ForOp(self.bounds.get(0), self.bounds.get(loop.count), self.bounds.get(1), taken)
        with ir.InsertionPoint(op.body):
            self.tokens = by_unit(depths, op.inner_iter_args)
            self.body(loop.body, (*moves, (op.induction_variable, loop.steps)), depths)
            scf.YieldOp([token for unit, depth in depths.items() for token in self.tokens[unit][:depth]])
        self.tokens = by_unit(depths, op.results)

    def command(self, single: Single[int], moves: Moves) -> None:
        """Write a command. moves: of its numbers."""
        wait = self.kinds.first[single.kind]
        if isinstance(wait, Wait):
            with wait.layer.location:
                accel.WaitOp(self.tokens[wait.unit][wait.behind])
            return
        entry = self.kinds.entries[single]
        with entry.layer.location:
            places = count()
            made: list[ir.Value | None] = []
            for view in views_of(entry.command):
                if view is None:
                    made.append(None)
                    continue
                place = next(places)
                growth = [(index, steps[place]) for index, steps in moves if steps[place]]
                made.append(view.make_at(sum_of(view.first, growth)) if growth else view.make())
            self.tokens.setdefault(entry.unit, []).insert(0, operation(entry, made))


def operation(entry: Given, views: Sequence[ir.Value | None]) -> ir.Value:
    """Write the operation of a command; return its token."""
    if isinstance(entry.command, Copy):
        source, target = (accel.present(each, "view") for each in views)
        return accel.CopyOp(token_type(), source, target, engine=entry.unit).token
    *inputs, weights, sums, output = views
    return accel.LaunchOp(
        token_type(),
        entry.unit,
        [accel.present(each, "input") for each in inputs],
        accel.present(output, "output"),
        entry.command.job.attribute(),
        weights=weights,
        sums=sums,
    ).token


def by_unit(depths: Depths, tokens: Iterable[ir.Value]) -> dict[str, list[ir.Value]]:
    """Return tokens, so many of each unit, by unit."""
    following = iter(tokens)
    return {unit: [next(following) for _ in range(depth)] for unit, depth in depths.items()}


def sum_of(number: int, growth: Sequence[tuple[ir.Value, int]]) -> ir.Value:
    """Return a number that grows with the indices of loops, computed at the insertion point."""
    sum_: ir.AffineExpr = ir.AffineExpr.get_constant(number)
    for place, (_, step) in enumerate(growth):
        sum_ = ir.AffineExpr.get_add(sum_, ir.AffineExpr.get_mul(ir.AffineExpr.get_dim(place), step))
    return affine.AffineApplyOp(ir.AffineMap.get(len(growth), 0, [sum_]), [index for index, _ in growth]).result


@dataclass
class Bounds:
    """Constants of index type, each once, at the beginning of the block of the insertion point."""

    block: ir.Block = field(default_factory=lambda: ir.InsertionPoint.current.block)
    made: dict[int, ir.Value] = field(default_factory=dict[int, ir.Value])

    def get(self, number: int) -> ir.Value:
        if number not in self.made:
            with ir.InsertionPoint.at_block_begin(self.block):
                self.made[number] = arith.ConstantOp(ir.IndexType.get(), number).result
        return self.made[number]


def describe(step: accel.StepOp, task: Task) -> None:
    """Let a step say what its layer was."""
    layer, attributes = task.layer.operation, step.operation.attributes
    step.engine = ir.StringAttr.get(task.engine.name)
    attributes["accel.op"] = ir.StringAttr.get(layer.name)
    attributes["accel.shape"] = ir.DenseI64ArrayAttr.get(list(accel.output(task.layer).type.shape))
    attributes["accel.macs"] = accel.integer(task.whole.macs)
    for name in (NAME, FORM, "accel.predicted", accel.INNER_ATTRIBUTE, accel.UNSIGNED_ATTRIBUTE, inserted.ATTRIBUTE):
        if name in layer.attributes:
            attributes[name] = layer.attributes[name]


def token_type() -> ir.Type:
    """Return the type of what a copy or launch gives, in the current context."""
    return ir.Type.parse("!accel.token")


def calls(entry: Entry) -> int:
    """Return how many calls of the C a command is: the inner two loops of a copy's runs are one."""
    if isinstance(entry, Given) and isinstance(entry.command, Copy):
        return prod(count for count, *_ in entry.command.runs.loops[:-2])
    return 0 if isinstance(entry, Work) else 1
