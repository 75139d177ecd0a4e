"""A program that is too large for a memory: the message says which, what it needs and has, and what is in it."""

import re
import subprocess
import sys

import models
import pytest

import htvm
from htvm.backend import targets
from htvm.runtime.simulator.toolchain import BuildError


def test_code_that_does_not_fit_is_an_error_of_the_command(tmp_path) -> None:
    script = "import sys; from htvm.commands.htvm import main; sys.exit(main())"
    given = ["run", models.path("htvm/resnet8_digital"), "--target", "diana", "--memory", "l2_private=5k"]
    command = [sys.executable, "-c", script, *map(str, given), "--json", "run.json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    lines = done.stderr.splitlines()
    assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (1, "", [])
    needed = re.fullmatch(
        r"htvm run: error: resnet8_digital: does not fit target 'diana': l2_private needs 5,(\d+) bytes for code, "
        r"variables and stack, has 5,120",
        lines[0],
    )
    assert re.fullmatch(r"  +4,096 bytes: stack", lines[1])
    assert any(re.fullmatch(r"  +\d+ bytes: htvm_step_0, node 'conv1' on digital", line) for line in lines)
    assert lines[-1] == (
        f"  a larger l2_private (--memory l2_private=5{needed[1]}) or fewer tiles (another --objective, or more of the "
        "engines' memory) would help"
    )


def test_what_the_message_asks_for_is_enough() -> None:
    soc = targets.load("rv32").with_memory("ram", 8 * 1024)
    model = models.path("htvm/layers/global_avgpool_64x8x8")
    with pytest.raises(
        BuildError, match="code, variables and stack and constants and activations, has 8,192"
    ) as raised:
        htvm.compile(model, soc).run()
    message = str(raised.value)
    assert re.search(r"4,1\d\d bytes: htvm_arena\n +4,096 bytes: stack\n", message)
    needed = int(re.search(r"--memory ram=(\d+)\) or fewer kinds of layers would help", message)[1])
    htvm.compile(model, soc.with_memory("ram", needed)).run()
    with pytest.raises(BuildError):
        htvm.compile(model, soc.with_memory("ram", needed - 16)).run()


def test_a_memory_does_not_grow_into_the_next_one() -> None:
    with pytest.raises(ValueError, match="'l2_private' cannot have 102,400 bytes: 'l2' begins 65,536 behind it"):
        targets.load("diana").with_memory("l2_private", 100 * 1024)
