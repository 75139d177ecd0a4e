"""How a transfer engine does a copy: as runs of bytes, which lie dense in both memories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import prod

from mlir import ir

from . import accel


@dataclass(frozen=True)
class Runs:
    """The fewest runs that do a copy.

    loops: (how many, bytes from one to the next in source and target), outermost first. bytes: of each run.
    """

    loops: tuple[tuple[int, int, int], ...]
    bytes: int

    @property
    def count(self) -> int:
        """How many runs there are."""
        return prod(count for count, *_ in self.loops)

    @staticmethod
    def of(op: accel.CopyOp) -> Runs:
        """Return the runs of a copy."""
        source, target = ir.MemRefType(op.source.type), ir.MemRefType(op.target.type)
        steps = (tuple(each.get_strides_and_offset()[0]) for each in (source, target))
        return Runs.between(tuple(source.shape), *steps, ir.IntegerType(source.element_type).width // 8)

    @staticmethod
    @cache
    def between(shape: tuple[int, ...], source: tuple[int, ...], target: tuple[int, ...], size_bytes: int) -> Runs:
        """Return the runs of a copy of a shape. source, target: the elements from one to the next along each axis."""
        axes = merge_axes(shape, source, target)
        is_dense = bool(axes) and axes[-1][1:] == (1, 1)
        loops = tuple((count, a * size_bytes, b * size_bytes) for count, a, b in (axes[:-1] if is_dense else axes))
        return Runs(loops, axes[-1][0] * size_bytes if is_dense else size_bytes)


def merge_axes(sizes: Sequence[int], *tensors: Sequence[int]) -> list[tuple[int, ...]]:
    """Return (size, stride in each tensor) of the fewest axes that visit the same elements, outermost first.

    Order of visits is that of the last tensor, which is the one written: neighbours in memory become neighbours in
    the loop.
    """
    axes = sorted(
        (axis for axis in zip(sizes, *tensors, strict=True) if axis[0] != 1), key=lambda axis: axis[-1], reverse=True
    )
    merged: list[tuple[int, ...]] = []
    for size, *steps in axes:
        if merged and all(outer == size * inner for outer, inner in zip(merged[-1][1:], steps, strict=True)):
            merged[-1] = (merged[-1][0] * size, *steps)
        else:
            merged.append((size, *steps))
    return merged
