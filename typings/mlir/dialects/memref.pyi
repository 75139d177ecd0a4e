"""mlir.dialects.memref as far as htvm uses it."""

from collections.abc import Sequence

from mlir import ir

class GlobalOp(ir.OpView):
    def __init__(
        self,
        sym_name: str,
        type_: ir.MemRefType,
        *,
        sym_visibility: str | None = None,
        initial_value: ir.Attribute | None = None,
        constant: bool | None = None,
        alignment: int | None = None,
        loc: ir.Location | None = None,
        ip: ir.InsertionPoint | None = None,
    ) -> None: ...
    @property
    def sym_name(self) -> ir.StringAttr: ...
    @property
    def sym_visibility(self) -> ir.StringAttr | None: ...
    @property
    def type_(self) -> ir.TypeAttr: ...
    @property
    def initial_value(self) -> ir.Attribute | None: ...
    @property
    def constant(self) -> bool: ...
    @property
    def alignment(self) -> ir.IntegerAttr | None: ...

class GetGlobalOp(ir.OpView):
    def __init__(
        self,
        result: ir.MemRefType,
        name: str,
        *,
        loc: ir.Location | None = None,
        ip: ir.InsertionPoint | None = None,
    ) -> None: ...
    # Not the operation's name, as for every other OpView: the symbol of the global.
    @property
    def name(self) -> ir.FlatSymbolRefAttr: ...  # type: ignore[override]
    @property
    def result(self) -> ir.OpResult[ir.MemRefType]: ...

class _ViewOp(ir.OpView):
    """What SubViewOp and ReinterpretCastOp share."""

    def __init__(
        self,
        result: ir.MemRefType,
        source: ir.Value,
        offsets: Sequence[ir.Value],
        sizes: Sequence[ir.Value],
        strides: Sequence[ir.Value],
        static_offsets: ir.DenseI64ArrayAttr | Sequence[int],
        static_sizes: ir.DenseI64ArrayAttr | Sequence[int],
        static_strides: ir.DenseI64ArrayAttr | Sequence[int],
        *,
        loc: ir.Location | None = None,
        ip: ir.InsertionPoint | None = None,
    ) -> None: ...
    @property
    def source(self) -> ir.Value[ir.MemRefType]: ...
    @property
    def offsets(self) -> ir.OpOperandList: ...
    @property
    def sizes(self) -> ir.OpOperandList: ...
    @property
    def strides(self) -> ir.OpOperandList: ...
    @property
    def static_offsets(self) -> ir.DenseI64ArrayAttr: ...
    @property
    def static_sizes(self) -> ir.DenseI64ArrayAttr: ...
    @property
    def static_strides(self) -> ir.DenseI64ArrayAttr: ...
    @property
    def result(self) -> ir.OpResult[ir.MemRefType]: ...

class SubViewOp(_ViewOp): ...
class ReinterpretCastOp(_ViewOp): ...
