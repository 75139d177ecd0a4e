"""The front of RAM against work: how few bytes of activations a network can have, and what that costs.

Each point is a program that htvm compiles for a memory of that size: with other kernels, then with the first layers in
patches (passes/tiling/split_patches.py). Smaller and smaller memories are tried, until the whole program gets no
smaller.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from htvm.backend.targets.soc import Soc
from htvm.diagnostics import CompileError
from htvm.dialects import accel
from htvm.driver import CompiledModel, Model, finished, opened
from htvm.explanation.alternatives import key_of
from htvm.explanation.prediction import predicted_cycles
from htvm.lowering import Pipeline
from htvm.options import DEFAULTS, CompileOptions
from htvm.passes.analysis import room
from htvm.passes.analysis.constants import constant_bytes

SMALLEST_STEP = 32
"""The next memory is smaller than what is needed by at least this part of the bytes of activations."""


@dataclass(frozen=True)
class Point:
    """A program. ram_bytes: of activations, scratch memory, inputs and outputs. constant_bytes: beside them.

    memory_bytes: from which size of its memory on it is chosen, or one with fewer cycles; code and stack are estimates.
    macs: multiplications. cycles: predicted, without start-up. steps: functions of C. layers, patches: how many
    layers are computed in how many patches of rows; both 0 if none is.
    """

    ram_bytes: int
    memory_bytes: int
    macs: int
    cycles: int
    constant_bytes: int
    steps: int
    layers: int = 0
    patches: int = 0

    @property
    def how(self) -> str:
        if not self.patches:
            return "every layer whole"
        layers = "1 layer" if self.layers == 1 else f"the first {self.layers} layers"
        return f"{layers} in {self.patches} patches"

    def facts(self) -> dict[str, Any]:
        """Return the point as JSON has it."""
        return asdict(self)


@dataclass(frozen=True)
class MemoryFront:
    """The program as it is asked for, then others, each with less RAM than the one before.

    Of the others each takes more cycles than the one before.
    """

    memory: str
    points: tuple[Point, ...]

    def facts(self) -> dict[str, Any]:
        """Return the front as JSON has it."""
        return {"memory": self.memory, "points": [each.facts() for each in self.points]}

    def text(self) -> str:
        """Return the front as a terminal shows it."""
        first = self.points[0]
        rows: list[tuple[str, ...]] = [
            ("RAM", f"--memory {self.memory}=", "MACs", "cycles predicted", "constants", "steps", "how")
        ]
        for each in self.points:
            counts = (each.ram_bytes, each.memory_bytes, each.macs, each.cycles, each.constant_bytes, each.steps)
            percent = 100 * (each.cycles / max(first.cycles, 1) - 1)
            more = f", {percent:.1f} % more cycles" if each != first else ""
            cells = [f"{count:,}" for count in counts]
            cells[1] = str(each.memory_bytes)  # as the option takes it
            rows.append((*cells, each.how + more))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join([*(cell.rjust(width) for cell, width in zip(row[:-1], widths, strict=False)), row[-1]])
            for row in rows
        ]
        return "\n".join([f"bytes of activations in {self.memory}, and what they cost:", *lines])


def memory_front(model: Model, soc: Soc, options: CompileOptions = DEFAULTS) -> MemoryFront:
    """Return the front of a model on a target. Raises CompileError for a model that does not compile.

    On a target with accelerators, whose maps are tiled, there are no patches: at most the plan of objective "memory".
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [*_points(model, options.refined(soc), options)]
    asked, *others = found
    front = [asked]
    for each in sorted(others, key=lambda point: (point.cycles, point.ram_bytes)):
        if each.ram_bytes < front[-1].ram_bytes:
            front.append(each)
    return MemoryFront(soc.arena_memory, tuple(front))


def _points(model: Model, soc: Soc, options: CompileOptions) -> Iterator[Point]:
    source = opened(model)
    yield (first := _point(finished(Pipeline(source, soc, options=options))))
    yield (least := _point(finished(Pipeline(source, soc, options=options, objective="memory"))))
    now = min(first, least, key=lambda point: point.memory_bytes)
    while not soc.accelerators:
        before = now.memory_bytes
        size_bytes = before - max(1, now.ram_bytes // SMALLEST_STEP)
        try:
            smaller = options.having(memory={**options.memory, soc.arena_memory: size_bytes})
            now = _point(finished(Pipeline(source, soc, options=smaller)))
        except CompileError:
            return
        if now.memory_bytes >= before:
            return
        yield now


def _point(compiled: CompiledModel) -> Point:
    """Return what a program takes."""
    report, module, soc = compiled.project.report, compiled.module, compiled.soc
    with module.context:
        layers = [*accel.layers(module)]
        parts = [key_of(each) for each in layers if accel.INNER_ATTRIBUTE in each.operation.attributes]
        in_patches = {key: count for key, count in Counter(parts).items() if count > 1}
        constants = constant_bytes(module.operation, soc)[soc.constants_in]
        patches_bytes = sum(map(room.patches_bytes, accel.functions(module.operation)))
        beside_bytes = room.beside_bytes(soc, constants, patches_bytes)
    memory = report.memories.get(soc.arena_memory)
    ram_bytes = 0 if memory is None else memory.planned_peak_bytes
    return Point(
        ram_bytes=ram_bytes,
        memory_bytes=ram_bytes + beside_bytes,
        macs=sum(step.macs for step in report.steps),
        cycles=predicted_cycles(compiled),
        constant_bytes=constants,
        steps=len(report.steps),
        layers=len(in_patches),
        patches=max(in_patches.values(), default=0),
    )
