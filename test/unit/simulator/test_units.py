"""Transfer engines and accelerators beside the host: what they compute, when, and what is an error.

More than 400 lines: a hazard after the other, on one small SoC.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from small_soc import ADDER, ADDER_FIELDS, DMA, L1, WEIGHTS, Summer, build_host, small_soc

from htvm.backend.targets import registers
from htvm.backend.targets.jobs import Job, JobKind
from htvm.backend.targets.soc import Memory, Soc
from htvm.runtime.simulator import Execution, Host, SimulationError

PROGRAM = """
#include "htvm_soc.h"
#define DMA {dma:#x}u
#define ADDER {adder:#x}u
#define L1 {l1:#x}u
#define WEIGHTS {weights:#x}u
#define AT(place) ((uintptr_t)(place))

unsigned char htvm_arena[2048] __attribute__((section(".arena"), aligned(16)));
#define IN (htvm_arena)
#define OUT (htvm_arena + 1024)

{constants}

__attribute__((noinline)) void htvm_step_0(void) {{ {first} }}
__attribute__((noinline)) void htvm_step_1(void) {{ {second} }}
int main(void) {{ htvm_step_0(); htvm_step_1(); return 0; }}
"""

SUM = Job(JobKind.ADD, channels=1, outputs=1, size=(8, 8), out_size=(8, 8)).having(shift=0, low=-128, high=127)
BIAS = Job(JobKind.CONV2D, channels=2, outputs=2, size=(4, 8), out_size=(4, 8)).having(shift=0, low=-128, high=127)
PIXEL = Job(JobKind.DENSE, channels=4, outputs=1, size=(1, 1), out_size=(1, 1)).having(shift=0, low=-128, high=127)
SUM_PLACES = {"input": L1, "rhs": L1 + 64, "output": L1 + 128}


def descriptor(name: str, job: Job, places: Mapping[str, int]) -> str:
    """Return the C of a descriptor."""
    words = ", ".join(f"{word:#x}u" for word in job.words(places, ADDER_FIELDS))
    return f"const uint32_t {name}[] = {{{words}}};"


CONSTANTS = "\n".join(
    [
        descriptor("sum", SUM, SUM_PLACES),
        descriptor("bias", BIAS, {"input": L1, "weights": WEIGHTS, "output": L1 + 192}),
        descriptor("dense", replace(BIAS, kind=JobKind.DENSE), {"input": L1, "weights": WEIGHTS, "output": L1 + 192}),
        descriptor("in_place", SUM, SUM_PLACES | {"output": L1 + 32}),
        descriptor("in_l2", SUM, SUM_PLACES | {"output": 0x1C000000 + 480 * 1024}),
        descriptor("begins", replace(PIXEL, keeps=True), {"input": L1, "sums": L1 + 512}),
        descriptor("goes_on", replace(PIXEL, adds=True, keeps=True), {"input": L1 + 4, "sums": L1 + 512}),
        descriptor("ends", replace(PIXEL, adds=True), {"input": L1 + 8, "sums": L1 + 512, "output": L1 + 128}),
        descriptor("over_itself", PIXEL, {"input": L1, "sums": L1 + 512, "output": L1 + 513}),
        "const uint32_t nonsense[40] = {77};",
    ]
)


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Host]:
    """Return a function that builds a program of two steps."""

    def program(first: str, second: str = "", soc: Soc | None = None, **more) -> Host:
        text = PROGRAM.format(
            dma=DMA, adder=ADDER, l1=L1, weights=WEIGHTS, constants=CONSTANTS, first=first, second=second
        )
        return build_host(tmp_path, soc or small_soc(), text, **more)

    return program


def data(seed: int, size_bytes: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, size_bytes, np.int8)


def run(host: Host, inputs: bytes = bytes(range(256)) * 4) -> tuple[Execution, bytes]:
    """Run a program; return its execution and what is in OUT."""
    arena = host.symbol("htvm_arena")
    host.write(arena, inputs)
    host.write(arena + 1024, bytes(1024))
    execution = host.run(max_cycles=1_000_000)
    return execution, host.read(arena + 1024, 1024)


def problem(host: Host, inputs: bytes = bytes(range(256)) * 4) -> str:
    """Run a program that must fail; return the message, addresses of the code and the cycles left out."""
    with pytest.raises(SimulationError) as error:
        run(host, inputs)
    text = re.sub(r"at 0x1c[0-9a-f]{6} \(htvm_step_(\d)\S*, step \d\)", r"step \1", str(error.value))
    return re.sub(r", cycles [\d,]+ to [\d,]+\)", ")", text).removeprefix("program.elf: ")


FETCH = "htvm_copy(DMA, L1, AT(IN), 128); htvm_wait(DMA, 1); htvm_reset(DMA);"


def test_copies_and_jobs_compute_and_take_their_time(build):
    host = build(FETCH, "htvm_launch(ADDER, sum); htvm_wait(ADDER, 1);"
                 "htvm_copy(DMA, AT(OUT), L1 + 128, 64); htvm_wait(DMA, 1);")  # fmt: skip
    values = data(1, 1024)
    for _ in range(2):
        execution, output = run(host, values.tobytes())
        expected = (values[:64].astype(int) + values[64:128]).clip(-128, 127).astype(np.int8)
        assert output[:64] == expected.tobytes()
    copied, added, returned = execution.timeline
    assert (copied.unit, copied.route, copied.step) == ("dma", "l2_to_l1", 0)
    assert (copied.size_bytes, copied.cycles) == (128, 228)
    assert (added.unit, added.kind, added.macs, added.cycles, added.step) == ("adder", "add", 0, 1064, 1)
    assert (returned.route, returned.cycles, returned.step) == ("l1_to_l2", 164, 1)
    assert copied.end_cycle < added.start_cycle < added.end_cycle < returned.start_cycle
    assert returned.end_cycle < execution.cycles
    assert execution.wait_cycles > 0.9 * (228 + 1064 + 164)


LAUNCH = "htvm_launch(ADDER, {}); htvm_wait(ADDER, 1); htvm_reset(ADDER);"
SUMS = FETCH + LAUNCH.format("begins") + LAUNCH.format("goes_on")
SUMMER = small_soc(engines=(*small_soc().engines[:1], Summer()))


def test_sums_stay_over_launches(build):
    """A job that keeps its sums writes no result, though its descriptor has a place for one at 0."""
    host = build(SUMS, LAUNCH.format("ends") + "htvm_copy(DMA, AT(OUT), L1 + 128, 1); htvm_wait(DMA, 1);", SUMMER)
    values = data(3, 1024)
    _, output = run(host, values.tobytes())
    assert output[0] == int(values[:12].sum(dtype=np.int64)) & 0xFF


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (
            FETCH,
            "htvm_launch(ADDER, ends);",
            "step 1: 'dense' of step 1 (adder) adds to l1[512:516], but nobody has written l1[512:516] in this run",
        ),
        (
            FETCH,
            "htvm_launch(ADDER, begins); htvm_copy(DMA, L1 + 514, AT(IN), 8);",
            "step 1: 'copy l2_to_l1' of step 1 (dma) writes l1[514:522], while 'dense' of step 1 (adder) writes "
            "l1[512:516]",
        ),
        (
            FETCH,
            "htvm_launch(ADDER, over_itself);",
            "step 1: 'dense' of step 1 (adder) writes l1[513:514], of which it writes l1[512:516] too",
        ),
    ],
)
def test_sums_are_nobody_elses(build, first: str, second: str, expected: str) -> None:
    assert problem(build(first, second, SUMMER))[: len(expected)] == expected


def test_weights_come_from_the_engines_own_memory(build):
    host = build("htvm_copy(DMA, L1, AT(IN), 64); htvm_copy(DMA, WEIGHTS, AT(IN + 512), 2); htvm_wait(DMA, 2);"
                 "htvm_launch(ADDER, bias); htvm_wait(ADDER, 1);"
                 "htvm_copy(DMA, AT(OUT), L1 + 192, 64); htvm_wait(DMA, 3);")  # fmt: skip
    values = data(2, 1024)
    execution, output = run(host, values.tobytes())
    expected = (values[:64].astype(int) + values[512:514].repeat(32)).clip(-128, 127).astype(np.int8)
    assert output[:64] == expected.tobytes()
    assert execution.timeline[2].macs == execution.engines["adder"].macs == 2 * 2 * 32


@pytest.mark.parametrize(
    ("call", "moves"),
    [
        ("htvm_copy_rows(DMA, L1, 8, AT(IN), 16, 4, 8)", [(8 * r, 16 * r) for r in range(4)]),
        (
            "htvm_copy_maps(DMA, L1, 24, 8, AT(IN), 128, 16, 2, 3, 8)",
            [(24 * m + 8 * r, 128 * m + 16 * r) for m in range(2) for r in range(3)],
        ),
    ],
)
def test_copies_of_more_dimensions_are_runs_one_after_the_other(build, call, moves):
    count, size = len(moves), 8 * len(moves)
    host = build(f"{call}; htvm_wait(DMA, {count}); htvm_copy(DMA, AT(OUT), L1, {size}); htvm_wait(DMA, {count + 1});")
    values = data(3, 1024)
    execution, output = run(host, values.tobytes())
    expected = np.zeros(size, np.int8)
    for to, start in moves:
        expected[to : to + 8] = values[start : start + 8]
    assert output[:size] == expected.tobytes()
    rows = execution.timeline[:-1]
    assert len(rows) == count and all(one.cycles == 108 for one in rows)
    assert all(a.end_cycle == b.start_cycle for a, b in zip(rows, rows[1:], strict=False))


def test_a_full_queue_keeps_the_host_waiting(build):
    host = build("htvm_copy_rows(DMA, L1, 16, AT(IN), 16, 5, 16); htvm_wait(DMA, 5);")
    execution, _ = run(host)
    stalls = [one.stall_cycles for one in execution.timeline]
    # One is copied and one waits: the third comes when the first has ended, the others as soon as there is room. The
    # host takes 9 cycles for a command itself.
    assert stalls[:2] == [0, 0] and all(90 < stall < 116 for stall in stalls[2:])
    assert execution.stall_cycles == execution.steps[0].stall_cycles == sum(stalls)
    assert execution.cycles > execution.timeline[-1].end_cycle == execution.timeline[0].start_cycle + 5 * 116


def test_a_transfer_engine_works_beside_an_accelerator(build):
    host = build(FETCH, "htvm_launch(ADDER, sum); htvm_copy(DMA, L1 + 512, AT(IN), 400);"
                 "htvm_wait(DMA, 1); htvm_wait(ADDER, 1);")  # fmt: skip
    execution, _ = run(host)
    _, job, copy = execution.timeline
    assert job.start_cycle <= copy.start_cycle < copy.end_cycle < job.end_cycle
    assert execution.cycles - job.start_cycle < job.cycles + copy.cycles


def test_what_the_units_did_adds_up(build):
    host = build(FETCH, "htvm_launch(ADDER, sum); htvm_copy_rows(DMA, L1 + 512, 8, AT(IN), 8, 9, 8);"
                 "htvm_wait(ADDER, 1); htvm_wait(DMA, 9);"
                 "htvm_copy(DMA, AT(OUT), L1 + 128, 64); htvm_wait(DMA, 10);")  # fmt: skip
    execution, _ = run(host)
    adder, routes = execution.engines["adder"], execution.routes
    assert (adder.launches, adder.busy_cycles) == (1, 1064)
    assert {name: (one.count, one.bytes) for name, one in routes.items()} == {
        "l2_to_l1": (10, 128 + 72),
        "l1_to_l2": (1, 64),
        "l2_to_weights": (0, 0),
    }
    assert adder.busy_cycles + sum(one.busy_cycles for one in routes.values()) == sum(
        one.cycles for one in execution.timeline
    )
    assert sum(one.stall_cycles for one in execution.timeline) == execution.stall_cycles > 0
    steps = [execution.start_up, *execution.steps]
    assert sum(step.cycles for step in steps) == execution.cycles
    assert all(step.stall_cycles + step.wait_cycles < step.cycles for step in steps)
    assert execution.routes["l2_to_weights"].busy_cycles == 0


def test_waiting_is_counted_exactly_and_hardly_executed(build, monkeypatch):
    """Most iterations of the loop of htvm_wait are not executed, but all that is counted is as if they were."""
    text = "htvm_copy(DMA, L1, AT(IN), 1000); htvm_copy(DMA, L1, AT(IN), 1001); htvm_wait(DMA, 2);"
    counted = run(build(text))[0]
    host = build(text)
    monkeypatch.setattr(host.units.polling, "skip", lambda *_: None)
    executed = run(host)[0]
    assert counted == executed
    assert counted.wait_cycles > 2000


def test_waiting_takes_few_reads_however_long_it_is(build, monkeypatch):
    host = build(FETCH, "htvm_launch(ADDER, sum); htvm_wait(ADDER, 1);")
    reads = []
    read = host.units.polling.read
    monkeypatch.setattr(host.units.polling, "read", lambda *them: reads.append(them) or read(*them))
    run(host)
    assert len(reads) <= 2 * 4


def test_a_loop_that_does_more_than_wait_is_executed(build):
    host = build("uint32_t n = 0; htvm_copy(DMA, L1, AT(IN), 1024);"
                 "while (!htvm_done(DMA)) ++n; *(volatile uint32_t *)OUT = n;")  # fmt: skip
    execution, output = run(host)
    count = int.from_bytes(output[:4], "little")
    assert execution.wait_cycles == 0
    assert 1124 / 8 < count < 1124 / 4


def test_unoptimised_code_waits_too(build):
    host = build(FETCH + "htvm_copy(DMA, AT(OUT), L1, 64); htvm_wait(DMA, 1);", options=("-O0",))
    assert run(host)[1][:64] == bytes(range(64))


def test_the_host_sees_nothing_of_a_copy_before_its_end(build):
    host = build(FETCH + "htvm_copy(DMA, AT(OUT), L1, 64);",
                 "unsigned char early = *(volatile unsigned char *)(OUT + 5); htvm_wait(DMA, 1);"
                 "IN[0] = early; IN[1] = OUT[5];")  # fmt: skip
    run(host, bytes([7]) * 1024)
    assert host.read(host.symbol("htvm_arena"), 2) == bytes([0xA5, 7])


def test_a_copy_reads_what_a_copy_before_it_has_written(build):
    host = build(FETCH, "htvm_copy(DMA, AT(OUT), L1, 64); htvm_copy(DMA, L1 + 256, AT(OUT), 64);"
                 "htvm_copy(DMA, AT(OUT + 64), L1 + 256, 64); htvm_wait(DMA, 3);")  # fmt: skip
    assert run(host)[1][:128] == bytes(range(64)) * 2


HAZARDS = {
    "a job reads what a copy still writes": (
        FETCH,
        "htvm_copy(DMA, L1 + 32, AT(IN), 64); htvm_launch(ADDER, sum);",
        "step 1: 'add' of step 1 (adder) reads l1[0:64], while 'copy l2_to_l1' of step 1 (dma) writes l1[32:96]",
    ),
    "a copy overwrites what a job still reads": (
        FETCH + "htvm_launch(ADDER, sum);",
        "htvm_copy(DMA, L1 + 100, AT(IN), 8);",
        "step 1: 'copy l2_to_l1' of step 1 (dma) writes l1[100:108], while 'add' of step 0 (adder) reads l1[64:128]",
    ),
    "a copy overwrites what a job still writes": (
        FETCH,
        "htvm_launch(ADDER, sum); htvm_copy(DMA, L1 + 128, AT(IN), 8);",
        "step 1: 'copy l2_to_l1' of step 1 (dma) writes l1[128:136], while 'add' of step 1 (adder) writes l1[128:192]",
    ),
    "a result is fetched before it is there": (
        FETCH,
        "htvm_launch(ADDER, sum); htvm_copy(DMA, AT(OUT), L1 + 128, 64); htvm_wait(DMA, 1);",
        "step 1: 'copy l1_to_l2' of step 1 (dma) reads l1[128:192], while 'add' of step 1 (adder) writes l1[128:192]",
    ),
    "a copy that waits in the queue starts too early": (
        FETCH + "htvm_launch(ADDER, sum);",
        "htvm_copy(DMA, L1 + 512, AT(IN), 8); htvm_copy(DMA, AT(OUT), L1 + 128, 1); htvm_wait(DMA, 2);",
        "step 1: 'copy l1_to_l2' of step 1 (dma) reads l1[128:129], while 'add' of step 0 (adder) writes l1[128:192]",
    ),
    "a job reads what nobody wrote": (
        "htvm_copy(DMA, L1, AT(IN), 100); htvm_wait(DMA, 1);",
        "htvm_launch(ADDER, sum);",
        "step 1: 'add' of step 1 (adder) reads l1[64:128], but nobody has written l1[100:128] in this run",
    ),
    "an engine's weights were never copied": (
        FETCH,
        "htvm_launch(ADDER, bias);",
        "step 1: 'conv2d' of step 1 (adder) reads weights[0:2], but nobody has written weights[0:2] in this run",
    ),
    "an engine is busy": (
        FETCH + "htvm_launch(ADDER, sum);",
        "htvm_launch(ADDER, sum);",
        "step 1: launches 'adder' before the end of 'add' of step 0 (adder)",
    ),
    "a job overwrites its own input": (
        FETCH,
        "htvm_launch(ADDER, in_place);",
        "step 1: 'add' of step 1 (adder) writes l1[32:96], of which it reads l1[0:64]",
    ),
    "the program ends too early": (
        "",
        "htvm_copy(DMA, L1, AT(IN), 128);",
        "at HALT (htvm_done, step 1): the program has ended at cycle N before 'copy l2_to_l1' of step 1 (dma)",
    ),
    "the host changes what is being copied": (
        "htvm_copy(DMA, L1, AT(IN), 64); IN[9] = 77;",
        "htvm_wait(DMA, 1);",
        "step 1: the host has changed l2[ARENA+9:ARENA+10] (htvm_arena+0x9) before the end of 'copy l2_to_l1' of "
        "step 0 (dma), which reads l2[ARENA+0:ARENA+64]",
    ),
    "the host writes where a copy will": (
        FETCH + "htvm_copy(DMA, AT(OUT), L1, 64); OUT[63] = 3;",
        "htvm_wait(DMA, 1);",
        "step 1: the host has written to l2[ARENA+1024:ARENA+1088] before the end of 'copy l1_to_l2' of step 0 (dma), "
        "which writes it",
    ),
    "the count is reset too early": (
        "htvm_copy(DMA, L1, AT(IN), 64); htvm_reset(DMA);",
        "",
        "step 0: resets the count of 'dma' before the end of 'copy l2_to_l1' of step 0 (dma)",
    ),
    "the host waits for what does not come": (
        FETCH,
        "htvm_wait(DMA, 1);",
        "step 1: waits for 'dma', which has nothing to do at cycle N; its count is 0",
    ),
    "memory that nobody planned": (
        "htvm_copy(DMA, L1 + 3000, AT(IN), 100);",
        "",
        "step 0: 'dma' is given a copy to l1[3000:3100], of which nobody has planned more than the first 3,072 bytes",
    ),
    "memory behind the end": (
        "htvm_copy(DMA, L1 + 4000, AT(IN), 128);",
        "",
        "step 0: 'dma' is given a copy to l1[4000:4128], beyond the end of 'l1', which has 4,096 bytes",
    ),
    "no memory": (
        "htvm_copy(DMA, 0x1234, AT(IN), 128);",
        "",
        "step 0: 'dma' is given a copy to 128 bytes at 0x1234, which is in no memory "
        "(l2 0x1c000000..0x1c080000, l1 0x10000000..0x10001000, weights 0x10100000..0x10100100)",
    ),
    "memory of the host that the program does not have": (
        "htvm_copy(DMA, L1, 0x1C070000, 8);",
        "",
        "step 0: 'dma' is given a copy from l2[458752:458760] at 0x1c070000, which is not in the program",
    ),
    "constants": (
        FETCH + "htvm_copy(DMA, AT(&htvm_step_0), L1, 4);",
        "",
        "step 0: 'dma' is given a copy to l2[CODE:CODE+4] at HTVM_STEP_0, which is no variable of the program",
    ),
    "no route": (
        "htvm_copy(DMA, L1, WEIGHTS, 8);",
        "",
        "step 0: 'dma' is given a copy of weights[0:8] at 0x10100000 to l1[0:8] at 0x10000000, but has no route "
        "'weights_to_l1'; it has l2_to_l1, l1_to_l2, l2_to_weights",
    ),
    "no bytes": (
        "htvm_copy(DMA, L1, AT(IN), 0);",
        "",
        "step 0: 'dma' is given a copy of 0 bytes from HTVM_ARENA to 0x10000000, expected some",
    ),
    "an operand in another memory": (
        FETCH,
        "htvm_launch(ADDER, in_l2);",
        "step 1: 'adder' is given output of l2[491520:491584] at 0x1c078000, which is no variable of the program",
    ),
    "a descriptor where there is none": (
        "htvm_launch(ADDER, nonsense);",
        "",
        "step 0: 'adder' is given a descriptor at NONSENSE that describes no job: it begins with 77, 0, 0, 0",
    ),
    "a descriptor that the host does not reach": (
        FETCH,
        "htvm_launch(ADDER, (const uint32_t *)L1);",
        "step 1: 'adder' is given a descriptor in l1[0:68], which the host does not reach",
    ),
    "a job that the engine cannot do": (
        FETCH + "htvm_copy(DMA, WEIGHTS, AT(IN), 4); htvm_wait(DMA, 1);",
        "htvm_launch(ADDER, dense); htvm_wait(ADDER, 1);",
        "step 1: 'adder' cannot run job 'dense' (channels 2",
    ),
    "the host reaches for private memory": (
        "*(volatile uint32_t *)(L1 + 8) = 1;",
        "",
        "step 0: write of 4 bytes at 0x10000008, which is in 'l1', which the host does not reach",
    ),
    "a register that is not there": (
        "*(volatile uint32_t *)(ADDER + 12) = 1;",
        "",
        "step 0: write of 4 bytes at offset 12 of 'adder' (0x5000100c), which takes a write of 4 bytes at 0, 4",
    ),
    "a part of a register": (
        "(void)*(volatile unsigned char *)DMA;",
        "",
        "step 0: read of 1 bytes at offset 0 of 'dma' (0x50000000), which takes a read of 4 bytes at 0",
    ),
}


@pytest.mark.parametrize("name", HAZARDS)
def test_is_an_error(build, name):
    first, second, expected = HAZARDS[name]
    host = build(first, second, planned={"l1": 3072})
    arena, code = (host.symbol(symbol) - 0x1C000000 for symbol in ("htvm_arena", "htvm_step_0"))
    expected = re.sub(r"ARENA\+(\d+)", lambda found: str(arena + int(found[1])), expected)
    expected = expected.replace("CODE+4", str(code + 4)).replace("CODE", str(code))
    for symbol in ("htvm_step_0", "htvm_arena", "nonsense", "htvm_done"):
        place = f"{host.symbol(symbol):#x}"
        expected = expected.replace(symbol.upper(), place).replace("HALT", place if symbol == "htvm_done" else "HALT")
    found = re.sub(r"at cycle [\d,]+", "at cycle N", problem(host))
    assert found[: len(expected)] == expected
    if "(channels" not in expected:
        assert found == expected


def test_an_error_does_not_spoil_the_next_run(build):
    host = build("if (IN[0]) htvm_copy(DMA, L1, AT(IN), 0);" + FETCH)
    for first in (b"\1", b"\0", b"\1", b"\0"):
        if first == b"\1":
            assert "0 bytes" in problem(host, first + bytes(1023))
        else:
            assert len(run(host, bytes(1024))[0].timeline) == 1


def test_each_run_starts_with_private_memory_that_nobody_wrote(build):
    host = build("if (IN[0]) { htvm_copy(DMA, L1, AT(IN), 8); htvm_wait(DMA, 1); }",
                 "htvm_copy(DMA, AT(OUT), L1, 8); htvm_wait(DMA, IN[0] + 1u);")  # fmt: skip
    run(host, bytes([1]) * 1024)
    assert problem(host, bytes(1024)).endswith("reads l1[0:8], but nobody has written l1[0:8] in this run")


def test_a_target_with_units_needs_figures(build):
    with pytest.raises(SimulationError, match="target 'small' has units beside the host, but no cost model for them"):
        build("", soc=small_soc(cost_models=()))


@pytest.mark.parametrize("base", [DMA + 4, ADDER, 0x1C000000])
def test_registers_need_an_address_of_their_own(build, base):
    (dma,) = small_soc().dmas
    with pytest.raises(SimulationError, match=f"has the registers of '(dma|adder)' at {base:#x}; expected a multiple"):
        build("", soc=small_soc(dmas=(replace(dma, base=base),)))


def test_a_program_in_memory_that_the_host_does_not_reach_is_refused(build):
    l2, *others = small_soc().memories
    hidden = small_soc(memories=(replace(l2, host_visible=False), *others))
    with pytest.raises(SimulationError, match=r"loads [\d,]+ bytes into 'l2', which the host does not reach"):
        Host(build("").program.path, hidden)


def test_constants_can_have_a_memory_of_their_own(build):
    flash = Memory("flash", 0x1A000000, 64 * 1024)
    host = build(FETCH, "htvm_launch(ADDER, sum); htvm_wait(ADDER, 1);",
                 soc=small_soc(memories=(*small_soc().memories, flash), constant_memory="flash"))  # fmt: skip
    assert len(run(host)[0].timeline) == 2
    assert flash.base <= host.symbol("sum") < flash.end


def test_the_header_has_the_registers_of_the_simulator():
    text = (resources.files("htvm.runtime") / "kernels" / "htvm_soc.h").read_text()
    found = {name: int(value, 16) for name, value in re.findall(r"HTVM_(\w+) = (0x\w+)", text)}
    known = ("DONE", "DMA_SOURCE", "DMA_TARGET", "DMA_BYTES", "JOB")
    assert found == {name: getattr(registers, name) for name in known}
