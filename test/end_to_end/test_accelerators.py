"""Networks on a SoC with accelerators: every output equals the exact meaning, whatever memory there is."""

import models
import pytest

import htvm
from htvm.backend import targets
from htvm.backend.targets.soc import Soc
from htvm.driver import CompiledModel

NETWORKS = ("resnet8_digital", "ds_cnn_digital", "dae_digital")


def compiled(name: str, soc: Soc) -> CompiledModel:
    return htvm.compile(models.path(f"htvm/{name}"), soc)


@pytest.mark.parametrize("name", NETWORKS)
def test_network_is_exact(name: str) -> None:
    assert htvm.verify(compiled(name, targets.load("diana"))).exact


@pytest.mark.parametrize("kilobytes", (64, 16, 8))
def test_small_memories_only_cost_time(kilobytes: int) -> None:
    soc = targets.load("diana").with_memory("l1", kilobytes * 1024)
    small = compiled("resnet8_digital", soc)
    assert htvm.verify(small).exact
    assert small.run().metrics["cycles"] >= compiled("resnet8_digital", targets.load("diana")).run().metrics["cycles"]


def test_the_reference_mapping_is_exact() -> None:
    """Depthwise layers write the order of the analog array here, of which a single channel has gaps."""
    assert htvm.verify(htvm.compile(models.path("htvm/ds_cnn_mixed"), "diana", mapping="htvm")).exact


@pytest.mark.parametrize("cost_model", ("match", "odimo"))
@pytest.mark.parametrize(("name", "kilobytes", "mapping"), [
    ("resnet8_digital", 256, "default"),
    ("resnet8_digital", 16, "default"),
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
        assert layer["predicted_cycles"] == pytest.approx(layer["cycles"], rel=0.1), layer["name"]
