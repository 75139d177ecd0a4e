"""Feature maps in blocks of channels: Layout.BLOCKED, as launches with some of a layer's channels each leave them.

    affine_map<(n, c, h, w) -> (n, c floordiv 16, h, w, c mod 16)>

is the encoding of a tensor, and the layout of a memref. No strides of the four axes say it; only accelerators read and
write it.

Weights [K, ..] of which blocks of outputs lie together, as a kernel of the host reads them, are a memref laid out so:

    affine_map<(k, c, r, s) -> (k floordiv 4, c, r, s, k mod 4)>
"""

from __future__ import annotations

from mlir import ir

AXES = 4


def block_of(value_type: ir.Type) -> int | None:
    """Return the channels of a block of a tensor or memref that lies in blocks; None for any other."""
    is_memref = isinstance(value_type, ir.MemRefType)
    attribute = ir.MemRefType(value_type).layout if is_memref else ir.RankedTensorType(value_type).encoding
    order = attribute.value if isinstance(attribute, ir.AffineMapAttr) else None
    if order is None or order.n_dims != AXES or len(order.results) != AXES + 1:
        return None
    if not isinstance(order.results[1], ir.AffineFloorDivExpr):
        return None
    return ir.AffineConstantExpr(ir.AffineFloorDivExpr(order.results[1]).rhs).value


def in_blocks(tensor_type: ir.RankedTensorType, block: int) -> ir.RankedTensorType:
    """Return the type [N, C, H, W] in blocks of so many channels, each pixel by pixel, one after the other."""
    n, c, h, w = (ir.AffineDimExpr.get(axis) for axis in range(AXES))
    size = ir.AffineConstantExpr.get(block)
    results = [n, ir.AffineFloorDivExpr.get(c, size), h, w, ir.AffineModExpr.get(c, size)]
    encoding = ir.AffineMapAttr.get(ir.AffineMap.get(AXES, 0, results))
    return ir.RankedTensorType.get(tensor_type.shape, tensor_type.element_type, encoding)


def block_of_weights(kind: ir.MemRefType) -> int | None:
    """Return the outputs of a block of weights; None if they do not lie in blocks."""
    first = kind.affine_map.results[0] if kind.rank and isinstance(kind.layout, ir.AffineMapAttr) else None
    return ir.AffineConstantExpr(first.rhs).value if isinstance(first, ir.AffineFloorDivExpr) else None


def weights_in_blocks(rank: int, block: int) -> ir.AffineMapAttr:
    """Return the layout of weights [K, ..] of which blocks of so many outputs lie one after the other, [.., block]."""
    outputs, *window = (ir.AffineDimExpr.get(axis) for axis in range(rank))
    size = ir.AffineConstantExpr.get(block)
    results = [ir.AffineFloorDivExpr.get(outputs, size), *window, ir.AffineModExpr.get(outputs, size)]
    return ir.AffineMapAttr.get(ir.AffineMap.get(rank, 0, results))
