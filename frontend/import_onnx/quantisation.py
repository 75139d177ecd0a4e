"""What ONNX and users say of quantised tensors, as the dialect's Quantisation."""

import math
import re
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

import numpy as np

from htvm.dialects.quantisation import LARGEST_SCALE, SMALLEST_SCALE, Quantisation
from htvm.import_onnx.errors import Problem, choices_text, shape_text

STORAGES = {
    "i8": np.dtype(np.int8),
    "u8": np.dtype(np.uint8),
    "i16": np.dtype(np.int16),
    "u16": np.dtype(np.uint16),
    "i32": np.dtype(np.int32),
}
"""The integers that quantised tensors are stored in."""

NARROW_STORAGES = {f"{sign}int{bits}": (bits, sign == "") for sign in ("", "u") for bits in (2, 4)}
"""Types of ONNX that are stored in 8 bits: name, bits, and whether they are signed."""


def integers(dtype: np.dtype, lowest: int | None = None, highest: int | None = None) -> Quantisation:
    """Return the quantisation of integers that stand for themselves, all of a numpy type or a range of them."""
    if dtype.name in NARROW_STORAGES:
        bits, signed = NARROW_STORAGES[dtype.name]
        half = 1 << (bits - 1)
        lowest, highest = (-half, half - 1) if signed else (0, 2 * half - 1)
        dtype = STORAGES["i8" if signed else "u8"]
    limits = np.iinfo(dtype)
    lowest = int(limits.min) if lowest is None else lowest
    highest = int(limits.max) if highest is None else highest
    return Quantisation(limits.bits, limits.kind == "i", lowest, highest, (1.0,), (0,))


ACCUMULATOR = integers(STORAGES["i32"])
"""Integers that nothing has requantised yet."""


def storage_for(lowest: int, highest: int, candidates: Iterable[str] = STORAGES) -> np.dtype:
    """Return the first storage of `candidates` that holds all integers from `lowest` to `highest`."""
    for name in candidates:
        limits = np.iinfo(STORAGES[name])
        if limits.min <= lowest and highest <= limits.max:
            return STORAGES[name]
    raise Problem(f"integers from {lowest} to {highest} do not fit {choices_text(candidates)}")


def storage(quantisation: Quantisation) -> np.dtype:
    """Return the numpy type of the stored integers."""
    return np.dtype(f"{'int' if quantisation.signed else 'uint'}{quantisation.bits}")


def from_arrays(
    scale: np.ndarray, zero_point: np.ndarray | None, axis: int, dtype: np.dtype, shape: tuple[int, ...]
) -> Quantisation:
    """Return the quantisation that ONNX writes as two arrays, for a tensor of a shape stored in `dtype`."""
    if scale.dtype != np.float32:
        raise Problem(f"scale is {scale.dtype}, expected float32")
    if scale.size != max(scale.shape, default=1):
        found = shape_text(scale.shape)
        raise Problem(f"scale has shape {found}, expected one number or one per channel")
    scales = tuple(scale.astype(np.float64).reshape(-1).tolist())
    for index, number in enumerate(scales):
        if not SMALLEST_SCALE <= number <= LARGEST_SCALE:
            channel = f" of channel {index}" if len(scales) > 1 else ""
            raise Problem(f"scale{channel} is {number:g}, expected a finite number of at least {SMALLEST_SCALE:g}")
    zero_points = (0,) * len(scales)
    if zero_point is not None:
        if zero_point.size not in (1, len(scales)):
            raise Problem(f"zero point has {zero_point.size} numbers, expected {len(scales)} as the scale")
        zero_points = tuple(np.broadcast_to(zero_point.reshape(-1), len(scales)).astype(np.int64).tolist())
    if len(scales) == 1:
        return replace(integers(dtype), scales=scales, zero_points=zero_points)
    if not -len(shape) <= axis < len(shape) or shape[axis] != len(scales):
        found = f"{len(scales)} numbers along axis {axis}"
        raise Problem(f"scale has {found}, the tensor has shape {shape_text(shape)}")
    return replace(integers(dtype), scales=scales, zero_points=zero_points, axis=axis % len(shape))


def without_blocks(
    stored: np.ndarray, scale: np.ndarray, zero_point: np.ndarray | None, axis: int, block: int
) -> tuple[np.ndarray, Quantisation]:
    """Return constants with a scale for each block of `block` elements along an axis, with one scale per channel.

    Blocks whose scales are all multiples of one number allow that, as multiples of the stored integers. Raises
    Problem on others, whose sums no integer arithmetic gives exactly.
    """
    blocks = [-(-size // block) if index == axis else size for index, size in enumerate(stored.shape)]
    if list(scale.shape) != blocks:
        found, wanted = shape_text(scale.shape), shape_text(blocks)
        raise Problem(f"scale has shape {found}, expected {wanted}: blocks of {block} along axis {axis}")
    from_arrays(scale.reshape(-1)[:1], None, 0, STORAGES["i8"], ())

    def spread(array: np.ndarray) -> np.ndarray:
        return np.repeat(array, block, axis).take(range(stored.shape[axis]), axis)

    centred = stored.astype(np.int64) - (0 if zero_point is None else spread(zero_point.astype(np.int64)))
    channel_axis = next((index for index, size in enumerate(stored.shape) if index != axis and size > 1), 0)
    by_channel = np.moveaxis(scale, channel_axis, 0).reshape(stored.shape[channel_axis], -1).astype(np.float64)
    units = [_common_unit([Fraction(number) for number in numbers]) for numbers in by_channel.tolist()]
    along = np.reshape([float(unit) for unit in units], [-1 if i == channel_axis else 1 for i in range(stored.ndim)])
    whole = centred * np.rint(spread(scale.astype(np.float64)) / along)
    if np.abs(whole).max(initial=0) >= 1 << 15:
        example = ", ".join(f"{number:g}" for number in by_channel[0, :3])
        raise Problem(f"scales of blocks ({example}, ..) are no small multiples of one number; quantise per channel")
    grid = from_arrays(along.astype(np.float32).reshape(-1), None, channel_axis, STORAGES["i16"], stored.shape)
    return whole.astype(np.int16), grid


def _common_unit(numbers: list[Fraction]) -> Fraction:
    """Return the largest number that all are multiples of."""
    return Fraction(
        math.gcd(*(number.numerator for number in numbers)), math.lcm(*(number.denominator for number in numbers))
    )


def from_text(text: str) -> Quantisation:
    """Return the quantisation that a user writes as "u8" or "0..127": integers of that range."""
    if text in STORAGES:
        return integers(STORAGES[text])
    if bounds := re.fullmatch(r"(-?\d{1,10})\.\.(-?\d{1,10})", text):
        lowest, highest = int(bounds[1]), int(bounds[2])
        if lowest < highest:
            return integers(storage_for(lowest, highest), lowest, highest)
    raise Problem(f"its type is given as '{text}', expected {choices_text(STORAGES)}, or a range such as 0..127")


def centred(quantisation: Quantisation) -> Quantisation:
    """Return the quantisation of the same numbers whose stored integers are less by half the range of their storage."""
    half = 1 << (quantisation.bits - 1)
    return replace(
        quantisation,
        signed=True,
        lowest=quantisation.lowest - half,
        highest=quantisation.highest - half,
        zero_points=tuple(point - half for point in quantisation.zero_points),
    )


def is_integral(quantisation: Quantisation) -> bool:
    """Return whether all numbers that can be stored mean integers."""
    return all(scale.is_integer() for scale in quantisation.scales)


def holds_zero(quantisation: Quantisation) -> bool:
    """Return whether the number 0 can be stored."""
    return all(quantisation.lowest <= point <= quantisation.highest for point in quantisation.zero_points)


def along_axis(quantisation: Quantisation, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scales and zero points as arrays that broadcast against a tensor of `rank`."""
    shape = [1] * rank
    if quantisation.axis is not None:
        shape[quantisation.axis] = len(quantisation.scales)
    return np.reshape(quantisation.scales, shape), np.reshape(quantisation.zero_points, shape)


def numbers(quantisation: Quantisation, stored: np.ndarray) -> np.ndarray:
    """Return what stored integers mean, in float64 (exact for integers of up to 29 bits)."""
    scales, zero_points = along_axis(quantisation, stored.ndim)
    return np.asarray((stored.astype(np.int64) - zero_points) * scales)  # of rank 0 NumPy makes a number


def transposed(quantisation: Quantisation, permutation: tuple[int, ...]) -> Quantisation:
    """Return the quantisation of the tensor whose axis i is axis permutation[i] of this one's."""
    axis = quantisation.axis
    return quantisation if axis is None else replace(quantisation, axis=permutation.index(axis))


def reshaped(quantisation: Quantisation, old: tuple[int, ...], new: tuple[int, ...]) -> Quantisation:
    """Return the quantisation of a tensor of shape `old` when it has the shape `new`."""
    if quantisation.axis is None:
        return quantisation
    before = math.prod(old[: quantisation.axis])
    for axis, size in enumerate(new):
        if size == old[quantisation.axis] and math.prod(new[:axis]) == before:
            return replace(quantisation, axis=axis)
    raise Problem(
        f"reshapes {shape_text(old)} to {shape_text(new)}, which splits or joins axis {quantisation.axis}, "
        "along which the constant is quantised"
    )
