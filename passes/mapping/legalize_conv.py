"""legalize-conv: give convolutions kernels that an accelerator has, where it has not theirs.

    %y = accel.conv2d %x, %w {strides = [2, 2], pads = [1, 4, 2, 4], ..} : (tensor<1x1x49x10xi8>, tensor<64x1x10x4xi8>)
    ==>
    %0 = accel.pad %x ..                                                  : tensor<1x1x54x18xi8>
    %1 = accel.transpose (accel.reshape %0) {permutation = [1, 3, 0, 2]}  : tensor<2x2x27x9xi8>
    %2 = accel.reshape %1                                                 : tensor<1x4x27x9xi8>
    %y = accel.conv2d %2, %w2 {strides = [1, 1], pads = [0, 0, 0, 0], ..} : (tensor<1x4x27x9xi8>, tensor<64x4x5x3xi8>)

Four ways, all exact. Padding that no window reaches goes, as with strides of 2 often at the bottom and right. A kernel
with an even side gets zeros behind it, and the map as much more padding. Strides of 2 go into channels: the four pixels
of a square become four channels, and half a kernel walks over them one by one; the host pads and moves the pixels
before. Where even that kernel is none, all pixels of a window become channels, and the kernel is 1x1.

Stage    integer, before dispatch-engines
Reads    convolutions with constant weights in one group; rules and costs of the target's engines
Writes   other layers in their place, where an accelerator takes the new convolution, none takes the old one, and what
         the host does instead takes longer; no map that it moves may have more than a quarter of its memory
Needs    integerize before it: weights and the value of the padding are integers
Fails    never
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from mlir import ir
from mlir.passmanager import ExternalPass

from htvm.backend.targets.soc import Soc
from htvm.dialects import accel, inserted, quantisation, scaling
from htvm.dialects.accel import Purpose

from ..analysis import layout
from ..analysis.acceptance import fewest_cycles, is_accelerated

PARTS = 4
"""One of so many parts of the host's memory is what a map that it moves may take: two are there at once, and others."""

Made = tuple[Sequence[accel.Layer], accel.Conv2dOp]
"""The layers that the host runs first, and the convolution."""


@dataclass(frozen=True)
class LegalizeConv:
    """Rewrite convolutions that no accelerator takes only because of their kernels."""

    name: ClassVar[str] = "legalize-conv"
    stages: ClassVar[tuple[str, ...]] = ("integer",)

    target: Soc

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        self.rewrite(module)

    def rewrite(self, module: ir.Operation) -> None:
        if not self.target.accelerators:
            return
        with module.location:
            for layer in list(accel.layers(module)):
                if isinstance(layer, accel.Conv2dOp) and is_plain(layer) and not is_accelerated(self.target, layer):
                    any(self.replace(layer, way) for way in WAYS)

    def replace(self, layer: accel.Conv2dOp, way: Callable[[accel.Conv2dOp], Made | None]) -> bool:
        """Put new layers in place of one, and say so; leave it if they are not better."""
        with ir.InsertionPoint(layer), layer.location:
            made = way(layer)
        if made is None:
            return False
        before, conv = made
        for each in before:
            inserted.mark(each, Purpose.LEGALIZE_CONV)
        if self.is_better(layer, before, conv):
            accel.output(layer).replace_all_uses_with(accel.output(conv))
            layer.operation.erase()
            return True
        scaling.erase(conv)
        for each in reversed(before):
            each.erase()
        return False

    def is_better(self, layer: accel.Layer, before: Sequence[accel.Layer], conv: accel.Layer) -> bool:
        """Say whether an accelerator takes the new convolution, and all together takes less than now."""
        largest = max((layout.size_bytes(accel.output(each).type) for each in before), default=0)
        if largest > self.target.memory(self.target.arena_memory).size_bytes // PARTS:
            return False
        now = fewest_cycles(self.target, layer, self.target.engines)
        then = [fewest_cycles(self.target, each, self.target.engines) for each in before]
        then.append(fewest_cycles(self.target, conv, self.target.accelerators))
        cycles = [each for each in then if each is not None]
        return len(cycles) == len(then) and (now is None or sum(cycles) < now)


def is_plain(layer: accel.Conv2dOp) -> bool:
    """Say whether a convolution is of one image in one group, without dilation, with constant weights."""
    return (
        layer.engine is None
        and layer.requant is not None
        and layer.bias is None
        and layer.groups.value == 1
        and list(layer.dilations) == [1, 1]
        and layer.input.type.shape[0] == 1
        and quantisation.stored(layer.weights) is not None
    )


def padding_that_is_read(layer: accel.Conv2dOp) -> Made | None:
    """Return the convolution with the padding that its windows reach; None if it has no more."""
    top, left, bottom, right = layer.pads
    weights, rows_and_columns = weights_of(layer), accel.output(layer).type.shape[2:]
    sizes = zip(layer.input.type.shape[2:], rows_and_columns, weights.shape[2:], layer.strides, (top, left))
    ends = [max((count - 1) * stride + kernel - before - size, 0) for size, count, kernel, stride, before in sizes]
    if ends == [bottom, right]:
        return None
    return [], convolution(layer, layer.input, weights, list(layer.strides), [top, left, *ends])


def zeros_behind(layer: accel.Conv2dOp) -> Made | None:
    """Return the convolution with a kernel of odd sides; None if they are odd."""
    weights = weights_of(layer)
    missing = [1 - side % 2 for side in weights.shape[2:]]
    if not any(missing):
        return None
    top, left, bottom, right = layer.pads
    wider = np.pad(weights, [(0, 0), (0, 0), (0, missing[0]), (0, missing[1])])
    pads = [top, left, bottom + missing[0], right + missing[1]]
    return [], convolution(layer, layer.input, wider, list(layer.strides), pads)


def strides_in_channels(layer: accel.Conv2dOp) -> Made | None:
    """Return the convolution of squares of four pixels, and what makes them; None if the strides are not 2."""
    if list(layer.strides) != [2, 2]:
        return None
    weights, (_, channels, height, width) = weights_of(layer), layer.input.type.shape
    _, _, rows, columns = accel.output(layer).type.shape
    half = [-(-side // 2) for side in weights.shape[2:]]
    kernel = [side + 1 - side % 2 for side in half]
    size = [rows + kernel[0] - 1, columns + kernel[1] - 1]
    top, left, _, _ = layer.pads
    element = layer.input.type.element_type
    padded = padded_input(layer, 2 * size[0] - height - top, 2 * size[1] - width - left)
    squares = accel.ReshapeOp(quantisation.tensor([channels * size[0], 2, size[1], 2], element), accel.output(padded))
    moved = accel.TransposeOp(
        quantisation.tensor([2, 2, channels * size[0], size[1]], element),
        accel.output(squares),
        permutation=[1, 3, 0, 2],
    )
    folded = accel.ReshapeOp(quantisation.tensor([1, 4 * channels, *size], element), accel.output(moved))
    conv = convolution(layer, accel.output(folded), folded_weights(weights, kernel), [1, 1], [0, 0, 0, 0])
    return [padded, squares, moved, folded], conv


def windows_in_channels(layer: accel.Conv2dOp) -> Made | None:
    """Return the convolution with a kernel of 1x1, and what makes channels of its windows; None if it has that one."""
    weights, element = weights_of(layer), layer.input.type.element_type
    outputs, channels, height, width = weights.shape
    if (height, width) == (1, 1):
        return None
    _, _, rows, columns = accel.output(layer).type.shape
    _, _, bottom, right = layer.pads
    padded = padded_input(layer, bottom, right)
    down, along = layer.strides
    read = [[tap + step * place for tap in range(size) for place in range(count)]
            for size, count, step in ((height, rows, down), (width, columns, along))]  # fmt: skip
    windows = accel.TakeOp(
        quantisation.tensor([1, channels, height * rows, width * columns], element),
        accel.output(padded),
        ir.ArrayAttr.get([ir.DenseI64ArrayAttr.get(each) for each in ([], [], *read)]),
    )
    split = accel.ReshapeOp(
        quantisation.tensor([channels * height, rows, width, columns], element), accel.output(windows)
    )
    moved = accel.TransposeOp(
        quantisation.tensor([channels * height, width, rows, columns], element),
        accel.output(split),
        permutation=[0, 2, 1, 3],
    )
    taps = channels * height * width
    folded = accel.ReshapeOp(quantisation.tensor([1, taps, rows, columns], element), accel.output(moved))
    conv = convolution(layer, accel.output(folded), weights.reshape(outputs, taps, 1, 1), [1, 1], [0, 0, 0, 0])
    return [padded, windows, split, moved, folded], conv


WAYS = (padding_that_is_read, zeros_behind, strides_in_channels, windows_in_channels)
"""In this order: the first one that is better than the layer as it is."""


def padded_input(layer: accel.Conv2dOp, bottom: int, right: int) -> accel.PadOp:
    """Return the input of a convolution with its padding at the top and left, and other at the bottom and right."""
    (_, channels, rows, columns), (top, left, _, _) = layer.input.type.shape, layer.pads
    return accel.PadOp(
        quantisation.tensor([1, channels, top + rows + bottom, left + columns + right], layer.input.type.element_type),
        layer.input,
        low=[0, 0, top, left],
        high=[0, 0, bottom, right],
        value=float(layer.pad_value.value) if layer.pad_value is not None else 0.0,
    )


def folded_weights(weights: np.ndarray, kernel: list[int]) -> np.ndarray:
    """Return weights [K, C, R, S] as [K, 4 C, *kernel]: taps of both parities become channels, zeros fill the rest."""
    outputs, channels, height, width = weights.shape
    whole = np.pad(weights, [(0, 0), (0, 0), (0, 2 * kernel[0] - height), (0, 2 * kernel[1] - width)])
    taps = whole.reshape(outputs, channels, kernel[0], 2, kernel[1], 2)
    return taps.transpose(0, 3, 5, 1, 2, 4).reshape(outputs, 4 * channels, *kernel)


def weights_of(layer: accel.Conv2dOp) -> np.ndarray:
    return accel.present(quantisation.elements(layer.weights), "constant weights")


def convolution(
    layer: accel.Conv2dOp, source: ir.Value, weights: np.ndarray, strides: list[int], pads: list[int]
) -> accel.Conv2dOp:
    """Return a convolution with the result of a layer, at the insertion point."""
    return accel.Conv2dOp(
        accel.output(layer).type,
        source,
        quantisation.integers(weights),
        strides=strides,
        pads=pads,
        dilations=[1, 1],
        groups=1,
        pad_value=layer.pad_value,
        requant=layer.requant,
    )
