"""Operations on windows, and products of matrices: of TOSA's section on tensor operators. Maps are [N, H, W, C]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from htvm.dialects.semantics import integers, tosa_scaling

from .elements import limits, width_of
from .reading import TosaOp, meaning, scalar

Arrays = np.ndarray
FIRST = (0, 3, 1, 2)
LAST = (0, 2, 3, 1)
"""Permutations that move channels."""


def onnx_pads(pads: Sequence[int]) -> list[int]:
    """Return TOSA's [top, bottom, left, right] as [top, left, bottom, right]."""
    top, bottom, left, right = pads
    return [top, left, bottom, right]


def depthwise_kernels(weights: Arrays) -> Arrays:
    """Return kernels [C * M, 1, R, S] of weights [R, S, C, M]."""
    rows, columns, channels, copies = weights.shape
    return weights.transpose(2, 3, 0, 1).reshape(channels * copies, 1, rows, columns)


@meaning("conv2d", "depthwise_conv2d")
def conv2d(op: TosaOp, x: Arrays, w: Arrays, bias: Arrays, x_zero: Arrays, w_zero: Arrays) -> Arrays:
    kernels = depthwise_kernels(w) if op.name == "depthwise_conv2d" else w.transpose(FIRST)
    groups = x.shape[3] if op.name == "depthwise_conv2d" else 1
    pads, strides, dilations = onnx_pads(op.numbers("pad")), op.numbers("stride"), op.numbers("dilation")
    image = x.transpose(FIRST) - scalar(x_zero)
    sums = integers.convolve(image, kernels - scalar(w_zero), strides, pads, dilations, groups, 0)
    return sums.transpose(LAST) + bias.reshape(-1)


@meaning("transpose_conv2d")
def transpose_conv2d(op: TosaOp, x: Arrays, w: Arrays, bias: Arrays, x_zero: Arrays, w_zero: Arrays) -> Arrays:
    """Every element adds its multiple of the kernel [K, R, S, C]; out_pad is added to the result, or cut from it."""
    top, bottom, left, right = op.numbers("out_pad")
    down, across = op.numbers("stride")
    batch, height, width, _ = x.shape
    outputs, rows, columns, _ = w.shape
    full = np.zeros((batch, (height - 1) * down + rows, (width - 1) * across + columns, outputs), np.int64)
    image, kernels = x - scalar(x_zero), w - scalar(w_zero)
    for r in range(rows):
        for s in range(columns):
            part = np.einsum("nhwc,kc->nhwk", image, kernels[:, r, s])
            full[:, r : r + (height - 1) * down + 1 : down, s : s + (width - 1) * across + 1 : across] += part
    grown = np.pad(full, [(0, 0), *((max(a, 0), max(b, 0)) for a, b in ((top, bottom), (left, right))), (0, 0)])
    cut = [slice(max(-a, 0), size - max(-b, 0)) for a, b, size in
           zip((top, left), (bottom, right), grown.shape[1:3])]  # fmt: skip
    return grown[:, cut[0], cut[1]] + bias.reshape(-1)


@meaning("matmul")
def matmul(op: TosaOp, a: Arrays, b: Arrays, a_zero: Arrays, b_zero: Arrays) -> Arrays:
    return np.matmul(a - scalar(a_zero), b - scalar(b_zero))


@meaning("max_pool2d")
def max_pool2d(op: TosaOp, x: Arrays) -> Arrays:
    kernel, strides, pads = (op.numbers(name) for name in ("kernel", "stride", "pad"))
    return integers.window_maxima(x.transpose(FIRST), kernel, strides, onnx_pads(pads)).transpose(LAST)


@meaning("avg_pool2d")
def avg_pool2d(op: TosaOp, x: Arrays, x_zero: Arrays, y_zero: Arrays) -> Arrays:
    """Sums are scaled by the reciprocal of how many elements of the window lie inside the map."""
    kernel, strides, pads = op.numbers("kernel"), op.numbers("stride"), onnx_pads(op.numbers("pad"))
    image = x.transpose(FIRST) - scalar(x_zero)
    sums = integers.window_sums(image, kernel, strides, pads).transpose(LAST)
    counts = integers.window_counts(image.shape[2:], kernel, strides, pads)[None, :, :, None]
    multiplier, shift = reciprocals(counts)
    scaled = tosa_scaling.apply_scale(sums, multiplier, shift, double_round=False)
    return np.clip(scaled + scalar(y_zero), *limits(width_of(op.result)))


def reciprocals(counts: Arrays) -> tuple[Arrays, Arrays]:
    """Return multiplier and shift for reciprocals of integers of at least 1 (reciprocal_scale in the specification)."""
    lengths = np.array([(int(count) - 1).bit_length() for count in counts.reshape(-1)], np.int64).reshape(counts.shape)
    return np.int64((1 << 30) + 1) * (np.int64(1) << lengths) // counts, 30 + lengths
