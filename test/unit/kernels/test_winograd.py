"""The Winograd kernel against the formula: any size, padding and channels, and sums as large as it promises."""

import native
import numpy as np
import pytest
import reference
from native import Case
from scaling import limits_of, random_scaling

from htvm.dialects import winograd_weights

TYPES = [
    ("int8", "int8", "NARROW"),
    ("uint8", "uint8", "NARROW_EACH"),
    ("int8", "int32", "RAW"),
    ("uint8", "int16", "HALF_EVEN"),
    ("int8", "int8", "WIDE"),
]
SIDES = (1, 2, 3, 4, 5, 7, 8, 9, 13)
"""Of outputs: less than a tile, whole tiles, and one more; less than four tiles, four, and more."""


def extreme(generator: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return random elements, often only the type's ends, or only one of them."""
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    kind = generator.integers(5)
    if kind < 2:
        return np.full(shape, [low, high][kind], dtype)
    if kind == 2:
        return generator.choice(np.array([low, high], dtype), shape)
    return generator.integers(low, high, shape, dtype, endpoint=True)


def winograd_case(seed: int, channels: int = 0) -> Case:
    """channels: 0 for a random number of them."""
    generator = np.random.default_rng(seed)
    x_type, y_type, form = TYPES[seed % len(TYPES)]
    pads = tuple(int(pad) for pad in generator.integers(0, 5, 4))
    sizes = [max(1, int(generator.choice(SIDES)) + 2 - pads[axis] - pads[axis + 2]) for axis in range(2)]
    sizes = [max(size, 3 - pads[axis] - pads[axis + 2]) for axis, size in enumerate(sizes)]
    channels = channels or int(generator.choice([1, 2, 3, 4, 5, 8, 13]))
    outputs = int(generator.choice([1, 2, 3, 4, 5, 8, 9]))
    pad_value = int(extreme(generator, x_type, (1,))[0])
    x = extreme(generator, x_type, (1, channels, *sizes))
    weights = extreme(generator, "int8", (outputs, channels, 3, 3))
    limits = np.iinfo(x_type)
    assert winograd_weights.sums_fit(weights, int(limits.min), int(limits.max))
    acc = reference.conv2d(x, weights, (1, 1), pads, (1, 1), 1, pad_value)
    scaling = random_scaling(generator, form, outputs, int(np.abs(acc).max()), limits_of(y_type, generator))
    expected = scaling(acc).astype(y_type)
    x_memory, x_strides = native.laid_out(x, (0, 2, 3, 1))
    y_order = (0, 2, 3, 1) if generator.integers(3) else (0, 1, 2, 3)
    y_memory, y_strides = native.laid_out(expected, y_order)
    layer = {
        "in_channels": channels,
        "channels": winograd_weights.padded(channels),
        "out_channels": outputs,
        "in_height": sizes[0],
        "in_width": sizes[1],
        "out_height": acc.shape[2],
        "out_width": acc.shape[3],
        "pad_top": pads[0],
        "pad_left": pads[1],
        "pad_value": pad_value,
        **dict(zip(("x_h", "x_w"), x_strides[2:])),
        **dict(zip(("y_c", "y_h", "y_w"), y_strides[1:])),
        "requant": scaling.fields,
    }
    name = f"winograd_{x_type}_{y_type}_{form.lower()}"
    types = f"{native.ENUMERATORS[x_type]}, {native.ENUMERATORS[y_type]}, HTVM_{form}"
    return Case(
        f"seed {seed}: {x_type} {x.shape} pads {pads} outputs {acc.shape}",
        "htvm_winograd.h",
        f"HTVM_DEFINE_WINOGRAD_BLOCKS(blocks_{x_type}, {native.ENUMERATORS[x_type]})\n"
        f"HTVM_DEFINE_WINOGRAD({name}, {types}, blocks_{x_type})",
        f"    {name}({native.struct('htvm_winograd_layer', layer)}, x, weights, scales, scratch, y);",
        {
            "x": x_memory,
            "scales": scaling.constants,
            "weights": winograd_weights.transformed(weights),
            "scratch": np.full(winograd_weights.scratch_bytes(channels, 1), 0xA5, np.uint8),
            "y": np.full_like(y_memory, 77),
        },
        y_memory,
    )


@pytest.mark.parametrize("compiler", native.COMPILERS)
def test_winograd_equals_the_formula(compiler, tmp_path):
    native.check([winograd_case(seed) for seed in range(120)], compiler, tmp_path)


@pytest.mark.parametrize("compiler", native.COMPILERS)
def test_sums_up_to_the_bound_are_exact(compiler, tmp_path):
    """228 channels of int8, 113 of uint8: 127 * 9 * 228 * 128 is just below 2^25."""
    seeds = range(15)
    counts = [228 if TYPES[seed % len(TYPES)][0] == "int8" else 113 for seed in seeds]
    native.check([winograd_case(seed, count) for seed, count in zip(seeds, counts)], compiler, tmp_path)


@pytest.mark.parametrize(("channels", "fits"), [(229, True), (230, False)])
def test_the_bound_is_the_largest_sum_of_any_inputs(channels, fits):
    weights = np.full((1, channels, 3, 3), 127, np.int8)
    assert winograd_weights.sums_fit(weights, -128, 127) is fits
    assert bool(np.abs(weights.astype(np.int64)).sum() * 128 < 1 << 25) == fits


def test_transformed_weights_fit_16_bits():
    """Every corner of what nine weights can be gives the most in some point."""
    corners = np.array([[-128 if number >> bit & 1 else 127 for bit in range(9)] for number in range(512)])
    points = np.einsum("ar,krs,bs->kab", winograd_weights.G, corners.reshape(-1, 3, 3), winograd_weights.G)
    assert np.abs(points).max() < 1 << 15
