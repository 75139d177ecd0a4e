"""The attribute `requant` of a layer, and which of the forms of htvm_requant.h computes it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from mlir import ir

from htvm.dialects import accel

from .fields import Field, Fields

RAW, NARROW, NARROW_EACH, WIDE, HALF_EVEN = "RAW", "NARROW", "NARROW_EACH", "WIDE", "HALF_EVEN"
CORRECTED, DOUBLE_ROUND = "CORRECTED", "DOUBLE_ROUND"

SCALE_TYPES = {
    RAW: ("int32_t", 4),
    NARROW: ("htvm_scale", 8),
    NARROW_EACH: ("htvm_scale_each", 12),
    WIDE: ("htvm_scale_wide", 16),
    HALF_EVEN: ("htvm_scale_wide", 16),
    CORRECTED: ("htvm_scale_corrected", 40),
    DOUBLE_ROUND: ("htvm_scale_wide", 16),
}
"""For each form the C type of a channel's constants, and its size in bytes."""


@dataclass(frozen=True)
class Requant:
    """Integer constants of a layer; the arrays have one entry, or one per channel."""

    form: str
    multiplier: np.ndarray
    offset: np.ndarray
    shift: np.ndarray
    pre_shift: int = 0
    min: int = 0
    max: int = 0
    zero_point: int = 0
    tie_below: int = 0
    quotient: tuple[np.ndarray, ...] = ()
    """numerator, divisor and rest of form CORRECTED."""

    @staticmethod
    def of(layer: ir.OpView) -> Requant:
        """Read the attribute `requant` of a layer that has one."""
        stated = accel.present(accel.attribute(layer, "requant", accel.RequantAttr), "requant")
        quotient: tuple[np.ndarray, ...] = ()
        if stated.divisor is not None:
            form = CORRECTED
            exact = (stated.numerator, stated.divisor, stated.rest)
            quotient = tuple(np.array(entries, np.int64) for entries in exact)
        elif stated.double_round:
            form = DOUBLE_ROUND
        elif stated.tie_below:
            form = HALF_EVEN
        elif not stated.narrow:
            form = WIDE
        else:
            form = NARROW if len(stated.shift) == 1 and stated.zero_point == 0 else NARROW_EACH
        return Requant(
            form,
            np.array(stated.multiplier, np.int64),
            np.array(stated.offset, np.int64),
            np.array(stated.shift, np.int64),
            stated.pre_shift,
            stated.min,
            stated.max,
            stated.zero_point,
            stated.tie_below,
            quotient,
        )

    @staticmethod
    def raw(bias: np.ndarray) -> Requant:
        """Return the form of a layer whose results are accumulators plus bias."""
        return Requant(RAW, np.ones(1, np.int64), bias.astype(np.int64), np.zeros(1, np.int64))

    def counted_from(self, element: int, sums: np.ndarray) -> Requant:
        """Return the form for accumulators of x - element in place of x, by each channel's sum of weights.

        Constants are modulo 2^32 or, of the wide forms, 2^64, as the kernels' sums are.
        """
        start = element * sums.astype(np.int64)
        bits = 64 if self.form in (WIDE, HALF_EVEN, CORRECTED, DOUBLE_ROUND) else 32
        quotient = self.quotient
        if quotient:
            numerator, divisor, rest = quotient
            quotient = (numerator, divisor, rest + numerator * start)
        offset = _wrapped(self.offset + (start << self.pre_shift), bits)
        return replace(self, offset=offset, quotient=quotient)

    @property
    def scale_type(self) -> str:
        return SCALE_TYPES[self.form][0]

    @property
    def scale_bytes(self) -> int:
        return SCALE_TYPES[self.form][1]

    @property
    def layer_shift(self) -> int:
        """The shift in the layer's C description: 32 less where the high half of a product is taken first."""
        return int(self.shift[0]) - 32 if self.form == NARROW else 0

    def scales(self, channels: int) -> list[tuple[int, ...]]:
        """Return the constants of each channel, in the order of the C struct."""
        columns = {
            RAW: [self.offset],
            NARROW: [self.offset, self.multiplier],
            NARROW_EACH: [self.offset, self.multiplier, self.shift - 32],
            CORRECTED: [self.offset, self.multiplier, self.shift, *self.quotient],
        }.get(self.form, [self.offset, self.multiplier, self.shift])
        rows = [np.broadcast_to(column, channels).tolist() for column in columns]
        return list(zip(*rows, strict=True))


def _wrapped(numbers: np.ndarray, bits: int) -> np.ndarray:
    """Return numbers modulo 2^bits, as signed ones."""
    unused = 64 - bits
    return numbers << unused >> unused


def requant_fields(requant: Requant) -> Fields:
    fields: dict[str, Field] = {
        "pre_shift shift": (requant.pre_shift, requant.layer_shift),
        "min max": (requant.min, requant.max),
    }
    if requant.form in (NARROW_EACH, DOUBLE_ROUND):
        fields["zero_point"] = requant.zero_point
    if requant.form in (HALF_EVEN, CORRECTED):
        fields["zero_point tie_below"] = (requant.zero_point, requant.tie_below)
    return fields
