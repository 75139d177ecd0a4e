"""How much of a network runs on accelerators, and what would bring more there."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

from htvm.backend.c.record import StepPlan
from htvm.backend.targets.soc import Soc
from htvm.diagnostics import CompileError
from htvm.driver import CompiledModel, Model, compile
from htvm.options import CompileOptions


@dataclass(frozen=True)
class Offload:
    """Layers, and multiply-accumulates, on accelerators and in all.

    pow2: with --requant pow2, layers there and in all, which may be other ones; None if that brings no more there.
    """

    layers: int
    all_layers: int
    macs: int
    all_macs: int
    pow2: tuple[int, int] | None = None

    def __str__(self) -> str:
        share = f", {100 * self.macs / self.all_macs:.1f} % of the MACs" if self.all_macs else ""
        more = f"; with --requant pow2 {self.pow2[0]} of {self.pow2[1]} layers" if self.pow2 else ""
        return f"{self.layers} of {self.all_layers} layers{share}, run on accelerators{more}"


def offload(compiled: CompiledModel) -> Offload | None:
    """Return how much of a compiled network runs on accelerators; None for a target that has none."""
    if not compiled.soc.accelerators:
        return None
    every = compiled.project.report.steps
    there, steps = _layers(compiled)
    macs, all_macs = sum(step.macs for step in there), sum(step.macs for step in every)
    found = Offload(len(there), len(steps), macs, all_macs)
    if compiled.options.refits or len(there) == len(steps):
        return found
    return replace(found, pow2=_with_pow2(compiled.model, compiled.soc, compiled.options, len(there)))


def _with_pow2(model: Model, soc: Soc, options: CompileOptions, without: int) -> tuple[int, int] | None:
    """Return the layers on accelerators, and all, if scales become powers of two; None if they are no more."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            there, steps = _layers(compile(model, soc, options=replace(options, requant="pow2", plan=())))
    except CompileError:
        return None
    return (len(there), len(steps)) if len(there) > without else None


def _layers(compiled: CompiledModel) -> tuple[list[StepPlan], list[StepPlan]]:
    """Return the network's own steps that run on accelerators, and all of its own."""
    names = {engine.name for engine in compiled.soc.accelerators}
    steps = [step for step in compiled.project.report.steps if not step.inserted]
    return [step for step in steps if step.engine in names], steps
