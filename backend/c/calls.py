"""Calls of htvm_soc.h as C.

The descriptor of a job whose operands are always in the same places is a constant. A job whose operands move from one
time round a loop to the next, or whose places only the program knows, is copied to `job`, on the stack.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from mlir import ir

from htvm.backend.targets.jobs import OPERANDS

from .step import Step
from .syntax import Line
from .unit_calls import Call, CallLoop, Command, MemoryBase, Place

Names = Mapping[ir.Value, str]
"""The names of the indices of the loops around something."""


@dataclass
class Text:
    """The C of a step's calls while it is written. copied: the job that the array `job` holds, as far as is known."""

    step: Step
    jobs: int = 0
    has_array: bool = False
    copied: tuple[int, ...] | None = None

    def flush(self) -> None:
        """Write the calls that the step has been given, behind what its body has."""
        if not self.has_array and any(late_jobs(self.step.calls)):
            self.has_array = True
            self.add("uint32_t job[HTVM_JOB_WORDS];", {})
        self.calls(self.step.calls, {})
        self.step.calls = []

    def calls(self, calls: Sequence[Call], names: Names) -> None:
        for each in calls:
            if isinstance(each, CallLoop):
                self.loop(each, names)
            else:
                self.command(each, names)

    def loop(self, loop: CallLoop, names: Names) -> None:
        """Write a loop; a job that is the only one in it is copied before."""
        index, count = f"i{len(names)}", f"n{len(names)}"
        jobs = {each.job for each in late_jobs(loop.body)}
        if len(jobs) == 1:
            self.copy_job(jobs.pop(), names)
        elif jobs:
            self.copied = None  # what it holds when the loop begins again
        begin = f"uint32_t {index} = 0, {count} = htvm_times({loop.times})"
        self.add(f"for ({begin}; {index} < {count}; ++{index}) {{", names)
        self.calls(loop.body, {**names, loop.index: index})
        self.add("}", names)

    def command(self, command: Command, names: Names) -> None:
        function, arguments = command.function, [expression(each, names) for each in command.places]
        if command.takes_places:
            arguments = [self.descriptor(command.job, ()), *arguments]
        elif command.job and command.is_placed_late:
            self.copy_job(command.job, names)
            function, arguments = f"{function}_at", ["job", *arguments]
        elif command.job:
            arguments = [self.descriptor(command.job, list(map(address, command.places)))]
        self.add(f"{function}({', '.join([command.unit, *arguments])});", names)

    def copy_job(self, job: tuple[int, ...], names: Names) -> None:
        if self.copied != job:
            self.copied = job
            self.add(f"htvm_copy_job(job, {self.descriptor(job, [0] * len(OPERANDS))});", names)

    def descriptor(self, job: tuple[int, ...], addresses: Sequence[int]) -> str:
        """Return the name of the array that describes a job."""
        array = self.step.descriptor(f"job_{self.jobs}", np.array([*job, *addresses], np.uint32))
        self.jobs += 1
        return array.name

    def add(self, line: str, names: Names) -> None:
        self.step.body.append(Line(line, loops=len(names)))


def late_jobs(calls: Sequence[Call]) -> Iterator[Command]:
    """Yield the launches whose operands are not in one place each time, or where only the program knows."""
    for each in calls:
        if isinstance(each, CallLoop):
            yield from late_jobs(each.body)
        elif each.job and each.is_placed_late:
            yield each


def address(place: Place) -> int:
    """Return the address of a job's operand; a place that is not used is 0."""
    return place.offset.constant + (place.base.address if isinstance(place.base, MemoryBase) else 0)


def expression(place: Place, names: Names) -> str:
    """Return the C expression of a place, or of a number."""
    base, number = place.base, place.offset.constant
    text = str(number) if base is None else f"{base} + {number}" if number else str(base)
    for index, step in place.offset.steps:
        sign, size = ("-", -step) if step < 0 else ("+", step)
        text += f" {sign} {names[index]}" if size == 1 else f" {sign} {names[index]} * {size}"
    return text
