"""Kernel "depthwise_words": as depthwise_3x3, on a copy of four channels at a time."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from ..depthwise import depthwise_call
from ..spec import KernelSpec, Linear, Plan, Window, is_depthwise
from ..trails import Trail, Walk, same_channels, worthwhile

WORD_BYTES = 4

MOST_COPIED = 1 / 8
"""What part of a depthwise layer's activations its copy of four channels may need: where that is much, the layer could
not lie over its input and at the same time make room for the next one."""


def plans(linear: Linear) -> Iterator[Plan]:
    """Yield the plan: an output 29 instructions (stride 2: 33), a line 24, a channel 90, a word of the input 7."""
    if not is_depthwise(linear) or not linear.fits_depthwise_3x3:
        return
    stride, channels = linear.strides[0], linear.batch * len(linear.weights)
    lines = channels * min(linear.size)
    words = prod((side - 1) * stride + 3 for side in linear.size)
    is_small = WORD_BYTES * words <= MOST_COPIED * linear.activation_bytes
    if linear.has_words and linear.out_channels == 1 and len(linear.weights) % WORD_BYTES == 0 and is_small:
        copying = 7 * words * channels // WORD_BYTES
        instructions = (29 if stride == 1 else 33) * linear.outputs + 24 * lines + 90 * channels + copying
        yield Plan("depthwise_words", instructions, linear.weights.nbytes, scratch_bytes=WORD_BYTES * words)


def trail(walk: Walk) -> Trail | None:
    """Return the trail: all of four channels is read before any of theirs is written."""
    return worthwhile(walk, 0, walk.channels[0]) if same_channels(walk) else None


KERNEL = KernelSpec(
    name="depthwise_words",
    least_pixels=1,
    header="htvm_depthwise_words.h",
    plans=plans,
    call=lambda site: depthwise_call(site, "DEPTHWISE_WORDS", has_stride=True, window=Window.BYTES),
    trail=trail,
    code_bytes=700,
    stack_bytes=224,
)
