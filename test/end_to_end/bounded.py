"""Random networks mapped in many ways, none of which may be predicted to be faster than the bound on all of them.

`python bounded.py FIRST LAST` tries seeds: the fastest mapping, random engines and forms, groups that gain nothing, and
HTVM's; in random L1, with either cost model.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from unittest import mock

from mlir import ir
from shift_networks import PHASES, planned_in_random_ways, random_network

from htvm import dialects
from htvm.backend import targets
from htvm.backend.targets.soc import Soc
from htvm.dialects import accel
from htvm.passes import pipeline
from htvm.passes.analysis import flow
from htvm.passes.analysis.cycle_bound import CycleBound, cycle_bound
from htvm.passes.analysis.tiles import NAME, Tiling
from htvm.passes.pipeline import PHASES as PASSES
from htvm.passes.planning.predict_cycles import PREDICTED_CYCLES

DIANA = targets.load("diana")
ENGINES = (["digital", "analog", "host"], ["digital", "analog", "host"], ["digital", "host"], ["analog", "host"])
ALL_GROUPS, ROW = -10.0, (1 << 10,)
"""The least gain of a group with which every one that fits is taken; the number of tiles of which each is a row."""


def below_bound(seed: int) -> list[str]:
    """Return the mappings of a random network that are predicted to be faster than its bound."""
    rng = random.Random(-seed)
    soc = DIANA.with_cost_model(rng.choice(("match", "odimo"))).with_engines(rng.choice(ENGINES))
    soc = soc.with_memory("l1", 4 * round(2 ** rng.uniform(9, 16)))
    text = random_network(seed, layers=rng.randint(2, 8), is_mixed=rng.random() < 0.7)
    limits = {has_groups: bound_of(text, soc, has_groups) for has_groups in (False, True)}
    found: list[str] = []
    for name, cycles, has_groups in mappings(text, soc, seed):
        limit = limits[has_groups].in_flight if has_groups else limits[has_groups].in_turn
        if cycles < limit:
            found.append(f"seed {seed}, {name}: {cycles:,} cycles, bound {limit:,}{' of groups' * has_groups}")
    return found


def bound_of(text: str, soc: Soc, has_groups: bool) -> CycleBound:
    """Return the bound of a network of stage 'integer'."""
    context = dialects.context()
    module = ir.Module.parse(text, context)
    before = PASSES["dispatched"][: PASSES["dispatched"].index("dispatch-engines")]
    pipeline.build(",".join(before), soc, context).run(module.operation)
    with module.operation.location:
        (function,) = accel.functions(module)
        return cycle_bound(soc, function, has_groups)


def mappings(text: str, soc: Soc, seed: int) -> Iterator[tuple[str, int, bool]]:
    """Yield mappings of a network: what they are, the cycles predicted, and whether they have groups."""
    for least_gain, counts in ((flow.LEAST_GAIN, flow.COUNTS), (ALL_GROUPS, ROW)):
        with mock.patch.object(flow, "LEAST_GAIN", least_gain), mock.patch.object(flow, "COUNTS", counts):
            yield "fastest", *taken(lowered(text, soc, ""))
            for number in range(2):
                yield "random", *taken(planned_in_random_ways(text, soc, seed + number)[0])
    yield "htvm", *taken(lowered(text, soc, "htvm"))


def lowered(text: str, soc: Soc, mapping: str) -> ir.Module:
    context = dialects.context()
    module = ir.Module.parse(text, context)
    if mapping:
        with context:
            module.operation.attributes[accel.OPTIONS_ATTRIBUTE] = accel.OptionsAttr.get(mapping=accel.Mapping(mapping))
    pipeline.build(PHASES, soc, context).run(module.operation)
    return module


def taken(module: ir.Module) -> tuple[int, bool]:
    """Return the cycles predicted of a module of stage 'planned', and whether it has groups."""
    cycles, has_groups = 0, False
    with module.context:
        for function in accel.functions(module):
            for op in function.body.blocks[0]:
                if (predicted := accel.attribute(op, PREDICTED_CYCLES, ir.IntegerAttr)) is not None:
                    cycles += predicted.value
                if (tiling := accel.attribute(op, NAME, accel.TilingAttr)) is not None:
                    has_groups |= Tiling.of(accel.stated(tiling)).group > 0
    return cycles, has_groups


if __name__ == "__main__":
    import sys

    for number in range(int(sys.argv[1]), int(sys.argv[2])):
        print("\n".join(below_bound(number)) or f"seed {number}: none is below", flush=True)
