"""What each host kernel would need for a conv2d or dense layer: instructions, constants, scratch memory.

Instructions are estimates: the inner loops, counted in what gcc and clang make of the kernels at -O3, and a constant
for what is around them. They need to be right in comparison only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, prod

import numpy as np

from htvm.dialects import accel, packed_weights
from htvm.dialects.packed_weights import CHANNELS, PIXELS, WORDS

from . import layout

RANGES = {"i8": (-128, 127), "ui8": (0, 255)}
"""Inputs that the packed kernel takes, and which values they can have."""


@dataclass(frozen=True)
class Linear:
    """A conv2d layer, or a dense one: then each row is a pixel.

    weights: [K, C, R, S]. pixels: of one image. x: strides (C, H, W) of the input; (1, ..) if dense.
    """

    weights: np.ndarray
    groups: int
    batch: int
    pixels: int
    in_type: str
    weights_type: str
    strides: tuple[int, int]
    dilations: tuple[int, int]
    is_inside: bool
    fits_depthwise_3x3: bool
    x: tuple[int, int, int]
    activation_bytes: int

    @property
    def taps(self) -> int:
        return prod(self.weights.shape[1:])

    @property
    def out_channels(self) -> int:
        """Of one group."""
        return len(self.weights) // self.groups

    @property
    def outputs(self) -> int:
        return self.batch * self.pixels * len(self.weights)

    @property
    def has_bytes(self) -> bool:
        """Whether inputs and weights have 8 bits, as kernels want them that put two products in a word."""
        return self.in_type in RANGES and self.weights_type == "i8"

    @property
    def is_row(self) -> bool:
        """Whether the layer is one row times a matrix."""
        return self.batch == self.pixels == 1 and self.taps == self.weights.shape[1]

    @property
    def windows_are_rows(self) -> bool:
        """Whether each row of a window is one run of neighbouring elements, so that it can be read in place."""
        _, channels, _, columns = self.weights.shape
        x_c, _, x_w = self.x
        one_run = channels == 1 or x_c == 1
        gapless = columns == 1 or (x_w == channels and self.dilations[1] == 1)
        return self.groups == 1 and one_run and gapless


@dataclass(frozen=True)
class Plan:
    """A kernel for a layer, and what it costs. data_bytes: of weights, in its order."""

    kernel: str
    instructions: int
    data_bytes: int
    scratch_bytes: int = 0
    run: int | None = None


def read(layer: accel.Conv2dOp | accel.DenseOp) -> Linear:
    """Return the facts of a layer on tensors."""
    x, y = layer.input.type, layer.result.type
    weights = np.array(layer.weights.owner.value)
    common = {
        "in_type": str(x.element_type),
        "weights_type": str(layer.weights.type.element_type),
        "activation_bytes": layout.size_bytes(x) + layout.size_bytes(y),
    }
    if isinstance(layer, accel.DenseOp):
        return Linear(
            weights=weights[:, :, None, None],
            groups=1,
            batch=1,
            pixels=prod(y.shape[:-1]),
            strides=(1, 1),
            dilations=(1, 1),
            is_inside=True,
            fits_depthwise_3x3=False,
            x=(layout.strides(x)[-1], 0, 0),
            **common,
        )
    strides, dilations, pads = tuple(layer.strides), tuple(layer.dilations), tuple(layer.pads)
    kernel = tuple(weights.shape[2:])
    small = kernel == (3, 3) and strides in ((1, 1), (2, 2)) and dilations == (1, 1)
    return Linear(
        weights=weights,
        groups=layer.groups.value,
        batch=x.shape[0],
        pixels=prod(y.shape[2:]),
        strides=strides,
        dilations=dilations,
        is_inside=not any(pads),
        fits_depthwise_3x3=small and max(pads) <= 1,
        x=tuple(layout.strides(x)[1:]),
        **common,
    )


def plans(linear: Linear, most_data_bytes: float) -> Iterator[Plan]:
    """Yield the ways to compute a layer; the first one takes any.

    Widening weights takes long, so it is not tried where its words alone, 4 bytes for two weights, are too much.
    """
    if linear.groups > 1 and linear.weights.shape[1] == 1:
        yield Plan("depthwise", 30 * linear.taps * linear.outputs, linear.weights.nbytes)
        if linear.fits_depthwise_3x3:
            yield Plan("depthwise_3x3", 4 * linear.taps * linear.outputs, linear.weights.nbytes)
        return
    yield collected(linear)
    if linear.windows_are_rows:
        yield in_place(linear)
        if linear.is_row:
            yield row(linear)
            fits = 2 * linear.weights.size <= most_data_bytes
            if fits and linear.has_bytes and linear.taps % packed_weights.WIDE_UNIT == 0:
                yield wide_row(linear)
    if linear.has_bytes and linear.pixels >= PIXELS:
        for unit in packed_weights.UNITS:
            yield packed(linear, unit)


def scalar_blocks(linear: Linear) -> int:
    """Return the number of blocks of 8 outputs."""
    return linear.batch * linear.groups * ceil(linear.pixels * ceil(linear.out_channels / 4) / 2)


def in_place(linear: Linear) -> Plan:
    """Blocks of 8 outputs: 4 channels of 2 pixels, or 8 of 1. 22 instructions for a tap, 10 for a row of a window."""
    rows = linear.weights.shape[2]
    instructions = scalar_blocks(linear) * (22 * linear.taps + 10 * rows) + 12 * linear.outputs
    return Plan("in_place", instructions, linear.weights.nbytes)


def row(linear: Linear) -> Plan:
    """As in_place, without anything that only maps need."""
    return Plan("row", scalar_blocks(linear) * 22 * linear.taps + 12 * linear.outputs, linear.weights.nbytes)


def collected(linear: Linear) -> Plan:
    """As in_place, after windows were copied: 6 instructions for a tap, 10 for a row."""
    windows = linear.batch * linear.groups * linear.pixels
    rows = linear.taps // linear.weights.shape[3]
    collecting = windows * (6 * linear.taps + 10 * rows)
    element_bytes = 2 if linear.in_type == "i16" else 1
    return Plan(
        "collected",
        scalar_blocks(linear) * 22 * linear.taps + 12 * linear.outputs + collecting,
        linear.weights.nbytes,
        scratch_bytes=2 * linear.taps * element_bytes,
    )


def wide_row(linear: Linear) -> Plan:
    """Blocks of 8 channels, see htvm_wide_row.h: 13 instructions for a tap, 3 for each 8 taps."""
    blocks = packed_weights.widen_weights(linear.weights.reshape(-1, linear.taps), *RANGES[linear.in_type])
    multiplying = len(blocks) * (linear.taps * (13 + 3 / 8) + 30) + sum(each.extra_instructions for each in blocks)
    data_bytes = sum(each.size_bytes for each in blocks)
    return Plan("wide_row", int(multiplying) + 12 * linear.outputs, data_bytes)


def packed(linear: Linear, unit: int) -> Plan:
    """Blocks of 2 channels of 6 pixels, see htvm_packed.h.

    A run of u taps takes 17 u + 18 + 3 instructions; a tap of a list 22, a list 40; a block 130 for its 12 outputs.
    Collecting takes 3 for each tap of a window, 4 where lines are short, and 15 for each of them.
    """
    low, high = RANGES[linear.in_type]
    weights = linear.weights
    if linear.x[0] == 1:
        weights = weights.transpose(0, 2, 3, 1)
    groups = weights.reshape(linear.groups, linear.out_channels, linear.taps)
    found = [packed_weights.pack_weights(group, unit, low, high) for group in groups]
    lists = sum(len(runs) for each in found for runs in each.lists)
    listed_taps = sum(len(run) for each in found for runs in each.lists for run in runs)
    runs = found[0].runs
    pair_blocks = linear.groups * ceil(linear.out_channels / CHANNELS)
    multiplying = pair_blocks * (runs * (17 * unit + 21) + 130) + 40 * lists + 22 * listed_taps
    lines = linear.weights.shape[2] * (1 if linear.x[0] == 1 else linear.weights.shape[1])
    if linear.x[0] == 1 and not linear.is_inside:
        lines *= linear.weights.shape[3]
    collecting = PIXELS * linear.groups * (3.5 * linear.taps + 15 * lines + 30)
    six = linear.batch * ceil(linear.pixels / PIXELS)
    return Plan(
        "packed",
        int(six * (multiplying + collecting)),
        sum(each.size_bytes for each in found),
        scratch_bytes=4 * WORDS * max(runs * unit, linear.taps),
        run=unit,
    )
