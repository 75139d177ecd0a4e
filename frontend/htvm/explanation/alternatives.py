"""What a network takes as a whole, what it would take with a layer on another engine, and why it would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from mlir import ir

from htvm.backend.c.program import read_program
from htvm.backend.targets.soc import Soc
from htvm.diagnostics import CompileError
from htvm.dialects import accel, inserted
from htvm.driver import Model, advance, lower
from htvm.options import CompileOptions
from htvm.passes import pipeline
from htvm.passes.analysis.constants import constant_bytes
from htvm.passes.analysis.placement import MARGIN_BYTES
from htvm.passes.planning.predict_cycles import PREDICTED_CYCLES
from htvm.plan import Entry

Key = tuple[str, str]
"""The first node of a layer, and its operation: what a plan calls it."""

SCHEDULED = "scheduled"


@dataclass(frozen=True)
class Fill:
    """What a memory holds at its fullest, in bytes: constants, and buffers of the memory plan. Code is not counted."""

    memory: str
    constants: int
    buffers: int
    size: int

    @property
    def is_full(self) -> bool:
        return self.constants + self.buffers > self.size

    def __str__(self) -> str:
        parts = f"constants {self.constants:,} + maps {self.buffers:,}" if self.constants else f"{self.buffers:,}"
        return f"{parts} of {self.size:,} bytes"


@dataclass(frozen=True)
class Network:
    """A network as it is planned.

    engines: of the layers that no pass inserted, as far as their names tell them apart. cycles: predicted, by node.
    steps: how many functions of C there are. problem: why there is no plan; there are then no cycles and no steps.
    """

    engines: Mapping[Key, str]
    cycles: Mapping[str, int]
    fills: tuple[Fill, ...]
    steps: int = 0
    problem: str | None = None

    @property
    def all_cycles(self) -> int:
        return sum(self.cycles.values())


@dataclass(frozen=True)
class WhatIf:
    """What a network would take with a layer on another engine. reasons: a line each, the first one first."""

    there: int
    now: int
    reasons: tuple[str, ...]


def planned(module: ir.Module, model: Model, soc: Soc) -> Network:
    """Take a module of stage 'scheduled' to 'planned', and return what it then takes."""
    with module.context:
        own = [layer for layer in accel.layers(module) if layer.engine is not None and inserted.purpose(layer) is None]
        names = Counter(map(key_of, own))
        engines = {key_of(layer): accel.engine(layer) for layer in own if names[key_of(layer)] == 1}
    problem = None
    try:
        advance(module, model, soc, pipeline.STAGES[pipeline.STAGES.index(SCHEDULED) + 1 :])
    except CompileError as error:
        problem = error.problems[0]
    with module.context:
        if problem is not None:
            return Network(engines, {}, tuple(fills(module, soc)), problem=problem)
        cycles: Counter[str] = Counter()
        for function in accel.functions(module):
            for op in function.body.blocks[0]:
                if (predicted := accel.attribute(op, PREDICTED_CYCLES, ir.IntegerAttr)) is not None:
                    cycles[accel.node(op)] += predicted.value
        return Network(engines, cycles, tuple(fills(module, soc)), len(read_program(module, soc).steps))


def fills(module: ir.Module, soc: Soc) -> Iterator[Fill]:
    """Yield what plan-memory has found of each memory, whether it fits or not."""
    arenas = accel.bytes_by_memory(module, "accel.arena")
    constants = constant_bytes(module.operation, soc) if arenas else {}
    for memory, size_bytes in arenas.items():
        yield Fill(memory, constants[memory], size_bytes, soc.memory(memory).size_bytes)


def key_of(layer: accel.Layer) -> Key:
    return accel.node(layer), accel.op_name(layer)


@dataclass(frozen=True)
class Alternatives:
    """Compiles a network with layers on other engines. now: as it is compiled. options: how."""

    model: Model
    soc: Soc
    options: CompileOptions
    now: Network

    def what_if(self, key: Key, engine: str) -> WhatIf | str:
        """Return what the network takes with a layer on an engine; or why it cannot be there."""
        pin = entry(key, engine)
        try:
            there = self.pinned([pin])
        except CompileError as error:
            return error.problems[0]
        if there.problem is not None:
            return there.problem
        return WhatIf(there.all_cycles, self.now.all_cycles, tuple(self.reasons(key, pin, there)))

    def pinned(self, pins: Sequence[Entry]) -> Network:
        """Compile the network with pins beside those that it has. Raises CompileError."""
        module, _ = lower(self.model, self.soc, SCHEDULED, replace(self.options, plan=(*self.options.plan, *pins)))
        return planned(module, self.model, self.soc)

    def reasons(self, key: Key, pin: Entry, there: Network) -> Iterator[str]:
        """Yield why the network takes as long as it does with a layer on another engine."""
        moved = {
            name: engine
            for (name, op), engine in there.engines.items()
            if (name, op) != key and self.now.engines.get((name, op), engine) != engine
        }
        if moved:
            others = [entry(other, engine) for other, engine in self.now.engines.items() if other != key]
            would = ", ".join(f"{name} would be on {engine}" for name, engine in moved.items())
            kept = self.pinned([*others, pin])
            full = self.fullest(kept)
            yield f"{full}, so {would}" if full else f"{would}: that is the best placement found"
            if full and kept.problem is None:
                yield f"a plan that pins all the others where they are would take {kept.all_cycles:,}"
        longer = {name: count - self.now.cycles.get(name, 0) for name, count in there.cycles.items()}
        worst = max(longer, key=longer.__getitem__)
        if longer[worst] > 0:
            yield f"{worst} would take {there.cycles[worst]:,} cycles, not {self.now.cycles.get(worst, 0):,}"

    def fullest(self, kept: Network) -> str | None:
        """Say which memory has no room if all other layers stay where they are; None if all have."""
        for fill in kept.fills:
            if fill.is_full:
                return f"{fill.memory} would be full ({fill})"
            if fill.memory == self.constant_memory and fill.constants + fill.buffers > fill.size - MARGIN_BYTES:
                return f"{fill.memory} would be all but full ({fill}; {MARGIN_BYTES:,} are kept free)"
        return None

    @property
    def constant_memory(self) -> str:
        return self.soc.constants_in


def entry(key: Key, engine: str) -> Entry:
    """Return the entry of a plan that pins a layer to an engine."""
    node, op = key
    return {"node": node, "op": op, "engine": engine}
