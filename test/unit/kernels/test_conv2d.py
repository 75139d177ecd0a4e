"""conv2d and depthwise kernels against the formula, on random shapes, layouts, types and extreme weights."""

import native
import numpy as np
import pytest
import reference
from native import Case
from scaling import limits_of, random_scaling
from selection import first

from htvm.backend.kernels.built_in.packed import window_order
from htvm.backend.kernels.scalar import conv2d_weights
from htvm.dialects import packed_weights

NCHW, NHWC = (0, 1, 2, 3), (0, 2, 3, 1)
TYPES = [
    ("int8", "int8", "int8", "NARROW"),
    ("uint8", "int8", "uint8", "NARROW_EACH"),
    ("int16", "int16", "int8", "WIDE"),
    ("int8", "int8", "int32", "RAW"),
    ("uint8", "int8", "int16", "HALF_EVEN"),
]
"""Of input, weights and output, and how accumulators become outputs: each occurs."""


def random_array(generator, dtype, shape):
    """Return random elements; now and then all the smallest, all the largest or all zero.

    Those of 16 bits are as far from their limits as real ones, so that accumulators fit 32 bits.
    """
    low, high = (-1000, 1000) if dtype == "int16" else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    kind = generator.integers(8)
    if kind < 3:
        return np.full(shape, [low, high, 0][kind], dtype)
    return generator.integers(low, high, shape, dtype, endpoint=True)


def conv2d_case(seed: int, depthwise: str | None = None, unit: int | None = None) -> Case:
    """depthwise: "3x3", "words" or "any" for the kernels of that name. unit: of the packed kernel."""
    generator = np.random.default_rng(seed)

    def pick(*choices):
        return choices[generator.integers(len(choices))]

    is_words = depthwise == "words"
    types = TYPES if unit is None and not is_words else [each for each in TYPES if each[0] in ("int8", "uint8")]
    x_type, w_type, y_type, form = types[seed % len(types)]
    if depthwise in ("3x3", "words"):
        stride = pick(1, 2)
        kernel, strides, dilations = (3, 3), (stride, stride), (1, 1)
        pads = tuple(int(pad) for pad in generator.integers(0, 4 if is_words else 2, 4))
    else:
        kernel = tuple(int(size) for size in generator.integers(1, 5, 2))
        strides = tuple(int(size) for size in generator.integers(1, 4, 2))
        dilations = pick((1, 1), (1, 1), (2, 1), (1, 2), (3, 2))
        pads = pick((0, 0, 0, 0), tuple(int(pad) for pad in generator.integers(0, 5, 4)))
    groups = int(pick(1, 1, 1, 2, 3)) if depthwise is None else int(pick(4, 8, 12)) if is_words else int(pick(1, 2, 5))
    channels = int(pick(1, 2, 3, 4, 7, 8, 13)) if depthwise is None else 1
    out_channels = int(pick(1, 2, 3, 4, 5, 8, 9, 16)) if depthwise is None else 1 if is_words else int(pick(1, 1, 2))
    sizes = []
    for axis in range(2):
        least = max(1, dilations[axis] * (kernel[axis] - 1) + 1 - pads[axis] - pads[axis + 2])
        more = pick(0, 0, 1, 2, 5, 9) if unit is None else strides[axis] * pick(2, 3, 5)  # six pixels at least
        sizes.append(least + int(more))
    pad_value = (
        pick(0, 5, 1000) if x_type == "int16" else pick(0, 5, int(np.iinfo(x_type).min), int(np.iinfo(x_type).max))
    )

    x = random_array(generator, x_type, (1, groups * channels, *sizes))
    weights = random_array(generator, w_type, (groups * out_channels, channels, *kernel))
    acc = reference.conv2d(x, weights, strides, pads, dilations, groups, pad_value)
    scaling = random_scaling(generator, form, len(weights), int(np.abs(acc).max()), limits_of(y_type, generator))
    expected = scaling(acc).astype(y_type)

    x_order, y_order = NHWC if is_words else pick(NHWC, NHWC, NCHW), pick(NHWC, NHWC, NCHW)
    x_memory, x_strides = native.laid_out(x, x_order)
    y_memory, y_strides = native.laid_out(expected, y_order)
    in_place = groups == 1 and (x_strides[1] == 1 or channels == 1)
    in_place = (
        in_place and (kernel[1] == 1 or (x_strides[3] == channels and dilations[1] == 1)) and pick(True, True, False)
    )
    fields = {
        "in_height": sizes[0],
        "in_width": sizes[1],
        "out_height": acc.shape[2],
        "out_width": acc.shape[3],
        "kernel_h": kernel[0],
        "kernel_w": kernel[1],
        "stride_h": strides[0],
        "stride_w": strides[1],
        "dilation_h": dilations[0],
        "dilation_w": dilations[1],
        "pad_top": pads[0],
        "pad_left": pads[1],
        "pad_value": pad_value,
        **dict(zip(("x_c", "x_h", "x_w"), x_strides[1:])),
        **dict(zip(("y_c", "y_h", "y_w"), y_strides[1:])),
        "requant": scaling.fields,
    }
    buffers = {"x": x_memory, "scales": scaling.constants, "y": np.full_like(y_memory, 77)}
    types = ", ".join(native.ENUMERATORS[each] for each in (x_type, w_type, y_type))
    short = f"{x_type}_{w_type}_{y_type}_{form.lower()}"
    title = f"seed {seed}: {x_type} {x.shape} * {w_type} {weights.shape} strides {strides} pads {pads} {dilations}"
    if depthwise is not None:
        layer = {"channels": len(weights), "multiplier": out_channels, **fields}
        stride = f"{strides[0]}, " if depthwise != "any" else ""
        name = f"depthwise{depthwise}_{strides[0] if stride else 0}_{short}"
        macro = {"3x3": "DEPTHWISE3X3", "words": "DEPTHWISE_WORDS", "any": "DEPTHWISE"}[depthwise]
        if is_words:
            reach = [(side - 1) * strides[0] + 3 for side in acc.shape[2:]]
            buffers["scratch"] = np.full(4 * reach[0] * reach[1], 0x5A, np.uint8)
        return Case(
            title,
            "htvm_depthwise_words.h" if is_words else "htvm_depthwise.h",
            f"HTVM_DEFINE_{macro}({name}, {stride}{types}, HTVM_{form})",
            f"    {name}({native.struct('htvm_depthwise_layer', layer)}, x, weights, scales, "
            f"{'scratch, ' if is_words else ''}y);",
            {**buffers, "weights": weights.reshape(-1)},
            y_memory,
        )
    layer = {"groups": groups, "in_channels": channels, "out_channels": out_channels, **fields}
    if unit is not None:
        limits = np.iinfo(x_type)
        ordered = window_order(weights, groups, x_strides[1] == 1)
        packed = [packed_weights.pack_weights(group, unit, limits.min, limits.max) for group in ordered]
        layer |= {"unit": unit, "runs": packed[0].runs}
        buffers["weights"] = np.concatenate([each.dense.reshape(-1) for each in packed])
        buffers["rest"] = np.concatenate([each.rest for each in packed])
        taps = channels * kernel[0] * kernel[1]
        buffers["window"] = np.zeros(packed_weights.WORDS * max(taps, unit * packed[0].runs), np.int32)
        types = f"{native.ENUMERATORS[x_type]}, {native.ENUMERATORS[y_type]}, HTVM_{form}"
        pack = f"pack_windows_{x_type}"
        return Case(
            f"unit {unit} {title}",
            "htvm_packed.h",
            f"HTVM_DEFINE_PACK_WINDOWS({pack}, {native.ENUMERATORS[x_type]})\n"
            f"HTVM_DEFINE_PACKED(packed_{short}, {types}, {pack})",
            f"    packed_{short}({native.struct('htvm_packed_layer', layer)}, x, weights, rest, scales, window, y);",
            buffers,
            y_memory,
        )
    buffers["weights"] = conv2d_weights(weights, groups, collected=not in_place)
    if not in_place:
        buffers["window"] = np.zeros(2 * channels * kernel[0] * kernel[1], x_type)
    name = f"conv2d_{short}"
    window = "NULL" if in_place else "window"
    return Case(
        title,
        "htvm_conv2d.h",
        f"HTVM_DEFINE_CONV2D({name}, {types}, HTVM_{form})",
        f"    {name}({native.struct('htvm_conv2d_layer', layer)}, x, weights, scales, {window}, y);",
        buffers,
        y_memory,
    )


SHARES = first([slice(150), slice(150, 400)], 1)
"""Of the seeds of each kernel: of the first ones, each combination of types has 30 or more."""


@pytest.mark.parametrize("share", SHARES, ids=["quick", "rest"])
@pytest.mark.parametrize("compiler", native.COMPILERS)
def test_conv2d_equals_formula(compiler, share, tmp_path):
    native.check([conv2d_case(seed) for seed in range(400)[share]], compiler, tmp_path)


@pytest.mark.parametrize("share", first([range(60), range(60, 200)], 1), ids=["quick", "rest"])
@pytest.mark.parametrize("compiler", native.COMPILERS)
def test_depthwise_equals_formula(compiler, share, tmp_path):
    cases = [conv2d_case(seed, kind) for kind in ("3x3", "any", "words") for seed in share]
    native.check(cases, compiler, tmp_path)


@pytest.mark.parametrize("share", first([range(30), range(30, 80)], 1), ids=["quick", "rest"])
@pytest.mark.parametrize("compiler", native.COMPILERS)
def test_packed_equals_formula(compiler, share, tmp_path):
    cases = [conv2d_case(seed, unit=unit) for unit in packed_weights.UNITS for seed in share]
    native.check(cases, compiler, tmp_path)
