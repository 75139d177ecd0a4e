"""Random networks and layers on an array with little memory: executed exactly, and nothing meets in memory."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from mlir import ir
from selection import first
from shift_networks import (
    meant,
    planned,
    planned_in_random_tiles,
    planned_in_random_ways,
    random_input,
    random_layer,
    random_network,
    simulated,
)

from htvm.backend import targets
from htvm.backend.targets.soc import Soc
from htvm.passes.analysis import flow
from htvm.passes.tiling import tiler

TINY = targets.load(str(Path(__file__).parents[1] / "passes/targets/tiny_npu.py"))
DIANA = targets.load("diana")
ENGINES = (["digital", "analog", "host"], ["analog", "host"])
WAYS = (["digital", "analog", "host"], ["digital", "host"], ["analog", "host"])
SEEDS = first([4, 6, 647737164, 5, 7], 3)  # the third one adds a map that is an output as well
"""More are as good: `python test/end_to_end/test_shift_networks.py FIRST LAST` tries others."""


@pytest.mark.parametrize("seed", SEEDS)
def test_random_network_is_exact(seed: int) -> None:
    rng = random.Random(-seed)
    soc = TINY.with_memory("l1", 4 * round(2 ** rng.uniform(6, 12)))
    check(random_network(seed), soc.with_memory("weights", 16 * round(2 ** rng.uniform(6, 10))), seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_layer_is_exact(seed: int) -> None:
    soc = DIANA.with_engines(["digital", "host"])  # which adds what the array cannot cut off
    check(random_layer(seed), soc.with_memory("l1", random.Random(-seed).randint(8, 64) * 1024), seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_mixed_network_is_exact(seed: int) -> None:
    soc = DIANA.with_engines(ENGINES[seed % len(ENGINES)])
    soc = soc.with_memory("l1", 4 * round(2 ** random.Random(-seed).uniform(7, 12)))
    check(random_network(seed, is_mixed=True), soc, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_engines_and_forms_are_exact(seed: int) -> None:
    check_ways(seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_groups_are_exact(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "LEAST_GAIN", -10.0)  # all layers in a row that fit are in flight, also if that is slower
    soc = DIANA.with_cost_model(("match", "odimo")[seed % 2])
    soc = soc.with_memory("l1", 4 * round(2 ** random.Random(-seed).uniform(9, 16)))
    check(random_network(seed, is_mixed=True), soc, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_tiles_are_exact(seed: int) -> None:
    soc = TINY.with_memory("l1", 4 * round(2 ** random.Random(-seed).uniform(6, 10)))
    text = random_network(seed, layers=3)
    check(text, soc, seed, planned_in_random_tiles(text, soc, seed))


def test_tiles_in_a_loop_wait_for_what_has_no_room_beside_them() -> None:
    """Both buffers of an input are needed from the loop's beginning on, while the last result before is on its way."""
    test_random_tiles_are_exact(30174)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_tiles_are_exact_as_loops(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiler, "STRAIGHT", (0,))
    test_random_tiles_are_exact(seed)


def check_ways(seed: int) -> Counter[str]:
    """Try a network with random engines and forms, a random cost model, and random memory; return how many forms."""
    rng = random.Random(-seed)
    soc = DIANA.with_cost_model(rng.choice(("match", "odimo"))).with_engines(rng.choice(WAYS))
    soc = soc.with_memory("l1", 4 * round(2 ** rng.uniform(8, 16)))
    text = random_network(seed, layers=rng.randint(3, 7), is_mixed=rng.random() < 0.5)
    module, forms = planned_in_random_ways(text, soc, seed)
    check(text, soc, seed, module)
    return forms


def check(text: str, soc: Soc, seed: int, module: ir.Module | None = None) -> None:
    """Run a module on a target, with random inputs, and compare every output with what it means."""
    inputs = random_input(text, seed)
    found = simulated(module or planned(text, soc), soc, inputs)
    for name, values in meant(text, inputs).items():
        np.testing.assert_array_equal(found[name], values, err_msg=f"seed {seed}: {name}")


if __name__ == "__main__":
    import sys

    for number in range(int(sys.argv[1]), int(sys.argv[2])):
        test_random_network_is_exact(number)
        test_random_layer_is_exact(number)
        test_random_mixed_network_is_exact(number)
        test_random_tiles_are_exact(number)
        forms = ", ".join(f"{count} {form}" for form, count in check_ways(number).items())
        print(f"seed {number}: exact{f' ({forms})' if forms else ''}", flush=True)
