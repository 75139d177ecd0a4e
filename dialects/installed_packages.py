"""What installed packages offer: their entry points, for which all packages are looked through once."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from importlib.metadata import EntryPoint


@cache
def entry_points(group: str) -> tuple[EntryPoint, ...]:
    """Return the entry points of a group, in the order of their names."""
    return tuple(sorted(_all().select(group=group), key=lambda each: each.name))


@cache
def _all():  # noqa: ANN202  (its type is another one from Python 3.12 on)
    return metadata.entry_points()
