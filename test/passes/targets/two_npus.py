"""two_npus: tiny_npu, and a second array with an L1 of its own, which adds a little faster and convolves nothing."""

from dataclasses import dataclass, replace
from pathlib import Path

from htvm.backend import targets
from htvm.backend.targets.engines.array_engine import ArrayEngine
from htvm.backend.targets.jobs import Job, Layout
from htvm.backend.targets.soc import Dma, Memory, Operand, Route

TINY = targets.load(str(Path(__file__).with_name("tiny_npu.py")))


@dataclass(frozen=True)
class Faster:
    """The figures of tiny_npu, 5 cycles less for each job of the second array."""

    name: str = "faster"
    source: str = "made up, for tests"

    def job_cycles(self, engine: str, job: Job) -> int:
        return TINY.cost_model.job_cycles(engine, job) - 5 * (engine == "adder")

    def copy_cycles(self, route: Route, size_bytes: int) -> int:
        return TINY.cost_model.copy_cycles(route, size_bytes)


ADDER = ArrayEngine(
    "adder",
    input=Operand("l1b"),
    weights=Operand("weights_b", limit_bytes=4096),
    output=Operand("l1b", layouts=(Layout.NCHW, Layout.NHWC)),
    base=0x50003000,
    source="made up, for tests",
    strides=(),
)

SOC = replace(
    TINY,
    name="two_npus",
    description="for tests: two arrays with a memory each",
    memories=(
        *TINY.memories,
        Memory("l1b", base=0x10100000, size_bytes=4096, host_visible=False),
        Memory("weights_b", base=0x11100000, size_bytes=4096, host_visible=False),
    ),
    engines=(TINY.engine("npu"), ADDER, TINY.engine("host")),
    dmas=(
        *TINY.dmas,
        Dma("load_b", base=0x50004000, routes=(Route("ram", "l1b"), Route("ram", "weights_b")), queue_depth=2),
        Dma("store_b", base=0x50005000, routes=(Route("l1b", "ram"),), queue_depth=2),
    ),
    cost_models=(Faster(),),
)
