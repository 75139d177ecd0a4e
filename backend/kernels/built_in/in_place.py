"""Kernel "in_place": windows are read where they are, one multiplication for each product."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..scalar import CODE_BYTES, STACK_BYTES, conv2d_call, scalar_blocks, scalar_tap
from ..spec import KernelSpec, Linear, Plan, is_depthwise
from ..trails import Trail, Walk, in_steps, pixels


def plans(linear: Linear) -> Iterator[Plan]:
    """Yield blocks of 8 outputs, 10 instructions for a row of a window."""
    if is_depthwise(linear) or not linear.windows_are_rows:
        return
    rows = linear.weights.shape[2]
    instructions = scalar_blocks(linear) * (scalar_tap(linear) * linear.taps + 10 * rows) + 12 * linear.outputs
    yield Plan("in_place", instructions, linear.weights.nbytes)


def pairs(walk: Walk) -> np.ndarray:
    """Return steps of two pixels that hold every pair of neighbours, whichever pixel of a row a pair begins at.

    Of a 1x1 window on one row or one column, which is a row in C as well, pairs begin at every other pixel.
    """
    if walk.window == walk.strides == (1, 1) and walk.pads == (0, 0) and 1 in walk.out_size:
        return pixels(walk) // 2
    return np.broadcast_to(np.arange(walk.out_size[0])[:, None], walk.out_size)


def trail(walk: Walk) -> Trail | None:
    """Return the trail: all of a pair of pixels is read again for each block of channels."""
    return in_steps(walk, pairs(walk), is_held=True)


KERNEL = KernelSpec(
    name="in_place",
    least_pixels=1,
    header="htvm_conv2d.h",
    plans=plans,
    call=lambda site: conv2d_call(site, is_collected=False),
    trail=trail,
    code_bytes=CODE_BYTES,
    stack_bytes=STACK_BYTES,
)
