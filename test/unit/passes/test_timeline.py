"""The timeline of host and units against one that gives every command by itself."""

import random
from dataclasses import replace
from pathlib import Path

from htvm.backend import targets
from htvm.backend.targets.jobs import Job, JobKind
from htvm.backend.targets.soc import Route
from htvm.passes.analysis.timeline import Timeline

TINY = targets.load(str(Path(__file__).parents[2] / "passes/targets/tiny_npu.py"))
LOAD = Route("ram", "l1")


def timeline(**cycles: int) -> Timeline:
    return Timeline(replace(TINY, host=replace(TINY.host, **cycles)))


def one_by_one(count: int, each: int, issue: int, depth: int) -> tuple[int, int]:
    """Return when the host is free and when the last of `count` copies ends, as the simulated unit does it."""
    now, ends = 0, []
    for _ in range(count):
        now += issue
        waiting = [end for end in ends if end > now]
        if len(waiting) > depth:
            now = waiting[len(waiting) - depth - 1]
        ends.append(max(now, ends[-1] if ends else 0) + each)
    return now, ends[-1]


def test_many_copies_take_what_each_by_itself_takes() -> None:
    rng = random.Random(1)
    for _ in range(300):
        count, size, issue = rng.randint(1, 20), rng.choice((1, 64, 800)), rng.choice((0, 5, 21, 40, 200))
        time = timeline(copy_cycles=issue)
        end = time.copy(LOAD, count, size)
        each = TINY.cost_model.copy_cycles(LOAD, size)
        assert (time.now, end) == one_by_one(count, each, issue, TINY.dma(LOAD).queue_depth)
        assert time.end == end


def test_transfers_of_one_unit_follow_each_other_and_those_of_two_overlap() -> None:
    time = timeline()
    first, second = time.copy(LOAD, 1, 80), time.copy(Route("ram", "weights"), 1, 80)
    other = time.copy(Route("l1", "ram"), 1, 80)
    assert (first, second, other) == (30, 60, 30)


def test_a_job_waits_for_the_one_before_and_the_host_does_not() -> None:
    time = timeline(launch_cycles=3)
    job = Job(JobKind.ADD, 1, 1, (4, 4), (4, 4))
    assert time.launch("npu", job) == 3 + 11
    assert time.launch("npu", job) == 3 + 11 + 11
    assert time.now == 6


def test_a_wait_costs_cycles_even_for_what_has_ended() -> None:
    time = timeline(wait_cycles=4)
    time.wait(10)
    time.wait(10)
    assert time.now == 18


def test_the_host_works_while_units_do() -> None:
    time = timeline()
    time.copy(LOAD, 1, 80)
    time.work(100)
    assert (time.now, time.end) == (100, 100)


def test_a_full_queue_lets_the_host_wait_for_the_oldest_copy_however_long_the_others_are() -> None:
    time, depth = timeline(copy_cycles=1), TINY.dma(LOAD).queue_depth
    first = time.copy(LOAD, 1, 8000)
    time.copy(LOAD, depth, 80)
    assert time.now == 1 + depth
    time.copy(LOAD, 1, 80)
    assert time.now == first
