"""Operators that choose elements by constant indices: Slice, Split, Gather, Expand, Tile, and borders for Pad."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import overload

import numpy as np
from mlir import ir

from htvm.dialects import accel
from htvm.dialects import quantisation as dialect
from htvm.import_onnx import quantisation as q
from htvm.import_onnx.errors import Problem, shape_text
from htvm.import_onnx.node import Node, axis_of, quantise
from htvm.import_onnx.values import (
    Constant,
    Integers,
    QuantisedConstant,
    Tensor,
    Value,
    as_integers,
    check_shape,
    holds_integers,
    one_scale,
    quantised_type,
)

MAX_FOLDED = 65_536
"""Elements of constants that are computed, where they become more than they were."""

Indices = dict[int, np.ndarray]
"""By axis, the indices to take; axes that are not there are taken whole."""


def slice_(node: Node) -> Value:
    """By constant starts, ends, axes and steps; steps may be negative."""
    shape = node.value(0).shape
    starts, ends = node.given_integers(1, "starts"), node.given_integers(2, "ends")
    axes = node.axes(3, len(shape)) or list(range(len(starts)))
    steps = (node.integers(4, "steps") if node.opset >= 10 else None) or [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise Problem(f"starts, ends, axes and steps have {len(starts)}, {len(ends)}, {len(axes)} and {len(steps)}")
    if len(axes) > len(shape) or len(set(axes)) != len(axes):
        raise Problem(f"axes is {axes}, expected each of 0 to {len(shape) - 1} at most once")
    if 0 in steps:
        raise Problem(f"steps is {steps}, expected no 0")
    indices: Indices = {}
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        kept = range(shape[axis])[slice(start, end, step)]
        if not kept:
            raise Problem(f"takes {start} to {end} of axis {axis}, which has {shape[axis]}: nothing is left")
        indices[axis] = np.array(kept)
    return taken(node, indices)


def split(node: Node) -> list[Value]:
    """Into parts of constant lengths, or equal ones."""
    shape = node.value(0).shape
    axis = axis_of(node.attribute("axis", 0), len(shape))
    count, size = len(node.proto.output), shape[axis]
    stated = node.attribute("num_outputs", count)
    lengths = node.integers(1, "split")
    if lengths is None:
        part = -(-size // count)  # the last may be shorter, from opset 18
        lengths = [part] * (count - 1) + [size - part * (count - 1)]
    if stated != count or len(lengths) != count or sum(lengths) != size or min(lengths) < 1:
        raise Problem(f"splits {size} into {lengths} for {count} outputs, expected as many parts of at least 1")
    ends = list(accumulate(lengths))
    return [taken(node, {axis: np.arange(end - length, end)}) for end, length in zip(ends, lengths, strict=True)]


def gather(node: Node) -> Value:
    """By constant indices, along any axis; or of a constant table (an embedding) by integers that are not known.

    Such a table is quantised with one scale, of integers, or float32 integers.
    """
    shape = node.value(0).shape
    axis = axis_of(node.attribute("axis", 0), len(shape))
    table = node.value(0)
    if isinstance(table, Constant | QuantisedConstant) and isinstance(node.value(1), Tensor | Integers):
        return embedded(node, table, _index(node), axis)
    indices = node.array(1, "indices")
    if indices.dtype.kind not in "iu":
        raise Problem(f"indices are {indices.dtype}, expected int64")
    if indices.size and (indices.min() < -shape[axis] or indices.max() >= shape[axis]):
        raise Problem(f"indices reach from {indices.min()} to {indices.max()}, axis {axis} has {shape[axis]}")
    chosen = taken(node, {axis: indices.reshape(-1) % shape[axis]})
    return shaped(node, chosen, (*shape[:axis], *indices.shape, *shape[axis + 1 :]))


def embedded(node: Node, constant: Constant | QuantisedConstant, index: Tensor, axis: int) -> Tensor:
    """Return the entries of a constant at computed indices: a table for each of them along the other axes."""
    table, stored = _table(constant)
    of_index = index.grid
    if of_index is None or not index.integral or of_index.scales != (1.0,) or of_index.zero_points != (0,):
        raise Problem("indices are real numbers, expected integers")
    size, lowest, highest = table.shape[axis], of_index.lowest, of_index.highest
    if not -size <= lowest <= highest < size:
        name = node.input_name(1)
        raise Problem(
            f"indices ('{name}') reach from {lowest:,} to {highest:,}, axis {axis} of the table has {size:,}; "
            f"Clip them to 0..{size - 1:,} before it"
        )
    others = [length for place, length in enumerate(table.shape) if place != axis]
    width, count = math.prod(others), math.prod(index.shape)
    rows = np.moveaxis(table.stored, axis, -1).reshape(width, size)[:, np.arange(lowest, highest + 1) % size]
    spread = shaped(node, index, (count, 1))
    if width > 1:
        spread = taken(node, {1: np.zeros(width, np.int64)}, spread)
    grid = table.quantisation
    entries = dialect.integers(grid.signless(rows if width > 1 else rows[0]))
    type_ = quantised_type((count, width), grid)
    made = accel.lookup(type_, spread.value, entries, lowest=lowest, axis=1 if width > 1 else None)
    chosen = shaped(node, Tensor(made, grid, stored), (*index.shape, *others))
    rank = len(index.shape)
    order = [*range(rank, rank + axis), *range(rank), *range(rank + axis, rank + len(others))]
    if order == sorted(order):
        return chosen
    shape = [chosen.shape[place] for place in order]
    return node.emit_move(accel.transpose, shape, [chosen], chosen.value, order)


def _index(node: Node) -> Tensor:
    """Return the indices as stored integers, with the range that is known of them."""
    value = node.value(1)
    if isinstance(value, Integers) and math.isfinite(value.lowest) and math.isfinite(value.highest):
        grid = q.integers(np.dtype(np.int32), int(value.lowest), int(value.highest))
        return Tensor(quantise(value.numbers, grid).value, grid, stored=True)
    return node.any_tensor(1)


def _table(constant: Constant | QuantisedConstant) -> tuple[QuantisedConstant, bool]:
    """Return a constant as integers of one scale, and whether ONNX has these integers themselves."""
    if isinstance(constant, QuantisedConstant):
        table = one_scale(constant)
        if table.quantisation.axis is not None:
            found = f"table ('{table.name}') has {len(table.quantisation.scales)} scales"
            raise Problem(f"{found}, expected one: quantise it per tensor")
        return table, False
    array, name = constant.array, constant.name
    if array.dtype.kind in "iu":
        dtype = array.dtype if array.dtype in q.STORAGES.values() else np.dtype(np.int32)
        limits = np.iinfo(dtype)
        if array.min(initial=0) < limits.min or limits.max < array.max(initial=0):
            raise Problem(f"table ('{name}') holds integers of more than 32 bits")
        return QuantisedConstant(array.astype(dtype), q.integers(dtype), name), True
    if array.dtype == np.float32 and holds_integers(array):
        return as_integers(constant, ("i8", "u8", "i16", "i32")), False
    raise Problem(
        f"table ('{name}') holds real numbers, expected integers, or DequantizeLinear of integers: "
        "the model is not quantised (htvm quantize MODEL --calibration X.npz)"
    )


def expand(node: Node) -> Value:
    """To a constant shape."""
    old, wanted = node.value(0).shape, node.given_integers(1, "shape")
    try:
        new = np.broadcast_shapes(old, tuple(wanted))
    except ValueError:
        raise Problem(f"shape is {wanted}, to which {shape_text(old)} does not broadcast") from None
    full = (1,) * (len(new) - len(old)) + old
    indices = {axis: np.zeros(size, np.int64) for axis, size in enumerate(new) if size != full[axis]}
    check_shape(new)
    return taken(node, indices, shaped(node, node.value(0), full))


def tile(node: Node) -> Value:
    """By constant repeats."""
    shape, repeats = node.value(0).shape, node.given_integers(1, "repeats")
    if len(repeats) != len(shape) or min(repeats, default=1) < 1:
        raise Problem(f"repeats is {repeats}, expected {len(shape)} numbers of at least 1")
    check_shape(tuple(size * count for size, count in zip(shape, repeats, strict=True)))
    return taken(node, {axis: np.tile(np.arange(shape[axis]), n) for axis, n in enumerate(repeats) if n > 1})


def bordered(node: Node, x: Tensor, low: Sequence[int], high: Sequence[int], mode: str) -> Tensor:
    """Return a tensor with its own elements around it: mode 'edge', 'reflect' or 'wrap'."""
    indices: Indices = {}
    for axis, (before, size, after) in enumerate(zip(low, x.shape, high, strict=True)):
        if not before and not after:
            continue
        places = np.arange(-before, size + after)
        if mode == "reflect":
            if size == 1 and (before or after):
                raise Problem(f"mode is 'reflect' along axis {axis}, which has 1 element, expected more")
            places = size - 1 - np.abs(size - 1 - places % (2 * size - 2))
        indices[axis] = places.clip(0, size - 1) if mode == "edge" else places % size
    return taken(node, indices, x)


@overload
def taken(node: Node, indices: Indices, value: Tensor) -> Tensor: ...
@overload
def taken(node: Node, indices: Indices, value: Value | None = None) -> Value: ...
def taken(node: Node, indices: Indices, value: Value | None = None) -> Value:
    """Return the elements of the first input, or of `value`, at the given indices."""
    value = node.value(0) if value is None else value
    match value:
        case Constant():
            return replace(value, array=_chosen(value.array, indices))
        case QuantisedConstant(quantisation=grid):
            if grid.axis is not None and grid.axis in indices:
                places: list[int] = indices[grid.axis].tolist()
                scales, points = (tuple(each[i] for i in places) for each in (grid.scales, grid.zero_points))
                grid = replace(grid, scales=scales, zero_points=tuple(map(int, points)))
            return replace(value, stored=_chosen(value.stored, indices), quantisation=grid)
        case _:
            pass
    x = value if isinstance(value, Tensor) else node.any_tensor(0)
    shape = [len(indices[axis]) if axis in indices else size for axis, size in enumerate(x.shape)]
    whole = (np.array_equal(places, np.arange(x.shape[axis])) for axis, places in indices.items())
    if all(whole):
        return x
    check_shape(tuple(shape))
    lists = [ir.DenseI64ArrayAttr.get(indices[axis].tolist() if axis in indices else []) for axis in range(len(shape))]
    return node.emit_move(accel.take, shape, [x], x.value, ir.ArrayAttr.get(lists))


@overload
def shaped(node: Node, value: Tensor, shape: Sequence[int]) -> Tensor: ...
@overload
def shaped(node: Node, value: Value, shape: Sequence[int]) -> Value: ...
def shaped(node: Node, value: Value, shape: Sequence[int]) -> Value:
    """Return a value with another shape."""
    shape = tuple(shape)
    match value:
        case Constant():
            return replace(value, array=value.array.reshape(shape))
        case QuantisedConstant():
            return value.reshaped(shape)
        case _:
            pass
    x = value if isinstance(value, Tensor) else node.any_tensor(0)
    return x if x.shape == shape else node.emit_move(accel.reshape, shape, [x], x.value)


def interleaved(node: Node, x: Tensor, channels: int, rows: int, columns: int) -> Tensor:
    """Return [N, channels, H * rows, W * columns] of a map whose channels are (channels, rows, columns)."""
    batch, _, height, width = x.shape
    if rows == columns == 1:
        return x
    apart = shaped(node, x, (batch, channels, rows, columns, height, width))
    order = (0, 1, 4, 2, 5, 3)
    turned = [apart.shape[axis] for axis in order]
    moved = node.emit_move(accel.transpose, turned, [apart], apart.value, order)
    return shaped(node, moved, (batch, channels, height * rows, width * columns))


def depth_to_space(node: Node) -> Tensor:
    """Modes DCR and CRD."""
    block, mode, x = node.attribute("blocksize"), node.attribute("mode", "DCR"), node.any_tensor(0)
    batch, depth, height, width = _map(x)
    if mode not in ("DCR", "CRD") or block < 1 or depth % (block * block):
        raise Problem(f"blocksize is {block}, mode '{mode}', of {depth} channels: expected a divisor, DCR or CRD")
    channels = depth // (block * block)
    if mode == "DCR":
        apart = shaped(node, x, (batch, block, block, channels, height, width))
        order = (0, 3, 1, 2, 4, 5)
        turned = node.emit_move(accel.transpose, [apart.shape[i] for i in order], [apart], apart.value, order)
        x = shaped(node, turned, x.shape)
    return interleaved(node, x, channels, block, block)


def space_to_depth(node: Node) -> Tensor:
    """Any block that divides the map; modes DCR and CRD."""
    block, mode, x = node.attribute("blocksize"), node.attribute("mode", "DCR"), node.any_tensor(0)
    batch, channels, height, width = _map(x)
    if mode not in ("DCR", "CRD") or block < 1 or height % block or width % block:
        raise Problem(f"blocksize is {block}, mode '{mode}': expected a divisor of {height} and {width}, DCR or CRD")
    apart = shaped(node, x, (batch, channels, height // block, block, width // block, block))
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    turned = node.emit_move(accel.transpose, [apart.shape[i] for i in order], [apart], apart.value, order)
    return shaped(node, turned, (batch, channels * block * block, height // block, width // block))


def _map(x: Tensor) -> tuple[int, int, int, int]:
    if len(x.shape) != 4:
        raise Problem(f"input has rank {len(x.shape)}, expected 4 (N, C, H, W)")
    batch, channels, height, width = x.shape
    return batch, channels, height, width


def _chosen(array: np.ndarray, indices: Indices) -> np.ndarray:
    sizes = [len(indices[axis]) if axis in indices else size for axis, size in enumerate(array.shape)]
    if math.prod(sizes) > max(array.size, MAX_FOLDED):
        raise Problem(f"computes a constant of {math.prod(sizes):,} elements, expected at most {MAX_FOLDED:,}")
    for axis, places in indices.items():
        array = array.take(places, axis)
    return array
