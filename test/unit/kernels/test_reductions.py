"""Pooling, softmax and argmax kernels against the formula."""

from fractions import Fraction

import native
import numpy as np
import pytest
import reference
from native import Case
from scaling import limits_of, random_scaling


def pool2d_words_case(seed: int) -> Case:
    """Sums and extremes of four channels at a time, of bytes of each kind."""
    return pool2d_case(seed, ("HTVM_SIGNED", "HTVM_HALF", "HTVM_UNSIGNED")[seed % 3])


def pool2d_case(seed: int, held: str = "") -> Case:
    return pool2d_case_and_fields(seed, held)[0]


def pool2d_case_and_fields(seed: int, held: str = "") -> tuple[Case, dict[str, int]]:
    """Return a pool and the fields of its layer."""
    generator = np.random.default_rng(seed)
    extreme = ("", "MAXIMUM", "", "MINIMUM")[seed // (3 if held else 1) % 4]
    x_type, y_type, form = [("int8", "int8", "NARROW"), ("uint8", "int8", "WIDE"), ("int8", "uint8", "HALF_EVEN")][
        seed % 3
    ]
    if held:
        x_type = "uint8" if held == "HTVM_UNSIGNED" else "int8"
    if extreme:
        y_type = x_type
    kernel = tuple(int(size) for size in generator.integers(1, 17 if held and seed % 5 == 0 else 5, 2))
    strides = tuple(int(size) for size in generator.integers(1, 4, 2))
    dilations = tuple(int(size) for size in generator.choice([1, 2, 3], 2, p=[0.7, 0.2, 0.1]))
    spans = tuple((size - 1) * dilation + 1 for size, dilation in zip(kernel, dilations))
    pads = tuple(int(generator.integers(0, spans[axis])) for axis in (0, 1, 0, 1))
    sizes = [max(1, spans[axis] - pads[axis] - pads[axis + 2]) + int(generator.integers(0, 6)) for axis in range(2)]
    info = np.iinfo(x_type)
    channels = int(generator.integers(1, 6)) * (4 if held else 1)
    low = 0 if held == "HTVM_HALF" else info.min
    x = generator.integers(low, info.max, (1, channels, *sizes), x_type, endpoint=True)
    if held and seed % 4 == 0:  # the largest sums
        x[:] = generator.choice([low, info.max])
    x_memory, x_strides = native.laid_out(x, (0, 2, 3, 1))
    ones = np.ones((1, 1, *sizes), np.int64)
    counts = reference.pool(ones, kernel, strides, pads, 0, np.sum, dilations)[0, 0]
    if counts.min() == 0:  # a window with nothing inside has no meaning
        return pool2d_case_and_fields(seed + 1000, held)
    fields = {
        "channels": x.shape[1],
        "in_height": sizes[0],
        "in_width": sizes[1],
        "out_height": counts.shape[0],
        "out_width": counts.shape[1],
        "kernel_h": kernel[0],
        "kernel_w": kernel[1],
        "stride_h": strides[0],
        "stride_w": strides[1],
        "dilation_h": dilations[0],
        "dilation_w": dilations[1],
        "pad_top": pads[0],
        "pad_left": pads[1],
        **dict(zip(("x_c", "x_h", "x_w"), x_strides[1:])),
    }
    types = native.ENUMERATORS[x_type], native.ENUMERATORS[y_type]
    if extreme:
        outside, reduce = (info.min, np.max) if extreme == "MAXIMUM" else (info.max, np.min)
        expected = reference.pool(x, kernel, strides, pads, outside, reduce, dilations).astype(y_type)
        name, words = f"pool2d_{extreme.lower()}_{x_type}{held.lower()}", "_WORDS" if held else ""
        definition = f"HTVM_DEFINE_POOL2D_EXTREME{words}({name}, {held or types[0]}, HTVM_{extreme})"
        arguments, buffers = "", {}
    else:
        acc = reference.pool(x, kernel, strides, pads, 0, np.sum, dilations)
        listed = np.unique(counts)
        scaling = random_scaling(generator, form, len(listed), int(np.abs(acc).max()), limits_of(y_type, generator))
        entries = np.searchsorted(listed, counts)
        by_entry = scaling(np.stack([acc] * len(listed)), axis=0)
        expected = np.take_along_axis(by_entry, np.broadcast_to(entries, acc.shape)[None], axis=0)[0].astype(y_type)
        name, words = f"pool2d_sum_{x_type}_{y_type}_{form.lower()}{held.lower()}", "_WORDS" if held else ""
        definition = f"HTVM_DEFINE_POOL2D_SUM{words}({name}, {held or types[0]}, {types[1]}, HTVM_{form})"
        arguments, buffers = "counts, scales, ", {"counts": listed.astype(np.int32), "scales": scaling.constants}
        fields["requant"] = scaling.fields
    y_memory, y_strides = native.laid_out(expected, [(0, 1, 2, 3), (0, 2, 3, 1)][generator.integers(2)])
    fields |= dict(zip(("y_c", "y_h", "y_w"), y_strides[1:]))
    case = Case(
        f"pool {seed}: {x.shape} {kernel} {strides} {pads}",
        "htvm_pool2d_words.h" if held else "htvm_pool2d.h",
        definition,
        f"    {name}({native.struct('htvm_pool2d_layer', fields)}, x, {arguments}y);",
        {"x": x_memory, **buffers, "y": y_memory * 0},
        y_memory,
    )
    return case, fields


def softmax_case(seed: int) -> Case:
    generator = np.random.default_rng(seed)
    x_type, y_type = [("int8", "int8"), ("uint8", "uint8"), ("int8", "uint8")][seed % 3]
    shape = tuple(int(size) for size in generator.integers(1, [4, 13, 4]))
    spread = [2, 20, 255][seed // 3 % 3]  # small: many equal elements, so that quotients tie
    low = int(np.iinfo(x_type).min)
    x = generator.integers(low, low + spread, shape, x_type, endpoint=True)
    bits = 24 if seed % 2 else 0
    slope = float(generator.uniform(0.02, 1))
    table = np.array(
        [round(np.exp(-slope * d) * (1 << bits)) for d in range(int(generator.integers(1, 257)))], np.uint64
    )
    zero_point = int(np.iinfo(y_type).min)
    limits = zero_point + int(generator.integers(0, 3)), int(np.iinfo(y_type).max)
    multiplier, shift = [(1, 8), (1, 4), (3, 9)][seed // 2 % 3]

    distance = x.max(axis=1, keepdims=True).astype(int) - x
    e = np.where(distance < len(table), table[np.minimum(distance, len(table) - 1)], 0).astype(object)
    total = e.sum(axis=1, keepdims=True)
    exact = np.vectorize(lambda n, d: round(Fraction(int(n), int(d))), otypes=[object])(e << shift, multiplier * total)
    expected = np.clip(exact.astype(np.int64) + zero_point, *limits).astype(y_type)
    x_memory, x_strides = native.laid_out(x, (0, 2, 1))
    y_memory, y_strides = native.laid_out(expected, (0, 1, 2))
    fields = {
        "size": shape,
        "x": x_strides,
        "y": y_strides,
        "entries": len(table),
        "scale_multiplier": multiplier,
        "scale_shift": shift,
        "zero_point": zero_point,
        "min": limits[0],
        "max": limits[1],
    }
    name = f"softmax_{x_type}_{y_type}"
    return Case(
        f"softmax {seed}",
        "htvm_softmax.h",
        f"HTVM_DEFINE_SOFTMAX({name}, {native.ENUMERATORS[x_type]}, {native.ENUMERATORS[y_type]})",
        f"    {name}({native.struct('htvm_softmax_layer', fields)}, x, table, y);",
        {"x": x_memory, "table": table, "y": y_memory * 0},
        y_memory,
    )


def argmax_case(seed: int) -> Case:
    generator = np.random.default_rng(seed)
    x_type, y_type = [("int8", "int32"), ("uint8", "uint8")][seed % 2]
    smallest, last = seed // 2 % 2, seed // 4 % 2
    shape = tuple(int(size) for size in generator.integers(1, [4, 13, 4]))
    low = int(np.iinfo(x_type).min)
    x = generator.integers(low, low + [1, 5, 255][seed % 3], shape, x_type, endpoint=True)
    ordered = x.astype(int) * (-1 if smallest else 1)
    index = ordered.argmax(1)
    if last:
        index = shape[1] - 1 - ordered[:, ::-1].argmax(1)
    expected = index[:, None].astype(y_type)
    x_memory, x_strides = native.laid_out(x, (0, 2, 1))
    y_memory, y_strides = native.laid_out(expected, (0, 1, 2))
    fields = {"size": shape, "x": x_strides, "y": y_strides, "smallest": smallest, "last": last}
    name = f"argmax_{x_type}_{y_type}"
    return Case(
        f"argmax {seed}",
        "htvm_argmax.h",
        f"HTVM_DEFINE_ARGMAX({name}, {native.ENUMERATORS[x_type]}, {native.ENUMERATORS[y_type]})",
        f"    {name}({native.struct('htvm_argmax_layer', fields)}, x, y);",
        {"x": x_memory, "y": y_memory * 0},
        y_memory,
    )


@pytest.mark.parametrize("compiler", native.COMPILERS)
def test_reductions_equal_formula(compiler, tmp_path):
    makers = pool2d_case, pool2d_words_case, softmax_case, argmax_case
    native.check([case(seed) for case in makers for seed in range(90)], compiler, tmp_path)
