"""The meaning of ONNX operators that move elements: none computes a number."""

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate

import numpy as np

from htvm.dialects.semantics import integers, real
from htvm.dialects.semantics.real import Real
from htvm.reference.node import Node
from htvm.reference.registry import Value, operator


@operator("Concat")
def concat(node: Node, *parts: Value) -> Value:
    return joined(parts, node.get("axis"))


def joined(parts: Sequence[Value], axis: int) -> Value:
    """Return real numbers, or arrays, one after the other along an axis. Raises ValueError on both kinds at once."""
    reals = [part for part in parts if isinstance(part, Real)]
    if len(reals) == len(parts):
        return real.concat(reals, axis)
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    if len(arrays) != len(parts):
        raise ValueError("real numbers and integers are joined")
    return np.concatenate(arrays, axis)


@operator("Pad")
def pad(
    node: Node,
    x: Value,
    pads: np.ndarray | None = None,
    value: Value | None = None,
    axes: np.ndarray | None = None,
) -> Value:
    stated: list[int] = node.get("pads") if pads is None else pads.tolist()
    mode = node.get("mode", "constant")
    before, after = [0] * x.ndim, [0] * x.ndim
    padded: Sequence[int] = range(x.ndim) if axes is None else axes.tolist()
    for axis, first, last in zip(padded, stated[: len(padded)], stated[len(padded) :], strict=True):
        before[axis], after[axis] = first, last
    x = x[tuple(slice(max(-a, 0), size - max(-b, 0)) for a, size, b in zip(before, x.shape, after, strict=True))]
    low, high = ([max(amount, 0) for amount in side] for side in (before, after))
    if mode != "constant":
        around = [np.pad(np.arange(n), (a, b), mode) for a, n, b in zip(low, x.shape, high, strict=True)]
        return taken(x, around)
    if not isinstance(x, Real):
        return integers.pad(x, low, high, 0 if value is None else _number(value))
    return x.pad(low, high, Fraction(node.get("value", 0.0)) if value is None else Fraction(_number(value)))


def _number(value: Value) -> Fraction | int:
    """Return the one number that an operand has."""
    return value.exact().item() if isinstance(value, Real) else value.item()


@operator("Slice")
def slice_(node: Node, x: Value, *operands: np.ndarray | None) -> Value:
    names = ("starts", "ends", "axes", "steps")
    stated: dict[str, list[int] | None] = {name: node.get(name) for name in names}
    stated |= {name: operand.tolist() for name, operand in zip(names, operands, strict=False) if operand is not None}
    starts, ends = stated["starts"] or [], stated["ends"] or []
    rows = (stated["axes"] or range(len(starts)), starts, ends, stated["steps"] or [1] * len(starts))
    chosen: list[np.ndarray | None] = [None] * x.ndim
    for axis, start, end, step in zip(*rows, strict=True):
        chosen[axis] = np.arange(x.shape[axis])[start:end:step]
    return taken(x, chosen)


def taken(x: Value, chosen: Sequence[np.ndarray | None]) -> Value:
    """Return the elements at the indices that are given for each axis; None is the whole axis."""
    if isinstance(x, Real):
        return x.take(chosen)
    places: list[np.ndarray] = [
        np.arange(size) if each is None else each for size, each in zip(x.shape, chosen, strict=True)
    ]
    return x[np.ix_(*places)]


@operator("Split")
def split(node: Node, x: Value, lengths: np.ndarray | None = None) -> list[Value]:
    axis: int = node.get("axis", 0) % x.ndim
    count = len(node.outputs)
    stated: list[int] | None = node.get("split") if lengths is None else lengths.tolist()
    part = math.ceil(x.shape[axis] / count)
    ends = list(accumulate(stated or [part] * count))
    places = [np.arange(x.shape[axis])[end - size : end] for end, size in zip(ends, stated or [part] * count)]
    return [taken(x, [each if index == axis else None for index in range(x.ndim)]) for each in places]


@operator("Gather")
def gather(node: Node, x: Value, indices: np.ndarray) -> Value:
    axis: int = node.get("axis", 0) % x.ndim
    flat = indices.reshape(-1) % x.shape[axis]
    chosen = taken(x, [flat if index == axis else None for index in range(x.ndim)])
    return chosen.reshape([*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]])


@operator("Expand")
def expand(node: Node, x: Value, shape: np.ndarray) -> Value:
    if not isinstance(x, Real):
        return x * np.ones([int(size) for size in shape], x.dtype)
    return x + Real.of_integers(np.zeros([int(size) for size in shape], np.int64))


@operator("Tile")
def tile(node: Node, x: Value, repeats: np.ndarray) -> Value:
    return taken(x, [np.tile(np.arange(n), count) for n, count in zip(x.shape, repeats.tolist(), strict=True)])


@operator("DepthToSpace")
def depth_to_space(node: Node, x: Value) -> Value:
    size, (batch, depth, height, width) = node.get("blocksize"), x.shape
    channels = depth // size**2
    if node.get("mode", "DCR") == "DCR":
        moved = x.reshape([batch, size, size, channels, height, width]).transpose([0, 3, 4, 1, 5, 2])
    else:
        moved = x.reshape([batch, channels, size, size, height, width]).transpose([0, 1, 4, 2, 5, 3])
    return moved.reshape([batch, channels, height * size, width * size])


@operator("SpaceToDepth")
def space_to_depth(node: Node, x: Value) -> Value:
    size, (batch, channels, height, width) = node.get("blocksize"), x.shape
    apart = x.reshape([batch, channels, height // size, size, width // size, size])
    moved = apart.transpose([0, 3, 5, 1, 2, 4] if node.get("mode", "DCR") == "DCR" else [0, 1, 3, 5, 2, 4])
    return moved.reshape([batch, channels * size**2, height // size, width // size])


@operator("Transpose")
def transpose(node: Node, x: Value) -> Value:
    return x.transpose(node.get("perm", list(range(x.ndim))[::-1]))


@operator("Reshape")
def reshape(node: Node, x: Value, shape: np.ndarray) -> Value:
    node.require("allowzero", 0)
    sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(shape.tolist())]
    return _reshaped(x, sizes)


@operator("Flatten")
def flatten(node: Node, x: Value) -> Value:
    axis = node.get("axis", 1)
    return _reshaped(x, [math.prod(x.shape[:axis]), math.prod(x.shape[axis:])])


@operator("Squeeze")
def squeeze(node: Node, x: Value, axes: np.ndarray | None = None) -> Value:
    stated: list[int] | None = node.get("axes") if axes is None else axes.tolist()
    dropped = {axis % x.ndim for axis in stated or [i for i, size in enumerate(x.shape) if size == 1]}
    return _reshaped(x, [size for axis, size in enumerate(x.shape) if axis not in dropped])


@operator("Unsqueeze")
def unsqueeze(node: Node, x: Value, axes: np.ndarray | None = None) -> Value:
    stated: list[int] | None = node.get("axes") if axes is None else axes.tolist()
    assert stated is not None, "checked by onnx: the axes are required"
    added = {axis % (x.ndim + len(stated)) for axis in stated}
    sizes = iter(x.shape)
    return _reshaped(x, [1 if axis in added else next(sizes) for axis in range(x.ndim + len(added))])


def _reshaped(x: Value, sizes: list[int]) -> Value:
    known = math.prod(size for size in sizes if size != -1)
    return x.reshape([math.prod(x.shape) // known if size == -1 else size for size in sizes])
