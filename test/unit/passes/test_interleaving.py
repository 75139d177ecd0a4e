"""The order of tiles of several layers."""

from itertools import product

import numpy as np
import pytest

from htvm.passes.analysis.interleaving import Given, Role, TileWork, Transfer, in_turn, interleaved


def chain(layers: int, tiles: int, cycles: int = 10) -> list[TileWork]:
    """Return layers in a row on two units in turn, each tile of which needs the same tile of the layer before."""
    return [
        TileWork(layer, "ab"[layer % 2], cycles, ((layer - 1) * tiles + tile,) if layer else (), None, None, 1)
        for layer, tile in product(range(layers), range(tiles))
    ]


def test_the_second_unit_begins_with_the_first_tile() -> None:
    works = chain(2, 4)
    assert in_turn(works).cycles == 70, (
        "the host gives them in turn, so that the second unit begins with the first one's last tile"
    )
    order = interleaved(works)
    assert order.cycles == 50
    assert [each.tile for each in order.sequence] == [0, 1, 4, 2, 5, 3, 6, 7]


def test_a_unit_does_first_what_most_waits_for() -> None:
    works = [
        TileWork(0, "a", 10, (), None, None, 1),
        TileWork(1, "a", 10, (), None, None, 1),
        TileWork(2, "b", 50, (1,), None, None, 1),
    ]
    assert [each.tile for each in interleaved(works).sequence] == [1, 2, 0]


@pytest.mark.parametrize(("buffers", "cycles"), [(1, 4 * (4 + 10)), (2, 4 + 4 * 10)])
def test_an_input_waits_for_its_buffer(buffers: int, cycles: int) -> None:
    works = [TileWork(0, "a", 10, (), None, Transfer("load", 4), buffers) for _ in range(4)]
    assert interleaved(works).cycles == cycles


@pytest.mark.parametrize(("room", "cycles"), [(24, 5 + 3 * 10), (16, 5 + 3 * 10), (15, 3 * (5 + 10))])
def test_weights_wait_until_others_have_left_them_room(room: int, cycles: int) -> None:
    brought = Transfer("load", 5, "weights", 8)
    works = [TileWork(layer, "a", 10, (), brought, None, 1, layer) for layer in range(3)]
    assert interleaved(works, {"weights": room}).cycles == cycles


def test_weights_stay_until_the_last_tile_that_uses_them() -> None:
    brought = Transfer("load", 5, "weights", 8)
    works = [TileWork(0, "a", 10, (), None if tile else brought, None, 1, 0) for tile in range(3)]
    works.append(TileWork(1, "b", 10, (), brought, None, 1, 3))
    assert interleaved(works, {"weights": 16}).cycles == 35
    assert interleaved(works, {"weights": 15}).cycles == 5 + 3 * 10 + 5 + 10


@pytest.mark.parametrize("seed", range(20))
def test_all_is_done_once_and_behind_what_it_needs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    works: list[TileWork] = []
    for layer in range(6):
        before = len(works)
        for tile in range(rng.integers(1, 5)):
            needs = sorted({int(each) for each in rng.integers(0, before, 2)}) if before else []
            size = int(rng.integers(1, 40))
            weights = Transfer("load", size, "weights", size) if tile == 0 and rng.random() < 0.7 else None
            load = Transfer("load", int(rng.integers(1, 20))) if rng.random() < 0.5 else None
            unit, cycles = str(rng.choice(["a", "b", "c"])), int(rng.integers(1, 30))
            uses = before if works[before:] and works[before].weights or weights else None
            works.append(TileWork(layer, unit, cycles, tuple(needs), weights, load, int(rng.integers(1, 3)), uses))
    order = interleaved(works, {"weights": 40} if seed % 2 else {})
    places = {given: place for place, given in enumerate(order.sequence)}
    assert len(places) == len(order.sequence) == sum(1 + bool(work.weights) + bool(work.load) for work in works)
    for number, work in enumerate(works):
        own = places[Given(number, Role.LAUNCH)]
        brought = [Given(number, role) for role in (Role.WEIGHTS, Role.LOAD)]
        behind = [Given(need, Role.LAUNCH) for need in work.needs] + [each for each in brought if each in places]
        behind += [Given(number - 1, Role.LAUNCH)] if number and works[number - 1].layer == work.layer else []
        assert all(places[each] < own for each in behind)
    busy = {unit: sum(work.cycles for work in works if work.unit == unit) for unit in "abc"}
    assert max(busy.values()) <= order.cycles
