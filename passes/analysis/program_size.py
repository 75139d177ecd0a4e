"""How many of a layer's tiles have commands of their own in the program, if what repeats is written as loops.

Along an axis, tiles of one shape that follow each other are a loop of one of them; of two, where their buffers take
turns. So what counts is how many tiles differ, at the borders above all, and not how many there are. At the ends of a
row of tiles commands are in another order: what comes next is fetched ahead, and at last there is no more. Borders are
such ends themselves.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from itertools import groupby

FEWEST = 3
"""How often something must be repeated to become a loop."""


def written(shapes: Iterable[tuple[Hashable, int]], period: int, ends: int) -> int:
    """Return how many of the tiles along an axis are written: `shapes` in order, and how many in a row have each.

    period: how many tiles in a row differ though they have one shape. ends: how many differ at the ends of a row that
    has not a border at both.
    """
    counts = [sum(times for _, times in group) for _, group in groupby(shapes, key=lambda each: each[0])]
    if len(counts) < 3:
        return sum(min(count, 2 * period + ends) for count in counts)
    return sum(count if count < FEWEST * period else period + count % period for count in counts)
