"""Dense layers of one row: one weight or two in a multiplication, all inputs or those that are not `skip`."""

import native
import numpy as np
import pytest
from native import Case
from scaling import limits_of, random_scaling
from test_conv2d import random_array

from htvm.backend.kernels.built_in.paired_row import excess_entries, run_lengths
from htvm.backend.kernels.built_in.sparse_row import sparse_weights
from htvm.backend.kernels.requant import Requant
from htvm.backend.kernels.scalar import conv2d_weights
from htvm.dialects import row_weights

EXCESS = np.dtype([("tap", "<u2"), ("channel", "u1"), ("weight", "i1")])
KERNELS = ("row", "wide_row", "wide_row skips", "quad_row", "quad_row skips", "sparse_row skips")
FORMS = ("NARROW", "NARROW_EACH", "RAW", "WIDE", "HALF_EVEN", "CORRECTED")


def row_case(seed: int, kernel: str) -> Case:
    generator = np.random.default_rng(seed)
    x_type = ("int8", "uint8")[seed % 2]
    form = FORMS[seed // 2 % len(FORMS)]
    y_type = "int32" if form == "RAW" else "int8"
    kernel, skips = kernel.split()[0], " " in kernel
    taps = int(generator.integers(1, 70)) if kernel == "row" else int(generator.choice([4, 8, 12, 64, 200, 1200]))
    k = int(generator.integers(1, 40))
    weights = (random_array(generator, "int8", (k, taps)) // generator.choice([1, 1, 20])).astype(np.int8)
    skip = int(generator.choice([np.iinfo(x_type).min, 3])) if skips else 0
    x = inputs(generator, x_type, weights, skip)
    acc = weights.astype(np.int64) @ x.astype(np.int64)
    scaling = random_scaling(generator, form, k, max(int(np.abs(acc).max()), 100), limits_of(y_type, generator))
    expected = scaling(acc[None])[0].astype(y_type)
    y_c = int(generator.choice([1, 1, 3]))
    y = np.full(1 + (k - 1) * y_c, 77, y_type)
    after = y.copy()
    after[::y_c] = expected
    layer = {"in_channels": taps, "out_channels": k, "y_c": y_c, "requant": scaling.fields}
    buffers = {"x": x, "y": y} | constants(kernel, weights, x_type, skip)
    buffers["scales"] = scaling.constants if skip == 0 else counted_from(skip, weights, scaling)
    macro = "HTVM_DEFINE_PAIRED_ROW" if kernel in ("wide_row", "quad_row") else f"HTVM_DEFINE_{kernel.upper()}"
    struct = {"row": "htvm_conv2d_layer", "sparse_row": "htvm_sparse_row_layer"}.get(kernel, "htvm_paired_row_layer")
    first = {"wide_row": ["HTVM_WORDS", int(skips)], "quad_row": ["HTVM_QUADS", int(skips)]}.get(kernel, [])
    types = [native.ENUMERATORS[x_type], *(["HTVM_INT8"] if kernel == "row" else []), native.ENUMERATORS[y_type]]
    layer |= {"kernel_h": 1, "kernel_w": 1} if kernel == "row" else {"skip": skip}
    name = f"{kernel}_{int(skips)}_{x_type}_{form.lower()}"
    order = ("x", "weights", "words", "runs", "excess", "scales", "y")
    arguments = ", ".join(each for each in order if each in buffers)
    return Case(
        f"seed {seed}: {k} x {taps}, skip {skip}",
        {"row": "htvm_conv2d.h", "sparse_row": "htvm_sparse_row.h"}.get(kernel, "htvm_paired_row.h"),
        f"{macro}({name}, {', '.join(map(str, [*first, *types, f'HTVM_{form}']))})",
        f"    {name}({native.struct(struct, layer)}, {arguments});",
        buffers,
        after,
    )


def inputs(generator: np.random.Generator, x_type: str, weights: np.ndarray, skip: int) -> np.ndarray:
    """Return inputs: random ones, at the limits, those with the largest sum of a channel; many, all or none `skip`."""
    limits = np.iinfo(x_type)
    x = random_array(generator, x_type, weights[0].shape)
    if generator.integers(3) == 0:
        x = np.where(weights[generator.integers(len(weights))] < 0, limits.min, limits.max)
    share = generator.choice([0, 0.5, 0.9, 1])
    other = skip + 1
    x = np.where(generator.random(x.shape) < share, skip, np.where(x == skip, other, x))
    return x.astype(x_type)


def constants(kernel: str, weights: np.ndarray, x_type: str, skip: int) -> dict[str, np.ndarray]:
    if kernel == "row":
        return {"weights": conv2d_weights(weights[:, :, None, None], groups=1, collected=False)}
    if kernel == "sparse_row":
        return {"weights": sparse_weights(weights)}
    limits = np.iinfo(x_type)
    blocks = row_weights.row_blocks(weights, limits.min - skip, limits.max - skip)
    words = [block.words if kernel == "wide_row" else block.quads for block in blocks]
    return {
        "words": np.concatenate(words).reshape(-1),
        "runs": run_lengths(blocks),
        "excess": np.array(excess_entries(blocks), EXCESS),
    }


def counted_from(skip: int, weights: np.ndarray, scaling) -> np.ndarray:
    """Return the constants of a channel for x - skip, as the compiler makes them."""
    quotient = tuple(np.array(each, np.int64) for each in scaling.quotient) if scaling.form == "CORRECTED" else ()
    arrays = (np.asarray(each).astype(np.int64) for each in (scaling.multiplier, scaling.offset, scaling.shift))
    requant = Requant(scaling.form, *arrays, scaling.pre_shift, quotient=quotient)
    moved = requant.counted_from(skip, weights.sum(axis=1, dtype=np.int64))
    rows = scaling.constants
    if scaling.form == "RAW":
        return moved.offset.astype("<i4")
    rows["offset"] = moved.offset
    if quotient:
        rows["r"] = moved.quotient[2]
    return rows


@pytest.mark.parametrize("compiler", native.COMPILERS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_row_equals_formula(kernel, compiler, tmp_path):
    native.check([row_case(seed, kernel) for seed in range(48)], compiler, tmp_path)
