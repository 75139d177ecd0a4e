"""How commands fail: a user's mistake is one line and exit status 1 or 2, a bug of ours says so and is 70."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import NoReturn

DEBUG = "HTVM_DEBUG"
"""The environment variable that makes the commands show the traceback of a bug."""

INTERNAL_ERROR = 70
"""The exit status of a bug: EX_SOFTWARE of sysexits.h."""


def usage_error(command: str, message: str) -> NoReturn:
    """End the command as for a wrong command line: exit status 2."""
    print(f"{command}: error: {message}", file=sys.stderr)
    raise SystemExit(2)


@contextmanager
def failing_politely(command: str) -> Generator[None]:
    """Turn the user's mistakes into messages and exit status 1, and a bug of ours into one and exit status 70.

    With HTVM_DEBUG set, a bug shows its traceback instead.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files need not be UTF-8
            stream.reconfigure(errors="surrogateescape")
    try:
        yield
    except BrokenPipeError:  # whoever reads our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(command, f"{where}{error.strerror or error}")
    except Exception as error:
        if _is_another_mlir(error) or isinstance(error, _users_mistakes()):
            _fail(command, str(error))
        if os.environ.get(DEBUG):
            raise
        _fail_inside(command, error)


def _is_another_mlir(error: Exception) -> bool:
    """Say whether another MLIR is installed: then nothing of the dialect, and no other exception, can be imported."""
    installed = sys.modules.get("htvm.dialects.installed_mlir")
    return installed is not None and isinstance(error, installed.MlirVersionError)


def _users_mistakes() -> tuple[type[Exception], ...]:
    """Return the exceptions whose message is for the user."""
    from htvm.backend.files import OutputError
    from htvm.backend.kernels import KernelError
    from htvm.diagnostics import CompileError
    from htvm.interface import InputError
    from htvm.passes.pipeline import PipelineError
    from htvm.passes.registry import PluginError
    from htvm.project import ProjectError
    from htvm.runtime.simulator import SimulationError
    from htvm.runtime.simulator.toolchain import BuildError

    return (
        CompileError, InputError, PipelineError, PluginError, ProjectError, OutputError, BuildError, SimulationError,
        KernelError,
    )  # fmt: skip


def _fail_inside(command: str, error: Exception) -> NoReturn:
    """Tell of a bug of ours."""
    from htvm.run_passes import InternalError, described

    message = str(error) if isinstance(error, InternalError) else described(error)
    print(
        f"{command}: internal error: {message}\nThis is a bug of htvm. {DEBUG}=1 shows the traceback.",
        file=sys.stderr,
    )
    raise SystemExit(INTERNAL_ERROR) from None


def _fail(command: str, message: str) -> NoReturn:
    print(*(f"{command}: error: {line}" if line[:1].strip() else line for line in message.splitlines()),
          sep="\n", file=sys.stderr)  # fmt: skip
    raise SystemExit(1) from None


@contextmanager
def model_warnings() -> Generator[None]:
    """Show what the importer warns of as one line each on standard error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for warning in caught:
                print(f"warning: {warning.message}", file=sys.stderr)


@contextmanager
def about(name: str) -> Generator[None]:
    """Begin each line of what is wrong with inputs with the name of their file."""
    from htvm.interface import InputError

    try:
        yield
    except InputError as error:
        lines = [line if line.startswith(f"{name}:") else f"{name}: {line}" for line in str(error).splitlines()]
        raise InputError("\n".join(lines)) from None
