"""Integer form of layer normalisation: both sides of each rounding decision as integers, whose squares are compared."""

from __future__ import annotations

from fractions import Fraction
from math import sqrt

import numpy as np
from mlir import ir
from mlir.dialects import arith

from htvm.dialects import accel, quantisation
from htvm.dialects.quantisation import Quantisation

from .builders import NotExact, Operands, bounds, computed, form_of, made, uniform

SQUARE_BITS = 384
"""What the host compares, htvm_layer_norm.h."""

SLOPE_BITS, DOUBT_BITS = 28, 10
"""Of the host's estimate: the fewest bits of the steepest slope, and of the part of a step that it may be wrong by."""


@form_of(accel.LayerNormOp)
def layer_norm(op: accel.LayerNormOp, operands: Operands) -> ir.Value:
    x, y = uniform(op.input, "input"), uniform(accel.output(op), "result")
    if accel.rounding(op) != "half_even":
        raise NotExact(f"rounds its result by {accel.rounding(op)}, expected half_even")
    length = ir.ShapedType(op.input.type).shape[-1]
    scales, biases = constant_numbers(op.scale, length, 1), constant_numbers(op.bias, length, 0)
    factors, factor_bits = _integers([x.scale * number for number in scales])
    terms, term_bits = _integers([*biases, y.scale / 2])
    *terms, half_step = terms
    variance, variance_bits = _integers([x.scale**2, Fraction(accel.present(op.epsilon, "epsilon").value) * length**2])
    if (2 * term_bits + variance_bits) % 2:
        variance, variance_bits = [2 * number for number in variance], variance_bits + 1
    shift = 2 * term_bits + variance_bits - 2 * factor_bits
    span = x.highest - x.lowest
    furthest = max(abs(y.lowest - y.zero_point), abs(y.highest - y.zero_point))
    most = {
        "factors": max(map(abs, factors)).bit_length(),
        "thresholds": ((2 * furthest + 3) * half_step + max(map(abs, terms))).bit_length(),
        "variance": max(variance[0].bit_length(), variance[1].bit_length() - 32),
        "distances": (length * max(span, abs(x.lowest), abs(x.highest))).bit_length() + 32,
    }
    for what, bits in most.items():
        if bits > 63:
            raise NotExact(f"has {what} of {bits} bits, expected at most 63: its numbers are of too different sizes")
    spread = variance[0] * length**2 * span**2 + variance[1]
    left = 2 * (most["factors"] + (length * span).bit_length()) + max(0, shift)
    right = 2 * most["thresholds"] + spread.bit_length() + max(0, -shift)
    if max(left, right) > SQUARE_BITS:
        raise NotExact(f"compares squares of {max(left, right)} bits, expected at most {SQUARE_BITS}")
    steepest = float(max(map(abs, scales)) / y.scale)
    if 4 * sqrt(length) * steepest * 2.0**-SLOPE_BITS > 2.0 ** -(DOUBT_BITS + 1) or furthest > 1 << 16:
        raise NotExact(f"has results of up to {steepest * sqrt(length):,.0f} steps, which cannot be estimated")
    attributes = {
        "half_step": accel.integer(half_step),
        "variance_scale": accel.integer(variance[0]),
        "variance_offset": ir.DenseI64ArrayAttr.get(list(divmod(variance[1], 1 << 32))),
        "shift": accel.integer(shift),
        "zero_point": accel.integer(y.zero_point),
        **bounds(y),
    }
    constants = [quantisation.integers(np.array(numbers, np.int64)) for numbers in (factors, terms)]
    return made(op, [computed(operands), *constants], attributes)


def constant_numbers(value: ir.Value | None, length: int, otherwise: int) -> list[Fraction]:
    """Return the numbers of a constant, exactly."""
    if value is None:
        return [Fraction(otherwise)] * length
    q, stored = Quantisation.of(value), quantisation.stored(value)
    if q is not None and stored is not None:
        count = len(q.scales)
        return [
            Fraction(q.scales[i % count]) * (int(n) - q.zero_points[i % count]) for i, n in enumerate(stored.tolist())
        ]
    source = accel.producer(value)
    if not isinstance(source, arith.ConstantOp):
        raise NotExact("has a scale or bias that is computed, expected constants")
    return [Fraction(float(number)) for number in np.array(source.value).reshape(-1)]


def _integers(numbers: list[Fraction]) -> tuple[list[int], int]:
    """Return numbers as multiples of one power of two, and how many bits behind the point that has."""
    bits = max(number.denominator.bit_length() - 1 for number in numbers)
    return [int(number * (1 << bits)) for number in numbers], bits
