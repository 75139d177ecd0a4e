"""Operators that move elements without changing them, and constants."""

import math
from dataclasses import replace

import numpy as np
import onnx

from htvm.dialects import accel
from htvm.import_onnx import quantisation as q
from htvm.import_onnx.errors import Problem, choices_text, shape_text
from htvm.import_onnx.node import Node, axis_of
from htvm.import_onnx.operators.elementwise import MAX_FOLDED
from htvm.import_onnx.operators.selection import bordered, shaped, taken
from htvm.import_onnx.values import Constant, QuantisedConstant, Tensor, Value

MOVES = frozenset(
    (
        "DepthToSpace",
        "Expand",
        "Flatten",
        "Gather",
        "GlobalMaxPool",
        "Identity",
        "MaxPool",
        "ReduceMax",
        "ReduceMin",
        "Reshape",
        "Slice",
        "SpaceToDepth",
        "Split",
        "Squeeze",
        "Tile",
        "Transpose",
        "Unsqueeze",
    )
)
"""Operators whose result holds elements of their first input, and nothing else."""

JOINS = frozenset(("Concat", "Pad"))
"""Operators whose result, if it is of stored integers, means what their inputs mean."""


def identity(node: Node) -> Value:
    """Disappears."""
    return node.value(0)


def dropout(node: Node) -> Value:
    """Disappears: not in training mode, without a mask."""
    node.ignore("seed", "ratio", "is_test")
    if node.has(2) and node.array(2, "training_mode").any():
        raise Problem("training_mode is true, expected false")
    return node.value(0)


def constant(node: Node) -> Constant:
    """A tensor, or numbers."""
    name = node.proto.output[0]
    if node.has_attribute("value"):
        return Constant(onnx.numpy_helper.to_array(node.attribute("value")), name)
    for kind, dtype in (("float", np.float32), ("floats", np.float32), ("int", np.int64), ("ints", np.int64)):
        if node.has_attribute(f"value_{kind}"):
            return Constant(np.array(node.attribute(f"value_{kind}"), dtype), name)
    raise Problem("its value is neither a tensor nor numbers")


def reshape(node: Node) -> Value:
    """To a constant shape."""
    keeps_zeros = node.attribute("allowzero", 0)
    wanted = node.given_integers(1, "shape")
    old = node.value(0).shape
    new = list(wanted)
    for axis, size in enumerate(wanted):
        if size == 0 and not keeps_zeros:
            if axis >= len(old):
                raise Problem(f"shape is {wanted}, the input has no axis {axis} ({shape_text(old)})")
            new[axis] = old[axis]
    if new.count(-1) == 1:
        others = math.prod(size for size in new if size != -1)
        new[new.index(-1)] = math.prod(old) // others if others else 0
    if math.prod(new) != math.prod(old) or min(new, default=1) < 0:
        raise Problem(f"shape is {wanted}, the input has {math.prod(old):,} elements ({shape_text(old)})")
    return shaped(node, node.value(0), new)


def flatten(node: Node) -> Value:
    """At any axis."""
    axis, old = node.attribute("axis", 1), node.value(0).shape
    if axis != len(old):
        axis = axis_of(axis, len(old))
    return shaped(node, node.value(0), (math.prod(old[:axis]), math.prod(old[axis:])))


def squeeze(node: Node) -> Value:
    """Of constant axes, or all of size 1."""
    old = node.value(0).shape
    axes = node.axes(1, len(old))
    if axes is None:
        axes = [axis for axis, size in enumerate(old) if size == 1]
    for axis in axes:
        if old[axis] != 1:
            raise Problem(f"axes holds {axis}, which has size {old[axis]}, expected 1")
    return shaped(node, node.value(0), [size for axis, size in enumerate(old) if axis not in axes])


def unsqueeze(node: Node) -> Value:
    """At constant axes."""
    old = node.value(0).shape
    added = len(node.given_integers(1, "axes"))
    axes = node.axes(1, len(old) + added) or []
    if len(set(axes)) != added:
        raise Problem(f"axes is {axes}, expected each axis once")
    sizes = iter(old)
    return shaped(node, node.value(0), [1 if axis in axes else next(sizes) for axis in range(len(old) + added)])


def transpose(node: Node) -> Value:
    """By any permutation."""
    old = node.value(0).shape
    permutation: list[int] = node.attribute("perm", list(reversed(range(len(old)))))
    if sorted(permutation) != list(range(len(old))):
        raise Problem(f"perm is {permutation}, expected each of 0 to {len(old) - 1} once")
    match node.value(0):
        case Constant() as value:
            return replace(value, array=value.array.transpose(permutation))
        case QuantisedConstant() as value:
            return value.transposed(tuple(permutation))
        case _:
            pass
    x = node.any_tensor(0)
    return node.emit_move(accel.transpose, [old[axis] for axis in permutation], [x], x.value, permutation)


def concat(node: Node) -> Value:
    """Of any number of tensors along any axis."""
    axis = node.attribute("axis")
    if known := node.constants():
        return _concatenated(node, [value.array for value in known], axis)
    inputs = [node.any_tensor(index) for index in range(len(node))]
    shapes = [tensor.shape for tensor in inputs]
    axis = axis_of(axis, len(shapes[0]))
    new = list(shapes[0])
    for index, shape in enumerate(shapes):
        others = [list(sizes[:axis] + sizes[axis + 1 :]) for sizes in (shape, shapes[0])]
        if others[0] != others[1]:
            raise Problem(
                f"input {index} has shape {shape_text(shape)}, expected that of input 0 "
                f"({shape_text(shapes[0])}) but for axis {axis}"
            )
    new[axis] = sum(shape[axis] for shape in shapes)
    return node.emit_move(accel.concat, new, inputs, [tensor.value for tensor in inputs], axis)


def pad(node: Node) -> Tensor:
    """With a constant, or in the modes reflect, edge and wrap; by constant amounts, which cut off where negative."""
    mode, x = node.attribute("mode", "constant"), node.any_tensor(0)
    rank = len(x.shape)
    amounts = node.given_integers(1, "pads")
    stated = node.axes(3, rank) if node.has(3) else None
    axes = list(range(rank)) if stated is None else stated
    if len(amounts) != 2 * len(axes):
        raise Problem(f"pads is {amounts}, expected {2 * len(axes)} numbers")
    low, high = [0] * rank, [0] * rank
    for index, axis in enumerate(axes):
        low[axis], high[axis] = amounts[index], amounts[index + len(axes)]
    kept = {axis: np.arange(-min(low[axis], 0), x.shape[axis] + min(high[axis], 0)) for axis in range(rank)}
    if any(len(places) == 0 for places in kept.values()):
        raise Problem(f"pads is {amounts}, which leaves nothing of {shape_text(x.shape)}")
    x = taken(node, {axis: places for axis, places in kept.items() if len(places) < x.shape[axis]}, x)
    low, high = ([max(0, amount) for amount in side] for side in (low, high))
    if mode in ("edge", "reflect", "wrap"):
        node.ignore("value")
        return bordered(node, x, low, high, mode)
    if mode != "constant":
        raise Problem(f"mode is '{mode}', expected {choices_text(('constant', 'edge', 'reflect', 'wrap'))}")
    value = _pad_value(node, x)
    if not any((*low, *high)):
        return x
    shape = [before + size + after for before, size, after in zip(low, x.shape, high, strict=True)]
    moved = node.emit_move(accel.pad, shape, [x], x.value, low, high, value)
    on_grid = moved.stored or value == 0 and x.grid and q.holds_zero(x.grid)
    return moved if on_grid else replace(moved, grid=None)


def _pad_value(node: Node, x: Tensor) -> float:
    """Return the number to pad with; for stored integers, the number that the stored value means."""
    value = node.number(2, "constant_value") if node.has(2) else node.attribute("value", 0.0)
    if not math.isfinite(value):
        raise Problem(f"constant_value is {value:g}, expected a finite number")
    return float(q.numbers(x.grid, np.array(int(value)))) if x.stored and x.grid is not None else value


def _concatenated(node: Node, arrays: list[np.ndarray], axis: int) -> Constant:
    if sum(array.size for array in arrays) > MAX_FOLDED:
        raise Problem(f"computes a constant of more than {MAX_FOLDED:,} elements")
    try:
        return Constant(np.concatenate(arrays, axis), node.proto.output[0])
    except ValueError as error:
        raise Problem(f"inputs do not fit: {error}") from None
