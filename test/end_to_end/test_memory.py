"""The memory that networks take: at most what the best peer needs, and provably the least for their order."""

import models
import pytest

# The least that any published deployment of these four needs for activations, in bytes.
PEERS_BYTES = {
    "mlperf_tiny/resnet8": 54_364,
    "mlperf_tiny/ds_cnn": 22_780,
    "mlperf_tiny/mobilenet_v1": 75_472,
    "mlperf_tiny/toyadmos": 928,
}


@pytest.mark.parametrize("name", models.NETWORKS)
def test_activations_fit_where_the_best_peer_fits(name: str) -> None:
    facts = models.compiled(name).project.report.memories["ram"]  # scratch of kernels is planned with the rest
    assert facts.planned_peak_bytes <= PEERS_BYTES[name]


@pytest.mark.parametrize("name", models.parameters())
def test_peak_is_the_proven_minimum(name: str) -> None:
    facts = models.compiled(name).project.report.memories["ram"]
    assert facts.planned_peak_bytes == facts.lower_bound_bytes


@pytest.mark.parametrize("name", models.NETWORKS)
def test_ram_of_the_executable_is_what_was_planned(name: str) -> None:
    compiled = models.compiled(name)
    metrics = compiled.run().metrics
    assert metrics["ram_bytes"] == compiled.project.report.planned_bytes("ram")
    assert metrics["memories"]["ram"]["peak_bytes"] <= metrics["memories"]["ram"]["capacity_bytes"]
