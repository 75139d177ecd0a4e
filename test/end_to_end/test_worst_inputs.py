"""Layers whose sums reach the bounds of the proofs behind packed kernels, on executed RV32IMC code.

test/unit/dialects/test_packed_weights.py tests the proof, test/unit/kernels the kernels natively; here the statements
that only RV32 has are compiled in.
"""

import re
from collections.abc import Iterator

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import htvm
from htvm.options import SPEED, ConstantBudget
from htvm.reference import evaluate

CHANNELS, ROWS, COLUMNS = 24, 4, 5

# Weights of one output channel over 24 input channels. A run fits if its sums stay from -2^15 to 2^15 - 1; inputs are
# -128 to 127. What is largest where inputs are at their limits:
PATTERNS = {
    "run of 3, 2^15 - 1": np.tile([-128, -127, 1], 8),
    "run of 3, 2^15": np.tile([-128, -128, 0], 8),
    "run of 4, -2^15": np.tile([127, 127, 1, 1], 6),
    "run of 4, -2^15 - 127": np.tile([127, 127, 2, -1], 6),
    "run of 6, -2^15": np.tile([43, 43, 43, 43, 42, 42], 4),
    "run of 6, -2^15 - 128": np.tile([43, 43, 43, 43, 43, 42], 4),
    "all -128": np.full(24, -128),
    "all 127": np.full(24, 127),
    "all 0": np.zeros(24, int),
    "alternating": np.tile([127, -128], 12),
}
RUNS_OF_8 = {
    "run of 8, -2^15": np.full(64, 32),
    "run of 8, -2^15 - 128": np.tile([32, 32, 32, 32, 32, 32, 32, 33], 8),
    "run of 16, -2^15": np.full(64, 16),
}
COUNTED_FROM_LOWEST = {  # where -128 is skipped, inputs are 0 to 255
    "run of 16, 255 * 128": np.full(64, 8),
    "run of 16, 255 * 129": np.tile([*[8] * 15, 9], 4),
    "run of 32, 255 * -128": np.full(64, -4),
}


Layers = dict[str, tuple[str, np.ndarray, dict]]
"""Operator, weights and attributes, by the layer's name."""


def network(layers: Layers, shape: tuple[int, ...], zero_point: int) -> onnx.ModelProto:
    """Return layers side by side on one int8 input."""
    constants = {
        "x_scale": np.float32(0.5),
        "x_zero": np.int8(zero_point),
        "one": np.float32(1),
        "none": np.int8(0),
    }
    nodes = [helper.make_node("DequantizeLinear", ["x", "x_scale", "x_zero"], ["x_real"], name="x_dq")]
    type_of_x = ["x_scale", "x_zero"]
    first = None
    if len(shape) == 4:  # maps inside a network have their channels innermost
        first = helper.make_node("MaxPool", ["x_outside"], ["x_inside"], name="first", kernel_shape=[1, 1])
    elif zero_point == -128:  # what a layer has computed may be skipped
        first = helper.make_node("Abs", ["x_outside"], ["x_inside"], name="first")
    if first is not None:
        nodes[0].output[0] = "x_outside"
        nodes += [
            first,
            helper.make_node("QuantizeLinear", ["x_inside", *type_of_x], ["x_stored"], name="x_q"),
            helper.make_node("DequantizeLinear", ["x_stored", *type_of_x], ["x_real"], name="x_again"),
        ]
    outputs = []
    for name, (operator, weights, attributes) in layers.items():
        taps = weights[0].size
        constants |= {
            f"{name}_w": weights.astype(np.int8),
            f"{name}_scale": np.float32(taps * 128 / 2 * 1.01),  # 256 steps for all that sums can be
            f"{name}_zero": np.int8(3),
        }
        nodes += [
            helper.make_node("DequantizeLinear", [f"{name}_w", "one", "none"], [f"{name}_wr"], name=f"{name}_dq"),
            helper.make_node(operator, ["x_real", f"{name}_wr"], [f"{name}_real"], name=name, **attributes),
            helper.make_node(
                "QuantizeLinear", [f"{name}_real", f"{name}_scale", f"{name}_zero"], [f"{name}_y"], name=f"{name}_q"
            ),
        ]
        outputs.append(helper.make_tensor_value_info(f"{name}_y", TensorProto.INT8, None))
    x = helper.make_tensor_value_info("x", TensorProto.INT8, shape)
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "worst", [x], outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model)


def worst_inputs(patterns: dict[str, np.ndarray], pixels: int) -> Iterator[np.ndarray]:
    """Yield [channels, pixels]: largest sums, smallest sums, and both in turn, for each pattern; then random ones."""
    for weights in patterns.values():
        largest = np.where(weights < 0, -128, 127)[:, None]
        smallest = -1 - largest
        for period in (1, 3):  # neighbours in a word are 3 pixels apart
            takes_largest = np.arange(pixels) // period % 2 == 0
            yield np.where(takes_largest, largest, smallest)
        yield np.repeat(largest, pixels, axis=1)
        yield np.repeat(smallest, pixels, axis=1)
    generator = np.random.default_rng(5)
    for _ in range(3):
        yield generator.integers(-128, 128, (len(weights), pixels))


def check(model: onnx.ModelProto, samples: list[np.ndarray], constants: ConstantBudget | str | None = None) -> str:
    """Compare all outputs of all samples with their exact meaning; return the stage 'dispatched'."""
    compiled = htvm.compile(model, constants=constants, keep_stages=("dispatched",))
    stacked = np.concatenate(samples).astype(np.int8)
    found = compiled.run({"x": stacked}).outputs
    for number in range(len(stacked)):
        for name, values in evaluate(model, {"x": stacked[number : number + 1]}).items():
            np.testing.assert_array_equal(found[name][number : number + 1], values, err_msg=f"{name}, sample {number}")
    return compiled.stages["dispatched"]


@pytest.mark.parametrize("zero_point", [-128, 127])
def test_convolutions_at_their_bounds_are_exact(zero_point: int) -> None:
    layers: Layers = {}
    for number, weights in enumerate(PATTERNS.values()):
        rows = np.stack([weights, weights, -1 - weights, np.roll(weights, 1), *[weights] * 27])  # the last one is alone
        layers[f"point{number}"] = ("Conv", rows[:, :, None, None], {"kernel_shape": [1, 1]})
    signs = np.resize([127, -128], (31, CHANNELS, 3, 3))
    for number, weights in enumerate((signs, np.full_like(signs, -128), np.full_like(signs, 127))):
        attributes = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
        layers[f"window{number}"] = ("Conv", weights, {**attributes, "strides": [1, 1 + number % 2]})
    for stride in (1, 2):
        kernels = np.resize([-128, 127, 127, -128, -128], (CHANNELS, 1, 3, 3))
        attributes = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [stride, stride], "group": CHANNELS}
        layers[f"depth{stride}"] = ("Conv", kernels, attributes)
    shape = (1, CHANNELS, ROWS, COLUMNS)
    samples = [x.reshape(shape) for x in worst_inputs(PATTERNS, ROWS * COLUMNS)]
    stage = check(network(layers, shape, zero_point), samples)
    runs = {int(run) for run in re.findall(r"kernel = #accel.kernel<packed>.*?run = (\d+)", stage)}
    assert {0, 3, 4, 6} <= runs
    assert stage.count("kernel = #accel.kernel<depthwise_3x3>") == 2


@pytest.mark.parametrize("zero_point", [-128, 127])
def test_transformed_convolutions_at_their_bounds_are_exact(zero_point: int) -> None:
    """Inputs that give the largest and the smallest sums, and random ones; in a row fewer tiles than a block has."""
    signs = np.resize([127, -128, -128, 127, 127], (31, CHANNELS, 3, 3))
    layers: Layers = {
        f"window{number}": ("Conv", weights, {"kernel_shape": [3, 3], "pads": pads, "strides": [1, 1]})
        for number, (weights, pads) in enumerate(
            [(signs, [1, 1, 1, 1]), (np.full_like(signs, -128), [0, 2, 1, 0]), (np.full_like(signs, 127), [2, 2, 2, 2])]
        )
    }
    shape = (1, CHANNELS, 13, 18)
    patterns = {name: PATTERNS[name] for name in ("all -128", "all 127", "alternating")}
    samples = [x.reshape(shape) for x in worst_inputs(patterns, 13 * 18)]
    stage = check(network(layers, shape, zero_point), samples, "9x")
    assert stage.count("kernel = #accel.kernel<winograd>") == 3


@pytest.mark.parametrize("zero_point", [3, -128], ids=["all", "skips"])
@pytest.mark.parametrize(("constants", "kernel"), [(None, "quad_row"), (SPEED, "wide_row")])
def test_rows_at_their_bounds_are_exact(constants: ConstantBudget | None, kernel: str, zero_point: int) -> None:
    patterns = RUNS_OF_8 if zero_point == 3 else COUNTED_FROM_LOWEST
    fits, beyond, longer = patterns.values()
    rows = np.stack([fits] * 8 + [beyond] + [longer] * 7)  # blocks of eight channels
    samples = [x.T for x in worst_inputs(patterns, 1)]
    samples += [np.full((1, 64), -128), np.where(np.arange(64) % 3, samples[-1], -128)]
    stage = check(network({"rows": ("Gemm", rows, {"transB": 1})}, (1, 64), zero_point), samples, constants)
    assert f"kernel = #accel.kernel<{kernel}>" in stage
    assert ("skip = -128" in stage) == (zero_point == -128)


def test_sparse_rows_are_exact() -> None:
    rows = np.resize([-128, 127, 127], (47, 64))  # no run has more than one tap
    samples = [np.where(np.arange(64) % step, 127, -128)[None] for step in (1, 2, 3)] + [np.full((1, 64), 127)]
    samples += [np.random.default_rng(seed).integers(-128, 128, (1, 64)) for seed in range(3)]
    stage = check(network({"rows": ("Gemm", rows, {"transB": 1})}, (1, 64), -128), samples)
    assert "kernel = #accel.kernel<sparse_row>" in stage
