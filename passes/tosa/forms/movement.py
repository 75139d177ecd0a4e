"""What only moves elements: reshape, transpose, slice, concat, pad, reverse, tile, gather, resize to the nearest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from mlir import ir

from htvm.dialects import accel
from htvm.dialects.semantics.tosa.movement import permutation, resize_places
from htvm.dialects.semantics.tosa.reading import TosaOp, bits, constant, constants, scalar
from htvm.dialects.semantics.tosa.windows import FIRST, LAST

from .matching import (
    Builder,
    Built,
    Form,
    Match,
    axes,
    axis_in,
    is_map,
    matches,
    reshaped,
    shape_of,
    tensor,
    transposed,
)

WIDTHS = (8, 16, 32)


def moves_integers(op: TosaOp) -> bool:
    """Say whether the first operand is a tensor that layers can read."""
    return bits(op.operands[0]) in WIDTHS


@matches("reshape")
def reshape(op: TosaOp) -> Match | None:
    if not moves_integers(op):
        return None
    (x, *_), shape = op.operands, op.shape
    return Match([x], lambda b: (reshaped(b.read(x), shape), Form.PLAIN), [op.op])


@matches("identity")
def identity(op: TosaOp) -> Match | None:
    if not moves_integers(op):
        return None
    (x,) = op.operands
    return Match([x], lambda b: b.built(x), [op.op])


@matches("transpose")
def transpose(op: TosaOp) -> Match | None:
    if not moves_integers(op):
        return None
    (x,), order = op.operands, permutation(op)
    if is_map(x) and order == list(FIRST):
        return Match([x], lambda b: (b.read(x, Form.FIRST), Form.PLAIN), [op.op])
    if is_map(x) and order == list(LAST):
        return Match([x], lambda b: (b.read(x), Form.FIRST), [op.op])
    return Match([x], lambda b: (transposed(b.read(x), order), Form.PLAIN), [op.op])


def taken(op: TosaOp, x: ir.Value, indices: Mapping[int, np.ndarray]) -> Match:
    """Return a match by accel.take. indices: along axes of the operand; all others are whole."""
    shape = shape_of(x)
    lists = [indices.get(axis, np.arange(size)) for axis, size in enumerate(shape)]

    def build(b: Builder, form: Form) -> ir.Value:
        chosen = [lists[axis] for axis in axes(form, range(len(shape)))]
        source = b.read(x, form)
        whole = [np.array_equal(each, np.arange(size)) for each, size in zip(chosen, shape_of(source))]
        if all(whole):
            return source
        attributes = [
            ir.DenseI64ArrayAttr.get([] if is_whole else each.tolist()) for each, is_whole in zip(chosen, whole)
        ]
        result = tensor([len(each) for each in chosen], source)
        return accel.output(accel.TakeOp(result, source, indices=ir.ArrayAttr.get(attributes)))

    return in_either_form(op, [x], build)


def in_either_form(op: TosaOp, inputs: Sequence[ir.Value], build: Callable[[Builder, Form], ir.Value]) -> Match:
    """Return a match that reads maps as they are there, and gives the result in the same form."""

    def built(b: Builder) -> Built:
        form = b.form_of(*inputs) if is_map(op.result) else Form.PLAIN
        return build(b, form), form

    return Match(inputs, built, [op.op])


@matches("slice")
def slice_(op: TosaOp) -> Match | None:
    x, *rest = op.operands
    numbers = constants(rest)
    if not moves_integers(op) or numbers is None:
        return None
    parts = {axis: np.arange(int(a), int(a + n)) for axis, (a, n) in enumerate(zip(*numbers))}
    return taken(op, x, parts)


@matches("reverse")
def reverse(op: TosaOp) -> Match | None:
    if not moves_integers(op):
        return None
    (x,), axis = op.operands, op.number("axis")
    return taken(op, x, {axis: np.arange(shape_of(x)[axis])[::-1]})


@matches("tile")
def tile(op: TosaOp) -> Match | None:
    x, times = op.operands[0], constant(op.operands[1])
    if not moves_integers(op) or times is None:
        return None
    return taken(op, x, {axis: np.tile(np.arange(shape_of(x)[axis]), int(n)) for axis, n in enumerate(times)})


@matches("gather")
def gather(op: TosaOp) -> Match | None:
    """With constant indices; of several batches, the same for each."""
    x, indices = op.operands[0], constant(op.operands[1])
    if not moves_integers(op) or indices is None or (indices != indices[:1]).any():
        return None
    if indices.size and (indices.min() < 0 or indices.max() >= shape_of(x)[1]):
        return None
    return taken(op, x, {1: indices[0]})


@matches("resize")
def resize(op: TosaOp) -> Match | None:
    """To the nearest element."""
    x, *rest = op.operands
    numbers = constants(rest)
    if not moves_integers(op) or op.word("mode") != "NEAREST_NEIGHBOR" or numbers is None:
        return None
    scale, offset, _ = numbers
    chosen: dict[int, np.ndarray] = {}
    for axis in (0, 1):
        before, behind, unit = resize_places(op, shape_of(x)[1 + axis], axis, scale, offset)
        chosen[1 + axis] = np.clip(np.where(2 * behind >= unit, before + 1, before), 0, shape_of(x)[1 + axis] - 1)
    return taken(op, x, chosen)


@matches("concat")
def concat(op: TosaOp) -> Match | None:
    if not moves_integers(op):
        return None
    parts, axis = op.operands, op.number("axis")

    def build(b: Builder, form: Form) -> ir.Value:
        sources = [b.read(each, form) for each in parts]
        if len(sources) == 1:
            return sources[0]
        result = tensor(axes(form, op.shape) if form is Form.FIRST else op.shape, sources[0])
        return accel.output(accel.ConcatOp(result, sources, axis=axis_in(form, axis)))

    return in_either_form(op, parts, build)


@matches("pad")
def pad(op: TosaOp) -> Match | None:
    x, *rest = op.operands
    numbers = constants(rest)
    if not moves_integers(op) or numbers is None:
        return None
    amounts, value = numbers
    low, high = amounts.reshape(-1, 2).T.tolist()
    filler = float(scalar(value))

    def build(b: Builder, form: Form) -> ir.Value:
        source = b.read(x, form)
        result = tensor(axes(form, op.shape), source)
        return accel.output(accel.PadOp(result, source, low=axes(form, low), high=axes(form, high), value=filler))

    return in_either_form(op, [x], build)
