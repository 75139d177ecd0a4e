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
from htvm.dialects.semantics import integers, value_ranges
from htvm.dialects.semantics.value_ranges import Range

Weighted = accel.Conv2dOp | accel.DenseOp
LinearOp = Weighted | accel.Pool2dOp


def element(value: ir.Value) -> str:
    """Return the element type of a value as MLIR prints it."""
    return str(ir.ShapedType(value.type).element_type)


def shape(value: ir.Value) -> tuple[int, ...]:
    return tuple(ir.ShapedType(value.type).shape)


def weights(op: LinearOp) -> np.ndarray:
    """Return the constant weights of a layer as int64 [K, C / groups, R, S]; of a dense layer or pool R = S = 1."""
    if isinstance(op, accel.Pool2dOp):
        return np.ones((1, prod(shape(op.input)[2:]), 1, 1), np.int64)
    stored = quantisation.stored(op.weights)
    return stored.reshape(*stored.shape[:2], *(stored.shape[2:] or (1, 1)))


def inputs(op: LinearOp) -> Range:
    """Return the range of what a layer's windows read, padding included."""
    low, high = value_ranges.held(op.input)
    return (min(low, 0), max(high, 0)) if isinstance(op, accel.Conv2dOp) and any(op.pads) else (low, high)


def accumulators(op: LinearOp) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest accumulator that each output channel can have, int64[K]."""
    return value_ranges.sums(weights(op), inputs(op))


def pads_its_zero(op: accel.Conv2dOp) -> bool:
    """Say whether what lies outside of the map is 0, or never read."""
    return not any(op.pads) or op.pad_value is None or op.pad_value.value == 0


def job(op: LinearOp, kind: str) -> Job:
    """Return the geometry of a layer with one image."""
    if isinstance(op, accel.DenseOp):
        outputs, channels = shape(op.weights)
        return Job(kind, channels, outputs, (1, 1), (1, 1))
    _, channels, *size = shape(op.input)
    if isinstance(op, accel.Pool2dOp):
        return Job(kind, prod(size), 1, (1, channels), (1, channels))
    _, outputs, *out_size = shape(accel.output(op))
    return Job(kind, channels, outputs, tuple(size), tuple(out_size), kernel=shape(op.weights)[2:],
               strides=tuple(op.strides), pads=tuple(op.pads), groups=op.groups.value)  # fmt: skip


def add_job(op: accel.AddOp) -> Job:
    """Return the geometry of a sum of two maps: all axes but the last two count as channels."""
    *others, rows, columns = shape(op.lhs) if len(shape(op.lhs)) > 2 else (*shape(op.lhs), 1, 1)
    return Job("add", prod(others), prod(others), (rows, columns), (rows, columns))


def convolve(of: Job, x: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return the sums of a job with one group, int64[K, rows, columns], of x [C, rows, columns] and [K, C, R, S]."""
    return integers.convolve(x[None], matrix, of.strides, of.pads, (1, 1))[0]
