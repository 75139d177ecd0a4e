"""htvm explain: every engine's answer for each layer, with the values that decide, and what would change it."""

import subprocess
import sys
from pathlib import Path

import pytest

from htvm import explanation
from htvm.backend import targets

HTVM = [sys.executable, "-c", "import sys; from htvm.commands.htvm import main; sys.exit(main())"]
MODELS = Path(__file__).parents[2] / "inputs" / "models"


def decisions(model: str) -> dict[str, explanation.Decision]:
    found = explanation.explain(MODELS / f"{model}.onnx", targets.load("diana"))
    return {each.node: each for each in found}


def candidates(one: explanation.Decision) -> dict[str, explanation.Candidate]:
    return {each.engine: each for each in one.candidates}


def test_the_engine_that_runs_a_layer_is_the_cheapest_that_takes_it() -> None:
    one = decisions("htvm/layers/conv2d_3x3_s1")["conv"]
    asked = candidates(one)
    assert one.engine == "digital"
    assert asked["digital"].cycles < asked["host"].cycles
    assert asked["analog"].refusal.startswith("weights: found")
    assert one.tiling["outputs"] > 0


@pytest.mark.parametrize(
    ("case", "refusal", "change"),
    [
        ("clip_m64_63", "clip: found -64..63", "a result that is cut off at -128..127 or 0..127 only"),
        ("divisor_384", "scale: found 0.00260417", "scales that are powers of two, zero points 0 (--requant pow2)"),
        ("stride_3", "strides: found (3, 3)", None),
    ],
)
def test_a_refusal_has_the_value_found_and_what_would_help(case: str, refusal: str, change: str | None) -> None:
    one = decisions(f"htvm/refused/{case}")["conv"]
    digital = candidates(one)["digital"]
    assert one.engine == "host"
    assert refusal in digital.refusal
    assert digital.would_take == change


def test_a_layer_is_named_by_every_node_in_it() -> None:
    one = decisions("htvm/layers/conv2d_3x3_s1_relu")["conv"]
    assert len(one.nodes) > 1
    assert f"with       {', '.join(one.nodes[1:])}" in explanation.text([one])


def test_the_page_of_a_model_has_its_decisions_and_that_of_a_project_has_none(tmp_path: Path) -> None:
    model, folder, page = MODELS / "htvm" / "layers" / "dense_16x128.onnx", tmp_path / "c", tmp_path / "page.html"
    for command in (["compile", model, "--target", "diana", "-o", folder], ["report", folder, "-o", page]):
        assert subprocess.run([*HTVM, *map(str, command)], capture_output=True).returncode == 0
    assert '"decisions":[]' in page.read_text()
    assert subprocess.run([*HTVM, "report", str(model), "--target", "diana", "-o", str(page)]).returncode == 0
    assert '"decisions":[{"name":"dense"' in page.read_text()
