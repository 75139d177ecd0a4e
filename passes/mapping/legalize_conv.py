"""legalize-conv: give convolutions kernels that an accelerator has, where it has not theirs.

    %y = accel.conv2d %x, %w {strides = [2, 2], pads = [1, 4, 2, 4], ..} : (tensor<1x1x49x10xi8>, tensor<64x1x10x4xi8>)
    ==>
    %0 = accel.pad %x ..                                                  : tensor<1x1x50x10xi8>
    %1 = accel.transpose (accel.reshape %0) {permutation = [1, 3, 0, 2]}  : tensor<2x2x25x5xi8>
    %2 = accel.reshape %1                                                 : tensor<1x4x25x5xi8>
    %y = accel.conv2d %2, %w2 {strides = [1, 1], pads = [2, 1, 2, 1], ..} : (tensor<1x4x25x5xi8>, tensor<64x4x5x3xi8>)

Five ways, all exact. Padding that no window reaches goes, as with strides of 2 often at the bottom and right. A kernel
with an even side gets zeros behind it, and the map as much more padding. Strides of 2 go into channels: the four pixels
of a square become four channels, and half a kernel walks over them one by one; the host moves the pixels before, and
pads them where the accelerator cannot. Where even that kernel is none, `accel.windows` makes channels of all pixels of
a window, and the kernel is 1x1.

Stage    integer, before dispatch-engines
Reads    convolutions with constant weights in one group; rules and costs of the target's engines
Writes   other layers in their place, where an accelerator takes the new convolution, none takes the old one, and what
         the host does instead takes longer; no map that it moves may have more than a quarter of its memory, but
         that windows may be in a far memory
Needs    integerize before it: weights and the value of the padding are integers
Fails    never
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
from mlir import ir
from mlir.passmanager import ExternalPass

from htvm.backend.targets.soc import Memory, Soc
from htvm.dialects import accel, inserted, quantisation, scaling
from htvm.dialects.accel import Purpose

from ..analysis import layout
from ..analysis.acceptance import fewest_cycles, is_accelerated

TURN = [0, 1, 3, 2]
"""The permutation that turns a map: transpose-spatial-dims makes these."""

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
            if not isinstance(each, accel.LookupOp):  # those were there, on the turned map
                inserted.mark(each, Purpose.LEGALIZE_CONV)
        if self.is_better(layer, before, conv):
            accel.output(layer).replace_all_uses_with(accel.output(conv))
            source = layer.input
            layer.operation.erase()
            erase_unread(source)
            return True
        scaling.erase(conv)
        for each in reversed(before):
            each.erase()
        return False

    def is_better(self, layer: accel.Layer, before: Sequence[accel.Layer], conv: accel.Layer) -> bool:
        """Say whether an accelerator takes the new convolution, and all together takes less than now."""
        if not all(map(self.has_room, before)):
            return False
        now = fewest_cycles(self.target, layer, self.target.engines)
        then = [fewest_cycles(self.target, each, self.target.engines) for each in before]
        then.append(fewest_cycles(self.target, conv, self.target.accelerators))
        cycles = [each for each in then if each is not None]
        cycles += map(self.far_cycles, before)
        return None not in then and (now is None or sum(cycles) < now)

    def has_room(self, layer: accel.Layer) -> bool:
        """Say whether the host's memory has room for a map, or a far one for windows, which are made in tiles."""
        return self.is_near(layer) or (isinstance(layer, accel.WindowsOp) and self.far_memory(layer) is not None)

    def is_near(self, layer: accel.Layer) -> bool:
        """Say whether a map takes no more of the host's memory than it may."""
        size_bytes = layout.size_bytes(accel.output(layer).type)
        return size_bytes <= self.target.memory(self.target.arena_memory).size_bytes // PARTS

    def far_memory(self, layer: accel.Layer) -> Memory | None:
        """Return the first far memory that has room for a map."""
        size_bytes = layout.size_bytes(accel.output(layer).type)
        able = (each for each in self.target.far_memories if self.target.holds_maps(each))
        return next((each for each in able if size_bytes <= each.size_bytes), None)

    def far_cycles(self, layer: accel.Layer) -> int:
        """Return what a map takes to a far memory and back, if it goes there."""
        far = None if self.is_near(layer) else self.far_memory(layer)
        if far is None:
            return 0
        home, size_bytes = self.target.arena_memory, layout.size_bytes(accel.output(layer).type)
        ways = (*self.target.path(home, far.name), *self.target.path(far.name, home))
        return sum(self.target.copy_cycles(route, size_bytes) for route in ways)


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
    """Return the convolution of squares of four pixels that pads these itself, and what makes them; None if the strides
    are not 2.

    Where padding begins in the middle of a square, zeros in front of the kernel read what is before it.
    """
    if list(layer.strides) != [2, 2]:
        return None
    (top, left, _, _), sizes = layer.pads, layer.input.type.shape[2:]
    befores = [-(-pad // 2) for pad in (top, left)]
    zeros = [2 * before - pad for before, pad in zip(befores, (top, left))]
    weights = np.pad(weights_of(layer), [(0, 0), (0, 0), (zeros[0], 0), (zeros[1], 0)])
    kernel, reach = squares_read(layer, weights)
    squares = [min(-(-size // 2), far - before) for size, far, before in zip(sizes, reach, befores)]
    pads = [*befores, *(far - before - count for far, before, count in zip(reach, befores, squares))]
    bottom, right = (2 * count - size for count, size in zip(squares, sizes))
    return folded_convolution(layer, weights, kernel, squares, pads, (0, 0, bottom, right))


def padded_strides_in_channels(layer: accel.Conv2dOp) -> Made | None:
    """Return the same with a padded map, for padding that no accelerator has."""
    if list(layer.strides) != [2, 2]:
        return None
    weights, (top, left, _, _) = weights_of(layer), layer.pads
    kernel, size = squares_read(layer, weights)
    bottom, right = (
        2 * count - was - before for count, was, before in zip(size, layer.input.type.shape[2:], (top, left))
    )
    return folded_convolution(layer, weights, kernel, size, [0, 0, 0, 0], (top, left, bottom, right))


def squares_read(layer: accel.Conv2dOp, weights: np.ndarray) -> tuple[list[int], list[int]]:
    """Return the odd sides of a kernel that walks over squares of four pixels, and how many of these it reads."""
    half = [-(-side // 2) for side in weights.shape[2:]]
    kernel = [side + 1 - side % 2 for side in half]
    return kernel, [count + side - 1 for count, side in zip(accel.output(layer).type.shape[2:], kernel)]


def folded_convolution(
    layer: accel.Conv2dOp,
    weights: np.ndarray,
    kernel: list[int],
    size: list[int],
    pads: list[int],
    padding: tuple[int, int, int, int],
) -> Made:
    """Return the convolution of a map of `size` squares, and what makes them of the input and its padding.

    A map of one channel that was turned is taken as it was before: it is moved only once.
    """
    channels, element = layer.input.type.shape[1], layer.input.type.element_type
    source, lookups = before_turning(layer.input) if channels == 1 else (None, [])
    if source is None:
        padded, source = padded_map(layer, layer.input, padding)
        split, order = [channels * size[0], 2, size[1], 2], [1, 3, 0, 2]
    else:
        top, left, bottom, right = padding
        padded, source = padded_map(layer, source, (left, top, right, bottom))
        split, order = [size[1], 2, size[0], 2], [3, 1, 2, 0]
    squares = accel.ReshapeOp(quantisation.tensor(split, element), source)
    moved = accel.TransposeOp(
        quantisation.tensor([2, 2, channels * size[0], size[1]], element), accel.output(squares), permutation=order
    )
    folded = accel.ReshapeOp(quantisation.tensor([1, 4 * channels, *size], element), accel.output(moved))
    conv = convolution(layer, accel.output(folded), folded_weights(weights, kernel), [1, 1], pads)
    return [*lookups, *padded, squares, moved, folded], conv


def before_turning(value: ir.Value) -> tuple[ir.Value | None, list[accel.Layer]]:
    """Return the map of which a value is the turned one, looked up as that is, and the new layers that do this; None if
    it is no turned map, or one that others read.
    """
    lookups: list[accel.LookupOp] = []
    while isinstance(op := accel.producer(value), accel.LookupOp) and op.axis is None and is_read_once(value):
        lookups.append(op)
        value = op.input
    if not isinstance(op, accel.TransposeOp) or list(op.permutation) != TURN or not is_read_once(value):
        return None, []
    source, made = op.input, list[accel.Layer]()
    for lookup in reversed(lookups):
        again = lookup.operation.clone()
        again.operands[0] = source
        again.results[0].set_type(
            quantisation.tensor(list(ir.ShapedType(source.type).shape), accel.output(lookup).type.element_type)
        )
        source = again.results[0]
        made.append(cast(accel.LookupOp, again.opview))
    return source, made


def is_read_once(value: ir.Value) -> bool:
    return len(list(value.uses)) == 1


def erase_unread(value: ir.Value) -> None:
    """Take away the lookups and transposes behind a value that nobody reads any more."""
    while isinstance(op := accel.producer(value), accel.LookupOp | accel.TransposeOp) and not list(value.uses):
        value = op.input
        op.operation.erase()


def windows_in_channels(layer: accel.Conv2dOp) -> Made | None:
    """Return the convolution with a kernel of 1x1, and what makes channels of its windows; None if it has that one."""
    weights, element = weights_of(layer), layer.input.type.element_type
    outputs, channels, height, width = weights.shape
    if (height, width) == (1, 1):
        return None
    _, _, rows, columns = accel.output(layer).type.shape
    top, left, bottom, right = layer.pads
    padded, source = padded_map(layer, layer.input, (top, left, bottom, right))
    taps = channels * height * width
    windows = accel.WindowsOp(
        quantisation.tensor([1, taps, rows, columns], element), source, kernel=[height, width], strides=layer.strides
    )
    ordered = weights.transpose(0, 2, 3, 1).reshape(outputs, taps, 1, 1)
    return [*padded, windows], convolution(layer, accel.output(windows), ordered, [1, 1], [0, 0, 0, 0])


WAYS = (padding_that_is_read, zeros_behind, strides_in_channels, padded_strides_in_channels, windows_in_channels)
"""In this order: the first one that is better than the layer as it is."""


def padded_map(
    layer: accel.Conv2dOp, source: ir.Value, padding: tuple[int, int, int, int]
) -> tuple[list[accel.Layer], ir.Value]:
    """Return a map with so much of a convolution's padding at its top, left, bottom and right, and the layers that add
    it, if there is any. Less than none at the bottom or right: so many rows or columns, which no window reads, go.
    """
    top, left, bottom, right = padding
    (_, channels, *sizes), element = ir.ShapedType(source.type).shape, ir.ShapedType(source.type).element_type
    made: list[accel.Layer] = []
    if min(bottom, right) < 0:
        kept = [size + min(end, 0) for size, end in zip(sizes, (bottom, right))]
        each = [list(range(count)) if count < size else [] for count, size in zip(kept, sizes)]
        sizes, indices = kept, [ir.DenseI64ArrayAttr.get(axis) for axis in ([], [], *each)]
        made.append(
            accel.TakeOp(quantisation.tensor([1, channels, *sizes], element), source, ir.ArrayAttr.get(indices))
        )
        source, bottom, right = accel.output(made[-1]), max(bottom, 0), max(right, 0)
    if any((top, left, bottom, right)):
        padded = accel.PadOp(
            quantisation.tensor([1, channels, top + sizes[0] + bottom, left + sizes[1] + right], element),
            source,
            low=[0, 0, top, left],
            high=[0, 0, bottom, right],
            value=float(layer.pad_value.value) if layer.pad_value is not None else 0.0,
        )
        made.append(padded)
        source = accel.output(padded)
    return made, source


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
