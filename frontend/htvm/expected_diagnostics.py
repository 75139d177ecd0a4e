"""Diagnostics that a test expects, written into the text that causes them, as mlir-opt's --verify-diagnostics.

    // expected-error@+1 {{has shape 4}}

A diagnostic of that severity, on that line, must contain the message. `@+1` and `@-2` count from the annotation,
`@above` and `@below` are the lines beside it, `@unknown` is no line at all. Errors and warnings must be expected.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from htvm.diagnostics import Diagnostic

_ANNOTATION = re.compile(
    r"expected-(?P<severity>error|warning|remark|note)\s*"
    r"(?:@(?P<where>[+-]\d+|above|below|unknown)\s*)?\{\{(?P<message>.*?)\}\}"
)
_ADJACENT = {None: 0, "above": -1, "below": +1}
_NO_LINE = 0


@dataclass(frozen=True)
class Expected:
    """One annotation: a message and the line it must be on."""

    severity: str
    message: str
    line: int
    written_on: int

    def matches(self, found: Diagnostic) -> bool:
        place = (found.severity, found.place.line)
        return place == (self.severity, self.line) and self.message in found.message


def expectations(text: str) -> list[Expected]:
    """Read the annotations of a text."""
    return [
        Expected(match["severity"], match["message"], _line(match["where"], number), number)
        for number, line in enumerate(text.splitlines(), start=1)
        for match in _ANNOTATION.finditer(line)
    ]


def _line(where: str | None, written_on: int) -> int:
    if where == "unknown":
        return _NO_LINE
    if where in _ADJACENT:
        return written_on + _ADJACENT[where]
    assert where is not None, "what is left of _ANNOTATION has a distance"
    return written_on + int(where)


def mismatches(text: str, found: Sequence[Diagnostic]) -> list[str]:
    """Return how the diagnostics found differ from those that the text expects, each as `line: error: ..`."""
    waiting = expectations(text)
    problems: list[tuple[int, str]] = []
    for diagnostic in _with_notes(found):
        met = next((expected for expected in waiting if expected.matches(diagnostic)), None)
        if met:
            waiting.remove(met)
        elif diagnostic.severity in ("error", "warning"):
            problems.append((diagnostic.place.line, f"unexpected {diagnostic.severity}: {diagnostic.message}"))
    for missing in waiting:
        problems.append((missing.written_on, f"expected {missing.severity} did not come: {missing.message}"))
    return [f"{line}: error: {problem}" for line, problem in sorted(problems)]


def _with_notes(diagnostics: Sequence[Diagnostic]) -> Iterator[Diagnostic]:
    for diagnostic in diagnostics:
        yield diagnostic
        yield from diagnostic.notes
