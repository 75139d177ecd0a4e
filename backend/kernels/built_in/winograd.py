"""Kernel "winograd": tiles of 4x4 outputs of a 3x3 kernel, with a quarter of the multiplications."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, prod

import numpy as np

from htvm.dialects import winograd_weights

from ..requant import requant_fields
from ..spec import RANGES, ConstantArray, KernelCall, KernelSpec, Linear, Macro, Plan, Site, Window, is_depthwise
from ..trails import Trail, Walk, in_steps


def plans(linear: Linear) -> Iterator[Plan]:
    if not is_depthwise(linear) and fits_winograd(linear):
        yield winograd(linear)


def fits_winograd(linear: Linear) -> bool:
    """Say whether htvm_winograd.h computes a layer, and all its sums are exact."""
    is_3x3 = linear.weights.shape[2:] == (3, 3) and linear.strides == linear.dilations == (1, 1)
    neighbours = linear.x[0] == 1 and linear.groups == 1
    fits = is_3x3 and neighbours and linear.has_bytes
    return fits and winograd_weights.sums_fit(linear.weights, *RANGES[linear.in_type])


def winograd(linear: Linear) -> Plan:
    """Blocks of 4 tiles of 4x4 outputs, see htvm_winograd.h.

    An input channel of a tile takes 12 transforms of 35 instructions, 4 output channels of a block 36 points of 40 for
    an input channel and 44 around them, an output channel of a tile 430 for its 16 outputs.
    """
    out_channels, in_channels = linear.weights.shape[:2]
    tiles = linear.batch * prod(ceil(side / winograd_weights.TILE) for side in linear.size)
    blocks = linear.batch * ceil(tiles // linear.batch / winograd_weights.TILES)
    points = blocks * ceil(out_channels / winograd_weights.CHANNELS) * winograd_weights.POINTS
    around = tiles * (420 * in_channels + 460 * out_channels + 600)
    return Plan(
        "winograd",
        points * (41 * winograd_weights.padded(in_channels) + 44) + around,
        winograd_weights.size_bytes(out_channels, in_channels),
        scratch_bytes=winograd_weights.scratch_bytes(in_channels, 1),
    )


def call(site: Site) -> KernelCall:
    conv = site.conv
    return KernelCall(
        fields={
            "in_channels channels out_channels": (
                conv.channels,
                winograd_weights.padded(conv.channels),
                conv.out_channels,
            ),
            "in_height in_width": (conv.height, conv.width),
            "out_height out_width": (conv.out_height, conv.out_width),
            "pad_top pad_left pad_value": (conv.pad_top, conv.pad_left, conv.pad_value),
            "x_h x_w": conv.x[2:],
            "y_c y_h y_w": conv.y[1:],
            "requant": requant_fields(site.requant),
        },
        arrays=(ConstantArray("weights", "int16_t", winograd_weights.transformed(site.weights)),),
        requant=site.requant,
        struct="htvm_winograd_layer",
        macro=Macro("WINOGRAD", (site.x, site.y, site.requant.form)),
        helpers=(Macro("WINOGRAD_BLOCKS", (site.x,)),),
        window=Window.BYTES,
    )


def tiles(walk: Walk) -> np.ndarray:
    """Return the block of four tiles that each pixel is in, tiles counted row by row."""
    across = ceil(walk.out_size[1] / winograd_weights.TILE)
    rows, columns = np.indices(walk.out_size) // winograd_weights.TILE
    return (rows * across + columns) // winograd_weights.TILES


def trail(walk: Walk) -> Trail | None:
    return in_steps(walk, tiles(walk), is_held=False)


KERNEL = KernelSpec(
    name="winograd",
    least_pixels=1,
    header="htvm_winograd.h",
    plans=plans,
    call=call,
    trail=trail,
    code_bytes=3200,
    stack_bytes=496,
)
