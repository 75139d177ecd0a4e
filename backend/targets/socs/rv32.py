"""rv32: a RISC-V host alone. The smallest target: every op runs here."""

from htvm.backend.targets.engines.host import CORE, HostEngine
from htvm.backend.targets.soc import Memory, Soc

# After DIANA, whose host is of this class: 512 KiB of L2 where a PULPissimo-class SoC has it, and the clock
# behind every published millisecond figure (HTVM, Van Delm et al., DAC 2023, and the profiler of its artefact).
SOC = Soc(
    name="rv32",
    description="a RISC-V host alone: RV32IMC, one memory without wait states",
    clock_hz=260_000_000,
    host=CORE,
    memories=(Memory("ram", base=0x1C000000, size_bytes=512 * 1024),),
    program_memory="ram",
    arena_memory="ram",
    engines=(HostEngine(),),
)
