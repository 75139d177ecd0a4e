"""Running programs: results, profiles, and every way in which a program can go wrong."""

from pathlib import Path

import pytest

from htvm.runtime.simulator import Host, OutOfCyclesError, SimulationError

HERE = Path(__file__).parent

COUNT_RUNS = """
    test: la t0, runs
          lw t1, 0(t0)
          addi t1, t1, 1
          sw t1, 0(t0)
          la t0, total
          lw t2, 0(t0)
          add t2, t2, t1
          sw t2, 0(t0)
          ret
    .data
    runs: .word 41
    .bss
    .balign 4
    total: .space 4
"""


def word(host: Host, symbol: str) -> int:
    return int.from_bytes(host.read(host.symbol(symbol), 4), "little")


def test_a_program_reads_what_was_written_and_its_results_can_be_read(build):
    host = build("test: la t0, x\nlw t1, 0(t0)\nslli t1, t1, 1\nsw t1, 4(t0)\nret\n.bss\nx: .space 8\n")
    host.write(host.symbol("x"), (21).to_bytes(4, "little"))
    host.run()
    assert host.read(host.symbol("x") + 4, 4) == (42).to_bytes(4, "little")


def test_each_run_starts_with_the_variables_of_the_file_and_the_memory_of_the_caller(build):
    host = build(COUNT_RUNS)
    for _ in range(3):
        host.write(host.symbol("total"), bytes(4))
        host.run()
        assert word(host, "runs") == 42
        assert word(host, "total") == 42


def test_memory_that_nobody_wrote_is_not_zero(build):
    host = build(COUNT_RUNS)
    assert host.read(host.symbol("total"), 4) == b"\xa5\xa5\xa5\xa5"


def test_two_runs_are_equal(build):
    host = build(COUNT_RUNS)
    assert host.run() == host.run()


STEPS = """
    .balign 4
    htvm_step_0: nop
                 nop
                 ret
    .balign 4
    htvm_step_1: li t0, 100
    1:           addi t0, t0, -1
                 bnez t0, 1b
                 ret
    .balign 4
    after:       nop
                 ret
"""


def test_a_step_is_charged_until_the_next_one_starts(build):
    execution = build(STEPS, ("htvm_step_0", "htvm_step_1", "after")).run()
    call, ret = 1, 1
    assert [step.index for step in execution.steps] == [0, 1]
    assert execution.start_up.instructions == 2 + call
    assert execution.steps[0].instructions == 2 + ret + call
    assert execution.steps[1].instructions == 1 + 100 * 2 + ret + call + (1 + ret)
    assert execution.steps[0].cycles == 2 + 2 + 2
    assert execution.steps[1].cycles == 1 + 100 * 2 + 99 * 2 + 2 + 2 + (1 + 2)
    assert execution.instructions == execution.start_up.instructions + sum(s.instructions for s in execution.steps)
    assert execution.cycles == execution.start_up.cycles + sum(s.cycles for s in execution.steps)


LOADS = """
    test:
      la t0, pointers
      la a1, words + {offset}
      li a0, 2
      j middle
    whole:
      lw a1, 8(t0)
      lw t1, 0(t0)
      nop
      lw t2, 0(t1)
    middle:
      lw t1, 4(t0)
      nop
      lw t2, 0(t1)
      nop
      lw t2, 0(a1)
      li t1, 0
      li a1, 0
      addi a0, a0, -1
      bnez a0, whole
      ret
    .data
    .balign 4
    words: .space 8
    pointers: .word words + {offset}, words + {offset}, words + {offset}
"""


def test_an_access_is_charged_once_by_blocks_that_overlap(build):
    """The block `middle` is watched for its first load, then `whole` for those around it as well."""
    aligned, misaligned = (build(LOADS.format(offset=offset)).run() for offset in (0, 1))
    assert misaligned.instructions == aligned.instructions
    assert misaligned.cycles - aligned.cycles == 2 + 3  # one for each load of `middle`, then of `whole`


def test_a_missing_step_is_named(build):
    with pytest.raises(SimulationError, match="program.elf: has htvm_step_2, but no htvm_step_1"):
        build("htvm_step_0: ret\nhtvm_step_2: ret\n", ("htvm_step_0", "htvm_step_2"))


def test_the_stack_is_measured(build):
    host = build("test: addi sp, sp, -48\nsw ra, 0(sp)\naddi sp, sp, 48\nret\n")
    assert host.run().stack_bytes == 48
    assert build("test: ret\n").run().stack_bytes == 0


def test_a_full_stack_is_an_error(build):
    host = build("test: sb zero, -256(sp)\nret\n")
    with pytest.raises(SimulationError, match="used all 256 bytes of its stack, or more"):
        host.run()


def test_a_loop_that_does_not_end_is_stopped_and_its_step_is_named(build):
    host = build("htvm_step_0: ret\nhtvm_step_1: nop\n1: j 1b\n", ("htvm_step_0", "htvm_step_1"))
    expected = r"\(htvm_step_1\+0x4, step 1\): still running after 100,000 cycles, this run's limit"
    with pytest.raises(OutOfCyclesError, match=expected):
        host.run(max_cycles=100_000)
    assert 100_000 < host.counter.cycles < 100_010


@pytest.mark.parametrize(
    ("instruction", "problem"),
    [
        ("lw t1, 8(t0)", "read of 4 bytes at 0x20000008, which is no memory of the program"),
        ("lbu t1, 8(t0)", "read of 1 bytes at 0x20000008, which is no memory of the program"),
        ("sh t1, 8(t0)", "write of 2 bytes at 0x20000008, which is no memory of the program"),
    ],
)
def test_an_access_outside_the_program_is_an_error(build, instruction, problem):
    host = build(f"htvm_step_0: lui t0, 0x20000\n{instruction}\nret\n", ("htvm_step_0",))
    with pytest.raises(SimulationError) as error:
        host.run()
    assert str(error.value) == f"program.elf: at 0x1c000014 (htvm_step_0+0x4, step 0): {problem}"


def test_the_memory_behind_the_program_is_not_the_programs(build):
    host = build("test: lui t0, 0x1c010\nlw t1, 0(t0)\nret\n")
    with pytest.raises(SimulationError, match="read of 4 bytes at 0x1c010000, which is no memory of the program"):
        host.run()


def test_a_jump_to_nowhere_tells_where_it_came_from(build):
    host = build("test: nop\nlui t0, 0x30000\njr t0\n")
    expected = r"\(outside the code, start-up\): jump to 0x30000000 from test, where there is no code"
    with pytest.raises(SimulationError, match=expected):
        host.run()


@pytest.mark.parametrize("word", [0x00000000, 0xFFFFFFFF, 0x003170D3, 0x00100073])  # the last: fadd.s, ebreak
def test_what_is_not_rv32imc_is_an_error(build, word):
    host = build(f"test: nop\n.word {word:#x}\nret\n")
    with pytest.raises(SimulationError, match=r"\(test.*illegal instruction"):
        host.run()


def test_an_error_does_not_spoil_the_next_run(build):
    host = build("test: la t0, x\nlw t0, 0(t0)\nbeqz t0, 1f\n.word 0\n1: ret\n.bss\nx: .space 4\n")
    for value in (b"\1\0\0\0", bytes(4), b"\1\0\0\0"):
        host.write(host.symbol("x"), value)
        if any(value):
            with pytest.raises(SimulationError, match="illegal instruction"):
                host.run()
        else:
            assert host.run().instructions == host.run().instructions


WRITE_TO_A_CONSTANT = """
    test: la t0, table
          sw sp, 4(t0)
          ret
    .section .rodata
    table: .word 1, 2
    .data
    variable: .word 3
"""


def test_writing_to_a_constant_is_an_error(build):
    script = (HERE / "program.ld").read_text().replace(".data :", ".data : ALIGN(4096)")
    host = build(WRITE_TO_A_CONSTANT, script=script)
    expected = r"\(test\+0x8, start-up\): write of 4 bytes at 0x1c\w+, which is code or constants \(table\+0x4\)"
    with pytest.raises(SimulationError, match=expected):
        host.run()


def test_writing_to_a_constant_on_a_page_with_variables_is_found_after_the_run(build):
    host = build(WRITE_TO_A_CONSTANT)
    for _ in range(2):
        with pytest.raises(SimulationError, match=r"has changed the constant at 0x1c\w+ \(table\+0x4\)"):
            host.run()


def test_the_caller_can_write_variables_only(build):
    host = build(WRITE_TO_A_CONSTANT)
    with pytest.raises(SimulationError, match="cannot write 4 bytes at 0x1c"):
        host.write(host.symbol("table"), bytes(4))
    with pytest.raises(SimulationError, match="cannot read 4 bytes at 0x0; can read 0x1c000000"):
        host.read(0, 4)


def test_a_program_that_is_too_large_is_refused(build):
    script = (HERE / "program.ld").read_text().replace("512K", "600K")
    expected = "does not fit target 'rv32': needs 52.,... bytes of memory 'ram', which has 524,288"
    with pytest.raises(SimulationError, match=expected):
        build("test: ret\n.bss\n.space 524200\n", script=script)


def test_a_missing_symbol_is_named(build):
    script = (HERE / "program.ld").read_text().replace("htvm_stack_bottom = .;", "")
    with pytest.raises(SimulationError, match="program.elf: has no symbol 'htvm_stack_bottom'"):
        build("test: ret\n", script=script)
    with pytest.raises(SimulationError, match="program.elf: has no symbol 'htvm_arena'"):
        build("test: ret\n").symbol("htvm_arena")


def test_code_that_can_be_written_is_refused(build):
    script = (HERE / "program.ld").read_text().replace("FLAGS(5)", "FLAGS(7)")
    with pytest.raises(SimulationError, match="code that is writable"):
        build("test: ret\n", script=script)


def test_a_file_that_is_no_program_is_refused(tmp_path, rv32):
    (tmp_path / "text.elf").write_text("no ELF")
    with pytest.raises(SimulationError, match="text.elf: is not an ELF file"):
        Host(tmp_path / "text.elf", rv32)
