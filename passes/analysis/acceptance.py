"""Which engines run a layer as it is, why the others do not, and the fewest cycles that it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from htvm.backend.targets.soc import Engine, Soc, is_accelerator
from htvm.backend.targets.violations import Violation
from htvm.dialects import accel


def violations(soc: Soc, engine: Engine, layer: accel.Layer) -> Sequence[Violation]:
    """Return what keeps an engine from running a layer: rules, or a memory that the smallest tile does not fit."""
    broken = engine.violations(layer)
    if broken or not is_accelerator(engine):
        return broken
    from .tiling import Search  # slow to load, and a target without accelerators does without

    budgets = {memory.name: memory.size_bytes for memory in soc.memories}
    return Search(soc, engine, engine.job(layer), soc.arena_memory, budgets, loads=True, stores=True).too_large()


def per_engine(soc: Soc, layer: accel.Layer) -> Mapping[str, Sequence[Violation]]:
    """Return the violations of every engine of a target, by the engine's name."""
    return {engine.name: violations(soc, engine, layer) for engine in soc.engines}


def legal_engines(soc: Soc, layer: accel.Layer, engines: Sequence[Engine] | None = None) -> list[Engine]:
    """Return those of some engines that run a layer; of all if none are given."""
    candidates = soc.engines if engines is None else engines
    return [engine for engine in candidates if not violations(soc, engine, layer)]


def is_accelerated(soc: Soc, layer: accel.Layer) -> bool:
    """Say whether an accelerator runs a layer as it is."""
    return any(not violations(soc, engine, layer) for engine in soc.accelerators)


def fewest_cycles(soc: Soc, layer: accel.Layer, engines: Sequence[Engine] | None = None) -> int | None:
    """Return the least that a layer takes on an engine that runs it, without transfers; None if none does."""
    return min((each.cycles(layer, soc.cost_model) for each in legal_engines(soc, layer, engines)), default=None)
