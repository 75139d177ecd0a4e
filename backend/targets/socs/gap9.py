"""gap9: a model of a SoC of GAP9's class: a RISC-V host, and NE16 beside it in a cluster with an L1 of 128 KiB.

It is a model, as DIANA is: the host is a plain RV32IMC core without Xpulp, the cluster has no cores. NE16 is the open
RTL (pulp-platform/ne16 6bd7272), of which GAP9's silicon may differ. Memories and rates: DORY's description of the
hardware (pulp-platform/dory be3d6dd, GAP9/HW_description.json: L2 of 1,536,000 bytes, 8 bytes a cycle to L1, latency 10
cycles, 370 MHz; L3 of 8,000,000 bytes, reached from L2 only). L1 is the physical 128 KiB: without a cluster nobody
needs stacks there. The size of the flash is our choice. No figure is published for the way to L3; its rate is that of
HyperBus as a protocol, for RAM and flash alike (8 data lines, two transfers a clock of 166 MHz; 6 clocks of command and
address and 6 of latency before a burst). Figures that L3 limits stand on it.
"""

from dataclasses import dataclass
from math import ceil

from htvm.backend.targets.engines.host import CORE, HostEngine
from htvm.backend.targets.engines.ne16.engine import Ne16Engine
from htvm.backend.targets.engines.ne16.launch import job_cycles
from htvm.backend.targets.jobs import Job
from htvm.backend.targets.soc import Dma, Memory, Operand, Price, Route, Soc
from htvm.dialects.accel import Layout

L2 = Memory("l2", base=0x1C000000, size_bytes=1_536_000)
L1 = Memory("l1", base=0x10000000, size_bytes=128 * 1024, host_visible=False)
L3 = Memory("l3", base=0x80000000, size_bytes=8_000_000, host_visible=False)
FLASH = Memory("flash", base=0x90000000, size_bytes=64 * 1024 * 1024, host_visible=False)

HYPERBUS = Price(bytes_per_cycle=2 * 166 / 370, setup_cycles=40)
BUS = tuple(Route(*ends, HYPERBUS) for ends in ((L3.name, L2.name), (L2.name, L3.name), (FLASH.name, L2.name)))
"""All over one bus, one after the other."""

QUEUE_DEPTH = 16
"""Copies that the transfer engine takes while it is busy: transfers that mchan counts."""


@dataclass(frozen=True)
class Measured:
    """NE16's cycles as measured on its RTL; 8 bytes a cycle between L2 and L1, and 10 cycles before the first."""

    name: str = "rtl"
    source: str = "NE16's RTL, measured without refused accesses; DORY: GAP9/HW_description.json"

    def job_cycles(self, engine: str, job: Job) -> int:
        """Return the cycles of a launch, those for configuring its jobs included."""
        return job_cycles(job)

    def copy_cycles(self, route: Route, size_bytes: int) -> int:
        """Return the latency, and the cycles of the bytes."""
        return 10 + ceil(size_bytes / 8)


SOC = Soc(
    name="gap9",
    description="GAP9's class, simulated: RISC-V host, NE16 with 128 KiB of L1, 1.5 MB of L2, L3 and flash",
    clock_hz=370_000_000,
    host=CORE,
    memories=(L2, L1, L3, FLASH),
    program_memory=L2.name,
    arena_memory=L2.name,
    engines=(
        Ne16Engine(
            "ne16",
            input=Operand(L1.name, elements=("ui8",), layouts=(Layout.NHWC,)),
            weights=Operand(L1.name),
            sums=Operand(L1.name, elements=("i32",)),
            output=Operand(L1.name, elements=("ui8", "i8"), layouts=(Layout.NHWC,)),
            base=0x1B200000,
        ),
        HostEngine(),
    ),
    dmas=(
        Dma("load", base=0x1B204000, routes=(Route(L2.name, L1.name),), queue_depth=QUEUE_DEPTH),
        Dma("store", base=0x1B205000, routes=(Route(L1.name, L2.name),), queue_depth=QUEUE_DEPTH),
        Dma("hyperbus", base=0x1B206000, routes=BUS, queue_depth=QUEUE_DEPTH),
    ),
    cost_models=(Measured(),),
)
