"""Pack pieces of memory with known lifetimes into the fewest bytes.

Items that live at the same time get disjoint places. One exception: a pair (i, j) with a trail, because j begins where
i ends and replaces it, may overlap if j begins as far before i as the trail says: exactly in its place, a chain of
which is memory worked on in place; or some way before it.

The lower bound is the largest sum of what lives at one time, less what can be shared there; no packing is
smaller. A greedy packing usually reaches it and is then optimal. Where it does not, the constraint solver
CP-SAT looks for the optimum, with a fixed seed, one thread and a limit counted in its own steps, so that the
result is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import ceil, gcd

import numpy as np

from htvm.backend.kernels.trails import Trail

SOLVER_LIMIT = 10.0
"""What the solver may spend, in its deterministic time; a unit is about a second."""

FITS_LIMIT = 0.5
"""The same, to find any packing of a size."""

MANY = 128
"""Items of which better orders are looked for, before the solver is asked: it seldom ends with more."""

ROUNDS = 8
"""Of looking for a better order."""


IN_PLACE = Trail(0, 0)
Trails = Mapping[tuple[int, int], Trail]
"""For pairs of items (read, made): where the second may overlap the first."""


@dataclass(frozen=True)
class Item:
    """Needs `size` units from time `first` to time `last`, both included. Sizes are positive."""

    size: int
    first: int
    last: int


@dataclass(frozen=True)
class Packing:
    """Where each item begins, the units used, and a number of units that no packing goes below."""

    offsets: tuple[int, ...]
    peak: int
    lower_bound: int

    @property
    def is_optimal(self) -> bool:
        return self.peak == self.lower_bound


def pack(items: Sequence[Item], trails: Trails, limit: float = SOLVER_LIMIT, enough: int = 0) -> Packing:
    """Return the best packing that was found. Offsets are sums of sizes, so they keep any common alignment.

    limit: what the solver may spend; if it is 0, better orders are looked for in its place. enough: units that are
    there for the taking; where items fit these no better packing is looked for.
    """
    bound = max((load for _, load in loads(items, trails)), default=0)
    offsets = min((_greedy(items, trails, order) for order in _orders(items)), key=lambda o: _peak(items, o))
    packing = Packing(offsets, _peak(items, offsets), bound)
    if packing.peak <= max(bound, enough):
        return packing
    if enough and limit and (found := _within(items, enough)):
        return Packing(found, _peak(items, found), bound)
    if len(items) > MANY or not limit:
        packing = _reordered(items, trails, packing, bound)
    return packing if packing.is_optimal or not limit else _solve(items, trails, packing, limit)


def fits(items: Sequence[Item], size: int, quickly: bool = False) -> bool:
    """Say whether a packing of items that never overlap was found that needs no more than `size` units.

    quickly: neither better orders nor the solver are tried.
    """
    return _within(items, size, quickly) is not None


def _within(items: Sequence[Item], size: int, quickly: bool = False) -> tuple[int, ...] | None:
    """Return the offsets of a packing of items that never overlap, of no more than `size` units; None if none is found.

    Of many items no more is tried than better orders: who asks can do with less.
    """
    tried: list[tuple[int, ...]] = []
    for order in _orders(items):
        tried.append(_greedy(items, {}, order))
        if _peak(items, tried[-1]) <= size:
            return tried[-1]
    if (ring := _in_a_ring(items, size)) is not None:
        return ring
    if quickly or max((load for _, load in loads(items, {})), default=0) > size:
        return None
    offsets = min(tried, key=lambda each: _peak(items, each))
    best = Packing(offsets, _peak(items, offsets), size)  # `size` is enough: what reaches it ends there
    found = _reordered(items, {}, best, size) if len(items) > MANY else _solve(items, {}, best, FITS_LIMIT)
    return found.offsets if found.peak <= size else None


def loads(items: Sequence[Item], trails: Trails) -> Iterator[tuple[int, int]]:
    """Yield (time, units needed at it) for each time at which an item begins, in order."""
    saved = {pair: trail.saved(items[pair[0]].size, items[pair[1]].size) for pair, trail in trails.items()}
    for time in sorted({item.first for item in items}):
        live = {number for number, item in enumerate(items) if item.first <= time <= item.last}
        shared: dict[int, int] = {}
        for (read, made), size in saved.items():
            if read in live and made in live:
                shared[made] = max(shared.get(made, 0), size)
        yield time, sum(items[number].size for number in live) - sum(shared.values())


def _peak(items: Sequence[Item], offsets: Sequence[int]) -> int:
    return max((offset + item.size for offset, item in zip(offsets, items, strict=True)), default=0)


def _orders(items: Sequence[Item]) -> Iterator[list[int]]:
    """Yield orders in which placing items greedily tends to go well."""
    keys: list[Callable[[int], tuple[int, ...]]] = [
        lambda n: (-items[n].size, items[n].first),
        lambda n: (-items[n].size * (items[n].last - items[n].first + 1), items[n].first),
        lambda n: (items[n].first - items[n].last, -items[n].size),
        lambda n: (items[n].first, -items[n].size),
    ]
    for key in keys:
        yield sorted(range(len(items)), key=key)


def _meet(one: Item, other: Item) -> bool:
    return one.first <= other.last and other.first <= one.last


def _greedy(items: Sequence[Item], trails: Trails, order: Sequence[int]) -> tuple[int, ...]:
    """Place the items in an order, each over one that it may overlap, else as low as it fits."""
    begin = np.full(len(items), -1)
    in_trails = {number for pair in trails for number in pair}
    for number, places in _one_by_one(items, order, begin):
        begin[number] = _over(items, trails, number, places) if number in in_trails else _apart(items, number, places)
    return tuple(begin.tolist())


def _one_by_one(items: Sequence[Item], order: Sequence[int], begin: np.ndarray) -> Iterator[tuple[int, dict[int, int]]]:
    """Yield each item with the places of those that it meets, in rising order. begin: places so far; -1 of others."""
    first, last = (np.array([getattr(item, name) for item in items]) for name in ("first", "last"))
    for number in order:
        item = items[number]
        met = np.flatnonzero((begin >= 0) & (first <= item.last) & (last >= item.first))
        yield number, {int(other): int(begin[other]) for other in met[np.argsort(begin[met], kind="stable")]}


def _over(items: Sequence[Item], trails: Trails, number: int, places: Mapping[int, int]) -> int:
    """Return where to place an item that may overlap others. places: where those begin that it meets."""
    same: list[int] = []
    partners: list[int] = []
    for other, place in places.items():
        over, under = trails.get((other, number)), trails.get((number, other))
        partners += [place - gap for gap in _ends(over)] if over else []
        partners += [place + gap for gap in _ends(under)] if under else []
        same += [place] if IN_PLACE in (over, under) else []
    ends = sorted(place + items[other].size for other, place in places.items())
    return next(
        offset
        for offset in (*sorted(same), *sorted(partners), 0, *ends)
        if offset >= 0 and all(_fits(items, trails, number, offset, *each) for each in places.items())
    )


def _apart(items: Sequence[Item], number: int, places: Mapping[int, int]) -> int:
    """Return the lowest place of an item apart from those that it meets. places: where they begin, in rising order."""
    offset = 0
    for other, place in places.items():
        if place - offset >= items[number].size:
            break
        offset = max(offset, place + items[other].size)
    return offset


def _in_a_ring(items: Sequence[Item], size: int) -> tuple[int, ...] | None:
    """Place each item behind the one that began before it, or from 0 on where `size` units end; None if one meets
    others there. So lie those that go in the order in which they have come, such as weights that are fetched ahead.
    """
    begin, end = np.full(len(items), -1), 0
    in_order = sorted(range(len(items)), key=lambda n: (items[n].first, items[n].last))
    for number, places in _one_by_one(items, in_order, begin):
        item = items[number]
        ends = sorted(place + items[other].size for other, place in places.items())
        free = (
            offset
            for offset in (end, *(stop for stop in ends if stop > end), 0, *ends)
            if offset + item.size <= size and all(_fits(items, {}, number, offset, *each) for each in places.items())
        )
        offset = next(free, None)
        if offset is None:
            return None
        begin[number], end = offset, offset + item.size
    return tuple(begin.tolist())


def _ends(trail: Trail) -> list[int]:
    """Return the least and the largest distance of a trail, where there is one."""
    return [trail.distance] if trail.most is None else [trail.distance, trail.most]


def _reordered(items: Sequence[Item], trails: Trails, seed: Packing, enough: int) -> Packing:
    """Return a packing from orders in which what reached furthest up is placed earlier; `seed` if none is better.

    enough: units that are there for the taking.
    """
    best = seed
    for order in _orders(items):
        for _ in range(ROUNDS):
            offsets = _greedy(items, trails, order)
            peak = _peak(items, offsets)
            best = min(best, Packing(offsets, peak, seed.lower_bound), key=lambda each: each.peak)
            if best.peak <= enough:
                return best
            for number in [each for each in order if offsets[each] + items[each].size == peak]:
                place = order.index(number)
                order.insert(place // 2, order.pop(place))
    return best


def _fits(items: Sequence[Item], trails: Trails, number: int, offset: int, other: int, other_offset: int) -> bool:
    """Say whether two items that meet are apart, or overlap as a trail says."""
    if offset + items[number].size <= other_offset or other_offset + items[other].size <= offset:
        return True
    over, under = trails.get((other, number)), trails.get((number, other))
    return bool(over and over.allows(other_offset - offset) or under and under.allows(offset - other_offset))


def _solve(items: Sequence[Item], trails: Trails, seed: Packing, limit: float) -> Packing:
    """Look for a packing better than `seed`, down to its lower bound."""
    from .constraint_program import ConstraintProgram, IntVar  # slow to load, and seldom needed

    numbers = [number for trail in trails.values() for number in (*_ends(trail), trail.multiple)]
    unit = reduce(gcd, [*(item.size for item in items), *numbers])
    model = ConstraintProgram()
    peak = model.integer(-(-seed.lower_bound // unit), seed.peak // unit)
    starts: list[IntVar] = []
    exact: list[IntVar] = []
    for number, item in enumerate(items):
        start = model.integer(0, (seed.peak - item.size) // unit)
        model.add(start + item.size // unit <= peak)
        model.hint(start, seed.offsets[number] // unit)
        starts.append(start)
    for i, one in enumerate(items):
        for j in range(i + 1, len(items)):
            if not _meet(one, items[j]):
                continue
            below, above = model.boolean(), model.boolean()
            model.add(starts[i] + one.size // unit <= starts[j]).only_enforce_if(below)
            model.add(starts[j] + items[j].size // unit <= starts[i]).only_enforce_if(above)
            ways = [below, above]
            for read, made in ((i, j), (j, i)):
                if (read, made) in trails:
                    trail = trails[read, made]
                    over = model.boolean()
                    gap = starts[read] - starts[made] - trail.distance // unit
                    if trail.multiple > unit:
                        times = model.integer(0, seed.peak // trail.multiple)
                        model.add(gap == trail.multiple // unit * times).only_enforce_if(over)
                    elif trail.multiple:
                        model.add(gap >= 0).only_enforce_if(over)
                    else:
                        model.add(gap == 0).only_enforce_if(over)
                        exact.append(over)
                    if trail.most is not None:
                        model.add(gap <= (trail.most - trail.distance) // unit).only_enforce_if(over)
                    ways.append(over)
            model.at_least_one(ways)
    scale = len(exact) + 1  # of equals, the one in which most is worked on in place: a reshape in place is no copy
    model.minimize(scale * peak - sum(exact))

    solution = model.solve(limit)
    bound = max(seed.lower_bound, unit * ceil(solution.bound / scale - 1e-6))
    if not solution.is_found:
        return Packing(seed.offsets, seed.peak, min(bound, seed.peak))
    offsets = tuple(unit * solution.value(start) for start in starts)
    return Packing(offsets, _peak(items, offsets), bound)
