"""htvm explain --what-if: each line is what the compiler gives with that one thing changed, most gain first."""

import json
import re
import subprocess
from pathlib import Path

import warm_commands

import htvm
from htvm.backend import targets
from htvm.backend.targets.jobs import Form
from htvm.dialects.accel import FormKind
from htvm.explanation.bound import bound
from htvm.explanation.prediction import predicted_cycles
from htvm.explanation.what_if import Answer, WhatIfs, chosen_ways, pin_of, pins, way_text, what_ifs
from htvm.lowering import Pipeline
from htvm.options import CompileOptions
from htvm.passes.analysis.ways import Way
from htvm.plan import form_of

MODELS = Path(__file__).parents[2] / "inputs" / "models"


def asked(model: str, target: str, **choices: object) -> WhatIfs:
    return what_ifs(MODELS / f"{model}.onnx", targets.load(target), CompileOptions().having(**choices))


def test_answers_are_those_of_the_compiler() -> None:
    """The engine that is left out, another one, and scales of which the array takes more: each compiled by itself."""
    model, engines = "htvm/layers/conv2d_3x3_s1", ("host", "analog")
    found = asked(model, "diana", engines=engines)
    cycles = {each.what: each.cycles for each in found.answers}
    digital = htvm.compile(MODELS / f"{model}.onnx", "diana")
    assert cycles["--engines digital,analog,host"] == predicted_cycles(digital) < found.now.cycles
    assert found.answers[0].what == "--engines digital,analog,host" and found.answers[0].busiest != "host"
    assert cycles["--memory l1=512k"] == found.now.cycles and found.now.busiest == "host"
    assert [each.cycles for each in found.answers] == sorted(cycles.values())


def test_layers_are_pinned_to_other_engines_and_forms() -> None:
    """Of a layer: each other engine and form, with what a plan must say for it; the bound holds for all."""
    options, model = CompileOptions(), MODELS / "htvm/layers/depthwise_5x5_s1.onnx"
    way = Pipeline(model, "diana")
    chosen = chosen_ways(way)
    compiled = way.compiled()
    pinned = list(pins(compiled, options, chosen, cycles=1 << 40))
    limit = bound(compiled.source, compiled.soc, options, 1, has_groups=False)
    assert limit is not None and "conv on host" in [each.what for each in pinned]
    for each in pinned:
        there = Pipeline(model, "diana", options=each.options)
        (found,) = (f"{node} {way_text(way)}" for (node, _), way in chosen_ways(there).items() if node == "conv")
        assert found == each.what and limit.least <= predicted_cycles(there.compiled())


def test_pins_say_the_form() -> None:
    way = Way(targets.load("diana").engine("digital"), Form(FormKind.ROWS_AS_CHANNELS, 12, 5, (1, 2)))
    pin = pin_of("conv", "conv2d", way)
    assert form_of(pin["form"]) == way.form and pin["engine"] == "digital"
    assert way_text(way) == "on digital as rows_as_channels (12 outputs, 5 rows)"


def test_numbers_that_change_are_said_to() -> None:
    (best, *_) = asked("mlperf_tiny/toyadmos", "diana").answers
    assert (best.what, best.changes_numbers) == ("--requant pow2", True)


def test_a_machine_of_one_engine_has_constants_and_memory_alone() -> None:
    found = asked("mlperf_tiny/toyadmos", "rv32")
    assert {each.what for each in found.answers} == {"--memory ram=1024k", "--constants 2.4x"}
    assert found.answers[0].cycles < found.now.cycles and found.now.bound is None


def test_what_has_no_program_says_why() -> None:
    """Of a memory that has room for one engine's constants, those of another have none."""
    now, failed = Answer("now", 100, 90, "npu"), Answer("--engines npu", 0, None, problem="l2 is too small\nby 3 bytes")
    shown = WhatIfs(now, (failed,))
    assert shown.text().splitlines()[-1].split() == "none --engines npu: l2 is too small".split()
    assert shown.facts()["answers"][0]["predicted_cycles"] is None


def test_json_has_both() -> None:
    words = (MODELS / "mlperf_tiny/toyadmos.onnx", "--what-if", "--json", "-")
    done = subprocess.run(
        [warm_commands.folder() / "htvm", "explain", *map(str, words)], capture_output=True, text=True
    )
    found = json.loads(done.stdout)
    assert found["layers"] and found["what_if"]["now"]["predicted_cycles"] > 0 and found["what_if"]["answers"]


def test_not_for_some_layers() -> None:
    words = (MODELS / "htvm/layers/conv2d_3x3_s1.onnx", "--what-if", "--node", "conv")
    done = subprocess.run(
        [warm_commands.folder() / "htvm", "explain", *map(str, words)], capture_output=True, text=True
    )
    assert done.returncode == 2 and "leave out --node and --op" in done.stderr


def test_a_plan_for_the_host_has_a_cost(tmp_path: Path) -> None:
    """Pins are priced on a machine without a timeline as well."""
    plan = tmp_path / "plan.json"
    plan.write_text('{"layers": [{"node": "dense0", "op": "dense", "kernel": "row"}]}')
    model = MODELS / "mlperf_tiny/toyadmos.onnx"
    command = [warm_commands.folder() / "htvm", "compile", model, "-o", tmp_path / "c"]
    done = subprocess.run([*command, "--plan", plan], capture_output=True, text=True)
    pinned, free = map(int, re.findall(r"[\d,]+(?= cycles| without)", done.stdout.replace(",", "")))
    assert done.stdout.startswith("plan: ") and pinned > free > 0
