"""Model edits of a layer's shape: kernel, strides, dilations, groups, padding, channels, batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from math import prod

import numpy as np
from mlir import ir

from htvm.backend.targets.violations import OneOf, Subject, Violation
from htvm.dialects import accel
from htvm.explanation.model_edits.layer_spec import RETRAIN, SAME_NUMBERS, LayerSpec, ModelEdit
from htvm.explanation.model_edits.wanted import numbers, pairs

MULTIPLES = (4, 8, 16, 32)
"""Of channels, when a rule wants more of them: the widths of lanes that there are."""


def kernel(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """Other sides: those that the rule names, else the next; larger ones with zeros behind, or smaller ones.

    Of a rule about bytes, or rows of weights, only smaller ones.
    """
    if not layer.is_conv2d or layer.weights is None:
        return
    is_size = violation.subject != Subject.KERNEL
    named = [] if is_size else numbers(violation.wanted)
    sides = [
        [side, *range(side - 2, 0, -2)] if is_size else named or [side, side + 1, side - 1] for side in layer.kernel
    ]
    of_rows, of_columns = sides
    for rows, columns in nearest(list(product(of_rows, of_columns)), layer.kernel):
        if min(rows, columns) < 1 or (rows, columns) == layer.kernel:
            continue
        grows = rows >= layer.kernel[0] and columns >= layer.kernel[1]
        effort = SAME_NUMBERS if grows else RETRAIN
        how = ", zeros behind it" if grows else ""
        yield from edited(
            f"kernel {layer.kernel} -> {(rows, columns)}{how}", effort, with_kernel(layer, (rows, columns))
        )


def with_kernel(layer: LayerSpec, sides: tuple[int, int]) -> LayerSpec:
    """Return a layer with another kernel and the same output: zeros behind, or cut; the padding makes up for it."""
    more, weights = [new - old for new, old in zip(sides, layer.kernel)], accel.present(layer.weights, "weights")
    grown = np.pad(weights, [(0, 0), (0, 0), *((0, max(0, each)) for each in more)])
    top, left, bottom, right = layer.pads
    rows, columns = (each * step for each, step in zip(more, layer.dilations))
    if rows < 0:
        top, bottom = max(0, top + rows // 2), max(0, bottom + rows - rows // 2)
    if columns < 0:
        left, right = max(0, left + columns // 2), max(0, right + columns - columns // 2)
    pads = (top, left, bottom + max(0, rows), right + max(0, columns))
    return replace(layer, weights=grown[:, :, : sides[0], : sides[1]], pads=pads)


def strides(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """Other strides: those that the rule names, else of 1 and 2."""
    named = pairs(violation.wanted) or list(product((1, 2), (1, 2)))
    for pair in nearest(named, layer.strides):
        if layer.is_conv2d and pair != layer.strides:
            yield from edited(f"strides {layer.strides} -> {pair}", RETRAIN, replace(layer, strides=pair))


def dilations(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """No dilation: a larger kernel with zeros between its taps, or the same kernel close together."""
    if not layer.is_conv2d or layer.dilations == (1, 1) or layer.weights is None:
        return
    sides = tuple((side - 1) * step + 1 for side, step in zip(layer.kernel, layer.dilations))
    spread = np.zeros((*layer.weights.shape[:2], *sides), np.int64)
    spread[:, :, :: layer.dilations[0], :: layer.dilations[1]] = layer.weights
    description = f"dilations {layer.dilations} -> (1, 1)"
    yield from edited(
        f"{description}, kernel {layer.kernel} -> {sides} with zeros between",
        SAME_NUMBERS,
        replace(layer, dilations=(1, 1), weights=spread),
    )
    yield from edited(description, RETRAIN, replace(layer, dilations=(1, 1)))


def groups(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """One group whose other weights are zeros."""
    if not layer.is_conv2d or layer.groups == 1 or layer.weights is None:
        return
    outputs, own = layer.weights.shape[:2]
    whole = np.zeros((outputs, own * layer.groups, *layer.kernel), np.int64)
    for output, weights in enumerate(layer.weights):
        first = output // (outputs // layer.groups) * own
        whole[output, first : first + own] = weights
    yield from edited(
        f"groups {layer.groups} -> 1, zeros between", SAME_NUMBERS, replace(layer, groups=1, weights=whole)
    )


def pads(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """A Pad before the layer in place of its own padding; the same on both sides; less of it."""
    if not layer.is_conv2d or not any(layer.pads):
        return
    images, channels, rows, columns = layer.inputs[0].shape
    top, left, bottom, right = layer.pads
    low, high = layer.inputs[0].range
    padded = replace(
        layer.inputs[0],
        shape=(images, channels, rows + top + bottom, columns + left + right),
        range=(min(low, layer.pad_value), max(high, layer.pad_value)),
    )
    others = (padded, *layer.inputs[1:])
    yield from edited(
        f"a Pad of {layer.pads} before it, pads 0", SAME_NUMBERS, replace(layer, inputs=others, pads=(0,) * 4)
    )
    even = (max(top, bottom), max(left, right)) * 2
    most = max(numbers(violation.wanted), default=0)
    for wanted in (even, tuple(min(each, most) for each in layer.pads)):
        if wanted != layer.pads:
            yield from edited(f"pads {layer.pads} -> {wanted}", RETRAIN, replace(layer, pads=wanted))


def input_channels(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """More input channels, with zeros, up to a multiple; or, if rows or bytes are too many, fewer."""
    if layer.weights is None or layer.groups > 1:
        return
    count, named = layer.weights.shape[1], numbers(violation.wanted)
    if violation.subject in (Subject.CHANNELS, Subject.INPUT_CHANNELS):
        for more in sorted({-(-count // step) * step for step in (*MULTIPLES, *named) if step > 0}):
            if count < more <= 2 * max(count, max(MULTIPLES)):
                yield from edited(f"pad input channels {count} -> {more}", SAME_NUMBERS, with_inputs(layer, more))
    found = numbers(violation.found)
    allowed = [count * named[0] // found[0]] if named and found and found[0] > named[0] else []
    for fewer in sorted({count // 2, count // 4, count // 8, *allowed}, reverse=True):
        if 0 < fewer < count:
            yield from edited(f"input channels {count} -> {fewer}", RETRAIN, with_inputs(layer, fewer))


def with_inputs(layer: LayerSpec, count: int) -> LayerSpec:
    """Return a layer with more input channels, whose weights are zeros, or with the first ones."""
    weights = accel.present(layer.weights, "weights")
    more = max(0, count - weights.shape[1])
    weights = np.pad(weights, [(0, 0), (0, more), *((0, 0) for _ in weights.shape[2:])])[:, :count]
    shape = list(layer.inputs[0].shape)
    shape[1 if layer.is_conv2d else -1] = count
    return replace(layer, weights=weights, inputs=(replace(layer.inputs[0], shape=tuple(shape)), *layer.inputs[1:]))


def output_channels(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """More output channels, which nobody reads."""
    if layer.weights is None or layer.groups > 1 or layer.requant is None or layer.rescale is not None:
        return
    count = len(layer.weights)
    arrays = layer.requant.multiplier, layer.requant.offset, layer.requant.shift
    if any(len(entries) > 1 for entries in arrays):
        return
    for more in sorted({-(-count // step) * step for step in (*MULTIPLES, *numbers(violation.wanted)) if step > 0}):
        if count < more <= 2 * max(count, max(MULTIPLES)):
            weights = np.pad(layer.weights, [(0, more - count), *((0, 0) for _ in layer.weights.shape[1:])])
            shape = list(layer.output.shape)
            shape[1 if layer.is_conv2d else -1] = more
            after = replace(layer, weights=weights, output=replace(layer.output, shape=tuple(shape)))
            yield from edited(f"pad output channels {count} -> {more}", SAME_NUMBERS, after)


def one_image(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """A batch of one."""
    shapes = [each.shape for each in (*layer.inputs[:1], layer.output)]
    if shapes[0][0] > 1:
        first, result = (replace(each, shape=(1, *each.shape[1:])) for each in (layer.inputs[0], layer.output))
        after = replace(layer, inputs=(first, *layer.inputs[1:]), output=result)
        yield from edited(f"batch {shapes[0][0]} -> 1 (cycles of one image)", SAME_NUMBERS, after)


def whole_map(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """A window that is the whole map; what it is divided by is the scale's."""
    if layer.pooling is None or layer.requant is None:
        return
    images, maps, *size = layer.inputs[0].shape
    window = {
        "kernel": ir.DenseI64ArrayAttr.get(size),
        "strides": ir.DenseI64ArrayAttr.get([1, 1]),
        "pads": ir.DenseI64ArrayAttr.get([0, 0, 0, 0]),
    }
    kept = {name: each for name, each in layer.pooling.items() if name != "counts"}
    after = replace(
        layer,
        pooling=kept | window,
        output=replace(layer.output, shape=(images, maps, 1, 1)),
        requant=first_scale(layer.requant),
    )
    found = "x".join(map(str, ir.DenseI64ArrayAttr(layer.pooling["kernel"])))
    yield ModelEdit(f"a window of {found} -> {size[0]}x{size[1]}, the whole map", RETRAIN, after)


def first_scale(requant: accel.RequantAttr) -> accel.RequantAttr:
    """Return a requantisation that has one entry for all."""
    return requant.replace(
        multiplier=requant.multiplier[:1],
        offset=requant.offset[:1],
        shift=requant.shift[:1],
        numerator=None,
        divisor=None,
        rest=None,
    )


def average(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """An average in place of another kind of pooling."""
    if layer.pooling is not None and layer.requant is not None:
        kind = accel.PoolKindAttr.get(accel.PoolKind.AVERAGE)
        yield ModelEdit("an average", RETRAIN, replace(layer, pooling={**layer.pooling, "kind": kind}))


def as_convolution(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """A dense layer of one row as a 1x1 convolution of one pixel."""
    known = violation.wanted.values if isinstance(violation.wanted, OneOf) else ()
    if layer.op is not accel.DenseOp or layer.weights is None or accel.Conv2dOp.OPERATION_NAME not in known:
        return
    if prod(layer.output.shape[:-1]) == 1:
        pixel, result = (replace(each, shape=(1, each.shape[-1], 1, 1)) for each in (layer.inputs[0], layer.output))
        weights = layer.weights[:, :, None, None]
        after = replace(layer, op=accel.Conv2dOp, inputs=(pixel,), output=result, weights=weights)
        yield from edited("a 1x1 convolution in its place", SAME_NUMBERS, after)


def same_shapes(layer: LayerSpec, violation: Violation) -> Iterator[ModelEdit]:
    """Operands that are as large as the result, repeated (Expand) where they are not."""
    small = [each for each in layer.inputs if each.shape != layer.output.shape]
    if layer.op is not accel.AddOp or not small:
        return
    sizes = ["x".join(map(str, shape)) for shape in (small[0].shape, layer.output.shape)]
    after = replace(layer, inputs=tuple(replace(each, shape=layer.output.shape) for each in layer.inputs))
    yield from edited(f"an operand of {sizes[0]} repeated to {sizes[1]} (a constant, or Expand)", SAME_NUMBERS, after)


def edited(description: str, effort: str, after: LayerSpec) -> Iterator[ModelEdit]:
    """Yield a change, unless nothing is left of the map."""
    try:
        yield ModelEdit(description, effort, after.resized())
    except ValueError:
        return


def nearest(pairs: Sequence[tuple[int, int]], to: Sequence[int]) -> list[tuple[int, int]]:
    """Return pairs, those first that differ least."""
    return sorted(set(pairs), key=lambda pair: (sum(abs(a - b) for a, b in zip(pair, to)), pair))
