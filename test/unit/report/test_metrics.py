"""The metrics of a run on a target with units beside the host."""

from dataclasses import replace

import pytest

from htvm.backend import targets
from htvm.backend.c.schema import as_object
from htvm.execution.metrics import metrics
from htvm.execution.program import RunResult
from htvm.execution.record import unit_energy_uj
from htvm.runtime.simulator import EngineTotals, RouteTotals


@pytest.fixture(scope="module")
def execution(result: RunResult):
    """A run in which an array worked for a million cycles."""
    return replace(
        result.execution,
        engines={"array": EngineTotals(busy_cycles=1_000_000, launches=3, macs=5_000)},
        routes={"l2_to_l1": RouteTotals(bytes=4_096, count=2, busy_cycles=700)},
    )


def test_energy_is_that_of_the_units_whose_power_is_known(execution) -> None:
    soc = replace(targets.load("rv32"), clock_hz=250_000_000, power_w={"array": 0.025, "another": 1.0})
    assert unit_energy_uj(soc, execution) == {"array": pytest.approx(0.025 * 4e-3 * 1e6)}
    both = unit_energy_uj(replace(soc, power_w={"array": 0.025, "host": 0.01}), execution)
    assert both["host"] == pytest.approx(0.01 * execution.cycles / 250)
    assert unit_energy_uj(replace(soc, power_w=None), execution) == {}
    idle = replace(execution, engines={"array": EngineTotals(busy_cycles=0, launches=0, macs=0)})
    assert unit_energy_uj(soc, idle) == {}  # not 0: what worked has no figure


def test_without_units_nothing_is_claimed_of_them(result: RunResult) -> None:
    found = result.metrics
    assert found["engines"] == found["transfers"] == {} and found["energy_units"] == []
    ram = found["memories"]["ram"]
    assert 0 < ram["planned_peak_bytes"] == found["activation_bytes"] < ram["peak_bytes"]
    assert found["energy_uj"] is None
    assert found["host"]["stall_cycles"] == found["host"]["wait_cycles"] == 0


def test_what_units_did_is_there_by_name(result: RunResult, execution) -> None:
    found = as_object(metrics(replace(result.record, execution=execution)))
    assert found["engines"] == {"array": {"busy_cycles": 1_000_000, "launches": 3, "macs": 5_000}}
    assert found["transfers"] == {"l2_to_l1": {"bytes": 4_096, "count": 2, "busy_cycles": 700}}


def test_the_keys_of_metrics_are_those_that_programs_know(result: RunResult) -> None:
    """Keys may be added, not renamed."""
    found = result.metrics
    assert {
        "model", "target", "samples", "cycles", "clock_hz", "latency_ms", "host", "engines", "transfers", "memories",
        "code_bytes", "rodata_bytes", "ram_bytes", "activation_bytes", "stack_bytes", "worst_stack_bytes",
        "energy_uj", "energy_units", "macs", "layers", "start_up", "outputs", "versions",
    } <= set(found)  # fmt: skip
    assert {"instructions", "cycles", "stall_cycles", "wait_cycles"} <= set(found["host"])
    assert {"peak_bytes", "planned_peak_bytes", "capacity_bytes"} <= set(found["memories"]["ram"])
    assert {"cycles", "transferred_bytes", "energy_uj"} <= set(found["start_up"])
    assert {
        "name", "op", "engine", "cycles", "predicted_cycles", "instructions", "macs", "busy_cycles", "bound_cycles",
        "share_of_bound", "transferred_bytes", "energy_uj", "skips", "inserted",
    } <= set(found["layers"][0])  # fmt: skip
