"""Networks on a SoC with accelerators: every output equals the exact meaning, whatever memory there is."""

from math import prod

import models
import numpy as np
import pytest
from selection import first, slow

import htvm
from htvm.backend import targets
from htvm.backend.targets.jobs import DESCRIPTOR_WORDS
from htvm.backend.targets.soc import Soc
from htvm.driver import CompiledModel

NETWORKS = ("ds_cnn_digital", "dae_digital", "resnet8_digital")


def compiled(name: str, soc: Soc) -> CompiledModel:
    return htvm.compile(models.path(f"htvm/{name}"), soc)


@pytest.mark.parametrize("name", first(NETWORKS, 2))
def test_network_is_exact(name: str) -> None:
    assert htvm.verify(compiled(name, targets.load("diana"))).exact


def test_tiles_of_least_energy_are_exact() -> None:
    assert htvm.verify(htvm.compile(models.path("htvm/ds_cnn_digital"), "diana", objective="energy")).exact


@pytest.mark.parametrize("kilobytes", first((8, 16, 64), 1))
def test_small_memories_only_cost_time(kilobytes: int) -> None:
    soc = targets.load("diana").with_memory("l1", kilobytes * 1024)
    small = compiled("ds_cnn_digital", soc)
    assert htvm.verify(small).exact
    assert small.run().metrics["cycles"] >= compiled("ds_cnn_digital", targets.load("diana")).run().metrics["cycles"]


@pytest.mark.parametrize(("name", "engines"), [
    ("htvm/layers/conv2d_5x5_s2", "digital"),
    ("htvm/layers/depthwise_3x3_s1_relu", "digital"),
    ("htvm/layers/add_16x32x32_shift1", "digital"),
    ("htvm/layers/dense_640x128_relu", "digital"),
    ("htvm/layers/aconv_1x1_32x64_s2", "analog,host"),
    ("htvm/layers/aconv_3x3_160x32_partial", "digital,analog,host"),
    ("htvm/refused/pad_uneven", "digital"),
    ("htvm/refused/groups_cout_not_cin", "digital,host"),
    ("htvm/refused/add_relu", "digital,host"),
    slow(("htvm/resnet8_mixed", "digital,analog,host")),
    ("integer/toyadmos_shift", "host,digital"),
])  # fmt: skip
def test_the_smallest_memory_is_enough(name: str, engines: str) -> None:
    """A selection of what benchmarks/diana/sweep.py runs."""
    soc = targets.load("diana").with_memory("l1", 8 * 1024).with_engines(engines.split(","))
    network = htvm.compile(models.path(name), soc, input_types=models.input_types(name))
    outputs = [port.name for port in network.project.outputs]
    given, wanted = models.golden(models.golden_files(name)[0], outputs)
    found = network.run({key: value for key, value in given.items() if key.split(".")[0] not in outputs}).outputs
    for output in outputs:
        np.testing.assert_array_equal(found[output], wanted[output])


@pytest.mark.parametrize(("name", "engine", "launches", "code_bytes"), [
    slow(("add_16x32x32_shift0", "digital", 1024, 498)),
    ("conv2d_3x3_s2", "digital", 512, 1342),
    ("aconv_1x1_64x576", "analog", 125, 1688),
])  # fmt: skip
def test_many_tiles_are_little_code(name: str, engine: str, launches: int, code_bytes: int) -> None:
    """Tiles of one pixel take the least of L1; the operands of the last layer's jobs move in their loop."""
    name = f"htvm/layers/{name}"
    soc = targets.load("diana").with_engines(("host", engine))
    network = htvm.compile(models.path(name), soc, objective="memory")
    (output,) = [port.name for port in network.project.outputs]
    given, wanted = models.golden(models.golden_files(name)[0], [output])
    result = network.run({key: value for key, value in given.items() if key.split(".")[0] != output})
    np.testing.assert_array_equal(result.outputs[output], wanted[output])
    assert result.metrics["engines"][engine]["launches"] == launches
    assert result.metrics["code_bytes"] <= 1.2 * code_bytes


def test_layers_leave_the_array_where_memory_is_full() -> None:
    """Its weights of a depthwise layer are 16 times the host's: with 64 kB of L1, large maps need their place in L2."""
    small = compiled("mobilenet_v2_digital", targets.load("diana").with_memory("l1", 64 * 1024))
    hosted = [step.name for step in small.project.report.steps if step.engine == "host"]
    assert [name for name in hosted if "depthwise" in name]
    assert htvm.verify(small).exact


def test_the_reference_mapping_is_exact() -> None:
    """Depthwise layers write the order of the analog array here, of which a single channel has gaps."""
    assert htvm.verify(htvm.compile(models.path("htvm/ds_cnn_mixed"), "diana", mapping="htvm")).exact


@pytest.mark.parametrize("cost_model", ("match", "odimo"))
@pytest.mark.parametrize(("name", "kilobytes", "mapping"), [
    slow(("resnet8_digital", 256, "default")),
    slow(("resnet8_digital", 16, "default")),
    ("ds_cnn_digital", 8, "default"),
    ("dae_mixed", 256, "default"),
    ("dae_digital", 256, "htvm"),
])  # fmt: skip
def test_layers_take_what_was_predicted(name: str, kilobytes: int, mapping: str, cost_model: str) -> None:
    soc = targets.load("diana").with_cost_model(cost_model).with_memory("l1", kilobytes * 1024)
    layers = htvm.compile(models.path(f"htvm/{name}"), soc, mapping=mapping).run().metrics["layers"]
    accelerated = [layer for layer in layers if layer["engine"] != "host"]
    assert len(accelerated) >= 9
    for layer in accelerated:
        assert layer["predicted_cycles"] == pytest.approx(layer["cycles"], rel=0.1, abs=10), layer["name"]
    total = sum(layer["cycles"] for layer in layers)
    assert sum(layer["predicted_cycles"] for layer in layers) == pytest.approx(total, rel=0.1)


def test_jobs_in_loops_take_what_was_predicted() -> None:
    """HTVM has a job for each channel, here up to 256 small ones in a step: the loop around them takes a fifth."""
    soc = targets.load("diana").with_cost_model("odimo").with_memory("l2", 900 * 1024)
    network = htvm.compile(models.path("htvm/mobilenet_v1_digital"), soc, mapping="htvm")
    layers = [layer for layer in network.run().metrics["layers"] if layer["engine"] != "host"]
    assert len(layers) == 28
    for layer in layers:
        assert layer["predicted_cycles"] == pytest.approx(layer["cycles"], rel=0.1), layer["name"]


def test_the_metrics_add_up() -> None:
    """No layer of this network is launched with more multiplications than it has, or fetched twice."""
    soc = targets.load("diana")
    network = compiled("resnet8_digital", soc)
    result = network.run()
    metrics, timeline, layers = result.metrics, result.execution.timeline, result.metrics["layers"]

    assert metrics["cycles"] == result.execution.start_up.cycles + sum(layer["cycles"] for layer in layers)
    assert metrics["host"]["wait_cycles"] < metrics["host"]["cycles"] == metrics["cycles"]
    assert metrics["macs"] == sum(layer["macs"] for layer in layers)

    parts = [metrics["start_up"], *layers]
    assert metrics["cycles"] == sum(part["cycles"] for part in parts)
    moved = sum(route["bytes"] for route in metrics["transfers"].values())
    assert moved == sum(part["transferred_bytes"] for part in parts)
    assert metrics["energy_uj"] > 0
    assert metrics["energy_uj"] == pytest.approx(sum(part["energy_uj"] or 0 for part in parts))
    for layer in layers:
        assert (layer["engine"] == "host") == (layer["energy_uj"] is None) == (layer["busy_cycles"] is None)
        assert layer["engine"] == "host" or 0 < layer["share_of_bound"] <= 1, layer

    digital = metrics["engines"]["digital"]
    assert digital["busy_cycles"] == sum(layer["busy_cycles"] or 0 for layer in layers)
    jobs = [each for each in timeline if each.unit == "digital"]
    assert digital["busy_cycles"] == sum(each.cycles for each in jobs) < metrics["cycles"]
    assert digital["launches"] == len(jobs) >= sum(layer["engine"] == "digital" for layer in layers)
    assert digital["macs"] == sum(layer["macs"] for layer in layers if layer["engine"] == "digital")
    assert metrics["engines"]["analog"] == {"busy_cycles": 0, "launches": 0, "macs": 0}

    copies = [each for each in timeline if each.kind == "copy"]
    for name, route in metrics["transfers"].items():
        own = [each for each in copies if each.route == name]
        assert route["bytes"] == sum(each.size_bytes for each in own) and route["count"] == len(own)
        assert route["busy_cycles"] == sum(each.cycles for each in own)
    assert len(jobs) + len(copies) == len(timeline)
    constants = [op for op in network.module.body if op.operation.name == "memref.global"]
    packed = [each.attributes for each in constants if each.attributes["sym_name"].value.endswith("_packed")]
    weights = sum(prod(attributes["type"].value.shape) for attributes in packed)
    assert metrics["transfers"]["l2_to_digital_weights"]["bytes"] == weights
    steps = network.project.report.steps
    assert weights == sum(step.weight_bytes for step in steps)
    assert all((step.weight_bytes == 0) == (step.op == "add") for step in steps)
    (port,) = network.project.inputs
    pooled = 64
    assert metrics["transfers"]["l2_to_l1"]["bytes"] == prod(port.shape) + pooled

    assert metrics["energy_units"] == ["digital"]  # which worked
    joules = digital["busy_cycles"] / soc.clock_hz * soc.power_w["digital"]
    assert metrics["energy_uj"] == pytest.approx(joules * 1e6)
    for name, memory in metrics["memories"].items():
        assert 0 <= memory["peak_bytes"] <= memory["capacity_bytes"] == soc.memory(name).size_bytes
    planned = network.project.report.memories
    assert metrics["memories"]["l1"]["peak_bytes"] == planned["l1"].planned_peak_bytes > 0
    descriptors = digital["launches"] * 4 * DESCRIPTOR_WORDS  # which lie beside code: no two are alike
    constants = metrics["rodata_bytes"] - descriptors
    assert metrics["memories"]["l2"]["peak_bytes"] == planned["l2"].planned_peak_bytes + constants
