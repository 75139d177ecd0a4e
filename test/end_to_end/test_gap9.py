"""Networks on gap9: NE16's bytes, as its RTL has them, make the exact results of the refitted networks."""

from collections import Counter
from functools import cache
from pathlib import Path

import models
import numpy as np
import onnx
import pytest
from random_networks import Network, random_network
from selection import first

import htvm
from htvm.backend import targets
from htvm.interface import Samples
from htvm.reference import evaluate

ON_NE16 = {"resnet8": 10, "ds_cnn": 9, "mobilenet_v1": 28, "toyadmos": 10}
"""Layers of each network that NE16 takes: all linear ones, but for a 10x4 convolution."""

LEFT = 2
"""Of these, layers so small that the host may be as fast, or that a small L1 leaves to it."""

MOST_OFF = 0.10
"""Of the prediction for a layer on NE16."""

SIZES = (128, 64, 32, 16)


def sized(*fast: tuple[str, int]) -> list[object]:
    """Return all networks and sizes of L1 in KiB, those that are not fast marked as slow."""
    return [
        each if each in fast else pytest.param(*each, marks=pytest.mark.slow)
        for each in ((network, l1) for network in ON_NE16 for l1 in SIZES)
    ]


@cache
def compiled_network(network: str, l1: int, requant: str) -> tuple[htvm.CompiledModel, htvm.RunResult]:
    """Return a network of MLPerf Tiny, compiled for an L1 of so many KiB, and its run, whose outputs are exact."""
    soc = targets.load("gap9").with_memory("l1", l1 << 10)
    model = onnx.load(Path(models.path(f"mlperf_tiny/{network}")))
    given = model.graph.input[0]
    shape = [each.dim_value for each in given.type.tensor_type.shape.dim]
    inputs = {given.name: np.random.default_rng(1).integers(-128, 128, shape).astype(np.int8)}
    compiled = htvm.compile(model, soc, requant=requant)
    result = compiled.run(inputs)
    for name, values in compiled.meant(Samples(inputs, 1)).items():
        np.testing.assert_array_equal(result.outputs[name], values)
    return compiled, result


@pytest.mark.parametrize(("network", "l1"), sized(("ds_cnn", 128), ("toyadmos", 16)))
def test_networks_with_scales_of_their_own_are_exact_and_mostly_on_ne16(network: str, l1: int) -> None:
    _, result = compiled_network(network, l1, "exact")
    there = [layer for layer in result.metrics["layers"] if layer["engine"] == "ne16"]
    assert len(there) >= ON_NE16[network] - LEFT
    for layer in there:
        if layer["cycles"] >= 1000:  # a shorter one is the host's few instructions
            assert abs(layer["predicted_cycles"] - layer["cycles"]) <= MOST_OFF * layer["cycles"], layer["node"]


@pytest.mark.parametrize("network", ["ds_cnn", pytest.param("resnet8", marks=pytest.mark.slow)])
def test_scales_of_their_own_are_faster_than_on_the_host(network: str) -> None:
    _, result = compiled_network(network, 128, "exact")
    host = htvm.compile(models.path(f"mlperf_tiny/{network}"), targets.load("gap9").with_engines(["host"]))
    alone = sum(step.predicted_cycles or 0 for step in host.project.report.steps)
    assert 0 < result.metrics["cycles"] < alone / 2


@pytest.mark.parametrize(("network", "l1"), sized(("toyadmos", 32)))
def test_networks_with_scales_that_are_powers_of_two_are_exact(network: str, l1: int) -> None:
    compiled, _ = compiled_network(network, l1, "pow2")
    tables = [step.op for step in compiled.project.report.steps].count("lookup")
    assert tables == (2 if network == "toyadmos" else 1), (
        "sign and scale change at once: of inputs, and of maps returned"
    )
    steps = [step for step in compiled.project.report.steps if step.engine == "ne16"]
    assert len(steps) >= ON_NE16[network] - (LEFT if l1 < 32 else 0)


def suited_network(seed: int) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """Return a network of convolutions as NE16 knows them, sums and dense layers, with inputs for it."""
    rng = np.random.default_rng(seed)
    storage = np.dtype(rng.choice(["int8", "uint8"]))
    shape = (1, int(rng.integers(1, 40)), int(rng.integers(1, 14)), int(rng.integers(1, 14)))
    network = Network(rng, storage, False, shape)
    limits = np.iinfo(storage)
    kind = onnx.helper.np_dtype_to_tensor_dtype(storage)
    interface = onnx.helper.make_tensor_value_info("x", kind, shape)
    stored, scale, zero = "x", network.random_scale(-2, -1), network.random_zero_point()
    for number in range(int(rng.integers(2, 6))):
        real = network.dequantised(stored, scale, zero)
        real = network.node("Add", [real, real], f"sum{number}") if rng.random() < 0.2 else conv(network, real, number)
        scale, zero = network.random_scale(-1.5, 0), network.random_zero_point()
        if rng.random() < 0.6:
            real = network.node("Relu", [real], f"relu{number}")
            if rng.random() < 0.8:  # as quantisers have it: all codes are above 0
                zero = storage.type(limits.min)
        stored = network.quantised(real, scale, zero)
    result = onnx.helper.make_tensor_value_info(stored, kind, network.shape)
    graph = onnx.helper.make_graph(network.nodes, f"suited_{seed}", [interface], [result], network.constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    return model, {"x": rng.integers(limits.min, limits.max + 1, shape).astype(storage)}


def conv(network: Network, x: str, number: int) -> str:
    """Add a convolution 1x1 or 3x3, with any stride or padding that NE16 has, or a depthwise one."""
    rng, (_, channels, *size) = network.generator, network.shape
    side = int(rng.choice([1, 3]))
    is_depthwise = side == 3 and rng.random() < 0.4
    outputs = channels if is_depthwise else 2 * int(rng.integers(1, 25))
    pads = [int(rng.integers(0, 2)) if side == 3 else 0 for _ in range(4)]
    pads = [max(pads[axis], side - size[axis % 2] if axis < 2 else 0) for axis in range(4)]
    stride = int(rng.integers(1, 3))
    weights = rng.integers(
        *[(-128, 128), (-8, 8), (-1, 2)][int(rng.integers(3))], (outputs, 1 if is_depthwise else channels, side, side)
    )
    stored = network.constant(f"weights{number}", weights.astype(np.int8))
    inputs = [x, network.dequantised(stored, np.float32(rng.uniform(0.001, 0.02)), None, axis=0)]
    rows, columns = ((n + pads[axis] + pads[axis + 2] - side) // stride + 1 for axis, n in enumerate(size))
    network.shape = (1, outputs, rows, columns)
    attributes = {"strides": [stride] * 2, "pads": pads, "group": channels if is_depthwise else 1}
    return network.node("Conv", inputs, f"conv{number}", **attributes)


@pytest.mark.parametrize("requant", ["pow2", "exact"])
@pytest.mark.parametrize("l1", [128 << 10, 3 << 10])
@pytest.mark.parametrize("seed", first(range(60), 3))
def test_random_networks_that_suit_it_are_exact(seed: int, l1: int, requant: str) -> None:
    model, inputs = suited_network(seed)
    compiled = htvm.compile(model, targets.load("gap9").with_memory("l1", l1), requant=requant)
    found = compiled.run(inputs).outputs
    for name, values in compiled.meant(Samples(inputs, 1)).items():
        np.testing.assert_array_equal(found[name], values, err_msg=f"seed {seed}: {name}")


@pytest.mark.parametrize("requant", ["pow2", "exact"])
def test_the_networks_that_suit_it_run_there(requant: str) -> None:
    soc = targets.load("gap9")
    ran = Counter(
        step.engine
        for seed in range(12)
        for step in htvm.compile(suited_network(seed)[0], soc, requant=requant).project.report.steps
        if step.op == "conv2d"
    )
    assert ran["ne16"] > ran["host"]


@pytest.mark.parametrize("engines", [("ne16", "host"), ("host",)])
@pytest.mark.parametrize("seed", first(range(40), 2))
def test_random_networks_are_exact(seed: int, engines: tuple[str, ...]) -> None:
    model, inputs = random_network(seed)
    found = htvm.compile(model, targets.load("gap9").with_engines(engines)).run(inputs).outputs
    for name, values in evaluate(model, inputs).items():
        np.testing.assert_array_equal(found[name], values, err_msg=f"seed {seed}: {name}")


def test_weights_are_fetched_ahead_where_each_map_fits_and_all_together_do_not() -> None:
    predicted = []
    for l1 in (128 << 10, 32 << 10):
        compiled = htvm.compile(
            models.path("mlperf_tiny/ds_cnn"), targets.load("gap9").with_memory("l1", l1), requant="pow2"
        )
        predicted.append(sum(step.predicted_cycles or 0 for step in compiled.project.report.steps))
    assert predicted[1] <= predicted[0]  # less room costs nothing
