"""rv32: a RISC-V host alone. The smallest target: every op runs here."""

from dataclasses import dataclass

from mlir import ir

from htvm.backend.targets.soc import Host, Memory, Soc
from htvm.dialects import accel, quantisation


@dataclass(frozen=True)
class HostEngine:
    """The host as an engine: it has a C kernel for every op of the accel dialect."""

    name: str = "host"

    def refuses(self, op: ir.Operation) -> str | None:
        """Refuse what is not an accel op, and convolutions whose weights are not constant."""
        name = op.operation.name
        if not name.startswith("accel."):
            return f"runs ops of the accel dialect, got '{name}'"
        if isinstance(op.operation.opview, accel.Conv2dOp | accel.DenseOp) and quantisation.stored(op.weights) is None:
            return "has kernels for constant weights, got weights that are computed"
        return None


# After DIANA, whose host is of this class: 512 KiB of L2 where a PULPissimo-class SoC has it, and the clock
# behind every published millisecond figure (HTVM, Van Delm et al., DAC 2023, and the profiler of its artefact).
SOC = Soc(
    name="rv32",
    description="a RISC-V host alone: RV32IMC, one memory without wait states",
    clock_hz=260_000_000,
    host=Host(march="rv32imc", mabi="ilp32"),
    memories=(Memory("ram", base=0x1C000000, size_bytes=512 * 1024),),
    program_memory="ram",
    arena_memory="ram",
    engines=(HostEngine(),),
)
