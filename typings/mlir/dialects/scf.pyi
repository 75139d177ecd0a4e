"""mlir.dialects.scf as far as htvm uses it."""

from collections.abc import Sequence

from mlir import ir

class ForOp(ir.OpView):
    def __init__(
        self,
        lower_bound: ir.Value,
        upper_bound: ir.Value,
        step: ir.Value,
        iter_args: Sequence[ir.Value] | None = None,
        *,
        loc: ir.Location | None = None,
        ip: ir.InsertionPoint | None = None,
    ) -> None: ...
    @property
    def body(self) -> ir.Block: ...
    @property
    def induction_variable(self) -> ir.Value: ...
    @property
    def inner_iter_args(self) -> Sequence[ir.Value]: ...

class YieldOp(ir.OpView):
    def __init__(
        self, results_: Sequence[ir.Value], *, loc: ir.Location | None = None, ip: ir.InsertionPoint | None = None
    ) -> None: ...
