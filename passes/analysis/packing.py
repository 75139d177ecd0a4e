"""Pack pieces of memory with known lifetimes into the fewest bytes.

Items that live at the same time get disjoint places. One exception: a pair (i, j) that may share, because j
begins where i ends and replaces it, may also have exactly the same place; a chain of such pairs is memory
worked on in place.

The lower bound is the largest sum of what lives at one time, less what can be shared there; no packing is
smaller. A greedy packing usually reaches it and is then optimal. Where it does not, the constraint solver
CP-SAT looks for the optimum, with a fixed seed, one thread and a limit counted in its own steps, so that the
result is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import reduce
from math import gcd

SOLVER_LIMIT = 10.0
"""What the solver may spend, in its deterministic time; a unit is about a second."""


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


def pack(items: Sequence[Item], may_share: AbstractSet[tuple[int, int]], limit: float = SOLVER_LIMIT) -> Packing:
    """Return the best packing that was found. Offsets are sums of sizes, so they keep any common alignment."""
    bound = max((load for _, load in loads(items, may_share)), default=0)
    offsets = min((_greedy(items, may_share, order) for order in _orders(items)), key=lambda o: _peak(items, o))
    packing = Packing(offsets, _peak(items, offsets), bound)
    return packing if packing.is_optimal else _solve(items, may_share, packing, limit)


def loads(items: Sequence[Item], may_share: AbstractSet[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield (time, units needed at it) for each time at which an item begins, in order."""
    replacing = {replacement for _, replacement in may_share}
    for time in sorted({item.first for item in items}):
        live = [number for number, item in enumerate(items) if item.first <= time <= item.last]
        shared = (number for number in live if number in replacing and items[number].first == time)
        yield time, sum(items[number].size for number in live) - sum(items[number].size for number in shared)


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


def _greedy(items: Sequence[Item], may_share: AbstractSet[tuple[int, int]], order: Sequence[int]) -> tuple[int, ...]:
    """Place the items in an order, each in place of one it may share with, else as low as it fits."""
    placed: dict[int, int] = {}
    for number in order:
        item = items[number]
        met = [other for other in placed if _meet(item, items[other])]
        partners = {other for other in met if (other, number) in may_share or (number, other) in may_share}
        taken = [(placed[other], placed[other] + items[other].size, other in partners) for other in met]
        candidates = [*sorted(placed[other] for other in partners), 0, *sorted(end for _, end, _ in taken)]
        placed[number] = next(offset for offset in candidates if _fits(offset, item.size, taken))
    return tuple(placed[number] for number in range(len(items)))


def _fits(offset: int, size: int, taken: Sequence[tuple[int, int, bool]]) -> bool:
    """Say whether a place is beside everything in `taken`, (begin, end, may be shared), or exactly one to share."""
    return all(offset + size <= begin or end <= offset or (shared and offset == begin) for begin, end, shared in taken)


def _solve(items: Sequence[Item], may_share: AbstractSet[tuple[int, int]], seed: Packing, limit: float) -> Packing:
    """Look for a packing better than `seed`, down to its lower bound."""
    from ortools.sat.python import cp_model  # slow to load, and seldom needed

    unit = reduce(gcd, (item.size for item in items))
    model = cp_model.CpModel()
    peak = model.new_int_var(-(-seed.lower_bound // unit), seed.peak // unit, "peak")
    starts = []
    for number, item in enumerate(items):
        start = model.new_int_var(0, (seed.peak - item.size) // unit, f"start{number}")
        model.add(start + item.size // unit <= peak)
        model.add_hint(start, seed.offsets[number] // unit)
        starts.append(start)
    for i, one in enumerate(items):
        for j in range(i + 1, len(items)):
            if not _meet(one, items[j]):
                continue
            below, above = model.new_bool_var(f"{i} below {j}"), model.new_bool_var(f"{i} above {j}")
            model.add(starts[i] + one.size // unit <= starts[j]).only_enforce_if(below)
            model.add(starts[j] + items[j].size // unit <= starts[i]).only_enforce_if(above)
            ways = [below, above]
            if (i, j) in may_share or (j, i) in may_share:
                same = model.new_bool_var(f"{i} shares with {j}")
                model.add(starts[i] == starts[j]).only_enforce_if(same)
                ways.append(same)
            model.add_exactly_one(ways)
    model.minimize(peak)

    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.parameters.max_deterministic_time = limit
    solver.parameters.catch_sigint_signal = False  # it would end the search, but not the process
    status = solver.solve(model)
    bound = max(seed.lower_bound, unit * round(solver.best_objective_bound))
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return Packing(seed.offsets, seed.peak, min(bound, seed.peak))
    offsets = tuple(unit * solver.value(start) for start in starts)
    return Packing(offsets, _peak(items, offsets), bound)
