"""The steps of any function of one integer: in float64 where that decides, exactly where it does not.

A function of an accumulator has too many values to compute each exactly. In float64, whose error is far below a step of
the result, all are computed; the few that lie near a rounding boundary are computed again as exact numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from mlir import ir
from numpy.typing import NDArray

from htvm.dialects import accel
from htvm.dialects.quantisation import Quantisation
from htvm.dialects.semantics.real import Real

from .builders import NotExact

MOST_VALUES = 1 << 24
"""Integers for which a function is computed."""

MOST_DOUBTFUL = 1 << 14
"""Of these, the ones that float64 cannot round."""

MOST_STEPS = 4_096
"""Of one step function: a binary search of 12 comparisons, 24 KiB."""

DOUBT = 2.0**-20
"""Of a step of the result, and of the result: what float64 may be wrong by, with much to spare."""

Floats = NDArray[np.float64]
Exact = Callable[[NDArray[Any]], Real]
Approximate = Callable[[NDArray[Any]], Floats]

_each_erf = np.vectorize(math.erf, otypes=[float])


def _erf(x: Floats) -> Floats:
    return np.asarray(_each_erf(x), np.float64)


def _sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(x, -700, 700)))


def _softplus(x: Floats) -> Floats:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _elu(x: Floats, alpha: float) -> Floats:
    return np.where(x >= 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _pow(x: Floats, alpha: float) -> Floats:
    raised = np.power(np.where((x == 0) & (alpha < 0), 1, x), alpha)
    return np.where((x == 0) & (alpha < 0), 2.0**100, np.nan_to_num(raised, nan=0.0))


PLAIN: dict[str, Callable[[Floats], Floats]] = {
    "abs": lambda x: np.abs(x),
    "erf": _erf,
    "exp": lambda x: np.where(x < 60, np.exp(np.minimum(x, 60)), 2.0**100),
    "gelu": lambda x: x * (1 + _erf(x / math.sqrt(2))) / 2,
    "gelu_tanh": lambda x: x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))) / 2,
    "log": lambda x: np.where(x > 0, np.log(np.where(x > 0, x, 1)), np.where(x == 0, -(2.0**100), 0)),
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "neg": lambda x: -x,
    "reciprocal": lambda x: np.where(x == 0, 2.0**100, 1 / np.where(x == 0, 1, x)),
    "sign": lambda x: np.sign(x),
    "softplus": _softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "sqrt": lambda x: np.sqrt(np.maximum(x, 0)),
    "tanh": lambda x: np.tanh(x),
}
"""The functions of accel.unary in float64 that have no parameter."""

WITH_ALPHA: dict[str, Callable[[Floats, float], Floats]] = {
    "celu": lambda x, a: np.where(x >= 0, x, a * np.expm1(np.minimum(x / a, 700.0) if a > 0 else x / a)),
    "elu": _elu,
    "leaky_relu": lambda x, a: np.where(x >= 0, x, a * x),
    "pow": _pow,
    "shrink": lambda x, a: np.where(np.abs(x) > a, x, 0),
    "threshold": lambda x, a: np.where(x > a, x, 0),
}
"""Those that have one, alpha."""

WITH_ALPHA_AND_BETA: dict[str, Callable[[Floats, float, float], Floats]] = {
    "hard_sigmoid": lambda x, a, b: np.clip(a * x + b, 0, 1),
    "hard_swish": lambda x, a, b: x * np.clip(a * x + b, 0, 1),
    "selu": lambda x, a, b: b * _elu(x, a),
}
"""Those that have both."""


def approximate(op: ir.OpView, *operands: Floats) -> Floats:
    """Return what an element-wise operation makes of operands, in float64."""
    match op:
        case accel.AddOp():
            return operands[0] + operands[1] + (0.0 if op.offset is None else float(op.offset.value))
        case accel.SubOp():
            return operands[0] - operands[1]
        case accel.MulOp():
            return operands[0] * operands[1]
        case accel.DivOp():
            return operands[0] / operands[1]
        case accel.MaximumOp():
            return np.maximum(*operands)
        case accel.MinimumOp():
            return np.minimum(*operands)
        case accel.ReluOp():
            return np.maximum(operands[0], 0.0)
        case accel.ClampOp():
            return np.clip(operands[0], op.min.value, op.max.value)
        case accel.SigmoidOp():
            return _sigmoid(operands[0])
        case accel.UnaryOp():
            return _unary(op, operands[0])
        case _:
            return operands[0]


def _unary(op: accel.UnaryOp, x: Floats) -> Floats:
    name, parameters = op.function.value, [float(each.value) for each in (op.alpha, op.beta) if each is not None]
    if not parameters:
        return PLAIN[name](x)
    if len(parameters) == 1:
        return WITH_ALPHA[name](x, parameters[0])
    return WITH_ALPHA_AND_BETA[name](x, parameters[0], parameters[1])


def rounded(
    exact: Exact, guess: Approximate, numbers: NDArray[np.int64], y: Quantisation, rounding: str
) -> NDArray[np.int64]:
    """Return the stored results of a function for integers [N], one row for each of its variants [rows, N]."""
    # Whatever numpy says of an overflow, the elements concerned are computed exactly.
    with np.errstate(all="ignore"):
        about = guess(numbers[None]) / float(y.scale)
        steps = about + (0.5 if rounding == "half_even" else 0.0)
        doubtful = ~(np.abs(steps - np.rint(steps)) > DOUBT * (1 + np.abs(about)))
        low, high = y.lowest - y.zero_point, y.highest - y.zero_point
        # Far beyond the ends nothing can change the result.
        doubtful &= ~((steps < low - 1 - DOUBT * np.abs(about)) | (steps > high + 2 + DOUBT * np.abs(about)))
        found = np.clip(np.nan_to_num(np.floor(steps)), low, high).astype(np.int64) + y.zero_point
    for row in np.flatnonzero(doubtful.any(axis=1)):
        places = np.flatnonzero(doubtful[row])
        if len(places) > MOST_DOUBTFUL:
            raise NotExact(f"lies on the boundary of two results for {len(places):,} of its inputs")
        values = exact(numbers[places][None]).quantise(y.scale, y.zero_point, y.lowest, y.highest, rounding)
        found[row, places] = values[row % len(values)]
    return found


def steps(
    exact: Exact, guess: Approximate, lowest: int, highest: int, y: Quantisation, rounding: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where a function's results change, and the results: starts [rows, n], values [rows, n + 1].

    Rows with fewer changes repeat their last one. Raises NotExact where there are too many.
    """
    if highest - lowest >= MOST_VALUES:
        raise NotExact(f"is a function of {highest - lowest + 1:,} different sums, expected at most {MOST_VALUES:,}")
    starts: list[list[NDArray[np.int64]]] = []
    values: list[list[NDArray[np.int64]]] = []
    piece = 1 << 18
    for first in range(lowest, highest + 1, piece):
        numbers = np.arange(first, min(first + piece, highest + 1), dtype=np.int64)
        for row, each in enumerate(rounded(exact, guess, numbers, y, rounding)):
            if row == len(starts):
                starts.append([])
                values.append([each[:1]])
            changes = np.flatnonzero(each[1:] != each[:-1]) + 1
            if first > lowest and each[0] != values[row][-1][-1]:
                changes = np.concatenate([[0], changes])
            starts[row].append(numbers[changes])
            values[row].append(each[changes])
    joined = [(np.concatenate(s or [np.zeros(0, np.int64)]), np.concatenate(v)) for s, v in zip(starts, values)]
    most = max(1, max(len(s) for s, _ in joined))
    if most > MOST_STEPS:
        raise NotExact(f"has {most:,} different results of its sums, expected at most {MOST_STEPS:,}")
    # A start that is repeated, or beyond all integers, changes nothing.
    far = np.iinfo(np.int32).max
    first = [np.concatenate([s, np.full(most - len(s), far)]) for s, _ in joined]
    results = [np.concatenate([v, np.full(most + 1 - len(v), v[-1])]) for _, v in joined]
    return np.array(first, np.int64), np.array(results, np.int64)
