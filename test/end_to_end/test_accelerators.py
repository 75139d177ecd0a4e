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
