"""What operations between layers read: real values by the value that stands for them, integers, constants."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from mlir import ir
from mlir.dialects import arith

from htvm.dialects import accel, quantisation
from htvm.dialects.quantisation import Quantisation
from htvm.dialects.semantics import real, real_layers
from htvm.dialects.semantics.real import Real

from .builders import NotExact
from .real_values import Affine, Function, Joined, Lazy, of_quantised

REMEDY = "put QuantizeLinear and DequantizeLinear"


@dataclass(frozen=True)
class Constant:
    """Known numbers: fractions of some shape, and the same as a Real."""

    numbers: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.numbers.shape

    def along(self, rank: int) -> tuple[int | None, list[Fraction]]:
        """Return the one axis, of a value of `rank`, along which the numbers vary, and the numbers.

        Raises NotExact if there are several axes.
        """
        flat = list(self.numbers.reshape(-1))
        if len(set(flat)) == 1:
            return None, flat[:1]
        full = (1,) * (rank - self.numbers.ndim) + self.shape
        axes = [axis for axis, size in enumerate(full) if size > 1]
        if len(axes) > 1:
            varying = [
                axis
                for axis in axes
                if (np.reshape(self.numbers, full) != np.reshape(self.numbers, full).take([0], axis)).any()
            ]
            if len(varying) != 1:
                raise NotExact(f"has a constant that varies along the axes {varying}, expected one axis")
            index: list[Any] = [slice(None) if axis == varying[0] else 0 for axis in range(len(full))]
            return varying[0], list(np.reshape(self.numbers, full)[tuple(index)])
        return axes[0], flat

    def hidden(self) -> np.ndarray:
        """Return where a number is minus infinity, or what masks have for it."""
        return np.asarray(self.numbers <= LOWEST, bool)

    def varies_along(self, rank: int) -> int:
        """Return the number of axes along which the numbers vary."""
        if len(set(self.numbers.reshape(-1))) == 1:
            return 0
        return sum(bool((self.numbers != self.numbers.take([0], axis)).any()) for axis in range(self.numbers.ndim))


LOWEST = -(10**30)
"""Masks write smaller numbers, or minus infinity, for what a softmax must not see."""


class Reader:
    """What the operands of an operation are: lazies by real value, integers by quantised value, constants."""

    def __init__(self, lazies: dict[ir.Value, Lazy], integers: dict[ir.Value, ir.Value]) -> None:
        self.lazies, self.integers = lazies, integers
        self.computed: dict[ir.Value, Constant | None] = {}

    def constant(self, value: ir.Value) -> Constant | None:
        """Return a constant operand's numbers, exactly."""
        q, stored = Quantisation.of(value), quantisation.stored(value)
        if q is not None:
            if stored is None:
                return None
            scales, points = q.parameters(stored.ndim)
            exact = np.asarray(np.frompyfunc(Fraction, 1, 1)(scales), object)
            return Constant(np.asarray((stored.astype(object) - points.astype(object)) * exact, object))
        source = accel.producer(value)
        if isinstance(source, arith.ConstantOp) and isinstance(ir.ShapedType(value.type).element_type, ir.F32Type):
            fraction = np.frompyfunc(lambda n: Fraction(float(n)) if math.isfinite(n) else float(n), 1, 1)
            return Constant(np.asarray(fraction(np.array(source.value)), object))
        if source is not None and source.operation.name in real_layers.MEANINGS and q is None:
            return self._computed(source)
        return None

    def _computed(self, op: ir.OpView) -> Constant | None:
        """Return what constants alone give, which no type holds: functions to 2^-128, as everywhere."""
        result = op.operation.results[0]
        if result not in self.computed:
            operands = [self.constant(value) for value in op.operation.operands]
            known = [each for each in operands if each is not None]
            self.computed[result] = None
            if known and len(known) == len(operands) and not any(each.hidden().any() for each in known):
                reals = [exactly(each.numbers) for each in known]
                found = real_layers.MEANINGS[op.operation.name](op, *reals)
                self.computed[result] = Constant(np.asarray(found.exact(), object))
        return self.computed[result]

    def lazy(self, value: ir.Value) -> Lazy:
        if value in self.lazies:
            return self.lazies[value]
        return of_quantised(value, self.integers[value])

    def known(self, value: ir.Value) -> bool:
        if value in self.lazies or value in self.integers or quantisation.stored(value) is not None:
            return True
        return self.constant(value) is not None


def by_part(joined: Joined, function: Callable[[Affine | Function, int, int], Lazy]) -> Lazy:
    """Apply a function to each part of a value, and to where on the axis it begins and ends."""
    parts: list[Affine | Function] = []
    begin = 0
    for part in joined.parts:
        end = begin + part.shape[joined.axis]
        found = function(part, begin, end)
        assert not isinstance(found, Joined)
        parts.append(found)
        begin = end
    return Joined(tuple(parts), joined.axis)


def exactly(numbers: np.ndarray) -> Real:
    """Return fractions as exact numbers."""
    signs = np.frompyfunc(lambda n: (n > 0) - (n < 0), 1, 1)(numbers)
    sizes = np.frompyfunc(lambda n: abs(n) or Fraction(1), 1, 1)(numbers)
    return Real((real.Term(np.asarray(signs, np.int64), np.asarray(sizes, object)),))
