"""How results are shown: aligned on a terminal and in a file alike; progress on a terminal only, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from htvm.execution.metrics import LayerMetrics

HEADINGS = ("layer", "op", "engine", "instructions", "cycles", "predicted", "MACs", "instr./MAC")
NAMES = 3
"""The first columns are names, aligned left; numbers are aligned right."""


def layers(found: Sequence[LayerMetrics]) -> None:
    """Print a table of what each layer took: with colours and lines on a terminal, in plain columns in a file."""
    rows = [HEADINGS, *(_row(layer) for layer in found)]
    if not any(layer.predicted_cycles for layer in found):
        column = HEADINGS.index("predicted")
        rows = [row[:column] + row[column + 1 :] for row in rows]
    if sys.stdout.isatty():
        _print_rich(rows)
    else:
        _print_plain(rows)
    print()


def _row(layer: LayerMetrics) -> tuple[str, ...]:
    return (
        layer.name + (" (inserted)" if layer.inserted else ""),
        layer.op,
        layer.engine,
        f"{layer.instructions:,}",
        f"{layer.cycles:,}",
        f"{layer.predicted_cycles or 0:,}",
        f"{layer.macs:,}" if layer.macs else "",
        f"{layer.instructions / layer.macs:.2f}" if layer.macs else "",
    )


def _print_plain(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if n < NAMES else cell.rjust(width) for n, (cell, width) in enumerate(zip(row, widths))
        ]
        print("  ".join(cells).rstrip())


def _print_rich(rows: Sequence[tuple[str, ...]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    headings, *rows = rows
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number < NAMES else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))  # as text: names may look like markup
    Console(highlight=False).print(table)


def totals(facts: Mapping[str, str]) -> None:
    """Print what a run gave and cost, one fact to a line."""
    width = max(map(len, facts), default=0)
    for name, fact in facts.items():
        print(f"{name:{width}}  {fact}")


@contextmanager
def progress(what: str) -> Generator[Callable[[int, int], None] | None]:
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
def status(what: str) -> Generator[Callable[[str], None] | None]:
    """Yield a function to call with what is being done, which shows it on a terminal while the block runs."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status(what) as shown:
        yield shown.update
