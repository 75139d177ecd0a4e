"""Plans: the decisions of a compilation as a file, and the same file as pins of another one."""

import json
from pathlib import Path

import pytest

import htvm
from htvm import plan
from htvm.diagnostics import CompileError

MODELS = Path(__file__).parents[2] / "inputs" / "models"
MODEL = MODELS / "htvm" / "layers" / "residual_block.onnx"


def scheduled(model: Path = MODEL, **choices: object) -> dict:
    """Return the plan of a model, as it was decided."""
    compiled = htvm.compile(model, "diana", keep_stages=["scheduled"], **choices)
    assert htvm.verify(compiled).exact
    return plan.saved(htvm.driver.parsed(compiled.stages["scheduled"], "scheduled"), "diana", compiled.options)


def test_a_plan_that_is_given_again_changes_nothing(tmp_path: Path) -> None:
    saved = scheduled()
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(saved))
    assert any("tiling" in entry for entry in saved["layers"])
    assert scheduled(options=plan.read(str(file))) == saved


def test_layers_that_were_inserted_are_pinned_as_well() -> None:
    """Nodes have up to three layers of one operation: a sum's clip, and an order of bytes, which is not in the plan."""
    choices = {"model": MODELS / "mlperf_tiny" / "resnet8.onnx", "requant": "pow2"}
    saved = scheduled(**choices)
    assert [entry["op"] for entry in saved["layers"] if entry["node"] == "add2"] == ["add", "conv2d"]
    assert [entry.get("number") for entry in saved["layers"] if entry["node"] == "conv0"] == [None, 2]
    assert saved["options"] == {"requant": "pow2"}
    assert scheduled(**choices, plan=saved["layers"]) == saved


def test_a_layer_that_runs_twice_has_both_tilings_pinned() -> None:
    model = MODELS / "htvm" / "resnet8_mixed.onnx"
    saved = scheduled(model)
    assert any("again" in entry for entry in saved["layers"])
    assert scheduled(model, plan=saved["layers"]) == saved
    other = [entry | {"again": entry["tiling"]} for entry in saved["layers"] if "again" in entry]
    changed = scheduled(model, plan=[*(entry for entry in saved["layers"] if "again" not in entry), *other])
    assert [entry["again"] for entry in changed["layers"] if "again" in entry] == [entry["tiling"] for entry in other]


def test_a_tiling_for_a_second_run_that_there_is_not_is_an_error() -> None:
    entry = next(entry for entry in scheduled()["layers"] if entry["op"] == "conv2d")
    with pytest.raises(CompileError, match="where this layer runs once more, and it runs once: leave out its 'again'"):
        scheduled(plan=[{"node": entry["node"], "op": "conv2d", "again": entry["tiling"]}])


def test_a_pin_is_kept_and_the_rest_is_decided_around_it() -> None:
    free = next(entry for entry in scheduled()["layers"] if entry["op"] == "conv2d")
    assert free["engine"] == "digital"
    pinned = scheduled(plan=[{"node": free["node"], "op": "conv2d", "engine": "host"}])
    engines = {entry["node"]: entry["engine"] for entry in pinned["layers"] if entry["op"] == "conv2d"}
    assert engines.pop(free["node"]) == "host"
    assert set(engines.values()) == {"digital"}


def test_a_pin_that_is_impossible_says_why() -> None:
    entry = next(entry for entry in scheduled()["layers"] if entry["op"] == "conv2d")
    with pytest.raises(
        CompileError, match="pinned to engine 'analog', which does not support it: weight values: found"
    ):
        scheduled(plan=[{"node": entry["node"], "op": "conv2d", "engine": "analog"}])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("[]", "has no list 'layers'"),
        ('{"layers": [{"node": 3}]}', r"layers\[0\]: found .*, expected an object with 'node' and 'op'"),
        ('{"layers": [{"node": "a", "op": "add", "number": "x"}]}', "number is 'x', expected which of the layers"),
        ('{"layers": [{"node": "a", "op": "add", "tiling": {"rows": "x"}}]}', "tiling is .*, expected sizes and flags"),
        ('{"layers": [{"node": "a", "op": "add", "again": {"rows": 0}}]}', "again: tiling has no outputs"),
        ('{"layers": [], "options": 3}', "options: there is no 'options'"),
        ('{"layers": [], "options": {"requant": 3}}', "options: 'requant' is 3, expected a text"),
        ('{"layers": [], "options": {"requant": "x"}}', "options: requant is 'x', expected one of exact, pow2"),
        ('{"layers": [], "options": {"memory": {"l1": "64k"}}}', "options: 'memory' is .*, expected bytes by memory"),
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
    assert small.planned_bytes("l1") < fast.planned_bytes("l1")
    assert small.steps[0].tiled.alone_cycles > fast.steps[0].tiled.alone_cycles
