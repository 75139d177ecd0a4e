"""What engines read of several layers that they compute in one job: an accel.fused.

The first layer of a pattern is a convolution or a dense layer. Behind it the sums may have a second map added to them
(`residual`), and their results may be pooled (`pool`): what of that an engine can do, its patterns and rules say.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from mlir import ir

from htvm.backend.targets.engines import linear_ops
from htvm.backend.targets.jobs import Job, Pool
from htvm.backend.targets.rules import Rule
from htvm.backend.targets.violations import Value
from htvm.dialects import accel
from htvm.dialects.accel import JobKind

Sum = accel.AddOp | accel.WeightedSumOp


def layers(op: ir.Operation | ir.OpView) -> list[accel.Layer]:
    """Return the layers of a job, in order: those of an accel.fused, any other layer itself."""
    layer = op.operation.opview
    if isinstance(layer, accel.FusedOp):
        return [each for each in layer.body.blocks[0] if accel.is_layer(each)]
    assert accel.is_layer(layer), layer.operation.name
    return [layer]


def names(op: ir.Operation | ir.OpView) -> tuple[str, ...]:
    """Return the operations of a job, as patterns have them."""
    return tuple(map(accel.op_name, layers(op)))


def first(op: ir.Operation | ir.OpView) -> linear_ops.LinearOp:
    """Return the layer of a job that multiplies."""
    return linear_ops.linear(layers(op)[0])


def added(op: ir.Operation | ir.OpView) -> Sum | None:
    """Return the layer of a job that adds a second map to what the one before makes; None if there is none."""
    return next((each for each in layers(op) if isinstance(each, Sum)), None)


def pooled(op: ir.Operation | ir.OpView) -> accel.Pool2dOp | None:
    """Return the layer of a job that pools what the one before makes; None if there is none."""
    return next((each for each in layers(op)[1:] if isinstance(each, accel.Pool2dOp)), None)


def of_first(*asked: Rule) -> tuple[Rule, ...]:
    """Return rules for the first layer of a job as rules for the job."""
    return tuple(replace(rule, found=partial(_found, rule)) for rule in asked)


def _found(rule: Rule, op: ir.Operation | ir.OpView) -> Value | None:
    return rule.found(first(op))


def job(op: ir.Operation | ir.OpView, kind: JobKind) -> Job:
    """Return the geometry of a job whose first layer is of a kind, with what is behind it."""
    found = replace(linear_ops.job(first(op), kind), residual=added(op) is not None)
    if (pool := pooled(op)) is None:
        return found
    (down, right), (rows, columns), (top, left, bottom, beside) = pool.strides, pool.kernel, pool.pads
    height, width = linear_ops.shape(accel.output(pool))[2:]
    behind = Pool(pool.kind.value, found.out_size, (rows, columns), (down, right), (top, left, bottom, beside))
    return replace(found, out_size=(height, width), pool=behind)
