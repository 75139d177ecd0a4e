"""ConvTranspose, as a convolution.

A result at place o gets x[i] * w[r] where i * stride + r * dilation = o + pad. Of results whose places have the same
remainder by the stride, all read the same taps around o // stride: they are an ordinary convolution, of stride 1. Those
of all remainders are computed side by side, as channels of one convolution, and interleaved afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, prod
from typing import TypeVar

import numpy as np

from htvm.dialects import accel
from htvm.dialects.quantisation import Quantisation
from htvm.import_onnx.errors import Problem, choices_text, shape_text
from htvm.import_onnx.node import Node
from htvm.import_onnx.operators.linear import bias_of, check_channels, grid_of_sums, integer_weights
from htvm.import_onnx.operators.selection import interleaved, taken
from htvm.import_onnx.operators.windows import AUTO_PADS, as_map, expect_map, from_map, positive
from htvm.import_onnx.values import Constant, QuantisedConstant, Tensor, emit_quantised

T = TypeVar("T")

MAX_WEIGHTS = 1 << 24
"""Of the convolution that one becomes; strides and dilations multiply those of the file."""


@dataclass(frozen=True)
class Slide:
    """One axis: sizes before and after, kernel, stride, dilation, and the results cut off before the first."""

    size: int
    result: int
    kernel: int
    stride: int
    dilation: int
    cut: int

    def taps(self, phase: int) -> dict[int, int]:
        """Return, for results at places q * stride + phase, the kernel's index r for each x[q + t], as {t: r}."""
        offsets = {phase + self.cut - r * self.dilation: r for r in range(self.kernel)}
        return {offset // self.stride: r for offset, r in offsets.items() if offset % self.stride == 0}

    @property
    def reach(self) -> tuple[int, int]:
        """The first and the last t of all phases, the first at most 0."""
        used = [t for phase in range(self.stride) for t in self.taps(phase)] + [0]
        return min(used), max(used)

    @property
    def pads(self) -> tuple[int, int]:
        """Elements before and after the input that windows of all results need."""
        first, last = self.reach
        return -first, max(0, ceil(self.result / self.stride) - 1 + last - (self.size - 1))


def conv_transpose(node: Node) -> Tensor:
    """One- or two-dimensional; any stride, dilation, group, padding and output shape.

    Weights are constant: quantised per tensor or per output channel, or float32 integers.
    """
    groups = node.attribute("group", 1)
    weights, x = _weights(node, groups), node.tensor(0)
    in_channels, group_channels, *kernel = weights.shape
    if node.attribute("kernel_shape") not in (None, kernel):
        raise Problem(f"kernel_shape is not that of the weights, {kernel}")
    if len(x.shape) != len(weights.shape) or x.shape[1] != in_channels or in_channels % groups:
        raise Problem(f"weights {shape_text(weights.shape)} in {groups} groups do not fit input {shape_text(x.shape)}")
    slides = _slides(node, x.shape[2:], kernel)
    if len(slides) == 1:
        slides.insert(0, Slide(1, 1, 1, 1, 1, 0))
        weights = weights.reshaped((*weights.shape[:2], 1, kernel[0]))
    image, phases = as_map(node, x), slides[0].stride * slides[1].stride
    channels = groups * group_channels
    check_channels(channels * phases)
    spans = [slide.reach[1] - slide.reach[0] + 1 for slide in slides]
    if (count := prod(weights.shape[:2]) * phases * prod(spans)) > MAX_WEIGHTS:
        raise Problem(f"becomes a convolution of {count:,} weights, expected at most {MAX_WEIGHTS:,}")
    kernels = emit_quantised(_of_phases(weights, slides, groups))
    bias = bias_of(node, channels, x.integral and kernels.integral)
    if bias is not None:
        grid = bias.quantisation
        spread = replace(grid, scales=_repeated(grid.scales, phases), zero_points=_repeated(grid.zero_points, phases))
        bias = replace(bias, stored=bias.stored.repeat(phases), quantisation=grid if grid.axis is None else spread)
    bias = bias and emit_quantised(bias)
    pads = [slide.pads[side] for side in (0, 1) for slide in slides]
    places = [slide.size + sum(slide.pads) - (slide.reach[1] - slide.reach[0] + 1) + 1 for slide in slides]
    sums = node.emit(
        accel.conv2d,
        (x.shape[0], channels * phases, *places),
        image.value,
        kernels.value,
        [1, 1],
        pads,
        [1, 1],
        groups,
        bias=bias.value if bias else None,
        grid=grid_of_sums(x, kernels, bias),
    )
    results = interleaved(node, sums, channels, slides[0].stride, slides[1].stride)
    cut = taken(node, {2 + axis: np.arange(slide.result) for axis, slide in enumerate(slides)}, results)
    return from_map(node, cut, len(x.shape))


def _weights(node: Node, groups: int) -> QuantisedConstant:
    """Return the weights [C, K / groups, R, S], or [C, K / groups, S]."""
    name, value = node.input_name(1), node.value(1)
    if isinstance(value, Constant):
        value = integer_weights(value)
    if not isinstance(value, QuantisedConstant):
        raise Problem(f"weights ('{name}') are computed, expected a constant")
    expect_map(value.shape, "weights")
    if value.quantisation.axis not in (None, 1):
        found = f"weights ('{name}') are quantised along axis {value.quantisation.axis}"
        raise Problem(f"{found}, expected 1 (output channels)")
    if groups < 1:
        raise Problem(f"group is {groups}, expected at least 1")
    return value


def _slides(node: Node, sizes: Sequence[int], kernel: Sequence[int]) -> list[Slide]:
    """Return what a node's attributes say of each axis."""
    rank = len(sizes)
    strides, dilations = positive(node, "strides", rank), positive(node, "dilations", rank)
    mode, stated = node.attribute("auto_pad", "NOTSET"), node.attribute("output_shape")
    more, pads = node.attribute("output_padding", [0] * rank), node.attribute("pads", [0] * 2 * rank)
    if mode not in AUTO_PADS:
        raise Problem(f"auto_pad is '{mode}', expected {choices_text(AUTO_PADS)}")
    if len(more) != rank or len(pads) != 2 * rank or (stated is not None and len(stated) != rank):
        raise Problem(f"output_padding, pads and output_shape are {more}, {pads} and {stated}, expected {rank} axes")
    if stated is None and mode.startswith("SAME"):
        stated = [size * stride for size, stride in zip(sizes, strides, strict=True)]
    slides: list[Slide] = []
    for axis, (size, length, stride, dilation) in enumerate(zip(sizes, kernel, strides, dilations, strict=True)):
        whole = stride * (size - 1) + more[axis] + (length - 1) * dilation + 1
        if stated is None:
            before, result = pads[axis], whole - pads[axis] - pads[axis + rank]
        else:
            total, result = whole - stated[axis], stated[axis]
            before = max(0, total) // 2 if mode == "SAME_UPPER" else max(0, total) - max(0, total) // 2
        if result < 1:
            raise Problem(f"makes {result} results along axis {axis + 2}, expected at least 1")
        slides.append(Slide(size, result, length, stride, dilation, before))
    return slides


def _of_phases(weights: QuantisedConstant, slides: Sequence[Slide], groups: int) -> QuantisedConstant:
    """Return weights [K * phases, C / groups, ..] of the convolution that makes all phases; unused taps are 0.

    Output channels are in the order (group, channel, remainder of row, remainder of column).
    """
    in_channels, group_channels, *_ = weights.shape
    apart = weights.stored.reshape(groups, in_channels // groups, group_channels, *weights.shape[2:])
    grid, phases = weights.quantisation, [slide.stride for slide in slides]
    spans = [slide.reach[1] - slide.reach[0] + 1 for slide in slides]
    point = np.reshape(grid.zero_points, (1, 1, -1, 1, 1))
    made = np.empty((groups, group_channels, *phases, in_channels // groups, *spans), weights.stored.dtype)
    made[:] = point.transpose(0, 2, 1, 3, 4)[..., None, None]
    for row in range(phases[0]):
        for column in range(phases[1]):
            for down, r in slides[0].taps(row).items():
                for right, s in slides[1].taps(column).items():
                    place = down - slides[0].reach[0], right - slides[1].reach[0]
                    made[(slice(None), slice(None), row, column, slice(None), *place)] = apart[..., r, s].transpose(
                        0, 2, 1
                    )
    if grid.axis is not None:
        count = phases[0] * phases[1]
        grid = _along_outputs(grid, groups, count)
    return QuantisedConstant(made.reshape(-1, in_channels // groups, *spans), grid, weights.name)


def _along_outputs(grid: Quantisation, groups: int, phases: int) -> Quantisation:
    scales, points = _repeated(grid.scales * groups, phases), _repeated(grid.zero_points * groups, phases)
    return replace(grid, scales=scales, zero_points=points, axis=0)


def _repeated(numbers: tuple[T, ...], times: int) -> tuple[T, ...]:
    return tuple(number for number in numbers for _ in range(times))
