"""`htvm quantize`: float models become int8 ones that compile exactly, and that engines take which only shift."""

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from architectures import ARCHITECTURES
from onnx import numpy_helper
from selection import slow

import htvm
from htvm import driver
from htvm.backend import targets
from htvm.commands import htvm as command
from htvm.diagnostics import CompileError
from htvm.dialects import accel
from htvm.interface import InputError
from htvm.quantization.quantize import quantise

FLOAT = Path(__file__).parents[1] / "inputs" / "float"
MODEL, CALIBRATION = FLOAT / "ds_cnn_f32.onnx", FLOAT / "ds_cnn_calib.npz"


def random_inputs(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    shape = [size.dim_value for size in model.graph.input[0].type.tensor_type.shape.dim]
    return {"x": np.random.default_rng(3).normal(0, 1, (6, *shape[1:])).astype(np.float32)}


def scales(model: onnx.ModelProto) -> np.ndarray:
    """Return all scales of a model."""
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    quantisers = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    return np.concatenate([tensors[node.input[1]].reshape(-1) for node in quantisers])


@pytest.mark.parametrize("scales_", ["any", "pow2"])
def test_the_command_says_what_changes(
    scales_: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    made, facts = tmp_path / "q.onnx", tmp_path / "q.json"
    arguments = ["--calibration", CALIBRATION, "-o", made, "--scales", scales_, "--target", "diana", "--json", facts]
    monkeypatch.setattr(sys, "argv", ["htvm", "quantize", str(MODEL), *map(str, arguments)])
    assert command.main() == 0
    said = capsys.readouterr().out
    assert "of the float model 93.33 %" in said
    written = json.loads(facts.read_text())
    assert written["outputs"]["output"]["samples"] == 60
    assert written["outputs"]["output"]["accuracy"] > 0.9
    assert written["engines"].get("digital", 0) == (10 if scales_ == "pow2" else 0)
    assert htvm.verify(made).exact


CASES = [
    (name, per_channel)
    for name in ("resnet", "mobilenet_v2", "squeezenet", "autoencoder")
    for per_channel in (False, True)
]
QUICK = {("resnet", True), ("mobilenet_v2", True), ("autoencoder", False)}


@pytest.mark.parametrize(("name", "per_channel"), [each if each in QUICK else slow(each) for each in CASES])
def test_powers_of_two_stay_exact(name: str, per_channel: bool) -> None:
    model = ARCHITECTURES[name]()
    made = quantise(model, random_inputs(model), per_channel=per_channel, powers_of_two=True)
    found = scales(made)
    assert np.array_equal(np.exp2(np.rint(np.log2(found))), found)
    assert htvm.verify(made).exact


def test_an_array_that_shifts_takes_every_layer() -> None:
    """Its sums are never halfway between two results, and additions round nothing."""
    model = ARCHITECTURES["resnet"]()
    made = quantise(model, random_inputs(model), powers_of_two=True)
    module, _ = driver.lower(made, targets.load("diana"), "dispatched")
    with module.context:
        engines = Counter((layer.operation.name, layer.engine.value) for layer in accel.layers(module))
    assert engines["accel.conv2d", "host"] == engines["accel.dense", "host"] == 0
    assert engines["accel.conv2d", "digital"] == 6 + 2  # and the relus of two sums, which the host would look up
    assert engines["accel.lookup", "host"] == 0


def test_what_is_refused() -> None:
    model = ARCHITECTURES["autoencoder"]()
    with pytest.raises(InputError, match="input 'x' is missing; given: y"):
        quantise(model, {"y": np.zeros((2, 40), np.float32)})
    with pytest.raises(InputError, match="has shape 2x41, expected N samples of 1x40"):
        quantise(model, {"x": np.zeros((2, 41), np.float32)})
    with pytest.raises(CompileError, match="net: is quantised already, expected a float model"):
        quantise(quantise(model, random_inputs(model)), random_inputs(model))


def test_without_onnxruntime_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"pip install 'htvm\[quantize\]'"):
        quantise(MODEL, {})
