"""What the operations of MLIR's tosa dialect on integers mean, by TOSA's specification: functions of numpy arrays.

`reading.py` reads operations, `elements.py`, `movement.py`, `reductions.py` and `windows.py` have their meanings, and
`interpreter.py` executes functions. `functions.py` finds the functions of a module, with the names of their inputs and
outputs; `names.py` has the names of operations. Arrays are int64 and hold signed integers, whatever an operation takes
them for; i1 is 0 or 1.
"""

from .interpreter import interpret
from .names import names_of
from .reading import MEANINGS, TosaOp, constant, evaluate

__all__ = ["MEANINGS", "TosaOp", "constant", "evaluate", "interpret", "names_of"]
