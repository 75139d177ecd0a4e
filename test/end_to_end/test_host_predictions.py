"""What choose-kernels says of a linear layer on the host is what its kernel takes, zero weights and all."""

import models
import numpy as np
import pytest
from mlir import ir

import htvm
from htvm.backend.targets.engines.host import INSTRUCTIONS
from htvm.backend.targets.soc import HOST
from htvm.dialects import accel


@pytest.mark.parametrize("name", ["mlperf_tiny/ds_cnn", "mlperf_tiny/mobilenet_v1", "mlperf_tiny/resnet8"])
def test_estimated_instructions_are_those_of_a_run(name):
    compiled = models.compiled(name)
    given, _ = models.golden(models.golden_files(name)[0], [])
    inputs = {port.name: given[port.name] for port in compiled.project.inputs}
    measured = {layer["name"]: layer["instructions"] for layer in compiled.run(inputs).metrics["layers"]}
    with compiled.module.context:
        found = {
            accel.node(layer): accel.attribute(layer, INSTRUCTIONS, ir.IntegerAttr)
            for layer in accel.layers(compiled.module)
            if isinstance(layer, accel.Weighted)
        }
        estimated = {node: accel.present(count, INSTRUCTIONS).value for node, count in found.items()}
    ratios = {node: measured[node] / count for node, count in estimated.items()}
    convolutions = [ratio for node, ratio in ratios.items() if "conv" in node]
    assert 0.8 < min(convolutions) and max(convolutions) < 1.2, ratios
    assert np.isclose(sum(measured[node] for node in estimated) / sum(estimated.values()), 1, atol=0.06)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "name",
    [
        "ds_cnn",
        *(pytest.param(each, marks=SLOW) for each in ("mobilenet_v1", "resnet8", "toyadmos")),
    ],
)
def test_layers_left_on_the_host_of_diana_take_what_is_predicted_within_15_percent(name):
    compiled = htvm.compile(models.path(f"mlperf_tiny/{name}"), "diana", requant="pow2")
    layers = [each for each in compiled.run().metrics["layers"] if each["engine"] == HOST]
    assert layers
    for layer in layers:
        assert abs(layer["predicted_cycles"] - layer["cycles"]) <= 0.15 * layer["cycles"], layer
