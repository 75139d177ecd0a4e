"""How fast the simulated host is: million instructions per second, with instructions and cycles counted.

Usage: speed.py [CC]     CC is a RISC-V compiler's command; without it, the clang of `ziglang`.
The last column is Unicorn alone, with nothing counted, on the same program.
"""

import sys
import tempfile
import time
from pathlib import Path

from unicorn import UC_ARCH_RISCV, UC_MODE_RISCV32, Uc

from htvm.backend import targets
from htvm.runtime.simulator import Host
from htvm.runtime.simulator.toolchain import toolchain

HERE = Path(__file__).parent
ROUNDS = {"matmul": 400, "conv2d": 10, "depthwise": 50, "words": 4000, "divide": 2000}


def main() -> None:
    soc = targets.load("rv32")
    tools = toolchain(soc.host, sys.argv[1] if len(sys.argv) > 1 else None)
    print(f"{'kernel':12}{'-O':>4}{'instructions':>14}{'cycles':>14}{'counted':>10}{'bare':>8}  million/s")
    with tempfile.TemporaryDirectory() as folder:
        for level in ("-O2", "-O3"):
            for kernel, rounds in ROUNDS.items():
                elf = Path(folder, f"{kernel}.elf")
                options = (level, f"-DKERNEL={kernel}", f"-DROUNDS={rounds}")
                tools.build([HERE / "start.S", HERE / "kernels.c"], HERE / "program.ld", elf, options)
                host = Host(elf, soc)
                host.run()  # translates and analyses
                started = time.perf_counter()
                execution = host.run()
                counted = execution.instructions / (time.perf_counter() - started) / 1e6
                bare = execution.instructions / bare_seconds(host) / 1e6
                print(
                    f"{kernel:12}{level[2:]:>4}{execution.instructions:14,}{execution.cycles:14,}"
                    f"{counted:10.0f}{bare:8.0f}",
                    flush=True,
                )


def bare_seconds(host: Host) -> float:
    """Return how long Unicorn takes for the host's program without any hook, once translated."""
    machine = Uc(UC_ARCH_RISCV, UC_MODE_RISCV32)
    for memory in host.soc.memories:
        machine.mem_map(memory.base, memory.size_bytes)
    for segment in host.program.segments:
        machine.mem_write(segment.address, segment.data)
    for _ in range(2):
        started = time.perf_counter()
        machine.emu_start(host.start, host.done)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
