"""Convolutions, as accel.conv2d and accel.dense, and products of matrices, with the rescale behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mlir import ir

from htvm.dialects import accel, quantisation
from htvm.dialects.semantics import value_ranges
from htvm.dialects.semantics.tosa.elements import limits
from htvm.dialects.semantics.tosa.reading import TosaOp, bits, constant, constants, scalar
from htvm.dialects.semantics.tosa.windows import FIRST, depthwise_kernels, onnx_pads

from ...analysis import exact_requant
from ...analysis.monotone_steps import DoubleRounded
from ...integer.forms.builders import requant
from .matching import (
    Builder,
    Built,
    Form,
    Match,
    Range,
    Requantised,
    fits,
    has_one_user,
    integer_tensor,
    matches,
    producer,
    range_of,
    requantised_result,
    reshaped,
    shape_of,
)

CONVOLUTIONS = ("conv2d", "depthwise_conv2d")


@dataclass(frozen=True)
class Convolution:
    """A convolution of tosa with constant weights.

    image: what is convolved; of what was padded or cut by operations of their own, the whole. weights
    [K, C / groups, R, S], without their zero point. bias: of each channel. zero: the input's zero point. pads:
    [top, left, bottom, right].
    """

    op: TosaOp
    image: ir.Value
    weights: np.ndarray
    bias: np.ndarray
    zero: int
    pads: Sequence[int]
    groups: int
    covered: tuple[ir.Operation, ...]

    @staticmethod
    def of(op: TosaOp) -> Convolution | None:
        """Read a convolution; None where weights, bias or zero points are computed."""
        image = op.operands[0]
        numbers = constants(op.operands[1:])
        if numbers is None:
            return None
        weights, bias, zero, weights_zero = numbers
        is_depthwise = op.name == "depthwise_conv2d"
        kernels = depthwise_kernels(weights) if is_depthwise else weights.transpose(FIRST)
        kernels = kernels - scalar(weights_zero)
        pads = onnx_pads(op.numbers("pad"))
        groups = shape_of(image)[3] if is_depthwise else 1
        bias = np.broadcast_to(bias.reshape(-1), len(kernels))
        point = scalar(zero)
        image, pads, around = around_image(op, image, pads, point, kernels.shape[2:])
        return Convolution(op, image, kernels, bias, point, pads, groups, (*around, op.op))

    @property
    def is_dense(self) -> bool:
        """Whether it multiplies rows by a matrix: on maps of one pixel."""
        is_pixel = self.weights.shape[2:] == (1, 1) and shape_of(self.image)[1:3] == [1, 1]
        return is_pixel and self.groups == 1 and not any(self.pads)

    def sums(self, inputs: Range) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the smallest and the largest sum of products of each channel, and what is added to all of them."""
        low, high = (min(inputs[0], self.zero), max(inputs[1], self.zero)) if any(self.pads) else inputs
        return *value_ranges.sums(self.weights, (low, high)), self.bias - self.zero * self.weights.sum((1, 2, 3))

    def layer(self, b: Builder, width: int, attributes: dict[str, ir.Attribute], bias: np.ndarray | None) -> ir.Value:
        """Build the layer; its result has channels first."""
        batch, height, columns, outputs = self.op.shape
        kernels = self.weights.astype("i1" if fits(self.weights, 8) else "i2")
        held = quantisation.integers(kernels[:, :, 0, 0] if self.is_dense else kernels)
        operands = [held] + ([quantisation.integers(bias.astype(np.int32))] if bias is not None else [])
        if self.is_dense:
            x = reshaped(b.read(self.image), [batch, self.weights.shape[1]])
            result = integer_tensor([batch, outputs], width)
            own: dict[str, ir.Attribute] = {"zero_point": accel.integer(self.zero)}
            return reshaped(create("accel.dense", result, [x, *operands], own | attributes), [batch, outputs, 1, 1])
        x = b.read(self.image, Form.FIRST)
        own = {
            "strides": ir.DenseI64ArrayAttr.get(self.op.numbers("stride")),
            "pads": ir.DenseI64ArrayAttr.get(self.pads),
            "dilations": ir.DenseI64ArrayAttr.get(self.op.numbers("dilation")),
            "groups": accel.integer(self.groups),
            "pad_value": accel.integer(self.zero),
        }
        result = integer_tensor([batch, outputs, height, columns], width)
        return create("accel.conv2d", result, [x, *operands], own | attributes)


def create(name: str, result: ir.Type, operands: Sequence[ir.Value], attributes: dict[str, ir.Attribute]) -> ir.Value:
    """Build a linear layer: input, weights, and perhaps a bias."""
    segments = ir.DenseI32ArrayAttr.get([1, 1, len(operands) - 2, 0, 0])
    attributes = {**attributes, "operandSegmentSizes": segments}
    return ir.Operation.create(name, results=[result], operands=list(operands), attributes=attributes).result


def around_image(
    op: TosaOp, image: ir.Value, pads: Sequence[int], zero: int, kernel: Sequence[int]
) -> tuple[ir.Value, list[int], list[ir.Operation]]:
    """Look through what only surrounds a map with its zero point, or cuts off what no window reads.

    Returns the map before, the pads that it needs, and these operations, in order.
    """
    covered: list[ir.Operation] = []
    top, left, bottom, right = pads
    while (before := producer(image)) is not None and has_one_user(image):
        if before.name == "pad":
            numbers = constants(before.operands[1:])
            if numbers is None or scalar(numbers[1]) != zero:
                break
            of_batch, (up, down), (before_column, after_column), of_channels = numbers[0].reshape(4, 2).tolist()
            if any((*of_batch, *of_channels)):
                break
            top, bottom, left, right = top + up, bottom + down, left + before_column, right + after_column
        elif before.name == "slice" and not (bottom or right):
            numbers, whole = constants(before.operands[1:]), shape_of(before.operands[0])
            if numbers is None or numbers[0].any() or numbers[1][0] != whole[0] or numbers[1][3] != whole[3]:
                break
            reads = [
                (extent + first - ((length - 1) * dilation + 1)) // stride + 1
                for extent, first, length, dilation, stride in zip(
                    whole[1:3], (top, left), kernel, op.numbers("dilation"), op.numbers("stride")
                )
            ]
            if reads != op.shape[1:3]:
                break
        else:
            break
        covered.insert(0, before.op)
        image = before.operands[0]
    return image, [top, left, bottom, right], covered


@matches("rescale", "clamp")
def convolution(op: TosaOp) -> Match | None:
    """A rescaled convolution; without one, its accumulators are a tensor of 32 bits."""
    if (pair := requantised_result(op, *CONVOLUTIONS)) is None:
        return None
    asked, before = pair
    found = Convolution.of(before)
    width = bits(op.result) or 0
    if found is None or width not in (8, 16) or not accumulates(found):
        return None
    if len(asked.scales.multiplier) not in (1, len(found.weights)):
        return None
    covered = (*found.covered, *asked.covered)
    return Match([found.image], lambda b: (requantised_layer(b, found, asked, width), Form.FIRST), covered)


def requantised_layer(b: Builder, found: Convolution, asked: Requantised, width: int) -> ir.Value:
    first, last, offset = found.sums(range_of(b.read(found.image)))
    steps = DoubleRounded.of(asked.scales, offset - asked.in_zero, (first, last), asked.out_zero, asked.limits)
    return found.layer(b, width, requant(exact_requant.solve(steps)), None)


@matches(*CONVOLUTIONS)
def raw_convolution(op: TosaOp) -> Match | None:
    found = Convolution.of(op)
    if found is None or bits(op.result) != 32 or not accumulates(found):
        return None

    def build(b: Builder) -> Built:
        *_, offset = found.sums(range_of(b.read(found.image)))
        return found.layer(b, 32, {}, offset), Form.FIRST

    return Match([found.image], build, found.covered)


def accumulates(found: Convolution) -> bool:
    """Say whether 32 bits hold the sums, with what is added to them, and 16 bits the weights."""
    width = bits(found.image)
    if width not in (8, 16) or not fits(found.weights, 16):
        return False
    first, last, offset = found.sums(limits(width))
    return all(fits(each, 32) for each in (first, last, offset, first + offset, last + offset))


@matches("rescale", "clamp")
def product_of_matrices(op: TosaOp) -> Match | None:
    """A rescaled tosa.matmul of two values that are computed."""
    if (pair := requantised_result(op, "matmul")) is None:
        return None
    asked, before = pair
    a, b, *points = before.operands
    zeros = constants(points)
    width = bits(op.result) or 0
    if zeros is None or width not in (8, 16) or len(asked.scales.multiplier) != 1:
        return None
    left, right = map(scalar, zeros)
    if bits(a) != 8 or bits(b) != 8 or (constant(a) is not None and constant(b) is not None):
        return None

    def build(builder: Builder) -> Built:
        x, y = builder.read(a), builder.read(b)
        terms = shape_of(a)[-1]
        corners = [terms * (p - left) * (q - right) for p in range_of(x) for q in range_of(y)]
        ends = np.array([min(corners)]), np.array([max(corners)])
        offset = np.array([-asked.in_zero])
        solved = exact_requant.solve(DoubleRounded.of(asked.scales, offset, ends, asked.out_zero, asked.limits))
        attributes: dict[str, ir.Attribute] = {
            "zero_points": ir.DenseI64ArrayAttr.get([left, right]),
            **requant(solved),
        }
        result = integer_tensor(shape_of(asked.source), width)
        made = ir.Operation.create("accel.matmul", results=[result], operands=[x, y], attributes=attributes)
        return made.result, Form.PLAIN

    return Match([a, b], build, (before.op, *asked.covered))
