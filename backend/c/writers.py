"""What writes the step of each operation: functions of the files `*_steps.py`, which name their operations there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from mlir import ir

from .step import Step

Writer = Callable[[Step, Any], None]
W = TypeVar("W", bound=Writer)

WRITERS: dict[type[ir.OpView], Writer] = {}


def writes(*operations: type[ir.OpView]) -> Callable[[W], W]:
    """Have a function write the steps of some operations."""

    def register(writer: W) -> W:
        WRITERS.update(dict.fromkeys(operations, writer))
        return writer

    return register
