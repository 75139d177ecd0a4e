"""convert-affine-to-depthwise: arithmetic on quantised values with a number per channel is a depthwise convolution.

    %y = accel.mul %x, %m : (tensor<1x8x4x4x!quant..>, tensor<1x8x1x1xf32>) -> ..
    ==>
    %1 = accel.conv2d %x, %ones {groups = 8, ..} : (tensor<1x8x4x4x!quant..>, tensor<8x1x1x1x!quant..>) -> ..
    %y = accel.mul %1, %m

Stage    imported -> imported
Reads    mul, div, add and sub of real constants that vary along one axis and a quantised value, or the sum of two
Writes   a convolution with weights of 1 before the first of them, and reshapes to and from [N, C, H, W]
Needs    propagate-scales before it, to see what is quantised; fold-arithmetic after it makes the numbers of the
         whole chain weights, scales and biases of the convolution
Fails    never

A constant factor for all is not this: it is another scale. A constant term for all is.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np
from mlir import ir
from mlir.dialects import arith
from mlir.passmanager import ExternalPass

from htvm.dialects import accel, quantisation
from htvm.dialects.quantisation import Quantisation

ONE = Quantisation(8, True, -128, 127, (1.0,), (0,))


@dataclass(frozen=True)
class ConvertAffineToDepthwise:
    """Put a convolution that changes nothing before arithmetic with a number per channel."""

    name: ClassVar[str] = "convert-affine-to-depthwise"
    stages: ClassVar[tuple[str, ...]] = ("imported",)

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        for op in list(accel.layers(module)):
            if isinstance(op, accel.Arithmetic):
                with ir.InsertionPoint(op), op.location:
                    convolve(op)


def convolve(op: accel.Layer) -> None:
    """Let an operation with a quantised operand and a real constant read what a convolution makes of the first."""
    operands = list(op.operation.operands)
    constants = [index for index, value in enumerate(operands) if isinstance(accel.producer(value), arith.ConstantOp)]
    if len(constants) != 1:
        return
    index = 1 - constants[0]
    value = operands[index]
    q = Quantisation.of(value) or exact_sum(value)
    shape = list(ir.RankedTensorType(value.type).shape)
    if q is None or q.axis is not None or shape != list(ir.RankedTensorType(accel.output(op).type).shape):
        return
    axis = varying_axis(list(ir.RankedTensorType(operands[constants[0]].type).shape), len(shape))
    if axis is None and isinstance(op, accel.Additive):
        axis = min(1, len(shape) - 1)
    if axis is not None and shape:
        if Quantisation.of(value) is None:
            value.set_type(quantisation.tensor(shape, q.type()))
        op.operation.operands[index] = convolved(value, shape, axis)


def exact_sum(value: ir.Value) -> Quantisation | None:
    """Return the type that holds every sum or difference of two quantised values of one scale, if that is `value`."""
    source = accel.producer(value)
    if not isinstance(source, accel.Additive) or getattr(source, "offset", None) is not None:
        return None
    a, b = Quantisation.of(source.lhs), Quantisation.of(source.rhs)
    if a is None or b is None or a.axis is not None or b.axis is not None or a.scales != b.scales:
        return None
    # Counted from the zero points.
    first, second = ((x.lowest - x.zero_point, x.highest - x.zero_point) for x in (a, b))
    if isinstance(source, accel.SubOp):
        second = (-second[1], -second[0])
    lowest, highest = first[0] + second[0], first[1] + second[1]
    bits = next((bits for bits in (8, 16) if -(1 << bits - 1) <= lowest and highest < 1 << bits - 1), None)
    return None if bits is None else Quantisation(bits, True, lowest, highest, a.scales, (0,))


def varying_axis(sizes: list[int], rank: int) -> int | None:
    """Return the axis of a value of `rank` along which a constant varies; None if it is one number, or along more."""
    axes = [rank - len(sizes) + index for index, size in enumerate(sizes) if size > 1]
    return axes[0] if len(axes) == 1 else None


def convolved(value: ir.Value, shape: list[int], axis: int) -> ir.Value:
    """Build the convolution with a kernel of 1x1 and weights of 1, whose channels are along `axis`."""
    channels = shape[axis]
    if len(shape) == 4 and axis == 1:
        return _depthwise(value, shape)
    image = [prod(shape[:axis]), channels, 1, prod(shape[axis + 1 :])]
    element = ir.RankedTensorType(value.type).element_type
    reshaped = accel.output(accel.ReshapeOp(quantisation.tensor(image, element), value))
    return accel.output(accel.ReshapeOp(quantisation.tensor(shape, ir.F32Type.get()), _depthwise(reshaped, image)))


def _depthwise(image: ir.Value, shape: list[int]) -> ir.Value:
    ones = quantisation.constant(np.ones((shape[1], 1, 1, 1), np.int64), ONE)
    made = accel.Conv2dOp(
        quantisation.tensor(shape, ir.F32Type.get()),
        image,
        ones,
        strides=[1, 1],
        pads=[0, 0, 0, 0],
        dilations=[1, 1],
        groups=shape[1],
    )
    return accel.output(made)
