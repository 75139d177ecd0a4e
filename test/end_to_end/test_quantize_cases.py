"""`htvm quantize` on models after public bug reports: what it makes compiles and is exact, or it says why not."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import htvm
from htvm.commands import htvm as command
from htvm.diagnostics import CompileError
from htvm.quantization import quality
from htvm.quantization.quantize import float_model, quantise
from htvm.quantization.samples import split

CASES = Path(__file__).parents[1] / "inputs" / "cases"

REFUSED = {
    "lstm": r"node 'LSTM6' \(LSTM-14\): the operator is not supported",
    "einsum": r"node 'Einsum5' \(Einsum-12\): the operator is not supported",
}


def calibration(file: Path) -> dict[str, np.ndarray]:
    return dict(np.load(file.with_suffix(".npz")))


@pytest.mark.parametrize("name", ["quantize_activation_lost/clip05", "quantize_activation_lost/deadrange"])
def test_activations_stay(name: str) -> None:
    """Numbers outside what the calibration shows are still bounded as the float model bounds them."""
    file = CASES / f"{name}.onnx"
    made = quantise(onnx.load(file), calibration(file))
    kinds = [node.op_type for node in onnx.load(file).graph.node if node.op_type in ("Clip", "Relu")]
    assert [node.op_type for node in made.graph.node if node.op_type in ("Clip", "Relu")] == kinds
    assert htvm.verify(made).exact


@pytest.mark.parametrize("name", ["fp16", "lead5", "prep", "u8in"])
def test_inputs_of_any_type_and_leading_axis(name: str) -> None:
    file = CASES / "quantize_inputs" / f"{name}.onnx"
    assert htvm.verify(quantise(onnx.load(file), calibration(file))).exact


@pytest.mark.parametrize(
    "name", ["quantize_edges/rnn", "quantize_internal_error/bn", "quantize_internal_error/instnorm"]
)
def test_first_and_last_operators(name: str) -> None:
    file = CASES / f"{name}.onnx"
    assert htvm.verify(quantise(onnx.load(file), calibration(file))).exact


@pytest.mark.parametrize("name", ["quantize_inputs/lstm", "quantize_internal_error/einsum"])
def test_what_cannot_be_compiled_is_not_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    file = CASES / f"{name}.onnx"
    with pytest.raises(CompileError, match=REFUSED[file.stem]):
        quantise(onnx.load(file), calibration(file))
    arguments = ["--calibration", file.with_suffix(".npz"), "-o", tmp_path / "q.onnx"]
    monkeypatch.setattr(sys, "argv", ["htvm", "quantize", str(file), *map(str, arguments)])
    with pytest.raises(SystemExit, match="1"):
        command.main()
    assert "is not written" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_part_that_loses_its_numbers_is_named() -> None:
    file = CASES / "quantize_yolo_scores" / "yolo.onnx"
    model = float_model(file, None)
    samples = split(model, calibration(file))
    _, lost = quality.judged(model, quantise(model, calibration(file)), samples)
    assert len(lost) == 1 and "node 'Concat20' (Concat): 'sigmoid18' reaches over 0.62" in lost[0]


def three_layers() -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """Return three matrices in a row, and samples."""
    generator = np.random.default_rng(4)
    weights = [generator.normal(0, 0.3, (6, 6)).astype(np.float32) for _ in range(3)]
    nodes = [helper.make_node("MatMul", [f"x{i}", f"w{i}"], [f"x{i + 1}"], f"layer{i}") for i in range(3)]
    graph = helper.make_graph(
        nodes,
        "three",
        [helper.make_tensor_value_info("x0", TensorProto.FLOAT, [1, 6])],
        [helper.make_tensor_value_info("x3", TensorProto.FLOAT, [1, 6])],
        [numpy_helper.from_array(array, f"w{i}") for i, array in enumerate(weights)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model, {"x0": generator.normal(0, 1, (8, 6)).astype(np.float32)}


def output_decibels(model: onnx.ModelProto, made: onnx.ModelProto, given: dict[str, np.ndarray]) -> float:
    return next(each.decibels for each in quality.noise(model, made, split(model, given)) if each.name == "x3")


@pytest.mark.parametrize("powers_of_two", [False, True])
def test_the_worst_layers_get_16_bits(powers_of_two: bool) -> None:
    model, given = three_layers()
    narrow = output_decibels(model, quantise(model, given, powers_of_two=powers_of_two), given)
    wide = quantise(model, given, powers_of_two=powers_of_two, least_db=narrow + 2)
    assert output_decibels(model, wide, given) >= narrow + 2
    assert htvm.verify(wide).exact


def test_noise_that_stays_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Activations of 16 bits do not help against what weights of 8 bits lose."""
    model, given = three_layers()
    onnx.save(model, tmp_path / "three.onnx")
    np.savez(tmp_path / "x.npz", **given)
    arguments = [tmp_path / "three.onnx", "--calibration", tmp_path / "x.npz", "--mixed", "70"]
    monkeypatch.setattr(sys, "argv", ["htvm", "quantize", *map(str, arguments)])
    assert command.main() == 0
    said = capsys.readouterr().err
    assert "three.onnx: output 'x3' reaches 4" in said
    assert "dB of signal to noise, not 70: all 3 layers that matter have activations of 16 bits" in said
    assert "the rest is of weights; --per-channel makes less of it" in said


@pytest.mark.parametrize("sign", [1, -1])
def test_divisors_are_kept_from_0(sign: int) -> None:
    """A quantised tensor can always be 0, whatever the calibration shows."""
    nodes = [
        helper.make_node("Abs", ["x"], ["size"]),
        helper.make_node("Add", ["size", "half"], ["more"]),
        helper.make_node("Mul", ["more", "sign"], ["below"]),
        helper.make_node("Div", ["x", "below"], ["y"], "div"),
    ]
    numbers = {"half": np.float32(0.5), "sign": np.float32(sign)}
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 6]) for name in "xy"]
    constants = [numpy_helper.from_array(np.array(number), name) for name, number in numbers.items()]
    graph = helper.make_graph(nodes, "softsign", values[:1], values[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    made = quantise(model, {"x": np.random.default_rng(1).normal(0, 1, (16, 6)).astype(np.float32)})
    assert [node.op_type for node in made.graph.node].count("Clip") == 1
    assert htvm.verify(made).exact
