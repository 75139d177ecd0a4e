"""Which maps stay in an accelerator's memory: nothing is promised more room than there is, and who goes first."""

import random
import sys
from pathlib import Path

import pytest
from mlir import ir

import htvm
from htvm import dialects
from htvm.backend import targets
from htvm.backend.targets.soc import Soc
from htvm.dialects import accel
from htvm.passes import pipeline
from htvm.passes.analysis import activations, layout
from htvm.passes.analysis.residency import DoesNotFit, Residency

sys.path.append(str(Path(__file__).parents[2] / "end_to_end"))
import models  # noqa: E402
from shift_networks import random_network  # noqa: E402

TINY = targets.load(str(Path(__file__).parents[2] / "passes/targets/tiny_npu.py"))
SUM = 'engine = "npu", requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>'


def settled(text: str, soc: Soc, phases: str = "") -> Residency:
    """Return what stays where, of the only function of a module."""
    context = dialects.context()
    module = ir.Module.parse(text, context)
    if phases:
        pipeline.build(phases, soc, context).run(module.operation)
    (function,) = accel.functions(module)
    residency = Residency(soc, list(activations.layers(function)))
    with module.operation.location:
        residency.choices = residency.settle()
    residency.module = module
    return residency


def additions(*layers: tuple[str, str, str], size: int = 64) -> str:
    """Return a module of additions (result, operand, operand) of maps of 16 channels, the last one returned."""
    kind = f"tensor<1x16x1x{size}xi8>"
    lines = [f'%{y} = accel.add %{a}, %{b} {{{SUM}}} : ({kind}, {kind}) -> {kind} loc("{y}")' for y, a, b in layers]
    return f"func.func @f(%x: {kind}) -> {kind} {{\n" + "\n".join(lines) + f"\nreturn %{layers[-1][0]} : {kind}\n}}"


def stay(residency: Residency) -> set[str]:
    return {accel.node(value.owner.opview) for value in residency.resident}


CHAIN = additions(("a", "x", "x"), ("b", "a", "a"), ("c", "b", "b"))
"""Maps of 1,024 bytes; b is made from a while both are there."""


@pytest.mark.parametrize(("l1", "wanted"), [(4096, {"a", "b"}), (3072, {"a", "b"}), (3071, set())])
def test_maps_stay_while_they_fit_beside_the_smallest_buffers(l1: int, wanted: set[str]) -> None:
    """The first layer loads both operands whole, beside its result: 3 kB."""
    assert stay(settled(CHAIN, TINY.with_memory("l1", l1))) == wanted


def test_what_passes_through_has_the_tilings_that_say_so() -> None:
    residency = settled(CHAIN, TINY.with_memory("l1", 512))
    assert stay(residency) == set()
    assert all(choice.tiling.loads and choice.tiling.stores for choice in residency.choices.values())


def test_the_map_that_is_in_the_way_of_most_layers_goes_first() -> None:
    text = additions(("a", "x", "x"), ("b", "x", "x"), ("c", "b", "b"), ("d", "c", "c"), ("e", "a", "d"))
    residency = settled(text, TINY.with_memory("l1", 16 * 1024))
    assert stay(residency) == {"a", "b", "c", "d"}
    residency.give_up([one for one in residency.placed if accel.node(one.layer) in "bcd"])
    assert stay(residency) == {"b", "c", "d"}
    residency.give_up([one for one in residency.placed if accel.node(one.layer) == "c"])
    assert len(stay(residency)) == 2 and "d" in stay(residency)


def test_a_layer_that_cannot_be_cut_gives_up_the_map_that_keeps_it_from_that() -> None:
    # conv27 has more weights than a launch holds. Its result, pixel by pixel for the pool, cannot stay in parts.
    module = htvm.Pipeline(models.path("htvm/mobilenet_v1_digital"), "diana", cost_model="odimo").to("scheduled")
    (function,) = accel.functions(module)
    layers = {accel.node(layer): layer for layer in activations.layers(function)}
    assert accel.attribute(layers["conv26"], accel.MEMORY, ir.StringAttr)
    assert not accel.attribute(layers["conv27"], accel.MEMORY, ir.StringAttr)


def test_what_no_memory_holds_is_said_of_every_layer() -> None:
    with pytest.raises(DoesNotFit) as problem:
        settled(CHAIN, TINY.with_memory("l1", 40))
    assert {accel.node(layer): why for layer, why in problem.value.reasons.items()} == dict.fromkeys(
        "abc", "smallest tile: found 48 bytes, wanted at most 40 bytes of l1"
    )


@pytest.mark.parametrize("seed", range(8))
def test_maps_and_buffers_fit_together_at_every_layer(seed: int) -> None:
    """Tiles in the engine's memory, counted without the class that chose them."""
    soc = TINY.with_memory("l1", 4 * round(2 ** random.Random(seed).uniform(7, 11)))
    residency = settled(random_network(seed, layers=8), soc, "dispatched,order-layers")
    for one in residency.placed:
        tiling = residency.choices[one.output].tiling
        lives = [
            value
            for value in residency.resident
            if residency.layers.index(value.owner.opview) <= one.number
            and one.number <= max(residency.layers.index(use.owner.opview) for use in inside(value, residency))
        ]
        there = sum(layout.aligned(layout.size_bytes(value.type)) for value in lives)
        assert there + residency.search(one, {}).map_bytes(tiling)["l1"] <= soc.memory("l1").size_bytes
        assert tiling.stores == (one.output not in residency.resident)
        assert tiling.loads == any(value not in residency.resident for value in one.inputs)


def inside(value: ir.Value, residency: Residency) -> list[ir.OpOperand]:
    """Return the uses of a map by the accelerator."""
    engines = {one.layer.operation for one in residency.placed}
    return [use for use in value.uses if use.owner.operation in engines]
