"""Step functions and weighted sums against the formula, on every type and layout."""

from fractions import Fraction
from math import floor

import native
import numpy as np
import pytest
from native import Case

TYPES = ("int8", "uint8", "int16", "uint16", "int32")


def threshold_case(seed: int) -> Case:
    generator = np.random.default_rng(seed)
    x_type, y_type = TYPES[seed % 5], TYPES[seed // 5 % 4]
    shape = tuple(int(size) for size in generator.integers(1, 6, 4))
    info, result = np.iinfo(x_type), np.iinfo(y_type)
    x = generator.integers(info.min, info.max, shape, x_type, endpoint=True)
    count = int(generator.integers(1, 9))
    starts = np.sort(generator.choice(np.append(x.reshape(-1), info.max), count)).astype(np.int32)
    values = generator.integers(result.min, result.max, count + 1, y_type, endpoint=True)
    expected = values[(x[..., None].astype(np.int64) >= starts).sum(-1)]
    x_memory, x_strides = native.laid_out(x, (0, 2, 3, 1))
    y_memory, y_strides = native.laid_out(expected, (0, 1, 2, 3))
    struct = native.struct("htvm_unary_shape", {"size": shape, "x": x_strides, "y": y_strides})
    name = f"threshold_{x_type}_{y_type}"
    return Case(
        f"threshold {seed}",
        "htvm_real.h",
        f"HTVM_DEFINE_THRESHOLD({name}, {native.ENUMERATORS[x_type]}, {native.ENUMERATORS[y_type]})",
        f"    {name}({struct}, x, starts, values, {count}, y);",
        {"x": x_memory, "starts": starts, "values": values, "y": y_memory * 0},
        y_memory,
    )


def weighted_sum_case(seed: int) -> Case:
    """Numerators of up to 60 bits, so that products wrap around; a result of 8 or 16 bits."""
    generator = np.random.default_rng(seed)
    count, even = seed % 4 + 1, seed // 4 % 2
    types = [TYPES[int(generator.integers(5))] for _ in range(count)]
    y_type = ("int8", "uint8", "int16", "uint16")[seed % 4]
    shape = tuple(int(size) for size in generator.integers(1, 5, 4))
    limits = {each: np.iinfo(each) for each in (*types, y_type)}
    inputs = [
        generator.integers(*((-(1 << 22), 1 << 22) if t == "int32" else (limits[t].min, limits[t].max)), shape, t)
        for t in types
    ]
    divisor = 2 * int(generator.integers(1 << 20, 1 << 59))
    reach = {"int32": 1 << 22}
    slopes = [Fraction(int(generator.integers(-1000, 1000)), reach.get(t, int(limits[t].max))) for t in types]
    numerators = [floor(slope * divisor) for slope in slopes]
    rest = int(generator.integers(-(1 << 50), 1 << 50)) + (divisor // 2 if even else 0)
    shift = 28
    multipliers = [round(Fraction(n, divisor) * (1 << shift)) for n in numerators]
    offset = round(Fraction(rest, divisor) * (1 << shift))
    zero_point = int(generator.integers(-9, 9))
    low, high = int(limits[y_type].min), int(limits[y_type].max)
    dividends = sum((x.astype(object) * n for x, n in zip(inputs, numerators, strict=True)), start=rest)
    quotients = np.floor_divide(dividends, divisor)
    if even:
        quotients = np.where(dividends % divisor == 0, quotients // 2 * 2, quotients)
    expected = np.clip(quotients + zero_point, low, high).astype(y_type)
    constants = np.array([*multipliers, *numerators, offset, shift, divisor, rest], np.int64)
    memory, places = {}, []
    for number, x in enumerate(inputs):
        memory[f"x{number}"], strides = native.laid_out(x, (0, 2, 3, 1) if number % 2 else (0, 1, 2, 3))
        places.append(strides)
    y_memory, y_strides = native.laid_out(expected, (0, 1, 2, 3))
    strides = {f"x{number}": each for number, each in enumerate([*places, *[(0, 0, 0, 0)] * (4 - count)])}
    fields = {"size": shape, **strides, "y": y_strides, "zero_point": zero_point, "min": low, "max": high}
    struct = native.struct("htvm_weighted_sum_layer", fields)
    all_types = [*types, *["int8"] * (4 - count)]
    name = "_".join(["weighted_sum", str(count), str(even), *all_types, y_type])
    enumerators = ", ".join(native.ENUMERATORS[each] for each in (*all_types, y_type))
    arguments = ", ".join([f"x{n}" for n in range(count)] + ["NULL"] * (4 - count))
    return Case(
        f"weighted sum {seed}",
        "htvm_real.h",
        f"HTVM_DEFINE_WEIGHTED_SUM({name}, {count}, {even}, {enumerators})",
        f"    {name}({struct}, {arguments}, constants, y);",
        {**memory, "constants": constants, "y": y_memory * 0},
        y_memory,
    )


@pytest.mark.parametrize("compiler", native.COMPILERS)
def test_real_equals_formula(compiler, tmp_path):
    native.check([case(seed) for case in (threshold_case, weighted_sum_case) for seed in range(40)], compiler, tmp_path)
