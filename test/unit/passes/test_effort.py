"""What becomes of a network whose searches may do less, or more, than by default."""

import pytest
from models import path

import htvm
from htvm.commands.compile import limits_reached
from htvm.interface import Samples
from htvm.passes.mapping import dispatch_engines, order_layers

NETWORK = path("htvm/dae_mixed")


def test_a_search_that_finds_nothing_leaves_a_valid_mapping_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch_engines, "SOLVER_LIMIT", 0.0)
    compiled = htvm.compile(NETWORK, "diana")
    assert limits_reached(compiled) == ["engines and forms"]
    samples = Samples.of(compiled.project.inputs, compiled.project.random_inputs(0))
    found, wanted = compiled.program.run(samples).outputs, compiled.exact(samples)
    assert {name: values.tolist() for name, values in found.items()} == {
        name: values.tolist() for name, values in wanted.items()
    }


def test_effort_is_the_work_of_the_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[int] = []
    best_order = order_layers.best_order
    monkeypatch.setattr(order_layers, "best_order", lambda of, limit: limits.append(limit) or best_order(of, limit))
    files = [htvm.compile(NETWORK, "diana", effort=effort).files for effort in (1, 3)]
    assert limits == [order_layers.SEARCH_LIMIT_SETS, 3 * order_layers.SEARCH_LIMIT_SETS]
    assert files[0]["dae_mixed.c"] == files[1]["dae_mixed.c"]  # nothing was at its limit


@pytest.mark.parametrize("effort", [0, -1, 1.5, "3"])
def test_an_effort_is_a_positive_integer(effort: object) -> None:
    with pytest.raises(ValueError, match="expected an integer of at least 1"):
        htvm.compile(NETWORK, "diana", effort=effort)
