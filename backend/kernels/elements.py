"""The integer types of tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
"""Integers: weights, biases, tables."""

Stored = Literal["int8", "uint8", "int16", "uint16", "int32"]
"""The types of what is stored, as numpy calls them."""


@dataclass(frozen=True)
class ElementType:
    """An integer type: how C, the kernels' enumeration, kernel names and numpy call it."""

    c: str
    enumerator: str
    short: str
    numpy: Stored

    @property
    def size_bytes(self) -> int:
        return np.dtype(self.numpy).itemsize


ELEMENT_TYPES = {
    "i8": ElementType("int8_t", "HTVM_INT8", "i8", "int8"),
    "ui8": ElementType("uint8_t", "HTVM_UINT8", "u8", "uint8"),
    "i16": ElementType("int16_t", "HTVM_INT16", "i16", "int16"),
    "ui16": ElementType("uint16_t", "HTVM_UINT16", "u16", "uint16"),
    "i32": ElementType("int32_t", "HTVM_INT32", "i32", "int32"),
}
