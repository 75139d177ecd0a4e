"""One step of the generated program per layer: `WRITERS` has one function per operation of the accel dialect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlir import ir

from htvm.backend.targets.jobs import Job
from htvm.dialects import accel

from .elementwise_steps import add, extreme, lookup, multiply
from .linear_steps import linear, matmul
from .movement_steps import concat, convert_layout, pad, reshape, take, transpose
from .real_steps import threshold, weighted_sum
from .reduction_steps import argmax, layer_norm, pool2d, softmax
from .step import Shared, Step, dimensions
from .values import shape

WRITERS: dict[type[ir.OpView], Callable[[Step, Any], None]] = {
    accel.Conv2dOp: linear,
    accel.DenseOp: linear,
    accel.MatMulOp: matmul,
    accel.AddOp: add,
    accel.MulOp: multiply,
    accel.MaximumOp: extreme,
    accel.MinimumOp: extreme,
    accel.LookupOp: lookup,
    accel.ThresholdOp: threshold,
    accel.WeightedSumOp: weighted_sum,
    accel.Pool2dOp: pool2d,
    accel.ArgMaxOp: argmax,
    accel.SoftmaxOp: softmax,
    accel.LayerNormOp: layer_norm,
    accel.ConcatOp: concat,
    accel.PadOp: pad,
    accel.TransposeOp: transpose,
    accel.ConvertLayoutOp: convert_layout,
    accel.TakeOp: take,
    accel.ReshapeOp: reshape,
}


def accelerated_step(number: int, launch: accel.LaunchOp, shared: Shared) -> Step:
    """Return the step of a layer on an accelerator, which `launch` begins; its commands are still to be added."""
    step = Step(number, launch, shared)
    job = Job.of(launch.job)
    step.macs = accel.present(accel.attribute(launch, "accel.macs", ir.IntegerAttr), "accel.macs").value
    step.summary = f"{step.op} -> {dimensions(step.shape)} on {step.engine}"
    step.summary += f", kernel {dimensions(job.kernel)}" if job.kernel != (1, 1) else ""
    return step


def write_step(number: int, layer: accel.Layer, shared: Shared) -> Step:
    """Return the step that computes one layer."""
    step = Step(number, layer, shared)
    WRITERS[type(layer)](step, layer)
    read = ", ".join(dimensions(shape(value)) for value, declaration in step.parameters.items() if declaration.is_const)
    step.summary = f"{layer.operation.name.removeprefix('accel.')} {read} -> {dimensions(shape(step.output))}"
    if step.skips is not None:
        step.summary += f", skips inputs of {step.skips}"
    return step
