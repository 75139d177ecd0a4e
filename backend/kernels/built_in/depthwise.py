"""Kernels "depthwise" and "depthwise_3x3": one input channel for each output channel.

Any kernel, and 3x3 kernels of stride 1 and 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

import numpy as np

from ..depthwise import depthwise_call
from ..spec import KernelSpec, Linear, Plan, is_depthwise
from ..trails import Trail, Walk, first_inside, same_channels, worthwhile


def plans(linear: Linear) -> Iterator[Plan]:
    """Yield the plan: an output takes 42 instructions, and 19 for each tap."""
    if is_depthwise(linear):
        yield Plan("depthwise", (19 * linear.taps + 42) * linear.outputs, linear.weights.nbytes)


def plans_3x3(linear: Linear) -> Iterator[Plan]:
    """Yield the plan: an output takes 37 instructions (stride 2: 40), and the beginning of a line of them 64."""
    if not is_depthwise(linear) or not linear.fits_depthwise_3x3:
        return
    stride, channels = linear.strides[0], linear.batch * len(linear.weights)
    lines = channels * min(linear.size)
    at_once = (37 if stride == 1 else 40) * linear.outputs + 64 * lines
    yield Plan("depthwise_3x3", at_once, linear.weights.nbytes)


def trail_3x3(walk: Walk) -> Trail | None:
    """Return the trail of htvm_depthwise3x3: channel by channel, along rows, or along columns where those are longer.

    Of each window only what the one before did not have is read.
    """
    if not same_channels(walk):
        return None
    channels = walk.channels[0]
    along = 0 if walk.out_size[0] > walk.out_size[1] else 1  # depthwise_call transposes the former
    across = 1 - along
    start = np.arange(walk.out_size[along]) * walk.strides[along] - walk.pads[along]
    fresh = start + walk.window[along] - walk.strides[along]
    fresh[0] = start[0]
    moving = np.where(fresh >= walk.size[along], inf, np.maximum(fresh, 0)) * walk.x[1 + along]
    fixed = first_inside(walk, across) * walk.x[1 + across]
    first = fixed[:, None] + moving[None, :]
    lines, places = np.indices(first.shape)
    ends = (lines * walk.y[1 + across] + places * walk.y[1 + along] + 1) * walk.y_bytes
    reads = np.append(first.reshape(-1) * walk.x_bytes, inf)
    later = np.minimum.accumulate(reads[::-1])[::-1]
    return worthwhile(walk, (ends.reshape(-1) - later[1:]).max(), channels * walk.x_bytes)


KERNEL = KernelSpec(
    name="depthwise",
    least_pixels=1,
    header="htvm_depthwise.h",
    is_general=True,
    plans=plans,
    call=lambda site: depthwise_call(site, "DEPTHWISE", has_stride=False),
    code_bytes=1400,
    stack_bytes=320,
)

KERNEL_3X3 = KernelSpec(
    name="depthwise_3x3",
    least_pixels=1,
    header="htvm_depthwise.h",
    plans=plans_3x3,
    call=lambda site: depthwise_call(site, "DEPTHWISE3X3", has_stride=True),
    trail=trail_3x3,
    code_bytes=1400,
    stack_bytes=320,
)
