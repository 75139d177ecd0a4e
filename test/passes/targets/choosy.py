"""choosy: a target for tests whose engines run one op each, and whose memory holds 4 KiB."""

from dataclasses import dataclass

from mlir import ir

from htvm.backend.targets.soc import CostModel, Host, Memory, Soc
from htvm.backend.targets.violations import OneOf, Subject, Violation


@dataclass(frozen=True)
class OneOp:
    """An engine that runs one op of the accel dialect."""

    name: str
    op: str

    def violations(self, op: ir.Operation) -> tuple[Violation, ...]:
        name = op.operation.name
        return () if name == self.op else (Violation(Subject.OP, name, OneOf((self.op,))),)

    def cycles(self, op: ir.Operation, cost_model: CostModel | None) -> int:
        return 1


SOC = Soc(
    name="choosy",
    description="for tests: an adder, and an engine that looks up",
    clock_hz=100_000_000,
    host=Host(march="rv32imc", mabi="ilp32"),
    memories=(Memory("ram", base=0x1C000000, size_bytes=4096),),
    program_memory="ram",
    arena_memory="ram",
    engines=(OneOp("adder", "accel.add"), OneOp("tables", "accel.lookup")),
)
