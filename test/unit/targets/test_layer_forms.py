"""Forms of layers: their launches compute what the layer means, and they are offered where they apply only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from mlir import ir

from htvm import dialects
from htvm.backend import targets
from htvm.backend.targets.engines import array_weights
from htvm.backend.targets.engines.array_engine import CLIPS, ArrayEngine
from htvm.backend.targets.engines.shift_requant import Requant
from htvm.backend.targets.forms import channel_blocks, corrected_average, rows_as_channels
from htvm.backend.targets.jobs import Form, Job
from htvm.backend.targets.soc import OffersForms
from htvm.dialects import accel, blocked_layout
from htvm.dialects.accel import FormKind, JobKind
from htvm.dialects.semantics import integers
from htvm.passes.analysis import layout
from htvm.verification.engines import EngineCheck, offer

DIANA = targets.load("diana")
ARRAY = DIANA.accelerator("digital")
assert isinstance(ARRAY, ArrayEngine)


def depthwise(channels: int, size: tuple[int, int], kernel: tuple[int, int], stride: int, pads: tuple[int, ...]) -> Job:
    """Return a depthwise job; pads: top, left, bottom, right."""
    top, left, bottom, right = pads
    rows = (size[0] + top + bottom - kernel[0]) // stride + 1
    columns = (size[1] + left + right - kernel[1]) // stride + 1
    return Job(
        JobKind.CONV2D, channels, channels, size, (rows, columns), kernel, (stride, stride), (top, left, bottom, right),
        groups=channels,
    ).having(shift=7, low=-128, high=127)  # fmt: skip


CASES = [
    (6, (5, 25), (3, 3), 1, (1, 1, 1, 1)),
    (4, (12, 12), (3, 3), 2, (0, 0, 1, 1)),
    (5, (3, 3), (3, 3), 1, (1, 1, 1, 1)),
    (3, (9, 4), (5, 3), 2, (2, 1, 0, 1)),
    (2, (24, 7), (7, 1), 1, (3, 0, 2, 0)),
    (2, (40, 3), (1, 3), 1, (0, 1, 0, 0)),
]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_rows_as_channels_compute_the_depthwise_layer(number: int) -> None:
    """Every size of launch, put together, gives the sums of the convolution itself, requantised."""
    job = depthwise(*CASES[number])
    rng = np.random.default_rng(number)
    x = rng.integers(-128, 128, (job.channels, *job.size), dtype=np.int8)
    weights = rng.integers(-128, 128, (job.outputs, 1, *job.kernel))
    biases = rng.integers(-9999, 9999, job.outputs)
    sums = integers.convolve(x[None].astype(np.int64), weights, job.strides, job.pads, (1, 1), job.groups)[0]
    wanted = np.clip((sums + biases[:, None, None]) >> 7, -128, 127)
    forms = list(rows_as_channels.variants(job))
    assert {form.outputs for form in forms} > {1}
    for form in forms:
        found = np.zeros_like(wanted)
        for first in range(0, job.outputs, form.outputs):
            for top in range(0, job.out_size[0], form.rows):
                outputs = (first, min(first + form.outputs, job.outputs))
                rows = (top, min(top + form.rows, job.out_size[0]))
                tile, (begin, end), _ = replace(job, form=form).tile(outputs, rows, (0, job.out_size[1]))
                lowered = rows_as_channels.lowered(tile)
                matrix = rows_as_channels.matrix(tile, weights[slice(*outputs)])
                repeated = np.repeat(biases[slice(*outputs)], rows[1] - rows[0])
                part = np.ascontiguousarray(x[slice(*outputs), begin:end]).reshape(-1).view(np.uint8)
                made = ARRAY.execute(lowered, [part], array_weights.pack(lowered, matrix, repeated)).view(np.int8)
                found[slice(*outputs), slice(*rows)] = made.reshape(outputs[1] - first, rows[1] - top, -1)
        assert np.array_equal(found, wanted), form


def test_rows_as_channels_are_of_depthwise_layers_only() -> None:
    """One group, or several outputs of a channel, are no depthwise layer; padding beyond the kernel has no cut rows."""
    job = depthwise(4, (5, 5), (3, 3), 1, (1, 1, 1, 1))
    assert not list(rows_as_channels.variants(replace(job, groups=1)))
    assert not list(rows_as_channels.variants(replace(job, outputs=8)))
    assert not list(rows_as_channels.variants(replace(job, kind=JobKind.ADD)))
    far = depthwise(4, (5, 5), (1, 3), 1, (2, 1, 2, 1))
    assert {form.rows for form in rows_as_channels.variants(far)} == {far.out_size[0]}


LAYER = """
func.func @f(%x: tensor<1x20x6x6xi8>) -> tensor<1x20x6x6xi8> {{
  %w = arith.constant dense<1> : tensor<20x1x3x3xi8>
  %y = accel.conv2d %x, %w {{accel.form = #accel.form<kind = rows_as_channels, outputs = {outputs}, rows = 6>,
    strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 20,
    requant = #accel.requant<multiplier = [1], offset = [0], shift = [4], min = -128, max = 127>}}
    : (tensor<1x20x6x6xi8>, tensor<20x1x3x3xi8>) -> tensor<1x20x6x6xi8>
  return %y : tensor<1x20x6x6xi8>
}}"""


@pytest.mark.parametrize("outputs, text", [
    (4, []),
    (19, ["form: found rows_as_channels (19 outputs, 6 rows), wanted a form that the engine offers for the layer"]),
])  # fmt: skip
def test_a_form_that_is_not_offered_is_a_violation(outputs: int, text: list[str]) -> None:
    with dialects.context() as context, ir.Location.unknown():
        module = ir.Module.parse(LAYER.format(outputs=outputs), context)
        (layer,) = accel.layers(module)
        assert [str(each) for each in ARRAY.violations(layer)] == text


def test_an_engine_without_1x_kernels_offers_no_rows_as_channels() -> None:
    with dialects.context() as context, ir.Location.unknown():
        module = ir.Module.parse(LAYER.format(outputs=4), context)
        (layer,) = accel.layers(module)
        assert isinstance(ARRAY, OffersForms)
        assert Form(FormKind.ROWS_AS_CHANNELS, 4, 6) in ARRAY.forms(layer)
        assert not list(replace(ARRAY, kernels=(3, 5)).forms(layer))


def test_forms_for_some_channels_need_room_for_the_weights_of_a_tile() -> None:
    """A launch of a whole form has weights of its own, of less than 4 kB; those of 16 channels are fetched together."""
    with dialects.context() as context, ir.Location.unknown():
        module = ir.Module.parse(LAYER.format(outputs=4), context)
        (layer,) = accel.layers(module)
        small = replace(ARRAY, weights=replace(ARRAY.weights, limit_bytes=4 << 10))
        kinds = [{form.kind for form in engine.forms(layer)} for engine in (ARRAY, small)]
        assert kinds == [{FormKind.ROWS_AS_CHANNELS, FormKind.SOME_ROWS_AS_CHANNELS}, {FormKind.ROWS_AS_CHANNELS}]


def average(pixels: int, scale: int = 1) -> Requant:
    """Return what an average of whole pixels makes of its sum: it, divided by `scale`, to the nearest integer.

    Twice the sum and half a step more are never a multiple of twice an odd number: no tie is broken.
    """
    shift, divisor = 40, 2 * pixels * scale
    return Requant((-(-(1 << shift) // divisor),), (pixels * scale,), (shift,), low=-128, high=127, pre_shift=1)


INPUTS = ((0, 127), (-128, 127), (0, 63))
PIXELS = (3, 5, 7, 9, 25, 49, 59, 63, 81, 121, 125, 127, 169, 225, 289)


@pytest.mark.parametrize("held", INPUTS)
def test_corrected_averages_are_exact_for_every_sum(held: tuple[int, int]) -> None:
    """There are constants for every odd number of pixels, and they give the requantisation of every sum."""
    found = 0
    for pixels in PIXELS:
        requant, ends = average(pixels), (held[0] * pixels, held[1] * pixels)
        constants = corrected_average.solve(requant, *ends, CLIPS, 31)
        if constants is not None:
            found += 1
            sums = np.arange(ends[0], ends[1] + 1)
            assert np.array_equal(constants.results(sums), requant.outputs(sums[None])[0]), pixels
            assert sum(constants.rows) == -constants.estimate_factor and min(constants.rows) >= -128
    assert found == len(PIXELS)


def test_other_scales_are_corrected_too() -> None:
    """A result twice as coarse; and one with offsets that no factors of the correction reach."""
    requant = average(9, scale=2)
    constants = corrected_average.solve(requant, 0, 9 * 127, CLIPS, 31)
    assert constants is not None
    assert np.array_equal(constants.results(np.arange(9 * 127 + 1)), requant.outputs(np.arange(9 * 127 + 1)[None])[0])


@pytest.mark.parametrize("low, high", [(-100, 127), (0, 100), (-64, 63)])
def test_averages_with_a_clip_that_the_array_does_not_have_are_not_corrected(low: int, high: int) -> None:
    requant = replace(average(9), low=low, high=high)
    assert corrected_average.solve(requant, -128 * 9, 127 * 9, CLIPS, 31) is None


POOL = """
func.func @f(%x: tensor<1x12x5x5xi8> {{accel.range = array<i64: {low}, {high}>}}) -> tensor<1x12x1x1xi8> {{
  %y = accel.pool2d %x {{kind = #accel.pool_kind<average>, kernel = array<i64: 5, 5>, strides = array<i64: 1, 1>,
    pads = array<i64: 0, 0, 0, 0>, counts = array<i64: 25>,
    requant = #accel.requant<multiplier = [{multiplier}], offset = [{offset}], shift = [{shift}], min = -128,
                             max = 127>}}
    : (tensor<1x12x5x5xi8>) -> tensor<1x12x1x1xi8>
  return %y : tensor<1x12x1x1xi8>
}}"""


def test_the_launches_of_a_corrected_average_compute_it() -> None:
    """The launches, one after the other in buffers of bytes, give what the interpreter says of the layer."""
    text = POOL.format(low=0, high=127, multiplier=-(-(1 << 30) // 25), offset=12, shift=30)
    with dialects.context() as context, ir.Location.unknown():
        module = ir.Module.parse(text, context)
        (layer,) = accel.layers(module)
        check = EngineCheck("digital")
        offer(DIANA, ARRAY, module, layer, np.random.default_rng(0), check, None)
        assert check.is_sound and check.forms == {"corrected_average": 1} and check.compared["pool2d"] == 72


def test_an_average_that_one_launch_computes_has_no_other_form() -> None:
    text = POOL.format(low=0, high=127, multiplier=1, offset=0, shift=4)
    with dialects.context() as context, ir.Location.unknown():
        module = ir.Module.parse(text, context)
        (layer,) = accel.layers(module)
        assert not ARRAY.violations(layer) and not ARRAY.forms(layer)


def test_channel_blocks_are_the_convolution_of_all_channels() -> None:
    """A map of 5 blocks of 4 channels, each pixel by pixel: the kernel over blocks sums what a 1x1 kernel sums."""
    rng = np.random.default_rng(0)
    job = Job(JobKind.MATVEC, 20, 7, (3, 5), (3, 5))
    for channels in (8, 20):
        job = replace(job, channels=channels)
        (form,) = channel_blocks.variants(job, 4)
        tile = replace(job, form=form)
        lowered = channel_blocks.lowered(tile)
        x, weights = rng.integers(-64, 64, (channels, 3, 5)), rng.integers(-1, 2, (7, channels, 1, 1))
        blocks = x.reshape(-1, 4, 15).transpose(1, 0, 2)  # [channels of a block, blocks, pixels]
        pads, matrix = list(lowered.pads), channel_blocks.matrix(tile, weights)
        found = integers.convolve(blocks[None], matrix, lowered.strides, pads, (1, 1))[0]
        wanted = np.einsum("kc,chw->khw", weights[:, :, 0, 0], x)
        assert lowered.kernel[0] % 2 and np.array_equal(found.reshape(7, 3, 5), wanted)


@pytest.mark.parametrize("other", [
    {"kernel": (3, 3)}, {"strides": (2, 2)}, {"pads": (1, 0, 0, 0)}, {"channels": 4}, {"channels": 18}, {"groups": 20},
])  # fmt: skip
def test_channel_blocks_are_of_1x1_convolutions_of_several_whole_blocks(other: dict[str, Any]) -> None:
    job = Job(JobKind.MATVEC, 20, 7, (3, 5), (3, 5))
    assert list(channel_blocks.variants(job, 4))
    assert not list(channel_blocks.variants(replace(job, **other), 4))


def test_types_in_blocks_say_so() -> None:
    """The map says how many channels a block has, on tensors and on memrefs; others have no blocks."""
    with dialects.context(), ir.Location.unknown():
        plain = ir.RankedTensorType.get([1, 32, 3, 5], ir.IntegerType.get_signless(8))
        blocked = blocked_layout.in_blocks(plain, 16)
        assert blocked_layout.block_of(blocked) == blocked_layout.block_of(layout.memref(blocked, "l1")) == 16
        assert blocked_layout.block_of(plain) is None
        assert blocked_layout.block_of(layout.with_axes(plain, layout.NHWC)) is None
        assert layout.is_permutation(blocked) and not layout.is_row_major(blocked)
        assert not layout.same_places(blocked, plain) and layout.same_places(blocked, blocked)
