"""Constant data, and how it is written in C."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from htvm.backend.kernels.elements import Array
from htvm.backend.kernels.requant import Requant

LINE_LENGTH = 112

DESCRIPTORS = ".descriptors"
"""The section of descriptors in the memory of programs, where that of constants is another."""


@dataclass
class Constants:
    """The constant arrays of one C file; equal ones are written once.

    sizes: bytes, by name. sections: those of arrays that are not where the target has its constants, by name.
    descriptor_room_bytes: what descriptors may take of the memory of programs.
    """

    descriptor_room_bytes: int = 0
    definitions: list[str] = field(default_factory=list[str])
    sizes: dict[str, int] = field(default_factory=dict[str, int])
    sections: dict[str, str] = field(default_factory=dict[str, str])
    _names: dict[tuple[str, bytes], str] = field(default_factory=dict[tuple[str, bytes], str])

    @property
    def size_bytes(self) -> int:
        return sum(self.sizes.values())

    def bytes_in(self, section: str | None) -> int:
        """Return the bytes that are in a section; in none, where the target has its constants."""
        return sum(size for name, size in self.sizes.items() if self.sections.get(name) == section)

    def array(self, name: str, c_type: str, values: Array, section: str | None = None) -> str:
        """Define an array of integers, maybe in a section; return its name: `name`, or that of an equal one."""
        key = _key(c_type, values, section)
        if key not in self._names:
            self._names[key] = name
            self.sizes[name] = values.nbytes
            if section is not None:
                self.sections[name] = section
            place = "" if section is None else f' __attribute__((section("{section}")))'
            head = f"static const {c_type} {name}[{values.size}]{place}"
            self.definitions.append(f"{head} = {{\n{_lines(values)}\n}};\n")
        return self._names[key]

    def descriptor(self, name: str, words: Array) -> str:
        """Define a job's descriptor, which the host alone reads: beside code, while there is room."""
        is_there = _key("uint32_t", words, DESCRIPTORS) in self._names
        has_room = is_there or self.bytes_in(DESCRIPTORS) + words.nbytes <= self.descriptor_room_bytes
        return self.array(name, "uint32_t", words, DESCRIPTORS if has_room else None)

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


def _key(c_type: str, values: Array, section: str | None) -> tuple[str, bytes]:
    """Return what arrays that are written once have in common."""
    return f"{c_type} {section}", values.tobytes()


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
