"""Operands of accelerators anywhere: u8 maps, one layout only, weights among maps, the host's memory, a far output.

The accelerator computes what a layer says (test/passes/targets/any_place.py), so results show where data lay and moved.
"""

from pathlib import Path

import models
import numpy as np
import onnx
import pytest
from random_networks import random_network
from selection import first

import htvm
from htvm.backend import targets
from htvm.reference import evaluate

TARGETS = Path(__file__).parents[1] / "passes" / "targets"
MACHINES = ("any_place", "in_ram", "far_output", "unsigned")
SEEDS = range(40)
"""More are as good: `python test/end_to_end/test_operands.py FIRST LAST` tries others."""


def machine(name: str) -> targets.Soc:
    return targets.load(str(TARGETS / f"{name}.py"))


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("seed", first(SEEDS, 4))
def test_random_networks_are_exact_wherever_operands_are(seed: int, name: str) -> None:
    model, inputs = random_network(seed)
    found = htvm.compile(model, target=machine(name)).run(inputs).outputs
    for output, values in evaluate(model, inputs).items():
        np.testing.assert_array_equal(found[output], values, err_msg=f"seed {seed}: {output}")


def test_the_random_networks_reach_the_accelerator_with_maps_of_both_kinds() -> None:
    """By what runs there: all operations that it knows, on signed bytes and on unsigned ones."""
    ran: set[tuple[str, str]] = set()
    wanted = {(op, element) for op in ("conv2d", "lookup") for element in ("int8", "uint8")}
    ops = {"conv2d", "lookup", "mul", "add", "pool2d"}
    for seed in SEEDS:
        if ran >= wanted and {op for op, _ in ran} >= ops:
            break
        model, _ = random_network(seed)
        element = onnx.helper.tensor_dtype_to_np_dtype(model.graph.input[0].type.tensor_type.elem_type).name
        program = htvm.compile(model, target=machine("any_place"))
        ran |= {(step.op, element) for step in program.project.report.steps if step.engine == "replay"}
    assert ran >= wanted and {op for op, _ in ran} >= ops


@pytest.mark.parametrize(
    ("name", "network", "l1"),
    [
        ("any_place", "ds_cnn", 8 << 10),
        pytest.param("any_place", "resnet8", 128 << 10, marks=pytest.mark.slow),
        pytest.param("any_place", "resnet8", 8 << 10, marks=pytest.mark.slow),
        pytest.param("any_place", "resnet8", 12_000, marks=pytest.mark.slow),
        pytest.param("any_place", "mobilenet_v1", 64 << 10, marks=pytest.mark.slow),
        pytest.param("far_output", "resnet8", 12_000, marks=pytest.mark.slow),
        ("unsigned", "ds_cnn", 16 << 10),
        pytest.param("unsigned", "resnet8", 32 << 10, marks=pytest.mark.slow),
        ("in_ram", "ds_cnn", None),
    ],
)
def test_networks_are_exact_with_weights_among_maps(name: str, network: str, l1: int | None) -> None:
    soc = machine(name) if l1 is None else machine(name).with_memory("l1", l1)
    model = onnx.load(models.path(f"mlperf_tiny/{network}"))
    given = model.graph.input[0]
    shape = [each.dim_value for each in given.type.tensor_type.shape.dim]
    inputs = {given.name: np.random.default_rng(0).integers(-128, 128, shape).astype(np.int8)}
    program = htvm.compile(model, target=soc)
    assert sum(step.engine == "replay" for step in program.project.report.steps) >= 9, "its layers run there"
    found = program.run(inputs).outputs
    for output, values in evaluate(model, inputs).items():
        np.testing.assert_array_equal(found[output], values)


def test_the_report_tells_weights_from_maps_in_one_memory() -> None:
    program = htvm.compile(models.path("mlperf_tiny/ds_cnn"), machine("any_place").with_memory("l1", 32 << 10))
    kinds: dict[str, set[bool]] = {}
    for buffer in program.project.report.buffers:
        if buffer.memory == "l1":
            kinds.setdefault(buffer.kind.value, set()).add(buffer.name.endswith(" weights"))
    assert kinds == {"weights": {True}, "activation": {False}}


if __name__ == "__main__":
    import sys

    for number in range(int(sys.argv[1]), int(sys.argv[2])):
        for each in MACHINES:
            test_random_networks_are_exact_wherever_operands_are(number, each)
        print(f"seed {number}: exact", flush=True)
