"""Why each layer runs where it runs: what every engine says of it, and what would change its mind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from mlir import ir

from htvm.backend.targets.soc import Accelerator, Engine, Soc
from htvm.dialects import accel
from htvm.driver import Model, lower
from htvm.passes.analysis import activations, layout
from htvm.passes.analysis.acceptance import refusal
from htvm.passes.analysis.placement import whole_parts
from htvm.passes.analysis.tiling import NAME as TILING

Change = tuple[str, Callable[[ir.OpView], bool]]
"""What could be different in a model, and what makes it so in a copy of a layer; False if it is so already."""


@dataclass(frozen=True)
class Candidate:
    """An engine and a layer. refusal: why it does not run the layer; None if it does.

    cycles: predicted, transfers left out. energy_uj: of the engine meanwhile, where it is known what it draws.
    weight_bytes: the weights in its form. would_take: the smallest change of the model after which it would run the
    layer; None if none of those known is enough.
    """

    engine: str
    cycles: int | None = None
    energy_uj: float | None = None
    weight_bytes: int | None = None
    refusal: str | None = None
    would_take: str | None = None


@dataclass(frozen=True)
class Decision:
    """A layer: its nodes, the first one naming it, the engine that runs it, and all candidates.

    tiling: sizes of its tiles, and memory: where its result stays, of a layer on an accelerator.
    """

    node: str
    nodes: tuple[str, ...]
    op: str
    shape: tuple[int, ...]
    engine: str
    candidates: tuple[Candidate, ...]
    tiling: Mapping[str, int | bool]
    memory: str | None

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
            "candidates": [vars(each) for each in self.candidates],
        }


def explain(model: Model, soc: Soc, **choices: Any) -> list[Decision]:
    """Compile a model up to stage 'scheduled' and say of each layer why it runs where it runs.

    choices: keywords of driver.lower. Raises CompileError.
    """
    module, _ = lower(model, soc, "scheduled", **choices)
    with module.context:
        return [decision(layer, soc) for layer in accel.layers(module) if layer.engine.value in engines(soc)]


def engines(soc: Soc) -> list[str]:
    return [engine.name for engine in soc.engines]


def decision(layer: ir.OpView, soc: Soc) -> Decision:
    attributes = layer.operation.attributes
    tiling = attributes[TILING] if TILING in attributes else []
    nodes = accel.nodes(layer)
    return Decision(
        node=nodes[0],
        nodes=tuple(nodes),
        op=layer.operation.name.removeprefix("accel."),
        shape=tuple(layer.result.type.shape),
        engine=layer.engine.value,
        candidates=tuple(candidate(layer, engine, soc) for engine in soc.engines),
        tiling={each.name: each.attr.value if isinstance(each.attr, ir.IntegerAttr) else True for each in tiling},
        memory=attributes["accel.memory"].value if "accel.memory" in attributes else None,
    )


def candidate(layer: ir.OpView, engine: Engine, soc: Soc) -> Candidate:
    """Ask an engine for its price, or for its reason and what would help."""
    why = refusal(soc, engine, layer)
    if why is not None:
        return Candidate(engine.name, refusal=why, would_take=smallest_change(layer, engine, soc))
    cycles, power = engine.cycles(layer, soc.cost_model), (soc.power_w or {}).get(engine.name)
    energy = None if power is None else cycles * power / soc.clock_hz * 1e6
    return Candidate(engine.name, cycles, energy, weight_bytes(layer, engine))


def weight_bytes(layer: ir.OpView, engine: Engine) -> int:
    """Return the bytes of a layer's weights as an engine wants them: packed, or as the model has them."""
    if isinstance(engine, Accelerator):
        return sum(map(engine.weight_bytes, whole_parts(engine, layer)))
    constants = [value for value in layer.operation.operands if activations.is_constant(value)]
    return sum(layout.size_bytes(value.type) for value in constants)


def smallest_change(layer: ir.OpView, engine: Engine, soc: Soc) -> str | None:
    """Return the fewest changes after which an accelerator takes a layer: its rules are asked again with them."""
    if not isinstance(engine, Accelerator) or getattr(layer, "requant", None) is None:
        return None
    for changes in sets_of(CHANGES):
        with ir.InsertionPoint(layer), layer.location:
            copy = layer.operation.clone().opview
        changed = [text for text, change in changes if change(copy)]
        takes = bool(changed) and refusal(soc, engine, copy) is None
        copy.operation.erase()
        if takes:
            return " and ".join(changed)
    return None


def sets_of(changes: Sequence[Change]) -> Iterator[tuple[Change, ...]]:
    """Yield sets of changes, small ones first."""
    for count in range(1, len(changes) + 1):
        yield from combinations(changes, count)


def full_range(layer: ir.OpView) -> bool:
    """Cut the result off where the accelerators do: at -128 or 0, and at 127."""
    requant = layer.requant
    low, high = requant["min"].value, requant["max"].value
    wanted = (0 if low >= 0 else -128, 127)
    set_requant(layer, {"min": integer(wanted[0]), "max": integer(wanted[1])})
    return (low, high) != wanted


def relu_apart(layer: ir.OpView) -> bool:
    """Let negative results be."""
    was = layer.requant["min"].value
    set_requant(layer, {"min": integer(-128)})
    return was != -128


def powers_of_two(layer: ir.OpView) -> bool:
    """Give everything a scale that is a power of two, and zero point 0: a shift is what is left."""
    before = layer.requant
    is_sum = isinstance(layer, accel.AddOp)
    kept = {entry.name: entry.attr for entry in before if entry.name in ("min", "max")}
    shift = {"pre_shift": integer(2), "shift": ir.DenseI32ArrayAttr.get([40]), "narrow": ir.UnitAttr.get()}
    scaled = ir.DenseI32ArrayAttr.get([1, 1] if is_sum else [1 << 30])
    layer.requant = ir.DictAttr.get(
        kept
        | ({"shift": ir.DenseI32ArrayAttr.get([1]), "narrow": ir.UnitAttr.get()} if is_sum else shift)
        | {"multiplier": scaled, "offset": ir.DenseI64ArrayAttr.get([0])}
    )
    if isinstance(layer, accel.Conv2dOp):
        layer.pad_value = integer(0)
    return True


CHANGES: tuple[Change, ...] = (
    ("scales that are powers of two, zero points 0 (--requant pow2)", powers_of_two),
    ("a result that is cut off at -128..127 or 0..127 only", full_range),
    ("no relu after it", relu_apart),
)


def set_requant(layer: ir.OpView, entries: Mapping[str, ir.Attribute]) -> None:
    layer.requant = ir.DictAttr.get({entry.name: entry.attr for entry in layer.requant} | dict(entries))


def integer(number: int) -> ir.IntegerAttr:
    return ir.IntegerAttr.get(ir.IntegerType.get_signless(64), number)


def text(decisions: Sequence[Decision]) -> str:
    """Return decisions as a terminal shows them."""
    return "\n".join(line for each in decisions for line in lines(each))


def lines(one: Decision) -> Iterator[str]:
    shape = "x".join(map(str, one.shape))
    yield f"{one.node}: {one.op} -> {shape} on {one.engine}"
    if len(one.nodes) > 1:
        yield f"  with       {', '.join(one.nodes[1:])}"
    if one.tiling:
        sizes = ", ".join(f"{one.tiling[name]} {name}" for name in ("outputs", "rows", "columns"))
        stays = f"; its result stays in {one.memory}" if one.memory else ""
        yield f"  tiles      {sizes}{stays}"
    for each in sorted(one.candidates, key=lambda each: (each.cycles is None, each.cycles or 0)):
        chosen = " (chosen)" if each.engine == one.engine else ""
        if each.cycles is not None:
            energy = f", {each.energy_uj:.3g} uJ" if each.energy_uj is not None else ""
            weights = f", {each.weight_bytes:,} bytes of weights" if each.weight_bytes else ""
            yield f"  {each.engine:<10} {each.cycles:,} cycles{energy}{weights}{chosen}"
        else:
            yield f"  {each.engine:<10} refuses: {each.refusal}"
            if each.would_take:
                yield f"  {'':<10} would take it with {each.would_take}"
