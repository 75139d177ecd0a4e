"""Sizes that a model leaves open are those of the arrays that are given."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from limited import outcomes

TEXT = """<ir_version: 10, opset_import: ["" : 19]> g (float[batch, 2, H, W] x) => (float[batch, 2, H, W] y)
<float s = {0.5}, int8 z = {0}> {
    q = QuantizeLinear(x, s, z)
    a = DequantizeLinear(q, s, z)
    b = Relu(a)
    c = QuantizeLinear(b, s, z)
    y = DequantizeLinear(c, s, z)
}"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    onnx.save(onnx.parser.parse_model(TEXT), tmp_path / "open.onnx")
    np.savez(tmp_path / "three.npz", x=np.arange(3 * 2 * 4 * 5, dtype=np.float32).reshape(3, 2, 4, 5) - 60)
    return tmp_path


def test_open_axes_have_the_sizes_of_the_inputs(folder: Path) -> None:
    (run, verified) = outcomes(
        [
            ("run", "open.onnx", "--inputs", "three.npz", "--outputs", "y.npz"),
            ("verify", "open.onnx", "--inputs", "three.npz"),
        ],
        folder,
    )
    assert run.status == 0, run.output
    assert np.load(folder / "y.npz")["y"].shape == (3, 2, 4, 5)
    assert "exact on target 'rv32': 120 values compared, of 1 set of inputs" in verified.output


def test_what_shape_says_goes_before(folder: Path) -> None:
    (run,) = outcomes([("run", "open.onnx", "--inputs", "three.npz", "--shape", "x=1x2x5x4")], folder)
    assert run.status == 1
    assert "expected" in run.output and "5" in run.output


def test_without_inputs_the_message_asks_for_a_shape(folder: Path) -> None:
    (run,) = outcomes([("run", "open.onnx")], folder)
    assert run.status == 1
    assert "give the input's shape" in run.output
