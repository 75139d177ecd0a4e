"""Signals in the midst of commands. interrupts.py sends more of them, at random moments."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from interrupts import Command, commands, endless_project, interrupted

pytestmark = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="no /proc, to look at processes in")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose C does not end."""
    folder = tmp_path_factory.mktemp("project") / "endless"
    endless_project(folder)
    return folder


def command(*begin: str) -> Command:
    return next(each for each in commands() if each.words[: len(begin)] == begin)


@pytest.mark.parametrize(
    ("begin", "number", "after_s"),
    [
        (("htvm", "verify"), signal.SIGINT, 0),  # imports
        (("htvm", "compile"), signal.SIGINT, 1),  # passes
        (("htvm", "run"), signal.SIGTERM, 2.5),  # the C compiler, or the simulator
        (("htvm", "report"), signal.SIGINT, 2),
        (("htvm-opt",), signal.SIGINT, 0.5),  # reads standard input
        (("htvm", "run", "endless"), signal.SIGINT, 4),  # the simulator
    ],
    ids=lambda each: "-".join(each) if isinstance(each, tuple) else None,
)
def test_a_signal_ends_a_command_and_leaves_nothing(
    begin: tuple[str, ...], number: signal.Signals, after_s: float, project: Path, tmp_path: Path
) -> None:
    ending = interrupted(command(*begin), number, after_s, tmp_path / "run", project, limit_s=10)
    assert not ending.problems, str(ending)


BETWEEN = """
import os, signal
from htvm.runtime import interrupts

start = interrupts._guard.start
def signalled(name):
    os.kill(os.getpid(), signal.SIGINT)
    start(name)
interrupts._guard.start = signalled
interrupts.end_on_signals("command")
"""


def test_a_signal_while_handlers_change_hands_ends_the_process() -> None:
    """Between Python's handler and the thread that it wakes nobody would end it."""
    done = subprocess.run([sys.executable, "-c", BETWEEN], capture_output=True, text=True, timeout=30)
    assert (done.stderr, done.returncode) == ("command: interrupted\n", 128 + signal.SIGINT)


LIBRARY = """
import os, signal, sys, threading
from pathlib import Path
from htvm.backend import targets
from htvm.execution.program import Program
from htvm.interface import Samples
from htvm.project import Project

project = Project.read(Path(sys.argv[1]))
program = Program(project, targets.load("rv32"))
samples = Samples.of(project.inputs, project.random_inputs(0))
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    program.run(samples)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_in_a_simulation_is_an_exception_for_a_user_of_the_library(project: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LIBRARY, project], capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted\n", "", 0)


def test_an_endless_step_is_named_with_its_function(project: Path) -> None:
    htvm = Path(sys.executable).with_name("htvm")
    done = subprocess.run([htvm, "run", project, "--max-cycles", "10000000"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "node 'conv2': resnet8.elf: at 0x" in done.stderr
    assert "(htvm_step_2, step 2): still running after 10,000,000 cycles" in done.stderr
    assert "--max-cycles" in done.stderr
