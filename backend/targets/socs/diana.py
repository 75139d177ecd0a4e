"""DIANA: a RISC-V host, a digital 16x16 array and an analog in-memory array that share one L1.

Sources: Ueyoshi et al., ISSCC 2022, and Houshmand et al., JSSC 2023 (the chip); HTVM (KULeuven-MICAS/htvm 132018d),
DORY (pulp-platform/dory be3d6dd) and dory-hal (ABurrello/dory-hal 818d1ad), the code that runs on it; MATCH
(eml-eda/match) and ODiMO (eml-eda/odimo), two cost models made with access to it. README.md here lists what none of
them says and what is assumed instead.
"""

from dataclasses import dataclass
from math import ceil, prod

from htvm.backend.targets.engines.array_engine import ArrayEngine
from htvm.backend.targets.engines.host import CORE, HostEngine
from htvm.backend.targets.engines.in_memory_engine import InMemoryEngine
from htvm.backend.targets.jobs import Job
from htvm.backend.targets.soc import Dma, Memory, Operand, Route, Soc
from htvm.dialects.accel import JobKind, Layout

LANES = 16
DIGITAL, ANALOG = "digital", "analog"

# L2 has 512 KiB where PULPissimo has it; accelerators and transfers reach all but its first two banks
# (dianaKUL/pulp-sdk-diana, memory map). The host addresses none of the other memories; where they are is our choice.
L2_PRIVATE = Memory("l2_private", base=0x1C000000, size_bytes=64 * 1024)
L2 = Memory("l2", base=0x1C010000, size_bytes=448 * 1024)
L1 = Memory("l1", base=0x10000000, size_bytes=256 * 1024, host_visible=False)
DIGITAL_WEIGHTS = Memory("digital_weights", base=0x11000000, size_bytes=64 * 1024, host_visible=False)
ANALOG_ARRAY = Memory("analog_array", base=0x12000000, size_bytes=147_456, host_visible=False)

QUEUE_DEPTH = 4
"""Copies that a transfer engine takes while it is busy: an assumption, public code waits for each."""


@dataclass(frozen=True)
class Match:
    """MATCH's cycles: long pipelines in the digital array, transfers that are set up in 70 cycles."""

    name: str = "match"
    source: str = "MATCH: match/target/examples/diana/digital/cost_model.py; analog as ODiMO"

    def job_cycles(self, engine: str, job: Job) -> int:
        """Count blocks of 256 outputs; where p rows of the kernel lie outside of the map it has p rows less.

        K and columns are rounded up to 16, as the array has lanes for them: the formula itself counts by volume. It has
        no case for dense layers: as convolutions of a pixel they would take 3 C + 23 cycles for 16 outputs with one
        column of 16 at work. dory-hal starts them in a mode of their own, in which a step multiplies 16 channels for 16
        outputs; so here a step is a cycle. Their weights take longer to come (640 -> 128: 320 cycles of 5,400).
        """
        if engine == ANALOG:
            return analog_cycles(job)
        if job.kind == JobKind.ADD:
            return add_cycles(job)
        if job.kind == JobKind.DENSE:
            return lanes(job.channels) * lanes(job.outputs)
        (rows, columns), (kernel_rows, kernel_columns) = job.out_size, job.kernel
        top, _, bottom, _ = job.pads
        cycles, left = 0, rows
        for cut in range(max(top, bottom), -1, -1):
            border = min(left, (top >= cut) + (bottom >= cut) if cut else left)
            left -= border
            outputs = lanes(job.outputs) * LANES * border * lanes(columns) * LANES
            seen = max(kernel_rows - cut, 0)
            step = job.channels * seen * kernel_columns + 2 * job.channels * seen + 23
            cycles += ceil(outputs / LANES**2) * step
        return cycles

    def copy_cycles(self, route: Route, size_bytes: int) -> int:
        """Return set-up and 16 bytes in each cycle."""
        return 70 + ceil(size_bytes / 16)


@dataclass(frozen=True)
class Odimo:
    """ODiMO's cycles: no overhead in the digital array, transfers at half the rate."""

    name: str = "odimo"
    source: str = "ODiMO: models/hw_models.py (the same in plinio/cost/diana_latency.py)"

    def job_cycles(self, engine: str, job: Job) -> int:
        """Count the steps of the array: each takes 16 outputs and 16 columns of one tap."""
        if engine == ANALOG:
            return analog_cycles(job)
        if job.kind == JobKind.ADD:
            return add_cycles(job)
        rows, columns = job.out_size
        return lanes(job.outputs) * job.channels * lanes(columns) * rows * prod(job.kernel)

    def copy_cycles(self, route: Route, size_bytes: int) -> int:
        """Return 8 bytes in each cycle; 16 into the analog array, whose 1152 x 512 weights take 9,216 cycles."""
        return ceil(size_bytes / (16 if route.target == ANALOG_ARRAY.name else 8))


def add_cycles(job: Job) -> int:
    """Return the steps of the element-wise mode, 16 elements each (dory-hal)."""
    return lanes(job.output_bytes)


def analog_cycles(job: Job) -> int:
    """Return the steps of the analog array, of 70 ns each: 18.2 cycles (ODiMO).

    A step takes up to 128 input and 512 output channels, and as many of 8 neighbouring pixels as have room beside
    each other: each has columns of its own, and rows are shared where windows overlap. For that, each tap has rows for
    64 channels at least; the weights of one pixel lie dense, as DORY packs them: C times taps rows (InMemoryEngine).
    """
    rows, columns = job.kernel
    beside = [
        pixels
        for pixels in (2, 4, 8)
        if pixels * job.outputs <= 512 and max(64, job.channels) * rows * (columns + pixels - 1) <= 1152
    ]
    steps = ceil(job.outputs / 512) * ceil(job.channels / 128) * ceil(prod(job.out_size) / max(beside, default=1))
    return ceil(steps * 182 / 10)


def lanes(count: int) -> int:
    """Return how many groups of 16 there are."""
    return -(-count // LANES)


LOAD = (Route(L2.name, L1.name), Route(L2.name, DIGITAL_WEIGHTS.name), Route(L2.name, ANALOG_ARRAY.name))
STORE = (Route(L1.name, L2.name),)

SOC = Soc(
    name="diana",
    description="DIANA, simulated: RISC-V host, digital 16x16 array, analog in-memory array, 256 KiB of L1",
    clock_hz=260_000_000,  # of every published figure: HTVM, diana/byoc/profiler.py
    host=CORE,
    memories=(L2_PRIVATE, L2, L1, DIGITAL_WEIGHTS, ANALOG_ARRAY),
    program_memory=L2_PRIVATE.name,
    arena_memory=L2.name,
    constant_memory=L2.name,
    engines=(
        ArrayEngine(
            DIGITAL,
            input=Operand(L1.name),
            weights=Operand(DIGITAL_WEIGHTS.name, limit_bytes=DIGITAL_WEIGHTS.size_bytes),
            output=Operand(L1.name, layouts=(Layout.NCHW, Layout.NHWC)),
            base=0x1A110000,
            source="dory-hal: job descriptor; HTVM: soma_dory.py",
        ),
        InMemoryEngine(
            ANALOG,
            input=Operand(L1.name, layouts=(Layout.NHWC,)),
            weights=Operand(ANALOG_ARRAY.name, limit_bytes=ANALOG_ARRAY.size_bytes),
            output=Operand(L1.name, layouts=(Layout.NHWC, Layout.NCHW)),  # its post-processor's: an assumption
            base=0x1A120000,
            blocks=(LANES,),  # those of the digital array's depthwise launches
            source="JSSC 2023; dory-hal; diana-quantlib: Requantizers",
        ),
        HostEngine(),
    ),
    dmas=(
        Dma("load", base=0x1A100000, routes=LOAD, queue_depth=QUEUE_DEPTH),
        Dma("store", base=0x1A101000, routes=STORE, queue_depth=QUEUE_DEPTH),
    ),
    cost_models=(Match(), Odimo()),
    power_w={DIGITAL: 24.96e-3, ANALOG: 28.74e-3},  # ODiMO: models/hw_models.py
)
