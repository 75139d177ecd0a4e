"""The 16 x 16 array: what it supports and what not, its weights in memory, and what it computes."""

from dataclasses import replace

import numpy as np
import pytest
from mlir import ir
from target_models import integer_layers, integer_module

from htvm.backend.targets import rules
from htvm.backend.targets.engines import array_weights
from htvm.backend.targets.engines.array_engine import ArrayEngine
from htvm.backend.targets.jobs import Job, JobKind, Layout
from htvm.backend.targets.soc import Operand
from htvm.backend.targets.violations import AtMost, Bytes, OneOf, Subject, Violation, all_of
from htvm.dialects import accel
from htvm.dialects.semantics import interpreter

ENGINE = ArrayEngine(
    "array",
    input=Operand("l1"),
    weights=Operand("weights", limit_bytes=65536),
    output=Operand("l1", layouts=(Layout.NCHW, Layout.NHWC)),
    base=0,
    source="a test",
)


def executed(job: Job, inputs: list[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Return what the engine computes, int8."""
    return ENGINE.execute(job, [x.reshape(-1).view(np.uint8) for x in inputs], weights).view(np.int8)


ACCEPTED = (
    "layers/conv2d_3x3_s2_relu", "layers/conv2d_7x5_s1", "layers/conv2d_acc_25_bits", "layers/conv2d_shift0",
    "layers/conv2d_5x7_first", "layers/depthwise_5x5_s2", "layers/dense_128x8_relu", "layers/add_16x32x32_shift4",
    "refused/add_count_odd", "refused/bias_beyond_int32", "refused/cin_3", "refused/dense_30_inputs",
    "refused/divisor_2_32", "refused/no_bias", "refused/pad_one_axis", "refused/pad_uneven", "refused/input_count_odd",
)  # fmt: skip
"""Some break a rule of HTVM that this engine does not need."""

UNSUPPORTED = {
    "add_broadcast": "operands: found 1x8x8x8 of i8 and 1x8x1x1 of i8, wanted two tensors i8 of one shape",
    "add_clip_m64_63": "clip: found -64..63, wanted -128..127",
    "add_relu": "clip: found 0..127, wanted -128..127",
    "add_scaled": "multipliers: found 2097152 and 6291456, wanted equal",
    "channel_multiplier_2": "groups: found 8, of 8 to 16 channels, wanted 1, or as many as input and output channels",
    "clip_0_100": "clip: found 0..100, wanted -128..127 or 0..127",
    "clip_0_255": "output: found ui8, wanted i8",
    "clip_m100_127": "clip: found -100..127, wanted -128..127 or 0..127",
    "clip_m64_63": "clip: found -64..63, wanted -128..127 or 0..127",
    "dense_divisor_1000": "scale: found 0.001 (output 0), wanted a power of two, 2^0 to 2^-31",
    "dilation_2": "dilations: found (2, 2), wanted (1, 1)",
    "divisor_384": "scale: found 0.00260417 (output 0), wanted a power of two, 2^0 to 2^-31",
    "divisor_half": "scale: found 2 (output 0), wanted a power of two, 2^0 to 2^-31",
    "divisor_per_channel": "shift: found 9 (output 0) and 10 (output 1), wanted one shift of 0 to 31",
    "groups_2": "groups: found 2, of 8 to 8 channels, wanted 1, or as many as input and output channels",
    "groups_cout_not_cin": "groups: found 4, of 8 to 4 channels, wanted 1, or as many as input and output channels",
    "kernel_2x2": "kernel: found (2, 2), wanted 1, 3, 5 or 7 on each axis",
    "kernel_4x10": "kernel: found (4, 10), wanted 1, 3, 5 or 7 on each axis",
    "kernel_9x9": "kernel: found (9, 9), wanted 1, 3, 5 or 7 on each axis",
    "stride_1_2": "strides: found (1, 2), wanted (1, 1) or (2, 2)",
    "stride_3": "strides: found (3, 3), wanted (1, 1) or (2, 2)",
    "weight_200": "weight values: found -57..200, wanted -128..127",
    "weight_not_constant": "weights: found values that are computed, wanted constants",
    "aconv_adc_31": "clip: found -31..31, wanted -128..127 or 0..127",
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepts(name: str) -> None:
    assert [ENGINE.violations(layer) for layer in integer_layers(name)] == [()]


@pytest.mark.parametrize("name", UNSUPPORTED)
@pytest.mark.filterwarnings("ignore::htvm.import_onnx.ModelWarning")
def test_violations(name: str) -> None:
    assert all_of(ENGINE.violations(integer_layers(f"refused/{name}")[0])) == UNSUPPORTED[name]


def test_other_ops_violate_its_list_of_ops() -> None:
    layer = next(layer for layer in integer_layers("resnet8_digital") if isinstance(layer, accel.ReshapeOp))
    (violation,) = ENGINE.violations(layer)
    known = ("accel.conv2d", "accel.dense", "accel.pool2d", "accel.add")
    assert violation == Violation(Subject.OP, "accel.reshape", OneOf(known))
    assert str(violation).endswith("wanted accel.conv2d, accel.dense, accel.pool2d or accel.add")


def test_averages_whole_maps_of_a_power_of_two() -> None:
    """Pixels are the channels of a convolution with ones."""
    even, odd = (
        next(layer for layer in integer_layers(f"layers/global_avgpool_{size}") if isinstance(layer, accel.Pool2dOp))
        for size in ("64x8x8", "64x5x25")
    )
    assert ENGINE.violations(even) == ()
    job = ENGINE.job(even)
    assert (job.channels, job.outputs, job.out_size, job["shift"]) == (64, 1, (1, 64), 6)
    assert all_of(ENGINE.violations(odd)) == "scale: found 0.008 (output 0), wanted a power of two, 2^0 to 2^-31"
    odd.operation.attributes["kernel"] = ir.DenseI64ArrayAttr.get([5, 5], odd.operation.context)
    assert "window: found 5x5 of 5x25, wanted the whole map" in all_of(ENGINE.violations(odd))


def test_weights_of_sixteen_outputs_must_fit() -> None:
    (layer,) = integer_layers("layers/dense_640x128_relu")
    small = replace(ENGINE, weights=Operand("weights", limit_bytes=10_000))
    assert [(each.found, each.wanted) for each in small.violations(layer)] == [
        (Bytes(10_496, outputs=16), AtMost(Bytes(10_000)))
    ]
    assert (
        all_of(small.violations(layer)) == "weight bytes: found 10,496 bytes (16 outputs), wanted at most 10,000 bytes"
    )


def test_its_rules_can_be_listed() -> None:
    lines = rules.listed(ENGINE.rules)
    assert "accel.conv2d strides: (1, 1) or (2, 2) [a test]" in lines
    assert len(lines) == len(set(lines))


JOBS = (
    Job(JobKind.CONV2D, 3, 20, (9, 7), (9, 7), kernel=(3, 3), pads=(1, 1, 1, 1)).having(shift=7, low=-128, high=127),
    Job(JobKind.CONV2D, 5, 16, (9, 8), (5, 4), kernel=(5, 3), strides=(2, 2), pads=(2, 0, 2, 1)).having(
        shift=9, low=0, high=127
    ),
    Job(JobKind.CONV2D, 4, 8, (4, 6), (4, 6), layout=Layout.NHWC).having(shift=4, low=-128, high=127),
    Job(JobKind.DENSE, 30, 10, (1, 1), (1, 1)).having(shift=6, low=-128, high=127),
)


def weights_of(job: Job, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    weights = rng.integers(-128, 128, (job.outputs, job.channels, *job.kernel), np.int8)
    return weights, rng.integers(-(1 << 31), 1 << 31, job.outputs, np.int32)


@pytest.mark.parametrize("job", JOBS, ids=lambda job: f"{job.kind}_{job.channels}x{job.outputs}")
def test_weights_are_found_again(job: Job) -> None:
    weights, biases = weights_of(job, np.random.default_rng(1))
    packed = array_weights.pack(job, weights, biases)
    assert packed.dtype == np.uint8
    assert packed.size == ENGINE.weight_bytes(job)
    for found, wanted in zip(array_weights.unpack(job, packed), (weights, biases), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_bytes_of_weights_are_those_of_the_reference() -> None:
    """DORY: 16 lanes for each tap and 4 bytes of bias for each lane; a dense layer has slots of 16 bytes."""
    assert ENGINE.weight_bytes(Job(JobKind.CONV2D, 64, 64, (8, 8), (8, 8), kernel=(3, 3))) == 64 * 576 + 64 * 4
    assert ENGINE.weight_bytes(Job(JobKind.DENSE, 128, 8, (1, 1), (1, 1))) == 128 * 16 + 16 * 16
    depthwise = Job(JobKind.CONV2D, 32, 32, (8, 8), (8, 8), kernel=(3, 3), groups=32)
    assert ENGINE.weight_bytes(depthwise.tile((5, 6), (0, 8), (0, 8))[0]) == 16 * 9 + 64


def test_outputs_are_limited_by_the_weight_memory() -> None:
    assert ENGINE.most_outputs(Job(JobKind.CONV2D, 256, 256, (3, 3), (3, 3))) == 240  # DORY splits it into 240 + 16
    assert ENGINE.most_outputs(Job(JobKind.CONV2D, 64, 64, (8, 8), (8, 8), kernel=(3, 3), groups=64)) == 16
    assert ENGINE.most_outputs(Job(JobKind.CONV2D, 4096, 16, (1, 1), (1, 1))) == 0


@pytest.mark.parametrize("job", JOBS, ids=lambda job: f"{job.kind}_{job.channels}x{job.outputs}")
def test_computes_what_a_loop_over_all_products_does(job: Job) -> None:
    rng = np.random.default_rng(2)
    weights, biases = weights_of(job, rng)
    biases //= 1 << 16
    x = rng.integers(-128, 128, (job.channels, *job.size), np.int8)
    top, left, _, _ = job.pads
    wanted = np.empty((job.outputs, *job.out_size), np.int8)
    for k, row, column in np.ndindex(*wanted.shape):
        acc = int(biases[k])
        for c, r, s in np.ndindex(job.channels, *job.kernel):
            y, z = row * job.strides[0] + r - top, column * job.strides[1] + s - left
            if 0 <= y < job.size[0] and 0 <= z < job.size[1]:
                acc += int(x[c, y, z]) * int(weights[k, c, r, s])
        wanted[k, row, column] = min(max(acc >> job["shift"], job["low"]), job["high"])
    found = executed(job, [x], array_weights.pack(job, weights, biases))
    order = (1, 2, 0) if job.layout == Layout.NHWC else (0, 1, 2)
    np.testing.assert_array_equal(found, wanted.transpose(order).reshape(-1))


def test_a_sum_beyond_32_bits_is_an_error() -> None:
    job = Job(JobKind.DENSE, 1, 1, (1, 1), (1, 1))
    packed = array_weights.pack(job, np.full((1, 1, 1, 1), 127), np.array([(1 << 31) - 1]))
    with pytest.raises(OverflowError, match="leaves 32 bits"):
        executed(job, [np.array([1], np.int8)], packed)


@pytest.mark.parametrize(
    "name",
    ["layers/conv2d_5x7_first", "layers/depthwise_3x3_s2_relu", "layers/dense_640x128_relu",
     "layers/conv2d_1x1_256x256", "layers/add_16x32x32_shift1", "refused/pad_uneven", "refused/divisor_2_32"],
)  # fmt: skip
def test_tiles_make_up_the_layer(name: str) -> None:
    """An op is cut into tiles of outputs and rows, each packed, lowered and executed: the interpreter's result."""
    module = integer_module(name)
    (layer,) = accel.layers(module)
    function = next(accel.functions(module))
    rng = np.random.default_rng(5)
    types = [argument.type for argument in function.arguments]
    names = [entry["accel.name"].value for entry in function.operation.attributes["arg_attrs"]]
    sources = {n: rng.integers(-128, 128, t.shape, np.int8) for n, t in zip(names, types, strict=True)}
    (wanted,) = interpreter.interpret(module, sources).values()
    job = ENGINE.job(layer)
    (rows, columns), found = job.out_size, np.empty((job.outputs, *job.out_size), np.int8)
    maps = [sources[n].reshape(job.channels, *job.size) for n in names]
    step = min(ENGINE.most_outputs(job), 5 if job.groups > 1 else 48)
    for first in range(0, job.outputs, step):
        for top in range(0, rows, 5):
            outputs, some = (first, min(first + step, job.outputs)), (top, min(top + 5, rows))
            tile, seen, across = job.tile(outputs, some, (0, columns))
            channels = slice(*outputs) if job.groups > 1 or job.kind == JobKind.ADD else slice(None)
            inputs = [np.ascontiguousarray(m[channels, slice(*seen), slice(*across)]).reshape(-1) for m in maps]
            packed = ENGINE.pack(tile, layer, outputs) if job.kind != JobKind.ADD else np.empty(0, np.uint8)
            assert packed.size == ENGINE.weight_bytes(tile)
            y = executed(ENGINE.lowered(tile), inputs, packed)
            found[slice(*outputs), slice(*some)] = y.reshape(tile.outputs, *tile.out_size)
    np.testing.assert_array_equal(found, wanted.reshape(found.shape))


def test_a_depthwise_tile_becomes_a_convolution_and_a_pointwise_one_a_row() -> None:
    depthwise = Job(JobKind.CONV2D, 16, 16, (8, 8), (8, 8), kernel=(3, 3), pads=(1, 1, 1, 1), groups=16)
    assert ENGINE.lowered(depthwise) == replace(depthwise, groups=1)
    pointwise = Job(JobKind.CONV2D, 8, 16, (6, 5), (6, 5))
    assert ENGINE.lowered(pointwise) == replace(pointwise, size=(1, 30), out_size=(1, 30))
    assert ENGINE.lowered(pointwise, plain=True) == pointwise
    with pytest.raises(ValueError, match="a depthwise tile of 32 channels, expected at most 16"):
        ENGINE.lowered(replace(depthwise, channels=32, outputs=32, groups=32))
