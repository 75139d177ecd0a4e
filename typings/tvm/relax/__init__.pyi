from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from tvm.ir import Expr, GlobalVar, IRModule
from tvm.relax import transform as transform

class TensorType: ...

class Var(Expr):
    name: str
    def __init__(self, name_hint: str, ty: Any = None) -> None: ...

class Tuple(Expr):
    fields: Sequence[Expr]
    def __init__(self, fields: Sequence[Expr]) -> None: ...

class TupleGetItem(Expr):
    tuple_value: Expr
    index: int
    def __init__(self, tuple_value: Expr, index: int) -> None: ...

class Call(Expr):
    op: Expr
    args: Sequence[Expr]
    attrs: Any
    ty_args: Any
    def __init__(self, op: Expr, args: Sequence[Expr], attrs: Any = None, ty_args: Any = None) -> None: ...

class Binding:
    var: Var
    value: Expr

class VarBinding(Binding): ...

class BindingBlock:
    bindings: Sequence[Binding]

class DataflowBlock(BindingBlock): ...

class SeqExpr(Expr):
    blocks: Sequence[BindingBlock]
    body: Expr

class Function(Expr):
    params: Sequence[Var]
    body: SeqExpr
    ret_ty: Any
    attrs: Any
    def with_attr(self, attr_key_or_dict: str, attr_value: object = None) -> Function: ...

class BlockBuilder:
    def function(
        self, name: str, params: Sequence[Var] | None = None, *, private: bool = False
    ) -> AbstractContextManager[None]: ...
    def dataflow(self) -> AbstractContextManager[None]: ...
    def emit(self, expr: Expr, name_hint: str = "") -> Var: ...
    def emit_output(self, output: Expr, name_hint: str = "") -> Var: ...
    def emit_func_output(self, output: Expr) -> GlobalVar: ...
    def add_func(self, func: Function, func_name: str) -> GlobalVar: ...
    def update_func(self, gv: GlobalVar, updated_func: Expr) -> None: ...
    def get(self) -> IRModule: ...
