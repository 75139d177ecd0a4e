"""mlir.dialects.arith as far as htvm uses it."""

from typing import overload

from mlir import ir

class ConstantOp(ir.OpView):
    @overload
    def __init__(
        self,
        result: ir.Type,
        value: ir.Attribute,
        *,
        loc: ir.Location | None = None,
        ip: ir.InsertionPoint | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        result: ir.Type,
        value: int | float,
        *,
        loc: ir.Location | None = None,
        ip: ir.InsertionPoint | None = None,
    ) -> None: ...
    @property
    def result(self) -> ir.OpResult: ...
    @property
    def type(self) -> ir.Type: ...
    @property
    def value(self) -> ir.Attribute: ...
    @property
    def literal_value(self) -> int | float: ...
