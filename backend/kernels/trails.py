"""How far the writes of a convolution, or of a pool, stay behind its reads, so that its output may lie over its input.

    input   |............ still to be read ............|
    output  |<- distance ->| written behind the reads

If the output begins `distance` bytes before the input, or more, each byte is written after the last read of what it
held. The distances follow from the loops of a kernel; test/unit/kernels/test_trails.py executes htvm's own with input
and output that far apart, `htvm test-kernel` any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf, lcm

import numpy as np


@dataclass(frozen=True)
class Trail:
    """An output may begin `distance` units before an operand, or more by some `multiple`; if that is 0, not more.

    A negative distance is behind the operand's beginning: what is read or written is only a part of either. most: the
    largest distance; None if there is none.
    """

    distance: int
    multiple: int = 1
    most: int | None = None

    def allows(self, gap: int) -> bool:
        """Say whether the output may begin `gap` units before the operand."""
        if self.most is not None and gap > self.most:
            return False
        more = gap - self.distance
        return more == 0 if self.multiple == 0 else more >= 0 and more % self.multiple == 0

    def aligned(self, alignment: int) -> Trail:
        """Return the trail whose gaps are those multiples of `alignment` that this one allows."""
        if self.multiple == 0:
            return self
        step = lcm(self.multiple, alignment)
        unlimited = Trail(self.distance, self.multiple)
        gaps = range(self.distance, self.distance + step)
        first = next(gap for gap in gaps if gap % alignment == 0 and unlimited.allows(gap))
        return Trail(first, step, None if self.most is None else self.most // alignment * alignment)

    def also(self, other: Trail) -> Trail | None:
        """Return the trail of the distances that both allow, without a largest one; None if there are none."""
        if 0 in (self.multiple, other.multiple):
            exact, most = (self, other) if self.multiple == 0 else (other, self)
            return exact if most.allows(exact.distance) else None
        first, step = max(self.distance, other.distance), lcm(self.multiple, other.multiple)
        gaps = (gap for gap in range(first, first + step) if self.allows(gap) and other.allows(gap))
        return next((Trail(gap, step) for gap in gaps), None)

    def saved(self, operand_size: int, output_size: int) -> int:
        """Return by how much both together can be smaller than apart."""
        gap = self.distance if self.multiple == 0 or self.distance >= 0 else self.distance % self.multiple
        together = max(operand_size, output_size - gap) - min(0, -gap)
        return max(0, operand_size + output_size - together)

    def of_parts(self, read_at: int, written_at: int) -> Trail:
        """Return the trail between two items of which a layer reads and writes parts that begin so many units on."""
        return Trail(self.distance - read_at + written_at, self.multiple)


@dataclass(frozen=True)
class Walk:
    """The geometry of a convolution, or of a pool: then each channel is a group.

    Sizes are (rows, columns); x and y are strides (C, H, W), in elements.
    """

    groups: int
    channels: tuple[int, int]
    size: tuple[int, int]
    out_size: tuple[int, int]
    window: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int]
    x: tuple[int, ...]
    y: tuple[int, ...]
    x_bytes: int = 1
    y_bytes: int = 1


def in_steps(walk: Walk, step_of: np.ndarray, is_held: bool, read_again: int = 0, multiple: int = 1) -> Trail | None:
    """Return the trail of steps that read all their windows, then write all their pixels.

    step_of: the step that each output pixel is made in, [rows, columns]. is_held: the inputs of a step are read until
    its end. read_again: so many pixels at the end of the feature map are computed by the last step, whichever step has
    computed some of them before.
    """
    first = first_bytes(walk)
    rows, columns = np.indices(walk.out_size)
    last = (walk.channels[1] - 1) * walk.y[0]
    ends = (rows * walk.y[1] + columns * walk.y[2] + last + 1) * walk.y_bytes
    count = int(step_of.max()) + 1
    reads, writes = np.full(count + 1, inf), np.full(count, -inf)
    np.minimum.at(reads, step_of.reshape(-1), first.reshape(-1))
    np.maximum.at(writes, step_of.reshape(-1), ends.reshape(-1))
    if read_again:
        again = first.reshape(-1)[-read_again:]
        reads[count - 1] = min(reads[count - 1], again.min())
    later = np.minimum.accumulate(reads[::-1])[::-1]
    behind = writes - (later[:-1] if is_held else later[1:])
    return worthwhile(walk, behind.max(), multiple)


def of_pool(walk: Walk) -> Trail | None:
    """Return the trail of htvm_pool2d.h and htvm_pool2d_words.h: pixel by pixel, channel by channel, each window read
    before its output is written.

    Where a channel meets others, which a pixel reads after it, it stays behind all that the pixel reads.
    """
    if min(walk.x_bytes, walk.y_bytes) != 1:
        return None
    if same_channels(walk):
        return in_steps(walk, pixels(walk), is_held=False, multiple=walk.channels[0])
    return in_steps(walk, pixels(walk), is_held=True)


def worthwhile(walk: Walk, distance: float, multiple: int) -> Trail | None:
    """Return a trail, or None if output and input may as well be apart."""
    distance = multiple * ceil(max(0, distance) / multiple)
    input_bytes = walk.channels[0] * walk.size[0] * walk.size[1] * walk.x_bytes
    output_bytes = walk.channels[1] * walk.out_size[0] * walk.out_size[1] * walk.y_bytes
    trail = Trail(distance, multiple)
    return trail if trail.saved(input_bytes, output_bytes) > 0 else None


def first_bytes(walk: Walk) -> np.ndarray:
    """Return the first byte that is read for each output pixel; infinity if its window is outside the map."""
    starts = [first_inside(walk, axis) for axis in range(2)]
    rows, columns = np.meshgrid(*starts, indexing="ij")
    return (rows * walk.x[1] + columns * walk.x[2]) * walk.x_bytes


def first_inside(walk: Walk, axis: int) -> np.ndarray:
    """Return the first row or column inside the map of the windows along an axis; infinity if there is none."""
    start = np.arange(walk.out_size[axis]) * walk.strides[axis] - walk.pads[axis]
    dilation = walk.dilations[axis]
    outside = np.maximum(0, -(start // dilation)) * dilation
    inside = start + outside
    end = start + (walk.window[axis] - 1) * dilation
    return np.where((inside > end) | (inside >= walk.size[axis]), inf, inside)


def pixels(walk: Walk) -> np.ndarray:
    return np.arange(walk.out_size[0] * walk.out_size[1]).reshape(walk.out_size)


def same_channels(walk: Walk) -> bool:
    """Say whether a depthwise layer's pixels are whole and equally large, so that a channel only meets itself."""
    channels = walk.channels[0]
    alike = channels == walk.channels[1] == walk.groups and walk.x_bytes == walk.y_bytes
    return (
        alike and (walk.x[0], walk.y[0]) == (1, 1) and not any(step % channels for step in (*walk.x[1:], *walk.y[1:]))
    )
