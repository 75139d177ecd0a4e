"""Kernels with their output over their input, as far before it as trails.py says, in poisoned memory."""

from dataclasses import replace
from pathlib import Path

import native
import numpy as np
import pytest
import reference
from native import Case
from scaling import limits_of, random_scaling
from test_reductions import pool2d_case_and_fields

from htvm.backend import kernels
from htvm.backend.kernels.built_in.packed import window_order
from htvm.backend.kernels.scalar import conv2d_weights
from htvm.backend.kernels.trails import Trail, Walk, of_pool
from htvm.dialects import packed_weights, winograd_weights

KERNELS = ("packed", "winograd", "collected", "in_place", "depthwise_3x3", "depthwise_words")
POISON = 0x5A
NHWC = (0, 2, 3, 1)


def trailing_case(kernel: str, seed: int) -> tuple[Case, Walk]:
    """Return a layer with x and y apart, and its walk."""
    generator = np.random.default_rng(seed)

    def pick(*choices):
        return choices[generator.integers(len(choices))]

    is_words, is_winograd = kernel == "depthwise_words", kernel == "winograd"
    is_depthwise = is_words or kernel == "depthwise_3x3"
    window = (3, 3) if is_depthwise or is_winograd else tuple(int(side) for side in generator.integers(1, 5, 2))
    stride = pick(1, 2)
    strides = (1, 1) if is_winograd else (stride, stride) if is_depthwise else (pick(1, 2, 3), pick(1, 2))
    dilations = (1, 1) if is_depthwise or is_winograd or kernel == "in_place" else pick((1, 1), (2, 1), (1, 2))
    pads = tuple(int(pad) for pad in generator.integers(0, 2 if is_depthwise else 4, 4))
    groups = (
        pick(4, 8)
        if is_words
        else pick(4, 6, 8)
        if is_depthwise
        else 1
        if kernel in ("in_place", "collected", "winograd")
        else pick(1, 1, 2)
    )
    channels = 1 if is_depthwise else pick(1, 4, 6, 16)
    outputs = 1 if is_depthwise else pick(1, 3, 4, 9, 16)
    size = tuple(
        max(1, dilations[axis] * (window[axis] - 1) + 1 - pads[axis] - pads[axis + 2])
        + strides[axis] * pick(2, 3, 5, 9, 14)
        for axis in range(2)
    )
    x = generator.integers(-128, 128, (1, groups * channels, *size)).astype(np.int8)
    weights = generator.integers(-128, 128, (groups * outputs, channels, *window)).astype(np.int8)
    pad_value = int(generator.integers(-128, 128))
    acc = reference.conv2d(x, weights, strides, pads, dilations, groups, pad_value)
    y_type, form = (
        pick(("int8", "NARROW"), ("int8", "NARROW"), ("int32", "RAW")) if not is_depthwise else ("int8", "NARROW")
    )
    scaling = random_scaling(generator, form, len(weights), int(np.abs(acc).max()), limits_of(y_type, generator))
    expected = scaling(acc).astype(y_type)
    x_memory, x_strides = native.laid_out(x, NHWC)
    y_memory, y_strides = native.laid_out(expected, NHWC)
    out_size = acc.shape[2:]
    walk = Walk(
        groups,
        (groups * channels, groups * outputs),
        size,
        out_size,
        window,
        strides,
        dilations,
        pads[:2],
        x_strides[1:],
        y_strides[1:],
        1,
        expected.itemsize,
    )
    along_columns = is_depthwise and out_size[0] > out_size[1]  # as depthwise_call does it
    turn = (lambda pair: tuple(pair)[::-1]) if along_columns else tuple
    if along_columns:
        weights = np.swapaxes(weights, 2, 3)
    fields = {
        **dict(zip(("in_height", "in_width"), turn(size))),
        **dict(zip(("out_height", "out_width"), turn(out_size))),
        **dict(zip(("kernel_h", "kernel_w"), turn(window))),
        **dict(zip(("stride_h", "stride_w"), turn(strides))),
        **dict(zip(("dilation_h", "dilation_w"), turn(dilations))),
        **dict(zip(("pad_top", "pad_left"), turn(pads[:2]))),
        "pad_value": pad_value,
        "x_c": x_strides[1],
        **dict(zip(("x_h", "x_w"), turn(x_strides[2:]))),
        "y_c": y_strides[1],
        **dict(zip(("y_h", "y_w"), turn(y_strides[2:]))),
        "requant": scaling.fields,
    }
    linear = {"groups": groups, "in_channels": channels, "out_channels": outputs, **fields}
    buffers = {"x": x_memory, "scales": scaling.constants, "y": y_memory}
    y_name = native.ENUMERATORS[y_type]
    short = f"{kernel}_{y_type}_{stride}"
    title = f"{kernel} seed {seed}: {x.shape} -> {expected.shape} {window} strides {strides} {dilations} pads {pads}"
    if is_depthwise:
        macro, header = ("DEPTHWISE_WORDS", "_words") if is_words else ("DEPTHWISE3X3", "")
        definition = f"HTVM_DEFINE_{macro}({short}, {stride}, HTVM_INT8, HTVM_INT8, {y_name}, HTVM_{form})"
        layer = native.struct("htvm_depthwise_layer", {"channels": len(weights), "multiplier": 1, **fields})
        buffers["weights"] = weights.reshape(-1)
        if is_words:
            reach = [(side - 1) * stride + 3 for side in out_size]
            buffers["scratch"] = np.full(4 * reach[0] * reach[1], POISON, np.uint8)
        call = f"{short}({layer}, x, weights, scales, {'scratch, ' if is_words else ''}y);"
        return Case(title, f"htvm_depthwise{header}.h", definition, call, buffers, y_memory), walk
    if is_winograd:
        definition = (
            "HTVM_DEFINE_WINOGRAD_BLOCKS(blocks, HTVM_INT8)\n"
            f"HTVM_DEFINE_WINOGRAD({short}, HTVM_INT8, {y_name}, HTVM_{form}, blocks)"
        )
        kept = {key: value for key, value in linear.items() if key not in NOT_WINOGRAD}
        layer = native.struct("htvm_winograd_layer", {**kept, "channels": winograd_weights.padded(channels)})
        buffers["weights"] = winograd_weights.transformed(weights)
        buffers["scratch"] = np.full(winograd_weights.scratch_bytes(channels, 1), POISON, np.uint8)
        call = f"{short}({layer}, x, weights, scales, scratch, y);"
        return Case(title, "htvm_winograd.h", definition, call, buffers, y_memory), walk
    if kernel == "packed":
        unit = pick(*packed_weights.UNITS)
        packed = [packed_weights.pack_weights(group, unit, -128, 127) for group in window_order(weights, groups, True)]
        definition = (
            "HTVM_DEFINE_PACK_WINDOWS(pack_windows, HTVM_INT8)\n"
            f"HTVM_DEFINE_PACKED({short}, HTVM_INT8, {y_name}, HTVM_{form}, pack_windows)"
        )
        layer = native.struct("htvm_packed_layer", {**linear, "unit": unit, "runs": packed[0].runs})
        buffers["weights"] = np.concatenate([each.dense.reshape(-1) for each in packed])
        buffers["rest"] = np.concatenate([each.rest for each in packed])
        taps = max(channels * window[0] * window[1], unit * packed[0].runs)
        buffers["window"] = np.zeros(packed_weights.WORDS * taps, np.int32)
        call = f"{short}({layer}, x, weights, rest, scales, window, y);"
        return Case(title, "htvm_packed.h", definition, call, buffers, y_memory), walk
    definition = f"HTVM_DEFINE_CONV2D({short}, HTVM_INT8, HTVM_INT8, {y_name}, HTVM_{form})"
    layer = native.struct("htvm_conv2d_layer", linear)
    buffers["weights"] = conv2d_weights(weights, groups, collected=kernel == "collected")
    if kernel == "collected":
        buffers["window"] = np.zeros(2 * channels * window[0] * window[1], np.int8)
    call = f"{short}({layer}, x, weights, scales, {'window' if kernel == 'collected' else 'NULL'}, y);"
    return Case(title, "htvm_conv2d.h", definition, call, buffers, y_memory), walk


NOT_WINOGRAD = ("groups", "kernel_h", "kernel_w", "stride_h", "stride_w", "dilation_h", "dilation_w", "x_c")


def overlapped(case: Case, gap: int) -> Case:
    """Return the case with its output `gap` bytes before its input, in one block of memory."""
    x, y = case.buffers["x"], case.buffers["y"]
    memory = np.full(max(gap + x.nbytes, y.nbytes), POISON, np.uint8)
    memory[gap : gap + x.nbytes] = x.view(np.uint8)
    buffers = {name: array for name, array in case.buffers.items() if name not in ("x", "y")}
    body = f"    const void *x = (unsigned char *)memory + {gap};\n    void *y = memory;\n    {case.body}"
    return replace(case, body=body, buffers={"memory": memory, **buffers})


def known(kernel: str, count: int) -> list[tuple[Case, Trail]]:
    """Return random cases of a kernel that may overlap, and how."""
    found = [
        (case, kernels.found(kernel).trail_of(walk))
        for case, walk in (trailing_case(kernel, seed) for seed in range(count))
    ]
    return [(case, trail) for case, trail in found if trail is not None]


@pytest.mark.parametrize("kernel", KERNELS)
def test_outputs_may_trail_inputs_by_what_is_said(kernel, tmp_path):
    cases = known(kernel, 50)
    assert len(cases) > 20
    gaps = [gap for _, trail in cases for gap in (trail.distance, trail.distance + 3 * trail.multiple)]
    twice = [case for case, _ in cases for _ in range(2)]
    native.check([overlapped(case, gap) for case, gap in zip(twice, gaps, strict=True)], native.COMPILERS[0], tmp_path)


def test_pairs_of_a_column_are_pairs_in_c() -> None:
    """A 1x1 layer on one column is one row in C: the outputs of two pixels are written before all of both is read."""
    column = Walk(1, (16, 16), (5, 1), (5, 1), (1, 1), (1, 1), (1, 1), (0, 0), (1, 16, 16), (1, 16, 16))
    assert kernels.found("in_place").trail_of(column) == Trail(2 * 16)


@pytest.mark.parametrize("bytes", ["", "HTVM_SIGNED"], ids=["pool2d", "pool2d_words"])
def test_pools_may_trail_their_input_by_what_is_said(bytes: str, tmp_path: Path) -> None:
    cases = []
    for seed in range(40):
        case, fields = pool2d_case_and_fields(seed, bytes)
        y_bytes = case.expected.itemsize
        pair = {name: tuple(fields[f"{name}_{axis}"] for axis in "hw") for name in ("stride", "dilation", "kernel")}
        channels = fields["channels"]
        walk = Walk(
            channels,
            (channels, channels),
            (fields["in_height"], fields["in_width"]),
            (fields["out_height"], fields["out_width"]),
            pair["kernel"],
            pair["stride"],
            pair["dilation"],
            (fields["pad_top"], fields["pad_left"]),
            tuple(fields[f"x_{axis}"] for axis in "chw"),
            tuple(fields[f"y_{axis}"] for axis in "chw"),
            1,
            y_bytes,
        )
        if (trail := of_pool(walk)) is not None:
            trail = trail.aligned(4)  # as buffers are: the kernel loads words
            cases += [overlapped(case, trail.distance + more * trail.multiple) for more in (0, 3)]
    assert len(cases) > 40
    native.check(cases, native.COMPILERS[0], tmp_path)


@pytest.mark.parametrize("kernel", ["packed", "winograd"])
def test_less_would_be_wrong(kernel, tmp_path):
    """One pixel closer, most outputs differ: the distances promise no more than they must."""
    cases = [(case, trail.distance) for case, trail in known(kernel, 40)]
    closer = []
    for case, distance in cases:
        pixel = case.expected.nbytes // case.expected.size * next(iter(channels_of(case)))
        if distance >= pixel:
            closer.append(overlapped(case, distance - pixel))
    found = native.run(closer, native.COMPILERS[0], tmp_path)
    wrong = [not np.array_equal(each, case.expected) for each, case in zip(found, closer, strict=True)]
    assert len(wrong) > 5 and sum(wrong) > len(wrong) // 2


def channels_of(case: Case):
    """Yield the output channels, which the title ends its second shape with."""
    yield int(case.title.split("-> (1, ")[1].split(",")[0])


@pytest.mark.parametrize(
    ("kernel", "stride", "distance"),
    [
        ("depthwise_3x3", 1, 48 * 8),  # one row behind: the next row reads it, and a channel meets no other
        ("depthwise_3x3", 2, 0),
        ("depthwise_words", 1, 0),  # all of a channel is read first
        ("depthwise_words", 2, 0),
        ("winograd", 1, 4 * 48 * 8 + 8),  # four tiles are 16 columns of four rows; their last column is read again
        ("packed", 1, 49 * 8),  # the pixel after those that were written reads a row and a pixel before it
    ],
)
def test_distances_of_a_feature_map_of_48_by_48(kernel, stride, distance):
    groups, out = (8, 48 // stride) if kernel.startswith("depthwise") else (1, 48 // stride)
    x, y = (1, 48 * 8, 8), (1, out * 8, 8)
    walk = Walk(groups, (8, 8), (48, 48), (out, out), (3, 3), (stride, stride), (1, 1), (1, 1), x, y)
    trail = kernels.found(kernel).trail_of(walk)
    assert trail is not None and trail.distance == distance
