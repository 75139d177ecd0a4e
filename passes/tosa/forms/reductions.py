"""What reduces windows or axes: pools, sums of pixels with a rescale, argmax, and extremes along an axis."""

from __future__ import annotations

import numpy as np
from mlir import ir

from htvm.dialects import accel
from htvm.dialects.semantics import integers
from htvm.dialects.semantics.tosa.elements import limits
from htvm.dialects.semantics.tosa.reading import TosaOp, bits, constants, scalar
from htvm.dialects.semantics.tosa.windows import onnx_pads, reciprocals

from ...analysis import exact_requant
from ...analysis.monotone_steps import DoubleRounded, Scales
from ...integer.forms.builders import requant
from .matching import (
    Builder,
    Built,
    Form,
    Match,
    axes,
    has_one_user,
    integer_tensor,
    is_map,
    matches,
    producer,
    range_of,
    requantised,
    reshaped,
    shape_of,
    tensor,
)


@matches("max_pool2d")
def max_pool2d(op: TosaOp) -> Match | None:
    if bits(op.operands[0]) not in (8, 16):
        return None
    (x,) = op.operands

    def build(b: Builder) -> Built:
        source = b.read(x, Form.FIRST)
        window = op.numbers("kernel"), op.numbers("stride"), onnx_pads(op.numbers("pad"))
        result = tensor(axes(Form.FIRST, op.shape), source)
        return accel.output(accel.Pool2dOp(result, source, accel.PoolKind.MAX, *window)), Form.FIRST

    return Match([x], build, [op.op])


@matches("avg_pool2d")
def avg_pool2d(op: TosaOp) -> Match | None:
    """A sum per window; each number of elements inside has the constants of its reciprocal."""
    x, *points = op.operands
    zeros = constants(points)
    width = bits(x) or 0
    if width not in (8, 16) or zeros is None:
        return None
    x_zero, y_zero = map(scalar, zeros)
    kernel, strides, pads = op.numbers("kernel"), op.numbers("stride"), onnx_pads(op.numbers("pad"))
    if kernel[0] * kernel[1] > 1 << 15:
        return None

    def build(b: Builder) -> Built:
        source = b.read(x, Form.FIRST)
        counts = np.unique(integers.window_counts(shape_of(source)[2:], kernel, strides, pads))
        scales = Scales(*reciprocals(counts), double_round=False)
        made = averaged(source, axes(Form.FIRST, op.shape), (kernel, strides, pads), counts, scales,
                        -x_zero * counts, y_zero, limits(width), width)  # fmt: skip
        return made, Form.FIRST

    return Match([x], build, [op.op])


def averaged(
    source: ir.Value,
    shape: list[int],
    window: tuple[list[int], list[int], list[int]],
    counts: np.ndarray,
    scales: Scales,
    offset: np.ndarray,
    zero: int,
    bounds: tuple[int, int],
    width: int,
) -> ir.Value:
    """Return the scaled sums under windows. counts: of elements that windows hold; scales, offset: for each of them."""
    low, high = range_of(source)
    steps = DoubleRounded.of(scales, offset, (counts * low, counts * high), zero, bounds)
    attributes: dict[str, ir.Attribute] = {
        "kind": accel.PoolKindAttr.get(accel.PoolKind.AVERAGE),
        **{name: ir.DenseI64ArrayAttr.get(each) for name, each in zip(("kernel", "strides", "pads"), window)},
        "counts": ir.DenseI64ArrayAttr.get(counts.tolist()),
        "accel.range": ir.DenseI64ArrayAttr.get([low, high]),
        **requant(exact_requant.solve(steps)),
    }
    result = integer_tensor(shape, width)
    return ir.Operation.create("accel.pool2d", results=[result], operands=[source], attributes=attributes).result


@matches("rescale", "clamp")
def mean(op: TosaOp) -> Match | None:
    """A rescaled sum over rows and columns of a map, whose elements may lose their zero point first."""
    asked = requantised(op)
    if asked is None or not has_one_user(asked.source) or len(asked.scales.multiplier) != 1:
        return None
    value, covered, summed = asked.source, list(asked.covered), set[int]()
    while (before := producer(value)) is not None and before.name == "reduce_sum" and has_one_user(value):
        summed.add(before.number("axis"))
        covered.insert(0, before.op)
        value = before.operands[0]
    width = bits(op.result) or 0
    if not summed or not is_map(value) or not summed <= {1, 2} or width not in (8, 16):
        return None
    zero = asked.in_zero
    if before is not None and before.name == "rescale" and has_one_user(value):
        plain = requantised(before)
        if plain is None or (plain.scales.multiplier != 1 << plain.scales.shift).any() or plain.out_zero:
            return None
        value, point = plain.source, plain.in_zero
        covered.insert(0, before.op)
    else:
        point = 0
    if bits(value) not in (8, 16):
        return None
    kernel = [shape_of(value)[axis] if axis in summed else 1 for axis in (1, 2)]
    count = np.array([kernel[0] * kernel[1]])
    if count[0] >= 1 << 15:
        return None
    shape, source_value = axes(Form.FIRST, op.shape), value

    def build(b: Builder) -> Built:
        source = b.read(source_value, Form.FIRST)
        window = kernel, kernel, [0, 0, 0, 0]
        made = averaged(source, shape, window, count, asked.scales, -count * point - zero, asked.out_zero,
                        asked.limits, width)  # fmt: skip
        return made, Form.FIRST

    return Match([value], build, covered)


@matches("argmax")
def argmax(op: TosaOp) -> Match | None:
    if bits(op.operands[0]) not in (8, 16) or bits(op.result) != 32:
        return None
    (x,), axis = op.operands, op.number("axis")

    def build(b: Builder) -> Built:
        source = b.read(x)
        kept = [1 if place == axis else size for place, size in enumerate(shape_of(x))]
        found = accel.ArgMaxOp(integer_tensor(kept, 32), source, axis=axis)
        return reshaped(accel.output(found), op.shape), Form.PLAIN

    return Match([x], build, [op.op])


@matches("reduce_max", "reduce_min")
def extreme(op: TosaOp) -> Match | None:
    """The extreme along an axis, of a window on a map of three: what is before the axis, it, and what is behind it."""
    if bits(op.operands[0]) not in (8, 16):
        return None
    (x,), axis = op.operands, op.number("axis")
    shape = shape_of(x)
    before, behind = int(np.prod(shape[:axis])), int(np.prod(shape[axis + 1 :]))
    kind = accel.PoolKind.MAX if op.name == "reduce_max" else accel.PoolKind.MIN

    def build(b: Builder) -> Built:
        source = reshaped(b.read(x), [1, before, shape[axis], behind])
        result = tensor([1, before, 1, behind], source)
        kernel = [shape[axis], 1]
        found = accel.Pool2dOp(result, source, kind, kernel, kernel, [0, 0, 0, 0])
        return reshaped(accel.output(found), op.shape), Form.PLAIN

    return Match([x], build, [op.op])
