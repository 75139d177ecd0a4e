"""Operators that combine the elements of a map: pools, and reductions over rows and columns."""

from htvm.dialects import accel
from htvm.importer.errors import Problem
from htvm.importer.node import Node
from htvm.importer.operators.windows import as_map, expect_map, from_map, windows
from htvm.importer.quantisation import ACCUMULATOR
from htvm.importer.values import Tensor


def average_pool(node: Node) -> Tensor:
    """One- or two-dimensional, with any padding, counted or not; dilations 1."""
    include_pad = bool(node.attribute("count_include_pad", 0))
    return _pool(node, node.tensor(0), "average", count_include_pad=include_pad or None)


def max_pool(node: Node) -> Tensor:
    """One- or two-dimensional, with any padding; dilations 1; only its first output."""
    node.ignore("storage_order")  # says how to number the elements in the second output
    return _pool(node, node.any_tensor(0), "max")


def global_average_pool(node: Node) -> Tensor:
    """One- or two-dimensional."""
    x = node.tensor(0)
    expect_map(x.shape)
    pooled = _whole_map(node, as_map(node, x), "average", [2, 3])
    return from_map(node, pooled, len(x.shape))


def reduce_mean(node: Node) -> Tensor:
    """Over rows, columns or both, of an input of rank 4."""
    return _reduce(node, "average")


def reduce_sum(node: Node) -> Tensor:
    """Over rows, columns or both, of an input of rank 4."""
    return _reduce(node, "sum")


def _pool(node: Node, x: Tensor, kind: str, **attributes: bool | None) -> Tensor:
    """Write a pool whose windows the node's attributes describe."""
    expect_map(x.shape)
    batch, channels, *sizes = x.shape
    node.expect("dilations", [1] * len(sizes))
    slide = windows(node, sizes, node.attribute("kernel_shape"))
    for side, pad in enumerate(slide.pads):
        if pad >= slide.kernel[side % 2]:
            raise Problem(f"pads is {slide.pads}, expected less than the kernel, {slide.kernel}")
    image, shape = as_map(node, x), (batch, channels, *slide.places)
    operands = (image.value, kind, slide.kernel, slide.strides, slide.pads)
    if kind == "max":
        pooled = node.emit_move(accel.pool2d, shape, [image], *operands)
    else:
        pooled = node.emit(accel.pool2d, shape, *operands, **attributes)
    return from_map(node, pooled, len(x.shape))


def _reduce(node: Node, kind: str) -> Tensor:
    """Write a reduction as a pool whose kernel is as large as the map."""
    keepdims = node.attribute("keepdims", 1)
    keeps_all_if_none = node.attribute("noop_with_empty_axes", 0)
    x = node.tensor(0)
    axes = node.axes(1, len(x.shape))
    if not axes and keeps_all_if_none:
        return x
    axes = sorted(axes or range(len(x.shape)))
    if len(x.shape) != 4 or not set(axes) <= {2, 3}:
        found = f"axes is {axes} of an input of rank {len(x.shape)}"
        raise Problem(f"{found}, expected 2, 3 or both of rank 4 (N, C, H, W)")
    pooled = _whole_map(node, x, kind, axes)
    if keepdims:
        return pooled
    kept = [size for axis, size in enumerate(x.shape) if axis not in axes]
    return node.emit(accel.reshape, kept, pooled.value, grid=pooled.grid)


def _whole_map(node: Node, x: Tensor, kind: str, axes: list[int]) -> Tensor:
    """Write a pool with one window along each of `axes`."""
    kernel = [x.shape[axis] if axis in axes else 1 for axis in (2, 3)]
    shape = [1 if axis in axes else size for axis, size in enumerate(x.shape)]
    grid = ACCUMULATOR if kind == "sum" and x.integral else None
    return node.emit(accel.pool2d, shape, x.value, kind, kernel, [1, 1], [0, 0, 0, 0], grid=grid)
