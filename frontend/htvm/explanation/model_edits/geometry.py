"""Changes of a layer's shape: kernel, strides, dilations, groups, padding, channels, batch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from math import prod

import numpy as np
from mlir import ir

from htvm.dialects import accel
from htvm.explanation.model_edits.layer_spec import RETRAIN, SAME_NUMBERS, Change, Question, Reason

MULTIPLES = (4, 8, 16, 32)
"""Of channels, when a rule wants more of them: the widths of lanes that there are."""


def kernel(of: Question, why: Reason) -> Iterator[Change]:
    """Other sides: those that the rule names, else the next; larger ones with zeros behind, or smaller ones.

    Of a rule about bytes, or rows of weights, only smaller ones.
    """
    if not of.is_conv2d or of.weights is None:
        return
    is_size = why.subject != "kernel"
    named = [] if is_size else numbers(why.wanted)
    sides = [[side, *range(side - 2, 0, -2)] if is_size else named or [side, side + 1, side - 1] for side in of.kernel]
    for rows, columns in nearest(list(product(*sides)), of.kernel):
        if min(rows, columns) < 1 or (rows, columns) == of.kernel:
            continue
        grows = rows >= of.kernel[0] and columns >= of.kernel[1]
        effort = SAME_NUMBERS if grows else RETRAIN
        how = ", zeros behind it" if grows else ""
        yield from made(f"kernel {of.kernel} -> {(rows, columns)}{how}", effort, with_kernel(of, (rows, columns)))


def with_kernel(of: Question, sides: tuple[int, int]) -> Question:
    """Return a layer with another kernel and the same output: zeros behind, or cut; the padding makes up for it."""
    more = [new - old for new, old in zip(sides, of.kernel)]
    grown = np.pad(of.weights, [(0, 0), (0, 0), *((0, max(0, each)) for each in more)])
    top, left, bottom, right = of.pads
    rows, columns = (each * step for each, step in zip(more, of.dilations))
    if rows < 0:
        top, bottom = max(0, top + rows // 2), max(0, bottom + rows - rows // 2)
    if columns < 0:
        left, right = max(0, left + columns // 2), max(0, right + columns - columns // 2)
    pads = (top, left, bottom + max(0, rows), right + max(0, columns))
    return replace(of, weights=grown[:, :, : sides[0], : sides[1]], pads=pads)


def strides(of: Question, why: Reason) -> Iterator[Change]:
    """Other strides: those that the rule names, else of 1 and 2."""
    named = numbers(why.wanted)
    pairs = list(zip(named[::2], named[1::2])) or list(product((1, 2), (1, 2)))
    for pair in nearest(pairs, of.strides):
        if of.is_conv2d and pair != of.strides:
            yield from made(f"strides {of.strides} -> {pair}", RETRAIN, replace(of, strides=pair))


def dilations(of: Question, why: Reason) -> Iterator[Change]:
    """No dilation: a larger kernel with zeros between its taps, or the same kernel close together."""
    if not of.is_conv2d or of.dilations == (1, 1) or of.weights is None:
        return
    sides = tuple((side - 1) * step + 1 for side, step in zip(of.kernel, of.dilations))
    spread = np.zeros((*of.weights.shape[:2], *sides), np.int64)
    spread[:, :, :: of.dilations[0], :: of.dilations[1]] = of.weights
    says = f"dilations {of.dilations} -> (1, 1)"
    yield from made(
        f"{says}, kernel {of.kernel} -> {sides} with zeros between",
        SAME_NUMBERS,
        replace(of, dilations=(1, 1), weights=spread),
    )
    yield from made(says, RETRAIN, replace(of, dilations=(1, 1)))


def groups(of: Question, why: Reason) -> Iterator[Change]:
    """One group whose other weights are zeros."""
    if not of.is_conv2d or of.groups == 1 or of.weights is None:
        return
    outputs, own = of.weights.shape[:2]
    whole = np.zeros((outputs, own * of.groups, *of.kernel), np.int64)
    for output, weights in enumerate(of.weights):
        first = output // (outputs // of.groups) * own
        whole[output, first : first + own] = weights
    yield from made(f"groups {of.groups} -> 1, zeros between", SAME_NUMBERS, replace(of, groups=1, weights=whole))


def pads(of: Question, why: Reason) -> Iterator[Change]:
    """A Pad before the layer in place of its own padding; the same on both sides; less of it."""
    if not of.is_conv2d or not any(of.pads):
        return
    images, channels, rows, columns = of.inputs[0].shape
    top, left, bottom, right = of.pads
    low, high = of.inputs[0].range
    padded = replace(
        of.inputs[0],
        shape=(images, channels, rows + top + bottom, columns + left + right),
        range=(min(low, of.pad_value), max(high, of.pad_value)),
    )
    others = (padded, *of.inputs[1:])
    yield from made(f"a Pad of {of.pads} before it, pads 0", SAME_NUMBERS, replace(of, inputs=others, pads=(0,) * 4))
    even = (max(top, bottom), max(left, right)) * 2
    most = max(numbers(why.wanted), default=0)
    for wanted in (even, tuple(min(each, most) for each in of.pads)):
        if wanted != of.pads:
            yield from made(f"pads {of.pads} -> {wanted}", RETRAIN, replace(of, pads=wanted))


def input_channels(of: Question, why: Reason) -> Iterator[Change]:
    """More input channels, with zeros, up to a multiple; or, if rows or bytes are too many, fewer."""
    if of.weights is None or of.groups > 1:
        return
    count, named = of.weights.shape[1], numbers(why.wanted)
    if why.subject.endswith("channels"):
        for more in sorted({-(-count // step) * step for step in (*MULTIPLES, *named) if step > 0}):
            if count < more <= 2 * max(count, max(MULTIPLES)):
                yield from made(f"pad input channels {count} -> {more}", SAME_NUMBERS, with_inputs(of, more))
    found = numbers(why.found)
    allowed = {count * named[0] // found[0]} if named and found and found[0] > named[0] else set()
    for fewer in sorted({count // 2, count // 4, count // 8, *allowed}, reverse=True):
        if 0 < fewer < count:
            yield from made(f"input channels {count} -> {fewer}", RETRAIN, with_inputs(of, fewer))


def with_inputs(of: Question, count: int) -> Question:
    """Return a layer with more input channels, whose weights are zeros, or with the first ones."""
    more = max(0, count - of.weights.shape[1])
    weights = np.pad(of.weights, [(0, 0), (0, more), *((0, 0) for _ in of.weights.shape[2:])])[:, :count]
    shape = list(of.inputs[0].shape)
    shape[1 if of.is_conv2d else -1] = count
    return replace(of, weights=weights, inputs=(replace(of.inputs[0], shape=tuple(shape)), *of.inputs[1:]))


def output_channels(of: Question, why: Reason) -> Iterator[Change]:
    """More output channels, which nobody reads."""
    if of.weights is None or of.groups > 1 or of.requant is None or of.rescale is not None:
        return
    count = len(of.weights)
    arrays = [of.requant[key] for key in ("multiplier", "offset", "shift")]
    if any(len(entries) > 1 for entries in arrays):
        return
    for more in sorted({-(-count // step) * step for step in (*MULTIPLES, *numbers(why.wanted)) if step > 0}):
        if count < more <= 2 * max(count, max(MULTIPLES)):
            weights = np.pad(of.weights, [(0, more - count), *((0, 0) for _ in of.weights.shape[1:])])
            shape = list(of.output.shape)
            shape[1 if of.is_conv2d else -1] = more
            after = replace(of, weights=weights, output=replace(of.output, shape=tuple(shape)))
            yield from made(f"pad output channels {count} -> {more}", SAME_NUMBERS, after)


def one_image(of: Question, why: Reason) -> Iterator[Change]:
    """A batch of one."""
    shapes = [each.shape for each in (*of.inputs[:1], of.output)]
    if shapes[0][0] > 1:
        first, result = (replace(each, shape=(1, *each.shape[1:])) for each in (of.inputs[0], of.output))
        after = replace(of, inputs=(first, *of.inputs[1:]), output=result)
        yield from made(f"batch {shapes[0][0]} -> 1 (cycles of one image)", SAME_NUMBERS, after)


def whole_map(of: Question, why: Reason) -> Iterator[Change]:
    """A window that is the whole map; what it is divided by is the scale's."""
    if of.pooling is None or of.requant is None:
        return
    images, maps, *size = of.inputs[0].shape
    window = {
        "kernel": ir.DenseI64ArrayAttr.get(size),
        "strides": ir.DenseI64ArrayAttr.get([1, 1]),
        "pads": ir.DenseI64ArrayAttr.get([0, 0, 0, 0]),
    }
    kept = {name: each for name, each in of.pooling.items() if name != "counts"}
    after = replace(
        of,
        pooling=kept | window,
        output=replace(of.output, shape=(images, maps, 1, 1)),
        requant=first_scale(of.requant),
    )
    found = "x".join(map(str, ir.DenseI64ArrayAttr(of.pooling["kernel"])))
    yield Change(f"a window of {found} -> {size[0]}x{size[1]}, the whole map", RETRAIN, after)


def first_scale(requant: ir.DictAttr) -> ir.DictAttr:
    """Return a requantisation that has one entry for all."""
    kinds = {"multiplier": ir.DenseI32ArrayAttr, "offset": ir.DenseI64ArrayAttr, "shift": ir.DenseI32ArrayAttr}
    kept = {entry.name: entry.attr for entry in requant if entry.name not in ("numerator", "divisor", "rest")}
    return ir.DictAttr.get(kept | {name: kind.get(list(requant[name])[:1]) for name, kind in kinds.items()})


def average(of: Question, why: Reason) -> Iterator[Change]:
    """An average in place of another kind of pooling."""
    if of.pooling is not None and of.requant is not None:
        kind = ir.StringAttr.get("average")
        yield Change("an average", RETRAIN, replace(of, pooling={**of.pooling, "kind": kind}))


def as_convolution(of: Question, why: Reason) -> Iterator[Change]:
    """A dense layer of one row as a 1x1 convolution of one pixel."""
    if of.op is accel.DenseOp and of.weights is not None and "conv2d" in why.wanted and prod(of.output.shape[:-1]) == 1:
        pixel, result = (replace(each, shape=(1, each.shape[-1], 1, 1)) for each in (of.inputs[0], of.output))
        weights = of.weights[:, :, None, None]
        after = replace(of, op=accel.Conv2dOp, inputs=(pixel,), output=result, weights=weights)
        yield from made("a 1x1 convolution in its place", SAME_NUMBERS, after)


def same_shapes(of: Question, why: Reason) -> Iterator[Change]:
    """Operands that are as large as the result, repeated (Expand) where they are not."""
    small = [each for each in of.inputs if each.shape != of.output.shape]
    if of.op is not accel.AddOp or not small:
        return
    sizes = ["x".join(map(str, shape)) for shape in (small[0].shape, of.output.shape)]
    after = replace(of, inputs=tuple(replace(each, shape=of.output.shape) for each in of.inputs))
    yield from made(f"an operand of {sizes[0]} repeated to {sizes[1]} (a constant, or Expand)", SAME_NUMBERS, after)


def made(says: str, effort: str, after: Question) -> Iterator[Change]:
    """Yield a change, unless nothing is left of the map."""
    try:
        yield Change(says, effort, after.resized())
    except ValueError:
        return


def numbers(wanted: str) -> list[int]:
    """Return the integers that a rule names."""
    return [int(each) for each in re.findall(r"-?\d+", re.sub(r"(?<=\d),(?=\d{3})", "", wanted))]


def nearest(pairs: Sequence[tuple[int, int]], to: Sequence[int]) -> list[tuple[int, int]]:
    """Return pairs, those first that differ least."""
    return sorted(set(pairs), key=lambda pair: (sum(abs(a - b) for a, b in zip(pair, to)), pair))
