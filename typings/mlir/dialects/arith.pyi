"""mlir.dialects.arith as far as htvm uses it."""

from enum import IntEnum
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

class CmpIPredicate(IntEnum):
    eq = 0
    ult = 6

class _Binary(ir.OpView):
    def __init__(
        self, lhs: ir.Value, rhs: ir.Value, *, loc: ir.Location | None = None, ip: ir.InsertionPoint | None = None
    ) -> None: ...
    @property
    def result(self) -> ir.OpResult: ...

class AddIOp(_Binary): ...
class ShLIOp(_Binary): ...

class CmpIOp(ir.OpView):
    def __init__(self, predicate: CmpIPredicate, lhs: ir.Value, rhs: ir.Value) -> None: ...
    @property
    def result(self) -> ir.OpResult: ...

class SelectOp(ir.OpView):
    def __init__(self, condition: ir.Value, true_value: ir.Value, false_value: ir.Value) -> None: ...
    @property
    def result(self) -> ir.OpResult: ...

class TruncIOp(ir.OpView):
    def __init__(self, out: ir.Type, in_: ir.Value) -> None: ...
    @property
    def result(self) -> ir.OpResult: ...
