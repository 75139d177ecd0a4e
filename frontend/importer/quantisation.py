"""How integers stand for real numbers: storage, scale and zero point, in numpy, in ONNX and as MLIR types."""

import math
import re
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from mlir import ir
from mlir.dialects import quant

from htvm.importer.errors import Problem, choices_text, shape_text

SMALLEST_SCALE = float(np.finfo(np.float32).smallest_normal)
"""MLIR's quantised types of f32 take no scale below it."""


@dataclass(frozen=True)
class Storage:
    """The integers that hold a quantised tensor: i8, u8, i16, u16 or i32."""

    name: str
    dtype: np.dtype

    @property
    def signed(self) -> bool:
        return self.dtype.kind == "i"

    @property
    def bits(self) -> int:
        return self.dtype.itemsize * 8

    @property
    def low(self) -> int:
        return int(np.iinfo(self.dtype).min)

    @property
    def high(self) -> int:
        return int(np.iinfo(self.dtype).max)

    def type(self) -> ir.IntegerType:
        """Return the element type of constants of this storage: quantised types store in signless integers."""
        return ir.IntegerType.get_signless(self.bits)


STORAGES = {
    name: Storage(name, np.dtype(dtype))
    for name, dtype in {"i8": "int8", "u8": "uint8", "i16": "int16", "u16": "uint16", "i32": "int32"}.items()
}


def storage_of(dtype: np.dtype) -> Storage | None:
    """Return the storage of a numpy type, None if quantised tensors are not stored so."""
    return next((storage for storage in STORAGES.values() if storage.dtype == dtype), None)


def storage_for(low: int, high: int, candidates: tuple[str, ...] = tuple(STORAGES)) -> Storage:
    """Return the first storage of `candidates` that holds all integers from `low` to `high`."""
    for name in candidates:
        if STORAGES[name].low <= low and high <= STORAGES[name].high:
            return STORAGES[name]
    raise Problem(f"integers from {low} to {high} do not fit {choices_text(candidates)}")


@dataclass(frozen=True)
class Quantisation:
    """What an integer q means: (q - zero point) * scale.

    scales, zero_points: one number each, or one per index of the axis `axis` of the tensor.
    low, high: the least and the greatest q.
    """

    storage: Storage
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int | None
    low: int
    high: int

    @staticmethod
    def integers(low: int, high: int, storage: Storage) -> "Quantisation":
        """Return the quantisation of integers that stand for themselves."""
        return Quantisation(storage, (1.0,), (0,), None, low, high)

    @staticmethod
    def of_arrays(
        scale: np.ndarray, zero_point: np.ndarray | None, axis: int, storage: Storage, shape: tuple[int, ...]
    ) -> "Quantisation":
        """Return the quantisation that ONNX writes as two arrays, for a tensor of shape `shape`."""
        if scale.dtype != np.float32:
            raise Problem(f"scale is {scale.dtype}, expected float32")
        if scale.ndim > 1:
            raise Problem(f"scale has shape {shape_text(scale.shape)} (blocked), expected one number or one per channel")
        scales = tuple(scale.astype(np.float64).reshape(-1).tolist())
        for index, number in enumerate(scales):
            if not (SMALLEST_SCALE <= number < math.inf):
                entry = f" of channel {index}" if len(scales) > 1 else ""
                raise Problem(f"scale{entry} is {number:g}, expected a positive, finite number")
        zero_points = (0,) * len(scales)
        if zero_point is not None:
            if zero_point.size not in (1, len(scales)):
                raise Problem(f"zero point has {zero_point.size} numbers, expected {len(scales)} as the scale")
            zero_points = tuple(np.broadcast_to(zero_point.reshape(-1), len(scales)).tolist())
        if len(scales) == 1:
            return Quantisation(storage, scales, zero_points, None, storage.low, storage.high)
        if not -len(shape) <= axis < len(shape) or shape[axis] != len(scales):
            raise Problem(
                f"scale has {len(scales)} numbers along axis {axis}, the tensor has shape {shape_text(shape)}"
            )
        return Quantisation(storage, scales, zero_points, axis % len(shape), storage.low, storage.high)

    @cached_property
    def integral(self) -> bool:
        """Whether every number on this grid is an integer."""
        return all(scale.is_integer() for scale in self.scales)

    @cached_property
    def holds_zero(self) -> bool:
        """Whether the number 0 is on this grid."""
        return all(self.low <= zero_point <= self.high for zero_point in self.zero_points)

    def type(self) -> ir.Type:
        """Return the quantised element type."""
        flags = quant.QuantizedType.FLAG_SIGNED if self.storage.signed else 0
        storage, real = self.storage.type(), ir.F32Type.get()
        if self.axis is None:
            return quant.UniformQuantizedType.get(
                flags, storage, real, self.scales[0], self.zero_points[0], self.low, self.high
            )
        return quant.UniformQuantizedPerAxisType.get(
            flags, storage, real, self.scales, self.zero_points, self.axis, self.low, self.high
        )

    def real(self, integers: np.ndarray) -> np.ndarray:
        """Return what stored integers mean, in float64 (exact for integers of up to 29 bits)."""
        scales, zero_points = np.array(self.scales), np.array(self.zero_points)
        if self.axis is not None:
            along = [1] * integers.ndim
            along[self.axis] = len(scales)
            scales, zero_points = scales.reshape(along), zero_points.reshape(along)
        return (integers.astype(np.int64) - zero_points) * scales

    def transposed(self, permutation: tuple[int, ...]) -> "Quantisation":
        """Return the quantisation of the tensor whose axis i is axis permutation[i] of this one's."""
        return self if self.axis is None else replace(self, axis=permutation.index(self.axis))

    def reshaped(self, old: tuple[int, ...], new: tuple[int, ...]) -> "Quantisation":
        """Return the quantisation of a tensor of shape `old` when it has the shape `new`."""
        if self.axis is None:
            return self
        before = math.prod(old[: self.axis])
        for axis, size in enumerate(new):
            if size == old[self.axis] and math.prod(new[:axis]) == before:
                return replace(self, axis=axis)
        raise Problem(
            f"reshapes {shape_text(old)} to {shape_text(new)}, which has no axis that is axis {self.axis}, "
            "along which the constant is quantised"
        )


ACCUMULATOR = Quantisation.integers(STORAGES["i32"].low, STORAGES["i32"].high, STORAGES["i32"])
"""Integers that nothing has requantised yet."""


def parse_input_type(text: str) -> Quantisation:
    """Return the quantisation that a user writes as "u8", "i16" or "0..127": integers of that range."""
    if text in STORAGES:
        return Quantisation.integers(STORAGES[text].low, STORAGES[text].high, STORAGES[text])
    if bounds := re.fullmatch(r"(-?\d{1,10})\.\.(-?\d{1,10})", text):
        low, high = int(bounds[1]), int(bounds[2])
        if low < high:
            return Quantisation.integers(low, high, storage_for(low, high))
    raise Problem(f"its type is given as '{text}', expected {choices_text(STORAGES)}, or a range such as 0..127")
