"""Kernels "quad_row" and "wide_row": one row, two channels share a multiplication (row_weights.py).

The weights of two channels are in bytes or in words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial

import numpy as np

from htvm.dialects import row_weights
from htvm.dialects.row_weights import UNIT, RowBlock

from ..elements import Array
from ..rows import skipping, takes_bytes_in_fours
from ..spec import RANGES, ConstantArray, KernelCall, KernelSpec, Linear, Macro, Plan, Site, row_fields

LEAST_FITTING = 7 / 8
"""What part of its units must fit for a row to be cut into runs: with an excess in each unit of a block, nothing is
left of the gain."""


def plans(linear: Linear, kernel: str, tap: int, run: int) -> Iterator[Plan]:
    """Yield the plans of a kernel: for all inputs, and for those that are not `skip`."""
    for skip in (None,) if linear.skip is None else (None, linear.skip):
        if blocks := blocks_of(linear, skip):
            yield paired_row(linear, kernel, blocks, skip, tap, run)


@lru_cache(maxsize=4)
def blocks_of(linear: Linear, skip: int | None) -> Sequence[row_weights.RowBlock]:
    """Return the weights of a layer in runs; none where they are too large for most of them.

    Their excess would take longer than they save.
    """
    if not takes_bytes_in_fours(linear):
        return []
    rows = linear.weights.reshape(-1, linear.taps)
    low, high = (end - (skip or 0) for end in RANGES[linear.in_type])
    if row_weights.share_that_fits(rows, low, high) < LEAST_FITTING:
        return []
    blocks = row_weights.row_blocks(rows, low, high)
    return [] if max(len(block.excess) for block in blocks) > row_weights.MOST_EXCESS else blocks


def paired_row(
    linear: Linear, kernel: str, blocks: Sequence[row_weights.RowBlock], skip: int | None, tap: int, run: int
) -> Plan:
    """Blocks of 8 channels, see htvm_paired_row.h: `tap` instructions for a tap, `run` for the end of a run.

    16 for a weight that is too large for its run, 10 for a block, 110 for the layer; 2 more for a tap where some are
    skipped, 2 for those.
    """
    taps = len(blocks) * linear.taps
    instructions, worst = (tap * taps,) * 2 if skip is None else skipping(taps, tap + 2)
    ends = sum(run * len(each.runs) + 16 * len(each.excess) + 10 for each in blocks)
    around = 3 * taps // row_weights.UNIT + ends + 16 * linear.outputs + 110
    weight_bytes = row_weights.CHANNELS * taps * (2 if kernel == "wide_row" else 1)
    data_bytes = weight_bytes + sum(each.side_bytes for each in blocks)
    return Plan(kernel, instructions + around, data_bytes, skip=skip, worst=worst + around)


def run_lengths(blocks: Sequence[RowBlock]) -> Array:
    """Return the units of each run, block after block, as htvm_paired_row.h reads them."""
    return np.array([run // UNIT for block in blocks for run in block.runs], np.uint8)


def excess_entries(blocks: Sequence[RowBlock]) -> list[tuple[int, int, int]]:
    """Return the entries of htvm_excess for each block: a head, and what its runs cannot hold."""
    return [entry for block in blocks for entry in ((len(block.excess), 0, 0), *block.excess)]


def call(site: Site, word_form: str) -> KernelCall:
    skips, skip = (0, 0) if site.skip is None else (1, site.skip)
    limits, rows = np.iinfo(site.x.numpy), site.weights.reshape(len(site.weights), -1)
    blocks = row_weights.row_blocks(rows, int(limits.min) - skip, int(limits.max) - skip)
    words = [block.words if word_form == "WORDS" else block.quads for block in blocks]
    return KernelCall(
        fields=row_fields(site),
        arrays=(
            ConstantArray("words", "uint32_t", np.concatenate(words).reshape(-1)),
            ConstantArray("runs", "uint8_t", run_lengths(blocks)),
            ConstantArray("excess", "htvm_excess", excess_entries(blocks), row_weights.EXCESS_BYTES),
        ),
        requant=site.requant.counted_from(skip, rows.sum(axis=1, dtype=np.int64)),
        struct="htvm_paired_row_layer",
        macro=Macro("PAIRED_ROW", (word_form, skips, site.x, site.y, site.requant.form)),
    )


QUAD_ROW = KernelSpec(
    name="quad_row",
    header="htvm_paired_row.h",
    skip=None,
    plans=partial(plans, kernel="quad_row", tap=16, run=43),
    call=partial(call, word_form="QUADS"),
    code_bytes=900,
    stack_bytes=144,
)

WIDE_ROW = KernelSpec(
    name="wide_row",
    header="htvm_paired_row.h",
    skip=None,
    plans=partial(plans, kernel="wide_row", tap=13, run=26),
    call=partial(call, word_form="WORDS"),
    code_bytes=900,
    stack_bytes=144,
)
