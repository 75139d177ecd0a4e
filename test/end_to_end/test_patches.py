"""First layers in patches: random networks and ResNet-8 are exact, and need the memory that they are given."""

import json
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
import warm_commands
from onnx import TensorProto, helper
from random_networks import LAYERS, OPSET, Network, convolution
from selection import first

import htvm
from htvm.dialects import accel
from htvm.execution.program import Program
from htvm.interface import Samples
from htvm.reference import evaluate

MODELS = Path(__file__).parents[1] / "inputs" / "models" / "mlperf_tiny"
KINDS = ("conv", "conv", "depthwise", "maximum", "add")
MULTIPLIER = 4
"""Of channels: rows then begin at words."""

SEEDS = range(50)
FRONT_SEED = 37
POISON = 0x5A


def network_of_maps(seed: int) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """Return a chain of two to five layers on maps whose rows begin at words, and inputs for it."""
    generator = np.random.default_rng(seed)
    storage = np.dtype(generator.choice(["int8", "uint8"], p=[0.7, 0.3]))
    shape = (1, int(generator.choice([1, 3, 4, 8])), int(generator.integers(6, 20)), int(generator.choice([4, 8, 12])))
    network = Network(generator, storage, bool(generator.random() < 0.3), shape)
    kind = TensorProto.INT8 if storage == np.int8 else TensorProto.UINT8
    limits = np.iinfo(storage)
    given = generator.integers(limits.min, limits.max + 1, shape).astype(storage)
    stored, scale, zero_point = "x", network.random_scale(-2.5, -0.5), network.random_zero_point()
    before = None
    for number in range(int(generator.integers(2, 6))):
        real = network.dequantised(stored, scale, zero_point)
        if before is not None and before[1] == network.shape and generator.random() < 0.6:
            real = network.node("Add", [real, before[0]], f"residual{number}")
        before = (real, network.shape)
        real = layer(network, real, f"layer{number}", scale)
        if generator.random() < 0.4:
            real = network.node("Relu", [real], f"relu{number}")
        scale, zero_point = network.random_scale(-2, 0.5), network.random_zero_point()
        stored = network.quantised(real, scale, zero_point)
    result = helper.make_tensor_value_info(stored, kind, network.shape)
    interface = helper.make_tensor_value_info("x", kind, shape)
    graph = helper.make_graph(network.nodes, f"patches_{seed}", [interface], [result], network.constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8), {"x": given}


def layer(network: Network, x: str, name: str, scale: np.float32) -> str:
    """Add a layer that keeps the channels a multiple of four, or makes them one."""
    kind, channels = str(network.generator.choice(KINDS)), network.shape[1]
    if kind == "conv" or channels % MULTIPLIER:
        return convolution(network, x, name, scale, 1, MULTIPLIER * int(network.generator.integers(1, 4)))
    if kind == "depthwise":
        return convolution(network, x, name, scale, channels, channels)
    return LAYERS[kind](network, x, name, scale)


def split(model: onnx.ModelProto | Path, layers: int, patches: int) -> tuple[htvm.CompiledModel, int]:
    """Compile a model with its first layers in patches; return it with the number of copies between two."""
    way = htvm.Pipeline(model)
    way.to("tiled")
    way.run(f"split-patches{{layers={layers} patches={patches}}}")
    copies = sum(
        isinstance(op, accel.TakeOp)
        for function in accel.functions(way.module.operation)
        for op in function.body.blocks[0]
    )
    return way.compiled(), copies


def check_poisoned(compiled: htvm.CompiledModel, inputs: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    """Run in an arena that holds what no layer made, and compare all outputs."""
    program = Program(compiled.project, compiled.soc)
    size = compiled.project.report.memories["ram"].planned_peak_bytes
    program.host.write(program.arena, bytes([POISON]) * size)
    for name, values in program.run(Samples.of(compiled.project.inputs, inputs)).outputs.items():
        np.testing.assert_array_equal(values, wanted[name])


@pytest.mark.parametrize("seed", first(SEEDS, 3))
def test_random_networks_in_patches_are_exact(seed: int) -> None:
    model, inputs = network_of_maps(seed)
    generator = np.random.default_rng(seed)
    compiled, _ = split(model, int(generator.integers(1, 8)), int(generator.integers(2, 9)))
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
    model, inputs = network_of_maps(FRONT_SEED)
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
    for one, less in pairwise(points):
        assert less["ram_bytes"] < one["ram_bytes"] and less["cycles"] > one["cycles"]
    assert whole["layers"] < 2 <= last["layers"] and whole["macs"] == last["macs"] > 0
    least = htvm.compile(model, tmp_path / "board.py", memory={"ram": last["memory_bytes"]})
    assert least.project.report.memories["ram"].planned_peak_bytes == last["ram_bytes"]
    check_poisoned(least, inputs, evaluate(model, inputs))


if __name__ == "__main__":
    import sys

    for number in range(int(sys.argv[1]), int(sys.argv[2])):
        test_random_networks_in_patches_are_exact(number)
        print(f"seed {number}: exact", flush=True)
