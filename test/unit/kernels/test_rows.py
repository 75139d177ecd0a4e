"""Dense layers of one row: with weights as they are, and with two channels in a word."""

import native
import numpy as np
import pytest
from native import Case
from scaling import limits_of, random_scaling
from test_conv2d import random_array

from htvm.backend.c.constants import conv2d_weights, excess_entries
from htvm.dialects import packed_weights

EXCESS = np.dtype([("tap", "<u2"), ("channel", "u1"), ("weight", "i1")])


def row_case(seed: int, is_wide: bool) -> Case:
    generator = np.random.default_rng(seed)
    x_type = ("int8", "uint8")[seed % 2]
    form = ("NARROW", "NARROW_EACH", "RAW")[seed % 3]
    y_type = "int32" if form == "RAW" else "int8"
    taps = int(generator.choice([8, 16, 24, 64, 200])) if is_wide else int(generator.integers(1, 70))
    k = int(generator.integers(1, 20))
    x = random_array(generator, x_type, (taps,))
    scale = int(generator.choice([1, 1, 20]))  # small weights have long runs
    weights = (random_array(generator, "int8", (k, taps)) // scale).astype(np.int8)
    acc = weights.astype(np.int64) @ x.astype(np.int64)
    scaling = random_scaling(generator, form, k, int(np.abs(acc).max()), limits_of(y_type, generator))
    expected = scaling(acc[None])[0].astype(y_type)
    buffers = {"x": x, "scales": scaling.constants, "y": np.full_like(expected, 77)}
    types = f"{native.ENUMERATORS[x_type]}, {native.ENUMERATORS[y_type]}, HTVM_{form}"
    layer = {"in_channels": taps, "out_channels": k, "y_c": 1, "requant": scaling.fields}
    if is_wide:
        limits = np.iinfo(x_type)
        blocks = packed_weights.widen_weights(weights, limits.min, limits.max)
        buffers["words"] = np.concatenate([block.words.reshape(-1) for block in blocks])
        buffers["excess"] = np.array(excess_entries(blocks), EXCESS)
        name = f"wide_row_{x_type}_{form.lower()}"
        call = f"    {name}({native.struct('htvm_wide_row_layer', layer)}, x, words, excess, scales, y);"
        definition = f"HTVM_DEFINE_WIDE_ROW({name}, {types})"
        return Case(f"seed {seed}: {k} x {taps}", "htvm_wide_row.h", definition, call, buffers, expected)
    layer |= {"kernel_h": 1, "kernel_w": 1}
    buffers["weights"] = conv2d_weights(weights[:, :, None, None], groups=1, collected=False)
    name = f"row_{x_type}_{form.lower()}"
    call = f"    {name}({native.struct('htvm_conv2d_layer', layer)}, x, weights, scales, y);"
    definition = f"HTVM_DEFINE_ROW({name}, {types.replace(', ', ', HTVM_INT8, ', 1)})"
    return Case(f"seed {seed}: {k} x {taps}", "htvm_conv2d.h", definition, call, buffers, expected)


@pytest.mark.parametrize("compiler", native.COMPILERS)
@pytest.mark.parametrize("is_wide", [False, True], ids=["row", "wide_row"])
def test_row_equals_formula(is_wide, compiler, tmp_path):
    native.check([row_case(seed, is_wide) for seed in range(100)], compiler, tmp_path)
