"""Why each layer runs where it runs: the rules of every engine that it violates, and what would change that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from mlir import ir

from htvm.backend import kernels
from htvm.backend.targets.engines import fused_ops
from htvm.backend.targets.jobs import Form
from htvm.backend.targets.soc import Engine, Soc
from htvm.backend.targets.violations import Subject, Violation, all_of
from htvm.backend.targets.violations import text as text_of
from htvm.diagnostics import CompileError
from htvm.dialects import accel, inserted
from htvm.driver import Model, opened
from htvm.explanation.alternatives import Alternatives, Network, WhatIf, planned
from htvm.explanation.bound import Bound, bound
from htvm.explanation.model_edits.layer_spec import LayerSpec
from htvm.explanation.model_edits.search import Counterfactual, NoEdit, NothingHelps, Search, weight_bytes
from htvm.lowering import Pipeline
from htvm.options import DEFAULTS, CompileOptions
from htvm.passes.analysis.acceptance import violations
from htvm.passes.analysis.tiles import NAME as TILING
from htvm.passes.analysis.ways import Way
from htvm.plan import Entry

DEPTHWISE = "depthwise"
"""The kind of a convolution with a group for each channel that it reads."""


@dataclass(frozen=True)
class Candidate:
    """An engine and a layer. violations: the rules that the layer breaks; none if the engine runs it. then: subjects of
    the rules that it would break once it keeps those: some are only checked then.

    cycles: predicted, transfers left out. energy_uj: of the engine meanwhile, where it is known what it draws.
    weight_bytes: the weights in its form. remedy: the fewest model edits after which the engine would run the layer; or
    why there are none. what_if: of an engine that would be faster for the layer alone and was not chosen, what the
    network would take with the layer there; or why that is not known.
    """

    engine: str
    cycles: int | None = None
    energy_uj: float | None = None
    weight_bytes: int | None = None
    violations: tuple[Violation, ...] = ()
    then: tuple[str, ...] = ()
    remedy: Counterfactual | NothingHelps | None = None
    what_if: WhatIf | str | None = None

    def facts(self) -> dict[str, Any]:
        """Return the candidate as JSON has it."""
        network = self.what_if if isinstance(self.what_if, WhatIf) else None
        edited = self.remedy if isinstance(self.remedy, Counterfactual) else None
        return {
            "engine": self.engine,
            "cycles": self.cycles,
            "energy_uj": self.energy_uj,
            "weight_bytes": self.weight_bytes,
            "refusal": all_of(self.violations) or None,
            "violations": [
                {"rule": each.title, "found": text_of(each.innermost.found), "wanted": text_of(each.innermost.wanted)}
                for each in self.violations
            ],
            "then": list(self.then),
            "network_cycles": (network.there, network.now) if network else self.what_if,
            "network_why": list(network.reasons) if network else [],
            "would_take": edited and edited.description,
            "no_change": str(self.remedy) if isinstance(self.remedy, NothingHelps) else None,
            "change": edited
            and {
                "changes": [edit.description for edit in edited.edits],
                "effort": edited.effort,
                "option": edited.option,
                "engine": edited.then.engine,
                "cycles": edited.then.cycles,
                "cycles_now": edited.now.cycles,
                "weight_bytes": edited.then.weight_bytes,
                "weight_bytes_now": edited.now.weight_bytes,
            },
        }


@dataclass(frozen=True)
class Decision:
    """A layer: its nodes, the first one naming it, the engine that runs it, and all candidates.

    kinds: what --op calls it: the operation, the operators of its nodes, and "depthwise". kernel_size, strides, groups:
    of what has them. inserted: what it is for, if no node of the ONNX file asks for it. form: in which an accelerator
    computes it, if that is not the plain one (backend/targets/forms). tiling: sizes of its tiles, and memory: where its
    result stays, of a layer on an accelerator. fused: the operations of several layers in one job. kernel: what
    computes a linear layer on the host, or one from outside, and skips: the input element that it does not multiply, so
    its time depends on the data.
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
    form: str | None = None
    fused: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """Return the decision as JSON has it."""
        return {
            "name": self.node,
            "nodes": list(self.nodes),
            "op": self.op,
            "fused": list(self.fused),
            "kinds": list(self.kinds),
            "kernel_size": list(self.kernel_size),
            "strides": list(self.strides),
            "groups": self.groups,
            "inserted": self.inserted,
            "shape": list(self.shape),
            "engine": self.engine,
            "form": self.form,
            "tiling": dict(self.tiling) or None,
            "memory": self.memory,
            "kernel": self.kernel,
            "skips": self.skips,
            "candidates": [each.facts() for each in self.candidates],
        }


@dataclass(frozen=True)
class Explanation:
    """Decisions, and the whole network that they are for. bound: on its cycles, where all layers are asked about."""

    decisions: tuple[Decision, ...]
    network: Network
    bound: Bound | None = None


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
    model = source = opened(model)
    way = Pipeline(source, soc, options=options)
    if way.entry not in ("imported", "integer"):
        wanted = "expected 'imported' or 'integer': engines are chosen already"
        raise CompileError([f"{source.label}: is in stage '{way.entry}', {wanted}"])
    module = way.to("scheduled")
    types = source.operators(options)
    with module.context:
        layers = [layer for layer in accel.layers(module) if accel.engine(layer) in engines(soc)]
        chosen = [layer for layer in layers if any(is_called(each, node) for each in accel.nodes(layer))]
        if not chosen and node is not None:
            raise UnknownNodeError(*(name for layer in layers for name in accel.nodes(layer)))
        of_kind = [layer for layer in chosen if op is None or op.lower() in map(str.lower, kinds(layer, types))]
        if not of_kind and op is not None:
            raise UnknownKindError(*dict.fromkeys(kind for layer in chosen for kind in kinds(layer, types)))
        can_refit = way.entry == "imported" and not options.refits
        decisions = [decision(layer, soc, can_refit, types) for layer in of_kind]
    now = planned(module, model, soc)
    alternatives = Alternatives(model, soc, options, now)

    def ask(one: Decision, engine: str) -> WhatIf | str:
        if now.problem is not None:
            return "as it is, it has no plan"
        if node is None:
            return f"--node {one.node} says what it would take"
        return alternatives.what_if((one.node, one.op), engine)

    is_whole = node is None and op is None and now.problem is None
    has_groups = any(each.tiling and each.tiling.get("group") for each in decisions)
    limit = bound(source, soc, options, now.all_cycles, has_groups) if is_whole else None
    return Explanation(tuple(with_alternatives(each, ask, options.plan) for each in decisions), now, limit)


def with_alternatives(
    one: Decision, ask: Callable[[Decision, str], WhatIf | str], pins: Sequence[Entry] = ()
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
            replace(each, what_if=ask(one, each.engine))
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


def kinds(layer: accel.Layer, types: Mapping[str, str]) -> list[str]:
    """Return what a layer can be called: its operation, the operators of its nodes, and whether it is depthwise.

    types: the operator of each node.
    """
    operation = accel.op_name(layer)
    own = [] if inserted.purpose(layer) else [types[each] for each in accel.nodes(layer) if each in types]
    inside = fused_ops.layers(layer)
    depthwise = [DEPTHWISE] if isinstance(inside[0], accel.Conv2dOp) and is_depthwise(inside[0]) else []
    return list(dict.fromkeys([operation, *map(accel.op_name, inside), *depthwise, *own]))


def is_depthwise(layer: accel.Conv2dOp) -> bool:
    """Say whether each input channel is a group of its own."""
    return 1 < layer.groups.value == layer.input.type.shape[1]


def groups_of(layer: accel.Layer) -> int:
    return layer.groups.value if isinstance(layer, accel.Conv2dOp) else 1


def kernel_size(layer: accel.Layer) -> tuple[int, ...]:
    """Return the rows and columns of a convolution's or a pool's kernel; nothing for other layers."""
    if isinstance(layer, accel.Conv2dOp):
        return tuple(layer.weights.type.shape[2:])
    return tuple(layer.kernel) if isinstance(layer, accel.Pool2dOp) else ()


def decision(layer: accel.Layer, soc: Soc, can_refit: bool, types: Mapping[str, str]) -> Decision:
    kernel = layer.operation.attributes.get("kernel")  # sizes, of a pool
    replaced = accel.attribute(layer, accel.HOST_KERNEL, ir.StringAttr)
    tiling = accel.attribute(layer, TILING, accel.TilingAttr)
    memory = accel.attribute(layer, accel.MEMORY, ir.StringAttr)
    skips = accel.attribute(layer, "skip", ir.IntegerAttr)
    form = Form.of(layer)
    nodes = accel.nodes(layer)
    first, *others = fused_ops.layers(layer)
    return Decision(
        node=nodes[0],
        nodes=tuple(nodes),
        op=accel.op_name(layer),
        shape=tuple(accel.output(layer).type.shape),
        engine=accel.engine(layer),
        candidates=tuple(candidate(layer, engine, soc, can_refit) for engine in soc.engines),
        kinds=tuple(kinds(layer, types)),
        kernel_size=kernel_size(first),
        strides=tuple(first.strides) if isinstance(first, accel.Conv2dOp | accel.Pool2dOp) else (),
        groups=groups_of(first),
        inserted=inserted.text(layer),
        tiling={} if tiling is None else accel.stated(tiling),
        memory=None if memory is None else memory.value,
        kernel=kernel.value if isinstance(kernel, accel.KernelAttr) else replaced and replaced.value,
        skips=None if skips is None else skips.value,
        form=None if form is None else form.kind.value,
        fused=fused_ops.names(layer) if others else (),
    )


def origin_of(kernel: str) -> str:
    """Say which file a kernel from outside is from; nothing of htvm's own."""
    spec = kernels.known().get(kernel)
    return f" of {spec.origin}" if spec is not None and spec.origin else ""


def candidate(layer: accel.Layer, engine: Engine, soc: Soc, can_refit: bool) -> Candidate:
    """Return the price of an engine for a layer, or the rules that it violates and what would help."""
    broken = tuple(violations(soc, engine, layer))
    if broken:
        spec = LayerSpec.of(layer)
        if spec is None:
            return Candidate(engine.name, violations=broken, remedy=NothingHelps(NoEdit.KIND_OF_LAYER))
        search = Search(soc, engine, spec, can_refit)
        remedy = search.fewest()
        return Candidate(engine.name, violations=broken, then=search.then(), remedy=remedy)
    form = Form.of(layer) if accel.engine(layer) == engine.name else None
    cycles, power = engine.cycles(layer, soc.cost_model), (soc.power_w or {}).get(engine.name)
    energy = None if power is None else cycles * power / soc.clock_hz * 1e6
    return Candidate(engine.name, cycles, energy, weight_bytes(layer, Way(engine, form)))


def text(found: Explanation, soc: Soc) -> str:
    """Return decisions as a terminal shows them: each layer, then all of them in a few lines."""
    shown = [line for each in found.decisions for line in lines(each)]
    bounds = [found.bound.text()] if found.bound else []
    return "\n".join([*shown, "", *summary(found.decisions, soc), *whole(found.network), *bounds])


def head(one: Decision) -> str:
    """Return a layer in one line: what it computes, what it makes, and where."""
    kernel = f" {dimensions(one.kernel_size)}" if one.kernel_size else ""
    strides = f", strides {dimensions(one.strides)}" if any(each > 1 for each in one.strides) else ""
    groups = f", {one.groups} groups" if one.groups > 1 else ""
    depthwise = f" ({DEPTHWISE})" if DEPTHWISE in one.kinds else ""
    op, behind = (one.fused[0], "".join(f" + {each}" for each in one.fused[1:])) if one.fused else (one.op, "")
    what = f"{op}{kernel}{strides}{groups}{depthwise}{behind}"
    return f"{one.node}: {what} -> {dimensions(one.shape)} on {one.engine}"


def dimensions(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


def lines(one: Decision) -> Iterator[str]:
    yield head(one)
    if one.inserted:
        yield f"  inserted   {one.inserted}"
    elif len(one.nodes) > 1:
        yield f"  with       {', '.join(one.nodes[1:])}"
    if one.form:
        yield f"  form       {one.form}"
    if one.tiling:
        sizes = ", ".join(f"{one.tiling[name]} {name}" for name in ("outputs", "rows", "columns"))
        if one.tiling.get("channels"):
            sizes += f", sums of {one.tiling['channels']} input channels at a time"
        verb = "goes to" if one.tiling.get("stores") else "stays in"
        place = f"; its result {verb} {one.memory}" if one.memory else ""
        beside = f"; in flight with those of group {one.tiling['group']}" if one.tiling.get("group") else ""
        yield f"  tiles      {sizes}{place}{beside}"
    if one.kernel:
        skips = f"; skips inputs of {one.skips}, so its time depends on the data" if one.skips is not None else ""
        yield f"  kernel     {one.kernel}{origin_of(one.kernel)}{skips}"
    for each in sorted(one.candidates, key=lambda each: (each.cycles is None, each.cycles or 0)):
        chosen = " (chosen)" if each.engine == one.engine else ""
        if each.cycles is not None:
            energy = f", {each.energy_uj:.3g} uJ" if each.energy_uj is not None else ""
            weights = f", {each.weight_bytes:,} bytes of weights" if each.weight_bytes else ""
            yield f"  {each.engine:<10} {each.cycles:,} cycles{energy}{weights}{chosen}"
            if isinstance(each.what_if, str):
                yield f"  {'':<10} but not for the network: {each.what_if}"
            elif each.what_if:
                there, now = each.what_if.there, each.what_if.now
                yield f"  {'':<10} but with the layer there the network would take {there:,} cycles, not {now:,}"
                yield from (f"  {'':<10} {reason}" for reason in each.what_if.reasons)
        else:
            then = f" (then {', '.join(each.then)})" if each.then else ""
            yield f"  {each.engine:<10} unsupported: {all_of(each.violations)}{then}"
            yield from (f"  {'':<10} {line}" for line in remedy_lines(each))


def remedy_lines(candidate: Candidate) -> Iterator[str]:
    """Yield what would make an engine run a layer, what that asks for, and what it gives."""
    remedy = candidate.remedy
    if not isinstance(remedy, Counterfactual):
        yield f"{remedy}"
        return
    option = f", {remedy.option} does it" if remedy.option else ""
    yield f"would run it with: {remedy.description} ({remedy.effort}{option})"
    now, then = remedy.now, remedy.then
    times = f"{now.cycles:,} -> {then.cycles:,} cycles, transfers included"
    if now.weight_bytes != then.weight_bytes:
        times += f"; {now.weight_bytes:,} -> {then.weight_bytes:,} bytes of weights"
    if then.engine != candidate.engine:
        yield f"but {then.engine} would be faster" + (f", and runs it too: {times}" if remedy.saves else "")
    else:
        yield times if remedy.saves else f"but it would not be faster: {times}"


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
        known = [each for each in asked if all(broken.subject != Subject.OP for broken in each.violations)]
        illegal = [each for each in known if each.violations]
        if illegal:
            titles = Counter(broken.title for each in illegal for broken in each.violations)
            subjects = ", ".join(f"{title} ({count})" for title, count in titles.most_common())
            yield (
                f"{engine.name} does not support {len(illegal)} of the {len(known)} whose op it knows, "
                f"because of {subjects}"
            )
        remedies = [each.remedy for each in illegal if isinstance(each.remedy, Counterfactual)]
        helps = Counter(
            each.option or f"model edits as above ({each.effort})"
            for each in remedies
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
