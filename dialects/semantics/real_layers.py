"""What each layer means up to stage 'fused': a function of exact real numbers.

A quantised result is this, rounded once by the layer's `rounding` and clamped to the range of the type.
"""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from mlir import ir

from htvm.dialects import accel
from htvm.dialects.accel import indices_of
from htvm.dialects.semantics import functions, real, transcendental
from htvm.dialects.semantics.real import Real

Meaning = Callable[..., Real]

MEANINGS: dict[str, Meaning] = {}


def meaning(name: str) -> Callable[[Meaning], Meaning]:
    """Register the meaning of accel.`name`."""

    def register(function: Meaning) -> Meaning:
        MEANINGS[f"accel.{name}"] = function
        return function

    return register


@meaning("quantize")
def quantize(op: accel.QuantizeOp, x: Real) -> Real:
    """The numbers themselves: what rounds is the result's type."""
    return x


@meaning("conv2d")
def conv2d(op: accel.Conv2dOp, x: Real, w: Real, bias: Real | None = None) -> Real:
    """y[n, k, i, j] = bias[k] + sum over c, r, s of x[n, g + c, i', j'] * w[k, c, r, s].

    i' = i * strides[0] - top + r * dilations[0], and j' likewise; g is the first input channel of k's group;
    x is 0 outside the map.
    """
    y = real.conv2d(x, w, list(op.strides), list(op.pads), list(op.dilations), op.groups.value)
    return y if bias is None else y + bias.reshape([1, -1, 1, 1])


@meaning("dense")
def dense(op: accel.DenseOp, x: Real, w: Real, bias: Real | None = None) -> Real:
    """y[.., k] = bias[k] + sum over c of x[.., c] * w[k, c]."""
    rows = x.reshape([math.prod(x.shape[:-1]), x.shape[-1]])
    y = real.matmul(rows, w.transpose([1, 0])).reshape([*x.shape[:-1], w.shape[0]])
    return y if bias is None else y + bias


@meaning("matmul")
def matmul(op: accel.MatMulOp, a: Real, b: Real) -> Real:
    """y[.., m, k] = sum over c of a[.., m, c] * b[.., c, k]."""
    return real.matmul(a, b)


@meaning("add")
def add(op: accel.AddOp, a: Real, b: Real) -> Real:
    """a + b + offset."""
    return _with_offset(op, a + b)


@meaning("sub")
def sub(op: accel.SubOp, a: Real, b: Real) -> Real:
    """a - b."""
    return a - b


@meaning("mul")
def mul(op: accel.MulOp, a: Real, b: Real) -> Real:
    """a * b."""
    return a * b


@meaning("div")
def div(op: accel.DivOp, a: Real, b: Real) -> Real:
    """a / b."""
    return a / b


@meaning("maximum")
def maximum(op: accel.MaximumOp, a: Real, b: Real) -> Real:
    """max(a, b)."""
    return real.maximum(a, b)


@meaning("minimum")
def minimum(op: accel.MinimumOp, a: Real, b: Real) -> Real:
    """min(a, b)."""
    return -real.maximum(-a, -b)


@meaning("relu")
def relu(op: accel.ReluOp, x: Real) -> Real:
    """max(x, 0)."""
    return x.clamp(low=Fraction(0))


@meaning("clamp")
def clamp(op: accel.ClampOp, x: Real) -> Real:
    """min(max(x, min), max); a bound may be infinite."""
    low, high = op.min.value, op.max.value
    return x.clamp(*(bound if math.isinf(bound) else Fraction(bound) for bound in (low, high)))


@meaning("sigmoid")
def sigmoid(op: accel.SigmoidOp, x: Real) -> Real:
    """1 / (1 + exp(-x))."""
    return transcendental.sigmoid(x)


@meaning("unary")
def unary(op: accel.UnaryOp, x: Real) -> Real:
    """The function that the operation names."""
    parameters = (each.value for each in (op.alpha, op.beta) if each is not None)
    return functions.apply(op.function.value, x, *parameters)


@meaning("softmax")
def softmax(op: accel.SoftmaxOp, x: Real) -> Real:
    """exp(x) / sum of exp(x) along the axis."""
    return transcendental.softmax(x, op.axis.value)


@meaning("pool2d")
def pool2d(op: accel.Pool2dOp, x: Real) -> Real:
    """The maximum, minimum, sum or average of the elements under each window that lie inside the map, plus offset.

    With count_include_pad an average divides by all R * S elements; those outside are 0.
    """
    window = (list(op.kernel), list(op.strides), list(op.pads), list(op.dilations or ()) or None)
    match op.kind.value:
        case accel.PoolKind.MAX:
            y = real.window_max(x, *window)
        case accel.PoolKind.MIN:
            y = -real.window_max(-x, *window)
        case accel.PoolKind.SUM:
            y = real.window_sum(x, *window)
        case _:
            counts_pad = op.count_include_pad is not None and op.count_include_pad.value
            y = real.window_mean(x, *window, count_include_pad=counts_pad)
    return _with_offset(op, y)


@meaning("layer_norm")
def layer_norm(op: accel.LayerNormOp, x: Real, *constants: Real) -> Real:
    """(x - mean) / sqrt(variance + epsilon) * scale + bias, along the last axis."""
    given = iter(constants)
    scale = next(given) if op.scale is not None else Real.of_integers(np.ones(1, np.int64))
    assert op.epsilon is not None, "verified: it is there until constants take its place"
    y = transcendental.layer_norm(x, scale, Fraction(op.epsilon.value))
    return y if op.bias is None else y + next(given)


@meaning("argmax")
def argmax(op: accel.ArgMaxOp, x: Real) -> Real:
    """Where along the axis the largest, or smallest, element is."""
    return real.axis_argmax(-x if op.smallest else x, op.axis.value, bool(op.last))


@meaning("concat")
def concat(op: accel.ConcatOp, *parts: Real) -> Real:
    """The parts one after the other along the axis."""
    return real.concat(parts, op.axis.value)


@meaning("pad")
def pad(op: accel.PadOp, x: Real) -> Real:
    """x, with low[axis] elements before and high[axis] after it, all `value`."""
    return x.pad(list(op.low), list(op.high), Fraction(op.value.value))


@meaning("transpose")
def transpose(op: accel.TransposeOp, x: Real) -> Real:
    """Axis i of the result is axis permutation[i] of x."""
    return x.transpose(list(op.permutation))


@meaning("take")
def take(op: accel.TakeOp, x: Real) -> Real:
    """y[i, j, ..] = x[indices[0][i], indices[1][j], ..]."""
    return x.take(indices_of(op))


@meaning("reshape")
def reshape(op: accel.ReshapeOp, x: Real) -> Real:
    """The same elements, in row-major order, under the result's shape."""
    return x.reshape(list(ir.ShapedType(accel.output(op).type).shape))


def _with_offset(op: accel.AddOp | accel.Pool2dOp, y: Real) -> Real:
    return y if op.offset is None else y + Real.of_floats(np.float64(op.offset.value))
