"""The cycle model against the RTL: the same instructions and the same cycles, in every recorded region."""

import json
from pathlib import Path

import pytest

from htvm.backend.targets.soc import Host as Core
from htvm.backend.targets.soc import Memory, Soc
from htvm.runtime.simulator import Host

RECORDED = Path(__file__).parents[2] / "inputs" / "rtl_timing"
EXPECTED = json.loads((RECORDED / "expected.json").read_text())

# The RTL bench: one memory, and the page where stores open regions.
BENCH = Soc(
    name="rtl-bench",
    description="the memories of test/inputs/rtl_timing/tb.cpp",
    clock_hz=1,
    host=Core("rv32imc_zicsr", "ilp32"),
    memories=(Memory("ram", 0, 2 << 20), Memory("marker", 0x10000000, 4096)),
    program_memory="ram",
    arena_memory="ram",
    engines=(),
)


@pytest.mark.parametrize("program", EXPECTED)
def test_every_region_takes_what_it_takes_on_the_rtl(program):
    steps = Host(RECORDED / f"{program}.elf", BENCH).run().steps[0::2]
    simulated = {
        region: [step.instructions, step.cycles] for region, step in zip(EXPECTED[program], steps, strict=True)
    }
    assert simulated == EXPECTED[program]
