"""Functions of other dialects that layers call: lowered by MLIR's passes, executed by its engine, printed as C.

`outlining.py` makes functions of operations that no layer computes. `lowering.py` makes loops on memory of a function
on tensors (`bilinear.py` before MLIR's passes, `widening.py` and `flattening.py` behind them), `parameters.py` reads
what these take, `execution.py` executes them, `printing.py` makes C, `work.py` says how much they do.
"""

from .errors import NotLowered
from .execution import execute
from .lowering import callee, is_lowered, lower
from .outlining import Outlined, is_constant, operands, outline
from .parameters import parameters, scratch_bytes
from .printing import c_source
from .work import operations

__all__ = [
    "NotLowered",
    "Outlined",
    "c_source",
    "callee",
    "execute",
    "is_constant",
    "is_lowered",
    "lower",
    "operands",
    "operations",
    "outline",
    "parameters",
    "scratch_bytes",
]
