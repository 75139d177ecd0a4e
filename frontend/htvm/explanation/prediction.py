"""What a compiled network is predicted to take, on every target: a machine of one engine has no timeline."""

from __future__ import annotations

from mlir import ir

from htvm.backend.targets.soc import HOST, Soc
from htvm.dialects import accel
from htvm.driver import CompiledModel


def predicted_cycles(compiled: CompiledModel) -> int:
    """Return the cycles of a program, without start-up: those of its steps, or what the host takes for its layers."""
    steps = compiled.project.report.steps
    predicted = [step.predicted_cycles for step in steps if step.predicted_cycles is not None]
    return sum(predicted) if predicted else host_cycles(compiled.module, compiled.soc, len(steps))


def host_cycles(module: ir.Module, soc: Soc, steps: int) -> int:
    """Return what the host takes for all layers of a module, as their kernels are known, and for calling the steps."""
    host = soc.engine(HOST)
    with module.context:
        layers = sum(host.cycles(each, soc.cost_model) for each in accel.layers(module))
    return layers + steps * soc.host.step_cycles
