"""Which of many alike `make test` tries: the others are marked `slow`, and `make test-all` tries them too."""

from collections.abc import Sequence

import pytest


def first(cases: Sequence[object], count: int) -> list[object]:
    """Return all cases as parameters of a test, those behind the first `count` marked as slow."""
    return [*cases[:count], *map(slow, cases[count:])]


def slow(case: object) -> object:
    """Return a case, a tuple where it has several parameters, marked as slow."""
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
