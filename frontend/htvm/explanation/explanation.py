"""Why each layer runs where it runs: what every engine says of it, and what would change its mind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from mlir import ir

from htvm.backend.targets.soc import Engine, Soc
from htvm.dialects import accel
from htvm.driver import Model, loaded, lower
from htvm.explanation.alternatives import Alternatives, Elsewhere, Network, planned
from htvm.explanation.model_edits.layer_spec import Question
from htvm.explanation.model_edits.search import Found, Search, reasons_in, weight_bytes
from htvm.options import DEFAULTS, CompileOptions
from htvm.origin import name
from htvm.passes.analysis.acceptance import refusal
from htvm.passes.analysis.tiling import NAME as TILING
from htvm.plan import Entry

NO_CHANGE = "no change of the model helps that is known here"
"""Of layers that model_edits/layer_spec.py does not have."""

DEPTHWISE = "depthwise"
"""The kind of a convolution with a group for each channel that it reads."""


@dataclass(frozen=True)
class Candidate:
    """An engine and a layer. refusal: why it does not run the layer; None if it does. then: what rules would refuse it
    once it keeps those that the refusal names: some are only asked then.

    cycles: predicted, transfers left out. energy_uj: of the engine meanwhile, where it is known what it draws.
    weight_bytes: the weights in its form. change: the smallest change of the model after which it would take the
    layer; or why there is none, in words. elsewhere: of an engine that would be faster for the layer alone and was not
    chosen, what the network would take with the layer there; or why that is not known.
    """

    engine: str
    cycles: int | None = None
    energy_uj: float | None = None
    weight_bytes: int | None = None
    refusal: str | None = None
    then: tuple[str, ...] = ()
    change: Found | str | None = None
    elsewhere: Elsewhere | str | None = None

    def facts(self) -> dict[str, Any]:
        """Return the candidate as JSON has it."""
        found = self.change if isinstance(self.change, Found) else None
        network = self.elsewhere if isinstance(self.elsewhere, Elsewhere) else None
        return {
            **{key: value for key, value in vars(self).items() if key not in ("change", "elsewhere")},
            "network_cycles": (network.there, network.now) if network else self.elsewhere,
            "network_why": list(network.why) if network else [],
            "would_take": found and found.says,
            "no_change": self.change if isinstance(self.change, str) else None,
            "change": found
            and {
                "changes": [each.says for each in found.changes],
                "effort": found.effort,
                "option": found.option,
                "engine": found.then.engine,
                "cycles": found.then.cycles,
                "cycles_now": found.now.cycles,
                "weight_bytes": found.then.weight_bytes,
                "weight_bytes_now": found.now.weight_bytes,
            },
        }


@dataclass(frozen=True)
class Decision:
    """A layer: its nodes, the first one naming it, the engine that runs it, and all candidates.

    kinds: what --op calls it: the operation, the operators of its nodes, and "depthwise". kernel_size, strides, groups:
    of what has them. inserted: what it is for, if no node of the ONNX file asks for it. tiling: sizes of its tiles, and
    memory: where its result stays, of a layer on an accelerator. kernel: what computes a linear layer on the host, and
    skips: the input element that it does not multiply, so its time depends on the data.
    """

    node: str
    nodes: tuple[str, ...]
    op: str
    shape: tuple[int, ...]
    engine: str
    candidates: tuple[Candidate, ...]
    kinds: tuple[str, ...]
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    groups: int
    inserted: str | None
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
            "kinds": list(self.kinds),
            "kernel_size": list(self.kernel_size),
            "strides": list(self.strides),
            "groups": self.groups,
            "inserted": self.inserted,
            "shape": list(self.shape),
            "engine": self.engine,
            "tiling": dict(self.tiling) or None,
            "memory": self.memory,
            "kernel": self.kernel,
            "skips": self.skips,
            "candidates": [each.facts() for each in self.candidates],
        }


@dataclass(frozen=True)
class Explanation:
    """Decisions, and the whole network that they are for."""

    decisions: tuple[Decision, ...]
    network: Network


def explain(
    model: Model,
    soc: Soc,
    node: str | None = None,
    op: str | None = None,
    *,
    options: CompileOptions = DEFAULTS,
    **choices: Any,
) -> Explanation:
    """Compile a model and say of each layer why it runs where it runs.

    node: only of layers with a node of that name or pattern, as "dwconv*"; of those alone the network is compiled again
    with the layer on each engine that is faster for it and was not chosen. op: only of layers of a kind, as
    Decision.kinds has them. options, choices: as driver.compile takes them.
    Raises CompileError, UnknownNodeError if no layer has the node, and UnknownKindError if none is of the kind.
    """
    options = options.having(**choices)
    soc = options.refined(soc)
    module, _ = lower(model, soc, "scheduled", options)
    types = {name(each): each.op_type for each in loaded(model).graph.node}
    with module.context:
        layers = [layer for layer in accel.layers(module) if layer.engine.value in engines(soc)]
        chosen = [layer for layer in layers if any(is_called(each, node) for each in accel.nodes(layer))]
        if not chosen and node is not None:
            raise UnknownNodeError(*(name for layer in layers for name in accel.nodes(layer)))
        of_kind = [layer for layer in chosen if op is None or op.lower() in map(str.lower, kinds(layer, types))]
        if not of_kind and op is not None:
            raise UnknownKindError(*dict.fromkeys(kind for layer in chosen for kind in kinds(layer, types)))
        decisions = [decision(layer, soc, options.refits, types) for layer in of_kind]
    now = planned(module, model, soc)
    alternatives = Alternatives(model, soc, options, now)

    def ask(one: Decision, engine: str) -> Elsewhere | str:
        if now.problem is not None:
            return "as it is, it has no plan"
        if node is None:
            return f"--node {one.node} says what it would take"
        return alternatives.elsewhere((one.node, one.op), engine)

    return Explanation(tuple(with_alternatives(each, ask, options.plan) for each in decisions), now)


def with_alternatives(
    one: Decision, ask: Callable[[Decision, str], Elsewhere | str], pins: Sequence[Entry] = ()
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
            replace(each, elsewhere=ask(one, each.engine))
            if each.cycles is not None and now is not None and each.cycles < now
            else each
            for each in one.candidates
        ),
    )


class UnknownNodeError(LookupError):
    """No layer has a node; its arguments are the nodes that there are."""


class UnknownKindError(LookupError):
    """No layer is of a kind; its arguments are the kinds that there are."""


def is_called(name: str, wanted: str | None) -> bool:
    """Say whether a node has a name, or one that fits a pattern; None is any."""
    return wanted is None or name == wanted or fnmatchcase(name, wanted)


def engines(soc: Soc) -> list[str]:
    return [engine.name for engine in soc.engines]


def kinds(layer: ir.OpView, types: Mapping[str, str]) -> list[str]:
    """Return what a layer can be called: its operation, the operators of its nodes, and whether it is depthwise.

    types: the operator of each node.
    """
    operation = layer.operation.name.removeprefix("accel.")
    own = [] if accel.inserted(layer) else [types[each] for each in accel.nodes(layer) if each in types]
    depthwise = [DEPTHWISE] if 1 < groups_of(layer) == layer.input.type.shape[1] else []
    return list(dict.fromkeys([operation, *depthwise, *own]))


def groups_of(layer: ir.OpView) -> int:
    return layer.groups.value if isinstance(layer, accel.Conv2dOp) else 1


def kernel_size(layer: ir.OpView) -> tuple[int, ...]:
    """Return the rows and columns of a convolution's or a pool's kernel; nothing for other layers."""
    if isinstance(layer, accel.Conv2dOp):
        return tuple(layer.weights.type.shape[2:])
    return tuple(layer.kernel) if isinstance(layer, accel.Pool2dOp) else ()


def decision(layer: ir.OpView, soc: Soc, refits: bool, types: Mapping[str, str]) -> Decision:
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
        kinds=tuple(kinds(layer, types)),
        kernel_size=kernel_size(layer),
        strides=tuple(layer.strides) if isinstance(layer, accel.Conv2dOp | accel.Pool2dOp) else (),
        groups=groups_of(layer),
        inserted=accel.inserted(layer),
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
        if question is None:
            return Candidate(engine.name, refusal=why, change=NO_CHANGE)
        search = Search(soc, engine, question, refits)
        change = search.fewest()
        return Candidate(engine.name, refusal=why, then=search.then(), change=change)
    cycles, power = engine.cycles(layer, soc.cost_model), (soc.power_w or {}).get(engine.name)
    energy = None if power is None else cycles * power / soc.clock_hz * 1e6
    return Candidate(engine.name, cycles, energy, weight_bytes(layer, engine))


def text(found: Explanation, soc: Soc) -> str:
    """Return decisions as a terminal shows them: each layer, then all of them in a few lines."""
    shown = [line for each in found.decisions for line in lines(each)]
    return "\n".join([*shown, "", *summary(found.decisions, soc), *whole(found.network)])


def head(one: Decision) -> str:
    """Return a layer in one line: what it computes, what it makes, and where."""
    kernel = f" {dimensions(one.kernel_size)}" if one.kernel_size else ""
    strides = f", strides {dimensions(one.strides)}" if any(each > 1 for each in one.strides) else ""
    groups = f", {one.groups} groups" if one.groups > 1 else ""
    depthwise = f" ({DEPTHWISE})" if DEPTHWISE in one.kinds else ""
    return f"{one.node}: {one.op}{kernel}{strides}{groups}{depthwise} -> {dimensions(one.shape)} on {one.engine}"


def dimensions(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


def lines(one: Decision) -> Iterator[str]:
    yield head(one)
    if one.inserted:
        yield f"  inserted   {one.inserted}"
    elif len(one.nodes) > 1:
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
            if isinstance(each.elsewhere, str):
                yield f"  {'':<10} but not for the network: {each.elsewhere}"
            elif each.elsewhere:
                there, now = each.elsewhere.there, each.elsewhere.now
                yield f"  {'':<10} but with the layer there the network would take {there:,} cycles, not {now:,}"
                yield from (f"  {'':<10} {reason}" for reason in each.elsewhere.why)
        else:
            then = f" (then {', '.join(each.then)})" if each.then else ""
            yield f"  {each.engine:<10} refuses: {each.refusal}{then}"
            yield from (f"  {'':<10} {line}" for line in change_lines(each))


def change_lines(refused: Candidate) -> Iterator[str]:
    """Yield what would make an engine take a layer, what that asks for, and what it gives."""
    change = refused.change
    if not isinstance(change, Found):
        yield f"{change}"
        return
    option = f", {change.option} does it" if change.option else ""
    yield f"would take it with: {change.says} ({change.effort}{option})"
    now, then = change.now, change.then
    times = f"{now.cycles:,} -> {then.cycles:,} cycles, transfers included"
    if now.weight_bytes != then.weight_bytes:
        times += f"; {now.weight_bytes:,} -> {then.weight_bytes:,} bytes of weights"
    if then.engine != refused.engine:
        yield f"but {then.engine} would be faster" + (f", and takes it too: {times}" if change.saves else "")
    else:
        yield times if change.saves else f"but it would not be faster: {times}"


def summary(decisions: Sequence[Decision], soc: Soc) -> Iterator[str]:
    """Yield who runs how many layers, and, for each engine, why not more of them and what would change that."""
    layers = "1 layer" if len(decisions) == 1 else f"{len(decisions)} layers"
    inserted = sum(each.inserted is not None for each in decisions)
    reshapes = sum(each.op == "reshape" for each in decisions)
    note = f", {inserted} of them inserted" if inserted else ""
    note += f", {reshapes} of them no step of the C unless bytes move (reshape)" if reshapes else ""
    if len(soc.engines) == 1:
        yield f"{layers} on {soc.engines[0].name}{note}: target '{soc.name}' has no other engine"
        return
    counts = Counter(each.engine for each in decisions)
    yield f"{layers}{note}: " + ", ".join(f"{count} on {engine}" for engine, count in counts.items())
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
            if each.then.engine == engine.name and each.saves
        )
        yield from (f"  {count} would run there, and faster, with {way}" for way, count in helps.most_common())


def whole(network: Network) -> Iterator[str]:
    """Yield what the whole network takes."""
    if network.problem is not None:
        yield from network.problem.splitlines()
        return
    predicted = f", {network.all_cycles:,} cycles predicted" if network.all_cycles else ""  # not on a host alone
    yield f"the network: {network.steps} steps of C{predicted}"
    yield from (f"{fill.memory} at its fullest: {fill}" for fill in network.fills)
