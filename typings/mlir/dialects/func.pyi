"""mlir.dialects.func as far as htvm uses it."""

from collections.abc import Sequence

from mlir import ir

class FuncOp(ir.OpView):
    def __init__(
        self,
        name: str,
        type: ir.FunctionType | tuple[Sequence[ir.Type], Sequence[ir.Type]],
        *,
        visibility: str | None = None,
        loc: ir.Location | None = None,
        ip: ir.InsertionPoint | None = None,
    ) -> None: ...
    @property
    def is_external(self) -> bool: ...
    @property
    def body(self) -> ir.Region: ...
    @property
    def type(self) -> ir.FunctionType: ...
    @property
    def function_type(self) -> ir.TypeAttr: ...
    # Not the operation's name, as for every other OpView: the symbol.
    @property
    def name(self) -> ir.StringAttr: ...  # type: ignore[override]
    @property
    def sym_name(self) -> ir.StringAttr: ...
    @property
    def entry_block(self) -> ir.Block: ...
    def add_entry_block(self, arg_locs: Sequence[ir.Location] | None = None) -> ir.Block: ...
    @property
    def arg_attrs(self) -> ir.ArrayAttr: ...
    @arg_attrs.setter
    def arg_attrs(self, attribute: ir.ArrayAttr | Sequence[ir.DictAttr]) -> None: ...
    @property
    def result_attrs(self) -> ir.ArrayAttr: ...
    @result_attrs.setter
    def result_attrs(self, attribute: ir.ArrayAttr) -> None: ...
    @property
    def arguments(self) -> ir.BlockArgumentList: ...

class ReturnOp(ir.OpView):
    def __init__(
        self, operands_: Sequence[ir.Value], *, loc: ir.Location | None = None, ip: ir.InsertionPoint | None = None
    ) -> None: ...
