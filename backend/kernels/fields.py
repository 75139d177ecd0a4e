"""The fields of a struct that a kernel reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Number: TypeAlias = int | str
"""A number of an initialiser; as text if it has a suffix."""

Field: TypeAlias = "Number | Sequence[Number] | Mapping[str, Field]"

Fields: TypeAlias = Mapping[str, Field]
"""The fields of a struct. A key may name several, "x_c x_h", whose values are a sequence."""
