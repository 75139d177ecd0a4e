"""The in-memory array: what it supports and what not, its weights in memory, and what it computes."""

from dataclasses import replace

import numpy as np
import pytest
from target_models import fused_layers, fused_module

from htvm.backend.targets.engines import in_memory_weights
from htvm.backend.targets.engines.host import HostEngine
from htvm.backend.targets.engines.in_memory_engine import InMemoryEngine
from htvm.backend.targets.jobs import Job, JobKind, Layout
from htvm.backend.targets.soc import Operand
from htvm.backend.targets.violations import Quality, Subject, Violation, all_of
from htvm.dialects import accel
from htvm.dialects.semantics import interpreter

ENGINE = InMemoryEngine(
    "array",
    input=Operand("l1", layouts=(Layout.NHWC,)),
    weights=Operand("cells", limit_bytes=147_456),
    output=Operand("l1", layouts=(Layout.NHWC, Layout.NCHW)),
    base=0,
    source="a test",
)


def executed(job: Job, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return what the engine computes, int8."""
    return ENGINE.execute(job, [x.reshape(-1).view(np.uint8)], weights).view(np.int8)


ACCEPTED = (
    "layers/aconv_1x1_128x128_vector", "layers/aconv_1x1_32x64_s2", "layers/aconv_1x1_64x576",
    "layers/aconv_3x3_32x32_signed", "layers/aconv_5x5_16x32", "layers/aconv_nodiv", "refused/aconv_bn_int16",
    "refused/aconv_input_count_odd", "refused/aconv_pad_one_axis", "refused/aconv_pad_uneven",
)  # fmt: skip
"""A batch norm of 16 bits has another one of 8 that is the same for all 64 codes."""

UNSUPPORTED = {
    "layers/aconv_3x3_160x32_rows": "rows: found 1440, wanted at most 1152 (input channels times taps: a sum "
    "in parts is not what the converter sees)",
    "layers/aconv_gain_20": "code scale: found 0.05 (output 0), wanted a power of two, 2^0 to 2^-31",
    "refused/aconv_adc_31": "code clip: found -31..31, wanted -32..31",
    "refused/aconv_adc_8bit": "code clip: found -128..127, wanted -32..31",
    "refused/aconv_bn_9bit": "rescale scale: found 200 over 2^1 (output 3), wanted -128..127 and one shift for all",
    "refused/aconv_depthwise": "groups: found 16, wanted 1",
    "refused/aconv_dilation_2": "dilations: found (2, 2), wanted (1, 1)",
    "refused/aconv_input_8bit": "input values: found -128..127, wanted -64..63 or 0..127",
    "refused/aconv_kernel_2x2": "kernel: found (2, 2), wanted odd on each axis",
    "refused/aconv_shift_per_channel": "rescale shift: found 2 and 0 (output 15), wanted one shift of 0 to 31",
    "refused/aconv_stride_3": "strides: found (3, 3), wanted (1, 1) or (2, 2)",
    "refused/aconv_weight_2": "weight values: found -1..2, wanted -1, 0 or 1",
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepts(name: str) -> None:
    (layer,) = fused_layers(name)
    assert ENGINE.violations(layer) == ()


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_violations(name: str) -> None:
    (layer,) = fused_layers(name)
    assert all_of(ENGINE.violations(layer)) == UNSUPPORTED[name]


def test_the_host_does_not_scale_codes() -> None:
    (layer,) = fused_layers("layers/aconv_nodiv")
    assert HostEngine().violations(layer) == (Violation(Subject.RESULT, Quality.SCALED_CODE, Quality.REQUANTISED),)


def test_outputs_beyond_the_columns_are_tiles() -> None:
    (layer,) = fused_layers("layers/aconv_1x1_64x576")
    assert ENGINE.most_outputs(ENGINE.job(layer)) == 512
    full = Job(JobKind.MATVEC, 128, 512, (8, 8), (8, 8), kernel=(3, 3))
    assert ENGINE.most_outputs(full) == 384  # with all 1152 rows, its scales have no room beside 512 columns


def test_bytes_are_those_of_the_reference() -> None:
    """DORY: rows in steps of 288 and columns of 128, two bits each; here 2 bytes for each column are behind them."""
    assert ENGINE.weight_bytes(Job(JobKind.MATVEC, 16, 16, (8, 8), (8, 8))) == 9_216 + 2 * 128
    assert ENGINE.weight_bytes(Job(JobKind.MATVEC, 64, 64, (8, 8), (8, 8), kernel=(3, 3))) == 2 * 9_216 + 2 * 128


def test_weights_are_found_again() -> None:
    rng = np.random.default_rng(1)
    job = Job(JobKind.MATVEC, 33, 130, (8, 8), (8, 8), kernel=(3, 5))
    weights = rng.integers(-1, 2, (130, 33, 3, 5), np.int8)
    scales, offsets = rng.integers(-128, 128, (2, 130), np.int8)
    packed = in_memory_weights.pack(job, weights, scales, offsets)
    assert packed.dtype == np.uint8
    assert packed.size == ENGINE.weight_bytes(job)
    for found, wanted in zip(in_memory_weights.unpack(job, packed), (weights, scales, offsets), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_computes_what_a_loop_over_all_products_does() -> None:
    """Pixel by pixel in, channel by channel out; codes at both ends of the converter occur."""
    rng = np.random.default_rng(2)
    job = Job(JobKind.MATVEC, 6, 5, (5, 6), (3, 3), kernel=(3, 3), strides=(2, 2), pads=(1, 1, 1, 0)).having(
        shift=3, code_low=-32, code_high=31, rescale_shift=2, low=-64, high=63
    )
    weights = rng.integers(-1, 2, (5, 6, 3, 3), np.int8)
    scales, offsets = rng.integers(-20, 20, (2, 5), np.int8)
    x = rng.integers(-64, 64, (*job.size, job.channels), np.int8)
    wanted, codes = np.empty((5, 3, 3), np.int8), []
    for k, row, column in np.ndindex(5, 3, 3):
        acc = 0
        for c, r, s in np.ndindex(6, 3, 3):
            y, z = 2 * row + r - 1, 2 * column + s - 1
            if 0 <= y < 5 and 0 <= z < 6:
                acc += int(x[y, z, c]) * int(weights[k, c, r, s])
        codes.append(min(max(acc >> 3, -32), 31))
        wanted[k, row, column] = min(max((codes[-1] * int(scales[k]) + int(offsets[k])) >> 2, -64), 63)
    found = executed(job, x, in_memory_weights.pack(job, weights, scales, offsets))
    np.testing.assert_array_equal(found, wanted.reshape(-1))
    assert {-32, 31} <= set(codes)


@pytest.mark.parametrize("layout", [Layout.NHWC, Layout.NCHW])
@pytest.mark.parametrize("name", ["layers/aconv_1x1_64x576", "refused/aconv_pad_uneven", "refused/aconv_bn_int16"])
def test_tiles_make_up_the_layer(name: str, layout: Layout) -> None:
    """An op is cut into tiles of outputs and rows, each packed and executed: the interpreter's result."""
    module = fused_module(name)
    (layer,) = accel.layers(module)
    rng = np.random.default_rng(5)
    x = rng.integers(0, 128, (1, *layer.input.type.shape[1:]), np.int8)
    (wanted,) = interpreter.interpret(module, {"input": x}).values()
    job, found = ENGINE.job(layer), np.empty(wanted.shape[1:], np.int8)
    step = min(ENGINE.most_outputs(job), 300)
    for first in range(0, job.outputs, step):
        for top in range(0, job.out_size[0], 3):
            outputs, rows = (first, min(first + step, job.outputs)), (top, min(top + 3, job.out_size[0]))
            tile, seen, across = job.tile(outputs, rows, (0, job.out_size[1]))
            tile = ENGINE.lowered(tile)
            pixels = x[0].transpose(1, 2, 0)[slice(*seen), slice(*across)].reshape(-1)
            y = executed(replace(tile, layout=layout), pixels, ENGINE.pack(tile, layer, outputs))
            found[slice(*outputs), slice(*rows)] = (
                y.reshape(*tile.out_size, -1).transpose(2, 0, 1)
                if layout == Layout.NHWC
                else y.reshape(-1, *tile.out_size)
            )
    np.testing.assert_array_equal(found, wanted[0])


def test_an_input_of_eight_bits_is_an_error() -> None:
    job = Job(JobKind.MATVEC, 1, 1, (1, 2), (1, 2))
    packed = in_memory_weights.pack(job, np.ones((1, 1, 1, 1)), np.ones(1), np.zeros(1))
    with pytest.raises(OverflowError, match=r"inputs are -64\.\.64, expected -64\.\.63 or 0\.\.127"):
        executed(job, np.array([-64, 64], np.int8), packed)
