"""Operations that reduce an axis: of TOSA's sections on reduction, and argmax."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .reading import TosaOp, meaning

REDUCTIONS: dict[str, Callable[..., np.ndarray]] = {
    "reduce_sum": np.sum,
    "reduce_max": np.max,
    "reduce_min": np.min,
    "reduce_all": np.min,
    "reduce_any": np.max,
    "reduce_product": np.prod,
}


@meaning(*REDUCTIONS)
def reduce(op: TosaOp, x: np.ndarray) -> np.ndarray:
    """The axis stays, with size 1."""
    return REDUCTIONS[op.name](x, axis=op.number("axis"), keepdims=True)


@meaning("argmax")
def argmax(op: TosaOp, x: np.ndarray) -> np.ndarray:
    """The axis goes; of equal elements the first counts."""
    return x.argmax(op.number("axis"))
