"""Layer normalisation against its definition in Python's integers."""

from fractions import Fraction
from math import isqrt

import native
import numpy as np
import pytest
from native import Case

BITS, SLOPE_BITS = 24, 30


def largest_step(left: int, square: int, half: int, term: int, shift: int) -> int:
    """Return the largest k with left * 2^(shift / 2) >= ((2k - 1) * half - term) * sqrt(square), ties to even."""
    # In units of 2^-64 the left side over the root is between r and r + 1.
    scaled = (left * left) << (shift + 128) if shift >= -128 else (left * left) >> -(shift + 128)
    root = isqrt(scaled // square)
    low = root if left >= 0 else -root - 1

    def order(k: int) -> int:
        right = (2 * k - 1) * half - term
        sides = [
            (left > 0) - (left < 0), (right > 0) - (right < 0),
        ]  # fmt: skip
        a = sides[0] * (left * left << max(shift, 0))
        b = sides[1] * (right * right * square << max(-shift, 0))
        return (a > b) - (a < b)

    k = (Fraction(low, 1 << 64) + term) / (2 * half) + Fraction(1, 2)
    k = k.numerator // k.denominator + 2
    while order(k) < 0:
        k -= 1
    return k - (order(k) == 0 and k % 2 == 1)


def layer_norm_case(seed: int) -> Case:
    generator = np.random.default_rng(seed)
    x_type, y_type = [("int8", "int8"), ("uint8", "uint8"), ("int16", "int8")][seed % 3]
    rows, length = int(generator.integers(1, 5)), int(generator.choice([1, 2, 3, 8, 33]))
    info = np.iinfo(x_type)
    spread = int(generator.choice([1, 4, 255]))
    low = int(generator.integers(max(info.min, -300), 0)) if info.min < 0 else 0
    x = np.clip(generator.integers(low, low + spread, (rows, length), endpoint=True), info.min, info.max).astype(x_type)
    if seed % 4 == 0:  # roots and quotients that are whole: ties
        half, variance, offset, shift = 1, 1, 0 if spread > 1 else 3, 2 * int(generator.integers(-2, 3))
        offset = max(offset, 1)
        factors = [int(each) for each in generator.integers(-8, 9, length)]
        terms = [int(each) for each in generator.integers(-20, 20, length)]
    else:
        half, variance = int(generator.integers(1 << 20, 1 << 24)), int(generator.integers(1, 1 << 40))
        offset = int(generator.integers(1, 1 << 40)) * int(generator.choice([1, 1 << 20]))
        shift = 2 * (int(variance).bit_length() // 2 + int(generator.integers(-3, 3)) - 20)
        factors = [int(each) for each in generator.integers(-(1 << 45), 1 << 45, length)]
        terms = [int(each) for each in generator.integers(-(1 << 30), 1 << 30, length)]
    zero_point = int(np.iinfo(y_type).min) + 100
    limits = int(np.iinfo(y_type).min), int(np.iinfo(y_type).max) - int(generator.integers(0, 40))
    numbers = x.astype(int).tolist()
    expected = np.zeros((rows, length), y_type)
    for index, row in enumerate(numbers):
        square = variance * (length * sum(n * n for n in row) - sum(row) ** 2) + offset
        for place, n in enumerate(row):
            k = largest_step(factors[place] * (length * n - sum(row)), square, half, terms[place], shift)
            expected[index, place] = min(max(k + zero_point, limits[0]), limits[1])
    slope_bits = SLOPE_BITS + (2 * half).bit_length() - 1 - max(map(abs, factors)).bit_length()
    channels = np.zeros(length, [("factor", "<i8"), ("term", "<i8"), ("offset", "<i8"), ("slope", "<i4"), ("_", "<i4")])
    channels["factor"], channels["term"] = factors, terms
    channels["offset"] = [((term + half) << BITS) // (2 * half) for term in terms]
    channels["slope"] = [round(Fraction(factor, 2 * half) * Fraction(2) ** slope_bits) for factor in factors]
    x_memory, x_strides = native.laid_out(x, [(0, 1), (1, 0)][seed % 2])
    y_memory, y_strides = native.laid_out(expected, (0, 1))
    fields = {
        "rows": rows,
        "length": length,
        **dict(zip(("x_row", "x_step"), x_strides)),
        **dict(zip(("y_row", "y_step"), y_strides)),
        "slope_bits": slope_bits,
        "half_shift": shift // 2,
        "half_step": half,
        "variance_scale": variance,
        "variance_offset": [offset >> bits & 0xFFFFFFFF for bits in (0, 32, 64)],
        "zero_point": zero_point,
        "min": limits[0],
        "max": limits[1],
    }
    name = f"layer_norm_{x_type}_{y_type}"
    return Case(
        f"layer_norm {seed}: {rows} {length} {x_type}",
        "htvm_layer_norm.h",
        f"HTVM_DEFINE_LAYER_NORM({name}, {native.ENUMERATORS[x_type]}, {native.ENUMERATORS[y_type]})",
        f"    {name}({native.struct('htvm_layer_norm_layer', fields)}, x, channels, y);",
        {"x": x_memory, "channels": channels, "y": y_memory * 0},
        y_memory,
    )


@pytest.mark.parametrize("compiler", native.COMPILERS)
def test_layer_norm_equals_definition(compiler, tmp_path):
    native.check([layer_norm_case(seed) for seed in range(240)], compiler, tmp_path)
