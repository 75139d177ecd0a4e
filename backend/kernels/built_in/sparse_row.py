"""Kernel "sparse_row": one row, whose inputs equal to `skip` are not multiplied."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import numpy as np

from htvm.dialects import row_weights

from ..elements import Array
from ..rows import skipping, takes_bytes_in_fours
from ..spec import ConstantArray, KernelCall, KernelSpec, Linear, Macro, Plan, Site, row_fields

CHANNELS = 16
"""Output channels of a block."""


def plans(linear: Linear) -> Iterator[Plan]:
    if linear.skip is not None and takes_bytes_in_fours(linear):
        yield sparse_row(linear, linear.skip)


def sparse_row(linear: Linear, skip: int) -> Plan:
    """Blocks of 16 channels, see htvm_sparse_row.h: 51 instructions for a tap, 2 for one that is skipped."""
    blocks = ceil(len(linear.weights) / CHANNELS)
    instructions, worst = skipping(blocks * linear.taps, tap=51)
    around = 3 * blocks * linear.taps // row_weights.UNIT + 30 * blocks + 14 * linear.outputs
    data_bytes = blocks * CHANNELS * linear.taps
    return Plan("sparse_row", instructions + around, data_bytes, skip=skip, worst=worst + around)


def sparse_weights(weights: Array) -> Array:
    """Return weights [K, taps] in the order of htvm_sparse_row.h: [block of 16][tap][16], filled up with zeros."""
    padded = np.pad(weights, [(0, -len(weights) % CHANNELS), (0, 0)])
    return padded.reshape(-1, CHANNELS, weights.shape[1]).transpose(0, 2, 1).reshape(-1)


def call(site: Site) -> KernelCall:
    assert site.skip is not None, "verified: the kernel takes it"
    rows = site.weights.reshape(len(site.weights), -1)
    return KernelCall(
        fields=row_fields(site),
        arrays=(ConstantArray("weights", "int8_t", sparse_weights(rows)),),
        requant=site.requant.counted_from(site.skip, rows.sum(axis=1, dtype=np.int64)),
        struct="htvm_sparse_row_layer",
        macro=Macro("SPARSE_ROW", (site.x, site.y, site.requant.form)),
    )


KERNEL = KernelSpec(
    name="sparse_row", header="htvm_sparse_row.h", skip=True, plans=plans, call=call, code_bytes=1600, stack_bytes=192
)
