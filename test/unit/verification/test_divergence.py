"""The first wrong value: node, element, both values, and the accumulator behind them."""

from collections import Counter
from math import prod
from pathlib import Path

import planted
import pytest
from tosa.networks import network

import htvm
from htvm.backend.c.program import read_program
from htvm.execution.observation import observed
from htvm.runtime.simulator import SimulationError
from htvm.verification.accumulators import Accumulator
from htvm.verification.divergence import Divergence, first_divergence


def diverging(small: tuple) -> Divergence:
    model, inputs = small
    found = htvm.verify(model, inputs=inputs)
    assert not found.exact
    return found.diverging


def test_nothing_diverges_without_a_bug(small: tuple) -> None:
    model, inputs = small
    found = htvm.verify(model, inputs=inputs)
    assert found.exact and found.diverging is None


def test_wrong_shift_of_the_generated_code(small: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    planted.wrong_shift(monkeypatch)
    found = diverging(small)
    assert (found.node, found.tensor, found.step, found.engine) == ("add0", "add0_q", 1, "host")
    assert len(found.index) == 4 and found.found != found.wanted
    assert found.behind.result == found.wanted and len(found.behind.operands) == 2
    assert str(found).endswith(f"stage 'integer' makes {found.wanted} of it, as expected: the generated code is wrong")


def test_off_by_one_has_the_sum_and_the_sums_that_would_give_what_was_found(
    small: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted.off_by_one(monkeypatch)
    found = diverging(small)
    assert (found.node, found.behind.result) == ("conv3", found.wanted)
    first, last = found.behind.giving_found
    assert first <= last and not first <= found.behind.value <= last
    assert f"the accumulator is {found.behind.value:,}; " in str(found)
    assert f"{found.found} is what accumulators {first:,} to {last:,} give" in str(found)


def test_wrong_constants_are_told_from_wrong_code(small: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    planted.wrong_constants(monkeypatch)
    found = diverging(small)
    assert found.node == "add0" and found.behind.result == found.found != found.wanted
    assert "its constants or passes before are wrong" in str(found)


def test_every_tile_of_an_accelerator_is_looked_at() -> None:
    compiled = htvm.compile(planted.TILED, "diana")
    inputs = compiled.project.random_inputs(0)
    steps = read_program(compiled.module, compiled.soc).steps
    elements = Counter()
    for each in observed(compiled.program, compiled.module, steps, inputs):
        elements[each.step.number] += each.values.size
    assert elements == {number: prod(step.shape) for number, step in enumerate(compiled.project.steps)}
    assert first_divergence(compiled, compiled.program, inputs) is None


def test_what_is_no_tensor_of_the_file_is_not_compared() -> None:
    """A sum that is cut off at 7 bits is added twice as fine."""
    compiled = htvm.compile(planted.TILED.with_name("resnet8_mixed.onnx"), "diana")
    assert first_divergence(compiled, compiled.program, compiled.project.random_inputs(0)) is None


def test_off_by_one_tile_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    planted.off_by_one_tile(monkeypatch)
    found = htvm.verify(planted.TILED, "diana").diverging
    assert (found.node, found.engine) == ("conv4", "digital")  # the first layer with more than one tile
    assert found.tile == ((0, 1), (16, 32), (0, 16), (0, 16)) and found.index[1] >= 16
    assert "\n  it is in the tile [0:1, 16:32, 0:16, 0:16]\n  the accumulator is " in str(found)


def test_missing_wait_is_an_error_with_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    planted.missing_wait(monkeypatch)
    with pytest.raises(SimulationError, match="node 'conv1': .* reads .*, while .* writes "):
        htvm.verify(planted.TILED, "diana")


def test_what_is_neither_is_said() -> None:
    assert Accumulator(3, 17).said(4, 5) == "the accumulator is 17; stage 'integer' makes 3 of it, which is neither"


def test_first_wrong_tensor_of_a_tosa_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers have their channels first, tensors of tosa last: each is compared in the layer's order."""
    (tmp_path / "net.mlir").write_text(network("residual").text())
    assert htvm.verify(tmp_path / "net.mlir").exact
    planted.wrong_shift(monkeypatch)
    found = htvm.verify(tmp_path / "net.mlir").diverging
    assert found.summary.startswith("add") and found.node == found.tensor
    line = int(found.node.removeprefix("line_"))
    assert "tosa.clamp" in network("residual").text().split("\n")[line - 1]
