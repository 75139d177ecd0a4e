"""Kernel "in_place": windows are read where they are, one multiplication for each product."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..scalar import CODE_BYTES, STACK_BYTES, conv2d_call, scalar_instructions
from ..spec import KernelSpec, Linear, Plan, is_depthwise
from ..trails import Trail, Walk, in_steps, pixels


def plans(linear: Linear) -> Iterator[Plan]:
    """Yield the plan: 30 instructions for a row of the windows of 8 outputs, 160 for two pixels, and for the layer."""
    if is_depthwise(linear) or not linear.windows_are_rows:
        return
    instructions = scalar_instructions(linear, row=30 * linear.weights.shape[2], step=160, output=19) + 160
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
