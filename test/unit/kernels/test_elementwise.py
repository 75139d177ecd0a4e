"""Element-wise kernels against the formula: broadcasting, layouts, in place."""

import native
import numpy as np
import pytest
from native import Case
from scaling import limits_of, random_scaling

AXES = ("size", "a", "b", "y")


def random_operands(generator, types):
    """Return two operands that broadcast to one shape, the shape, and the order of its axes in memory."""
    shape = tuple(int(size) for size in generator.integers(1, 6, 4))
    order = [(0, 1, 2, 3), (0, 2, 3, 1)][generator.integers(2)]
    operands = []
    for dtype in types:
        own = tuple(1 if generator.integers(5) == 0 else size for size in shape)
        info = np.iinfo(dtype)
        operands.append(generator.integers(info.min, info.max, own, dtype, endpoint=True))
    return operands, np.broadcast_shapes(*(operand.shape for operand in operands)), order


def binary_case(title, generator, types, form, definition, layer, operands, shape, order, expected, extra=None):
    """`layer` gives the C arguments, but for the shape, which is the first field of the struct."""
    a, b = operands
    a_memory, a_strides = native.laid_out(a, order)
    b_memory, b_strides = native.laid_out(b, order)
    y_memory, y_strides = native.laid_out(expected, order)
    steps = ([0 if n == 1 else s for n, s in zip(x.shape, strides)] for x, strides in ((a, a_strides), (b, b_strides)))
    c_type, name, fields, tail = layer
    struct = native.struct(c_type, {"shape": dict(zip(AXES, (shape, *steps, y_strides))), **fields})
    in_place = a.shape == shape and a.dtype == expected.dtype and generator.integers(2)
    buffers = {"b": b_memory, **(extra or {})} | ({"y": a_memory} if in_place else {"a": a_memory, "y": y_memory * 0})
    call = f"    {name}({struct}, {'y' if in_place else 'a'}, b, {tail}y);"
    return Case(
        f"{title} {types} {a.shape} {b.shape} {form}", "htvm_elementwise.h", definition, call, buffers, y_memory
    )


ADD_TYPES = [("int8", "int8", "int8"), ("uint8", "int8", "uint8"), ("int16", "uint8", "int16")]


def add_case(seed: int) -> Case:
    generator = np.random.default_rng(seed)
    types = ADD_TYPES[seed % len(ADD_TYPES)]
    form = ("NARROW", "WIDE", "HALF_EVEN", "CORRECTED")[seed // 3 % 4]
    (a, b), shape, order = random_operands(generator, types[:2])
    low, high = limits_of(types[2], generator)
    bits = {"NARROW": 13, "HALF_EVEN": 4}.get(form, 30)
    multipliers = [int(each) for each in generator.integers(-(1 << bits), 1 << bits, 2)]
    shift = {"NARROW": 14, "HALF_EVEN": 3}.get(form, 31)
    offset = (1 << shift - 1) + (0 if form == "HALF_EVEN" else int(generator.integers(-(1 << 20), 1 << 20)))
    zero_point, tie_below = (5, 1) if form == "HALF_EVEN" else (0, 0)
    sums = a.astype(np.int64) * multipliers[0] + b.astype(np.int64) * multipliers[1] + offset
    value = sums >> shift
    value = np.where(sums - (value << shift) < tie_below, value - value % 2, value) + zero_point
    expected = np.minimum(np.maximum(value, low), high).astype(types[2])
    fields = {
        "a_multiplier": multipliers[0],
        "b_multiplier": multipliers[1],
        "offset": offset,
        "requant": {"shift": shift, "min": low, "max": high, "zero_point": zero_point, "tie_below": tie_below},
    }
    if form == "CORRECTED":
        divisor = int(generator.integers(1 << 44, 1 << 45)) if seed % 2 else 8
        numerators = [int(divisor * each) for each in generator.uniform(-1, 1, 2)]
        estimates = [round((number << 30) / divisor) for number in numerators]
        exact = a.astype(object) * numerators[0] + b.astype(object) * numerators[1] + divisor // 2
        value = exact // divisor
        value = np.where(exact - value * divisor < 1, value - value % 2, value) + 5
        expected = np.minimum(np.maximum(value, low), high).astype(types[2])
        fields = {
            "a_multiplier": estimates[0],
            "b_multiplier": estimates[1],
            "offset": 1 << 29,
            "requant": {"shift": 30, "min": low, "max": high, "zero_point": 5, "tie_below": 1},
            "a_numerator": numerators[0],
            "b_numerator": numerators[1],
            "divisor": divisor,
            "rest": divisor // 2,
        }
    name = f"add_{'_'.join(types)}_{form.lower()}"
    enumerators = ", ".join(native.ENUMERATORS[each] for each in types)
    definition = f"HTVM_DEFINE_ADD({name}, {enumerators}, HTVM_{form})"
    layer = ("htvm_add_layer", name, fields, "")
    return binary_case(f"add {seed}", generator, types, form, definition, layer, (a, b), shape, order, expected)


def multiply_case(seed: int) -> Case:
    generator = np.random.default_rng(seed)
    types = [("int8", "int8", "int8"), ("uint8", "uint8", "int8")][seed % 2]
    form = ("NARROW", "HALF_EVEN")[seed // 2 % 2]
    (a, b), shape, order = random_operands(generator, types[:2])
    points = [int(each) for each in generator.integers(0, 100, 2)]
    acc = (a.astype(np.int64) - points[0]) * (b.astype(np.int64) - points[1])
    scaling = random_scaling(generator, form, 1, int(np.abs(acc).max()), limits_of(types[2], generator))
    fields = {"a_zero_point": points[0], "b_zero_point": points[1], "requant": scaling.fields}
    name = f"multiply_{'_'.join(types)}_{form.lower()}"
    enumerators = ", ".join(native.ENUMERATORS[each] for each in types)
    definition = f"HTVM_DEFINE_MULTIPLY({name}, {enumerators}, HTVM_{form})"
    layer = ("htvm_multiply_layer", name, fields, "scales, ")
    expected = scaling(acc).astype(types[2])
    extra = {"scales": scaling.constants}
    return binary_case(
        f"multiply {seed}", generator, types, form, definition, layer, (a, b), shape, order, expected, extra
    )


def extreme_case(seed: int) -> Case:
    generator = np.random.default_rng(seed)
    dtype, maximum = ("int8", "uint8", "int16")[seed % 3], seed // 3 % 2
    (a, b), shape, order = random_operands(generator, (dtype, dtype))
    expected = (np.maximum if maximum else np.minimum)(a, b)
    name = f"extreme_{dtype}_{maximum}"
    a_memory, a_strides = native.laid_out(a, order)
    b_memory, b_strides = native.laid_out(b, order)
    y_memory, y_strides = native.laid_out(expected, order)
    steps = ([0 if n == 1 else s for n, s in zip(x.shape, strides)] for x, strides in ((a, a_strides), (b, b_strides)))
    struct = native.struct("htvm_binary_shape", dict(zip(AXES, (shape, *steps, y_strides))))
    return Case(
        f"extreme {seed}",
        "htvm_elementwise.h",
        f"HTVM_DEFINE_EXTREME({name}, {native.ENUMERATORS[dtype]}, {maximum})",
        f"    {name}({struct}, a, b, y);",
        {"a": a_memory, "b": b_memory, "y": y_memory * 0},
        y_memory,
    )


def lookup_case(seed: int) -> Case:
    generator = np.random.default_rng(seed)
    x_type, y_type = [("int8", "int8"), ("uint8", "int16"), ("int16", "uint8")][seed % 3]
    lowest, highest = (-128, 255) if x_type == "int16" else (int(np.iinfo(x_type).min) + 3, int(np.iinfo(x_type).max))
    shape = tuple(int(size) for size in generator.integers(1, [6, 6, 6, 14]))
    x = generator.integers(lowest, highest, shape, x_type, endpoint=True)
    info = np.iinfo(y_type)
    table = generator.integers(info.min, info.max, highest - lowest + 1, y_type, endpoint=True)
    expected = table[x.astype(int) - lowest]
    x_memory, x_strides = native.laid_out(x, (0, 1, 2, 3) if seed // 3 % 2 else (0, 2, 3, 1))
    y_memory, y_strides = native.laid_out(expected, (0, 1, 2, 3))
    near = x_strides[3] * (seed // 6 % 2), y_strides[3] * (seed // 12 % 2)
    name = f"lookup_{x_type}_{y_type}_{near[0]}_{near[1]}"
    struct = native.struct("htvm_unary_shape", {"size": shape, "x": x_strides, "y": y_strides})
    return Case(
        f"lookup {seed}",
        "htvm_elementwise.h",
        f"HTVM_DEFINE_LOOKUP({name}, {native.ENUMERATORS[x_type]}, {native.ENUMERATORS[y_type]}, {near[0]}, {near[1]})",
        f"    {name}({struct}, x, table, {lowest}, y);",
        {"x": x_memory, "table": table, "y": y_memory * 0},
        y_memory,
    )


def flip_case(seed: int) -> Case:
    """Rows that begin anywhere, in words or not; y beside or interleaved, or in the place of x."""
    generator = np.random.default_rng(seed)
    shape = tuple(int(size) for size in generator.integers(1, [3, 4, 5, 50]))
    x = generator.integers(-128, 128, shape, np.int8)
    expected = (x.astype(int) + 128).astype(np.uint8)
    x_memory, x_strides = native.laid_out(x, (0, 1, 2, 3))
    y_memory, y_strides = native.laid_out(expected, [(0, 1, 2, 3), (0, 2, 3, 1)][seed % 2])
    y_near = y_strides[3] * (seed // 2 % 2)
    before = seed % 5
    x_memory, y_memory = (np.concatenate([np.zeros(before, each.dtype), each]) for each in (x_memory, y_memory))
    struct = native.struct("htvm_unary_shape", {"size": shape, "x": x_strides, "y": y_strides})
    in_place = seed % 2 == 0 and seed % 3 == 0
    buffers = {"y": x_memory} if in_place else {"x": x_memory, "y": y_memory * 0}
    name = f"flip_{y_near}"
    return Case(
        f"flip {seed}",
        "htvm_elementwise.h",
        f"HTVM_DEFINE_FLIP({name}, {y_near})",
        f"    {name}({struct}, (const int8_t *){'y' if in_place else 'x'} + {before}, (uint8_t *)y + {before});",
        buffers,
        y_memory.view(np.int8) if in_place else y_memory,
    )


def pad_case(seed: int) -> Case:
    """A pad is a fill and a copy into the middle, with another layout: all that fill and copy can do."""
    generator = np.random.default_rng(seed)
    dtype = ("int8", "uint8", "int16", "int32")[seed % 4]
    shape = tuple(int(size) for size in generator.integers(1, 5, 4))
    pads = [tuple(int(size) for size in generator.integers(0, 3, 2)) for _ in shape]
    info = np.iinfo(dtype)
    x = generator.integers(info.min, info.max, shape, dtype, endpoint=True)
    value = int(generator.integers(0, 100))
    expected = np.pad(x, pads, constant_values=value)
    x_memory, x_strides = native.laid_out(x, (0, 2, 3, 1))
    y_memory, y_strides = native.laid_out(expected, (0, 1, 2, 3))
    start = sum(low * stride for (low, _), stride in zip(pads, y_strides))
    struct = native.struct("htvm_unary_shape", {"size": shape, "x": x_strides, "y": y_strides})
    to = f"({expected.dtype}_t *)y + {start}"
    return Case(
        f"pad {seed}",
        "htvm_elementwise.h",
        f"HTVM_DEFINE_FILL(fill_{dtype}, {native.ENUMERATORS[dtype]}) "
        f"HTVM_DEFINE_COPY(copy_{dtype}, {native.ENUMERATORS[dtype]})",
        f"    fill_{dtype}({expected.size}, {value}, y);\n    copy_{dtype}({struct}, x, {to});",
        {"x": x_memory, "y": y_memory * 0},
        y_memory,
    )


@pytest.mark.parametrize("compiler", native.COMPILERS)
def test_elementwise_equals_formula(compiler, tmp_path):
    makers = add_case, multiply_case, extreme_case, lookup_case, flip_case, pad_case
    cases = [case(seed) for case in makers for seed in range(60)]
    native.check(cases, compiler, tmp_path)
