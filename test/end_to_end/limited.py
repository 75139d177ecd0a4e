"""Commands that run under limits of time and memory, each in a process of its own.

The processes are forked from one that has imported everything, so that each starts at once: as a script, this file
reads command lines as JSON from standard input and writes an outcome for each.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

CPU_SECONDS = 60
"""Against what never ends, on a machine many times slower than ours: no measure of speed."""

SECONDS = 300
"""For a command that waits for something; other tests may run beside this one."""

BYTES = 2 << 30
ADDRESSES = 16 << 30
"""What a process may reserve, which is more than it uses; a limit for the machine's sake."""

NEEDED = (
    "htvm.driver",
    "htvm.execution.program",
    "htvm.verification.verification",
    "htvm.backend.c",
    "htvm.runtime.simulator.toolchain",
)


@dataclass(frozen=True)
class Outcome:
    """How a command ended. status: of exit, or minus the signal that ended it."""

    status: int
    output: str
    cpu_seconds: float
    peak_bytes: int

    def problem(self) -> str | None:
        """Say what is wrong with the outcome; None if it is a success or an error that is told."""
        if self.status in (-signal.SIGALRM, -signal.SIGXCPU, -signal.SIGKILL):
            return f"was stopped after {self.cpu_seconds:.1f} s of computing"
        if self.peak_bytes > BYTES:
            return f"took {self.peak_bytes >> 20:,} MiB"
        if "Traceback" in self.output or "internal error" in self.output or self.status not in (0, 1):
            return f"ended with status {self.status}: {self.output[-2000:]}"
        if self.status == 1 and not self.output.strip():
            return "failed without a word"
        return None


def outcomes(commands: Sequence[Sequence[object]], folder: Path) -> list[Outcome]:
    """Run `htvm` with each list of arguments, in a folder; in order, so that one may use what another wrote."""
    lines = "\n".join(json.dumps([str(argument) for argument in command]) for command in commands)
    done = subprocess.run([sys.executable, __file__], input=lines, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0
    return [Outcome(**json.loads(line)) for line in done.stdout.splitlines()]


def run(arguments: Sequence[str]) -> Outcome:
    """Run one command."""
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if not child:
            _become(arguments, output.fileno())
        _, status, usage = os.wait4(child, 0)
        output.seek(0)
        said = output.read().decode(errors="replace")
    code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    return Outcome(code, said, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10)


def _become(arguments: Sequence[str], output: int) -> None:
    """Be the process that runs the command; never returns."""
    status: object = 1
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.alarm(SECONDS)
        from htvm.commands.htvm import main

        sys.argv = ["htvm", *arguments]
        status = main()
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
        status = 99
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 0)


if __name__ == "__main__":
    for name in NEEDED:
        importlib.import_module(name)
    for line in sys.stdin:
        print(json.dumps(asdict(run(json.loads(line)))), flush=True)
