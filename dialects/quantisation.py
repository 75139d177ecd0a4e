"""Quantised element types as plain data, and the constants that have them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from mlir import ir
from mlir.dialects import arith, memref, quant

from .accel import outside, producer

SMALLEST_SCALE = float(np.finfo(np.float32).smallest_normal)
LARGEST_SCALE = float(np.finfo(np.float32).max)
"""Scales that MLIR's quantised types of f32 take: it aborts on others."""


@dataclass(frozen=True)
class Quantisation:
    """What `!quant.uniform` says: real = (stored - zero point) * scale, lowest <= stored <= highest.

    `scales` and `zero_points` have one entry, or one per element of `axis`.
    """

    bits: int
    signed: bool
    lowest: int
    highest: int
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int | None = None

    @staticmethod
    def of(value: ir.Value | ir.Type) -> Quantisation | None:
        """Return the quantisation of a value, a shaped type or an element type; None for one that has none."""
        found = value.type if isinstance(value, ir.Value) else value
        element = found.element_type if isinstance(found, ir.ShapedType) else found
        if isinstance(element, quant.UniformQuantizedType):
            scales, zero_points, axis = (element.scale,), (element.zero_point,), None
        elif isinstance(element, quant.UniformQuantizedPerAxisType):
            scales, zero_points = tuple(element.scales), tuple(element.zero_points)
            axis = element.quantized_dimension
        else:
            return None
        return Quantisation(
            element.storage_type_integral_width,
            element.is_signed,
            element.storage_type_min,
            element.storage_type_max,
            scales,
            zero_points,
            axis,
        )

    def type(self) -> ir.Type:
        """Return the element type `!quant.uniform<..>` in the current context."""
        flags = quant.QuantizedType.FLAG_SIGNED if self.signed else 0
        storage = ir.IntegerType.get_signless(self.bits)
        bounds = (self.lowest, self.highest)
        if self.axis is None:
            return quant.UniformQuantizedType.get(
                flags, storage, ir.F32Type.get(), self.scales[0], self.zero_points[0], *bounds
            )
        return quant.UniformQuantizedPerAxisType.get(
            flags, storage, ir.F32Type.get(), list(self.scales), list(self.zero_points), self.axis, *bounds
        )

    def parameters(self, ndim: int) -> tuple[np.ndarray, np.ndarray]:
        """Return scales and zero points, shaped to broadcast against `ndim` axes."""
        shape = [-1 if axis == self.axis else 1 for axis in range(ndim)]
        return np.array(self.scales).reshape(shape), np.array(self.zero_points).reshape(shape)

    def without_sign(self) -> Quantisation:
        """Return the same numbers stored without sign: integers and zero point are 2^(bits - 1) higher."""
        more = 1 << self.bits - 1
        zero_points = tuple(each + more for each in self.zero_points)
        return replace(
            self, signed=False, lowest=self.lowest + more, highest=self.highest + more, zero_points=zero_points
        )

    def signless(self, integers: np.ndarray) -> np.ndarray:
        """Return stored integers as tables hold them: of the storage's width, and the same bits without a sign."""
        return integers.astype(f"{'i' if self.signed else 'u'}{self.bits // 8}").view(f"i{self.bits // 8}")

    def storage_type(self) -> ir.Type:
        """Return the element type of the stored integers in stage 'integer': i8, ui8, i16, ui16 or i32."""
        make = ir.IntegerType.get_signless if self.signed else ir.IntegerType.get_unsigned
        return make(self.bits)

    @property
    def scale(self) -> Fraction:
        """The scale of a value that has one for the whole tensor, exactly."""
        assert self.axis is None
        return Fraction(self.scales[0])

    @property
    def zero_point(self) -> int:
        """The zero point of a value that has one for the whole tensor."""
        assert self.axis is None
        return self.zero_points[0]

    def scaled(self, factors: list[Fraction], axis: int | None) -> Quantisation | None:
        """Return the quantisation with scales multiplied by one factor, or one along `axis`; None if not exact."""
        if len(factors) == 1:
            axis = self.axis
        elif self.axis not in (None, axis):
            return None
        count = max(len(factors), len(self.scales))
        exact = [Fraction(self.scales[i % len(self.scales)]) * factors[i % len(factors)] for i in range(count)]
        if not all(SMALLEST_SCALE <= value <= LARGEST_SCALE for value in exact):
            return None
        scales = tuple(float(value) for value in exact)
        if any(Fraction(s) != value for s, value in zip(scales, exact)):
            return None
        zero_points = self.zero_points if len(self.zero_points) == count else self.zero_points * count
        return replace(self, scales=scales, zero_points=zero_points, axis=axis)

    def same_numbers(self, other: Quantisation) -> bool:
        """Say whether equal stored integers mean equal real numbers in both."""
        return (self.scales, self.zero_points, self.axis) == (other.scales, other.zero_points, other.axis)


def tensor(shape: list[int], element: ir.Type) -> ir.RankedTensorType:
    """Return a tensor type without layout."""
    return ir.RankedTensorType.get(shape, element)


def stored(value: ir.Value) -> np.ndarray | None:
    """Return the stored integers of a quantised or integer constant as int64, or None for other values.

    A constant is one of tensors, or on memrefs a global.
    """
    q, source = Quantisation.of(value), producer(outside(value))
    if q is not None:
        source = producer(source.operands[0]) if source is not None and source.name == "quant.scast" else None
    if isinstance(source, memref.GetGlobalOp):
        source = _global(source)
    elif not isinstance(source, arith.ConstantOp):
        return None
    numbers = np.array(source.value if isinstance(source, arith.ConstantOp) else source.initial_value)
    if numbers.dtype.kind == "f":
        return None
    if q is not None and not q.signed:
        numbers = numbers.view(f"u{numbers.dtype.itemsize}")
    return numbers.astype(np.int64)


def _global(source: memref.GetGlobalOp) -> memref.GlobalOp:
    """Return the global that an operation gets."""
    module = source.operation
    while module.parent is not None:
        module = module.parent.operation
    found = ir.SymbolTable(module)[source.name.value]
    assert isinstance(found, memref.GlobalOp), "verified: memref.get_global names a global"
    return found


def constant(numbers: np.ndarray, q: Quantisation) -> ir.Value:
    """Build a quantised constant at the current insertion point from its stored integers."""
    width = np.dtype(f"i{q.bits // 8}")
    unsigned = np.dtype(f"u{q.bits // 8}")
    held = numbers.astype(width if q.signed else unsigned).view(width)
    plain = integers(held)
    return _scast(tensor(list(numbers.shape), q.type()), plain)


def elements(value: ir.Value) -> np.ndarray | None:
    """Return the integers of a signless constant in their own type, such as int8 for tensor<..xi8>; None for others."""
    numbers, element = stored(value), ir.ShapedType(value.type).element_type
    return (
        numbers.astype(f"i{element.width // 8}")
        if isinstance(element, ir.IntegerType) and numbers is not None
        else None
    )


def integers(numbers: np.ndarray) -> ir.Value:
    """Build a constant of signless integers (int8 becomes tensor<..xi8>) at the current insertion point."""
    attribute = ir.DenseElementsAttr.get(np.asarray(numbers, order="C"))
    return arith.ConstantOp(attribute.type, attribute).result


def reinterpret(value: ir.Value, q: Quantisation) -> ir.Value:
    """Give the same stored integers another scale: two `quant.scast`, which stage 'integer' no longer has."""
    shape = ir.RankedTensorType(value.type).shape
    plain = _scast(tensor(shape, ir.IntegerType.get_signless(q.bits)), value)
    return _scast(tensor(shape, q.type()), plain)


def _scast(to: ir.Type, value: ir.Value) -> ir.Value:
    return ir.Operation.create("quant.scast", results=[to], operands=[value]).result
