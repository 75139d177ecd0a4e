"""Networks on gap9: NE16's bytes, as its RTL has them, make the exact results of the refitted networks."""

from pathlib import Path

import models
import numpy as np
import onnx
import pytest
from random_networks import random_network

import htvm
from htvm.backend import targets
from htvm.interface import Samples
from htvm.reference import evaluate

ON_NE16 = {"resnet8": 10, "ds_cnn": 9, "mobilenet_v1": 28, "toyadmos": 10}
"""Layers of each network that NE16 takes with --requant pow2."""


@pytest.mark.parametrize(
    ("network", "l1"),
    [
        ("ds_cnn", 128),
        ("toyadmos", 32),
        *(
            pytest.param(network, l1, marks=pytest.mark.slow)
            for network in ON_NE16
            for l1 in (128, 64, 32, 16)
            if (network, l1) not in (("ds_cnn", 128), ("toyadmos", 32))
        ),
    ],
)
def test_networks_with_scales_that_are_powers_of_two_are_exact(network: str, l1: int) -> None:
    soc = targets.load("gap9").with_memory("l1", l1 << 10)
    model = onnx.load(Path(models.path(f"mlperf_tiny/{network}")))
    given = model.graph.input[0]
    shape = [each.dim_value for each in given.type.tensor_type.shape.dim]
    inputs = {given.name: np.random.default_rng(1).integers(-128, 128, shape).astype(np.int8)}
    compiled = htvm.compile(model, soc, requant="pow2")
    found = compiled.run(inputs).outputs
    for name, values in compiled.meant(Samples(inputs, 1)).items():
        np.testing.assert_array_equal(found[name], values)
    steps = [step for step in compiled.project.report.steps if step.engine == "ne16"]
    assert len(steps) >= ON_NE16[network] - (2 if l1 < 32 else 0)


@pytest.mark.parametrize("engines", [("ne16", "host"), ("host",)])
@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 40))])
def test_random_networks_are_exact(seed: int, engines: tuple[str, ...]) -> None:
    model, inputs = random_network(seed)
    found = htvm.compile(model, targets.load("gap9").with_engines(engines)).run(inputs).outputs
    for name, values in evaluate(model, inputs).items():
        np.testing.assert_array_equal(found[name], values, err_msg=f"seed {seed}: {name}")
