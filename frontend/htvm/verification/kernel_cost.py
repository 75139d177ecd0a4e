"""The cost of a kernel as a formula, fitted to layers that were measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from htvm.verification.kernels import Measured


@dataclass(frozen=True)
class FittedCost:
    """factors: of what the formula sums over. largest_error: the largest relative one."""

    factors: Mapping[str, float]
    largest_error: float

    def __str__(self) -> str:
        """Return the field of a description."""
        used = {term: f"{factor:.3g}" for term, factor in self.factors.items() if factor >= 0.005}
        parts = [factor if term == "1" else f"{factor} * {term}" for term, factor in used.items()]
        return f"cost=lambda layer: {' + '.join(parts) or '0'},"


def fit(measured: Sequence[Measured]) -> FittedCost:
    """Fit instructions as a sum over the layers' terms with factors of at least 0, least squares of relative errors.

    Of terms that are the same for all layers only the first is used.
    """
    names = list(measured[0].terms)
    terms = np.array([[each.terms[name] for name in names] for each in measured], float)
    wanted = np.array([each.instructions for each in measured], float)
    rows, ones = terms / wanted[:, None], np.ones(len(wanted))
    used = [at for at in range(len(names)) if not any((terms[:, at] == terms[:, other]).all() for other in range(at))]
    factors = np.zeros(len(names))
    while used:
        solved = np.linalg.lstsq(rows[:, used], ones, rcond=None)[0]
        if solved.min() >= 0:
            factors[used] = solved
            break
        del used[int(solved.argmin())]
    error = float(np.abs(rows @ factors - 1).max())
    return FittedCost(dict(zip(names, map(float, factors))), error)
