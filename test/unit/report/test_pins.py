"""Plans: the decisions of a compilation as a file, and the same file as pins of another one."""

import json
from pathlib import Path

import pytest

import htvm
from htvm import plan
from htvm.diagnostics import CompileError

MODEL = Path(__file__).parents[2] / "inputs" / "models" / "htvm" / "layers" / "residual_block.onnx"


def scheduled(**choices: object) -> dict:
    """Return the plan of the model, as it was decided."""
    compiled = htvm.compile(MODEL, "diana", keep_stages=["scheduled"], **choices)
    assert htvm.verify(compiled).exact
    return plan.saved(htvm.driver.parsed(compiled.stages["scheduled"], "scheduled"), "diana")


def test_a_plan_that_is_given_again_changes_nothing(tmp_path: Path) -> None:
    saved = scheduled()
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(saved))
    assert any("tiling" in entry for entry in saved["layers"])
    assert scheduled(plan=plan.read(str(file))) == saved


def test_a_pin_is_kept_and_the_rest_is_decided_around_it() -> None:
    free = next(entry for entry in scheduled()["layers"] if entry["op"] == "conv2d")
    assert free["engine"] == "digital"
    pinned = scheduled(plan=[{"node": free["node"], "op": "conv2d", "engine": "host"}])
    engines = {entry["node"]: entry["engine"] for entry in pinned["layers"] if entry["op"] == "conv2d"}
    assert engines.pop(free["node"]) == "host"
    assert set(engines.values()) == {"digital"}


def test_a_pin_that_is_impossible_says_why() -> None:
    entry = next(entry for entry in scheduled()["layers"] if entry["op"] == "conv2d")
    with pytest.raises(CompileError, match="pinned to engine 'analog', which refuses it: weights: found"):
        scheduled(plan=[{"node": entry["node"], "op": "conv2d", "engine": "analog"}])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("[]", "has no list 'layers'"),
        ('{"layers": [{"node": 3}]}', r"layers\[0\]: found .*, expected an object with 'node' and 'op'"),
        ('{"layers": [{"node": "a", "op": "add", "tiling": {"rows": "x"}}]}', "tiling is .*, expected sizes and flags"),
    ],
)
def test_a_file_that_is_no_plan_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "plan.json"
    file.write_text(text)
    with pytest.raises(CompileError, match=message):
        plan.read(str(file))


def test_an_objective_is_met_before_time_is() -> None:
    small, fast = (
        htvm.compile(MODEL.parent / "conv2d_3x3_s1.onnx", "diana", objective=objective).project.report
        for objective in ("memory", "latency")
    )
    assert small["memories"]["l1"]["planned_peak_bytes"] < fast["memories"]["l1"]["planned_peak_bytes"]
    assert small["steps"][0]["alone_cycles"] > fast["steps"][0]["alone_cycles"]
