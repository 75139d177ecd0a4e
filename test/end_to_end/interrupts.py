"""Signals at random moments of every command: how it ends, how soon, and what it leaves behind.

    python test/end_to_end/interrupts.py COUNT [SEED]

sends COUNT signals and prints the endings, and each one that is wrong. An ending is right if the exit status is that of
the signal, or the usual one of a command that had done its work; if it comes within `LIMIT_S`; if it is told in one
line; and if no process, no temporary file and no part of an output is left. The clock starts when the command has taken
charge of signals: Python itself ends as it likes before that.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

INPUTS = Path(__file__).parents[1] / "inputs"
MODELS = INPUTS / "models" / "mlperf_tiny"
BIN = Path(sys.executable).parent
GUARD = "libhtvm_interrupts.so"  # mapped into a process: it has taken charge of signals
MARK = "HTVM_TEST_INTERRUPTED"  # the environment variable by which processes are found again
LIMIT_S = 1.0
ENDLESS = "endless"  # the folder of a project whose C does not end


@dataclass(frozen=True)
class Command:
    """A command to interrupt. status: its exit status when nothing happens."""

    words: tuple[str, ...]
    status: int = 0

    @property
    def name(self) -> str:
        return " ".join(Path(word).name for word in self.words)


@dataclass(frozen=True)
class Ending:
    """How a command ended. problems: what is wrong with that."""

    command: Command
    signal: signal.Signals
    after_s: float
    status: int
    took_s: float
    problems: tuple[str, ...]

    def __str__(self) -> str:
        found = "; ".join(self.problems) or "as it should"
        return f"{self.command.name}, {self.signal.name} after {self.after_s:.2f} s: status {self.status}: {found}"


def commands() -> list[Command]:
    """Return what is interrupted: every command, and what runs long in it."""
    resnet8, mobilenet = str(MODELS / "resnet8.onnx"), str(MODELS / "mobilenet_v1.onnx")
    words = [
        ("htvm", "compile", mobilenet, "-o", "c"),
        ("htvm", "compile", resnet8, "--target", "diana", "-o", "c", "--json", "c.json", "--save-plan", "p.json"),
        ("htvm", "run", mobilenet, "--outputs", "y.npz", "--json", "m.json", "--trace", "t.json"),
        ("htvm", "run", resnet8, "--target", "diana", "--requant", "pow2", "--values", "v.npz"),
        ("htvm", "verify", resnet8),
        ("htvm", "explain", resnet8, "--target", "diana"),
        ("htvm", "report", resnet8, "--target", "diana", "-o", "page.html"),
        ("htvm", "quantize", str(INPUTS / "float" / "ds_cnn_f32.onnx"), "-o", "q.onnx",
         "--calibration", str(INPUTS / "float" / "ds_cnn_calib.npz")),
        ("htvm", "ops"),
        ("htvm-translate", "--import-onnx", mobilenet, "-o", "m.mlir"),
    ]  # fmt: skip
    return [
        *(Command(each) for each in words),
        Command(("htvm", "reduce", resnet8), status=1),
        Command(("htvm", "run", ENDLESS), status=1),
        Command(("htvm-opt",), status=1),  # waits for standard input
    ]


def endless_project(folder: Path) -> None:
    """Write a project whose third step does not end."""
    model = str(MODELS / "resnet8.onnx")
    subprocess.run([BIN / "htvm", "compile", "--quiet", model, "-o", folder], check=True)
    source = folder / "resnet8.c"
    before, step, after = source.read_text().partition("htvm_step_2(")
    head, brace, body = after.partition("{")
    assert step and brace
    source.write_text(f"{before}{step}{head}{{\n  for (;;) {{}}\n{body}")


@contextmanager
def started(command: Command, folder: Path, project: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a command in an empty folder; its temporary files go to another one beside it."""
    work, scratch = folder / "work", folder / "scratch"
    work.mkdir()
    scratch.mkdir()
    program, *words = command.words
    words = [str(project) if word == ENDLESS else word for word in words]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what runs in the background
    process = subprocess.Popen(
        [BIN / program, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=work,
        env={**os.environ, "TMPDIR": str(scratch), MARK: str(folder)},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for_guard(process: subprocess.Popen[str]) -> None:
    """Wait until a command has taken charge of signals."""
    while process.poll() is None and GUARD not in Path(f"/proc/{process.pid}/maps").read_text():
        time.sleep(0.005)


def duration_s(command: Command, folder: Path, project: Path, at_most: float = 120) -> float:
    """Return how long a command takes from when it has taken charge of signals; one that waits takes a second."""
    folder.mkdir()
    with started(command, folder, project) as process:
        wait_for_guard(process)
        start = time.monotonic()
        try:
            process.wait(at_most if len(command.words) > 1 else 1)
        except subprocess.TimeoutExpired:
            pass
        return time.monotonic() - start


def interrupted(
    command: Command, number: signal.Signals, after_s: float, folder: Path, project: Path, limit_s: float = LIMIT_S
) -> Ending:
    """Run a command, send it a signal and look at what happens; Ctrl-C goes to the whole process group."""
    folder.mkdir()
    with started(command, folder, project) as process:
        wait_for_guard(process)
        time.sleep(after_s)
        was_done = process.poll() is not None
        start = time.monotonic()
        if not was_done:
            (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
        try:
            _, said = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            _, said = process.communicate()
        took_s = time.monotonic() - start
    status = process.returncode
    problems = []
    if status == 128 + number:
        if len([line for line in said.splitlines() if not line.startswith("note: ")]) != 1:
            problems.append(f"says {said!r}")
        problems += [f"left half of {name}" for name in partial(folder / "work")]
    elif status != command.status:
        problems.append(f"status {status}: {said[-1000:]}")
    if took_s > limit_s:
        problems.append(f"took {took_s:.1f} s")
    problems += [f"left {path.name}" for path in (folder / "scratch").iterdir()]
    problems += [f"left process {' '.join(words)}" for words in processes({MARK: str(folder)})]
    return Ending(command, number, after_s, status, took_s, tuple(problems))


def partial(folder: Path) -> Iterator[str]:
    """Yield the files in a folder that were not written to their end, and those that are nobody's output."""
    ends = {".html": b"</html>\n", ".json": b"\n", ".c": b"\n", ".mlir": b"\n", ".md": b"\n"}
    for path in folder.iterdir():
        if path.name.startswith(".") or path.suffix in (".tmp", ""):
            if not (path.is_dir() and (path / "report.json").exists()):
                yield path.name
        elif path.suffix == ".npz":
            import numpy as np

            try:
                dict(np.load(path))
            except Exception as error:
                yield f"{path.name} ({error})"
        elif path.suffix in ends and not path.read_bytes().endswith(ends[path.suffix]):
            yield path.name


def processes(variables: Mapping[str, str]) -> Iterator[Sequence[str]]:
    """Yield the command lines of the processes that have these environment variables."""
    wanted = {f"{name}={value}".encode() for name, value in variables.items()}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted <= set((folder / "environ").read_bytes().split(b"\0")):
                yield (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # it has ended, or is another user's


def main(count: int, seed: int) -> int:
    """Send signals in turn to all commands; return the number of wrong endings."""
    generator = random.Random(seed)
    endings: Counter[tuple[str, int]] = Counter()
    wrong = 0
    slowest_s = 0.0
    place = Path(tempfile.mkdtemp(prefix="htvm-interrupts-"))
    try:
        project = place / ENDLESS
        endless_project(project)
        known = commands()
        known = known[:count]
        durations = [duration_s(each, place / f"whole{n}", project) for n, each in enumerate(known)]
        for number in range(count):
            command = known[number % len(known)]
            kind = generator.choice([signal.SIGINT, signal.SIGINT, signal.SIGTERM])
            after_s = generator.uniform(0, durations[number % len(known)])
            ending = interrupted(command, kind, after_s, place / f"run{number}", project)
            endings[command.name, ending.status] += 1
            slowest_s = max(slowest_s, ending.took_s)
            if ending.problems:
                wrong += 1
                print(ending, flush=True)
            shutil.rmtree(place / f"run{number}")
    finally:
        shutil.rmtree(place, ignore_errors=True)
    for (name, status), times in sorted(endings.items()):
        print(f"{times:4} x status {status:3}  {name}")
    print(f"{count} signals, seed {seed}: {wrong} wrong endings; the slowest took {slowest_s:.2f} s")
    return wrong


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 32)) > 0)
