"""Depthwise layers whose rows are channels, for an array that sums over channels and has lanes for columns.

A launch of some channels, or of some rows of one channel, is a convolution without rows: each input row is an input
channel, each output row an output channel, and the kernel has the columns of the layer's:

    y[c, i, j] = sum over r, s of w[c, r, s] * x[c, i * stride + r - top, j * stride + s - left]
               = sum over rows u, s of m[(c, i), (c, u), 0, s] * x[(c, u), j * stride + s - left]
    m[(c, i), (c, u), 0, s] = w[c, u - i * stride + top, s], or 0 where the kernel has no such row

In a layout whose rows lie one after the other a feature map is in the same places for both. The matrices are Toeplitz
and block-diagonal, so that they take more bytes than the layer's weights; lanes for output channels are full where
launches of whole channels, one output each, leave most of them without work.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from htvm.backend.targets.jobs import Form, Job
from htvm.dialects.accel import FormKind, JobKind

MOST_ROWS = 128
"""Output rows of a launch, at most: more only add products with 0."""


def variants(job: Job) -> Iterator[Form]:
    """Yield the forms of a layer, by the size of their launches; none if it is not depthwise."""
    if job.kind != JobKind.CONV2D or not job.channels == job.outputs == job.groups > 1:
        return
    rows = job.out_size[0]
    for channels in parts(job.outputs):
        if channels * rows <= MOST_ROWS:
            yield Form(FormKind.ROWS_AS_CHANNELS, channels, rows)
    if is_cut_inside(job):
        for some in parts(rows):
            if some < min(rows, MOST_ROWS + 1):
                yield Form(FormKind.ROWS_AS_CHANNELS, 1, some)


def is_cut_inside(job: Job) -> bool:
    """Say whether any output row reads some of the feature map: not if there is more padding than kernel."""
    return max(job.pads[0], job.pads[2]) < job.kernel[0]


def parts(count: int) -> list[int]:
    """Return the sizes of parts that differ: for each number of parts, the smallest that needs no more."""
    return sorted({-(-count // number) for number in range(1, count + 1)}, reverse=True)


def lowered(tile: Job) -> Job:
    """Return the convolution that a tile of such a layer is: of whole channels, or of some rows of one."""
    (rows, columns), (out_rows, out_columns), (_, left, _, right) = tile.size, tile.out_size, tile.pads
    return tile.but(
        channels=tile.channels * rows,
        outputs=tile.outputs * out_rows,
        size=(1, columns),
        out_size=(1, out_columns),
        kernel=(1, tile.kernel[1]),
        pads=(0, left, 0, right),
        groups=1,
        form=None,
    )


def matrix(tile: Job, weights: np.ndarray) -> np.ndarray:
    """Return the weights [outputs, channels, 1, S] of a tile's convolution; weights: [tile.outputs, 1, R, S]."""
    count, _, height, width = weights.shape
    (rows, _), (out_rows, _) = tile.size, tile.out_size
    found = np.zeros((count, out_rows, count, rows, width), weights.dtype)
    own = list(range(count))
    for row in range(out_rows):
        for tap in range(height):
            read = row * tile.strides[0] + tap - tile.pads[0]
            if 0 <= read < rows:
                found[own, row, own, read] = weights[:, 0, tap]
    return found.reshape(count * out_rows, count * rows, 1, width)
