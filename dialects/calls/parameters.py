"""What a lowered function takes: pointers to inputs, the output, intermediate results and constants, in this order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from mlir import ir
from mlir.dialects import func


@dataclass(frozen=True)
class Parameter:
    """A parameter of a lowered function: the place of `size` integers of `width` bits.

    offset: bytes in scratch memory, of an intermediate result; constant: its numbers, of a constant; neither of an
    input or of the output.
    """

    width: int
    size: int
    offset: int | None = None
    constant: np.ndarray | None = None

    @property
    def type(self) -> str:
        """The type of an element in C."""
        return f"int{self.width}_t"

    @property
    def numpy(self) -> np.dtype[np.int64]:
        """The same in numpy."""
        return np.dtype(f"i{self.width // 8}")


def parameters(function: func.FuncOp) -> list[Parameter]:
    """Return the parameters of a lowered function."""
    found: list[Parameter] = []
    for argument, facts in zip(function.arguments, function.arg_attrs):
        stated, memref = ir.DictAttr(facts), ir.MemRefType(argument.type)
        (size,), width = memref.shape, ir.IntegerType(memref.element_type).width
        offset = ir.IntegerAttr(stated["accel.offset"]).value if "accel.offset" in stated else None
        constant: np.ndarray | None = None
        if "accel.constant" in stated:
            constant = np.broadcast_to(np.array(stated["accel.constant"]).astype(f"i{width // 8}"), size)
        found.append(Parameter(width, size, offset, constant))
    return found


def scratch_bytes(function: func.FuncOp) -> int:
    """Return the bytes that a lowered function needs for its intermediate results."""
    placed = (each for each in parameters(function) if each.offset is not None)
    return max(((each.offset or 0) + each.size * each.width // 8 for each in placed), default=0)
