"""Where the meaning of each ONNX operator is registered."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from htvm.dialects.semantics.real import Real

Value = Real | np.ndarray
Operator = Callable[..., Value | Sequence[Value]]
"""Takes the node and its operands, and returns the result, or several."""

_Meaning = TypeVar("_Meaning", bound=Operator)

OPERATORS: dict[str, Operator] = {}


def operator(op_type: str) -> Callable[[_Meaning], _Meaning]:
    """Register the meaning of an ONNX operator."""

    def register(function: _Meaning) -> _Meaning:
        OPERATORS[op_type] = function
        return function

    return register
