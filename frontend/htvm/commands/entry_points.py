"""What the installed commands call: signals end a command in an orderly way from before its slow imports on."""

from __future__ import annotations

import gc
import os
import signal
import sys
from importlib import import_module

COLLECTED_AT = 300_000
"""More objects than were freed before Python looks for cycles; with its 700 that is a tenth of what a command takes.

What is loaded and a network of MLPerf Tiny are fewer than 200,000."""


def htvm() -> int:
    """Entry point of `htvm`."""
    return _guarded("htvm", "htvm.commands.htvm")


def htvm_opt() -> int:
    """Entry point of `htvm-opt`."""
    return _guarded("htvm-opt", "htvm.commands.htvm_opt")


def htvm_translate() -> int:
    """Entry point of `htvm-translate`."""
    return _guarded("htvm-translate", "htvm.commands.htvm_translate")


def _guarded(name: str, module: str) -> int:
    """Call `main` of a module; a signal ends the process until that has returned."""

    def leave(number: int, _: object) -> None:
        """Handle a signal before there is anything to clean up."""
        os.write(2, f"{name}: {'interrupted' if number == signal.SIGINT else 'terminated'}\n".encode())
        os._exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, leave)
    gc.set_threshold(COLLECTED_AT)
    from htvm.runtime import interrupts

    interrupts.end_on_signals(name)
    try:
        status: int = import_module(module).main()
        sys.stdout.flush()
        return status
    finally:
        interrupts.ignore_signals()
        gc.freeze()  # Python looks for cycles among all objects when it ends, in vain: the process ends anyway
