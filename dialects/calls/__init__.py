"""Functions of other dialects that layers call: lowered by MLIR's passes, executed by its engine, printed as C.

`lowering.py` makes loops on memory of a function on tensors, `execution.py` executes these, `printing.py` makes C.
"""

from .errors import NotLowered
from .execution import execute
from .lowering import callee, is_lowered, lower, scratch_bytes
from .printing import c_source, parameters

__all__ = ["NotLowered", "c_source", "callee", "execute", "is_lowered", "lower", "parameters", "scratch_bytes"]
