"""Packings are valid, never below the bound, and as small as brute force finds."""

import itertools
import random

import pytest
from selection import first

from htvm.passes.analysis import packing
from htvm.passes.analysis.packing import IN_PLACE, Item, Packing, Trail, Trails, loads, pack


def random_problem(seed: int, count: int, largest: int = 8) -> tuple[list[Item], Trails]:
    """Items that begin one after the other, as buffers do, and pairs that may overlap where one replaces another."""
    rng = random.Random(seed)
    items = [Item(rng.randint(1, largest), first, first + rng.randint(0, 4)) for first in range(count)]
    trails = {}
    for i, j in itertools.permutations(range(count), 2):
        if items[i].last == items[j].first and items[i].first < items[j].first and rng.random() < 0.7:
            if items[i].size == items[j].size:
                trails[i, j] = IN_PLACE
            elif rng.random() < 0.5:
                trails[i, j] = Trail(rng.randint(0, largest // 2), rng.choice([1, 1, 2, 3]))
    return items, trails


def is_valid(items: list[Item], trails: Trails, offsets: tuple[int, ...]) -> bool:
    """Say whether what lives together is apart, or overlaps as it may."""
    for i, j in itertools.combinations(range(len(items)), 2):
        meet = items[i].first <= items[j].last and items[j].first <= items[i].last
        apart = offsets[i] + items[i].size <= offsets[j] or offsets[j] + items[j].size <= offsets[i]
        over, under = trails.get((i, j)), trails.get((j, i))
        share = over and over.allows(offsets[i] - offsets[j]) or under and under.allows(offsets[j] - offsets[i])
        if meet and not apart and not share:
            return False
    return all(offset >= 0 for offset in offsets)


def smallest(items: list[Item], trails: Trails) -> int:
    """Try every offset of every item."""
    limit = sum(item.size for item in items)
    for peak in range(max(item.size for item in items), limit):
        ranges = [range(peak - item.size + 1) for item in items]
        if any(is_valid(items, trails, offsets) for offsets in itertools.product(*ranges)):
            return peak
    return limit


@pytest.mark.parametrize("seed", first(range(60), 20))
def test_small_problems_are_solved_as_well_as_by_brute_force(seed: int) -> None:
    items, trails = random_problem(seed, count=4 + seed % 2, largest=4)
    found = pack(items, trails)
    assert is_valid(items, trails, found.offsets)
    assert found.peak == smallest(items, trails) == found.lower_bound


@pytest.mark.parametrize("seed", first(range(20), 8))
def test_larger_problems_are_valid_and_optimal(seed: int) -> None:
    items, trails = random_problem(seed, count=30, largest=1000)
    found = pack(items, trails)
    assert is_valid(items, trails, found.offsets)
    assert found.peak == max(offset + item.size for offset, item in zip(found.offsets, items, strict=True))
    assert max(load for _, load in loads(items, trails)) <= found.lower_bound == found.peak


def test_common_alignment_is_kept() -> None:
    items, trails = random_problem(3, count=25)
    aligned = [Item(4 * item.size, item.first, item.last) for item in items]
    assert all(offset % 4 == 0 for offset in pack(aligned, trails).offsets)


def test_the_same_problem_gives_the_same_packing() -> None:
    items, trails = random_problem(7, count=30, largest=50)
    assert pack(items, trails) == pack(items, trails)


def test_an_addition_in_place_saves_its_result() -> None:
    skip, branch, total = Item(16, 0, 2), Item(16, 1, 2), Item(16, 2, 3)
    assert pack([skip, branch, total], {}).peak == 48
    assert pack([skip, branch, total], {(0, 2): IN_PLACE, (1, 2): IN_PLACE}).peak == 32


def test_sharing_is_no_obligation() -> None:
    """The second item stays in place of the first only if that does not split the space that a third needs."""
    items = [Item(2, 0, 1), Item(2, 1, 3), Item(2, 0, 1), Item(4, 2, 3)]
    found = pack(items, {(0, 1): IN_PLACE})
    assert is_valid(items, {(0, 1): IN_PLACE}, found.offsets)
    assert found.peak == 6


def test_the_solver_is_not_loaded_where_greedy_meets_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "_solve", None)
    chain = [Item(size, time, time + 1) for time, size in enumerate([3072, 16384, 16384, 8192, 64, 10])]
    assert pack(chain, {}).peak == 32768


@pytest.mark.parametrize(("seed", "peak", "bound"), [(1, 88, 88), (15, 100, 100), (58, 87, 83)])
def test_without_a_limit_other_orders_are_tried(
    monkeypatch: pytest.MonkeyPatch, seed: int, peak: int, bound: int
) -> None:
    items, trails = random_problem(seed, count=12, largest=50)
    monkeypatch.setattr(packing, "_solve", lambda _items, _trails, seed, _limit: seed)
    greedy = pack(items, trails)
    monkeypatch.setattr(packing, "_solve", None)
    found = pack(items, trails, limit=0)
    assert is_valid(items, trails, found.offsets)
    assert (found.peak, found.lower_bound) == (peak, bound)
    assert found.peak < greedy.peak


def test_a_search_cut_short_tells_the_gap() -> None:
    problems = [random_problem(seed, count=60, largest=1000) for seed in range(20)]
    found = [pack(items, trails, limit=1e-9) for items, trails in problems]
    assert not all(each.is_optimal for each in found)
    for (items, trails), each in zip(problems, found, strict=True):
        assert is_valid(items, trails, each.offsets)
        assert each.lower_bound <= each.peak


@pytest.mark.parametrize("seed", range(10))
def test_what_comes_and_goes_in_one_order_lies_in_a_ring(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    # As weights that are fetched ahead, each as early as those before it leave room for it.
    rng = random.Random(seed)
    monkeypatch.setattr(packing, "_solve", None)
    sizes = [rng.randint(1, 8) for _ in range(200)]
    items: list[Item] = []
    for time, size in enumerate(sizes):
        first = time
        while first and sum(sizes[first - 1 : time]) + size <= 60 and (not items or items[-1].first < first):
            first -= 1
        items.append(Item(size, first, time))
    assert packing.fits(items, 68)
    found = pack(items, {}, enough=68)
    assert is_valid(items, {}, found.offsets) and found.peak <= 68
    assert not packing.fits(items, max(load for _, load in loads(items, {})) - 1)


def test_nothing_needs_nothing() -> None:
    assert pack([], {}) == Packing((), 0, 0)
