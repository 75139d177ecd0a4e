"""What the commands share: how they read arguments, texts and targets, and how they fail."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn


def parser(name: str, summary: str, examples: str) -> argparse.ArgumentParser:
    """Return a parser whose help ends with examples."""
    return argparse.ArgumentParser(
        name,
        description=summary,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_target(to: argparse.ArgumentParser, help: str, default: str | None = None) -> None:
    """Add --target; the argument's value is a Soc."""
    help += ": a name that `htvm targets` lists, or the path of a .py file"
    to.add_argument("--target", type=_target, default=default, metavar="T", help=help)


def _target(name: str):
    from htvm.backend import targets

    try:
        return targets.load(name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def usage_error(command: str, message: str) -> NoReturn:
    """End the command as for a wrong command line: exit status 2."""
    print(f"{command}: error: {message}", file=sys.stderr)
    raise SystemExit(2)


@contextmanager
def failing_politely(command: str) -> Iterator[None]:
    """Turn the user's mistakes into one message and exit status 1."""
    try:
        yield
    except BrokenPipeError:
        sys.stderr.close()  # whoever reads our output has seen enough
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"{command}: error: {where}{error.strerror or error}", file=sys.stderr)
        raise SystemExit(1) from None


def read_text(path: str) -> tuple[str, str]:
    """Return a file's text and the name to call it by; '-' is standard input."""
    if path == "-":
        return sys.stdin.read(), "<stdin>"
    return Path(path).read_text(), path


def write_text(path: str, text: str) -> None:
    """Write a text to a file; '-' is standard output."""
    if path == "-":
        sys.stdout.write(text)
    else:
        Path(path).write_text(text)
