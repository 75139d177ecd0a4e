"""Kernel "packed": windows of six pixels are collected, two pixels share a multiplication (packed_weights.py)."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import numpy as np

from htvm.dialects import packed_weights
from htvm.dialects.packed_weights import CHANNELS, PIXELS, WORDS

from ..elements import Array
from ..spec import (
    RANGES,
    ConstantArray,
    KernelCall,
    KernelSpec,
    Linear,
    Macro,
    Plan,
    Site,
    Window,
    is_depthwise,
    linear_fields,
)
from ..trails import Trail, Walk, in_steps, pixels


def plans(linear: Linear) -> Iterator[Plan]:
    """Yield a plan for each number of taps that are added up before the sums of two pixels are taken apart."""
    if not is_depthwise(linear) and linear.has_bytes and linear.pixels >= PIXELS:
        for unit in packed_weights.UNITS:
            yield packed(linear, unit)


def packed(linear: Linear, unit: int) -> Plan:
    """Blocks of 2 channels of 6 pixels, see htvm_packed.h.

    A run of u taps takes 17 u + 18 + 3 instructions; a tap of a list 22, a list 40; a block 165 for its 12 outputs.
    Collecting takes 3 for each tap of a window, 4 where lines are short, 15 for each of them, and 57 around them.
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
    multiplying = pair_blocks * (runs * (17 * unit + 21) + 165) + 40 * lists + 22 * listed_taps
    lines = linear.weights.shape[2] * (1 if linear.x[0] == 1 else linear.weights.shape[1])
    if linear.x[0] == 1 and not linear.is_inside:
        lines *= linear.weights.shape[3]
    collecting = PIXELS * linear.groups * (3.5 * linear.taps + 15 * lines + 57)
    six = linear.batch * ceil(linear.pixels / PIXELS)
    return Plan(
        "packed",
        int(six * (multiplying + collecting)),
        sum(each.size_bytes for each in found),
        scratch_bytes=4 * WORDS * max(runs * unit, linear.taps),
        run=unit,
    )


def window_order(weights: Array, groups: int, channels_are_neighbours: bool) -> Array:
    """Return weights [K, C, R, S] as [group, K, tap], taps in the order in which htvm_packed.h collects a window."""
    ordered = weights.transpose(0, 2, 3, 1) if channels_are_neighbours else weights
    return ordered.reshape(groups, len(weights) // groups, -1)


def call(site: Site) -> KernelCall:
    assert site.run is not None, "verified: the kernel takes it"
    limits, conv = np.iinfo(site.x.numpy), site.conv
    groups = [
        packed_weights.pack_weights(group, site.run, int(limits.min), int(limits.max))
        for group in window_order(site.weights, conv.groups, conv.x[1] == 1)
    ]
    dense = np.concatenate([group.dense.reshape(-1) for group in groups])
    return KernelCall(
        fields=linear_fields(site.conv, site.requant) | {"unit runs": (site.run, groups[0].runs)},
        arrays=(
            ConstantArray("weights", "int8_t", dense),
            ConstantArray("rest", "uint8_t", np.concatenate([group.rest for group in groups])),
        ),
        requant=site.requant,
        struct="htvm_packed_layer",
        macro=Macro("PACKED", (site.x, site.y, site.requant.form)),
        helpers=(Macro("PACK_WINDOWS", (site.x,)),),
        window=Window.WORDS,
    )


def six_at_a_time(walk: Walk) -> np.ndarray:
    return pixels(walk) // PIXELS


def trail(walk: Walk) -> Trail | None:
    """Return the trail; the last six pixels end where the feature map does."""
    return in_steps(walk, six_at_a_time(walk), is_held=walk.groups > 1, read_again=PIXELS)


KERNEL = KernelSpec(
    name="packed",
    least_pixels=PIXELS,
    header="htvm_packed.h",
    run=True,
    plans=plans,
    call=call,
    trail=trail,
    code_bytes=2300,
    stack_bytes=320,
)
