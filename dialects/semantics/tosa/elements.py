"""Operations on single elements: of TOSA's sections on element-wise operators, comparison, conversion and tables."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from mlir import ir

from htvm.dialects.semantics import tosa_scaling

from .reading import TosaOp, bits, meaning, scalar, wrapped

Arrays = np.ndarray


def limits(width: int, unsigned: bool = False) -> tuple[int, int]:
    """Return the smallest and the largest integer of a type."""
    return (0, (1 << width) - 1) if unsigned else (-(1 << width - 1), (1 << width - 1) - 1)


def width_of(value: ir.Value) -> int:
    """Return the width of a tensor's integers. Raises ValueError for floats."""
    width = bits(value)
    if width is None:
        raise ValueError(f"is of {value.type}, expected integers")
    return width


BINARY: dict[str, Callable[[Arrays, Arrays], Arrays]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "bitwise_and": lambda a, b: a & b,
    "bitwise_or": lambda a, b: a | b,
    "bitwise_xor": lambda a, b: a ^ b,
    "logical_and": lambda a, b: a & b,
    "logical_or": lambda a, b: a | b,
    "logical_xor": lambda a, b: a ^ b,
    "logical_left_shift": lambda a, b: a << b,
    "equal": lambda a, b: (a == b).astype(np.int64),
    "greater": lambda a, b: (a > b).astype(np.int64),
    "greater_equal": lambda a, b: (a >= b).astype(np.int64),
}
UNARY: dict[str, Callable[[Arrays], Arrays]] = {
    "abs": np.abs,
    "bitwise_not": lambda a: ~a,
    "logical_not": lambda a: 1 - a,
    "identity": lambda a: a,
}


@meaning(*BINARY)
def binary(op: TosaOp, a: Arrays, b: Arrays) -> Arrays:
    return BINARY[op.name](a, b)


@meaning(*UNARY)
def unary(op: TosaOp, a: Arrays) -> Arrays:
    return UNARY[op.name](a)


@meaning("intdiv")
def intdiv(op: TosaOp, a: Arrays, b: Arrays) -> Arrays:
    """Rounded towards 0. A divisor of 0 is an error of the network; it gives 0 here."""
    safe = np.where(b == 0, 1, b)
    return np.where(b == 0, 0, np.sign(a) * np.sign(safe) * (np.abs(a) // np.abs(safe)))


@meaning("logical_right_shift")
def logical_right_shift(op: TosaOp, a: Arrays, b: Arrays) -> Arrays:
    width = width_of(op.operands[0])
    return (a & ((1 << width) - 1)) >> b


@meaning("arithmetic_right_shift")
def arithmetic_right_shift(op: TosaOp, a: Arrays, b: Arrays) -> Arrays:
    """With `round`, the last bit that is shifted out is added."""
    last = (a >> np.maximum(b - 1, 0)) & 1
    return (a >> b) + (np.where(b > 0, last, 0) if op.flag("round") else 0)


@meaning("mul")
def mul(op: TosaOp, a: Arrays, b: Arrays, shift: Arrays) -> Arrays:
    amount = scalar(shift)
    product = a * b
    return (product + (1 << amount - 1)) >> amount if amount else product


@meaning("negate")
def negate(op: TosaOp, x: Arrays, in_zero: Arrays, out_zero: Arrays) -> Arrays:
    width = width_of(op.result)
    found = scalar(out_zero) - (x - scalar(in_zero))
    return np.clip(found, *limits(width)) if width < 32 else found


@meaning("clz")
def clz(op: TosaOp, x: Arrays) -> Arrays:
    """The bits before the first 1: of 0, all 32."""
    unsigned = x & 0xFFFFFFFF
    lengths = np.ceil(np.log2(unsigned.astype(np.float64) + 1)).astype(np.int64)  # exact: 32 bits are far from 2^53
    return 32 - lengths


@meaning("clamp")
def clamp(op: TosaOp, x: Arrays) -> Arrays:
    return np.clip(x, op.number("min_val"), op.number("max_val"))


@meaning("select")
def select(op: TosaOp, condition: Arrays, a: Arrays, b: Arrays) -> Arrays:
    return np.where(condition != 0, a, b)


@meaning("cast")
def cast(op: TosaOp, x: Arrays) -> Arrays:
    return (x != 0).astype(np.int64) if bits(op.result) == 1 else x


@meaning("table")
def table(op: TosaOp, x: Arrays, entries: Arrays) -> Arrays:
    """Of 8 bits an entry each; of 16, 513 entries between which 7 bits interpolate, into 32 bits."""
    if width_of(op.operands[0]) == 8:
        return entries[x + 128]
    place, fraction = (x + 32768) >> 7, x & 127
    return (entries[place] << 7) + (entries[place + 1] - entries[place]) * fraction


@meaning("rescale")
def rescale(op: TosaOp, x: Arrays, multiplier: Arrays, shift: Arrays, in_zero: Arrays, out_zero: Arrays) -> Arrays:
    """Scale, per tensor or along the last axis; clip to the result's type."""
    in_width, out_width = width_of(op.operands[0]), width_of(op.result)
    unsigned_in, unsigned_out = op.flag("input_unsigned"), op.flag("output_unsigned")
    values = x & ((1 << in_width) - 1) if unsigned_in else x
    values = values - zero_point(in_zero, in_width, unsigned_in)
    per_channel = op.flag("per_channel")
    factors, amounts = (each if per_channel else each.reshape(-1)[0] for each in (multiplier, shift))
    scaled = tosa_scaling.apply_scale(values, factors, amounts, op.word("rounding_mode") == "DOUBLE_ROUND")
    found = wrapped(scaled, 32) + zero_point(out_zero, out_width, unsigned_out)
    return np.clip(found, *limits(out_width, unsigned_out))


def zero_point(numbers: Arrays, width: int, unsigned: bool) -> int:
    """Return a zero point, of unsigned integers if it is one of such."""
    number = scalar(numbers)
    return number & ((1 << width) - 1) if unsigned else number
