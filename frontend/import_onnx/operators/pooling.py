"""Operators that combine elements: pools, reductions along axes, and where the largest element is."""

import math
from collections.abc import Sequence
from dataclasses import replace

from htvm.dialects import accel
from htvm.import_onnx.errors import Problem
from htvm.import_onnx.node import Node, axis_of
from htvm.import_onnx.operators.selection import shaped
from htvm.import_onnx.operators.windows import as_map, expect_map, from_map, windows
from htvm.import_onnx.quantisation import ACCUMULATOR
from htvm.import_onnx.values import Tensor


def average_pool(node: Node) -> Tensor:
    """One- or two-dimensional, with any padding, counted or not, dilations and ceil_mode."""
    include_pad = bool(node.attribute("count_include_pad", 0))
    return _pool(node, node.tensor(0), "average", count_include_pad=include_pad or None)


def max_pool(node: Node) -> Tensor:
    """One- or two-dimensional, with any padding, dilations and ceil_mode; only its first output."""
    node.ignore("storage_order")  # says how to number the elements in the second output
    return _pool(node, node.any_tensor(0), "max")


def global_average_pool(node: Node) -> Tensor:
    """Over all axes but the first two."""
    x = node.tensor(0)
    return _reduced(node, x, "average", list(range(2, len(x.shape))))


def global_max_pool(node: Node) -> Tensor:
    """Over all axes but the first two."""
    x = node.any_tensor(0)
    return _reduced(node, x, "max", list(range(2, len(x.shape))))


def reduce_mean(node: Node) -> Tensor:
    """Over any axes, which are constant."""
    return _reduce(node, "average")


def reduce_sum(node: Node) -> Tensor:
    """Over any axes, which are constant."""
    return _reduce(node, "sum")


def reduce_max(node: Node) -> Tensor:
    """Over any axes, which are constant."""
    return _reduce(node, "max")


def reduce_min(node: Node) -> Tensor:
    """Over any axes, which are constant."""
    return _reduce(node, "min")


def arg_max(node: Node) -> Tensor:
    """Along any axis; of equal elements the first, or the last."""
    return _argmax(node, None)


def arg_min(node: Node) -> Tensor:
    """Along any axis; of equal elements the first, or the last."""
    return _argmax(node, True)


def _argmax(node: Node, smallest: bool | None) -> Tensor:
    x = node.any_tensor(0)
    axis = axis_of(node.attribute("axis", 0), len(x.shape))
    last, keepdims = node.attribute("select_last_index", 0), node.attribute("keepdims", 1)
    shape = [1 if index == axis else size for index, size in enumerate(x.shape)]
    places = node.emit(accel.argmax, shape, x.value, axis, smallest=smallest, last=bool(last) or None, grid=ACCUMULATOR)
    return places if keepdims else shaped(node, places, shape[:axis] + shape[axis + 1 :])


def _pool(node: Node, x: Tensor, kind: str, count_include_pad: bool | None = None) -> Tensor:
    """Write a pool whose windows the node's attributes describe."""
    expect_map(x.shape)
    batch, channels, *sizes = x.shape
    kernel = node.attribute("kernel_shape")
    slide = windows(node, sizes, kernel)
    stated = list(node.attribute("pads", [0] * 2 * len(sizes)))
    if count_include_pad and node.attribute("auto_pad", "NOTSET") == "NOTSET":
        ends = stated[len(sizes) :]
        if slide.pads[4 - len(sizes) :] != ends:
            # Behind the padding there is nothing to count: with elements of 0 around it, no window counts padding.
            x = _padded(node, x, stated[: len(sizes)], ends)
            more = [after - end for after, end in zip(slide.pads[4 - len(sizes) :], ends, strict=True)]
            slide = replace(slide, pads=[0] * (4 - len(more)) + more)
            count_include_pad = None
    image, shape = as_map(node, x), (batch, channels, *slide.places)
    for axis in (0, 1):
        starts = (place * slide.strides[axis] - slide.pads[axis] for place in range(slide.places[axis]))
        taps = range(0, slide.kernel[axis] * slide.dilations[axis], slide.dilations[axis])
        if not all(any(0 <= start + tap < image.shape[2 + axis] for tap in taps) for start in starts):
            raise Problem(f"pads is {slide.pads}, with which a window holds no element, only padding")
    operands = (image.value, kind, slide.kernel, slide.strides, slide.pads)
    dilations = slide.dilations if slide.dilations != [1, 1] else None
    if kind == "max":
        pooled = node.emit_move(accel.pool2d, shape, [image], *operands, dilations=dilations)
    else:
        pooled = node.emit(accel.pool2d, shape, *operands, dilations=dilations, count_include_pad=count_include_pad)
    return from_map(node, pooled, len(x.shape))


def _padded(node: Node, x: Tensor, low: list[int], high: list[int]) -> Tensor:
    """Write zeros around rows and columns."""
    before, after = [0, 0, *low], [0, 0, *high]
    shape = [size + a + b for size, a, b in zip(x.shape, before, after, strict=True)]
    return node.emit(accel.pad, shape, x.value, before, after, 0.0, grid=x.grid)


def _reduce(node: Node, kind: str) -> Tensor:
    """Write a reduction over the axes that a node names."""
    keepdims = node.attribute("keepdims", 1)
    keeps_all_if_none = node.attribute("noop_with_empty_axes", 0)
    x = node.any_tensor(0) if kind in ("max", "min") else node.tensor(0)
    axes = node.axes(1, len(x.shape))
    if not axes and keeps_all_if_none:
        return x
    axes = sorted(set(axes or range(len(x.shape))))
    reduced = _reduced(node, x, kind, axes)
    kept = [size for axis, size in enumerate(x.shape) if axis not in axes]
    return reduced if keepdims else shaped(node, reduced, kept)


def _reduced(node: Node, x: Tensor, kind: str, axes: Sequence[int]) -> Tensor:
    """Write a reduction as a pool with one window; the axes stay, with size 1.

    The axes must be neighbours for that, so that others are moved before them where they are not.
    """
    result = [1 if axis in axes else size for axis, size in enumerate(x.shape)]
    if all(x.shape[axis] == 1 for axis in axes):
        return x
    if len(x.shape) == 4 and set(axes) <= {2, 3}:
        kernel = [x.shape[axis] if axis in axes else 1 for axis in (2, 3)]
        return _whole(node, x, kind, result, kernel)
    axes = [axis for axis in axes if x.shape[axis] > 1]
    between = [axis for axis in range(axes[0], axes[-1]) if axis not in axes and x.shape[axis] > 1]
    before, after, image = x.shape[: axes[0]], x.shape[axes[-1] + 1 :], x
    if between:
        order = [*range(axes[0]), *between, *axes, *range(axes[-1] + 1, len(x.shape))]
        order += [axis for axis in range(len(x.shape)) if axis not in order]
        moved = [x.shape[axis] for axis in order]
        image = node.emit_move(accel.transpose, moved, [x], x.value, order)
        before = (*before, *(x.shape[axis] for axis in between))
    count = math.prod(x.shape[axis] for axis in axes)
    sizes = (1, math.prod(before), count, math.prod(after))
    pooled = _whole(node, shaped(node, image, sizes), kind, [*sizes[:2], 1, sizes[3]], [count, 1])
    return shaped(node, pooled, result)


def _whole(node: Node, x: Tensor, kind: str, shape: Sequence[int], kernel: list[int]) -> Tensor:
    """Write a pool with one window along each axis."""
    operands = (x.value, kind, kernel, [1, 1], [0, 0, 0, 0])
    if kind in ("max", "min"):
        return node.emit_move(accel.pool2d, shape, [x], *operands)
    grid = ACCUMULATOR if kind == "sum" and x.integral else None
    return node.emit(accel.pool2d, shape, *operands, grid=grid)
