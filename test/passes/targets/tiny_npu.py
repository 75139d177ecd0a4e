"""tiny_npu: a target for tests with one accelerator, the array of 16 x 16 multipliers, and 4 KiB of L1."""

from dataclasses import dataclass
from math import ceil, prod

from htvm.backend.targets.engines.array_engine import ArrayEngine
from htvm.backend.targets.engines.host import HostEngine
from htvm.backend.targets.jobs import Job, Layout
from htvm.backend.targets.soc import Dma, Host, Memory, Operand, Route, Soc

LANES = 16


@dataclass(frozen=True)
class Round:
    """Round figures: a step of the array is a cycle, a copy is set up in 20 cycles and moves 8 bytes in each."""

    name: str = "round"
    source: str = "made up, for tests"

    def job_cycles(self, engine: str, job: Job) -> int:
        rows, columns = job.out_size
        if job.kind == "add":
            return 10 + ceil(job.output_bytes / LANES)
        return 10 + ceil(job.outputs / LANES) * job.channels * ceil(columns / LANES) * rows * prod(job.kernel)

    def copy_cycles(self, route: Route, size_bytes: int) -> int:
        return 20 + ceil(size_bytes / 8)


RAM = Memory("ram", base=0x1C000000, size_bytes=512 * 1024)
L1 = Memory("l1", base=0x10000000, size_bytes=4096, host_visible=False)
WEIGHTS = Memory("weights", base=0x11000000, size_bytes=4096, host_visible=False)

SOC = Soc(
    name="tiny_npu",
    description="for tests: a host, an array and 4 KiB of L1",
    clock_hz=100_000_000,
    host=Host(march="rv32imc", mabi="ilp32"),
    memories=(RAM, L1, WEIGHTS),
    program_memory="ram",
    arena_memory="ram",
    engines=(
        ArrayEngine(
            "npu",
            input=Operand("l1"),
            weights=Operand("weights", limit_bytes=WEIGHTS.size_bytes),
            output=Operand("l1", layouts=(Layout.NCHW, Layout.NHWC)),
            base=0x50002000,
            source="made up, for tests",
        ),
        HostEngine(),
    ),
    dmas=(
        Dma("load", base=0x50000000, routes=(Route("ram", "l1"), Route("ram", "weights")), queue_depth=2),
        Dma("store", base=0x50001000, routes=(Route("l1", "ram"),), queue_depth=2),
    ),
    cost_models=(Round(),),
)
