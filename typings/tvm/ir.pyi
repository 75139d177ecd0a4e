from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

class Expr:
    ty: Any  # of the expression: TensorType, TupleType, ..

class Op(Expr):
    name: str

class GlobalVar(Expr):
    name_hint: str

class _Tensor:
    def numpy(self) -> NDArray[Any]: ...

class Constant(Expr):
    value: _Tensor

class IRModule:
    attrs: Any
    global_infos: Any
    def __init__(
        self, functions: Mapping[GlobalVar, Any] | None = None, *, attrs: Any = None, global_infos: Any = None
    ) -> None: ...
    def functions_items(self) -> Sequence[tuple[GlobalVar, Any]]: ...
