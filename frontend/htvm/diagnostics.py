"""What goes wrong, collected: MLIR's diagnostics as plain values, and the one exception that tells them all."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from mlir import ir

from htvm.backend.targets.shortage import Shortage


class CompileError(Exception):
    """A model that cannot be compiled as asked.

    problems: one message for each reason, all that were found. shortages: the memories that are too small, if that is
    why.
    """

    def __init__(self, problems: Sequence[str], shortages: Sequence[Shortage] = ()) -> None:
        self.problems, self.shortages = tuple(problems), tuple(shortages)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True)
class Place:
    """Where a diagnostic points: a position in a text, an ONNX node, both or neither."""

    file: str = ""
    line: int = 0
    column: int = 0
    node: str = ""

    @staticmethod
    def of(location: ir.Location) -> Place:
        """Read a location: names are ONNX nodes; of a fused location's parts the first says where."""
        if location.is_a_file():
            return Place(location.filename, location.start_line, location.start_col)
        if location.is_a_name():
            inner = Place.of(location.child_loc)
            return Place(inner.file, inner.line, inner.column, location.name_str)
        if location.is_a_callsite():
            return Place.of(location.callee)
        if location.is_a_fused():
            parts = [Place.of(part) for part in location.locations]
            return next((part for part in parts if part != Place()), Place())
        return Place()


@dataclass(frozen=True)
class Diagnostic:
    """A message of MLIR or of a pass. severity is "error", "warning", "remark" or "note"."""

    severity: str
    message: str
    place: Place = Place()
    notes: tuple[Diagnostic, ...] = ()

    @staticmethod
    def of(diagnostic: ir.Diagnostic) -> Diagnostic:
        """Copy one of MLIR's, which lives no longer than its handler runs."""
        return Diagnostic(
            diagnostic.severity.name.lower(),
            diagnostic.message.strip(),
            Place.of(diagnostic.location),
            tuple(map(Diagnostic.of, diagnostic.notes)),
        )

    def about(self, model: str) -> str:
        """Say it as `resnet8.onnx: node 'conv1': message`, with line and column if it is about a text."""
        position = f"{self.place.line}:{self.place.column}: " if self.place.line else " "
        node = f"node '{self.place.node}': " if self.place.node not in ("", model) else ""
        return f"{model}:{position}{node}{self.message}"


@contextmanager
def collected(context: ir.Context) -> Generator[list[Diagnostic]]:
    """Collect the diagnostics of a context, in order, in place of MLIR's exceptions that carry them."""
    found: list[Diagnostic] = []

    def handle(diagnostic: ir.Diagnostic) -> bool:
        found.append(Diagnostic.of(diagnostic))
        return True

    before = context.emit_error_diagnostics
    context.emit_error_diagnostics = True
    handler = context.attach_diagnostic_handler(handle)
    try:
        yield found
    finally:
        handler.detach()
        context.emit_error_diagnostics = before
