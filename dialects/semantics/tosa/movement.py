"""Operations that move elements: of TOSA's sections on data layout, gathering and resizing."""

from __future__ import annotations

import numpy as np

from .reading import TosaOp, meaning, scalar

Arrays = np.ndarray


@meaning("reshape")
def reshape(op: TosaOp, x: Arrays, shape: Arrays) -> Arrays:
    return x.reshape(op.shape if all(size >= 0 for size in op.shape) else shape.tolist())


@meaning("transpose")
def transpose(op: TosaOp, x: Arrays) -> Arrays:
    return x.transpose(permutation(op))


def permutation(op: TosaOp) -> list[int]:
    """Return the axes of a transpose: axis i of the result is this one of the operand."""
    found = np.array(op.op.attributes["perms"]).tolist()
    return [int(axis) for axis in found]


@meaning("slice")
def slice_(op: TosaOp, x: Arrays, start: Arrays, size: Arrays) -> Arrays:
    return x[tuple(slice(first, first + count) for first, count in zip(start.tolist(), size.tolist()))]


@meaning("concat")
def concat(op: TosaOp, *parts: Arrays) -> Arrays:
    return np.concatenate(parts, axis=op.number("axis"))


@meaning("pad")
def pad(op: TosaOp, x: Arrays, amounts: Arrays, value: Arrays) -> Arrays:
    pairs = amounts.reshape(-1, 2).tolist()
    return np.pad(x, pairs, constant_values=scalar(value))


@meaning("reverse")
def reverse(op: TosaOp, x: Arrays) -> Arrays:
    return np.flip(x, op.number("axis"))


@meaning("tile")
def tile(op: TosaOp, x: Arrays, multiples: Arrays) -> Arrays:
    return np.tile(x, multiples.tolist())


@meaning("gather")
def gather(op: TosaOp, values: Arrays, indices: Arrays) -> Arrays:
    """values [N, K, C], indices [N, W]: result [N, W, C]."""
    return np.take_along_axis(values, indices[:, :, None], axis=1)


@meaning("scatter")
def scatter(op: TosaOp, values: Arrays, indices: Arrays, new: Arrays) -> Arrays:
    """values [N, K, C], indices [N, W], new [N, W, C]: result [N, K, C]; each index occurs once."""
    result = values.copy()
    np.put_along_axis(result, indices[:, :, None], new, axis=1)
    return result


def resize_places(op: TosaOp, size: int, axis: int, scale: Arrays, offset: Arrays) -> tuple[Arrays, Arrays, int]:
    """Return for each result along an axis (0: rows) the element before it, how far behind that it is, and the unit."""
    numerator, denominator = int(scale[2 * axis]), int(scale[2 * axis + 1])
    at = np.arange(op.shape[1 + axis]) * denominator + int(offset[axis])
    before = at // numerator
    return before, at - before * numerator, numerator


@meaning("resize")
def resize(op: TosaOp, x: Arrays, scale: Arrays, offset: Arrays, border: Arrays) -> Arrays:
    """To the nearest element, or bilinear: then the result is scaled by both numerators."""
    height, width = x.shape[1:3]
    row, down, high = resize_places(op, height, 0, scale, offset)
    column, right, wide = resize_places(op, width, 1, scale, offset)
    rows = [np.clip(row + more, 0, height - 1) for more in (0, 1)]
    columns = [np.clip(column + more, 0, width - 1) for more in (0, 1)]
    if op.word("mode") == "NEAREST_NEIGHBOR":
        nearest_row = np.where(2 * down >= high, rows[1], rows[0])
        nearest_column = np.where(2 * right >= wide, columns[1], columns[0])
        return x[:, nearest_row][:, :, nearest_column]
    total = np.zeros((1,), np.int64)
    for of_row, down_weight in zip(rows, (high - down, down)):
        for of_column, right_weight in zip(columns, (wide - right, right)):
            weights = (down_weight[:, None] * right_weight[None, :])[None, :, :, None]
            total = total + x[:, of_row][:, :, of_column] * weights
    return total
