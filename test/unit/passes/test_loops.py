"""Loops are found in the trace that they leave, and what they repeat is the trace again, number for number."""

import random
from itertools import product

import pytest

from htvm.passes.tiling.loops import Repeat, Single, Term, rolled, unrolled


def singles(terms: list[Term]) -> int:
    """Count the commands that are written."""
    return sum(singles(list(term.body)) if isinstance(term, Repeat) else 1 for term in terms)


def test_a_nest_of_loops_is_found_with_its_counts_and_steps() -> None:
    trace = [Single("copy", (7 + 100 * i - 10 * j + k, 5)) for i, j, k in product(range(4), range(5), range(6))]
    (outer,) = rolled(trace)
    (middle,) = outer.body
    (inner,) = middle.body
    assert [(each.count, each.steps) for each in (outer, middle, inner)] == [(4, (100, 0)), (5, (-10, 0)), (6, (1, 0))]
    assert inner.body == (Single("copy", (7, 5)),)


def test_borders_of_rows_stay_outside_the_inner_loop() -> None:
    """Rows of tiles, the first and the last of each another kind of job."""
    trace = []
    for row in range(10):
        kinds = ["left", *["inside"] * 20, "right"]
        for column, kind in enumerate(kinds):
            trace += [
                Single("load", (row * 64 + column,)),
                Single(kind, (row, column % 2)),
                Single("wait", (len(trace),)),
            ]
    terms = rolled(trace)
    assert list(unrolled(terms)) == trace
    assert singles(terms) == 3 + 2 * 3 + 3  # two tiles inside: their buffers take turns


def test_two_alike_are_no_loop() -> None:
    trace = [Single("copy", (0,)), Single("copy", (8,))]
    assert rolled(trace) == trace


def test_what_does_not_grow_evenly_is_no_loop() -> None:
    trace = [Single("copy", (number * number,)) for number in range(40)]
    assert rolled(trace) == trace


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_lost(seed: int) -> None:
    """Of traces with few different kinds and numbers, in which loops begin and break off everywhere."""
    chosen = random.Random(seed)
    trace = [Single(chosen.choice("ab"), (chosen.randrange(2), chosen.randrange(2))) for _ in range(300)]
    trace += [Single("a", (number % 3, number)) for number in range(100)]
    terms = rolled(trace)
    assert list(unrolled(terms)) == trace
    assert singles(terms) < len(trace) - 80
