"""What the kernels of htvm_conv2d.h share: blocks of 8 outputs, one multiplication for each product."""

from __future__ import annotations

from math import ceil

import numpy as np

from .elements import Array
from .spec import ConstantArray, KernelCall, Linear, Macro, Site, Window, linear_fields

BLOCK = 4
"""Output channels whose weights lie together."""

CODE_BYTES, STACK_BYTES = 4400, 560


def scalar_steps(linear: Linear) -> tuple[int, int]:
    """Return how often all channels of two neighbouring pixels are computed, and how often those of one."""
    rows, columns = (1, linear.pixels) if linear.is_pointwise or linear.op == "dense" else linear.size
    lines = linear.batch * linear.groups * rows
    return lines * (columns // 2), lines * (columns % 2)


def scalar_instructions(linear: Linear, row: int, step: int, output: int) -> int:
    """Return the instructions of a layer: for a tap of 8 outputs, a row of their windows, a step and an output.

    A tap takes 22 for 4 channels of 2 pixels, 26 for 8 of 1, 17 where there are no more than 4.
    """
    pairs, singles = scalar_steps(linear)
    pair_blocks, single_blocks = pairs * ceil(linear.out_channels / 4), singles * ceil(linear.out_channels / 8)
    single_tap = 26 if linear.out_channels > BLOCK else 17
    multiplying = (22 * pair_blocks + single_tap * single_blocks) * linear.taps
    return multiplying + row * (pair_blocks + single_blocks) + step * (pairs + singles) + output * linear.outputs


def conv2d_weights(weights: Array, groups: int, collected: bool) -> Array:
    """Return weights [K, C, R, S] in the order of htvm_conv2d.h.

    In blocks of 4 output channels of a group, the last one filled up with zeros: [group][block][r][s][c][4], or
    [group][block][c][r][s][4] where windows are collected.
    """
    k, c, r, s = weights.shape
    per_group = weights.reshape(groups, k // groups, c, r, s)
    missing = -per_group.shape[1] % BLOCK
    padded = np.pad(per_group, [(0, 0), (0, missing), (0, 0), (0, 0), (0, 0)])
    blocks = padded.reshape(groups, -1, BLOCK, c, r, s)
    order = (0, 1, 3, 4, 5, 2) if collected else (0, 1, 4, 5, 3, 2)
    return blocks.transpose(order).reshape(-1)


def conv2d_call(site: Site, is_collected: bool) -> KernelCall:
    """Return the call of HTVM_DEFINE_CONV2D's function, which collects windows if it has scratch memory."""
    return KernelCall(
        fields=linear_fields(site.conv, site.requant),
        arrays=(ConstantArray("weights", site.w.c, conv2d_weights(site.weights, site.conv.groups, is_collected)),),
        requant=site.requant,
        macro=Macro("CONV2D", (site.x, site.w, site.y, site.requant.form)),
        window=Window.BYTES if is_collected else Window.NULL,
    )
