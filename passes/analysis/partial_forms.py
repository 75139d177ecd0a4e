"""Forms for some channels of a layer, where the memory of constants has no room for those of all.

A placement (placement.py) chooses among whole layers. Of those whose faster form has no room some channels may have it.
Forms that save most cycles for each byte go first, as many as have room: at most one of them is then worth having for a
part of its layer, and the one behind it may fill what is left. So few layers are offered such forms, and the program is
solved again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlir import ir

from htvm.backend.targets.soc import Engine

from .placement import Placement, Placing, maker
from .ways import Way, partial_forms, undominated

MOST_LAYERS = 2
"""How many layers are offered such forms."""


@dataclass(frozen=True)
class Upgrade:
    """Another form of a layer on an engine: the cycles that it saves, and the bytes of constants that it takes more."""

    output: ir.Value
    engine: Engine
    cycles: int
    size_bytes: int


def with_partial_forms(placing: Placing, placement: Placement) -> Mapping[ir.Value, Sequence[Way]] | None:
    """Return the candidates of a program, with forms for some channels of layers; None if no layer lacks room."""
    found = dict(placing.candidates)
    for each in lacking(placing, placement)[:MOST_LAYERS]:
        if more := partial_forms(placing.soc, maker(each.output), each.engine):
            own = [way for way in found[each.output] if way.engine == each.engine]
            others = [way for way in found[each.output] if way.engine != each.engine]
            found[each.output] = [*others, *undominated(placing.soc, maker(each.output), [*own, *more])]
    return found if found != dict(placing.candidates) else None


def lacking(placing: Placing, placement: Placement) -> list[Upgrade]:
    """Return the forms that constants have no room for if those that save more for each byte are there."""
    upgrades = sorted(upgrades_of(placing), key=lambda each: -each.cycles / each.size_bytes)
    prices = [placing.price(output, way) for output, way in placement.ways.items()]
    descriptors = max(sum(each.descriptor_bytes for each in prices) - placing.descriptor_room_bytes, 0)
    room = placing.room_bytes - descriptors - sum(each.constant_bytes for each in prices)
    room += sum(each.size_bytes for each in upgrades if placement.ways[each.output].form is not None)
    for number, each in enumerate(upgrades):
        room -= each.size_bytes
        if room < 0:
            return upgrades[number:]
    return []


def upgrades_of(placing: Placing) -> Iterator[Upgrade]:
    """Yield of each layer and engine the fastest form beside the plain one, if it takes more bytes."""
    for output, ways in placing.candidates.items():
        for plain in (way for way in ways if way.accelerator and way.form is None):
            forms = [way for way in ways if way.engine == plain.engine and way.form and not way.reads_blocks]
            fastest = min((placing.price(output, way) for way in forms), key=lambda each: each.cycles, default=None)
            own = placing.price(output, plain)
            if fastest and fastest.cycles < own.cycles and fastest.constant_bytes > own.constant_bytes:
                cycles, size_bytes = own.cycles - fastest.cycles, fastest.constant_bytes - own.constant_bytes
                yield Upgrade(output, plain.engine, cycles, size_bytes)
