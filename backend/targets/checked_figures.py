"""The cost model of a target's file, whose answers are validated: nobody else has seen what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from htvm.backend.targets.jobs import Job
    from htvm.backend.targets.soc import CostModel, Route


class TargetError(ValueError):
    """A target's file that answers what no pass can use: file, member, found, wanted."""


@dataclass(frozen=True)
class CheckedFigures:
    """A cost model, and the file that it is from. Raises TargetError for cycles that are none."""

    model: CostModel
    file: str

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def source(self) -> str:
        return self.model.source

    def job_cycles(self, engine: str, job: Job) -> int:
        """Return the cycles of a lowered job."""
        return self.cycles(self.model.job_cycles(engine, job), "job_cycles", f"engine '{engine}', {job}")

    def copy_cycles(self, route: Route, size_bytes: int) -> int:
        """Return the cycles of copying one run of bytes."""
        return self.cycles(
            self.model.copy_cycles(route, size_bytes), "copy_cycles", f"route {route.name}, {size_bytes:,} bytes"
        )

    def cycles(self, found: object, method: str, what: str) -> int:
        """Return an answer that is a number of cycles."""
        if hasattr(found, "__index__") and not isinstance(found, bool) and int(found) >= 1:  # pyright: ignore[reportArgumentType]
            return int(found)  # pyright: ignore[reportArgumentType]  (also NumPy's)
        raise TargetError(
            f"target file '{self.file}': {method} of cost model '{self.name}': found {found!r}, wanted an integer "
            f"of 1 at least ({what})"
        )
