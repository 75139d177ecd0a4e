"""A memory that is too small for a network, as facts and as an error."""

from __future__ import annotations

from dataclasses import dataclass

from htvm.backend.targets.soc import Soc


@dataclass(frozen=True)
class Shortage:
    """A memory that is too small.

    needed_bytes: what it needs at least, as far as is known where this is found: a pass does not know the size of the
    code, and with more room other kernels may be chosen.
    """

    memory: str
    needed_bytes: int

    def can_end(self, soc: Soc) -> bool:
        """Say whether the memory can be made large enough: no other memory lies behind it."""
        try:
            soc.with_memory(self.memory, self.needed_bytes)
        except ValueError:
            return False
        return True


class DoesNotFit(ValueError):
    """C that is too large for a memory."""

    def __init__(self, message: str, shortage: Shortage) -> None:
        super().__init__(message)
        self.shortage = shortage
