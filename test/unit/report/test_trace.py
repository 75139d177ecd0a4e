"""The timeline that Perfetto shows: its format, and that no cycle is missing."""

import json
from dataclasses import replace

import pytest

from htvm.execution.program import RunResult
from htvm.execution.trace import slices, trace
from htvm.runtime.simulator import Interval


@pytest.fixture(scope="module")
def written(result: RunResult) -> dict:
    """The trace as it is read back from a file."""
    return json.loads(json.dumps(trace(result.record)))


def test_events_are_those_of_the_trace_event_format(written: dict) -> None:
    assert set(written) == {"traceEvents", "displayTimeUnit", "otherData"}
    assert written["displayTimeUnit"] in ("ms", "ns")
    for event in written["traceEvents"]:
        assert isinstance(event["name"], str) and isinstance(event["args"], dict)
        assert isinstance(event["pid"], int) and isinstance(event["tid"], int)
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name") and isinstance(event["args"]["name"], str)
        else:
            assert event["ph"] == "X" and event["cat"]
            assert event["ts"] >= 0 and event["dur"] >= 0


def test_units_are_named_tracks(written: dict) -> None:
    names = {each["tid"]: each["args"]["name"] for each in written["traceEvents"] if each["name"] == "thread_name"}
    assert names == {0: "host"}
    assert {each["tid"] for each in written["traceEvents"] if each["ph"] == "X"} == set(names)
    (process,) = [each for each in written["traceEvents"] if each["name"] == "process_name"]
    assert process["args"]["name"] == "resnet8 on rv32"


def test_slices_follow_each_other_and_add_up_to_all_cycles(written: dict, result: RunResult) -> None:
    timed = [each for each in written["traceEvents"] if each["ph"] == "X"]
    at = 0
    for each in timed:
        assert each["args"]["start_cycle"] == at
        assert each["ts"] == pytest.approx(at / 260)  # the clock is 260 MHz
        assert each["dur"] == pytest.approx(each["args"]["cycles"] / 260)
        at += each["args"]["cycles"]
    assert at == result.metrics["cycles"] == written["otherData"]["cycles"]
    assert sum(each["args"]["instructions"] for each in timed) == result.metrics["host"]["instructions"]
    assert written["otherData"]["clock_hz"] == 260_000_000 and "mlir" in written["otherData"]["versions"]


def test_a_layer_says_what_it_is(result: RunResult) -> None:
    start_up, conv0, *_ = slices(result.record)
    assert (start_up.name, conv0.name, conv0.unit) == ("start-up", "conv0", "host")
    assert conv0.details.nodes == ("conv0", "conv0_relu", "conv0_Q")
    assert conv0.op == "conv2d" and conv0.details.macs == 32 * 32 * 16 * 27
    assert conv0.details.read_bytes == 3 * 32 * 32 and conv0.details.written_bytes == 16 * 32 * 32
    assert conv0.details.weight_bytes == 16 * 27


def test_copies_and_jobs_are_on_the_tracks_of_their_units(result: RunResult) -> None:
    copy = Interval("dma", 10, 84, -1, "copy", route="l2_to_l1", size_bytes=64, stall_cycles=3)
    job = Interval("array", 84, 600, 0, "conv2d", macs=1000)
    run = replace(result.record, execution=replace(result.execution, timeline=(copy, job)))
    events = [each for each in trace(run)["traceEvents"] if each["ph"] == "X"]
    host, others = events[:-2], events[-2:]
    assert [each["tid"] for each in others] == [1, 2] and {each["tid"] for each in host} == {0}
    assert [each["name"] for each in others] == ["l2_to_l1", "conv0"]
    assert others[0]["args"] == {
        "start_cycle": 10, "cycles": 74, "op": "copy", "step": -1, "for": "start-up", "bytes": 64, "stall_cycles": 3,
    }  # fmt: skip
    assert others[1]["args"]["macs"] == 1000 and others[1]["args"]["cycles"] == 516
