"""Resize and Upsample, in exact arithmetic.

Nearest neighbours are a choice of elements. Linear interpolation is a convolution: where the sizes are to each other
as p to q, the weights repeat after p results and q elements, so that p depthwise convolutions of stride q, side by
side, make all results. Their weights are fractions, integers over one denominator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import ceil, floor, lcm

import numpy as np

from htvm.dialects import accel
from htvm.import_onnx import quantisation as q
from htvm.import_onnx.errors import Problem, choices_text, shape_text
from htvm.import_onnx.node import Node
from htvm.import_onnx.operators.selection import Indices, bordered, interleaved, shaped, taken
from htvm.import_onnx.operators.windows import as_map, expect_map, from_map
from htvm.import_onnx.values import (
    Constant,
    QuantisedConstant,
    Tensor,
    as_integers,
    check_shape,
    emit_quantised,
    emit_real,
)

COORDINATES = ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric", "asymmetric", "align_corners")
NEAREST: Mapping[str, Callable[[Fraction], int]] = {
    "round_prefer_floor": lambda x: ceil(x - Fraction(1, 2)),
    "round_prefer_ceil": lambda x: floor(x + Fraction(1, 2)),
    "floor": floor,
    "ceil": ceil,
}
MOST_PHASES = 64
"""Results with weights of their own, for each channel, in linear interpolation."""


@dataclass(frozen=True)
class Axis:
    """How one axis is resized: sizes before and after, and their ratio as the file states it."""

    size: int
    result: int
    scale: Fraction
    coordinates: str

    def position(self, index: int) -> Fraction:
        """Return where in the input a result lies."""
        half = Fraction(1, 2)
        match self.coordinates:
            case "asymmetric":
                return index / self.scale
            case "align_corners":
                return Fraction(index * (self.size - 1), self.result - 1) if self.result > 1 else Fraction(0)
            case "half_pixel_symmetric":
                offset = Fraction(self.size, 2) * (1 - self.result / (self.scale * self.size))
                return offset + (index + half) / self.scale - half
            case "pytorch_half_pixel" if self.result == 1:
                return Fraction(0)
            case _:
                return (index + half) / self.scale - half

    @property
    def ratio(self) -> Fraction:
        """Results for each element, p over q."""
        if self.coordinates == "align_corners":
            return Fraction(self.result - 1, self.size - 1) if self.size > 1 and self.result > 1 else Fraction(1)
        return self.scale


def resize(node: Node) -> Tensor:
    """Nearest, by any sizes or scales; linear, of rows and columns, where these are as small numbers to each other.

    All coordinate_transformation_modes but tf_crop_and_resize; no antialias.
    """
    mode, x = node.attribute("mode", "nearest"), node.any_tensor(0)
    is_old = node.opset < 11
    coordinates = node.attribute("coordinate_transformation_mode", "asymmetric" if is_old else "half_pixel")
    rounding = node.attribute("nearest_mode", "floor" if is_old else "round_prefer_floor")
    node.ignore("cubic_coeff_a", "exclude_outside", "extrapolation_value")  # of other modes
    node.expect("antialias", 0)
    node.expect("keep_aspect_ratio_policy", "stretch")
    if coordinates not in COORDINATES:
        raise Problem(f"coordinate_transformation_mode is '{coordinates}', expected {choices_text(COORDINATES)}")
    axes = _axes(node, x.shape, coordinates)
    if mode == "nearest":
        if rounding not in NEAREST:
            raise Problem(f"nearest_mode is '{rounding}', expected {choices_text(NEAREST)}")
        if is_old and any(axis.scale < 1 for axis in axes):
            raise Problem("makes the tensor smaller, which ONNX defines from opset 11 on")
        return _nearest(node, x, axes, NEAREST[rounding])
    if mode != "linear":
        raise Problem(f"mode is '{mode}', expected 'nearest' or 'linear'")
    if x.stored:
        raise Problem("interpolates stored integers, expected float32 (from DequantizeLinear)")
    return _linear(node, x, axes)


def _axes(node: Node, shape: tuple[int, ...], coordinates: str) -> list[Axis]:
    """Return how each axis is resized."""
    places = (2, 3) if node.opset >= 11 else (1, 2)
    stated = node.axes(len(node.proto.input), len(shape)) if node.has_attribute("axes") else None
    named = list(range(len(shape))) if stated is None else stated
    scales, sizes = (_numbers(node, place, name) for place, name in zip(places, ("scales", "sizes"), strict=True))
    if node.proto.op_type == "Upsample" and scales is None:
        scales = node.attribute("scales")
    if (scales is None) == (sizes is None):
        raise Problem("has neither scales nor sizes, or both; expected one of them")
    given = (scales if sizes is None else sizes) or []
    if len(given) != len(named):
        raise Problem(f"has {len(given)} scales or sizes, expected {len(named)}")
    axes = [Axis(size, size, Fraction(1), coordinates) for size in shape]
    for axis, number in zip(named, given, strict=True):
        if not np.isfinite(number) or number <= 0:
            raise Problem(f"scale or size of axis {axis} is {number}, expected a positive number")
        scale = Fraction(float(number)) if sizes is None else Fraction(int(number), shape[axis])
        axes[axis] = Axis(shape[axis], floor(shape[axis] * scale), scale, coordinates)
    check_shape(tuple(axis.result for axis in axes))
    return axes


def _numbers(node: Node, index: int, name: str) -> list[float] | None:
    """Return an input that must be known; None if it is missing or empty."""
    if not node.has(index):
        return None
    array = node.array(index, name).reshape(-1)
    return array.tolist() or None


def _nearest(node: Node, x: Tensor, axes: list[Axis], rounding: Callable[[Fraction], int]) -> Tensor:
    indices: Indices = {}
    for place, axis in enumerate(axes):
        if axis.result != axis.size or axis.scale != 1:
            nearest = [rounding(axis.position(index)) for index in range(axis.result)]
            indices[place] = np.clip(nearest, 0, axis.size - 1)
    return taken(node, indices, x)


@dataclass(frozen=True)
class Phases:
    """Linear interpolation along an axis: weights [phases, taps] over `denominator`, which repeat after `stride`."""

    weights: np.ndarray
    denominator: int
    stride: int
    before: int
    after: int

    @staticmethod
    def of(axis: Axis) -> Phases | None:
        """Return None if the weights do not repeat soon."""
        count, stride = axis.ratio.numerator, axis.ratio.denominator
        if count > MOST_PHASES:
            return None
        taps: list[dict[int, Fraction]] = []
        for phase in range(count):
            position = axis.position(phase)
            left = floor(position)
            taps.append({left: 1 - position + left, left + 1: position - left})
        used = [place for phase in taps for place, weight in phase.items() if weight] + [0]
        first, last = min(used), max(used)
        denominator = lcm(*(weight.denominator for phase in taps for weight in phase.values()))
        weights = np.zeros((count, last - first + 1), np.int64)
        for phase, row in enumerate(taps):
            for place, weight in row.items():
                if weight:
                    weights[phase, place - first] = int(weight * denominator)
        blocks = ceil(axis.result / count)
        after = stride * (blocks - 1) + last - (axis.size - 1)
        return Phases(weights, denominator, stride, -first, max(0, after))


def _linear(node: Node, x: Tensor, axes: list[Axis]) -> Tensor:
    """Write the interpolation of rows and columns as one convolution, whose channels are then interleaved."""
    expect_map(x.shape)
    if any(axis.result != axis.size for axis in axes[:2]):
        found = shape_text([axis.result for axis in axes])
        raise Problem(f"interpolates {shape_text(x.shape)} to {found}, expected the same batch and channels")
    image = as_map(node, x)
    rows = Phases.of(axes[2] if len(axes) == 4 else Axis(1, 1, Fraction(1), "asymmetric"))
    columns = Phases.of(axes[-1])
    if rows is None or columns is None or len(rows.weights) * len(columns.weights) > MOST_PHASES:
        return _by_element(node, x, axes)
    phases = len(rows.weights) * len(columns.weights)
    channels, denominator = image.shape[1], rows.denominator * columns.denominator
    kernels = np.einsum("pr,qs->pqrs", rows.weights, columns.weights).reshape(phases, 1, *_taps(rows, columns))
    weights = as_integers(Constant(np.tile(kernels, (channels, 1, 1, 1)).astype(np.float32), "weights"), ("i8", "i16"))
    exact = weights.quantisation.scaled([Fraction(1, denominator)], None)
    if exact is not None:
        weights = QuantisedConstant(weights.stored, exact, weights.name)
    wide = bordered(node, image, (0, 0, rows.before, columns.before), (0, 0, rows.after, columns.after), "edge")
    strides = [rows.stride, columns.stride]
    places = [
        (size - taps) // stride + 1
        for size, taps, stride in zip(wide.shape[2:], kernels.shape[2:], strides, strict=True)
    ]
    sums = node.emit(
        accel.conv2d,
        (image.shape[0], channels * phases, *places),
        wide.value,
        emit_quantised(weights).value,
        strides,
        [0, 0, 0, 0],
        [1, 1],
        channels,
        grid=q.ACCUMULATOR if x.integral and denominator == 1 else None,
    )
    if exact is None:
        by = emit_real(Constant(np.array(denominator, np.float32), "denominator"))
        sums = node.emit(accel.div, sums.shape, sums.value, by.value)
    results = interleaved(node, sums, channels, len(rows.weights), len(columns.weights))
    sizes = (axes[2].result if len(axes) == 4 else 1), axes[-1].result
    cut = taken(node, {2 + index: np.arange(size) for index, size in enumerate(sizes)}, results)
    return from_map(node, cut, len(x.shape))


MOST_ELEMENTS = 4_096
"""Of a map whose results each have weights of their own."""


def _by_element(node: Node, x: Tensor, axes: list[Axis]) -> Tensor:
    """Write the interpolation as a sum of the four neighbours of each result, times weights of its own."""
    sizes = [axis.result for axis in axes[2:]]
    if math.prod(sizes) > MOST_ELEMENTS:
        raise Problem(
            f"interpolates {shape_text(x.shape[2:])} to {shape_text(sizes)} with other weights for each result, which "
            f"is supported up to {MOST_ELEMENTS:,} of them; use scales that are small fractions, or sizes"
        )
    sides = [_neighbours(axis) for axis in axes[2:]]
    flat = (*x.shape[:2], math.prod(sizes))
    total: Tensor | None = None
    for chosen in product(*sides):
        if not all(any(weight) for _, weight, _ in chosen):
            continue
        near = taken(node, {2 + axis: np.array(places) for axis, (places, _, _) in enumerate(chosen)}, x)
        part = shaped(node, near, flat)
        for factors in _as_factors([np.array(weight, object) for _, weight, _ in chosen], sizes):
            number = QuantisedConstant(factors.astype(np.int32), q.ACCUMULATOR, "weights")
            part = node.emit(accel.mul, flat, part.value, emit_quantised(number).value)
        total = part if total is None else node.emit(accel.add, flat, total.value, part.value)
    assert total is not None, "the weights of a result are not all 0"
    for side in sides:
        by = QuantisedConstant(np.array(side[0][2], np.int32), q.ACCUMULATOR, "denominator")
        total = node.emit(accel.div, flat, total.value, emit_quantised(by).value)
    return shaped(node, total, (*x.shape[:2], *sizes))


def _neighbours(axis: Axis) -> list[tuple[list[int], list[int], int]]:
    """Return the element below and above each result, with weights over one denominator."""
    places = [axis.position(index) for index in range(axis.result)]
    lefts = [floor(place) for place in places]
    denominator = lcm(*(place.denominator for place in places))
    above = [int((place - left) * denominator) for place, left in zip(places, lefts, strict=True)]
    last = axis.size - 1
    if denominator >= 1 << 31:
        raise Problem(f"interpolates with weights over {denominator:,}, expected less than 2^31; use sizes, not scales")
    return [
        ([min(max(left, 0), last) for left in lefts], [denominator - weight for weight in above], denominator),
        ([min(max(left + 1, 0), last) for left in lefts], above, denominator),
    ]


def _as_factors(weights: list[np.ndarray], sizes: list[int]) -> list[np.ndarray]:
    """Return the weights of each axis, spread over all results in row-major order."""
    found: list[np.ndarray] = []
    for axis, each in enumerate(weights):
        shape = [-1 if index == axis else 1 for index in range(len(sizes))]
        found.append(np.broadcast_to(each.reshape(shape), sizes).reshape(-1))
    return found


def _taps(rows: Phases, columns: Phases) -> tuple[int, int]:
    return rows.weights.shape[1], columns.weights.shape[1]
