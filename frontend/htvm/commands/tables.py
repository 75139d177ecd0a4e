"""How results are shown: aligned on a terminal and in a file alike; progress on a terminal only, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

HEADINGS = ("layer", "op", "instructions", "cycles", "MACs", "instr./MAC")


def layers(metrics: Mapping[str, Any]) -> None:
    """Print a table of what each layer took."""
    rows = [
        (
            layer["name"],
            layer["op"],
            f"{layer['instructions']:,}",
            f"{layer['cycles']:,}",
            f"{layer['macs']:,}" if layer["macs"] else "",
            f"{layer['instructions'] / layer['macs']:.2f}" if layer["macs"] else "",
        )
        for layer in metrics["layers"]
    ]
    widths = [max(map(len, column)) for column in zip(HEADINGS, *rows, strict=True)]
    for row in (HEADINGS, *rows):
        cells = [cell.ljust(width) if n < 2 else cell.rjust(width) for n, (cell, width) in enumerate(zip(row, widths))]
        print("  ".join(cells).rstrip())
    print()


def totals(facts: Mapping[str, str]) -> None:
    """Print what a run gave and cost, one fact to a line."""
    width = max(map(len, facts), default=0)
    for name, fact in facts.items():
        print(f"{name:{width}}  {fact}")


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """Yield a function to call with (done, of all), which shows a bar on a terminal while the block runs."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def status(what: str) -> Iterator[Callable[[str], None] | None]:
    """Yield a function to call with what is being done, which shows it on a terminal while the block runs."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status(what) as shown:
        yield shown.update
