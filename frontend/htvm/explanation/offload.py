"""How much of a network runs on accelerators, and what would bring more there."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace

from htvm.backend.c.record import Report, StepPlan
from htvm.backend.targets.soc import Soc
from htvm.diagnostics import CompileError
from htvm.dialects import accel, inserted
from htvm.driver import CompiledModel, Model
from htvm.lowering import Pipeline
from htvm.options import CompileOptions
from htvm.passes.analysis import activations


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
    found = offload_of(compiled.project.report, compiled.soc)
    if found is None or compiled.options.refits or found.layers == found.all_layers:
        return found
    return replace(found, pow2=_with_pow2(compiled.source, compiled.soc, compiled.options, found.layers))


def offload_of(report: Report, soc: Soc) -> Offload | None:
    """Return how much of a program runs on accelerators; None for a target that has none."""
    names = {engine.name for engine in soc.accelerators}
    if not names:
        return None
    steps = [step for step in report.steps if not step.inserted]
    there = [step for step in steps if step.engine in names]
    macs = _macs(step for step in report.steps if step.engine in names)  # also of layers that run twice
    return Offload(len(there), len(steps), macs, _macs(report.steps))


def _macs(steps: Iterable[StepPlan]) -> int:
    return sum(step.macs for step in steps)


def _with_pow2(model: Model, soc: Soc, options: CompileOptions, without: int) -> tuple[int, int] | None:
    """Return the layers on accelerators, and all, if scales become powers of two; None if they are no more.

    Engines are chosen, and no more than that: whether memory suffices is said by the compilation that was asked for.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = Pipeline(model, soc, options=replace(options, requant="pow2", plan=())).to("dispatched")
    except CompileError:
        return None
    names = {engine.name for engine in soc.accelerators}
    layers = [each for function in accel.functions(module) for each in activations.layers(function)]
    own = [each for each in layers if inserted.purpose(each) is None and not isinstance(each, accel.ReshapeOp)]
    engines = [accel.engine(each) for each in own]
    there = sum(engine in names for engine in engines)
    return (there, len(engines)) if there > without else None
