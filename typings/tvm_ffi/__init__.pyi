from collections.abc import Callable
from typing import TypeVar

_Function = TypeVar("_Function", bound=Callable[..., object])

def register_global_func(
    func_name: str, f: None = None, override: bool = False
) -> Callable[[_Function], _Function]: ...
