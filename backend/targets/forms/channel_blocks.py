"""1x1 convolutions of a feature map in blocks of channels, for an array that reads pixel by pixel.

An engine whose launches have some of a layer's channels each writes them pixel by pixel one after the other: blocks,
each of all pixels and few channels. As a map of (blocks, pixels) with a block's channels these are in the same places,
and a kernel over all blocks of a pixel reads all of its channels:

    y[k, p] = sum over blocks g, channels c of w[k, g * size + c] * x[g, p, c],    a kernel of (blocks, 1)

Where kernels have odd sides, one more row of zeros lies behind the last block, and padding is read for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod

import numpy as np

from htvm.backend.targets.jobs import Form, Job
from htvm.dialects.accel import FormKind, JobKind

LINEAR = (JobKind.CONV2D, JobKind.MATVEC)


def variants(job: Job, block: int) -> Iterator[Form]:
    """Yield the form of a layer whose map has several blocks of `block` channels; none if it is no 1x1 convolution."""
    is_pointwise = job.kernel == (1, 1) and job.strides == (1, 1) and not any(job.pads)
    if job.kind in LINEAR and job.groups == 1 and is_pointwise and job.channels > block and job.channels % block == 0:
        yield Form(FormKind.CHANNEL_BLOCKS, job.outputs, job.out_size[0], (block,))


def block_of(job: Job) -> int:
    """Return the channels of a block of a job in this form."""
    assert job.form is not None, job
    return job.form.constants[0]


def lowered(tile: Job) -> Job:
    """Return the convolution over blocks that a tile of whole maps is."""
    block = block_of(tile)
    blocks = tile.channels // block
    rows = blocks + 1 - blocks % 2
    return replace(
        tile,
        channels=block,
        size=(blocks, prod(tile.size)),
        out_size=(1, prod(tile.out_size)),
        kernel=(rows, 1),
        pads=(0, 0, rows - blocks, 0),
        form=None,
    )


def matrix(tile: Job, weights: np.ndarray) -> np.ndarray:
    """Return the weights [K, block, rows, 1] of a tile's convolution; weights: [K, C, 1, 1]."""
    job = lowered(tile)
    blocks = weights.reshape(len(weights), job.size[0], job.channels).transpose(0, 2, 1)
    return np.pad(blocks, [(0, 0), (0, 0), (0, job.pads[2])])[:, :, :, None]
