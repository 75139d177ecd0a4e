"""mlir.dialects.affine as far as htvm uses it."""

from collections.abc import Sequence

from mlir import ir

class AffineApplyOp(ir.OpView):
    def __init__(
        self,
        map: ir.AffineMap,
        mapOperands: Sequence[ir.Value],
        *,
        loc: ir.Location | None = None,
        ip: ir.InsertionPoint | None = None,
    ) -> None: ...
    @property
    def result(self) -> ir.OpResult: ...
