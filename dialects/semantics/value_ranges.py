"""Which stored integers a value can hold from stage 'integer' on, also in a buffer until layers become commands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mlir import ir
from mlir.dialects import memref

from .. import accel, quantisation

Range = tuple[int, int]
"""The smallest and the largest integer."""


def held(value: ir.Value) -> Range | None:
    """Return the range of what an integer tensor or memref can hold, from what made it; None if it is not of integers.

    Known are the clip of layers that requantise, constants, what a function's argument states, and layers that only
    move numbers or see them with other axes. For others it is the range of the element type.
    """
    value = accel.outside(value)
    element = ir.ShapedType(value.type).element_type
    if not isinstance(element, ir.IntegerType):
        return None
    bits = ir.IntegerType(element).width
    whole = (0, (1 << bits) - 1) if element.is_unsigned else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    owner = accel.producer(value)
    known = _stated(ir.BlockArgument(value)) if owner is None else _made(owner)
    return whole if known is None else (max(known[0], whole[0]), min(known[1], whole[1]))


def sums(weights: np.ndarray, inputs: Range) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest sum of products of weights [K, ..] for each k; both are reached.

    Each of them is the extreme of one 64-bit integer for each output channel.
    """
    rows = weights.reshape(len(weights), -1)
    positive = np.maximum(rows, 0).sum(1, dtype=np.int64)
    negative = rows.sum(1, dtype=np.int64) - positive
    low, high = inputs
    return positive * low + negative * high, positive * high + negative * low


def _stated(value: ir.BlockArgument) -> Range | None:
    """Return the range that a function's `accel.range` states of an argument, or that of the layers that write it."""
    attributes = value.owner.owner.attributes
    if "arg_attrs" not in attributes:
        return None
    facts = ir.DictAttr(ir.ArrayAttr(attributes["arg_attrs"])[value.arg_number])
    if "accel.range" not in facts:  # in memory, a result is an argument too: a layer writes it, and others may read it
        return _written(value) if isinstance(value.type, ir.MemRefType) else None
    low, high = ir.DenseI64ArrayAttr(facts["accel.range"])
    return low, high


def _made(op: ir.OpView) -> Range | None:
    if isinstance(op, accel.BufferOp):
        return _written(op.memref)
    if isinstance(op, memref.ReinterpretCastOp | memref.SubViewOp):
        return held(op.source)
    if isinstance(op, accel.FusedOp):
        *_, output = op.body.blocks[0]
        return held(output.operands[0])
    rescale, requant = (op.operation.attributes.get(name) for name in ("rescale", "requant"))
    if isinstance(rescale, accel.RescaleAttr):
        return _clip(rescale.requant)
    if isinstance(requant, accel.RequantAttr):
        return _clip(requant)
    if isinstance(op, accel.ConcatOp):
        return _hull([held(part) for part in op.inputs])
    if accel.only_moves(op):
        return held(op.operation.operands[0])
    if isinstance(op, accel.PadOp):
        filler = int(op.value.value)
        return _hull([held(op.input), (filler, filler)])
    constant = quantisation.stored(op.operation.results[0]) if op.operation.results else None
    return (int(constant.min()), int(constant.max())) if constant is not None and constant.size else None


def _clip(requant: accel.RequantAttr) -> Range:
    return requant.min, requant.max


def _written(buffer: ir.Value) -> Range | None:
    """Return what the layers that write a buffer leave there; None if something else writes it too."""
    users = [use.owner.opview for use in buffer.uses]
    layers = [user for user in users if accel.is_layer(user)]
    if len(layers) < len(users):
        return None
    return _hull([_made(layer) for layer in layers if accel.output(layer) == buffer])


def _hull(ranges: Sequence[Range | None]) -> Range | None:
    """Return the smallest range that holds all; None where one is not known, or there is none."""
    known = [each for each in ranges if each is not None]
    if not known or len(known) < len(ranges):
        return None
    return min(low for low, _ in known), max(high for _, high in known)
