"""The commands of htvm without the half second of imports that each has at its start.

A server that has imported everything forks a process for each command: `folder()` starts it and returns a folder with
programs `htvm`, `htvm-opt`, `htvm-translate` and `python`, to be put first in PATH. They hand folder, environment,
arguments and standard streams to the server and end as the command ends. What is tested of the start itself
(signals, installation) calls the installed commands instead. The server ends with the process that asked for it.
"""

from __future__ import annotations

import atexit
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from runpy import run_path

COMMANDS = {"htvm": "htvm", "htvm-opt": "htvm_opt", "htvm-translate": "htvm_translate"}
"""The function of htvm.commands.entry_points that each command calls, as the installed ones do."""

IMPORTED = (
    *(f"htvm.commands.{name}" for name in COMMANDS.values()),
    *(f"htvm.commands.{name}" for name in ("compile", "explain", "report", "run", "verify")),
    "htvm.driver",
    "htvm.execution.program",
    "htvm.explanation.explanation",
    "htvm.passes.registry",
    "htvm.verification.verification",
    "htvm.backend.c",
    "htvm.runtime.simulator.toolchain",
    "htvm.passes.analysis.constraint_program",
)

# Only what the interpreter starts with anyway is imported; with -I -S that takes 10 ms.
CLIENT = """\
#!{python} -IS
import os, sys
from _socket import socket, AF_UNIX, SOCK_STREAM, SOL_SOCKET, SCM_RIGHTS
if {name!r} == "python" and not sys.argv[1:2] == ["-"] and not "".join(sys.argv[1:2]).endswith(".py"):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
link = socket(AF_UNIX, SOCK_STREAM)
link.connect({address!r})
words = [{name!r}, os.getcwd(), str(len(sys.argv) - 1), *sys.argv[1:], *(f"{{k}}={{v}}" for k, v in os.environ.items())]
said = b"\\0".join(map(os.fsencode, words))
streams = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
link.sendmsg([len(said).to_bytes(4, "big")], [(SOL_SOCKET, SCM_RIGHTS, streams)])
link.sendall(said)
os._exit(int(link.recv(4) or b"99"))
"""


@cache
def folder() -> Path:
    """Start a server, and return the folder with the programs that call it."""
    place = Path(tempfile.mkdtemp(prefix="htvm-warm-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    address = place / "socket"
    for name in (*COMMANDS, "python"):
        program = place / name
        program.write_text(CLIENT.format(python=sys.executable, address=str(address), name=name))
        program.chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, __file__, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None and server.stdout.readline() == "ready\n"
    atexit.register(server.communicate)  # closes its standard input
    return place


def serve(address: str) -> None:
    """Run what clients ask for, each in a process of its own, until standard input ends."""
    for name in IMPORTED:
        import_module(name)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        print("ready", flush=True)
        running = 0
        while sys.stdin not in select.select([sys.stdin, listener], [], [])[0]:
            link, _ = listener.accept()
            running += 1
            if not os.fork():
                listener.close()
                _answer(link)
            link.close()
            while running and os.waitpid(-1, os.WNOHANG)[0]:
                running -= 1


def _answer(link: socket.socket) -> None:
    """Be the process that a client asks for; never returns."""
    status: object = 1
    try:
        size, streams, _, _ = socket.recv_fds(link, 4, 3)
        with link.makefile("rb") as sent:
            said = sent.read(int.from_bytes(size, "big"))
        name, place, count, *rest = map(os.fsdecode, said.split(b"\0"))
        arguments, variables = rest[: int(count)], rest[int(count) :]
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(place)
        os.environ.clear()
        os.environ.update(each.split("=", 1) for each in variables)
        sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
        sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
        status = _run(name, arguments)
    except SystemExit as end:
        status = end.code
        if isinstance(status, str):
            print(status, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        link.sendall(str(status if isinstance(status, int) else int(status is not None)).encode())
        os._exit(0)


def _run(name: str, arguments: Sequence[str]) -> int:
    """Run a command, or Python's text from a file or from standard input."""
    if name in COMMANDS:
        sys.argv = [name, *arguments]
        return getattr(import_module("htvm.commands.entry_points"), COMMANDS[name])()
    sys.argv = [*arguments]
    if arguments[0] != "-":
        sys.path.insert(0, str(Path(arguments[0]).resolve().parent))
        run_path(arguments[0], run_name="__main__")
        return 0
    exec(compile(sys.stdin.read(), "<stdin>", "exec"), {"__name__": "__main__", "__builtins__": __builtins__})
    return 0


if __name__ == "__main__":
    serve(sys.argv[1])
