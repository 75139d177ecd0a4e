"""What no mapping of a model takes less than, and what that is made of."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlir import ir

from htvm.backend import kernels
from htvm.backend.c.record import Report
from htvm.backend.targets.soc import Soc
from htvm.dialects import accel
from htvm.driver import Model
from htvm.lowering import Pipeline
from htvm.options import CompileOptions
from htvm.passes.analysis.cycle_bound import cycle_bound
from htvm.passes.pipeline import PHASES

MOST_LAYERS = 3
"""How many layers of a unit are named."""

CHOICE = "dispatch-engines"
"""The pass that maps layers; those of its phase before it make the layers that are mapped."""


@dataclass(frozen=True)
class UnitWork:
    """The cycles that a unit works in the best mapping of a bound, and its layers with the most."""

    unit: str
    cycles: int
    layers: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Bound:
    """Lower bounds on the cycles of a network, in the target's cost model (passes/analysis/cycle_bound.py).

    predicted: of the mapping chosen. flows: whether it has groups of layers whose tiles are in flight at once. in_turn:
    each layer begins when those that it reads have ended. in_flight: of every mapping, also of such with groups. units:
    what `least` is made of, most work first. unlimited: `least` if all constants had room; None if they have.
    """

    predicted: int
    flows: bool
    in_turn: int
    in_flight: int
    units: tuple[UnitWork, ...]
    unlimited: int | None

    @property
    def least(self) -> int:
        """What no mapping of the kind that was chosen takes less than: layers in turn, or with groups."""
        return self.in_flight if self.flows else self.in_turn

    @property
    def gap(self) -> float:
        """How far the mapping chosen is above the least, as a part of that."""
        return self.predicted / max(self.least, 1) - 1

    @property
    def is_proven(self) -> bool:
        """Whether no mapping of the kind that was chosen is faster."""
        return self.least >= self.predicted

    def facts(self) -> dict[str, Any]:
        """Return the bound as JSON has it."""
        return {
            "predicted_cycles": self.predicted,
            "bound_cycles": self.least,
            "bound_in_turn_cycles": self.in_turn,
            "bound_in_flight_cycles": self.in_flight,
            "gap": round(self.gap, 4),
            "proven": self.is_proven,
            "units": {each.unit: each.cycles for each in self.units},
            "bound_unlimited_cycles": self.unlimited,
        }

    def __str__(self) -> str:
        proof = "proven to be the fastest" if self.is_proven else f"at most {100 * self.gap:.1f} % above the fastest"
        other = (
            f"with layers one after the other none takes less than {self.in_turn:,}"
            if self.flows
            else f"or than {self.in_flight:,} with tiles of several layers in flight at once"
        )
        return f"{self.predicted:,} cycles predicted, {proof}: none takes less than {self.least:,}, {other}"

    def text(self) -> str:
        """Say what the bound is made of, and what would lower it."""
        lines = [f"mapping: {self}. There the units work"]
        for each in self.units:
            layers = ", ".join(f"{name} {cycles:,}" for name, cycles in each.layers)
            lines.append(f"  {each.unit}: {each.cycles:,} cycles" + (f", most of them {layers}" if layers else ""))
        if self.unlimited is not None:
            lines.append(f"  if all constants had room: {self.unlimited:,}")
        return "\n".join(lines)


def predicted(report: Report) -> int:
    """Return the cycles of the mapping of a compiled model."""
    return sum(step.predicted_cycles or 0 for step in report.steps)


def flows(report: Report) -> bool:
    """Say whether a compiled model has groups of layers whose tiles are in flight at once."""
    return any(step.tiled is not None and step.tiled.tiling.group for step in report.steps)


def bound(model: Model, soc: Soc, options: CompileOptions, cycles: int, has_groups: bool) -> Bound | None:
    """Return bounds for a compiled model; None for a target without accelerators, or a model of a later stage.

    None also where kernels from outside may compute layers: a bound knows the cost of htvm's own only.

    cycles: predicted, of the mapping chosen, which pins of a plan may have made slower; the bounds are without pins.
    has_groups: whether tiles of several layers are in flight at once there.
    """
    module = mapped_module(model, soc, options) if soc.accelerators else None
    if module is None or accel.kernels(module) or kernels.installed():
        return None
    with module.operation.location:
        found = [cycle_bound(soc, function, has_groups) for function in accel.functions(module)]
        if len(found) != 1:
            return None
        units = [
            UnitWork(unit, cycles, named([(each.layer, each.cycles) for each in found[0].shares.get(unit, ())]))
            for unit, cycles in sorted(found[0].units.items(), key=lambda each: -each[1])
            if cycles
        ]
    return Bound(cycles, has_groups, found[0].in_turn, found[0].in_flight, tuple(units), found[0].unlimited)


def mapped_module(model: Model, soc: Soc, options: CompileOptions) -> ir.Module | None:
    """Return the layers that are mapped, without the pins of a plan; None for a model of a later stage."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        way = Pipeline(model, soc, options=replace(options, plan=()))
        if way.entry not in ("imported", "integer"):
            return None
        way.to("integer")
        return way.run(",".join(PHASES["dispatched"][: PHASES["dispatched"].index(CHOICE)]))


def named(shares: Sequence[tuple[accel.Layer, int]]) -> tuple[tuple[str, int], ...]:
    """Return the names of the first layers, and their cycles."""
    return tuple((next(iter(accel.nodes(each)), accel.op_name(each)), cycles) for each, cycles in shares[:MOST_LAYERS])
