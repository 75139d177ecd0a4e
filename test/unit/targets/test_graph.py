"""Memories as a graph: which ways data can take, what they cost, and where what the host has no room for may be."""

from dataclasses import replace

import pytest

from htvm.backend import targets
from htvm.backend.targets.soc import Dma, Memory, Price, Route
from htvm.backend.targets.validation import validate

GAP9, DIANA = targets.load("gap9"), targets.load("diana")


def ends(path: tuple[Route, ...]) -> list[str]:
    return [route.name for route in path]


def test_a_path_has_as_few_hops_as_can_be() -> None:
    assert ends(GAP9.path("flash", "l1")) == ["flash_to_l2", "l2_to_l1"]
    assert ends(GAP9.path("l1", "l3")) == ["l1_to_l2", "l2_to_l3"]
    assert GAP9.path("l2", "l2") == ()
    shortcut = Dma("shortcut", base=0x1B207000, routes=(Route("flash", "l1"),), queue_depth=1)
    assert ends(replace(GAP9, dmas=(*GAP9.dmas, shortcut)).path("flash", "l1")) == ["flash_to_l1"]


def test_where_no_route_leads_is_said() -> None:
    with pytest.raises(KeyError, match="target 'gap9' has no way from 'l2' to 'flash'"):
        GAP9.path("l2", "flash")


def test_far_memories_are_those_that_neither_the_host_nor_a_job_works_in() -> None:
    assert [memory.name for memory in GAP9.far_memories] == ["l3", "flash"]
    assert [memory.name for memory in GAP9.far_memories if GAP9.holds_maps(memory)] == ["l3"]
    assert DIANA.far_memories == ()
    lost = replace(DIANA, memories=(*DIANA.memories, Memory("lost", 0x40000000, 1024, host_visible=False)))
    assert lost.far_memories == (), "nothing comes from there"


def test_a_route_has_its_own_price_or_that_of_the_cost_model() -> None:
    assert Price(bytes_per_cycle=0.5, setup_cycles=30).cycles(11) == 30 + 22
    assert Price(bytes_per_cycle=3).cycles(10) == 4, "a begun cycle counts"
    assert GAP9.copy_cycles(Route("l3", "l2"), 332) == 40 + 370
    assert GAP9.copy_cycles(Route("l2", "l1"), 80) == 10 + 10


@pytest.mark.parametrize(
    ("route", "problem"),
    [
        (Route("l3", "l2", Price(0.0)), "routes[0].price.bytes_per_cycle: found 0.0, wanted more than 0"),
        (Route("l3", "l2", Price(1.0, -1)), "routes[0].price.setup_cycles: found -1, wanted 0 at least"),
        (Route("l3", "l2", 3), "routes[0].price: found int, wanted Price | None"),  # pyright: ignore
        (Route("l3", 2), "routes[0].target: found int, wanted str"),  # pyright: ignore
    ],
)
def test_a_price_that_is_none_is_refused(route: Route, problem: str) -> None:
    bus = Dma("bus", base=0x1B207000, routes=(route,), queue_depth=1)
    assert validate(replace(GAP9, dmas=(*GAP9.dmas[:2], bus))) == [f"dmas[2].{problem}"]
