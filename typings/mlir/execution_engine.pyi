"""mlir.execution_engine as far as htvm uses it."""

from mlir import ir

class ExecutionEngine:
    def __init__(self, module: ir.Module, opt_level: int = 2) -> None: ...
    def raw_lookup(self, name: str) -> int: ...
