"""Tilings: tiles put together are the layer, what they take is counted, and the fastest is found."""

import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise, product
from math import prod
from pathlib import Path

import numpy as np
import pytest
from mlir import ir

from htvm import dialects
from htvm.backend import targets
from htvm.backend.targets.engines import linear_ops
from htvm.backend.targets.jobs import Job, JobKind, Layout
from htvm.backend.targets.violations import AtMost, Bytes, Violation
from htvm.passes.analysis import htvm_tiling
from htvm.passes.analysis.layout import aligned
from htvm.passes.analysis.tiles import (
    MOST_OWN_BUFFERS,
    Tiling,
    balanced,
    pieces,
    ranges,
    tile_counts,
    tiles,
    weights_in_turn,
)
from htvm.passes.analysis.tiling import Search

TINY = targets.load(str(Path(__file__).parents[2] / "passes/targets/tiny_npu.py"))
NPU = TINY.engine("npu")


def conv(rng: random.Random, kernel: int, stride: int, channels: int = 3, outputs: int = 5, largest: int = 12) -> Job:
    """Return a convolution of a random map with random paddings, smaller than its kernel."""
    pads = tuple(rng.randint(0, kernel - 1) for _ in range(4))
    size = tuple(rng.randint(max(kernel - pads[axis] - pads[axis + 2], 1), largest) for axis in range(2))
    out = tuple((size[axis] + pads[axis] + pads[axis + 2] - kernel) // stride + 1 for axis in range(2))
    return Job(JobKind.CONV2D, channels, outputs, size, out, (kernel, kernel), (stride, stride), pads)


def searched(job: Job, room: int = TINY.memory("l1").size_bytes, **changes: object) -> Search:
    budgets = {"l1": room, "weights": TINY.memory("weights").size_bytes}
    return Search(TINY, NPU, job, "ram", budgets, **{"loads": True, "stores": True} | changes)


def map_bytes(search: Search, tiling: Tiling) -> int:
    """Return what the buffers of maps take of the engine's memory."""
    return search.map_bytes(tiling)["l1"]


JOBS = [conv(random.Random(number), 1 + 2 * (number % 4), 1 + number % 2, 4, 40) for number in range(6)] + [
    replace(conv(random.Random(7), 3, 1, 20, 20), groups=20),
    Job(JobKind.DENSE, 100, 40, (1, 1), (1, 1)),
    Job(JobKind.ADD, 12, 12, (9, 7), (9, 7)),
    replace(conv(random.Random(8), 3, 1, 4, 40), layout=Layout.NHWC),
]
PASSING = [(True, True), (True, False), (False, True), (False, False)]


def test_many_weights_pass_through_a_memory_in_as_many_buffers_as_tiles_differ() -> None:
    assert weights_in_turn([40] * MOST_OWN_BUFFERS) == 0, "each has its own"
    assert weights_in_turn([40] * 40) == 4
    assert weights_in_turn([60, 40, 40] * 8) == 6
    assert weights_in_turn([60, 40, 40, 40, 40, 40, 60] * 3) == 7
    assert weights_in_turn(list(range(40))) == 4


@pytest.mark.parametrize("stride", (1, 2))
@pytest.mark.parametrize("kernel", (1, 3, 5, 7))
def test_tiles_put_together_are_the_layer(kernel: int, stride: int) -> None:
    rng, numbers = random.Random(kernel), np.random.default_rng(kernel)
    for _ in range(12):
        job = conv(rng, kernel, stride)
        x = numbers.integers(-128, 128, (job.channels, *job.size))
        w = numbers.integers(-128, 128, (job.outputs, job.channels, *job.kernel))
        found = np.full((job.outputs, *job.out_size), 1 << 40)
        tiling = Tiling(rng.randint(1, 5), rng.randint(1, job.out_size[0]), rng.randint(1, job.out_size[1]))
        for tile in tiles(job, replace(tiling, outputs_first=rng.random() < 0.5)):
            part = x[slice(*tile.channels), slice(*tile.in_rows), slice(*tile.in_columns)]
            assert part.shape == (tile.job.channels, *tile.job.size)
            made = linear_ops.convolve(tile.job, part, w[slice(*tile.outputs)])
            found[slice(*tile.outputs), slice(*tile.rows), slice(*tile.columns)] = made
        np.testing.assert_array_equal(found, linear_ops.convolve(job, x, w))


@pytest.mark.parametrize("outputs_first", (True, False))
def test_the_outer_loop_is_the_one_that_is_named(outputs_first: bool) -> None:
    job = Job(JobKind.CONV2D, 2, 4, (4, 4), (4, 4))
    order = [(tile.outputs, tile.rows) for tile in tiles(job, Tiling(2, 2, 4, outputs_first=outputs_first))]
    pairs = product(ranges(4, 2), repeat=2)
    assert order == ([*pairs] if outputs_first else [(k, r) for r, k in pairs])


@pytest.mark.parametrize("size", (1, 2, 7, 16, 100))
def test_balanced_sizes_are_the_smallest_for_their_number_of_tiles(size: int) -> None:
    fewest = {-(-size // part): part for part in range(size, 0, -1)}
    assert balanced(size) == sorted(fewest.values(), reverse=True)


def test_tiles_are_counted_without_looking_at_each() -> None:
    rng = random.Random(1)
    for _ in range(60):
        job = conv(rng, rng.choice((1, 3, 5, 7)), rng.choice((1, 2)), largest=60)
        tiling = Tiling(rng.randint(1, 5), rng.randint(1, job.out_size[0]), rng.randint(1, job.out_size[1]))
        counted = {tile.job: count for tile, count in tile_counts(job, tiling)}
        assert counted == Counter(tile.job for tile in tiles(job, tiling)), (job, tiling)


def test_parts_of_the_channels_are_counted_and_are_all_of_them() -> None:
    rng = random.Random(2)
    for _ in range(60):
        job = conv(rng, rng.choice((1, 3)), rng.choice((1, 2)), largest=20)
        job = replace(job, channels=rng.randint(2, 40), groups=1)
        height, width = job.out_size
        tiling = Tiling(
            rng.randint(1, 5), rng.randint(1, height), rng.randint(1, width), channels=rng.randint(1, job.channels - 1)
        )
        every = list(tiles(job, tiling))
        assert {tile.job: count for tile, count in tile_counts(job, tiling)} == Counter(tile.job for tile in every)
        assert sum(tile.job.macs for tile in every) == job.macs
        for tile in every:
            assert (tile.job.adds, tile.job.keeps) == (tile.channels[0] > 0, tile.channels[1] < job.channels)
        for one, other in pairwise(every):
            if one.job.keeps:
                assert (one.outputs, one.rows, one.columns) == (other.outputs, other.rows, other.columns)
                assert other.job.adds and one.channels[1] == other.channels[0]


def test_padding_that_reaches_into_three_tiles_is_counted() -> None:
    job = Job(JobKind.CONV2D, 1, 1, (37, 14), (37, 13), (7, 7), (1, 1), (0, 2, 6, 3))
    counted = {tile.job: count for tile, count in tile_counts(job, Tiling(1, 4, 13))}
    assert counted == Counter(tile.job for tile in tiles(job, Tiling(1, 4, 13)))


@pytest.mark.parametrize("job", JOBS, ids=str)
def test_buffers_hold_the_largest_tile_with_all_it_reads(job: Job) -> None:
    for loads, stores in PASSING:
        search = searched(job, loads=loads, stores=stores)
        each = [map_bytes(search, Tiling(*sizes, loads, stores)) for sizes in search.sizes()]
        assert map_bytes(search, search.smallest()) == min(each)
        for tiling in search.fitting():
            every = [tile.job for tile in tiles(job, tiling)]
            inputs = (2 if job.kind == JobKind.ADD else 1) * max(part.input_bytes for part in every)
            outputs = max(part.output_bytes for part in every)
            one_of_each = loads * aligned(inputs) + stores * aligned(outputs)
            assert map_bytes(search, tiling) == one_of_each * tiling.buffers


@pytest.mark.parametrize("job", JOBS, ids=str)
def test_the_fastest_of_all_that_fit_is_found_and_no_bound_is_beaten(job: Job) -> None:
    for loads, stores in PASSING:
        search = searched(job, loads=loads, stores=stores, room=1200)
        times = {tiling: search.cycles(tiling) for tiling in search.fitting()}
        best = search.best()
        if best is None:
            assert not times
            continue
        assert best.cycles == min(times.values()) == times[replace(best.tiling, weight_buffers=0)]
        bounds = {tiling: search.bound(tiling) for tiling in times}
        assert all(bounds[tiling] <= times[tiling] for tiling in times)
        assert best.bound == min(bounds.values())


@pytest.mark.parametrize("job", JOBS, ids=str)
def test_what_fits_has_no_objection_and_more_buffers_or_rows_have(job: Job) -> None:
    search = searched(job, room=1200)
    for tiling in search.fitting():
        assert search.violation(tiling) is None
        assert search.pinned(tiling).cycles == search.cycles(tiling)
        assert search.violation(replace(tiling, rows=job.out_size[0] + 1)).subject == "rows"
        assert (
            str(search.violation(replace(tiling, loads=False))) == "loads: found false, wanted true: the map is in ram"
        )
        needed = map_bytes(search, tiling)
        small = searched(job, room=needed - 1)
        assert small.violation(tiling) == Violation("buffers", Bytes(needed), AtMost(Bytes(needed - 1, memory="l1")))
        assert small.pinned(tiling) is None


def test_a_map_that_stays_is_cut_along_its_outermost_axis_only() -> None:
    job = Job(JobKind.CONV2D, 4, 40, (8, 8), (8, 8))
    planar, pixels = searched(job, stores=False), searched(replace(job, layout=Layout.NHWC), stores=False)
    assert {(r, c) for _, r, c in planar.sizes()} == {(8, 8)}
    assert {(k, c) for k, _, c in pixels.sizes()} == {(40, 8)}
    assert len({k for k, *_ in planar.sizes()}) > 1 and len({r for _, r, _ in pixels.sizes()}) > 1


def test_an_operand_that_stays_beside_one_that_is_loaded_keeps_the_tiles_dense() -> None:
    job = Job(JobKind.ADD, 32, 32, (8, 8), (8, 8))
    both, one = searched(job), searched(job, keeps=0)
    assert {(r, c) for _, r, c in one.sizes()} == {(8, 8)} < {(r, c) for _, r, c in both.sizes()}
    tiling = Tiling(16, 8, 8, loads=True, stores=True)
    assert map_bytes(both, tiling) - map_bytes(one, tiling) == 16 * 64


def test_axes_with_more_padding_than_kernel_are_not_cut() -> None:
    """A tile that reads nothing but padding cannot be copied."""
    job = Job(JobKind.CONV2D, 2, 2, (6, 6), (14, 6), (3, 3), (1, 1), (5, 1, 5, 1))
    assert {r for _, r, _ in searched(job).sizes()} == {14}
    assert len({c for *_, c in searched(job).sizes()}) > 1
    assert str(searched(job).violation(Tiling(2, 2, 6, True, True))) == (
        "tile: found 2 x 2 x 6 of 2 x 14 x 6, wanted no cut along an axis that has more padding than kernel"
    )


@pytest.mark.parametrize("layout", (Layout.NCHW, Layout.NHWC))
def test_pieces_are_the_runs_that_are_dense_on_both_sides(layout: Layout) -> None:
    size, all_channels = (4, 5), 3
    places = np.arange(all_channels * prod(size)).reshape(all_channels, *size)
    if layout == Layout.NHWC:
        places = places.reshape(*size, all_channels).transpose(2, 0, 1)
    for channels, rows, columns in product((1, 3), (1, 4), (1, 5)):
        part = places[:channels, :rows, :columns]
        at = (part if layout == Layout.NCHW else part.transpose(1, 2, 0)).reshape(-1)
        runs = 1 + np.count_nonzero(np.diff(at) != 1)
        count, run = pieces(channels, all_channels, (rows, columns), size, layout)
        assert count * run == part.size
        assert count >= runs


def test_the_reference_takes_the_whole_layer_if_it_fits_and_waits_for_everything() -> None:
    search = searched(Job(JobKind.CONV2D, 4, 16, (8, 8), (8, 8)), plain=True)
    choice = htvm_tiling.choose(search)
    assert choice.tiling == Tiling(16, 8, 8, loads=True, stores=True, blocking=True)
    assert choice.cycles >= searched(search.job).best().cycles


def test_the_reference_launches_a_depthwise_layer_channel_by_channel() -> None:
    job = replace(conv(random.Random(7), 3, 1, 20, 20), groups=20)
    assert htvm_tiling.choose(searched(job, plain=True)).tiling.launch_outputs == 1


def test_a_tiling_is_read_back_from_its_attribute() -> None:
    with dialects.context(), ir.Location.unknown():
        for tiling in (Tiling(1, 2, 3), Tiling(4, 5, 6, True, True, False, 2, 1, True)):
            assert Tiling(**tiling.attribute().fields()) == tiling
        assert Tiling.of({"outputs": 1, "rows": 2, "columns": 3}).buffers == 1
        with pytest.raises(ValueError, match="no columns; 'tile', which is none of outputs"):
            Tiling.of({"outputs": 1, "rows": 2, "tile": 3})


@pytest.mark.parametrize("changes", [{"loads": False}, {"keeps": True}, {"stores": False}])
def test_channels_of_a_map_that_stays_pixel_by_pixel_are_not_cut(changes: dict[str, bool]) -> None:
    """Where each output channel has an input channel of its own, the input is cut as the output is."""
    job = Job(JobKind.ADD, 48, 48, (8, 8), (8, 8), layout=Layout.NHWC)
    assert {k for k, *_ in searched(job, **changes).sizes()} == {48}
    assert len({k for k, *_ in searched(replace(job, layout=Layout.NCHW), **changes).sizes()}) > 1
