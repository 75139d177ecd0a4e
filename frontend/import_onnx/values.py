"""What an ONNX tensor is while its graph is imported."""

import math
from dataclasses import dataclass, replace

import numpy as np
from mlir import ir
from mlir.dialects import arith

from htvm.dialects import quantisation as dialect
from htvm.dialects.accel import present
from htvm.dialects.quantisation import Quantisation
from htvm.import_onnx import quantisation as q
from htvm.import_onnx.errors import Problem, shape_text

MAX_ELEMENTS = 2**31 - 1
MAX_RANK = 8
FLOAT32_BITS = 24
"""Of a float32's significand."""


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

    def signed(self) -> "QuantisedConstant":
        """Return the same numbers, stored in signed integers of as many bits."""
        if self.quantisation.signed:
            return self
        centred = q.centred(self.quantisation)
        stored = self.stored.astype(np.int64) - (1 << (centred.bits - 1))
        return replace(self, stored=stored.astype(q.storage(centred)), quantisation=centred)

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
        return tuple(ir.ShapedType(self.value.type).shape)

    @property
    def quantised(self) -> bool:
        return not isinstance(ir.ShapedType(self.value.type).element_type, ir.F32Type)

    @property
    def quantisation(self) -> Quantisation:
        """The grid of a tensor that is quantised or stored. Raises ValueError for others."""
        return present(self.grid, "grid")

    @property
    def integral(self) -> bool:
        return self.grid is not None and q.is_integral(self.grid)


@dataclass(frozen=True)
class Rounded:
    """A Floor or Round whose bounds have not all been seen; with them, it is one accel.quantize.

    lowest, highest: the bounds, integers or infinite, that Clip, Max, Min and Relu gave so far.
    dtype: of the integers where ONNX divides such: towards zero, which is rounding down of what is not negative.
    """

    tensor: Tensor
    rounding: str
    location: ir.Location
    lowest: float = -math.inf
    highest: float = math.inf
    dtype: np.dtype | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.shape

    @property
    def ends(self) -> tuple[float, float]:
        return self.lowest, self.highest

    @property
    def bounded(self) -> bool:
        return math.isfinite(self.lowest) and math.isfinite(self.highest)

    def clamped(self, low: float, high: float, location: ir.Location) -> "Rounded":
        """Return what min(max(x, low), high) makes of it; the bounds are integers or infinite."""
        lowest, highest = (min(max(bound, low), high) for bound in (self.lowest, self.highest))
        both = ir.Location.fused([self.location, location])
        return replace(self, lowest=lowest, highest=highest, location=both)


@dataclass(frozen=True)
class Integers:
    """Sums of integers, which need no storage unless something other than Cast reads them.

    numbers: the same integers as real numbers. lowest, highest: between which they are, as far as that is known.
    """

    numbers: Tensor
    dtype: np.dtype
    lowest: float = -math.inf
    highest: float = math.inf

    @property
    def shape(self) -> tuple[int, ...]:
        return self.numbers.shape


@dataclass(frozen=True)
class Unknown:
    """The result of a node that has a problem; nothing is said about what depends on it."""


Value = Constant | QuantisedConstant | Tensor | Rounded | Integers
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
    if not np.isneginf(constant.array).any():
        check_finite(constant)
    type_ = real_type(constant.shape)
    numbers = ir.DenseElementsAttr.get(np.ascontiguousarray(constant.array), type=type_)
    with ir.Location.name(constant.name):
        value = arith.ConstantOp(type_, numbers).result
    return Tensor(value, q.ACCUMULATOR if holds_integers(constant.array) else None)


def one_scale(constant: QuantisedConstant) -> QuantisedConstant:
    """Return a constant whose scales are all equal as one with one scale, whatever their axis."""
    grid = constant.quantisation
    if grid.axis is None or len(set(grid.scales)) > 1 or len(set(grid.zero_points)) > 1:
        return constant
    whole = replace(grid, scales=grid.scales[:1], zero_points=grid.zero_points[:1], axis=None)
    return replace(constant, quantisation=whole)


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


def as_bias(constant: Constant, integral: bool) -> QuantisedConstant:
    """Return a float array [K] as 32-bit integers, exactly.

    Integers are stored as such if `integral`, and if they fit. A float is at most 2^24 steps of a power of two: that
    is the scale, the same one for all if 32 bits allow it.
    """
    check_finite(constant)
    array = constant.array.astype(np.float64)
    limits = np.iinfo(np.int32)
    if integral and holds_integers(array) and limits.min <= array.min() and array.max() <= limits.max:
        return QuantisedConstant(array.astype(np.int32), q.integers(np.dtype(np.int32)), constant.name)
    steps = np.exp2(np.frexp(array)[1] - FLOAT32_BITS)
    smallest = steps[array != 0].min(initial=1.0)
    scales = [smallest] if np.abs(array).max() / smallest <= limits.max else steps.tolist()
    scales = [max(scale, q.SMALLEST_SCALE) for scale in scales]
    stored = array / scales
    if not holds_integers(stored):
        raise Problem(f"bias ('{constant.name}') holds numbers below {q.SMALLEST_SCALE:g}, expected 0 or larger ones")
    grid = q.from_arrays(np.array(scales, np.float32), None, 0, np.dtype(np.int32), array.shape)
    return QuantisedConstant(stored.astype(np.int32), grid, constant.name)
