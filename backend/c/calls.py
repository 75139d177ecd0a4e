"""Calls of htvm_soc.h, and how they are written: one after the other, or many of them as loops.

A few are a little faster one after the other: all numbers are constants then, and so are the descriptors of jobs. Many
would take more memory than there is for code, so what repeats among them becomes loops. A job whose operands move from
one time to the next is copied to `job`, on the stack, before its loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from htvm.backend.targets.jobs import OPERANDS
from htvm.backend.targets.soc import MOST_STRAIGHT, Soc

from .loops import Repeat, Single, Term, rolled
from .step import Step
from .syntax import Line
from .unit_calls import Base, Command, MemoryBase, UnitCall

STRAIGHT = (MOST_STRAIGHT, 64, 32, 16, 0)
"""The most calls of a step that are written one after the other, the first for which all of these have room."""

Moves = tuple[tuple[str, tuple[int, ...]], ...]
"""The loops around something, outermost first: the index, and by how much each of its numbers grows."""


def most_straight(calls: Sequence[int], soc: Soc) -> int:
    """Return how many calls a step may have one after the other; `calls`: of each step of the program."""
    return next(
        most
        for most in STRAIGHT
        if sum(each for each in calls if each <= most) * soc.host.call_bytes <= soc.calls_room_bytes
    )


@dataclass
class Text:
    """The C of a step's calls while it is written.

    straight: how many calls are written one after the other. copied: the job that the array `job` holds, as far as is
    known.
    """

    step: Step
    straight: int
    lines: list[Line] = field(default_factory=list[Line])
    jobs: int = 0
    copied: tuple[int, ...] | None = None

    def write(self) -> list[Line]:
        """Return the statements of all calls of the step."""
        calls = self.step.calls
        terms = calls if len(calls) <= self.straight else rolled(calls)
        if any(moved_jobs(terms, ())):
            self.add("uint32_t job[HTVM_JOB_WORDS];", ())
        self.terms(terms, ())
        return self.lines

    def terms(self, terms: Sequence[Term[UnitCall]], moves: Moves) -> None:
        for term, own in each_with_moves(terms, moves):
            if isinstance(term, Single):
                self.single(term, own)
            else:
                self.repeat(term, own)

    def repeat(self, loop: Repeat[UnitCall], moves: Moves) -> None:
        """Write a loop; a job that is the only one in it is copied before."""
        index, count = f"i{len(moves)}", f"n{len(moves)}"
        inner = (*moves, (index, loop.steps))
        jobs = {single.kind.job for single in moved_jobs(loop.body, inner)}
        if len(jobs) == 1:
            self.copy_job(jobs.pop())
        elif jobs:
            self.copied = None  # what it holds when the loop begins again
        begin = f"uint32_t {index} = 0, {count} = htvm_times({loop.count})"
        self.add(f"for ({begin}; {index} < {count}; ++{index}) {{", moves)
        self.terms(loop.body, inner)
        self.add("}", moves)

    def single(self, term: Command, moves: Moves) -> None:
        kind = term.kind
        arguments = [
            expression(base, number, [(index, steps[place]) for index, steps in moves])
            for place, (base, number) in enumerate(zip(kind.bases, term.numbers, strict=True))
        ]
        function = kind.function
        if kind.job and (is_moved(moves) or kind.is_placed_late):
            self.copy_job(kind.job, moves)
            function, arguments = "htvm_launch_at", ["job", *arguments]
        elif kind.job:
            addresses = [start(base) + n for base, n in zip(kind.bases, term.numbers, strict=True)]
            arguments = [self.descriptor(kind.job, addresses)]
        self.add(f"{function}({', '.join([kind.unit, *arguments])});", moves)

    def copy_job(self, job: tuple[int, ...], moves: Moves = ()) -> None:
        if self.copied != job:
            self.copied = job
            self.add(f"htvm_copy_job(job, {self.descriptor(job, [0] * len(OPERANDS))});", moves)

    def descriptor(self, job: tuple[int, ...], addresses: Sequence[int]) -> str:
        """Return the name of the array that describes a job."""
        array = self.step.array(f"job_{self.jobs}", "uint32_t", np.array([*job, *addresses], np.uint32))
        self.jobs += 1
        return array.name

    def add(self, line: str, moves: Moves) -> None:
        self.lines.append(Line(line, loops=len(moves)))


def each_with_moves(terms: Sequence[Term[UnitCall]], moves: Moves) -> Iterator[tuple[Term[UnitCall], Moves]]:
    """Yield each of some terms with the part of the moves that is its own."""
    start = 0
    for term in terms:
        end = start + len(term.numbers)
        yield term, tuple((index, steps[start:end]) for index, steps in moves)
        start = end


def moved_jobs(terms: Sequence[Term[UnitCall]], moves: Moves) -> Iterator[Command]:
    """Yield the launches whose operands are not in one place each time, or where only the program knows."""
    for term, own in each_with_moves(terms, moves):
        if isinstance(term, Repeat):
            yield from moved_jobs(term.body, (*own, ("", term.steps)))
        elif term.kind.job and (is_moved(own) or term.kind.is_placed_late):
            yield term


def is_moved(moves: Moves) -> bool:
    return any(any(steps) for _, steps in moves)


def start(base: Base | None) -> int:
    """Return the address of a base of a job's operand; a place that is not used is 0."""
    return base.address if isinstance(base, MemoryBase) else 0


def expression(base: Base | None, number: int, growth: Sequence[tuple[str, int]]) -> str:
    """Return the C expression of a number that grows with indices of loops."""
    text = str(number) if base is None else f"{base} + {number}" if number else str(base)
    for index, step in growth:
        if step:
            sign, size = ("-", -step) if step < 0 else ("+", step)
            text += f" {sign} {index}" if size == 1 else f" {sign} {index} * {size}"
    return text
