"""fold-arithmetic: turn arithmetic with constants into scales, biases and offsets.

    %1 = accel.conv2d %x, %w : -> f32          (w: scale 1)
    %2 = accel.mul %1, %m                       (m: 5 per channel 0, 7 per channel 1)
    %3 = accel.add %2, %a
    %4 = accel.div %3, %d                       (d: 32768)
    %5 = accel.quantize %4 {floor} : -> u8, scale 1
    ==>
    %1 = accel.conv2d %x, %w' bias %a'          (w': scales {5, 7}; a': i32)
    %2 = accel.quantize %1 {floor} : -> u8, scale 32768
    %5 = the integers of %2, read with scale 1  (quant.scast)

Stage    imported -> imported
Reads    constants; values that are real or quantised
Writes   quantised types of weights and biases, bias operands, the attribute `offset` of add and pool2d
Needs    nothing; models in QDQ form have little of this, those with integer arithmetic consist of it
Fails    never: arithmetic that is not folded exactly stays, and integerize says what it cannot do
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd, isinf
from typing import ClassVar

import numpy as np
from mlir import ir
from mlir.dialects import arith
from mlir.passmanager import ExternalPass

from htvm.dialects import accel, quantisation
from htvm.dialects.quantisation import Quantisation

Linear = accel.Conv2dOp | accel.DenseOp
INT32 = range(-(1 << 31), 1 << 31)


@dataclass(frozen=True)
class FoldArithmetic:
    """Fold each mul, div, add and sub that has a constant operand into its neighbours."""

    name: ClassVar[str] = "fold-arithmetic"
    stages: ClassVar[tuple[str, ...]] = ("imported",)

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        for op in list(accel.layers(module)):
            fold = FOLDS.get(type(op))
            if fold is None:
                continue
            value, factors = _operands(op)
            if factors is None:
                continue
            with ir.InsertionPoint(op), op.location:
                folded = fold(op, value, factors)
            if folded is not None:
                accel.output(op).replace_all_uses_with(folded)
                op.operation.erase()


def _multiply(op: accel.MulOp, value: ir.Value, factors: _Constant) -> ir.Value | None:
    """x * c: into the scales of weights, or of the value itself."""
    source = _only_used_by(value, op)
    if isinstance(source, Linear):
        per_channel = factors.per_channel(source)
        return None if per_channel is None else _scale_linear(source, per_channel, op)
    if len(factors.numbers) != 1:
        return None
    if Quantisation.of(value) is not None:
        return _rescale(value, factors.numbers[0])
    return value if _rescale_operands(source, factors.numbers[0], op) else None


def _divide(op: accel.DivOp, value: ir.Value, factors: _Constant) -> ir.Value | None:
    """x / c, then quantised: quantise with a scale c times as large, and read the integers with the scale as it was."""
    users = list(accel.output(op).uses)
    quantize = users[0].owner if len(users) == 1 else None
    if isinstance(quantize, accel.Bounds) and op.operation.operands[0] == value:
        return _divide_after(quantize, op, value, factors)
    if not isinstance(quantize, accel.QuantizeOp) or op.operation.operands[0] != value:
        return None
    q = Quantisation.of(accel.output(quantize))
    if q is None:
        return None
    scaled = q.scaled(factors.numbers, axis=1)
    rank = len(ir.RankedTensorType(value.type).shape)
    if scaled is None or not factors.along_axis(rank, 1):
        return None
    with ir.InsertionPoint.after(quantize.operation), quantize.location:
        accel.output(quantize).set_type(quantisation.tensor(ir.RankedTensorType(value.type).shape, scaled.type()))
        restored = quantisation.reinterpret(accel.output(quantize), q)
        last_cast = accel.present(accel.producer(restored), "cast")
        first_cast = accel.present(accel.producer(last_cast.operands[0]), "cast")
        accel.output(quantize).replace_all_uses_except(restored, first_cast.operation)
    _join_location(quantize, op)
    return value


def _divide_after(activation: accel.Bounds, op: accel.DivOp, value: ir.Value, factors: _Constant) -> ir.Value | None:
    """max(x / c, 0) is max(x, 0) / c, and likewise between other bounds; then the division may meet a quantize."""
    factor = factors.numbers[0]
    if len(factors.numbers) != 1 or factor <= 0:
        return None
    with ir.InsertionPoint(activation), activation.location:
        if isinstance(activation, accel.ReluOp):
            moved = accel.output(accel.ReluOp(accel.output(activation).type, value))
        else:
            low, high = (bound if isinf(bound) else Fraction(bound) * factor for bound in accel.ends(activation))
            if any(isinstance(end, Fraction) and Fraction(float(end)) != end for end in (low, high)):
                return None
            moved = accel.output(accel.ClampOp(accel.output(activation).type, value, float(low), float(high)))
    with ir.InsertionPoint(activation), op.location:
        divided = accel.DivOp(accel.output(activation).type, moved, op.operation.operands[1])
        accel.output(activation).replace_all_uses_with(accel.output(divided))
        activation.operation.erase()
        folded = _divide(divided, moved, factors)
    if folded is not None:
        accel.output(divided).replace_all_uses_with(folded)
        divided.operation.erase()
    return value


def _add(op: accel.AddOp | accel.SubOp, value: ir.Value, terms: _Constant) -> ir.Value | None:
    """x + c: into the bias of a linear layer, or the offset of a sum."""
    sign = -1 if isinstance(op, accel.SubOp) else 1
    if sign < 0 and op.operation.operands[0] != value:
        return None
    source = _only_used_by(value, op)
    if isinstance(source, Linear):
        per_channel = terms.per_channel(source)
        return None if per_channel is None else _bias_linear(source, [sign * t for t in per_channel], terms.units, op)
    if isinstance(source, accel.AddOp | accel.Pool2dOp) and len(terms.numbers) == 1:
        total = sign * terms.numbers[0] + Fraction(source.offset.value if source.offset is not None else 0)
        if Fraction(float(total)) == total:
            source.operation.attributes["offset"] = ir.FloatAttr.get_f64(float(total))
            _join_location(source, op)
            return value
    return None


FOLDS: dict[type, Callable[..., ir.Value | None]] = {
    accel.MulOp: _multiply,
    accel.DivOp: _divide,
    accel.AddOp: _add,
    accel.SubOp: _add,
}


@dataclass(frozen=True)
class _Constant:
    """A constant operand: its shape and its real numbers in row-major order, one of them if all are equal.

    The numbers are multiples of `units`: one, or one per channel.
    """

    shape: tuple[int, ...]
    numbers: list[Fraction]
    units: list[Fraction]

    def along_axis(self, rank: int, axis: int) -> bool:
        """Say whether the constant varies along no axis of a value of `rank` but `axis`."""
        padded = (1,) * (rank - len(self.shape)) + self.shape
        return len(self.numbers) == 1 or all(n == 1 or i == axis for i, n in enumerate(padded))

    def per_channel(self, layer: Linear) -> list[Fraction] | None:
        """Return a number for each output channel, or None if the constant varies along another axis."""
        shape = ir.RankedTensorType(accel.output(layer).type).shape
        axis = 1 if isinstance(layer, accel.Conv2dOp) else len(shape) - 1
        if len(self.shape) > len(shape) or not self.along_axis(len(shape), axis):
            return None
        return self.numbers * shape[axis] if len(self.numbers) == 1 else self.numbers


def _operands(op: ir.OpView) -> tuple[ir.Value, _Constant | None]:
    """Return the operand that varies and the one that is constant."""
    first, second = op.operation.operands
    constant = _constant(second)
    if constant is None and not isinstance(op, accel.DivOp):
        first, constant = second, _constant(first)
    return first, constant


def _constant(value: ir.Value) -> _Constant | None:
    """Return the exact real numbers of a constant, real or quantised."""
    q, source = Quantisation.of(value), accel.producer(value)
    exact: list[Fraction]
    if q is not None:
        numbers = quantisation.stored(value)
        if numbers is None:
            return None
        shape, units = numbers.shape, [Fraction(scale) for scale in q.scales]
        index = np.zeros(shape, int) if q.axis is None else np.indices(shape)[q.axis]
        exact = [(int(n) - q.zero_points[int(i)]) * units[int(i)] for n, i in zip(numbers.flat, index.flat)]
    elif isinstance(source, arith.ConstantOp):
        numbers = np.array(source.value)
        if not np.isfinite(numbers).all():
            return None  # a mask
        shape, units = numbers.shape, [Fraction(1)]
        exact = [Fraction(float(n)) for n in numbers.flat]
    else:
        return None
    return _Constant(shape, exact[:1] if len(set(exact)) == 1 else exact, units)


def _only_used_by(value: ir.Value, op: ir.OpView) -> ir.OpView | None:
    """Return the layer that makes a value, if `op` alone uses it and the layer rounds nothing."""
    real = Quantisation.of(value) is None
    return accel.producer(value) if real and len(list(value.uses)) == 1 else None


def _rescale(value: ir.Value, factor: Fraction) -> ir.Value | None:
    """Read the integers of a quantised value with a scale `factor` times as large."""
    q = Quantisation.of(value)
    scaled = None if q is None else q.scaled([factor], None)
    return None if scaled is None else quantisation.reinterpret(value, scaled)


def _rescale_operands(source: ir.OpView | None, factor: Fraction, because: ir.OpView) -> bool:
    """Multiply what a layer makes, by reading what it reads with other scales; say whether that is exact."""
    if getattr(source, "offset", None) is not None:
        return False
    match source:
        case accel.AddOp() | accel.SubOp():
            places = [0, 1]
        case accel.MulOp() | accel.MatMulOp():
            places = [int(quantisation.stored(source.lhs) is not None)]
        case accel.Pool2dOp():
            places = [0]
        case _:
            return False
    operands = [source.operation.operands[place] for place in places]
    if any(Quantisation.of(value) is None or quantisation.stored(value) is not None for value in operands):
        return False
    with ir.InsertionPoint(source):
        scaled = [found for value in operands if (found := _rescale(value, factor)) is not None]
    if len(scaled) < len(operands):
        return False
    for place, value in zip(places, scaled):
        source.operation.operands[place] = value
    _join_location(source, because)
    return True


def _scale_linear(layer: Linear, factors: list[Fraction], because: ir.OpView) -> ir.Value | None:
    """Multiply each output channel of a linear layer: the scales of its weights and its bias."""
    q, numbers = Quantisation.of(layer.weights), quantisation.stored(layer.weights)
    if q is None or numbers is None or q.axis not in (None, 0):
        return None
    numbers = numbers - np.reshape(q.zero_points, [-1] + [1] * (numbers.ndim - 1))
    # A factor of 0 is a channel of zero weights, a negative one turns them round: scales are positive.
    for channel, factor in enumerate(factors):
        numbers[channel] *= (factor > 0) - (factor < 0)
    scaled = q.scaled([abs(factor) or Fraction(1) for factor in factors], 0)
    if scaled is None:
        return None
    scaled = replace(scaled, zero_points=(0,) * len(scaled.scales))
    if numbers.min(initial=0) < q.lowest or numbers.max(initial=0) > q.highest:
        scaled = replace(scaled, bits=16, signed=True, lowest=-(1 << 15), highest=(1 << 15) - 1)
    known = _biases(layer, len(factors))
    if known is None:
        return None
    biases = [bias * factor for bias, factor in zip(known.numbers, factors)]
    with ir.InsertionPoint(layer):
        weights = quantisation.constant(numbers, scaled)
        bias = _bias(biases, [abs(unit * factor) for unit, factor in zip(known.units * len(factors), factors)])
        return _rebuilt(layer, weights, bias, because)


def _bias_linear(layer: Linear, terms: list[Fraction], units: list[Fraction], because: ir.OpView) -> ir.Value | None:
    """Add a number, a multiple of `units`, to each output channel of a linear layer."""
    known = _biases(layer, len(terms))
    if known is None:
        return None
    biases = [bias + term for bias, term in zip(known.numbers, terms)]
    with ir.InsertionPoint(layer):
        return _rebuilt(layer, layer.weights, _bias(biases, units), because)


def _biases(layer: Linear, channels: int) -> _Constant | None:
    """Return the bias with a number for each channel, 0 without one; None if it is computed."""
    if layer.bias is None:
        return _Constant((channels,), [Fraction(0)] * channels, [Fraction(1)])
    known = _constant(layer.bias)
    if known is None or len(known.numbers) > 1:
        return known
    return replace(known, numbers=known.numbers * channels)


def _bias(biases: list[Fraction], units: list[Fraction]) -> Sequence[ir.Value] | None:
    """Build the constant of new biases: nothing without any, None if 32 bits do not hold them exactly.

    A bias's scale is the unit proposed for it (one for all, or one per channel) if the bias is a multiple of that,
    else 1, else the largest number that both are multiples of.
    """
    if not any(biases):
        return ()
    numbers: list[int] = []
    scales: list[float] = []
    for channel, bias in enumerate(biases):
        unit = units[channel % len(units)]
        for scale in (unit, Fraction(1), _divisor(bias, unit)):
            number = bias / scale if scale else Fraction(1, 2)
            if number.denominator == 1 and int(number) in INT32 and Fraction(float(scale)) == scale:
                numbers.append(int(number))
                scales.append(float(scale))
                break
        else:
            return None
    held = Quantisation(32, True, INT32[0], INT32[-1], tuple(scales), (0,) * len(scales), 0)
    return [quantisation.constant(np.array(numbers), held)]


def _divisor(a: Fraction, b: Fraction) -> Fraction:
    """Return the largest rational that both are multiples of."""
    return Fraction(gcd(a.numerator * b.denominator, b.numerator * a.denominator), a.denominator * b.denominator)


def _rebuilt(layer: Linear, weights: ir.Value, bias: Sequence[ir.Value] | None, because: ir.OpView) -> ir.Value | None:
    """Replace a linear layer by one with other weights and bias; return its result, None if there is no such bias."""
    if bias is None:
        return None
    segments = {"operandSegmentSizes"}
    attributes = {name: value for name, value in layer.operation.attributes.items() if name not in segments}
    attributes["operandSegmentSizes"] = ir.DenseI32ArrayAttr.get([1, 1, len(bias), 0, 0])
    result = ir.Operation.create(
        layer.operation.name,
        results=[accel.output(layer).type],
        operands=[layer.input, weights, *bias],
        attributes=attributes,
        loc=ir.Location.fused([layer.location, because.location]),
    ).result
    accel.output(layer).replace_all_uses_with(result)
    layer.operation.erase()
    return result


def _join_location(layer: accel.Layer, folded: ir.OpView) -> None:
    layer.operation.location = ir.Location.fused([layer.location, folded.location])
