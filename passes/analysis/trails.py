"""How far a layer's writes stay behind its reads, so that its output may lie over an operand.

An element-wise layer may replace an operand exactly where it is (in_place.py). How far the writes of a convolution stay
behind its reads, the description of its kernel says, of a pool backend/kernels/trails.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from mlir import ir
from mlir.dialects import scf

import htvm.backend.kernels as kernels
from htvm.backend.kernels.trails import Trail, Walk, of_pool
from htvm.backend.targets.soc import HOST
from htvm.dialects import accel

from . import activations, in_place, layout
from .actions import whole
from .packing import IN_PLACE

LAUNCH_TRAIL = "accel.trail"
"""Of a launch: distance and multiple of a Trail, in bytes."""


def trails(layer: accel.Layer) -> dict[ir.Value, Trail]:
    """Return the operands that the output of a layer may lie over, if nothing reads them afterwards, and how."""
    kernel = layer.kernel if isinstance(layer, accel.Conv2dOp | accel.DenseOp) else None
    return trails_by(layer, None if kernel is None else kernel.value)


def trails_by(layer: accel.Layer, kernel: str | None) -> dict[ir.Value, Trail]:
    """Return the same for a conv2d or dense layer by a kernel that it may not have yet; None if that is not known."""
    replaced = accel.attribute(layer, accel.HOST_KERNEL, ir.StringAttr)
    if replaced is not None and not kernels.found(replaced.value).in_place:
        return {}
    found = dict.fromkeys(in_place.overwritable(layer), IN_PLACE)
    if isinstance(layer, accel.Conv2dOp | accel.DenseOp) and kernel is not None:
        trail = linear_trail(layer, kernel)
        if trail is not None:
            found[layer.input] = trail
    elif isinstance(layer, accel.Pool2dOp) and replaced is None and is_one_image(layer):
        trail = of_pool(walk_of(layer))
        if trail is not None:
            found[layer.input] = trail
    return found


def trails_of_buffers(layer: accel.Layer) -> dict[ir.Value, Trail]:
    """Return the trails of a layer on memrefs between what its output and its operands are parts of, by the latter."""
    written_at = layout.offset_bytes(accel.output(layer).type)
    return {
        whole(value): trail.of_parts(layout.offset_bytes(value.type), written_at)
        for value, trail in trails(layer).items()
    }


def write_trail(launch: accel.LaunchOp, trail: Trail) -> None:
    """Write on a launch how far its output may begin before its only input, in the memory of both."""
    launch.attributes[LAUNCH_TRAIL] = ir.DenseI64ArrayAttr.get([trail.distance, trail.multiple])


def trail_of_launch(launch: accel.LaunchOp) -> Trail | None:
    """Return that trail between the buffers that input and output are parts of; None if they must be apart.

    In a loop, where a buffer is that of another time round too, they are.
    """
    written = accel.attribute(launch, LAUNCH_TRAIL, ir.DenseI64ArrayAttr)
    if (
        written is None
        or len(launch.inputs) != 1
        or isinstance(accel.present(launch.operation.parent, "parent").opview, scf.ForOp)
    ):
        return None
    distance, multiple = written
    (x,) = launch.inputs
    trail = Trail(distance, multiple)
    return trail.of_parts(layout.offset_bytes(x.type), layout.offset_bytes(launch.out.type))


def shared_bytes(layer: accel.Layer, found: Mapping[ir.Value, Trail]) -> dict[ir.Value, int]:
    """Return for each operand with a trail how many bytes the layer's output can share with it, if nothing reads it
    afterwards. Nothing takes exactly the place of an argument."""
    output_bytes = layout.size_bytes(accel.output(layer).type)
    return {
        value: trail.saved(layout.size_bytes(value.type), output_bytes)
        for value, trail in found.items()
        if trail is not IN_PLACE or not activations.is_argument(value)
    }


def linear_trail(layer: accel.Conv2dOp | accel.DenseOp, kernel: str) -> Trail | None:
    """Return the trail of a conv2d or dense layer on the host by a kernel; None if it must not overlap its input."""
    if layer.input == layer.weights:
        return None
    if isinstance(layer, accel.DenseOp):
        return kernels.found(kernel).trail_of(walk_of_rows(layer)) if has_rows(layer) else None
    return kernels.found(kernel).trail_of(walk_of(layer)) if is_one_image(layer) else None


def is_one_image(layer: accel.Conv2dOp | accel.Pool2dOp) -> bool:
    """Say whether the host computes a layer, on one image."""
    return layer.input.type.shape[0] == 1 and layer.engine is not None and accel.engine(layer) == HOST


def has_rows(layer: accel.DenseOp) -> bool:
    """Say whether the host computes a dense layer, whose rows lie one after the other."""
    maps = (layer.input.type, accel.output(layer).type)
    return layer.engine is not None and accel.engine(layer) == HOST and all(map(layout.is_row_major, maps))


def walk_of_rows(layer: accel.DenseOp) -> Walk:
    """Return the walk of a dense layer: a map of one row whose pixels are the rows of the matrix."""
    x, y = layer.input.type, accel.output(layer).type
    channels, outputs, rows = x.shape[-1], y.shape[-1], prod(x.shape[:-1])
    strides = ((1, rows * channels, channels), (1, rows * outputs, outputs))
    one, none = (1, 1), (0, 0)
    sizes = layout.element_bytes(x), layout.element_bytes(y)
    return Walk(1, (channels, outputs), (1, rows), (1, rows), one, one, one, none, *strides, *sizes)


def walk_of(layer: accel.Conv2dOp | accel.Pool2dOp) -> Walk:
    """Return the walk of a layer of one image."""
    x, y, pads = layer.input.type, accel.output(layer).type, layer.pads
    if isinstance(layer, accel.Pool2dOp):
        groups, window, dilations = x.shape[1], layer.kernel, layer.dilations or (1, 1)
    else:
        groups, window, dilations = layer.groups.value, layer.weights.type.shape[2:], layer.dilations
    (rows, columns), (down, across), (step, beside) = window, layer.strides, dilations
    return Walk(
        groups,
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
