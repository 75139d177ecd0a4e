"""Why each layer runs where it runs: what every engine says of it, and what would change its mind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from mlir import ir

from htvm.backend.targets.soc import Accelerator, Engine, Soc
from htvm.changes.question import Question
from htvm.changes.search import Found, Search, reasons_in
from htvm.diagnostics import CompileError
from htvm.dialects import accel
from htvm.driver import Model, lower
from htvm.passes.analysis import activations, layout
from htvm.passes.analysis.acceptance import refusal
from htvm.passes.analysis.placement import whole_parts
from htvm.passes.analysis.tiling import NAME as TILING
from htvm.passes.predict_cycles import PREDICTED_CYCLES
from htvm.plan import Entry

NO_CHANGE = "no change of the model helps that is known here"
"""Of layers that changes/question.py does not have."""


@dataclass(frozen=True)
class Candidate:
    """An engine and a layer. refusal: why it does not run the layer; None if it does.

    cycles: predicted, transfers left out. energy_uj: of the engine meanwhile, where it is known what it draws.
    weight_bytes: the weights in its form. change: the smallest change of the model after which it would take the
    layer; or why there is none, in words. network_cycles: of an engine that would be faster for the layer alone and was
    not chosen, what the network would take with the layer there, and what it takes; or why that is not known.
    """

    engine: str
    cycles: int | None = None
    energy_uj: float | None = None
    weight_bytes: int | None = None
    refusal: str | None = None
    change: Found | str | None = None
    network_cycles: tuple[int, int] | str | None = None

    def facts(self) -> dict[str, Any]:
        """Return the candidate as JSON has it."""
        found = self.change if isinstance(self.change, Found) else None
        return {
            **{key: value for key, value in vars(self).items() if key != "change"},
            "would_take": found and found.says,
            "no_change": self.change if isinstance(self.change, str) else None,
            "change": found
            and {
                "changes": [each.says for each in found.changes],
                "effort": found.effort,
                "option": found.option,
                "engine": found.runs_on,
                "cycles": found.cycles,
                "cycles_now": found.cycles_now,
            },
        }


@dataclass(frozen=True)
class Decision:
    """A layer: its nodes, the first one naming it, the engine that runs it, and all candidates.

    tiling: sizes of its tiles, and memory: where its result stays, of a layer on an accelerator. kernel: what computes
    a linear layer on the host, and skips: the input element that it does not multiply, so its time depends on the data.
    """

    node: str
    nodes: tuple[str, ...]
    op: str
    shape: tuple[int, ...]
    engine: str
    candidates: tuple[Candidate, ...]
    tiling: Mapping[str, int | bool]
    memory: str | None
    kernel: str | None = None
    skips: int | None = None

    def facts(self) -> dict[str, Any]:
        """Return the decision as JSON has it."""
        return {
            "name": self.node,
            "nodes": list(self.nodes),
            "op": self.op,
            "shape": list(self.shape),
            "engine": self.engine,
            "tiling": dict(self.tiling) or None,
            "memory": self.memory,
            "kernel": self.kernel,
            "skips": self.skips,
            "candidates": [each.facts() for each in self.candidates],
        }


def explain(model: Model, soc: Soc, node: str | None = None, **choices: Any) -> list[Decision]:
    """Compile a model up to stage 'scheduled' and say of each layer why it runs where it runs.

    node: only of layers with a node of that name or pattern, as "dwconv*"; of those alone the network is compiled again
    with the layer on each engine that is faster for it and was not chosen. choices: keywords of driver.lower.
    Raises CompileError, and UnknownNodeError if no layer has the node.
    """
    module, _ = lower(model, soc, "scheduled", **choices)
    refits = choices.get("requant", accel.REQUANT[0]) != accel.REQUANT[0]
    with module.context:
        layers = [layer for layer in accel.layers(module) if layer.engine.value in engines(soc)]
        chosen = [layer for layer in layers if any(is_called(each, node) for each in accel.nodes(layer))]
        if not chosen and node is not None:
            raise UnknownNodeError(*(name for layer in layers for name in accel.nodes(layer)))
        decisions = [decision(layer, soc, refits) for layer in chosen]
    compiled: dict[tuple[str, ...], int] = {}

    def ask(one: Decision, engine: str) -> tuple[int, int] | str:
        if node is None:
            return f"--node {one.node} says what it would take"
        return elsewhere(one, engine, model, soc, choices, compiled)

    return [with_alternatives(each, ask, choices.get("plan", ())) for each in decisions]


def with_alternatives(
    one: Decision, ask: Callable[[Decision, str], tuple[int, int] | str], pins: Sequence[Entry] = ()
) -> Decision:
    """Say of each engine that is faster alone and not chosen what the network would take with the layer there.

    A layer that is pinned is not asked about: the pin is the reason.
    """
    if any(pin["node"] == one.node and "engine" in pin for pin in pins):
        return one
    now = next(each.cycles for each in one.candidates if each.engine == one.engine)
    return replace(
        one,
        candidates=tuple(
            replace(each, network_cycles=ask(one, each.engine))
            if each.cycles is not None and now is not None and each.cycles < now
            else each
            for each in one.candidates
        ),
    )


def elsewhere(
    one: Decision,
    engine: str,
    model: Model,
    soc: Soc,
    choices: Mapping[str, Any],
    compiled: dict[tuple[str, ...], int],
) -> tuple[int, int] | str:
    """Return the predicted cycles of the network with a layer pinned to an engine, and without; or why not.

    compiled: what has been found already, by the pin's node, op and engine.
    """
    plan = tuple(choices.get("plan", ()))
    pin = {"node": one.node, "op": one.op, "engine": engine}
    try:
        for key, pins in (((), plan), (tuple(pin.values()), (*plan, pin))):
            if key not in compiled:
                compiled[key] = network_cycles(model, soc, {**choices, "plan": pins})
    except CompileError as error:
        return error.problems[0]
    return compiled[tuple(pin.values())], compiled[()]


def network_cycles(model: Model, soc: Soc, choices: Mapping[str, Any]) -> int:
    """Return the predicted cycles of all steps of a network."""
    module, _ = lower(model, soc, "planned", **choices)
    with module.context:
        steps = [op.attributes for function in accel.functions(module) for op in function.body.blocks[0]]
        return sum(each[PREDICTED_CYCLES].value for each in steps if PREDICTED_CYCLES in each)


class UnknownNodeError(LookupError):
    """No layer has a node; its arguments are the nodes that there are."""


def is_called(name: str, wanted: str | None) -> bool:
    """Say whether a node has a name, or one that fits a pattern; None is any."""
    return wanted is None or name == wanted or fnmatchcase(name, wanted)


def engines(soc: Soc) -> list[str]:
    return [engine.name for engine in soc.engines]


def decision(layer: ir.OpView, soc: Soc, refits: bool) -> Decision:
    attributes = layer.operation.attributes
    kernel = attributes["kernel"] if "kernel" in attributes else None  # sizes, of a pool
    tiling = attributes[TILING] if TILING in attributes else []
    nodes = accel.nodes(layer)
    return Decision(
        node=nodes[0],
        nodes=tuple(nodes),
        op=layer.operation.name.removeprefix("accel."),
        shape=tuple(layer.result.type.shape),
        engine=layer.engine.value,
        candidates=tuple(candidate(layer, engine, soc, refits) for engine in soc.engines),
        tiling={each.name: each.attr.value if isinstance(each.attr, ir.IntegerAttr) else True for each in tiling},
        memory=attributes["accel.memory"].value if "accel.memory" in attributes else None,
        kernel=kernel.value if isinstance(kernel, ir.StringAttr) else None,
        skips=attributes["skip"].value if "skip" in attributes else None,
    )


def candidate(layer: ir.OpView, engine: Engine, soc: Soc, refits: bool) -> Candidate:
    """Ask an engine for its price, or for its reason and what would help."""
    why = refusal(soc, engine, layer)
    if why is not None:
        question = Question.of(layer)
        change = Search(soc, engine, question, refits).fewest() if question else NO_CHANGE
        return Candidate(engine.name, refusal=why, change=change)
    cycles, power = engine.cycles(layer, soc.cost_model), (soc.power_w or {}).get(engine.name)
    energy = None if power is None else cycles * power / soc.clock_hz * 1e6
    return Candidate(engine.name, cycles, energy, weight_bytes(layer, engine))


def weight_bytes(layer: ir.OpView, engine: Engine) -> int:
    """Return the bytes of a layer's weights as an engine wants them: packed, or as the model has them."""
    if isinstance(engine, Accelerator):
        return sum(map(engine.weight_bytes, whole_parts(engine, layer)))
    constants = [value for value in layer.operation.operands if activations.is_constant(value)]
    return sum(layout.size_bytes(value.type) for value in constants)


def text(decisions: Sequence[Decision], soc: Soc) -> str:
    """Return decisions as a terminal shows them: each layer, then all of them in a few lines."""
    return "\n".join([*(line for each in decisions for line in lines(each)), "", *summary(decisions, soc)])


def lines(one: Decision) -> Iterator[str]:
    shape = "x".join(map(str, one.shape))
    yield f"{one.node}: {one.op} -> {shape} on {one.engine}"
    if len(one.nodes) > 1:
        yield f"  with       {', '.join(one.nodes[1:])}"
    if one.tiling:
        sizes = ", ".join(f"{one.tiling[name]} {name}" for name in ("outputs", "rows", "columns"))
        stays = f"; its result stays in {one.memory}" if one.memory else ""
        yield f"  tiles      {sizes}{stays}"
    if one.kernel:
        skips = f"; skips inputs of {one.skips}, so its time depends on the data" if one.skips is not None else ""
        yield f"  kernel     {one.kernel}{skips}"
    for each in sorted(one.candidates, key=lambda each: (each.cycles is None, each.cycles or 0)):
        chosen = " (chosen)" if each.engine == one.engine else ""
        if each.cycles is not None:
            energy = f", {each.energy_uj:.3g} uJ" if each.energy_uj is not None else ""
            weights = f", {each.weight_bytes:,} bytes of weights" if each.weight_bytes else ""
            yield f"  {each.engine:<10} {each.cycles:,} cycles{energy}{weights}{chosen}"
            if isinstance(each.network_cycles, str):
                yield f"  {'':<10} but not for the network: {each.network_cycles}"
            elif each.network_cycles:
                there, now = each.network_cycles
                yield f"  {'':<10} but with the layer there the network would take {there:,} cycles, not {now:,}"
        else:
            yield f"  {each.engine:<10} refuses: {each.refusal}"
            yield from (f"  {'':<10} {line}" for line in change_lines(each))


def change_lines(refused: Candidate) -> Iterator[str]:
    """Yield what would make an engine take a layer, what that asks for, and what it gives."""
    change = refused.change
    if not isinstance(change, Found):
        yield f"{change}"
        return
    option = f", {change.option} does it" if change.option else ""
    yield f"would take it with: {change.says} ({change.effort}{option})"
    times = f"{change.cycles_now:,} -> {change.cycles:,} cycles, transfers included"
    if change.runs_on != refused.engine:
        yield f"but {change.runs_on} would be faster" + (f", and takes it too: {times}" if change.saves else "")
    else:
        yield times if change.saves else f"but it would not be faster: {times}"


def summary(decisions: Sequence[Decision], soc: Soc) -> Iterator[str]:
    """Yield who runs how many layers, and, for each engine, why not more of them and what would change that."""
    layers = "1 layer" if len(decisions) == 1 else f"{len(decisions)} layers"
    if len(soc.engines) == 1:
        yield f"{layers} on {soc.engines[0].name}: target '{soc.name}' has no other engine"
        return
    counts = Counter(each.engine for each in decisions)
    yield f"{layers}: " + ", ".join(f"{count} on {engine}" for engine, count in counts.items())
    for engine in soc.accelerators:
        asked = [each for one in decisions for each in one.candidates if each.engine == engine.name]
        known = [each for each in asked if each.refusal is None or not each.refusal.startswith("op: ")]
        refused = [each for each in known if each.refusal is not None]
        if refused:
            why = Counter(reason.subject for each in refused for reason in reasons_in(each.refusal))
            subjects = ", ".join(f"{subject} ({count})" for subject, count in why.most_common())
            yield f"{engine.name} refuses {len(refused)} of the {len(known)} whose op it knows, because of {subjects}"
        found = [each.change for each in refused if isinstance(each.change, Found)]
        helps = Counter(
            each.option or f"changes as above ({each.effort})"
            for each in found
            if each.runs_on == engine.name and each.saves
        )
        yield from (f"  {count} would run there, and faster, with {way}" for way, count in helps.most_common())
