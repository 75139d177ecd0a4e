"""How interrupting works: temporary files and child processes that a signal leaves nothing of.

A command calls `end_on_signals` before it imports anything slow. From then on Ctrl-C and SIGTERM end the process within
milliseconds, whatever it is doing: interrupts.c says how. Whoever imports htvm as a library keeps Python's handlers;
what is made here vanishes then as the exception passes.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

LIBRARY = Path(__file__).with_name("libhtvm_interrupts.so")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Guard:
    """What interrupts.c is told; nothing until it has been started."""

    def __init__(self) -> None:
        self.library: ctypes.CDLL | None = None
        self.holds = 0
        self.signalled = False

    def start(self, name: str) -> None:
        library = ctypes.CDLL(str(LIBRARY))
        library.htvm_interrupts_start.argtypes = (ctypes.c_int, ctypes.c_char_p)
        library.htvm_interrupts_add_path.argtypes = (ctypes.c_char_p,)
        read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write)
        error = library.htvm_interrupts_start(read, name.encode())
        if error:
            raise OSError(error, f"cannot start a thread: {os.strerror(error)}")
        self.library = library

    def on_signal(self, *_: object) -> None:
        """Python's handler: keep the main thread from doing more, until the other one has ended the process."""
        self.signalled = True
        while not self.holds:
            time.sleep(1)

    def hold(self, more: int) -> None:
        """Begin a block that a signal waits for, or end one: 1 or -1."""
        self.holds += more
        if self.library:
            self.library.htvm_interrupts_hold(more)
        if self.signalled:
            self.on_signal()


_guard = _Guard()


def end_on_signals(name: str) -> None:
    """Have SIGINT, SIGTERM and SIGHUP end this process, with the line `name: interrupted` and status 128 + the signal.

    A signal that whoever started the process has it ignore stays ignored. Call it from the main thread.
    """
    # A signal between the handler and the thread that it wakes would wait for ever.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, _guard.on_signal)
        _guard.start(name)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ends_on_signals() -> bool:
    """Say whether signals end this process, without an exception."""
    return _guard.library is not None


def ignore_signals() -> None:
    """Let no signal change how the process ends: its work is done."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def uninterrupted() -> Generator[None, None, None]:
    """Let a signal wait for the end of the block, which takes milliseconds."""
    if _guard.library:
        _guard.hold(1)
        try:
            yield
        finally:
            _guard.hold(-1)
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def announced(path: Path) -> Generator[None, None, None]:
    """Remove a file or folder, if it is there, when a signal ends the process in the block, which makes it."""
    place = _guard.library.htvm_interrupts_add_path(os.fsencode(path.absolute())) if _guard.library else -1
    try:
        yield
    finally:
        if _guard.library and place >= 0:
            _guard.library.htvm_interrupts_drop_path(place)


@contextmanager
def scratch_folder() -> Generator[Path, None, None]:
    """Make a folder among the temporary files, for the time of the block."""
    import shutil  # like others, imported late: a command starts without it
    import tempfile

    folder = Path(tempfile.gettempdir(), f"htvm-{os.urandom(8).hex()}").absolute()
    with announced(folder):
        try:
            folder.mkdir(mode=0o700)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def run_child(command: Sequence[str], environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program that is killed, with all that it has started, when an exception or a signal ends this.

    environment: variables beside those of this process. Raises OSError if the program cannot be started.
    """
    import subprocess

    place = -1
    with uninterrupted():
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        if _guard.library:
            place = _guard.library.htvm_interrupts_add_child(child.pid)
    with child:
        try:
            output, errors = child.communicate()
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            raise
        finally:
            if _guard.library and place >= 0:
                _guard.library.htvm_interrupts_drop_child(place)
    return subprocess.CompletedProcess(command, child.returncode, output, errors)
