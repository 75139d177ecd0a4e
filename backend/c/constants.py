"""Constant data: the order in which kernels want weights and scales, and how it is written in C."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from htvm.dialects.row_weights import UNIT, RowBlock

from .requant import Requant
from .values import Array

LINE_LENGTH = 112
BLOCK = 4
"""Output channels whose weights lie together (htvm_conv2d.h)."""
SPARSE_BLOCK = 16
"""The same of htvm_sparse_row.h."""


def window_order(weights: Array, groups: int, channels_are_neighbours: bool) -> Array:
    """Return weights [K, C, R, S] as [group, K, tap], taps in the order in which htvm_packed.h collects a window."""
    ordered = weights.transpose(0, 2, 3, 1) if channels_are_neighbours else weights
    return ordered.reshape(groups, len(weights) // groups, -1)


def conv2d_weights(weights: Array, groups: int, collected: bool) -> Array:
    """Return weights [K, C, R, S] in the order of htvm_conv2d.h.

    In blocks of 4 output channels of a group, the last one filled up with zeros: [group][block][r][s][c][4], or
    [group][block][c][r][s][4] where windows are collected.
    """
    k, c, r, s = weights.shape
    per_group = weights.reshape(groups, k // groups, c, r, s)
    missing = -per_group.shape[1] % BLOCK
    padded = np.pad(per_group, [(0, 0), (0, missing), (0, 0), (0, 0), (0, 0)])
    blocks = padded.reshape(groups, -1, BLOCK, c, r, s)
    order = (0, 1, 3, 4, 5, 2) if collected else (0, 1, 4, 5, 3, 2)
    return blocks.transpose(order).reshape(-1)


def sparse_weights(weights: Array) -> Array:
    """Return weights [K, taps] in the order of htvm_sparse_row.h: [block of 16][tap][16], filled up with zeros."""
    padded = np.pad(weights, [(0, -len(weights) % SPARSE_BLOCK), (0, 0)])
    return padded.reshape(-1, SPARSE_BLOCK, weights.shape[1]).transpose(0, 2, 1).reshape(-1)


def run_lengths(blocks: Sequence[RowBlock]) -> Array:
    """Return the units of each run, block after block, as htvm_paired_row.h reads them."""
    return np.array([run // UNIT for block in blocks for run in block.runs], np.uint8)


def excess_entries(blocks: Sequence[RowBlock]) -> list[tuple[int, int, int]]:
    """Return the entries of htvm_excess for each block: a head, and what its runs cannot hold."""
    return [entry for block in blocks for entry in ((len(block.excess), 0, 0), *block.excess)]


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
