"""One step of the generated program per layer."""

from __future__ import annotations

from pathlib import Path

from mlir import ir

from htvm.backend.targets.jobs import Job
from htvm.dialects import accel

from . import call_steps, elementwise_steps, linear_steps, movement_steps, real_steps, reduction_steps
from .step import Shared, Step, dimensions, first_launch
from .values import shape
from .writers import WRITERS

OF_WRITERS = (call_steps, elementwise_steps, linear_steps, movement_steps, real_steps, reduction_steps)
"""The files whose functions are writers; they are registered when these are imported."""


def accelerated_step(number: int, op: accel.StepOp, shared: Shared) -> Step:
    """Return the step of a layer on an accelerator; its commands are still to be added."""
    step = Step(number, op, shared, op)
    job = Job.of(first_launch(op).job)
    step.macs = accel.present(accel.attribute(op, "accel.macs", ir.IntegerAttr), "accel.macs").value
    step.summary = f"{step.op} -> {dimensions(step.shape)} on {step.engine}"
    step.summary += f", kernel {dimensions(job.kernel)}" if job.kernel != (1, 1) else ""
    return step


def write_step(number: int, layer: accel.Layer, shared: Shared, within: accel.StepOp | None) -> Step:
    """Return the step that computes a layer of the host. within: the operation around it, if there is one."""
    step = Step(number, layer, shared, within)
    WRITERS[type(layer)](step, layer)
    read = ", ".join(dimensions(shape(value)) for value, declaration in step.parameters.items() if declaration.is_const)
    step.summary = f"{layer.operation.name.removeprefix('accel.')} {read} -> {dimensions(shape(step.output))}"
    if step.kernel_spec is not None and step.foreign_kernel:
        step.summary += f", kernel {step.foreign_kernel} of {Path(step.kernel_spec.origin).name}"
    if step.skips is not None:
        step.summary += f", skips inputs of {step.skips}"
    return step
