from typing import TypeVar

from tvm.ir import Expr, IRModule
from tvm.relax import BlockBuilder, Call

_Mutator = TypeVar("_Mutator", bound="PyExprMutator")

class PyExprMutator:
    builder_: BlockBuilder  # an instance's
    def __init__(self, mod: IRModule | None = None) -> None: ...
    def visit_expr(self, expr: Expr) -> Expr: ...
    def visit_call_(self, op: Call) -> Expr: ...

def mutator(mutator_cls: type[_Mutator]) -> type[_Mutator]: ...
