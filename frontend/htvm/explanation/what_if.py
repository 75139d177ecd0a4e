"""What would lower the cycles of a network, and the bound on them: it is compiled again with one thing changed.

Each question is an answer of the compiler, not an estimate of one: a memory twice as large, scales that are powers of
two, an engine that was left out, a layer that a plan pins to another engine or form. Only layers are pinned that would
lose little by themselves: where a layer is decides for its neighbours too.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from htvm.backend.targets.jobs import Form
from htvm.backend.targets.soc import HOST, Soc
from htvm.diagnostics import CompileError
from htvm.dialects import accel
from htvm.driver import CompiledModel, Model, finished, opened
from htvm.explanation.bound import bound, flows, mapped_module
from htvm.explanation.offload import offload
from htvm.explanation.prediction import predicted_cycles
from htvm.lowering import Pipeline
from htvm.options import DEFAULTS, SPEED, CompileOptions
from htvm.passes.analysis.acceptance import violations
from htvm.passes.analysis.ways import Way, in_forms, price
from htvm.passes.pipeline import STAGES
from htvm.plan import Entry, form_facts

Key = tuple[str, str]
"""What a plan calls a layer: its first node, and its operation."""

MOST_WAYS = 4
"""How many pinned layers are asked about."""

MOST_LOST = 0.05
"""The part of the network's cycles that a layer may lose by itself in another way, to be asked about there."""


@dataclass(frozen=True)
class Answer:
    """What a network takes with one thing changed: cycles predicted, and those that no mapping takes less than.

    what: the change, as options of the commands where they have it. bound: None where none is known. busiest: the unit
    with the most work there. changes_numbers: whether outputs are others. problem: why there is no program; cycles and
    bound are then 0 and None.
    """

    what: str
    cycles: int
    bound: int | None
    busiest: str | None = None
    changes_numbers: bool = False
    problem: str | None = None

    def facts(self) -> dict[str, Any]:
        """Return the answer as JSON has it."""
        return {
            "what": self.what,
            "predicted_cycles": None if self.problem else self.cycles,
            "bound_cycles": self.bound,
            "busiest_unit": self.busiest,
            "changes_numbers": self.changes_numbers,
            "problem": self.problem,
        }


@dataclass(frozen=True)
class WhatIfs:
    """A network as it is compiled, and answers: those that gain most first, then those without a program."""

    now: Answer
    answers: tuple[Answer, ...]

    def facts(self) -> dict[str, Any]:
        """Return all as JSON has it."""
        return {"now": self.now.facts(), "answers": [each.facts() for each in self.answers]}

    def text(self) -> str:
        """Return a line for each answer, as a terminal shows them."""
        rows = [("predicted", "change", "bound", "busiest", "with")]
        for each in (self.now, *self.answers):
            if each.problem is not None:
                rows.append(("none", "", "", "", f"{each.what}: {each.problem.splitlines()[0]}"))
                continue
            percent = 100 * (each.cycles / max(self.now.cycles, 1) - 1)
            change = "" if each is self.now else f"{percent:+.1f} %"
            numbers = ", and other numbers" if each.changes_numbers else ""
            limit = "" if each.bound is None else f"{each.bound:,}"
            rows.append((f"{each.cycles:,}", change, limit, each.busiest or "", each.what + numbers))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join([*(cell.rjust(width) for cell, width in zip(row[:-1], widths, strict=False)), row[-1]])
            for row in rows
        ]
        return "\n".join(["what if: cycles with one thing changed", *lines])


@dataclass(frozen=True)
class Question:
    """One thing changed. options: of the compilation then."""

    what: str
    options: CompileOptions
    changes_numbers: bool = False


def what_ifs(
    model: Model,
    soc: Soc,
    options: CompileOptions = DEFAULTS,
    progress: Callable[[int, int], None] | None = None,
) -> WhatIfs:
    """Compile a model as it is asked for, and with one thing changed at a time.

    soc: the target with all of its engines. progress: is called with how many questions of all are answered.
    Raises CompileError for a model that does not compile as it is.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = opened(model)
        way = Pipeline(source, soc, options=options)
        can_refit = way.entry == "imported" and not options.refits
        chosen = chosen_ways(way)
        compiled = finished(way)
        now = answer("now", compiled)
        questions = [*options_changed(compiled, options, soc, can_refit), *pins(compiled, options, chosen, now.cycles)]
        found: list[Answer] = []
        for done, each in enumerate(questions, 1):
            try:
                there = finished(Pipeline(source, soc, options=each.options))
                known = now if each.options.plan != options.plan else None  # the bound holds for every pin
                found.append(answer(each.what, there, each.changes_numbers, known))
            except CompileError as error:
                found.append(Answer(each.what, 0, None, None, each.changes_numbers, error.problems[0]))
            if progress:
                progress(done, len(questions))
    ordered = sorted(found, key=lambda each: (each.problem is not None, each.cycles, each.bound or 0, each.what))
    return WhatIfs(now, tuple(ordered))


def answer(what: str, compiled: CompiledModel, changes_numbers: bool = False, known: Answer | None = None) -> Answer:
    """Return what a compiled network takes. known: an answer with the same bound, if there is one."""
    cycles = predicted_cycles(compiled)
    if known is not None:
        return replace(known, what=what, cycles=cycles, changes_numbers=changes_numbers)
    found = bound(compiled.source, compiled.soc, compiled.options, cycles, flows(compiled.project.report))
    if found is None:
        return Answer(what, cycles, None, None, changes_numbers)
    return Answer(what, cycles, found.least, found.units[0].unit if found.units else None, changes_numbers)


def options_changed(
    compiled: CompiledModel, options: CompileOptions, machine: Soc, can_refit: bool
) -> Iterator[Question]:
    """Yield the network with another option.

    Each memory twice as large, where addresses leave room; each engine of the machine that was left out; scales that
    are powers of two, where more layers are on accelerators then; more constants, where the host multiplies.
    """
    soc, steps = compiled.soc, compiled.project.report.steps
    for memory in soc.memories:
        size = 2 * memory.size_bytes
        try:
            soc.with_memory(memory.name, size)
        except ValueError:
            continue
        shown = f"{size >> 10}k" if size % 1024 == 0 else str(size)
        yield Question(f"--memory {memory.name}={shown}", options.having(memory={**options.memory, memory.name: size}))
    used = [engine.name for engine in soc.engines]
    for left_out in (engine.name for engine in machine.engines if engine.name not in used):
        names = [engine.name for engine in machine.engines if engine.name in (*used, left_out)]
        yield Question(f"--engines {','.join(names)}", options.having(engines=tuple(names)))
    if can_refit and (share := offload(compiled)) and share.pow2:
        yield Question("--requant pow2", options.having(requant="pow2"), changes_numbers=True)
    if options.constants is None and any(step.engine == HOST and step.macs for step in steps):
        yield Question(f"--constants {SPEED}", options.having(constants=SPEED))


def chosen_ways(way: Pipeline) -> dict[Key, Way]:
    """Take a model to stage 'dispatched', and return the engine and form of each layer, by what a plan calls it."""
    if STAGES.index(way.stage) > STAGES.index("dispatched"):
        return {}
    module = way.to("dispatched")
    with module.context:
        layers = accel.numbered(accel.layers(module))
        return {key[:2]: way_of(way.soc, layer) for key, layer in layers.items() if key[2] == 1 and layer.engine}


def way_of(soc: Soc, layer: accel.Layer) -> Way:
    return Way(soc.engine(accel.engine(layer)), Form.of(layer))


def pins(
    compiled: CompiledModel, options: CompileOptions, chosen: Mapping[Key, Way], cycles: int
) -> Iterator[Question]:
    """Yield layers pinned to other engines and forms, where they lose least by themselves.

    chosen: of each layer. cycles: of the network.
    """
    soc = compiled.soc
    module = mapped_module(compiled.source, soc, options) if soc.accelerators else None
    if module is None:
        return
    pinned = {(entry["node"], entry["op"]) for entry in options.plan}
    near: list[tuple[int, str, Entry]] = []
    with module.operation.location:
        for (node, op, number), layer in accel.numbered(accel.layers(module)).items():
            now = chosen.get((node, op))
            if now is None or number > 1 or (node, op) in pinned:
                continue
            legal = [engine for engine in soc.engines if not violations(soc, engine, layer)]
            for way in in_forms(soc, layer, soc.engines, legal):
                # A pin of an engine alone leaves it the form, and who reads blocks needs someone to write them.
                if not way.reads_blocks and (way.form or way.engine != now.engine) and way != now:
                    lost = price(soc, layer, way).cycles - price(soc, layer, now).cycles
                    near.append((lost, f"{node} {way_text(way)}", pin_of(node, op, way)))
    for lost, what, pin in sorted(near, key=lambda each: each[:2])[:MOST_WAYS]:
        if lost <= MOST_LOST * cycles:
            yield Question(what, replace(options, plan=(*options.plan, pin)))


def way_text(way: Way) -> str:
    return f"on {way.engine.name}" + (f" as {way.form}" if way.form else "")


def pin_of(node: str, op: str, way: Way) -> Entry:
    """Return the entry of a plan that pins a layer to a way."""
    entry: dict[str, Any] = {"node": node, "op": op, "engine": way.engine.name}
    return entry | ({"form": form_facts(way.form)} if way.form else {})
