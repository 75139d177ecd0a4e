"""Copies, launches and waits as C: strided copies become runs, and counts are those of the units."""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import pytest
from mlir import ir

from htvm import dialects
from htvm.backend import targets
from htvm.backend.c import emit_c
from htvm.backend.targets.jobs import DESCRIPTOR_WORDS, OPERANDS

TINY = targets.load(str(Path(__file__).parents[2] / "passes/targets/tiny_npu.py"))
JOB = (
    "job = #accel.job<kind = add, channels = 1, outputs = 1, size = [2, 2], out_size = [2, 2], kernel = [1, 1], "
    "strides = [1, 1], pads = [0, 0, 0, 0], own = {high = 127 : i64, low = -128 : i64, shift = 0 : i64}>"
)
SOURCE = 'memref<1x4x8x8xi8, "ram">'
FOUR = 'memref<4xi8, "l1">'
LAYER = 'accel.op = "accel.add", accel.shape = array<i64: 1, 1, 2, 2>, accel.macs = 0'
"""What a step says of its layer."""


def launch(operand: str, kind: str = FOUR, job: str = JOB) -> str:
    types = f"({kind}, {kind}, {kind}) -> !accel.token"
    return f'accel.launch "npu" {operand}, {operand} into {operand} {{{job}}} : {types}'


def c_of(body: str, source: str = SOURCE, descriptor_room: int = 0) -> str:
    """Return the C of commands on %x, which is in RAM, and %b, 256 bytes at 16 of L1, after a launch."""
    text = f"""
    module attributes {{accel.arena = {{ram = 4096, l1 = 512}}, accel.capacity = {{ram = 524288, l1 = 4096}},
                       accel.lower_bound = {{ram = 4096, l1 = 512}}, accel.peak = {{ram = "n", l1 = "n"}},
                       accel.descriptor_room = {descriptor_room}}} {{
      func.func @f(%x: {source} {{accel.offset = 0, accel.name = "x", accel.result}}) {{
        %b = accel.buffer "b" at 16 : memref<256xi8, "l1">
        %a = accel.buffer "a" at 300 : {FOUR}
        accel.step "npu" attributes {{{LAYER}}} {{
          %first = {launch("%a")}
          accel.wait %first
          {body}
          accel.yield
        }}
        return
      }}
    }}"""
    context = dialects.context()
    with context, ir.Location.unknown():
        return emit_c(ir.Module.parse(text, context), TINY).sources["f.c"]


def copied(shape: str, offsets: str, source: str = SOURCE, steps: str = "256, 64, 8, 1") -> list[str]:
    """Return the calls of a copy of a part of %x into %b, where it is dense."""
    sizes = [int(size) for size in shape.split(", ")]
    dense = [1]
    for size in reversed(sizes[1:]):
        dense.insert(0, dense[0] * size)
    start = sum(int(a) * int(b) for a, b in zip(offsets.split(", "), steps.split(", ")))
    part = f'memref<{"x".join(map(str, sizes))}xi8, strided<[{steps}], offset: {start}>, "ram">'
    tile = f'memref<{"x".join(map(str, sizes))}xi8, strided<{dense}>, "l1">'
    ones = ", ".join("1" for _ in sizes)
    text = c_of(
        f"%s = memref.subview %x[{offsets}] [{shape}] [{ones}] : {source} to {part}\n"
        f"%t = memref.reinterpret_cast %b to offset: [0], sizes: [{shape}], strides: {dense} : "
        f'memref<256xi8, "l1"> to {tile}\n'
        f"%c = accel.copy %s to %t : {part} to {tile}\naccel.wait %c",
        source,
    )
    return calls(text)


def calls(text: str) -> list[str]:
    """Return the calls after the first launch and its wait."""
    every = [line.strip() for line in text.splitlines()]
    return [line for line in every if line.startswith(("htvm_copy", "htvm_wait", "htvm_launch"))][2:]


@pytest.mark.parametrize(
    ("shape", "offsets", "wanted"),
    [
        ("1, 4, 8, 8", "0, 0, 0, 0", "htvm_copy(UNIT_LOAD, MEMORY_L1 + 16, (uintptr_t)map_0, 256)"),
        ("1, 2, 8, 8", "0, 1, 0, 0", "htvm_copy(UNIT_LOAD, MEMORY_L1 + 16, (uintptr_t)map_0 + 64, 128)"),
        ("1, 4, 2, 8", "0, 0, 3, 0", "htvm_copy_rows(UNIT_LOAD, MEMORY_L1 + 16, 16, (uintptr_t)map_0 + 24, 64, 4, 16)"),
        ("1, 1, 3, 5", "0, 0, 0, 2", "htvm_copy_rows(UNIT_LOAD, MEMORY_L1 + 16, 5, (uintptr_t)map_0 + 2, 8, 3, 5)"),
        (
            "1, 4, 3, 5",
            "0, 0, 1, 0",
            "htvm_copy_maps(UNIT_LOAD, MEMORY_L1 + 16, 15, 5, (uintptr_t)map_0 + 8, 64, 8, 4, 3, 5)",
        ),
    ],
)
def test_a_part_of_a_map_is_copied_in_the_fewest_runs(shape: str, offsets: str, wanted: str) -> None:
    assert copied(shape, offsets)[0] == f"{wanted};"


@pytest.mark.parametrize(
    ("shape", "offsets", "commands"),
    [("1, 4, 8, 8", "0, 0, 0, 0", 1), ("1, 4, 2, 8", "0, 0, 3, 0", 4), ("1, 4, 3, 5", "0, 0, 1, 0", 12)],
)
def test_a_wait_is_for_all_commands_of_a_copy(shape: str, offsets: str, commands: int) -> None:
    assert copied(shape, offsets)[-1] == f"htvm_wait(UNIT_LOAD, {commands});"


def test_a_copy_with_more_axes_is_several() -> None:
    found = copied("2, 2, 2, 2", "0, 0, 0, 0", 'memref<2x4x8x8xi8, "ram">')
    assert found == [
        "htvm_copy_maps(UNIT_LOAD, MEMORY_L1 + 16, 4, 2, (uintptr_t)map_0, 64, 8, 2, 2, 2);",
        "htvm_copy_maps(UNIT_LOAD, MEMORY_L1 + 24, 4, 2, (uintptr_t)map_0 + 256, 64, 8, 2, 2, 2);",
        "htvm_wait(UNIT_LOAD, 8);",
    ]


def test_a_wait_for_what_has_been_waited_for_is_no_call() -> None:
    found = calls(c_of(f"%0 = {launch('%a')}\naccel.wait %0\naccel.wait %first\naccel.wait %0"))
    assert found == ["htvm_launch(UNIT_NPU, step_0_job_0);", "htvm_wait(UNIT_NPU, 2);"]


def test_a_token_that_loops_only_hand_on_is_that_of_the_command_before() -> None:
    """An inner loop takes what the outer one took, and gives it back: the outer one's has not changed."""
    found = calls(
        c_of(
            f"%0 = {launch('%a')}\n"
            "%c0 = arith.constant 0 : index\n%c1 = arith.constant 1 : index\n%c3 = arith.constant 3 : index\n"
            "%1 = scf.for %i = %c0 to %c3 step %c1 iter_args(%o = %0) -> (!accel.token) {\n"
            "  %2 = scf.for %j = %c0 to %c3 step %c1 iter_args(%p = %o) -> (!accel.token) {\n"
            "    accel.wait %p\n"
            "    scf.yield %p : !accel.token\n"
            "  }\n"
            "  scf.yield %2 : !accel.token\n"
            "}\n"
            "accel.wait %1"
        )
    )
    assert found == ["htvm_launch(UNIT_NPU, step_0_job_0);", "htvm_wait(UNIT_NPU, 2);"]


def loop(times: int, jobs: Sequence[str] = (JOB,), waits: str = "accel.wait %t{number}") -> str:
    """Return a loop of launches, one for each job, on 4 bytes of %c: the next is 8 bytes on, also the next time round.

    Tokens of the last job go round: %before is that of the time before.
    """
    size = 8 * times * len(jobs)
    part = 'memref<4xi8, strided<[1], offset: ?>, "l1">'
    body = [
        f'%c = accel.buffer "c" at 400 : memref<{size}xi8, "l1">',
        "%c0 = arith.constant 0 : index",
        "%c1 = arith.constant 1 : index",
        f"%n = arith.constant {times} : index",
        "%r = accel.ready",
        "%last = scf.for %i = %c0 to %n step %c1 iter_args(%before = %r) -> (!accel.token) {",
    ]
    for number, job in enumerate(jobs):
        body += [
            f"%o{number} = affine.apply affine_map<(d0) -> (d0 * {8 * len(jobs)} + {8 * number})>(%i)",
            f'%p{number} = memref.subview %c[%o{number}] [4] [1] : memref<{size}xi8, "l1"> to {part}',
            f"%t{number} = {launch(f'%p{number}', part, job=job)}",
            waits.format(number=number),
        ]
    return "\n".join([*body, f"scf.yield %t{len(jobs) - 1} : !accel.token", "}"])


def step(text: str) -> list[str]:
    """Return the lines of the step."""
    return text[text.index("HTVM_SHARED void htvm_step_0") : text.index("void f_run")].splitlines()[2:-2]


def test_a_job_that_moves_in_a_loop_is_copied_before() -> None:
    places = "MEMORY_L1 + 400 + i0 * 8, MEMORY_L1 + 400 + i0 * 8, 0, 0, MEMORY_L1 + 400 + i0 * 8"
    assert step(c_of(loop(100) + "\naccel.wait %last")) == [
        "    uint32_t job[HTVM_JOB_WORDS];",
        "    htvm_launch(UNIT_NPU, step_0_job_0);",
        "    htvm_wait(UNIT_NPU, 1);",
        "    htvm_copy_job(job, step_0_job_1);",
        "    for (uint32_t i0 = 0, n0 = htvm_times(100); i0 < n0; ++i0) {",
        f"        htvm_launch_at(UNIT_NPU, job, {places});",
        "        htvm_wait(UNIT_NPU, 2 + i0);",
        "    }",
    ]


def test_a_token_that_goes_round_is_that_of_the_time_before() -> None:
    found = calls(c_of(loop(100, waits="accel.wait %before") + "\naccel.wait %last"))
    assert found[2:] == ["htvm_wait(UNIT_NPU, 1 + i0);", "htvm_wait(UNIT_NPU, 101);"]


def test_a_token_of_another_command_each_time_round_is_an_error() -> None:
    swapped = loop(100, waits="accel.wait %before").replace("iter_args(%before = %r)", "iter_args(%before = %early)")
    with pytest.raises(ValueError, match="not of the same command each time round"):
        c_of(f"%early = {launch('%a')}\n%more = {launch('%a')}\n{swapped}")


def test_jobs_that_take_turns_are_each_copied_in_the_loop() -> None:
    lines = step(c_of(loop(100, (JOB, JOB.replace("shift = 0", "shift = 1")))))
    copied = [line.strip() for line in lines if "htvm_copy_job" in line or "htvm_launch_at" in line]
    assert [line.split("(")[0] for line in copied] == ["htvm_copy_job", "htvm_launch_at"] * 2
    assert copied[0] != copied[2] and "+ i0 * 16" in copied[1]


def test_loops_in_loops_count_commands_of_all_times_round() -> None:
    inner = loop(3, (JOB, JOB)).splitlines()
    at = next(number for number, line in enumerate(inner) if "scf.for" in line)
    nest = [*inner[:at], "scf.for %k = %c0 to %n step %c1 {", *inner[at:], "}"]
    found = calls(c_of("\n".join([*nest, f"%after = {launch('%a')}", "accel.wait %after"])))
    assert "htvm_wait(UNIT_NPU, 3 + i0 * 6 + i1 * 2);" in found
    assert found[-1] == "htvm_wait(UNIT_NPU, 20);"


@pytest.mark.parametrize(("bounds", "wanted"), [("%c1 to %n step %c1", "from 1 by 1"), ("%c0 to %n step %n", "by 100")])
def test_a_loop_with_other_bounds_is_an_error(bounds: str, wanted: str) -> None:
    with pytest.raises(ValueError, match=wanted):
        c_of(loop(100).replace("%c0 to %n step %c1", bounds))


def test_a_command_in_no_step_is_an_error() -> None:
    with pytest.raises(ValueError, match="'accel.launch' is in no step"):
        c_of(f"accel.yield\n}}\n%late = {launch('%a')}\naccel.step {{\naccel.wait %late")


def test_the_header_knows_how_long_a_descriptor_is() -> None:
    header = (resources.files("htvm.runtime") / "kernels/htvm_soc.h").read_text(encoding="utf-8")
    assert f"HTVM_JOB_WORDS = {DESCRIPTOR_WORDS} }}; /* of a descriptor, the last five" in header
    assert len(OPERANDS) == 5


def test_a_job_with_an_operand_that_has_gaps_is_an_error() -> None:
    part = 'memref<2x2xi8, strided<[16, 1]>, "l1">'
    with pytest.raises(ValueError, match="expected one without gaps"):
        c_of(
            f"""%c = accel.buffer "c" at 400 : memref<4x16xi8, "l1">
            %p = memref.subview %c[0, 0] [2, 2] [1, 1] : memref<4x16xi8, "l1"> to {part}
            %0 = {launch("%p", part)}
            accel.wait %0"""
        )


def test_a_job_with_an_operand_in_another_memory_is_an_error() -> None:
    with pytest.raises(ValueError, match="operand in 'ram', expected 'l1'"):
        c_of(f"%0 = {launch('%x', SOURCE)}\naccel.wait %0")


def test_descriptors_lie_beside_code_while_there_is_room() -> None:
    """The first job's has room, that of another job then has none; the same job's is the same array."""
    other = JOB.replace("shift = 0", "shift = 1")
    body = f"%0 = {launch('%a', job=other)}\naccel.wait %0\n%1 = {launch('%a')}\naccel.wait %1"
    text = c_of(body, descriptor_room=4 * DESCRIPTOR_WORDS + 3)
    arrays = [line for line in text.splitlines() if line.startswith("static const uint32_t")]
    size = f"[{DESCRIPTOR_WORDS}]"
    assert arrays == [
        f'static const uint32_t step_0_job_0{size} __attribute__((section(".descriptors"))) = {{',
        f"static const uint32_t step_0_job_1{size} = {{",
    ]
