"""A pass with an option that no text of a pipeline can say."""

from dataclasses import dataclass
from typing import ClassVar

from mlir import ir
from mlir.passmanager import ExternalPass


@dataclass(frozen=True)
class KeepsSome:
    """Do nothing."""

    name: ClassVar[str] = "keeps-some"

    limit: int | None = None

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None: ...
