"""htvm explain: every engine's answer for each layer, with the values that decide, and what would change it."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import warm_commands
from tosa.text import Function

import htvm
from htvm.backend import targets
from htvm.backend.targets.violations import Subject
from htvm.explanation import explanation
from htvm.explanation.alternatives import Alternatives, Network
from htvm.options import CompileOptions

MODELS = Path(__file__).parents[2] / "inputs" / "models"


def command(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([warm_commands.folder() / "htvm", *map(str, words)], capture_output=True, text=True)


def explained(model: str) -> explanation.Explanation:
    return explanation.explain(MODELS / f"{model}.onnx", targets.load("diana"))


def decisions(model: str) -> dict[str, explanation.Decision]:
    return {each.node: each for each in explained(model).decisions}


def text(one: explanation.Decision) -> str:
    """Return what is said of one decision, and of a network of nothing else."""
    return explanation.text(explanation.Explanation((one,), Network({}, {}, ())), targets.load("diana"))


def candidates(one: explanation.Decision) -> dict[str, explanation.Candidate]:
    return {each.engine: each for each in one.candidates}


def test_the_engine_that_runs_a_layer_is_the_cheapest_that_takes_it() -> None:
    one = decisions("htvm/layers/conv2d_3x3_s1")["conv"]
    asked = candidates(one)
    assert one.engine == "digital"
    assert asked["digital"].cycles < asked["host"].cycles
    assert Subject.WEIGHT_VALUES in [each.subject for each in asked["analog"].violations]
    assert one.tiling["outputs"] > 0


def test_a_refusal_has_the_value_found_and_what_would_help() -> None:
    one = decisions("htvm/refused/divisor_384")["conv"]
    digital = candidates(one)["digital"]
    assert one.engine == "host" and "scale: found 0.00260417" in str(digital.violations[0])
    change = digital.facts()["change"]
    says = "scale 0.00260417 -> 2^-9, a shift that rounds down"
    assert (change["changes"], change["option"]) == ([says], "--requant pow2")
    assert change["engine"] == "digital" and change["cycles"] < change["cycles_now"]
    shown = text(one)
    assert f"would run it with: {says} (requantise, --requant pow2 does it)" in shown
    assert f"{change['cycles_now']:,} -> {change['cycles']:,} cycles, transfers included" in shown
    assert "digital does not support 1 of the 1 whose op it knows, because of scale (1)" in shown
    assert "  1 would run there, and faster, with --requant pow2" in shown


def test_a_faster_engine_that_is_not_chosen_has_what_the_network_would_take() -> None:
    """As if the host had been chosen for a layer that the array does faster: what the compiler compares is computed."""
    name, soc = "htvm/layers/dense_16x128", targets.load("diana")
    found = explained(name)
    one, model = replace(found.decisions[0], engine="host"), MODELS / f"{name}.onnx"
    compiled = Alternatives(model, soc, CompileOptions(), found.network)
    asked = explanation.with_alternatives(one, lambda layer, engine: compiled.what_if((layer.node, layer.op), engine))
    network = candidates(asked)["digital"].what_if
    assert network.there == network.now < candidates(asked)["host"].cycles
    assert candidates(asked)["digital"].facts()["network_cycles"] == (network.there, network.now)
    wanted = f"but with the layer there the network would take {network.there:,} cycles, not {network.now:,}"
    assert wanted in "\n".join(explanation.lines(asked))
    pins = [{"node": "dense", "op": "dense", "engine": "host"}]
    assert explanation.with_alternatives(one, lambda *_: "asked", pins) == one


def test_a_result_stays_in_a_memory_or_goes_to_one() -> None:
    one = decisions("htvm/layers/dense_16x128")["dense"]
    stays = replace(one, memory="l1", tiling={**one.tiling, "stores": False})
    goes = replace(one, memory="l3", tiling={**one.tiling, "stores": True})
    for each, wanted in ((stays, "stays in l1"), (goes, "goes to l3")):
        assert any(line.endswith(f"; its result {wanted}") for line in explanation.lines(each))


def test_where_a_memory_would_be_full_it_says_so_and_who_would_leave() -> None:
    model, soc = MODELS / "mlperf_tiny" / "mobilenet_v1.onnx", targets.load("diana").with_memory("l2", 400 * 1024)
    found = explanation.explain(model, soc, "dwconv11", requant="pow2")
    (one,) = found.decisions
    assert one.engine == "host"
    full, *_, longer = candidates(one)["digital"].what_if.reasons
    assert re.match(r"l2 would be .*full \(constants [0-9,]+ \+ maps [0-9,]+ of 409,600 bytes", full)
    left = re.search(r"so (\w+) would be on host", full)[1]
    assert left != "dwconv11" and found.network.engines[left, "conv2d"] == "digital"
    assert longer.startswith(f"{left} would take ")
    assert f"             {full}" in list(explanation.lines(one))
    l2 = next(each for each in found.network.fills if each.memory == "l2")
    assert 0 < l2.constants + l2.buffers <= l2.size == 409_600
    assert explanation.text(found, soc).endswith(f"l2 at its fullest: {l2}")


def test_a_network_that_does_not_fit_is_explained_and_what_does_not_fit_is_said() -> None:
    model, soc = MODELS / "mlperf_tiny" / "ds_cnn.onnx", targets.load("rv32").with_memory("ram", 30 * 1024)
    found = explanation.explain(model, soc, "conv1")
    shown = explanation.text(found, soc)
    assert found.decisions[0].node == "conv1" and "does not fit target 'rv32': ram needs " in shown
    assert found.network.fills[0].is_full and "steps of C" not in shown


def test_layers_are_found_by_what_they_are_and_say_their_kernel_strides_and_groups() -> None:
    model, soc = MODELS / "mlperf_tiny" / "ds_cnn.onnx", targets.load("rv32")
    depthwise = explanation.explain(model, soc, op="depthwise").decisions
    assert len(depthwise) == 4 and all(each.groups == 64 == each.shape[1] for each in depthwise)
    assert explanation.head(depthwise[0]).endswith(": conv2d 3x3, 64 groups (depthwise) -> 1x64x25x5 on host")
    of_onnx, of_dialect = (explanation.explain(model, soc, op=each).decisions for each in ("conv", "conv2d"))
    assert of_onnx == of_dialect and len(of_onnx) == 9
    assert ": conv2d 10x4, strides 2x2 -> 1x64x25x5 on host" in explanation.head(of_onnx[0])
    done = command("explain", model, "--op", "deepwise")
    assert done.returncode == 2 and "--op: no layer is a 'deepwise'; there are conv2d, Conv, " in done.stderr


def test_rules_that_are_asked_only_when_others_are_kept_are_named() -> None:
    """Depthwise layers with padding that is not 0: the array's scale is a rule behind it. Weights have two forms."""
    model, soc = MODELS / "mlperf_tiny" / "ds_cnn.onnx", targets.load("diana")
    one = explanation.explain(model, soc, op="depthwise").decisions[0]
    digital = candidates(one)["digital"]
    assert [str(each) for each in digital.violations] == ["padding: found -128, wanted 0"] and "scale" in digital.then
    shown, facts = "\n".join(explanation.lines(one)), digital.facts()
    assert f"digital    unsupported: padding: found -128, wanted 0 (then {', '.join(digital.then)})" in shown
    change = facts["change"]
    assert facts["then"] == list(digital.then) and change["weight_bytes_now"] == 576 < change["weight_bytes"]
    assert f"cycles, transfers included; 576 -> {change['weight_bytes']:,} bytes of weights" in shown


def test_a_layer_that_no_node_asks_for_is_marked_and_counts_agree() -> None:
    """With scales of powers of two the input is scaled by a layer of its own, which has the first layer's name."""
    model, soc = MODELS / "mlperf_tiny" / "mobilenet_v1.onnx", targets.load("diana")
    found = explanation.explain(model, soc, "conv0", requant="pow2")
    scaled, conv = found.decisions
    assert (scaled.node, conv.node, conv.inserted) == ("conv0", "conv0", None)
    assert scaled.inserted.startswith("for --requant pow2: scale ") and "-> scale 2^" in scaled.inserted
    assert list(explanation.lines(scaled))[1] == f"  inserted   {scaled.inserted}"
    shown = explanation.text(found, soc)
    assert "2 layers, 1 of them inserted: 2 on digital" in shown
    steps = htvm.compile(model, soc, requant="pow2").project.steps
    assert f"the network: {len(steps)} steps of C, " in shown
    assert [each.inserted for each in steps[:2]] == [scaled.inserted, None]


def test_a_layer_is_named_by_every_node_in_it() -> None:
    one = decisions("htvm/layers/conv2d_3x3_s1_relu")["conv"]
    assert len(one.nodes) > 1
    assert f"with       {', '.join(one.nodes[1:])}" in text(one)


def test_a_layer_on_the_host_names_its_kernel_and_what_makes_its_time_depend_on_the_data() -> None:
    model, skips = MODELS / "mlperf_tiny" / "toyadmos.onnx", "skips inputs of -128, so its time depends on the data"
    found = {each.node: each for each in explanation.explain(model, targets.load("rv32")).decisions}
    assert (found["dense0"].kernel, found["dense0"].skips) == ("quad_row", None)
    assert (found["dense1"].kernel, found["dense1"].skips) == ("quad_row", -128)
    assert f"  kernel     quad_row; {skips}" in list(explanation.lines(found["dense1"]))
    assert "  kernel     quad_row" in list(explanation.lines(found["dense0"]))


def test_the_page_of_a_model_has_its_decisions_and_that_of_a_project_has_none(tmp_path: Path) -> None:
    model, folder, page = MODELS / "htvm" / "layers" / "dense_16x128.onnx", tmp_path / "c", tmp_path / "page.html"
    for words in (["compile", model, "--target", "diana", "-o", folder], ["report", folder, "-o", page]):
        assert command(*words).returncode == 0
    assert '"decisions":[]' in page.read_text()
    assert command("report", model, "--target", "diana", "-o", page).returncode == 0
    assert '"decisions":[{"name":"dense"' in page.read_text()


def test_module_of_integers_is_not_offered_an_option_that_refits_scales(tmp_path: Path) -> None:
    f = Function()
    f.result(f.layer(f.input((1, 4, 4, 16)), 16, (3, 3)))
    (tmp_path / "net.mlir").write_text(f.text())
    found = explanation.explain(tmp_path / "net.mlir", targets.load("diana"))
    (conv,) = (each for each in found.decisions if each.op == "conv2d")
    asked = candidates(conv)["digital"].facts()
    assert asked["refusal"] and (asked["change"] or {}).get("option") is None
    assert "--requant" not in text(conv)
