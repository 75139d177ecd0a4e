"""The tile that HTVM's tiler, DORY, takes for a layer: what improvements are measured against.

DORY maximises a weighted sum: full lanes of the array first, then few and long transfers, then full memories. It takes
no time into account, leaves padding out of its budget, and stops at the whole layer if that fits. Facts and weights:
pulp-platform/dory, Hardware_targets/Diana, Tiler/tiler_conv2d.py and tiler_add.py, at the version HTVM pins.

Differences: tiles that would not fit with their padding are not taken (DORY's would overrun the memory); channels of
a depthwise layer are launched one at a time, as its library does, but as many as fill the lanes where channels are
innermost in its result, of which one has gaps; sums are not cut.
"""

from __future__ import annotations

from htvm.backend.targets.jobs import Layout
from htvm.dialects.accel import JobKind

from .tiles import Tile, Tiling, balanced
from .tiling import Choice, Search

LANES = 16
"""Output channels and columns that the array takes at once; also the outputs of a tile of one pixel."""


def choose(search: Search) -> Choice | None:
    """Return DORY's tiling with its predicted time; None if none fits."""
    tiling = whole(search) or max(fitting(search), key=lambda each: value(search, each), default=None)
    if tiling is None:
        return None
    return Choice(search.with_buffers(tiling), search.cycles(tiling), search.bound(tiling))


def tile(search: Search, outputs: int, rows: int, columns: int) -> Tiling:
    """Return a tiling in HTVM's way: all passes through, one command at a time, one channel of a depthwise layer."""
    return Tiling(
        outputs,
        rows,
        columns,
        loads=True,
        stores=True,
        launch_outputs=1 if search.job.groups > 1 and search.job.layout == Layout.NCHW else 0,
        blocking=True,
    )


def whole(search: Search) -> Tiling | None:
    """Return the tiling of one tile if it needs no other: it fits, and is not one pixel with many outputs."""
    job = search.job
    single = tile(search, job.outputs, *job.out_size)
    is_row = job.kind == JobKind.DENSE and job.outputs > LANES
    return single if not is_row and fits(search, single) else None


def fits(search: Search, tiling: Tiling) -> bool:
    """Say whether a tiling's largest tile fits, and its weights do; and whether each tile can be launched, and reads
    some of the map.
    """
    if (tiling.launch_outputs or tiling.outputs) > search.engine.most_outputs(search.job):
        return False
    if not search.is_cut_inside(tiling.rows, tiling.columns):
        return False
    return search.fits(tiling) and search.weights_of_a_tile(tiling) <= search.room_for_weights(tiling)


def fitting(search: Search) -> list[Tiling]:
    """Return the tilings of DORY's first attempt that has a solution: full maps, full rows, any size."""
    job, (height, width) = search.job, search.job.out_size
    outputs = range(1, min(LANES if job.kind == JobKind.DENSE else job.outputs, job.outputs) + 1)
    all_rows = range(1, height + 1)
    for rows, columns in (([height], [width]), (all_rows, [width]), (all_rows, balanced(width))):
        found = [tile(search, k, r, c) for k in outputs for r in rows for c in columns]
        found = [each for each in found if fits(search, each)]
        if found:
            return found
    return []


def value(search: Search, tiling: Tiling) -> int:
    """Return DORY's objective."""
    k, r, c, size = tiling.outputs, tiling.rows, tiling.columns, sum(search.map_bytes(tiling).values())
    job = search.job
    if job.kind == JobKind.ADD:
        return 10**6 * size + 1000 * k + 10 * c + r
    if job.kind == JobKind.MATVEC:
        return 10**8 * ((job.channels - 1) % 128 + (k - 1) % 512) + size
    full_channels = (k - 1) % LANES if job.groups == 1 else 0
    lanes = 10**6 * ((c - 1) % LANES + full_channels + (c * r >= LANES))
    weights = search.cost(Tile.of(job, (0, k), (0, r), (0, c)), tiling).weight_bytes
    return lanes + 10**6 * c + 10**5 * k + size + weights
