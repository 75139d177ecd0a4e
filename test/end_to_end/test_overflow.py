"""A program that is too large for a memory: the message says which, what it needs and has, and what is in it."""

import re
import subprocess
from pathlib import Path

import models
import pytest
import warm_commands
from limited import outcomes
from selection import first

import htvm
from htvm.backend import targets
from htvm.runtime.simulator.toolchain import BuildError


def test_code_that_does_not_fit_is_an_error_of_the_command(tmp_path) -> None:
    given = ["run", models.path("htvm/resnet8_digital"), "--target", "diana", "--memory", "l2_private=5k"]
    command = [warm_commands.folder() / "htvm", *map(str, given), "--json", "run.json"]
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
    assert lines[-1] == f"  it fits with --memory l2_private=5{needed[1]}"
    assert lines[-2] == (
        "  a larger l2_private or fewer tiles (another --objective, or more of the engines' memory) would help"
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
    assert message.endswith("  a larger ram or fewer kinds of layers would help")
    (shortage,) = raised.value.shortages
    needed = shortage.needed_bytes
    assert f"ram needs {needed:,} bytes" in message
    htvm.compile(model, soc.with_memory("ram", needed)).run()
    with pytest.raises(BuildError):
        htvm.compile(model, soc.with_memory("ram", needed - 16)).run()


@pytest.mark.parametrize(
    ("name", "size_bytes", "begin"),
    first(
        [
            ("layers/pointwise_wide", 16_000, "35"),
            ("layers/pointwise_wide", 27_000, "35"),
            ("mlperf_tiny/resnet8", 64_000, "13"),
            ("mlperf_tiny/resnet8", 120_000, "13"),
            ("mlperf_tiny/resnet8", 130_000, "13"),
        ],
        2,
    ),
)
def test_the_memory_that_a_command_names_is_enough(name: str, size_bytes: int, begin: str, tmp_path: Path) -> None:
    """The smallest does not hold the constants, the next not what kernels add to them, the largest not the code."""
    model = models.path(name)
    (refused,) = outcomes([("run", model, "--memory", f"ram={size_bytes}")], tmp_path)
    *_, last = refused.output.splitlines()
    assert (refused.status, last[:30]) == (1, f"  it fits with --memory ram={begin}")
    named = last.split()[-1]
    (done,) = outcomes([("run", model, "--memory", named, "--quiet")], tmp_path)
    assert (done.status, done.output) == (0, "")


def test_a_memory_does_not_grow_into_the_next_one() -> None:
    with pytest.raises(ValueError, match="'l2_private' cannot have 102,400 bytes: 'l2' begins 65,536 behind it"):
        targets.load("diana").with_memory("l2_private", 100 * 1024)
