"""What each layer means from stage 'integer' on: a function of stored integers.

Accumulators have 32 bits, products with a multiplier 64. Where a number leaves its bits the module is wrong,
and the layer raises OverflowError.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from mlir import ir

from htvm.dialects import accel, calls
from htvm.dialects.quantisation import Quantisation
from htvm.dialects.semantics import integers, tosa_scaling

Meaning = Callable[..., np.ndarray]

MEANINGS: dict[str, Meaning] = {}


def meaning(name: str) -> Callable[[Meaning], Meaning]:
    """Register the meaning of accel.`name`."""

    def register(function: Meaning) -> Meaning:
        MEANINGS[f"accel.{name}"] = function
        return function

    return register


# From accumulators to outputs


def requantise(acc: np.ndarray, requant: accel.RequantAttr, arrange: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return clamp(((((acc << pre_shift) + offset) * multiplier) >> shift) + zero_point, min, max).

    `arrange` makes the entries of multiplier, offset and shift broadcast against `acc`. With `narrow` the sum
    fits 32 bits. With `tie_below`, a value of which less than that is shifted out was a tie: its quotient is
    made even. With `divisor`, what remains of the division, modulo 2^64, corrects the quotient by 1. With
    `double_round` the product is rounded as TOSA does.
    """
    offset, multiplier = (arrange(np.array(entries, np.int64)) for entries in (requant.offset, requant.multiplier))
    scaled = integers.add(integers.multiply(fit(acc, 32, "an accumulator"), np.array(1 << requant.pre_shift)), offset)
    total = fit(scaled, 32 if requant.narrow else 64, "an accumulator with its offset")
    product = fit(integers.multiply(total, multiplier), 64, "a product")
    shift = arrange(np.array(requant.shift, np.int64))
    if requant.double_round:
        rounded = product + tosa_scaling.addend(total, shift, double_round=True)
        return shift_and_clamp(fit(rounded, 64, "a rounded product"), requant, shift)
    if requant.divisor is not None:
        numerator, divisor, rest = (
            arrange(np.array(entries, np.int64).astype(object))
            for entries in (requant.numerator, requant.divisor, requant.rest)
        )
        return corrected(acc.astype(object) * numerator + rest, divisor, product >> shift, requant)
    return shift_and_clamp(product, requant, shift)


@dataclass(frozen=True)
class Rounding:
    """How a quotient becomes an output, where nothing else of a requantisation is asked for."""

    tie_below: int
    zero_point: int
    min: int
    max: int


def corrected(
    dividend: np.ndarray, divisor: np.ndarray, quotient: np.ndarray, requant: accel.RequantAttr | Rounding
) -> np.ndarray:
    """Return the clamped outputs for quotients that are at most 1 beside the exact ones; all is modulo 2^64."""
    left = (dividend - quotient * divisor + 2**63) % 2**64 - 2**63
    step = np.where(left < 0, -1, np.where(left >= divisor, 1, 0))
    quotient, left = quotient + step, left - step * divisor
    if ((left < 0) | (left >= divisor)).any():
        raise OverflowError("a quotient is more than 1 wrong")
    quotient = np.where(left < requant.tie_below, quotient // 2 * 2, quotient) + requant.zero_point
    return np.clip(quotient, requant.min, requant.max).astype(np.int64)


def shift_and_clamp(scaled: np.ndarray, requant: accel.RequantAttr, shift: np.ndarray) -> np.ndarray:
    """Return clamp(scaled >> shift, min, max), with ties and zero point as `requantise` says."""
    quotient = scaled >> shift
    if requant.tie_below:
        tie = scaled - (quotient << shift) < requant.tie_below
        quotient = np.where(tie, quotient & ~1, quotient)
    return np.clip(quotient + requant.zero_point, requant.min, requant.max)


def fit(array: np.ndarray, bits: int, what: str) -> np.ndarray:
    """Return `array` as int64. Raises OverflowError, which calls it `what`, if `bits` bits do not hold it."""
    if bits == 64 and array.dtype != object:
        return array.astype(np.int64)  # NumPy 2.1.3 may crash where it compares these with 2^63
    limit = 1 << (bits - 1)
    outside = array[(array < -limit) | (array >= limit)]
    if outside.size:
        raise OverflowError(f"{what} is {outside[0]}, beyond {bits} bits")
    return array.astype(np.int64)


def _along(axis: int, ndim: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return what arranges one entry, or one for each index of `axis`, against `ndim` axes."""
    return lambda entries: entries.reshape([-1 if index == axis else 1 for index in range(ndim)])


def _finish(acc: np.ndarray, op: accel.Conv2dOp | accel.DenseOp, bias: np.ndarray | None, axis: int) -> np.ndarray:
    """Return the outputs, whose channels lie along `axis`: requantised, or raw with the bias added."""
    arrange = _along(axis, acc.ndim)
    if op.requant is not None:
        code = requantise(acc, op.requant, arrange)
        rescale = op.rescale if isinstance(op, accel.Conv2dOp) else None
        if rescale is None:
            return code
        return requantise(code * arrange(np.array(rescale.weights, np.int64)), rescale.requant, arrange)
    return fit(acc, 32, "an accumulator") if bias is None else fit(acc + arrange(bias), 32, "a biased accumulator")


# Layers


@meaning("call")
def call(op: accel.CallOp, *inputs: np.ndarray) -> np.ndarray:
    """What the function that is called computes."""
    return calls.execute(calls.callee(op), inputs).reshape(accel.output(op).type.shape)


@meaning("fused")
def fused(op: accel.FusedOp, *inputs: np.ndarray) -> np.ndarray:
    block = op.body.blocks[0]
    values: dict[ir.Value, np.ndarray] = dict(zip(block.arguments, inputs, strict=True))
    *layers, output = block
    for layer in layers:
        operands = (values[operand] for operand in layer.operation.operands)
        values[layer.operation.results[0]] = MEANINGS[layer.operation.name](layer, *operands)
    return values[output.operands[0]]


@meaning("conv2d")
def conv2d(op: accel.Conv2dOp, x: np.ndarray, w: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """acc = sum of x * w over all taps, x being `pad_value` outside the map; `requant`, or acc + bias.

    With `rescale` what `requant` makes is a code, and acc = code * weights[k] is requantised by `rescale`.
    """
    return _finish(conv2d_sums(op, x, w), op, bias, axis=1)


def conv2d_sums(op: accel.Conv2dOp, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    pad_value = 0 if op.pad_value is None else op.pad_value.value
    return integers.convolve(x, w, list(op.strides), list(op.pads), list(op.dilations), op.groups.value, pad_value)


@meaning("dense")
def dense(op: accel.DenseOp, x: np.ndarray, w: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """acc[.., k] = sum over c of x[.., c] * w[k, c]; then `requant`, or acc + bias."""
    return _finish(dense_sums(op, x, w), op, bias, axis=x.ndim - 1)


def dense_sums(_: accel.DenseOp, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    return integers.matmul(x, w.T)


@meaning("matmul")
def matmul(op: accel.MatMulOp, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """acc = sum of (a - zero_points[0]) * (b - zero_points[1]); then `requant`, if there is one."""
    acc = matrix_products(op, a, b)
    return fit(acc, 32, "an accumulator") if op.requant is None else requantise(acc, op.requant, lambda entry: entry)


def matrix_products(op: accel.MatMulOp, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    first, second = (0, 0) if op.zero_points is None else op.zero_points
    return integers.matmul(a - first, b - second)


@meaning("add")
def add(op: accel.AddOp, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """clamp((a * multiplier[0] + b * multiplier[1] + offset) >> shift, min, max)."""
    requant = accel.present(op.requant, "requant")
    (first, second), (offset,), (shift,) = requant.multiplier, requant.offset, requant.shift
    total = fit(a * first + b * second + offset, 32 if requant.narrow else 64, "a sum")
    if requant.divisor is not None:
        (left, right), (rest,) = accel.present(requant.numerator, "numerator"), accel.present(requant.rest, "rest")
        dividend = a.astype(object) * left + b.astype(object) * right + rest
        return corrected(dividend, np.array(requant.divisor, object), total >> shift, requant)
    return shift_and_clamp(total, requant, np.array(shift))


@meaning("mul")
def mul(op: accel.MulOp, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """acc = (a - zero_points[0]) * (b - zero_points[1]); then `requant`."""
    return requantise(products(op, a, b), accel.present(op.requant, "requant"), lambda entry: entry)


def products(op: accel.MulOp, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    first, second = (0, 0) if op.zero_points is None else op.zero_points
    return (a - first) * (b - second)


@meaning("maximum")
def maximum(op: accel.MaximumOp, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """max(a, b)."""
    return np.maximum(a, b)


@meaning("minimum")
def minimum(op: accel.MinimumOp, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """min(a, b)."""
    return np.minimum(a, b)


@meaning("lookup")
def lookup(op: accel.LookupOp, x: np.ndarray, table: np.ndarray) -> np.ndarray:
    """table[x - lowest], each index of an axis having its own; where the result is unsigned, an entry is its bits."""
    places, entries = x - op.lowest.value, table.shape[-1]
    outside = x[(places < 0) | (places >= entries)]
    if outside.size:
        highest = op.lowest.value + entries - 1
        raise ValueError(f"an element is {outside[0]}, the table is for {op.lowest.value} to {highest}")
    element = accel.output(op).type.element_type
    q = Quantisation.of(element)
    stored = ir.IntegerType(q.storage_type() if q else element)
    table = table % (1 << stored.width) if stored.is_unsigned else table
    if op.axis is None:
        return table[places]
    return table[_along(op.axis.value, x.ndim)(np.arange(len(table))), places]


@meaning("threshold")
def threshold(op: accel.ThresholdOp, x: np.ndarray, starts: np.ndarray, values: np.ndarray) -> np.ndarray:
    """values[number of starts that are at most x], each index of an axis having its own; unsigned as in a lookup."""
    element = ir.IntegerType(accel.output(op).type.element_type)
    values = values % (1 << element.width) if element.is_unsigned else values
    if op.axis is None:
        return values[np.searchsorted(starts, x, side="right")]
    rows = np.moveaxis(x, op.axis.value, 0)
    found = [each[np.searchsorted(first, row, side="right")] for row, first, each in zip(rows, starts, values)]
    return np.moveaxis(np.array(found), 0, op.axis.value)


@meaning("weighted_sum")
def weighted_sum(op: accel.WeightedSumOp, *operands: np.ndarray) -> np.ndarray:
    """clamp(floor((sum of x[i] * numerator[i] + rest) / divisor) + zero_point, min, max), ties made even."""
    *inputs, constants = operands
    count = len(inputs)
    rank = max(each.ndim for each in inputs)
    arrange = _along(-1 if op.axis is None else op.axis.value, rank)
    columns = [arrange(column).astype(object) for column in constants.T]
    multipliers, numerators = columns[:count], columns[count : 2 * count]
    offset, shift, divisor, rest = columns[2 * count :]
    exact = [each.astype(object) for each in inputs]
    scaled = [fit(m * x, 64, "a product") for m, x in zip(multipliers, exact)]
    estimate = fit(sum(each.astype(object) for each in scaled) + offset, 64, "a sum") >> shift.astype(np.int64)
    requant = Rounding(int(bool(op.even)), op.zero_point.value, op.min.value, op.max.value)
    dividend = sum(n * x for n, x in zip(numerators, exact)) + rest
    return corrected(dividend, divisor, estimate.astype(object), requant)


@meaning("pool2d")
def pool2d(op: accel.Pool2dOp, x: np.ndarray) -> np.ndarray:
    """The maximum or minimum of the elements inside the map; or acc = their sum, then `requant` for their number.

    A sum without `requant` is raw.
    """
    window = windows(op)
    kind = op.kind.value
    if kind in accel.EXTREMES:
        sign = 1 if kind == accel.PoolKind.MAX else -1
        return sign * integers.window_maxima(sign * x, *window)
    acc = integers.window_sums(x, *window)
    if op.requant is None and kind == accel.PoolKind.SUM:
        return fit(acc, 32, "an accumulator")
    if op.requant is None:
        raise ValueError("an average of integers has no 'requant'")
    places = _places(integers.window_counts(x.shape[2:], *window), list(accel.present(op.counts, "counts")))
    return requantise(acc, op.requant, lambda entries: entries[places] if entries.size > 1 else entries)


def windows(op: accel.Pool2dOp) -> tuple[list[int], list[int], list[int], list[int] | None]:
    """Return the kernel, strides, pads and dilations of a pool."""
    return list(op.kernel), list(op.strides), list(op.pads), list(op.dilations or ()) or None


def _places(counts: np.ndarray, listed: list[int]) -> np.ndarray:
    """Return the place of each count in `listed`."""
    missing = sorted(set(counts.flat) - set(listed))
    if missing:
        raise ValueError(f"windows hold {missing[0]} elements, 'counts' lists {listed}")
    return np.searchsorted(listed, counts)


@meaning("softmax")
def softmax(op: accel.SoftmaxOp, x: np.ndarray, table: np.ndarray) -> np.ndarray:
    """e = table[largest x - x], 0 beyond its end; clamp(e / sum of e / scale + zero_point, min, max).

    The axis is the layer's, the scale is scale_multiplier / 2^scale_shift, and the quotient is rounded to
    nearest, ties to even.
    """
    multiplier, shift = (
        accel.present(op.scale_multiplier, "scale_multiplier"),
        accel.present(op.scale_shift, "scale_shift"),
    )
    low, high, zero_point = bounds(op)
    below = x.max(op.axis.value, keepdims=True) - x
    powers = np.append(table, 0)[np.minimum(below, len(table))].astype(object)
    sums = powers.sum(op.axis.value, keepdims=True)
    quotients = integers.divide(powers << shift.value, sums * multiplier.value, "half_even")
    return np.clip(quotients + zero_point, low, high).astype(np.int64)


def bounds(op: accel.SoftmaxOp | accel.LayerNormOp) -> tuple[int, int, int]:
    """Return the smallest and largest output and the zero point of a layer that states them itself."""
    stated = {"min": op.min, "max": op.max, "zero_point": op.zero_point}
    low, high, zero_point = (accel.present(value, name).value for name, value in stated.items())
    return low, high, zero_point


@meaning("layer_norm")
def layer_norm(op: accel.LayerNormOp, x: np.ndarray, factors: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """The largest k for which factor * d * 2^(shift / 2) reaches the threshold of k times the root of q, see the op.

    Searched for by halving: all elements at once, in Python's integers.
    """
    rows, count = x.astype(object), x.shape[-1]
    total = rows.sum(-1, keepdims=True)
    high, low = accel.present(op.variance_offset, "variance_offset")
    scale = accel.present(op.variance_scale, "variance_scale").value
    q = scale * (count * (rows * rows).sum(-1, keepdims=True) - total**2) + (high << 32) + low
    left = factors.astype(object) * (count * rows - total)
    bits, step = accel.present(op.shift, "shift").value, accel.present(op.half_step, "half_step").value
    smallest, largest, zero_point = bounds(op)

    def order(k: np.ndarray) -> np.ndarray:
        """Return the sign of what is left when the right side is subtracted."""
        right = (2 * k - 1) * step - terms.astype(object)
        return np.sign(
            np.sign(left) * left**2 * (1 << max(bits, 0)) - np.sign(right) * right**2 * q * (1 << max(-bits, 0))
        )

    first = np.full(x.shape, smallest - zero_point, object)
    last = np.full(x.shape, largest - zero_point, object)
    while (first < last).any():
        middle = first + (last - first + 1) // 2
        reached = order(middle) >= 0
        first, last = np.where(reached, middle, first), np.where(reached, last, middle - 1)
    is_tie = (order(first) == 0) & (first % 2 == 1) & (first > smallest - zero_point)
    return (first - is_tie + zero_point).astype(np.int64)


@meaning("argmax")
def argmax(op: accel.ArgMaxOp, x: np.ndarray) -> np.ndarray:
    """Where along the axis the largest, or smallest, stored integer is."""
    axis, ordered = op.axis.value, -x if op.smallest else x
    if not op.last:
        return ordered.argmax(axis, keepdims=True)
    return x.shape[axis] - 1 - np.flip(ordered, axis).argmax(axis, keepdims=True)


def window_sums(op: accel.Pool2dOp, x: np.ndarray) -> np.ndarray:
    return integers.window_sums(x, *windows(op))


ACCUMULATORS: dict[str, Meaning] = {
    "accel.conv2d": conv2d_sums,
    "accel.dense": dense_sums,
    "accel.matmul": matrix_products,
    "accel.mul": products,
    "accel.pool2d": window_sums,
}
"""What a layer with `requant` requantises, of its operands up to the bias."""

# Moves


@meaning("concat")
def concat(op: accel.ConcatOp, *parts: np.ndarray) -> np.ndarray:
    """The parts one after the other along the axis."""
    return np.concatenate(parts, op.axis.value)


@meaning("pad")
def pad(op: accel.PadOp, x: np.ndarray) -> np.ndarray:
    """x, with low[axis] elements before and high[axis] after it, all the stored integer `value`."""
    return integers.pad(x, list(op.low), list(op.high), int(op.value.value))


@meaning("transpose")
def transpose(op: accel.TransposeOp, x: np.ndarray) -> np.ndarray:
    """Axis i of the result is axis permutation[i] of x."""
    return x.transpose(list(op.permutation))


@meaning("convert_layout")
def convert_layout(op: accel.ConvertLayoutOp, x: np.ndarray) -> np.ndarray:
    """x: where elements lie does not matter to what they are."""
    return x


@meaning("transfer")
def transfer(op: accel.TransferOp, x: np.ndarray) -> np.ndarray:
    """x, in another memory."""
    return x


@meaning("take")
def take(op: accel.TakeOp, x: np.ndarray) -> np.ndarray:
    """y[i, j, ..] = x[indices[0][i], indices[1][j], ..]."""
    sizes: tuple[int, ...] = x.shape
    chosen = accel.indices_of(op)
    return x[np.ix_(*(np.arange(size) if each is None else each for size, each in zip(sizes, chosen, strict=True)))]


@meaning("windows")
def windows_as_channels(op: accel.WindowsOp, x: np.ndarray) -> np.ndarray:
    """y[n, (r*S + s)*C + c, i, j] = x[n, c, i*strides[0] + r, j*strides[1] + s]."""
    down, along = op.strides
    every = np.lib.stride_tricks.sliding_window_view(x, list(op.kernel), (2, 3))[:, :, ::down, ::along]
    return every.transpose(0, 4, 5, 1, 2, 3).reshape(accel.output(op).type.shape)


@meaning("reshape")
def reshape(op: accel.ReshapeOp, x: np.ndarray) -> np.ndarray:
    """The same elements, in row-major order, under the result's shape."""
    return x.reshape(accel.output(op).type.shape)
