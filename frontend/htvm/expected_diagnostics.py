"""Diagnostics that a test expects, written into the text that causes them, as mlir-opt's --verify-diagnostics.

    // expected-error@+1 {{has shape 4}}

A diagnostic of that severity, on that line, must contain the message. `@+1` and `@-2` count from the annotation,
`@above` and `@below` are the lines beside it, `@unknown` is no line at all. Errors and warnings must be expected.

    // expected-error-re@below {{has shape {{[0-9]+}}, expected 4}}

With `-re`, what is in inner braces is a regular expression.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from htvm.diagnostics import Diagnostic
from htvm.interface import InputError

_ANNOTATION = re.compile(
    r"expected-(?P<severity>error|warning|remark|note)(?P<pattern>-re)?\s*"
    r"(?:@(?P<where>[+-]\d+|above|below|unknown)\s*)?\{\{(?P<message>(?:\{\{.*?\}\}|.)*?)\}\}"
)
_ADJACENT = {None: 0, "above": -1, "below": +1}
_NO_LINE = 0


@dataclass(frozen=True)
class Expected:
    """One annotation: a message and the line it must be on. pattern: the same as a regular expression, of a `-re`."""

    severity: str
    message: str
    line: int
    written_on: int
    pattern: re.Pattern[str] | None = None

    def matches(self, found: Diagnostic) -> bool:
        place = (found.severity, found.place.line)
        if place != (self.severity, self.line):
            return False
        return self.message in found.message if self.pattern is None else bool(self.pattern.search(found.message))


def expectations(text: str) -> list[Expected]:
    """Read the annotations of a text."""
    return [
        Expected(
            match["severity"],
            match["message"],
            _line(match["where"], number),
            number,
            _pattern(match["message"]) if match["pattern"] else None,
        )
        for number, line in enumerate(text.splitlines(), start=1)
        for match in _ANNOTATION.finditer(line)
    ]


def _pattern(message: str) -> re.Pattern[str]:
    """Return a message as a regular expression: what is in braces is one, the rest stands for itself.

    Raises InputError for what is none.
    """
    parts = re.split(r"\{\{(.*?)\}\}", message)
    try:
        return re.compile(
            "".join(f"(?:{part})" if number % 2 else re.escape(part) for number, part in enumerate(parts))
        )
    except re.error as error:
        raise InputError(f"expected-*-re {{{{{message}}}}}: is no regular expression: {error}") from None


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
