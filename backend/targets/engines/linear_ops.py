"""What the rules and jobs of an engine read of conv2d, dense, add and pools of whole maps.

A pool of a whole map is a convolution with ones for an engine that reads channel by channel a map that lies pixel by
pixel: pixels are its channels, and channels its columns.
"""

from __future__ import annotations

from math import prod

import numpy as np
from mlir import ir

from htvm.backend.targets.jobs import Job
from htvm.dialects import accel, quantisation
from htvm.dialects.accel import JobKind
from htvm.dialects.semantics import integers, value_ranges
from htvm.dialects.semantics.value_ranges import Range

LinearOp = accel.Conv2dOp | accel.DenseOp | accel.Pool2dOp


def linear(op: ir.Operation | ir.OpView) -> LinearOp:
    """Return an op that an engine's rules for linear layers have let through, as what it is."""
    layer = op.operation.opview
    assert isinstance(layer, LinearOp), layer.operation.name
    return layer


def element(value: ir.Value) -> str:
    """Return the element type of a value as MLIR prints it."""
    return str(ir.ShapedType(value.type).element_type)


def shape(value: ir.Value) -> tuple[int, ...]:
    return tuple(ir.ShapedType(value.type).shape)


def weights(op: LinearOp) -> np.ndarray:
    """Return the constant weights of a layer as int64 [K, C / groups, R, S]; of a dense layer or pool R = S = 1."""
    if isinstance(op, accel.Pool2dOp):
        return np.ones((1, prod(shape(op.input)[2:]), 1, 1), np.int64)
    stored = accel.present(quantisation.stored(op.weights), "constant weights")
    return stored.reshape(*stored.shape[:2], *(stored.shape[2:] or (1, 1)))


def inputs(op: LinearOp) -> Range:
    """Return the range of what a layer's windows read, padding included."""
    low, high = held(op.input)
    return (min(low, 0), max(high, 0)) if isinstance(op, accel.Conv2dOp) and any(op.pads) else (low, high)


def held(value: ir.Value) -> Range:
    """Return the range of what a map of integers can hold."""
    return accel.present(value_ranges.held(value), "integers")


def accumulators(op: LinearOp) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest accumulator that each output channel can have, int64[K]."""
    return value_ranges.sums(weights(op), inputs(op))


def pads_its_zero(op: accel.Conv2dOp) -> bool:
    """Say whether what lies outside of the map is 0, or never read."""
    return not any(op.pads) or op.pad_value is None or op.pad_value.value == 0


def job(op: LinearOp, kind: JobKind) -> Job:
    """Return the geometry of a layer with one image."""
    if isinstance(op, accel.DenseOp):
        outputs, channels = shape(op.weights)
        return Job(kind, channels, outputs, (1, 1), (1, 1))
    _, channels, *size = shape(op.input)
    if isinstance(op, accel.Pool2dOp):
        return Job(kind, prod(size), 1, (1, channels), (1, channels))
    (height, width), (_, outputs, *out_size) = size, shape(accel.output(op))
    out_height, out_width = out_size
    _, _, *kernel = shape(op.weights)
    (rows, columns), (down, right), (top, left, bottom, end) = kernel, op.strides, op.pads
    return Job(kind, channels, outputs, (height, width), (out_height, out_width), kernel=(rows, columns),
               strides=(down, right), pads=(top, left, bottom, end), groups=op.groups.value)  # fmt: skip


def add_job(op: accel.AddOp) -> Job:
    """Return the geometry of a sum of two maps: all axes but the last two count as channels."""
    *others, rows, columns = shape(op.lhs) if len(shape(op.lhs)) > 2 else (*shape(op.lhs), 1, 1)
    return Job(JobKind.ADD, prod(others), prod(others), (rows, columns), (rows, columns))


def convolve(of: Job, x: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return the sums of a job with one group, int64[K, rows, columns], of x [C, rows, columns] and [K, C, R, S]."""
    return integers.convolve(x[None], matrix, of.strides, of.pads, (1, 1))[0]
