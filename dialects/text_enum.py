"""Enumerations whose members are texts: what `enum.StrEnum` is, which Python 3.10 does not have."""

from __future__ import annotations

from enum import Enum


class TextEnum(str, Enum):
    """A choice that is written as its value."""

    def __str__(self) -> str:
        return str(self.value)
