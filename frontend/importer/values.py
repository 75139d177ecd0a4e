"""What an ONNX tensor is while its graph is imported."""

import math
from dataclasses import dataclass, replace

import numpy as np
from mlir import ir
from mlir.dialects import arith

from htvm.importer.errors import Problem, shape_text
from htvm.importer.quantisation import ACCUMULATOR, Quantisation, storage_for

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

    integers: np.ndarray
    quantisation: Quantisation
    name: str

    @property
    def shape(self) -> tuple[int, ...]:
        return self.integers.shape

    def transposed(self, permutation: tuple[int, ...]) -> "QuantisedConstant":
        moved = self.quantisation.transposed(permutation)
        return replace(self, integers=self.integers.transpose(permutation), quantisation=moved)

    def reshaped(self, shape: tuple[int, ...]) -> "QuantisedConstant":
        moved = self.quantisation.reshaped(self.integers.shape, shape)
        return replace(self, integers=self.integers.reshape(shape), quantisation=moved)


@dataclass(frozen=True)
class Tensor:
    """A tensor that is computed.

    value: of a quantised type, or f32, which stands for a real number.
    grid: a quantisation all whose numbers the tensor keeps to, None if none is known.
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
        return self.grid is not None and self.grid.integral


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
        raise Problem(f"has shape {shape_text(shape)}, {math.prod(shape):,} elements; expected at most {MAX_ELEMENTS:,}")


def tensor_type(shape: tuple[int, ...], element: ir.Type) -> ir.RankedTensorType:
    """Return a tensor type. Raises Problem as check_shape does."""
    check_shape(shape)
    return ir.RankedTensorType.get(shape, element)


def real_type(shape: tuple[int, ...]) -> ir.RankedTensorType:
    """Return the type of a tensor of real numbers."""
    return tensor_type(shape, ir.F32Type.get())


def quantised_type(shape: tuple[int, ...], quantisation: Quantisation) -> ir.RankedTensorType:
    """Return the type of a quantised tensor."""
    return tensor_type(shape, quantisation.type())


def emit_quantised(constant: QuantisedConstant) -> Tensor:
    """Write the integers as an arith.constant, and what they mean as a quant.scast."""
    storage = constant.quantisation.storage
    integers = np.ascontiguousarray(constant.integers, storage.dtype)
    signless = integers.view(np.dtype(f"int{storage.bits}"))
    with ir.Location.name(constant.name):
        stored = _emit(signless, tensor_type(integers.shape, storage.type()))
        return cast_storage(stored, constant.quantisation)


def emit_real(constant: Constant) -> Tensor:
    """Write an array of real numbers as an arith.constant of f32."""
    if constant.array.dtype != np.float32:
        raise Problem(f"constant '{constant.name}' is {constant.array.dtype}, expected float32")
    check_finite(constant)
    with ir.Location.name(constant.name):
        value = _emit(np.ascontiguousarray(constant.array), real_type(constant.array.shape))
    return Tensor(value, ACCUMULATOR if holds_integers(constant.array) else None)


def cast_storage(stored: ir.Value, quantisation: Quantisation) -> Tensor:
    """Give stored integers a meaning."""
    type_ = quantised_type(tuple(stored.type.shape), quantisation)
    cast = ir.Operation.create("quant.scast", results=[type_], operands=[stored])
    return Tensor(cast.result, quantisation)


def check_finite(constant: Constant) -> None:
    """Raise Problem on infinities and NaN."""
    finite = np.isfinite(constant.array)
    if not finite.all():
        raise Problem(f"constant '{constant.name}' holds {constant.array[~finite][0]}")


def holds_integers(array: np.ndarray) -> bool:
    """Return whether all numbers of a float array are integers (infinities and NaN are not)."""
    return bool((np.isfinite(array) & (np.floor(array) == array)).all())


def quantised_integers(constant: Constant, candidates: tuple[str, ...]) -> QuantisedConstant:
    """Return a float array of integers as integers that mean themselves, stored in the first fit of `candidates`."""
    low, high = (int(bound) for bound in (constant.array.min(initial=0), constant.array.max(initial=0)))
    storage = storage_for(low, high, candidates)
    return QuantisedConstant(
        constant.array.astype(storage.dtype),
        Quantisation.integers(storage.low, storage.high, storage),
        constant.name,
    )


def _emit(array: np.ndarray, type_: ir.RankedTensorType) -> ir.Value:
    return arith.ConstantOp(type_, ir.DenseElementsAttr.get(array, type=type_)).result
