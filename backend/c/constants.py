"""Constant data, and how it is written in C."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from htvm.backend.kernels.elements import Array
from htvm.backend.kernels.requant import Requant

LINE_LENGTH = 112


@dataclass
class Constants:
    """The constant arrays of one C file; equal ones are written once.

    sizes: bytes, by name. far: the far memory of those that are in one, by name.
    """

    definitions: list[str] = field(default_factory=list[str])
    sizes: dict[str, int] = field(default_factory=dict[str, int])
    far: dict[str, str] = field(default_factory=dict[str, str])
    _names: dict[tuple[str, bytes], str] = field(default_factory=dict[tuple[str, bytes], str])

    @property
    def size_bytes(self) -> int:
        return sum(self.sizes.values())

    def bytes_in(self, far: str | None) -> int:
        """Return the bytes that are in a far memory; in none, where the target has its constants."""
        return sum(size for name, size in self.sizes.items() if self.far.get(name) == far)

    def array(self, name: str, c_type: str, values: Array, far: str | None = None) -> str:
        """Define an array of integers, maybe in a far memory; return its name: `name`, or that of an equal one."""
        key = (f"{c_type} {far}", values.tobytes())
        if key not in self._names:
            self._names[key] = name
            self.sizes[name] = values.nbytes
            if far is not None:
                self.far[name] = far
            place = "" if far is None else f' __attribute__((section("{far_section(far)}")))'
            head = f"static const {c_type} {name}[{values.size}]{place}"
            self.definitions.append(f"{head} = {{\n{_lines(values)}\n}};\n")
        return self._names[key]

    def scales(self, name: str, requant: Requant, channels: int) -> str:
        """Define the constants of each channel of a layer (htvm_requant.h), and return their name."""
        return self.structs(name, requant.scale_type, requant.scales(channels), requant.scale_bytes)

    def structs(self, name: str, struct: str, rows: Sequence[tuple[int, ...]], struct_bytes: int) -> str:
        """Define an array of structs of integers, one row each, and return its name, or that of an equal one."""
        key = (struct, np.array(rows, np.int64).tobytes())
        if key not in self._names:
            self._names[key] = name
            self.sizes[name] = struct_bytes * len(rows)
            text = _wrapped(
                ", ".join(map(str, row)) if len(row) == 1 else f"{{{', '.join(map(str, row))}}}" for row in rows
            )
            self.definitions.append(f"static const {struct} {name}[{len(rows)}] = {{\n{text}\n}};\n")
        return self._names[key]


def far_section(memory: str) -> str:
    """Return the section of the constants in a far memory."""
    return f".far.{memory}"


def _lines(values: Array) -> str:
    """Return integers as text, separated by commas, in lines of about LINE_LENGTH."""
    numbers = values.reshape(-1).tolist()
    widest = max(map(len, map(str, (min(numbers), max(numbers))))) + 2 if numbers else 1
    per_line = max(8, LINE_LENGTH // widest // 8 * 8)
    rows = (numbers[start : start + per_line] for start in range(0, len(numbers), per_line))
    return ",\n".join(f"    {str(row)[1:-1]}" for row in rows)


def _wrapped(items: Iterable[str]) -> str:
    """Return items separated by commas, as many in a line as fit."""
    lines: list[str] = []
    line = ""
    for item in items:
        if line and len(line) + len(item) + 2 > LINE_LENGTH:
            lines.append(line)
            line = ""
        line += f", {item}" if line else item
    return ",\n".join(f"    {each}" for each in [*lines, line])
