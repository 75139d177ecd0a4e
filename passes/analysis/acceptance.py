"""Which engines take a layer as it is, and the fewest cycles that it takes there."""

from __future__ import annotations

from collections.abc import Sequence

from mlir import ir

from htvm.backend.targets.soc import Accelerator, Engine, Soc

from .tiling import Search


def refusal(soc: Soc, engine: Engine, layer: ir.OpView) -> str | None:
    """Say why an engine does not run a layer: its own rules, or a memory that the smallest tile does not fit."""
    why = engine.refuses(layer)
    if why is not None or not isinstance(engine, Accelerator):
        return why
    room = soc.memory(engine.memory).size_bytes
    return Search(soc, engine, engine.job(layer), soc.arena_memory, room, loads=True, stores=True).too_large()


def is_accelerated(soc: Soc, layer: ir.OpView) -> bool:
    """Say whether an accelerator takes a layer as it is."""
    return any(refusal(soc, engine, layer) is None for engine in soc.accelerators)


def fewest_cycles(soc: Soc, layer: ir.OpView, engines: Sequence[Engine]) -> int | None:
    """Return the least that a layer takes on the engines that take it, without transfers; None if none does."""
    willing = [engine for engine in engines if refusal(soc, engine, layer) is None]
    return min((engine.cycles(layer, soc.cost_model) for engine in willing), default=None)
