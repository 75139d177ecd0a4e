"""A wait that is missing is found: no program without one of its waits computes other numbers in silence."""

from pathlib import Path

import numpy as np
import pytest
from mlir import ir
from shift_networks import meant, planned, random_input, simulated

from htvm.backend import targets
from htvm.dialects import accel
from htvm.runtime.simulator import SimulationError

TINY = targets.load(str(Path(__file__).parents[1] / "passes/targets/tiny_npu.py"))
SUM = "requant = #accel.requant<multiplier = [1, 1], offset = [0], shift = [1], min = -128, max = 127>"
KIND = "tensor<1x16x4x8xi8>"
TEXT = f"""
func.func @sums(%x: {KIND} {{accel.name = "x", accel.range = array<i64: -128, 127>}})
    -> ({KIND} {{accel.name = "y0"}}) {{
  %a = accel.add %x, %x {{{SUM}}} : ({KIND}, {KIND}) -> {KIND} loc("first")
  %b = accel.add %a, %x {{{SUM}}} : ({KIND}, {KIND}) -> {KIND} loc("second")
  return %b : {KIND}
}}"""
SOC = TINY.with_memory("l1", 2000)
"""Maps of 512 bytes: the result of the first sum stays in L1, and is the second one's operand."""
WAITS = 5


def waits(module: ir.Module) -> list[ir.OpView]:
    (function,) = accel.functions(module)
    return [op for op in accel.nested(function.body.blocks[0]) if isinstance(op, accel.WaitOp)]


def test_there_are_that_many_waits() -> None:
    assert len(waits(planned(TEXT, SOC))) == WAITS


@pytest.mark.parametrize("number", range(WAITS))
def test_a_missing_wait_is_an_error_of_the_simulation(number: int) -> None:
    module, inputs = planned(TEXT, SOC), random_input(TEXT, 1)
    np.testing.assert_array_equal(simulated(module, SOC, inputs)["y0"], meant(TEXT, inputs)["y0"])
    waits(module)[number].operation.erase()
    with pytest.raises(SimulationError, match=", while '|has ended at cycle"):
        simulated(module, SOC, inputs)
