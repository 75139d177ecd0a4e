"""`htvm reduce`: a planted bug is cut out of a network, and the small model still shows it."""

import sys
from pathlib import Path

import numpy as np
import onnx
import planted
import pytest

import htvm
from htvm.backend import targets
from htvm.commands import htvm as command
from htvm.run_passes import InternalError
from htvm.verification.graph_cuts import OnnxGraph
from htvm.verification.reduction import Reduction, failing_case, wrong_values

SOC = targets.load("rv32")


def test_off_by_one_is_left_with_its_convolution(small: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    planted.off_by_one(monkeypatch)
    model, inputs = small
    reduction = Reduction(SOC)
    found = reduction.reduced(failing_case(reduction, OnnxGraph(model), inputs, []))
    kinds = [node.op_type for node in found.model.model.graph.node]
    assert kinds.count("Conv") == 1 and set(kinds) <= {"DequantizeLinear", "Conv", "Relu", "QuantizeLinear"}
    (sample,) = found.inputs.values()
    assert sample.size <= 8  # few channels, rows and columns
    assert found.failure.kind == wrong_values("ONNX file")
    assert "node 'conv3' is the first that differs" in found.failure.message

    planted_there = htvm.verify(found.model.model, inputs=found.inputs)
    monkeypatch.undo()
    assert not planted_there.exact and htvm.verify(found.model.model, inputs=found.inputs).exact


def test_the_command_leaves_the_node_that_crashes_a_pass(
    small: tuple, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    planted.crash(monkeypatch)
    model, inputs = small
    monkeypatch.chdir(tmp_path)
    onnx.save(model, "net.onnx")
    np.savez("wrong.npz", **inputs)
    monkeypatch.setattr(sys, "argv", ["htvm", "reduce", "net.onnx", "--inputs", "wrong.npz", "--target=rv32"])
    assert command.main() == 0
    said = capsys.readouterr().out
    whole = len(model.graph.node)
    assert f"net_reduced.onnx: 5 of {whole} nodes still fail: pass 'plan-memory' fails with IndexError\n" in said
    assert "repeat: htvm verify net_reduced.onnx --inputs net_reduced.npz --target rv32\n" in said
    kinds = [node.op_type for node in onnx.load("net_reduced.onnx").graph.node]
    assert sorted(kinds) == ["Add", "DequantizeLinear", "DequantizeLinear", "QuantizeLinear", "Relu"]
    with np.load("net_reduced.npz") as arrays, pytest.raises(InternalError):
        htvm.verify("net_reduced.onnx", inputs=dict(arrays))


def test_a_model_that_does_not_fail_is_not_reduced(small: tuple) -> None:
    model, inputs = small
    assert failing_case(Reduction(SOC), OnnxGraph(model), inputs, []) is None
