"""Programs of a few instructions, built for target rv32."""

from collections.abc import Callable
from pathlib import Path

import pytest

from htvm.backend import targets
from htvm.runtime.simulator import Host
from htvm.runtime.simulator.toolchain import toolchain

HERE = Path(__file__).parent

# The program calls what a test defines, in order; all instructions have 32 bits, all functions are aligned.
START = """
    .option norvc
    .globl _start, htvm_done
    .text
    _start:
      la sp, htvm_stack_top
      {calls}
    htvm_done:
      j htvm_done
"""


@pytest.fixture
def rv32():
    return targets.load("rv32")


@pytest.fixture
def build(tmp_path: Path, rv32) -> Callable[..., Host]:
    """Return a function that builds a program which calls `functions` and ends; `text` defines them, in assembly."""

    def program(text: str, functions: tuple[str, ...] = ("test",), script: str | None = None) -> Host:
        source, elf, layout = tmp_path / "program.S", tmp_path / "program.elf", tmp_path / "program.ld"
        layout.write_text(script or (HERE / "program.ld").read_text())
        calls = "\n".join(f"jal {function}" for function in functions)
        source.write_text(START.format(calls=calls) + text)
        assert toolchain(rv32.host).build([source], layout, elf) == ""
        return Host(elf, rv32)

    return program
