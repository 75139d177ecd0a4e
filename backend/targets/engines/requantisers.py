"""What engines make of their sums, behind one interface: each has a requantiser, which finds constants for a layer.

    shift_requant.Shifter          clip((acc + bias[k]) >> shift)                              one shift for all
    multiplier_requant.Multiplier  clip(((acc + bias[k]) * multiplier[k] + half) >> shift[k])  n bits, floor or half up
    float_requant.FloatScaler      clip(rint(float32(acc + bias[k]) * scale))                  one scale, ties to even

An engine with other arithmetic has a class of its own with the members of `Requantiser`, and the same rule (`exact`).
A solution equals the layer for every sum that occurs: both never fall, so that they are equal if they reach each output
at the same sum (Requant.places).
"""

from __future__ import annotations

from typing import Protocol, TypeVar

import numpy as np
from mlir import ir

from htvm.backend.targets.engines import fused_ops, linear_ops
from htvm.backend.targets.engines.shift_requant import Requant
from htvm.backend.targets.rules import Proof
from htvm.backend.targets.violations import Fact, Subject, Value, Violation
from htvm.dialects import accel


class Solution(Protocol):
    """Constants of an engine for a layer."""

    def outputs(self, sums: np.ndarray) -> np.ndarray:
        """Return what the hardware makes of sums int64[channels, ..]: int64."""
        ...


Found = TypeVar("Found", bound=Solution, covariant=True)


class Requantiser(Protocol[Found]):
    """How an engine makes results of sums. `str` says it to a reader of rules."""

    def solve(self, requant: Requant, first: np.ndarray, last: np.ndarray) -> Found | Violation:
        """Return constants that are exact for sums first[k] to last[k] of each channel; where there are none, why."""
        ...


def exact(requantiser: Requantiser[Solution], source: str) -> Proof:
    """Return the rule that an engine's results are those of a linear layer, for every sum that occurs."""
    return Proof(Subject.REQUANT, wanted_value(requantiser), source, lambda op: constants(op, requantiser))


def constants(op: ir.Operation | ir.OpView, requantiser: Requantiser[Found]) -> Found | Violation:
    """Return the constants of a linear layer, or why there are none."""
    return requantiser.solve(*asked_for(op))


def asked_for(op: ir.Operation | ir.OpView) -> tuple[Requant, np.ndarray, np.ndarray]:
    """Return what a linear layer asks for, and the smallest and largest sum of each output channel."""
    layer = fused_ops.first(op)
    return Requant.of(accel.present(layer.requant, "requant")), *linear_ops.accumulators(layer)


def wanted_value(requantiser: Requantiser[Solution]) -> Value:
    """Return a requantiser as a rule says it."""
    return requantiser if isinstance(requantiser, Fact) else str(requantiser)
