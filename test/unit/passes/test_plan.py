"""From an integer module to a plan, without trusting the planner: random networks, and every offset moved."""

import random
import sys
from pathlib import Path

import pytest
from mlir import ir
from selection import first

from htvm import dialects
from htvm.backend import targets
from htvm.dialects import accel
from htvm.passes import pipeline
from htvm.passes.analysis import occupancy
from htvm.passes.analysis.actions import actions
from htvm.passes.analysis.liveness import lifetimes, overlaps

sys.path.append(str(Path(__file__).parents[2] / "end_to_end"))
from shift_networks import planned as planned_for  # noqa: E402
from shift_networks import random_network  # noqa: E402

TINY = targets.load(str(Path(__file__).parents[2] / "passes/targets/tiny_npu.py"))
PHASES = "dispatched,scheduled,tiled,planned"
SHAPE = "tensor<1x4x6x6xi8>"


def random_module(seed: int, count: int) -> str:
    """A network of convolutions, additions, transpositions and reshapes on maps of one size."""
    rng = random.Random(seed)
    lines = [
        "%w = arith.constant dense<1> : tensor<4x4x1x1xi8>",
        "%t = arith.constant dense<1> : tensor<256xi8>",
    ]
    conv = "strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64"
    values = ["%x"]
    for number in range(count):
        a, b, y = rng.choice(values[-4:]), rng.choice(values[-4:]), f"%v{number}"
        lines.append(
            rng.choice(
                [
                    f"{y} = accel.conv2d {a}, %w {{{conv}}} : ({SHAPE}, tensor<4x4x1x1xi8>) -> {SHAPE}",
                    f"{y} = accel.add {a}, {b} : ({SHAPE}, {SHAPE}) -> {SHAPE}",
                    f"{y} = accel.lookup {a}, %t {{lowest = -128 : i64}} : ({SHAPE}, tensor<256xi8>) -> {SHAPE}",
                    f"{y} = accel.transpose {a} {{permutation = array<i64: 0, 1, 3, 2>}} : ({SHAPE}) -> {SHAPE}",
                ]
            )
        )
        values.append(y)
    returned = rng.sample(values, 2)
    lines.append(f"return {', '.join(returned)} : {SHAPE}, {SHAPE}")
    body = "\n".join(f'{line} loc("n{number}")' for number, line in enumerate(lines))
    return f"func.func @random(%x: {SHAPE}) -> ({SHAPE}, {SHAPE}) {{\n{body}\n}}"


def planned(text: str) -> ir.Module:
    context = dialects.context()
    module = ir.Module.parse(text, context)
    pipeline.build(PHASES, targets.load("rv32"), context).run(module.operation)
    return module


@pytest.mark.parametrize("seed", first(range(25), 10))
def test_random_networks_reach_a_plan_that_verifies(seed: int) -> None:
    module = planned(random_module(seed, count=8))
    arena, bound = (module.operation.attributes[name]["ram"].value for name in ("accel.arena", "accel.lower_bound"))
    assert arena == bound


def test_a_plan_is_the_same_every_time() -> None:
    assert str(planned(random_module(5, count=12))) == str(planned(random_module(5, count=12)))


@pytest.mark.parametrize("seed", first(range(10), 4))
def test_any_buffer_put_over_another_that_lives_is_found(seed: int) -> None:
    """Move each buffer to each word of the arena: what the planner says of lifetimes must be what the check finds."""
    module = planned(random_module(seed, count=6))
    function = next(accel.functions(module))
    with module.operation.location:
        for buffer in [op for op in function.body.blocks[0] if isinstance(op, accel.BufferOp)]:
            kept = buffer.offset
            for offset in range(0, module.operation.attributes["accel.arena"]["ram"].value - 143, 48):
                buffer.offset = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), offset)
                assert (next(occupancy.conflicts(function), None) is None) == is_apart(function)
            buffer.offset = kept


@pytest.mark.parametrize("seed", first(range(4), 2))
def test_buffers_of_copies_and_launches_are_apart_until_they_are_waited_for(seed: int) -> None:
    """Move each buffer, in each memory: where lifetimes are apart nothing is disturbed, elsewhere mostly something."""
    module = planned_for(random_network(seed, layers=3), TINY.with_memory("l1", 1500))
    function = next(accel.functions(module))
    together = disturbed = 0
    with module.operation.location:
        arenas = {each.name: each.attr.value for each in module.operation.attributes["accel.arena"]}
        for buffer in [op for op in function.body.blocks[0] if isinstance(op, accel.BufferOp)]:
            kept, arena = buffer.offset, arenas[buffer.memref.type.memory_space.value]
            for offset in range(0, arena, max(arena // 5 // 4 * 4, 4)):
                buffer.offset = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), offset)
                found = next(occupancy.conflicts(function), None)
                if is_apart(function):
                    assert found is None
                else:
                    together, disturbed = together + 1, disturbed + (found is not None)
            buffer.offset = kept
    assert disturbed > together / 2 > 0


def is_apart(function: ir.OpView) -> bool:
    """Compare all pairs of lifetimes: apart in time, apart in memory, or one over the other as its trail says."""
    doing = actions(function)
    lives, places = lifetimes(function, doing), occupancy.regions(function)
    trails = overlaps(doing, lives)
    for j, later in enumerate(lives):
        for i, earlier in enumerate(lives):
            if i == j or earlier.first > later.last or later.first > earlier.last:
                continue
            one, other = places[earlier.value], places[later.value]
            over, under = trails.get((i, j)), trails.get((j, i))
            shares = over and over.allows(one.begin - other.begin) or under and under.allows(other.begin - one.begin)
            if one.overlaps(other) and not shares:
                return False
    return True
