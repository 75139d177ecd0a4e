"""A small SoC with a transfer engine and an accelerator, and how to build C for a SoC with units."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import numpy as np

from htvm.backend import targets
from htvm.backend.c.emit import start_up
from htvm.backend.targets.jobs import Job
from htvm.backend.targets.soc import Dma, Memory, Operand, Route, Soc
from htvm.runtime.simulator import Host
from htvm.runtime.simulator.toolchain import toolchain

L2, L1, WEIGHTS, DMA, ADDER = 0x1C000000, 0x10000000, 0x10100000, 0x50000000, 0x50001000

ADDER_FIELDS = ("shift", "low", "high")


@dataclass(frozen=True)
class Adder:
    """Adds two maps, or the weights (one byte for each output, as a convolution of one tap and one channel) to each."""

    name: str = "adder"
    input: Operand = Operand("l1")
    weights: Operand = Operand("weights", limit_bytes=256)
    output: Operand = Operand("l1")
    base: int = ADDER
    output_step: int = 1
    job_fields: tuple[str, ...] = ADDER_FIELDS

    def weight_bytes(self, job: Job) -> int:
        return 0 if job.kind == "add" else job.outputs

    def execute(self, job: Job, inputs: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
        if job.kind == "dense":
            raise ValueError("it has no sums")
        addend = inputs[1] if job.kind == "add" else weights.repeat(job.output_bytes // job.outputs)
        total = np.add(inputs[0].view(np.int8), addend.view(np.int8), dtype=np.int32) >> job["shift"]
        return total.clip(job["low"], job["high"]).astype(np.int8).view(np.uint8)

    def _unused(self, *_: object) -> None:
        raise AssertionError("the simulator does not ask this")

    violations = cycles = job = most_outputs = lowered = pack = _unused


@dataclass(frozen=True)
class Summer(Adder):
    """Sums up channels of one pixel, in sums of 32 bits that stay in l1 over jobs; results are their lowest bytes."""

    sums: Operand = Operand("l1", elements=("i32",))
    input_step: int = 1

    def weight_bytes(self, job: Job) -> int:
        return 0

    def sums_bytes(self, job: Job) -> int:
        return 4 if job.kind == "dense" else 0

    def execute(
        self, job: Job, inputs: Sequence[np.ndarray], weights: np.ndarray, sums: np.ndarray | None = None
    ) -> np.ndarray:
        assert sums is not None
        total = np.add(inputs[0].view(np.int8).sum(dtype=np.int32), sums.view("<i4") if job.adds else 0, dtype=np.int32)
        sums[:] = np.array(total, "<i4").reshape(1).view(np.uint8)
        return np.empty(0, np.uint8) if job.keeps else sums[:1].copy()


@dataclass(frozen=True)
class Figures:
    """Round numbers."""

    name: str = "round"
    source: str = "made up"

    def job_cycles(self, engine: str, job: Job) -> int:
        return 1000 + job.output_bytes

    def copy_cycles(self, route: Route, size_bytes: int) -> int:
        return 100 + size_bytes


ROUTES = (Route("l2", "l1"), Route("l1", "l2"), Route("l2", "weights"))


def small_soc(**changes: object) -> Soc:
    """Return the machine: 512 KiB of L2, 4 KiB of L1, 256 bytes of weights, a queue of one command."""
    rv32 = targets.load("rv32")
    memories = (
        Memory("l2", L2, 512 * 1024),
        Memory("l1", L1, 4096, host_visible=False),
        Memory("weights", WEIGHTS, 256, host_visible=False),
    )
    soc = replace(
        rv32,
        name="small",
        memories=memories,
        program_memory="l2",
        arena_memory="l2",
        engines=(*rv32.engines, Adder()),
        dmas=(Dma("dma", DMA, ROUTES, queue_depth=1),),
        cost_models=(Figures(),),
        power_w={"adder": 0.025},
    )
    return replace(soc, **changes)


def build_host(folder: Path, soc: Soc, source: str, options: Sequence[str] = ("-O3",), **more: object) -> Host:
    """Build one file of C that may include htvm_soc.h, and load it."""
    for name, text in start_up(soc).items():
        (folder / name).write_text(text)
    header = resources.files("htvm.runtime") / "kernels" / "htvm_soc.h"
    (folder / "htvm_soc.h").write_text(header.read_text())
    program, elf = folder / "program.c", folder / "program.elf"
    program.write_text(source)
    assert toolchain(soc.host).build([program, folder / "start.S"], folder / "link.ld", elf, options) == ""
    return Host(elf, soc, **more)
