"""A machine with an accelerator behind a driver that computes each conv2d and dense layer of signed bytes."""

from dataclasses import dataclass
from math import ceil

from htvm.backend.targets.engines.driver_engine import DriverEngine
from htvm.backend.targets.engines.host import HostEngine
from htvm.backend.targets.jobs import Job
from htvm.backend.targets.soc import Dma, Host, Memory, Operand, Route, Soc
from htvm.dialects.accel import Layout
from htvm.kernels import KernelSpec

ANY_LAYER = KernelSpec(
    name="any_layer",
    header="any_layer.h",
    function="any_layer",
    sources=("any_layer.c",),
    cost=lambda layer: 20 + layer.macs / 16,
    scratch_bytes=lambda layer: 4 * layer.out_channels,
    origin=__file__,
)

BOTH = (Layout.NHWC, Layout.NCHW)

ENGINE = DriverEngine(
    "npu",
    ANY_LAYER,
    input=Operand("l1", layouts=(Layout.NHWC,)),
    weights=Operand("l1", limit_bytes=6144),
    output=Operand("l1", layouts=BOTH),
    output_step=8,
)


@dataclass(frozen=True)
class Estimate:
    """The driver's cost; a copy is set up in 30 cycles and moves 8 bytes in each."""

    name: str = "estimate"
    source: str = "none"

    def job_cycles(self, engine: str, job: Job) -> int:
        """Return the cycles of a call."""
        return ENGINE.job_cycles(job)

    def copy_cycles(self, route: Route, size_bytes: int) -> int:
        """Return the cycles of a copy."""
        return 30 + ceil(size_bytes / 8)


SOC = Soc(
    name="any_layer",
    description="a RISC-V host and an accelerator behind a driver",
    clock_hz=100_000_000,
    host=Host(march="rv32imc", mabi="ilp32"),
    memories=(
        Memory("ram", base=0x1C00_0000, size_bytes=512 * 1024),
        Memory("l1", base=0x1000_0000, size_bytes=8 * 1024, host_visible=False),
    ),
    program_memory="ram",
    arena_memory="ram",
    engines=(ENGINE, HostEngine()),
    dmas=(
        Dma("load", base=0x5000_0000, routes=(Route("ram", "l1"),), queue_depth=2),
        Dma("store", base=0x5000_1000, routes=(Route("l1", "ram"),), queue_depth=2),
    ),
    cost_models=(Estimate(),),
)
