"""How far a layer's writes stay behind its reads, so that its output may lie over an operand.

An element-wise layer may replace an operand exactly where it is (in_place.py). How far the writes of a convolution stay
behind its reads, the description of its kernel says (backend/kernels).
"""

from __future__ import annotations

from collections.abc import Mapping

from mlir import ir

import htvm.backend.kernels as kernels
from htvm.backend.kernels.trails import Trail, Walk
from htvm.backend.targets.soc import HOST
from htvm.dialects import accel

from . import activations, in_place, layout
from .actions import whole
from .packing import IN_PLACE


def trails(layer: accel.Layer) -> dict[ir.Value, Trail]:
    """Return the operands that the output of a layer may lie over, if nothing reads them afterwards, and how."""
    kernel = layer.kernel if isinstance(layer, accel.Conv2dOp) else None
    return trails_by(layer, None if kernel is None else kernel.value)


def trails_by(layer: accel.Layer, kernel: str | None) -> dict[ir.Value, Trail]:
    """Return the same for a convolution by a kernel that it may not have yet; None if that is not known."""
    replaced = accel.attribute(layer, accel.HOST_KERNEL, ir.StringAttr)
    if replaced is not None and not kernels.found(replaced.value).in_place:
        return {}
    found = dict.fromkeys(in_place.overwritable(layer), IN_PLACE)
    if isinstance(layer, accel.Conv2dOp) and kernel is not None:
        trail = convolution_trail(layer, kernel)
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
    return kernels.found(kernel).trail_of(walk_of(layer))


def walk_of(layer: accel.Conv2dOp) -> Walk:
    """Return the walk of a layer of one image."""
    x, y = layer.input.type, accel.output(layer).type
    (_, _, *window), pads = layer.weights.type.shape, layer.pads
    (rows, columns), (down, across), (step, beside) = window, layer.strides, layer.dilations
    return Walk(
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
