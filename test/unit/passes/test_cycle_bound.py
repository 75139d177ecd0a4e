"""No mapping that is chosen, whatever it is chosen for, is faster than the bound."""

import sys
from functools import cache
from pathlib import Path

import pytest

import htvm
from htvm.backend import targets
from htvm.explanation.bound import Bound, bound, flows, predicted

sys.path.append(str(Path(__file__).parents[2] / "end_to_end"))
import models  # noqa: E402
from bounded import below_bound  # noqa: E402

SLOW = ("htvm/resnet8_digital", "htvm/mobilenet_v1_mixed", "mlperf_tiny/ds_cnn")


@cache
def bound_of(network: str, cost_model: str = "match", **choices: object) -> Bound:
    soc = targets.load("diana").with_cost_model(cost_model)
    compiled = htvm.compile(models.path(network), soc, **choices)
    report = compiled.project.report
    found = bound(compiled.source, compiled.soc, compiled.options, predicted(report), flows(report))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("network", "cost_model"),
    [
        ("htvm/dae_mixed", "match"),
        ("htvm/ds_cnn_mixed", "match"),
        ("htvm/dae_mixed", "odimo"),
        pytest.param("htvm/ds_cnn_mixed", "odimo", marks=pytest.mark.slow),
        pytest.param("htvm/resnet8_mixed", "odimo", marks=pytest.mark.slow),
        *(pytest.param(name, model, marks=pytest.mark.slow) for name in SLOW for model in ("match", "odimo")),
    ],
)
def test_no_mapping_is_faster(network: str, cost_model: str) -> None:
    found = bound_of(network, cost_model)
    other = bound_of(network, cost_model, mapping="htvm")
    assert 0 < found.in_flight <= found.in_turn
    assert found.least == (found.in_flight if found.flows else found.in_turn) <= found.predicted
    assert (found.in_flight, found.in_turn) == (other.in_flight, other.in_turn), "of every mapping, not of the chosen"
    assert other.predicted >= found.in_turn


@pytest.mark.parametrize("seed", [2, 4, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(50, 80))])
def test_no_mapping_of_a_random_network_is_faster(seed: int) -> None:
    """The fastest, with random engines and forms, with groups in the smallest tiles, and HTVM's."""
    assert not below_bound(seed)


@pytest.mark.slow
@pytest.mark.parametrize(("cost_model", "most"), [("match", 0.21), ("odimo", 0.24)])
def test_it_is_near_where_tiles_of_two_arrays_are_in_flight(cost_model: str, most: float) -> None:
    """Of ResNet-8 the layer that reads channels one behind the other cannot begin before all others have ended."""
    found = bound_of("htvm/resnet8_mixed", cost_model)
    assert found.flows and 0 < found.gap < most


def test_layers_that_passes_insert_are_in_the_bound() -> None:
    found = bound_of("mlperf_tiny/toyadmos", requant="pow2")
    assert found.in_turn <= found.predicted


def test_fewer_engines_take_no_less() -> None:
    every, some = bound_of("htvm/dae_mixed"), bound_of("htvm/dae_mixed", engines=("host", "digital"))
    assert every.in_flight <= some.in_flight
    assert every.in_turn <= some.in_turn


def test_what_it_is_made_of() -> None:
    found = bound_of("htvm/ds_cnn_mixed")
    assert sum(each.cycles for each in found.units) >= found.least
    assert found.units[0].unit in found.text()
    assert not found.is_proven
    assert found.gap > 0


def test_a_machine_of_one_engine_has_no_choice() -> None:
    compiled = htvm.compile(models.path("mlperf_tiny/toyadmos"), "rv32")
    assert bound(compiled.source, compiled.soc, compiled.options, predicted(compiled.project.report), False) is None


def test_kernels_from_outside_have_costs_that_no_bound_knows(tmp_path: Path) -> None:
    (tmp_path / "own.h").write_text("/* of a kernel that takes no layer */\n")
    (tmp_path / "own.py").write_text(
        "from htvm.kernels import KernelSpec\n"
        "none = lambda layer: ['no layer']\n"
        "OWN = KernelSpec('own', header='own.h', function='own', violations=none, cost=lambda layer: 1)\n"
    )
    compiled = htvm.compile(models.path("htvm/dae_mixed"), "diana", kernels=[str(tmp_path / "own.py")])
    assert bound(compiled.source, compiled.soc, compiled.options, predicted(compiled.project.report), False) is None
