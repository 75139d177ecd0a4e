"""Compiling and linking with each of the compilers there may be."""

from pathlib import Path

import pytest
from machine import RISCV_GCC, machine

from htvm.runtime.simulator import Host
from htvm.runtime.simulator.toolchain import BuildError, MemoryFull, Part, sizes, toolchain

HERE = Path(__file__).parent
START = ".globl _start, htvm_done\n_start: la sp, htvm_stack_top\ncall main\nhtvm_done: j htvm_done\n"
MAIN = """
#include <stdint.h>
const int16_t table[4] = {1, 2, 3, 4};
int32_t counter = 5;
int8_t buffer[12];
int main(void) { counter += table[counter & 3]; return buffer[0]; }
"""
COMPILERS = [
    None,
    pytest.param(
        RISCV_GCC,
        marks=pytest.mark.skipif(not machine().riscv_gcc, reason=f"no {RISCV_GCC}"),
    ),
]


@pytest.fixture
def compile_c(tmp_path, rv32):
    """Return a function that builds a C file into tmp_path/program.elf."""

    def build(text: str, cc: str | None) -> str:
        (tmp_path / "start.S").write_text(START)
        (tmp_path / "main.c").write_text(text)
        sources = [tmp_path / "start.S", tmp_path / "main.c"]
        return toolchain(rv32.host, cc).build(sources, HERE / "program.ld", tmp_path / "program.elf")

    return build


@pytest.mark.parametrize("cc", COMPILERS)
def test_c_is_built_and_runs(compile_c, tmp_path, rv32, cc):
    assert compile_c(MAIN, cc) == ""
    host = Host(tmp_path / "program.elf", rv32)
    host.run()
    assert host.read(host.symbol("counter"), 4) == (5 + 2).to_bytes(4, "little")


@pytest.mark.parametrize("cc", COMPILERS)
def test_sizes_are_those_of_the_sections(compile_c, tmp_path, cc):
    compile_c(MAIN, cc)
    found = sizes(tmp_path / "program.elf")
    assert 20 < found.code_bytes < 100
    assert found.rodata_bytes == 8
    assert found.data_bytes == 4
    assert 12 + 256 <= found.bss_bytes < 12 + 256 + 16


@pytest.mark.parametrize("cc", COMPILERS)
def test_a_warning_is_returned(compile_c, cc):
    assert "conversion" in compile_c("int main(void) { long long x = 5; char y = x; return y; }", cc).lower()


@pytest.mark.parametrize("cc", COMPILERS)
def test_a_function_of_the_compilers_library_is_missing_and_named(compile_c, cc):
    with pytest.raises(BuildError, match="cannot link .*program.elf: nothing defines __divdi3"):
        compile_c("long long x, y;\nint main(void) { return (int)(x / y); }", cc)


@pytest.mark.parametrize("cc", COMPILERS)
def test_a_memory_that_is_too_small_is_told_with_what_fills_it(compile_c, rv32, cc):
    size = rv32.memory(rv32.program_memory).size_bytes
    text = f"const char large[{size}] = {{1}};\nint main(void) {{ return *(volatile const char *)large; }}"
    with pytest.raises(MemoryFull) as raised:
        compile_c(text, cc)
    (excess,) = raised.value.excess.values()
    assert 256 <= excess < 1024  # code and stack
    assert Part("large", ".rodata", size) in raised.value.parts
    assert {part.section for part in raised.value.parts if part.name == "main"} == {".text"}


@pytest.mark.parametrize("cc", COMPILERS)
def test_an_error_in_c_is_shown(compile_c, cc):
    with pytest.raises(BuildError, match=r"cannot compile .*main\.c\n(.|\n)*main\.c:1:"):
        compile_c("int main(void) { return nothing; }", cc)


def test_a_compiler_that_is_not_there_is_named(compile_c):
    with pytest.raises(BuildError, match="cannot run 'no-such-gcc'"):
        compile_c(MAIN, "no-such-gcc -O2")
