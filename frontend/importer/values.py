"""What an ONNX tensor is while its graph is imported."""

import math
from dataclasses import dataclass, replace

import numpy as np
from mlir import ir
from mlir.dialects import arith

from htvm.dialects import quantisation as dialect
from htvm.dialects.quantisation import Quantisation
from htvm.importer import quantisation as q
from htvm.importer.errors import Problem, shape_text

MAX_ELEMENTS = 2**31 - 1
MAX_RANK = 8


@dataclass(frozen=True)
class Constant:
    """An array that is known: an initialiser, or computed from such."""

    array: np.ndarray
    name: str

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape


@dataclass(frozen=True)
class QuantisedConstant:
    """A known array of stored integers and what they mean: what DequantizeLinear makes of an initialiser."""

    stored: np.ndarray
    quantisation: Quantisation
    name: str

    @property
    def shape(self) -> tuple[int, ...]:
        return self.stored.shape

    def transposed(self, permutation: tuple[int, ...]) -> "QuantisedConstant":
        moved = q.transposed(self.quantisation, permutation)
        return replace(self, stored=self.stored.transpose(permutation), quantisation=moved)

    def reshaped(self, shape: tuple[int, ...]) -> "QuantisedConstant":
        moved = q.reshaped(self.quantisation, self.shape, shape)
        return replace(self, stored=self.stored.reshape(shape), quantisation=moved)


@dataclass(frozen=True)
class Tensor:
    """A tensor that is computed.

    value: of a quantised type, or f32, which stands for a real number.
    grid: a quantisation that could store all its numbers, None if none is known.
    stored: the ONNX tensor holds the integers that `value` is stored in, not the numbers that they mean.
    """

    value: ir.Value
    grid: Quantisation | None = None
    stored: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.value.type.shape)

    @property
    def quantised(self) -> bool:
        return not isinstance(self.value.type.element_type, ir.F32Type)

    @property
    def integral(self) -> bool:
        return self.grid is not None and q.is_integral(self.grid)


@dataclass(frozen=True)
class Floored:
    """A Floor whose Clip has not been seen yet; together they are one accel.quantize."""

    tensor: Tensor
    location: ir.Location

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.shape


@dataclass(frozen=True)
class Unknown:
    """The result of a node that has a problem; nothing is said about what depends on it."""


Value = Constant | QuantisedConstant | Tensor | Floored
"""What a node reads and returns."""


def check_shape(shape: tuple[int, ...]) -> None:
    """Raise Problem on shapes that no microcontroller's tensor has."""
    if len(shape) > MAX_RANK:
        raise Problem(f"has rank {len(shape)}, expected at most {MAX_RANK}")
    if any(size < 1 for size in shape):
        raise Problem(f"has shape {shape_text(shape)}, expected at least 1 along each axis")
    if math.prod(shape) > MAX_ELEMENTS:
        found = f"{math.prod(shape):,} elements ({shape_text(shape)})"
        raise Problem(f"has {found}, expected at most {MAX_ELEMENTS:,}")


def real_type(shape: tuple[int, ...]) -> ir.RankedTensorType:
    """Return the type of a tensor of real numbers. Raises Problem as check_shape does."""
    check_shape(shape)
    return ir.RankedTensorType.get(shape, ir.F32Type.get())


def quantised_type(shape: tuple[int, ...], quantisation: Quantisation) -> ir.RankedTensorType:
    """Return the type of a quantised tensor. Raises Problem as check_shape does."""
    check_shape(shape)
    return ir.RankedTensorType.get(shape, quantisation.type())


def emit_quantised(constant: QuantisedConstant) -> Tensor:
    """Write a constant's integers, and what they mean."""
    check_shape(constant.shape)
    with ir.Location.name(constant.name):
        return Tensor(dialect.constant(constant.stored, constant.quantisation), constant.quantisation)


def emit_real(constant: Constant) -> Tensor:
    """Write an array of real numbers as an arith.constant of f32."""
    if constant.array.dtype != np.float32:
        raise Problem(f"constant '{constant.name}' is {constant.array.dtype}, expected float32")
    check_finite(constant)
    type_ = real_type(constant.shape)
    numbers = ir.DenseElementsAttr.get(np.ascontiguousarray(constant.array), type=type_)
    with ir.Location.name(constant.name):
        value = arith.ConstantOp(type_, numbers).result
    return Tensor(value, q.ACCUMULATOR if holds_integers(constant.array) else None)


def check_finite(constant: Constant) -> None:
    """Raise Problem on infinities and NaN."""
    finite = np.isfinite(constant.array)
    if not finite.all():
        raise Problem(f"constant '{constant.name}' holds {constant.array[~finite][0]}, expected finite numbers")


def holds_integers(array: np.ndarray) -> bool:
    """Return whether all numbers of a float array are integers (infinities and NaN are not)."""
    return bool((np.isfinite(array) & (np.floor(array) == array)).all())


def as_integers(constant: Constant, candidates: tuple[str, ...]) -> QuantisedConstant:
    """Return a float array of integers as integers, stored in the first of `candidates` that holds them."""
    lowest, highest = int(constant.array.min(initial=0)), int(constant.array.max(initial=0))
    dtype = q.storage_for(lowest, highest, candidates)
    return QuantisedConstant(constant.array.astype(dtype), q.integers(dtype), constant.name)
