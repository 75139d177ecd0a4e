"""First layers in patches: random networks and ResNet-8 are exact, and need the memory that they are given."""

import json
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
import warm_commands
from host_modes import check_poisoned, split
from map_networks import chain_of_maps
from selection import first

import htvm
from htvm.reference import evaluate

MODELS = Path(__file__).parents[1] / "inputs" / "models" / "mlperf_tiny"
SEEDS = range(50)
FRONT_SEED = 37


@pytest.mark.parametrize("seed", first(SEEDS, 3))
def test_random_networks_in_patches_are_exact(seed: int) -> None:
    model, inputs = chain_of_maps(seed)
    generator = np.random.default_rng(seed)
    compiled = split(htvm.Pipeline(model), int(generator.integers(1, 8)), int(generator.integers(2, 9)))
    check_poisoned(compiled, inputs, evaluate(model, inputs))


TARGET = """
from dataclasses import replace
from htvm import load_target

rv32 = load_target("rv32")
ram = rv32.memory("ram")
flash = replace(ram, name="flash", base=ram.base + (1 << 24))
SOC = replace(rv32, name="board", memories=(ram, flash), program_memory="flash")
"""
"""Where code does not count: a step more of so small a network is larger than what it saves."""


@pytest.mark.slow
def test_resnet8_fits_26_kb_and_computes_nothing_twice(tmp_path: Path) -> None:
    (tmp_path / "board.py").write_text(TARGET)
    whole = htvm.compile(MODELS / "resnet8.onnx")
    compiled = htvm.compile(MODELS / "resnet8.onnx", tmp_path / "board.py", memory={"ram": 26_000})
    assert compiled.project.report.memories["ram"].planned_peak_bytes <= 26_000
    assert sum(step.macs for step in compiled.project.report.steps) == sum(
        step.macs for step in whole.project.report.steps
    )
    golden = np.load(MODELS / "golden" / "resnet8_0.npz")
    check_poisoned(compiled, {"input": golden["input"]}, {"output": golden["output.exact"]})


@pytest.mark.slow
def test_resnet8_has_26_kb_of_activations_where_everything_is_in_ram() -> None:
    """On rv32 itself: in patches, whose steps share their code, the whole program is smallest with few activations."""
    compiled = htvm.compile(MODELS / "resnet8.onnx", memory={"ram": 134_600})
    assert compiled.project.report.memories["ram"].planned_peak_bytes <= 26_000
    assert sum(step.macs for step in compiled.project.report.steps) == 12_501_632
    golden = np.load(MODELS / "golden" / "resnet8_0.npz")
    check_poisoned(compiled, {"input": golden["input"]}, {"output": golden["output.exact"]})


def test_scratch_memory_of_a_first_layer_needs_no_room() -> None:
    """Where it stands alone at the peak: MobileNetV1's first layer is three patches, and takes no copy."""
    compiled = htvm.compile(MODELS / "mobilenet_v1.onnx")
    steps = compiled.project.report.steps
    assert [step.name for step in steps].count("conv0") == 3 and not any(step.inserted for step in steps[:4])
    assert compiled.project.report.memories["ram"].planned_peak_bytes <= 37_000
    golden = np.load(MODELS / "golden" / "mobilenet_v1_0.npz")
    (given,), (result,) = compiled.project.inputs, compiled.project.outputs
    check_poisoned(compiled, {given.name: golden[given.name]}, {result.name: golden[f"{result.name}.exact"]})


def test_the_front_of_memory_is_what_smaller_memories_give(tmp_path: Path) -> None:
    model, inputs = chain_of_maps(FRONT_SEED)
    onnx.save(model, tmp_path / "model.onnx")
    (tmp_path / "board.py").write_text(TARGET)
    command = [warm_commands.folder() / "htvm", "explain", "model.onnx", "--target", "board.py", "--memory"]
    shown = subprocess.run([*command, "--json", "both.json"], cwd=tmp_path, capture_output=True, text=True)
    both = json.loads((tmp_path / "both.json").read_text())
    points = both["front"]["points"]
    whole, *_, last = points
    assert both["layers"] and both["front"]["memory"] == "ram"
    for point, line in zip(points, shown.stdout.splitlines()[2:], strict=True):
        assert line.startswith(f"{point['ram_bytes']:,} ") and f" {point['memory_bytes']} " in line
    assert all(less["ram_bytes"] < one["ram_bytes"] for one, less in pairwise(points))
    assert all(less["cycles"] > one["cycles"] for one, less in pairwise(points[1:]))
    assert whole["layers"] < 2 <= last["layers"] and whole["macs"] == last["macs"] > 0
    least = htvm.compile(model, tmp_path / "board.py", memory={"ram": last["memory_bytes"]})
    assert least.project.report.memories["ram"].planned_peak_bytes == last["ram_bytes"]
    check_poisoned(least, inputs, evaluate(model, inputs))


if __name__ == "__main__":
    import sys

    for number in range(int(sys.argv[1]), int(sys.argv[2])):
        test_random_networks_in_patches_are_exact(number)
        print(f"seed {number}: exact", flush=True)
