"""Integer forms of linear layers: acc = sum of x * w, then constants that round it exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from math import prod

import numpy as np
from mlir import ir

from htvm.dialects import accel, quantisation
from htvm.dialects.quantisation import Quantisation

from ...analysis import exact_requant
from .builders import (
    NotExact,
    Operands,
    channel_steps,
    computed,
    exact_steps,
    fits,
    form_of,
    made,
    quantised_result,
    requant,
    uniform,
    with_constants,
)
from .tables import converted

INT32_LIMIT = 1 << 31


@form_of(accel.Conv2dOp, accel.DenseOp)
def linear(op: accel.Conv2dOp | accel.DenseOp, operands: Operands) -> ir.Value:
    """acc = sum of x * w; the zero points and the bias go into the offset."""
    x, y = uniform(op.input, "input"), quantised_result(op)
    w, weights = Quantisation.of(op.weights), quantisation.stored(op.weights)
    if w is None or weights is None:
        if isinstance(op, accel.DenseOp):
            raise NotExact("has weights that are not constant")
        return _with_computed_weights(op, operands, x, y)
    if w.axis not in (None, 0):
        raise NotExact(f"has weight scales along axis {w.axis}, expected axis 0 (output channels)")
    channels = weights.shape[0]
    weights = weights - np.array(w.zero_points).reshape(-1, *(1 for _ in weights.shape[1:]))
    sums = weights.reshape(channels, -1).sum(axis=1)
    steps = channel_steps(op, y, channels)
    units = [(w.scales[c % len(w.scales)], steps[c]) for c in range(channels)]
    slopes = {(scale, step): x.scale * Fraction(scale) / step for scale, step in set(units)}
    slope = [slopes[each] for each in units]
    bias, zeros = _bias(op, channels), (x.zero_point * sums).tolist()
    intercept = [bias[c] / steps[c] - slope[c] * zeros[c] if zeros[c] else bias[c] / steps[c] for c in range(channels)]
    first, last = _reach(op, weights, x)
    held = quantisation.integers(weights.astype(np.int8 if fits(weights, 8) else np.int16))
    extra = {"pad_value" if isinstance(op, accel.Conv2dOp) else "zero_point": accel.integer(x.zero_point)}
    if y.bits == 32:
        return _raw(op, computed(operands), held, slope, intercept, (first, last), y, extra)
    solved = exact_requant.solve(exact_steps(op, slope, intercept, first, last, y))
    return made(op, [computed(operands), held], {**extra, **requant(solved)})


@form_of(accel.MatMulOp)
def matmul(op: accel.MatMulOp, operands: Operands) -> ir.Value:
    """acc = sum of (a - its zero point) * (b - its zero point), where nothing is known of either but its range."""
    a, b, y = uniform(op.lhs, "left operand"), uniform(op.rhs, "right operand"), uniform(accel.output(op), "result")
    terms = ir.ShapedType(op.lhs.type).shape[-1]
    corners = [terms * p * q for p in _numbers(a) for q in _numbers(b)]
    first, last = min(corners), max(corners)
    if -first > INT32_LIMIT or last >= INT32_LIMIT:
        raise NotExact(f"has accumulators from {first:,} to {last:,}, which 32 bits do not hold")
    points = {"zero_points": ir.DenseI64ArrayAttr.get([a.zero_point, b.zero_point])}
    slope = a.scale * b.scale / y.scale
    if y.bits == 32:
        _check_raw([slope], [Fraction(0)], (np.array([first]), np.array([last])), y)
        return made(op, with_constants(op, operands), points)
    solved = exact_requant.solve(exact_steps(op, [slope], [Fraction(0)], np.array([first]), np.array([last]), y))
    return made(op, with_constants(op, operands), {**points, **requant(solved)})


def _with_computed_weights(op: accel.Conv2dOp, operands: Operands, x: Quantisation, y: Quantisation) -> ir.Value:
    """acc = sum of x * w, where nothing is known of w but its range: both without zero point, else 16 bits wide."""
    w = uniform(op.weights, "weights")
    image, kernels = _around_zero(computed(operands, 0), x), _around_zero(computed(operands, 1), w)
    channels, *taps = ir.ShapedType(op.weights.type).shape
    steps = channel_steps(op, y, channels)
    slope = [x.scale * w.scale / step for step in steps]
    intercept = [bias / step for bias, step in zip(_bias(op, channels), steps)]
    most = prod(taps) * max(abs(a * b) for a in _numbers(x) for b in _numbers(w))
    if most >= INT32_LIMIT:
        raise NotExact(f"has accumulators up to {most:,}, which 32 bits do not hold")
    extra = {"pad_value": accel.integer(0)}
    first, last = np.full(channels, -most), np.full(channels, most)
    if y.bits == 32:
        return _raw(op, image, kernels, slope, intercept, (first, last), y, extra)
    solved = exact_requant.solve(exact_steps(op, slope, intercept, first, last, y))
    return made(op, [image, kernels], {**extra, **requant(solved)})


def _around_zero(value: ir.Value, q: Quantisation) -> ir.Value:
    """Change stored integers, by a table, to the signed ones whose zero point is 0."""
    lowest, highest = _numbers(q)
    bits = 8 if -128 <= lowest and highest <= 127 else 16
    if not -(1 << 15) <= lowest <= highest < 1 << 15:
        raise NotExact(f"has operands from {lowest:,} to {highest:,} around their zero point, expected 16 bits")
    signed = replace(q, bits=bits, signed=True, lowest=lowest, highest=highest, zero_points=(0,))
    return converted(value, q, signed, "half_even")


def _numbers(q: Quantisation) -> tuple[int, int]:
    """Return the smallest and the largest integer that can occur, counted from the zero point."""
    return q.lowest - q.zero_point, q.highest - q.zero_point


def _raw(
    op: accel.Conv2dOp | accel.DenseOp,
    x: ir.Value,
    weights: ir.Value,
    slope: list[Fraction],
    intercept: list[Fraction],
    reach: tuple[np.ndarray, np.ndarray],
    y: Quantisation,
    extra: Mapping[str, ir.Attribute],
) -> ir.Value:
    """A 32-bit result is the accumulator itself, so its scale must be that of the products."""
    _check_raw(slope, intercept, reach, y)
    bias = quantisation.integers(np.array([int(b) for b in intercept], np.int32))
    return made(op, [x, weights, bias], extra)


def _check_raw(
    slope: list[Fraction], intercept: list[Fraction], reach: tuple[np.ndarray, np.ndarray], y: Quantisation
) -> None:
    """Raise NotExact unless results are accumulators as they are. reach: the smallest and largest of each channel."""
    for channel, (a, b, first, last) in enumerate(zip(slope, intercept, *reach)):
        if a != 1 or b.denominator != 1 or y.zero_points != (0,):
            raise NotExact(
                f"has 32-bit results with scale ratio {float(a)} in channel {channel}, "
                "expected accumulators as they are (1)"
            )
        if first + b < y.lowest or y.highest < last + b:
            raise NotExact(
                f"has 32-bit results from {int(first + b):,} to {int(last + b):,} in channel {channel}, clamped to "
                f"{y.lowest:,}..{y.highest:,}; expected no bounds, or such that 8 or 16 bits hold them"
            )


def _reach(op: accel.Weighted, weights: np.ndarray, x: Quantisation) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and largest accumulator of each channel."""
    lowest, highest = x.lowest, x.highest
    if isinstance(op, accel.Conv2dOp) and any(op.pads):
        lowest, highest = min(lowest, x.zero_point), max(highest, x.zero_point)
    rows = weights.reshape(weights.shape[0], -1)
    first = np.minimum(rows * lowest, rows * highest).sum(axis=1)
    last = np.maximum(rows * lowest, rows * highest).sum(axis=1)
    if -first.min() > INT32_LIMIT or last.max() >= INT32_LIMIT:
        raise NotExact(f"has accumulators from {first.min():,} to {last.max():,}, which 32 bits do not hold")
    return first, last


def _bias(op: accel.Conv2dOp | accel.DenseOp, channels: int) -> list[Fraction]:
    """Return each channel's bias as a real number."""
    if op.bias is None:
        return [Fraction(0)] * channels
    q, numbers = Quantisation.of(op.bias), quantisation.stored(op.bias)
    if q is None or numbers is None:
        raise NotExact("has a bias that is not a quantised constant")
    count = len(q.scales)
    return [Fraction(q.scales[c % count]) * (int(n) - q.zero_points[c % count]) for c, n in enumerate(numbers)]
