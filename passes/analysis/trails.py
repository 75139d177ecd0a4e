"""How far a layer's writes stay behind its reads, so that its output may lie over an operand.

An element-wise layer may replace an operand exactly where it is (in_place.py). A convolution writes its output in the
order in which it reads its input: if the output begins `distance` bytes before the input, or more, each byte is written
after the last read of what it held. A 3x3 depthwise kernel computes one channel after the other; where channels are
neighbours and the gap is a multiple of their number, a channel meets nothing but itself.

    input   |............ still to be read ............|
    output  |<- distance ->| written behind the reads

The distances follow from the loops of runtime/kernels, one case for each kernel, and test/unit/kernels/test_trails.py
executes the kernels with input and output that far apart. Kernel "depthwise_words" has read all of its channels before
it writes any of theirs, and needs no distance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, inf

import numpy as np
from mlir import ir

from htvm.backend.targets.soc import HOST
from htvm.dialects import accel, packed_weights, winograd_weights

from . import activations, in_place, layout
from .packing import IN_PLACE, Trail


@dataclass(frozen=True)
class Walk:
    """The geometry of a convolution. Sizes are (rows, columns); x and y are strides (C, H, W), in elements."""

    kernel: str
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

    @staticmethod
    def of(layer: accel.Conv2dOp, kernel: str) -> Walk:
        """Return the walk of a layer of one image."""
        x, y = layer.input.type, accel.output(layer).type
        (_, _, *window), pads = layer.weights.type.shape, layer.pads
        (rows, columns), (down, across), (step, beside) = window, layer.strides, layer.dilations
        return Walk(
            kernel,
            layer.groups.value,
            (x.shape[1], y.shape[1]),
            (x.shape[2], x.shape[3]),
            (y.shape[2], y.shape[3]),
            (rows, columns),
            (down, across),
            (step, beside),
            (pads[0], pads[1]),
            layout.strides(x)[1:],
            layout.strides(y)[1:],
            layout.element_bytes(x),
            layout.element_bytes(y),
        )


def trails(layer: accel.Layer) -> dict[ir.Value, Trail]:
    """Return the operands that the output of a layer may lie over, if nothing reads them afterwards, and how."""
    kernel = layer.kernel if isinstance(layer, accel.Conv2dOp) else None
    return trails_by(layer, None if kernel is None else kernel.value)


def trails_by(layer: accel.Layer, kernel: str | None) -> dict[ir.Value, Trail]:
    """Return the same for a convolution by a kernel that it may not have yet; None if that is not known."""
    found = dict.fromkeys(in_place.overwritable(layer), IN_PLACE)
    if isinstance(layer, accel.Conv2dOp) and kernel is not None:
        trail = convolution_trail(layer, kernel)
        if trail is not None:
            found[layer.input] = trail
    return found


def shared_bytes(layer: accel.Layer, found: Mapping[ir.Value, Trail]) -> dict[ir.Value, int]:
    """Return for each operand with a trail how many bytes the layer's output can share with it, if nothing reads it
    afterwards. Nothing takes exactly the place of an argument."""
    output_bytes = layout.size_bytes(accel.output(layer).type)
    return {
        value: trail.saved(layout.size_bytes(value.type), output_bytes)
        for value, trail in found.items()
        if trail is not IN_PLACE or not activations.is_argument(value)
    }


def convolution_trail(layer: accel.Conv2dOp, kernel: str) -> Trail | None:
    """Return the trail of a convolution on the host by a kernel; None if it must not overlap its input."""
    if layer.input.type.shape[0] != 1 or layer.engine is None or accel.engine(layer) != HOST:
        return None
    if layer.input == layer.weights:
        return None
    return trail_of(Walk.of(layer, kernel))


def trail_of(walk: Walk) -> Trail | None:
    """Return the trail of a walk; None if it is not known, or if nothing is gained by it."""
    if min(walk.x_bytes, walk.y_bytes) != 1:  # a compiler may take wider elements of two types to be apart
        return None
    match walk.kernel:
        case "packed":
            return _in_steps(walk, _six_at_a_time(walk), is_held=walk.groups > 1)
        case "winograd":
            return _in_steps(walk, _tiles(walk), is_held=False)
        case "collected" if walk.groups == 1:
            return _in_steps(walk, _pixels(walk), is_held=False)
        case "in_place":  # all of a pair of pixels is read again for each block of channels
            return _in_steps(walk, _pairs(walk), is_held=True)
        case "depthwise_3x3":
            return _depthwise(walk)
        case "depthwise_words":
            return _worthwhile(walk, 0, walk.channels[0]) if _same_channels(walk) else None
        case _:
            return None


def _in_steps(walk: Walk, step_of: np.ndarray, is_held: bool) -> Trail | None:
    """Return the trail of steps that read all their windows, then write all their pixels.

    step_of: the step that each output pixel is made in, [rows, columns]. is_held: the inputs of a step are read until
    its end.
    """
    first = _first_bytes(walk)
    rows, columns = np.indices(walk.out_size)
    last = (walk.channels[1] - 1) * walk.y[0]
    ends = (rows * walk.y[1] + columns * walk.y[2] + last + 1) * walk.y_bytes
    count = int(step_of.max()) + 1
    reads, writes = np.full(count + 1, inf), np.full(count, -inf)
    np.minimum.at(reads, step_of.reshape(-1), first.reshape(-1))
    np.maximum.at(writes, step_of.reshape(-1), ends.reshape(-1))
    if walk.kernel == "packed":  # the last six pixels end at the map's end: some are read again
        again = first.reshape(-1)[-packed_weights.PIXELS :]
        reads[count - 1] = min(reads[count - 1], again.min())
    later = np.minimum.accumulate(reads[::-1])[::-1]
    behind = writes - (later[:-1] if is_held else later[1:])
    return _worthwhile(walk, behind.max(), 1)


def _worthwhile(walk: Walk, distance: float, multiple: int) -> Trail | None:
    """Return a trail, or None if output and input may as well be apart."""
    distance = multiple * ceil(max(0, distance) / multiple)
    input_bytes = walk.channels[0] * walk.size[0] * walk.size[1] * walk.x_bytes
    output_bytes = walk.channels[1] * walk.out_size[0] * walk.out_size[1] * walk.y_bytes
    trail = Trail(distance, multiple)
    return trail if trail.saved(input_bytes, output_bytes) > 0 else None


def _first_bytes(walk: Walk) -> np.ndarray:
    """Return the first byte that is read for each output pixel; infinity if its window is outside the map."""
    starts = [_first_inside(walk, axis) for axis in range(2)]
    rows, columns = np.meshgrid(*starts, indexing="ij")
    return (rows * walk.x[1] + columns * walk.x[2]) * walk.x_bytes


def _first_inside(walk: Walk, axis: int) -> np.ndarray:
    """Return the first row or column inside the map of the windows along an axis; infinity if there is none."""
    start = np.arange(walk.out_size[axis]) * walk.strides[axis] - walk.pads[axis]
    dilation = walk.dilations[axis]
    outside = np.maximum(0, -(start // dilation)) * dilation
    inside = start + outside
    end = start + (walk.window[axis] - 1) * dilation
    return np.where((inside > end) | (inside >= walk.size[axis]), inf, inside)


def _pixels(walk: Walk) -> np.ndarray:
    return np.arange(walk.out_size[0] * walk.out_size[1]).reshape(walk.out_size)


def _pairs(walk: Walk) -> np.ndarray:
    """Return steps of two pixels that hold every pair of neighbours, whichever pixel of a row a pair begins at."""
    return np.broadcast_to(np.arange(walk.out_size[0])[:, None], walk.out_size)


def _six_at_a_time(walk: Walk) -> np.ndarray:
    return _pixels(walk) // packed_weights.PIXELS


def _tiles(walk: Walk) -> np.ndarray:
    """Return the block of four tiles that each pixel is in, tiles counted row by row."""
    across = ceil(walk.out_size[1] / winograd_weights.TILE)
    rows, columns = np.indices(walk.out_size) // winograd_weights.TILE
    return (rows * across + columns) // winograd_weights.TILES


def _depthwise(walk: Walk) -> Trail | None:
    """Return the trail of htvm_depthwise3x3: channel by channel, along rows, or along columns where those are longer.

    Of each window only what the one before did not have is read.
    """
    if not _same_channels(walk):
        return None
    channels = walk.channels[0]
    along = 0 if walk.out_size[0] > walk.out_size[1] else 1  # backend/c/linear_steps.py transposes the former
    across = 1 - along
    start = np.arange(walk.out_size[along]) * walk.strides[along] - walk.pads[along]
    fresh = start + walk.window[along] - walk.strides[along]
    fresh[0] = start[0]
    moving = np.where(fresh >= walk.size[along], inf, np.maximum(fresh, 0)) * walk.x[1 + along]
    fixed = _first_inside(walk, across) * walk.x[1 + across]
    first = fixed[:, None] + moving[None, :]
    lines, places = np.indices(first.shape)
    ends = (lines * walk.y[1 + across] + places * walk.y[1 + along] + 1) * walk.y_bytes
    reads = np.append(first.reshape(-1) * walk.x_bytes, inf)
    later = np.minimum.accumulate(reads[::-1])[::-1]
    return _worthwhile(walk, (ends.reshape(-1) - later[1:]).max(), channels * walk.x_bytes)


def _same_channels(walk: Walk) -> bool:
    """Say whether a depthwise layer's pixels are whole and equally large, so that a channel only meets itself."""
    channels = walk.channels[0]
    alike = channels == walk.channels[1] == walk.groups and walk.x_bytes == walk.y_bytes
    return (
        alike and (walk.x[0], walk.y[0]) == (1, 1) and not any(step % channels for step in (*walk.x[1:], *walk.y[1:]))
    )
