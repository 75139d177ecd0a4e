"""A network that does not fit: the command says which --memory would do."""

from __future__ import annotations

import argparse
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from htvm.commands.arguments import options_of


@contextmanager
def naming_sufficient_memory(arguments: argparse.Namespace) -> Generator[None]:
    """Add to an error that says that memories are too small the options with which the model fits."""
    try:
        yield
    except Exception as error:
        if getattr(error, "shortages", ()) and "constants" in arguments and Path(arguments.model).is_file():
            from htvm.diagnostics import CompileError

            raise CompileError([str(error), *advice(error, arguments)]) from None
        raise


def advice(error: Exception, arguments: argparse.Namespace) -> list[str]:
    """Return a line with the memories that would do, found by trying; none if no size does."""
    from htvm.backend import targets
    from htvm.diagnostics import CompileError
    from htvm.execution.overflow import ProgramTooLarge
    from htvm.execution.sufficient_memory import sufficient_memory

    assert isinstance(error, CompileError | ProgramTooLarge)
    soc = arguments.target or targets.load("rv32")
    sizes = sufficient_memory(arguments.model, soc, options_of(arguments), error.shortages)
    if sizes is None:
        return []
    words = " ".join(f"--memory {name}={size}" for name, size in sizes.items())
    return [f"  it fits with {words}"]
