"""Where the elements of a value lie in memory.

The axes of a value keep their logical order (N, C, H, W) from import to C. Their physical order is, on a
tensor, the encoding, a permutation such as `affine_map<(n, c, h, w) -> (n, h, w, c)>`, outermost axis first;
on a memref, the strides. No encoding means row-major, and where it makes no difference a layout is always
written as row-major. Layout.BLOCKED is a map with five results instead, on both:
`affine_map<(n, c, h, w) -> (n, c floordiv 16, h, w, c mod 16)>`; only accelerators read and write it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from mlir import ir
from numpy.lib.stride_tricks import as_strided

from htvm.dialects.blocked_layout import block_of

NHWC = (0, 2, 3, 1)
"""N, H, W, C: the physical order of axes, outermost first."""

ALIGNMENT_BYTES = 4
"""Buffers begin, and arenas end, at multiples of a word: elements have up to 32 bits, kernels load words."""


def strides(value_type: ir.Type) -> tuple[int, ...]:
    """Return the distance, in elements, between neighbours along each logical axis of a tensor or memref."""
    if isinstance(value_type, ir.MemRefType):
        return tuple(value_type.get_strides_and_offset()[0])
    tensor_type = ir.RankedTensorType(value_type)
    order = _order(tensor_type)
    steps, step = dict[int, int](), 1
    for axis in reversed(order):
        steps[axis] = step
        step *= tensor_type.shape[axis]
    return tuple(steps[axis] for axis in range(len(order)))


def same_places(one: ir.Type, other: ir.Type) -> bool:
    """Say whether two types of the same shape put each element in the same place, counted in elements."""
    sizes = ir.ShapedType(one).shape
    if sizes != ir.ShapedType(other).shape:
        return False
    if block_of(one) or block_of(other):
        return block_of(one) == block_of(other)
    steps = zip(sizes, strides(one), strides(other), strict=True)
    return all(a == b for size, a, b in steps if size > 1)


def same_bytes(permutation: Sequence[int], source: ir.Type, target: ir.Type) -> bool:
    """Say whether a transpose leaves each element in its place, counted in elements: only the names of axes change."""
    shape, steps, own = ir.ShapedType(target).shape, strides(target), strides(source)
    return all(steps[axis] == own[moved] for axis, moved in enumerate(permutation) if shape[axis] > 1)


def is_row_major(value_type: ir.Type) -> bool:
    """Say whether the elements lie one after the other in logical order."""
    shaped = ir.ShapedType(value_type)
    return same_places(value_type, ir.RankedTensorType.get(shaped.shape, shaped.element_type))


def is_permutation(value_type: ir.Type) -> bool:
    """Say whether a type's layout is one of ours: none, or on a tensor a permutation of its axes, or blocks."""
    if block_of(value_type):
        return True
    if not isinstance(value_type, ir.RankedTensorType) or value_type.encoding is None:
        return True
    if not isinstance(value_type.encoding, ir.AffineMapAttr):
        return False
    order = value_type.encoding.value
    return order.is_permutation and order.n_dims == value_type.rank


def with_axes(tensor_type: ir.RankedTensorType, axes: Sequence[int]) -> ir.RankedTensorType:
    """Return the type with its axes in a physical order, outermost first; no encoding if that is row-major."""
    plain = ir.RankedTensorType.get(tensor_type.shape, tensor_type.element_type)
    if not axes:  # MLIR has no permutation of nothing
        return plain
    encoding = ir.AffineMapAttr.get(ir.AffineMap.get_permutation(list(axes)))
    laid_out = ir.RankedTensorType.get(tensor_type.shape, tensor_type.element_type, encoding)
    return plain if same_places(laid_out, plain) else laid_out


def memref(value_type: ir.Type, memory: str) -> ir.MemRefType:
    """Return the memref type that holds a ranked tensor, with its layout, in a memory."""
    tensor_type = ir.RankedTensorType(value_type)
    space = ir.StringAttr.get(memory)
    if block_of(tensor_type):
        return ir.MemRefType.get(tensor_type.shape, tensor_type.element_type, tensor_type.encoding, space)
    layout = None if is_row_major(tensor_type) else ir.StridedLayoutAttr.get(0, list(strides(tensor_type)))
    return ir.MemRefType.get(tensor_type.shape, tensor_type.element_type, layout, space)


def memory_of(value_type: ir.Type) -> str:
    """Return the memory that a memref is in; "" if it names none."""
    space = ir.MemRefType(value_type).memory_space
    return space.value if isinstance(space, ir.StringAttr) else ""


def size_bytes(value_type: ir.Type) -> int:
    """Return the bytes that a tensor or memref occupies; layouts have no gaps."""
    return prod(ir.ShapedType(value_type).shape) * element_bytes(value_type)


def offset_bytes(value_type: ir.Type) -> int:
    """Return how far behind the beginning of a buffer or an argument a view of it begins; 0 for what is none."""
    if not isinstance(value_type, ir.MemRefType) or block_of(value_type):
        return 0
    return value_type.get_strides_and_offset()[1] * element_bytes(value_type)


def bytes_covered(value_type: ir.Type, size_bytes: int) -> np.ndarray:
    """Return which bytes of a buffer or an argument of so many bytes a view of it covers, [size_bytes] of bool."""
    if not isinstance(value_type, ir.MemRefType) or block_of(value_type):
        return np.ones(size_bytes, bool)
    (steps, offset), element = value_type.get_strides_and_offset(), element_bytes(value_type)
    covered = np.zeros(size_bytes, bool)
    shape, strides_bytes = (*value_type.shape, element), (*(step * element for step in steps), 1)
    as_strided(covered[offset * element :], shape, strides_bytes)[...] = True
    return covered


def aligned(size_bytes: int) -> int:
    """Return the bytes to the next multiple of the alignment."""
    return -(-size_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def element_bytes(value_type: ir.Type) -> int:
    """Return the bytes of one integer element."""
    element = ir.ShapedType(value_type).element_type
    assert isinstance(element, (ir.IntegerType, ir.FloatType)), element
    return (element.width + 7) // 8


def _order(tensor_type: ir.RankedTensorType) -> tuple[int, ...]:
    """Return the axes of a tensor, outermost in memory first."""
    if tensor_type.encoding is None:
        return tuple(range(tensor_type.rank))
    return tuple(ir.AffineDimExpr(axis).position for axis in ir.AffineMapAttr(tensor_type.encoding).value.results)
