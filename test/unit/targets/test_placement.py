"""Which engine of DIANA takes the layers of HTVM's networks: layers.json says which one each was meant for."""

import json

import pytest
from target_models import MODELS, fused_layers

from htvm.backend import targets
from htvm.dialects import accel

SOC = targets.load("diana")
LAYERS = json.loads((MODELS / "layers.json").read_text(encoding="utf-8"))

NOT_THERE = {"resnet8_mixed": ["add_1"], "ds_cnn_mixed": [], "dae_mixed": []}
"""An add whose 7-bit clip the array does not have; of the second one, sums never reach the clip of 8 bits."""


@pytest.mark.parametrize("network", NOT_THERE)
def test_layers_run_where_they_were_meant_to(network: str) -> None:
    meant = {layer["name"]: layer["engine"] for layer in LAYERS[network]["layers"]}
    refused, seen = [], set()
    for layer in fused_layers(network):
        name = next((node for node in accel.nodes(layer) if node in meant), None)
        if name is not None:
            seen.add(name)
            if SOC.engine(meant[name]).violations(layer):
                refused.append(name)
    assert refused == NOT_THERE[network]
    assert seen == set(meant)
