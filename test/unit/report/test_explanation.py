"""htvm explain: every engine's answer for each layer, with the values that decide, and what would change it."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

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


def test_a_refusal_has_the_value_found_and_what_would_help() -> None:
    one = decisions("htvm/refused/divisor_384")["conv"]
    digital = candidates(one)["digital"]
    assert one.engine == "host" and "scale: found 0.00260417" in digital.refusal
    change = digital.facts()["change"]
    says = "scale 0.00260417 -> 2^-9, a shift that rounds down"
    assert (change["changes"], change["option"]) == ([says], "--requant pow2")
    assert change["engine"] == "digital" and change["cycles"] < change["cycles_now"]
    shown = explanation.text([one], targets.load("diana"))
    assert f"would take it with: {says} (requantise, --requant pow2 does it)" in shown
    assert f"{change['cycles_now']:,} -> {change['cycles']:,} cycles, transfers included" in shown
    assert "digital refuses 1 of the 1 whose op it knows, because of scale (1)" in shown
    assert "  1 would run there, and faster, with --requant pow2" in shown


def test_a_faster_engine_that_is_not_chosen_has_what_the_network_would_take() -> None:
    """As if the host had been chosen for a layer that the array does faster: what the compiler compares is computed."""
    name, soc = "htvm/layers/dense_16x128", targets.load("diana")
    one = replace(decisions(name)["dense"], engine="host")
    model = MODELS / f"{name}.onnx"
    asked = explanation.with_alternatives(one, lambda *of: explanation.elsewhere(*of, model, soc, {}, {}))
    there, now = candidates(asked)["digital"].network_cycles
    assert there == now < candidates(asked)["host"].cycles
    assert f"but with the layer there the network would take {there:,} cycles, not {now:,}" in explanation.text(
        [asked], soc
    )
    pins = [{"node": "dense", "op": "dense", "engine": "host"}]
    assert explanation.with_alternatives(one, lambda *_: "asked", pins) == one


def test_a_layer_is_named_by_every_node_in_it() -> None:
    one = decisions("htvm/layers/conv2d_3x3_s1_relu")["conv"]
    assert len(one.nodes) > 1
    assert f"with       {', '.join(one.nodes[1:])}" in explanation.text([one], targets.load("diana"))


def test_a_layer_on_the_host_names_its_kernel_and_what_makes_its_time_depend_on_the_data() -> None:
    model, skips = MODELS / "mlperf_tiny" / "toyadmos.onnx", "skips inputs of -128, so its time depends on the data"
    found = {each.node: each for each in explanation.explain(model, targets.load("rv32"))}
    assert (found["dense0"].kernel, found["dense0"].skips) == ("quad_row", None)
    assert (found["dense1"].kernel, found["dense1"].skips) == ("quad_row", -128)
    assert f"  kernel     quad_row; {skips}" in list(explanation.lines(found["dense1"]))
    assert "  kernel     quad_row" in list(explanation.lines(found["dense0"]))


def test_the_page_of_a_model_has_its_decisions_and_that_of_a_project_has_none(tmp_path: Path) -> None:
    model, folder, page = MODELS / "htvm" / "layers" / "dense_16x128.onnx", tmp_path / "c", tmp_path / "page.html"
    for command in (["compile", model, "--target", "diana", "-o", folder], ["report", folder, "-o", page]):
        assert subprocess.run([*HTVM, *map(str, command)], capture_output=True).returncode == 0
    assert '"decisions":[]' in page.read_text()
    assert subprocess.run([*HTVM, "report", str(model), "--target", "diana", "-o", str(page)]).returncode == 0
    assert '"decisions":[{"name":"dense"' in page.read_text()
