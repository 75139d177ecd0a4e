"""Functions of other dialects that layers call: lowered by MLIR's passes, executed by its engine, printed as C.

`lowering.py` makes loops on memory of a function on tensors (`bilinear.py` before MLIR's passes, `flattening.py` behind
them), `parameters.py` reads what these take, `execution.py` executes them, `printing.py` makes C,
`work.py` says how much they do.
"""

from .errors import NotLowered
from .execution import execute
from .lowering import callee, is_lowered, lower
from .parameters import parameters, scratch_bytes
from .printing import c_source
from .work import operations

__all__ = [
    "NotLowered",
    "c_source",
    "callee",
    "execute",
    "is_lowered",
    "lower",
    "operations",
    "parameters",
    "scratch_bytes",
]
