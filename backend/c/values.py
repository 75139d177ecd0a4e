"""The values of a planned module as C sees them: element types, strides, places in memory."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from mlir import ir
from mlir.dialects.memref import ReinterpretCastOp, SubViewOp

from htvm.backend.kernels.elements import ELEMENT_TYPES, ElementType
from htvm.dialects import accel, blocked_layout
from htvm.dialects.copies import merge_axes

VIEWS = (ReinterpretCastOp, SubViewOp)

RANK = 4
"""Axes of the element-wise kernels (htvm_elementwise.h)."""


def memref(value: ir.Value) -> ir.MemRefType:
    """Return the type of a value that is in memory, as all are at stage planned. Raises TypeError for another."""
    if not isinstance(value.type, ir.MemRefType):
        raise TypeError(f"a value is of type {value.type}, expected a memref")
    return value.type


def offset_of(buffer: accel.BufferOp) -> int:
    """Return where in its memory a buffer is, in bytes."""
    return accel.present(buffer.offset, "offset").value


def element_type(value: ir.Value) -> ElementType:
    """Return the element type of an activation or of weights."""
    return ELEMENT_TYPES[str(memref(value).element_type)]


def shape(value: ir.Value) -> tuple[int, ...]:
    return tuple(memref(value).shape)


def strides(value: ir.Value) -> tuple[int, ...]:
    """Return the elements between neighbours along each axis."""
    return tuple(memref(value).get_strides_and_offset()[0])


def axes(value: ir.Value) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return sizes and strides of the axes of a buffer.

    One in blocks of channels has an axis of blocks, the second. Weights in blocks of outputs have two more: that of
    blocks is the first, that of the outputs in a block the second.
    """
    if (outputs := blocked_layout.block_of_weights(memref(value))) is not None:
        count, *window = shape(value)
        sizes = (count // outputs, outputs, *window)
        steps = [outputs * prod(window[axis + 1 :]) for axis in range(len(window))]
        return sizes, (outputs * prod(window), 1, *steps)
    block = blocked_layout.block_of(value.type)
    if block is None:
        return shape(value), strides(value)
    images, channels, height, width = shape(value)
    pixels = height * width
    return (images, channels // block, block, height, width), (
        channels * pixels,
        pixels * block,
        1,
        width * block,
        block,
    )


def memory_of(value: ir.Value) -> str:
    """Return the name of the memory that a value is in."""
    return memory_in(memref(value))


def memory_in(kind: ir.MemRefType) -> str:
    """Return the name of the memory that values of a type are in."""
    return ir.StringAttr(accel.present(kind.memory_space, "memory space")).value


def size_bytes(value: ir.Value) -> int:
    """Return the bytes of a value; layouts have no gaps."""
    return prod(shape(value)) * element_type(value).size_bytes


def constant_name(value: ir.Value) -> str:
    """Return the name of the constant that a value is. Raises ValueError for an activation."""
    return accel.present(global_name(value), "constant")


def global_name(value: ir.Value) -> str | None:
    """Return the name of the constant that a value is, None if it is an activation."""
    owner = value.owner
    if isinstance(owner, ir.Block) or owner.operation.name != "memref.get_global":
        return None
    return ir.FlatSymbolRefAttr(owner.operation.attributes["name"]).value


def whole(value: ir.Value) -> ir.Value:
    """Return what a value is a view of; itself if it is none."""
    while isinstance(view := accel.producer(value), VIEWS):
        value = view.source
    return value


def elements_before(value: ir.Value) -> int:
    """Return how many elements behind the beginning of what it is a view of a value begins."""
    return memref(value).get_strides_and_offset()[1] if isinstance(accel.producer(value), VIEWS) else 0


def broadcast_strides(value: ir.Value, to: Sequence[int]) -> tuple[int, ...]:
    """Return the strides with which a value is read as if it had shape `to`: 0 where it is repeated (numpy's rules)."""
    missing = len(to) - len(shape(value))
    own = zip(shape(value), strides(value), strict=True)
    return (0,) * missing + tuple(0 if size == 1 else stride for size, stride in own)


def inner_and_outer(
    sizes: Sequence[int], *tensors: Sequence[int]
) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Return what loop_axes does, and the (size, stride in each tensor) of the axes around these: what is too many."""
    merged = merge_axes(sizes, *tensors)
    outer, inner = merged[:-RANK], merged[-RANK:]
    padding = [(1, *(0 for _ in tensors))] * (RANK - len(inner))
    return list(zip(*[*padding, *inner], strict=True)), outer


def longest_last(columns: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Return sizes and strides of axes with the longest one last: the fewer rows there are, the fewer begin anew."""
    axes = sorted(zip(*columns, strict=True), key=lambda axis: axis[0] == max(columns[0]))
    return list(zip(*axes, strict=True))


def loop_axes(sizes: Sequence[int], *tensors: Sequence[int], rank: int = RANK) -> list[tuple[int, ...]]:
    """Return the sizes, then each tensor's strides, of `rank` axes that visit all elements.

    Raises ValueError if more axes are needed.
    """
    merged = merge_axes(sizes, *tensors)
    if len(merged) > rank:
        raise ValueError(f"{len(merged)} axes of shape {list(sizes)} cannot be merged, kernels take {rank}")
    padding = [(1, *(0 for _ in tensors))] * (rank - len(merged))
    return list(zip(*[*padding, *merged], strict=True))
