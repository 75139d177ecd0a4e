"""Which rows each layer computes when the first layers of a network are computed some rows at a time.

All of these layers make a few rows of their outputs, then all of them the next few: a patch. Between two patches the
last rows of a feature map are kept for the windows that reach back to them, so that nothing is computed twice. What
later layers read is whole.

    rows of an output   | patch 0 | patch 1 | patch 2 |
    rows of its input   |  patch 0   | patch 1 |patch 2|        a 3x3 window is one row ahead
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from mlir import ir
from mlir.dialects import func

import htvm.backend.kernels as kernels
from htvm.backend.targets.soc import HOST
from htvm.dialects import accel

from . import activations, layout
from .actions import whole

ROWS = 2
"""The axis of a feature map [N, C, H, W] that patches cut."""

ROW_BY_ROW = (accel.AddOp, accel.MulOp, accel.MaximumOp, accel.MinimumOp, accel.LookupOp, accel.ThresholdOp)
"""Layers of whose output a row depends on the same row of each operand."""


@dataclass(frozen=True)
class Window:
    """The rows that a layer reads for a row of its output: `kernel` of them, `dilation` apart, `stride` further on for
    the next one; the first begins `pad` rows before the map."""

    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    pad: int = 0

    @staticmethod
    def of(layer: accel.Layer) -> Window | None:
        """Return the window of a layer; None if its rows cannot be computed apart."""
        match layer:
            case accel.Conv2dOp() if activations.is_constant(layer.weights) and layer.bias is None:
                return Window(layer.weights.type.shape[2], layer.strides[0], layer.dilations[0], layer.pads[0])
            case accel.Pool2dOp():
                dilation = 1 if layer.dilations is None else layer.dilations[0]
                return Window(layer.kernel[0], layer.strides[0], dilation, layer.pads[0])
            case accel.WindowsOp():
                return Window(layer.kernel[0], layer.strides[0])
            case _:
                alike = isinstance(layer, ROW_BY_ROW) and all(_is_alike(layer, each) for each in layer.operands)
                return Window() if alike else None

    def reach(self, rows: range) -> range:
        """Return the rows of the input, and of the padding around it, that rows of the output are computed from."""
        start = rows.start * self.stride - self.pad
        return range(start, (rows.stop - 1) * self.stride - self.pad + (self.kernel - 1) * self.dilation + 1)

    def reads(self, rows: range, size: int) -> range:
        """Return the same without the padding; size: rows of the input."""
        reach = self.reach(rows)
        return range(max(reach.start, 0), max(min(reach.stop, size), 0))


def row_count(value: ir.Value) -> int:
    """Return the rows of a feature map."""
    return ir.ShapedType(value.type).shape[ROWS]


def _is_alike(layer: accel.Layer, operand: ir.Value) -> bool:
    """Say whether a row of a layer's output depends on the same row of an operand, or on constants of all rows."""
    sizes = ir.ShapedType(operand.type).shape
    if not activations.is_constant(operand):
        return len(sizes) == 4 and sizes[ROWS] == row_count(accel.output(layer))
    if isinstance(layer, accel.LookupOp | accel.ThresholdOp):
        return layer.axis is None or layer.axis.value != ROWS
    return len(sizes) < 2 or sizes[-2] == 1


def first_layers(function: func.FuncOp) -> list[accel.Layer]:
    """Return the layers on memrefs that a function begins with and that can be cut into rows."""
    return list(takewhile(is_cuttable, activations.layers(function)))


def is_cuttable(layer: accel.Layer) -> bool:
    """Say whether the host computes a layer of one image whose rows lie one after the other, at words."""
    output = accel.output(layer)
    maps = [*activations.read_by(layer), output]
    shapes = [ir.ShapedType(each.type).shape for each in maps]
    if accel.engine(layer) != HOST or any(len(shape) != 4 or shape[0] != 1 for shape in shapes):
        return False
    own = [each for each in maps if each == output or not activations.is_argument(whole(each))]
    return Window.of(layer) is not None and least_pixels(layer) is not None and all(map(_in_rows, own))


def _in_rows(value: ir.Value) -> bool:
    """Say whether the rows of a buffer lie one after the other, each at a multiple of a word."""
    _, channels, _, columns = ir.ShapedType(value.type).shape
    row, row_bytes = layout.strides(value.type)[ROWS], channels * columns * layout.element_bytes(value.type)
    return whole(value) == value and row == channels * columns and row_bytes % layout.ALIGNMENT_BYTES == 0


Rows = Mapping[ir.Value, Sequence[range]]
"""By the output of each layer, the rows of each patch."""


@dataclass(frozen=True)
class Patches:
    """What is computed in which patch.

    made: the rows of a patch. kept: those before that it reads, or a later one: it begins with them. stays: outputs
    that other layers read, and that are whole.
    """

    layers: Sequence[accel.Layer]
    count: int
    made: Rows
    kept: Rows
    stays: frozenset[ir.Value]

    @staticmethod
    def of(layers: Sequence[accel.Layer], count: int) -> Patches | None:
        """Return `count` patches of layers in order, all of which can be cut; None if a kernel takes none so small."""
        stays = frozenset(_read_outside(layers))
        made = _made(layers, count, stays)
        if not all(_takes(layer, rows) for layer in layers for rows in made[accel.output(layer)]):
            return None
        return Patches(layers, count, made, _kept(layers, count, made), stays)


def window(layer: accel.Layer) -> Window:
    """Return the window of a layer that can be cut."""
    found = Window.of(layer)
    assert found is not None, layer
    return found


def _read_outside(layers: Sequence[accel.Layer]) -> list[ir.Value]:
    """Return the outputs of layers that others read, or the caller."""
    inside = {layer.operation for layer in layers}
    return [
        value
        for value in map(accel.output, layers)
        if activations.is_argument(value) or any(use.owner.operation not in inside for use in value.uses)
    ]


def _made(layers: Sequence[accel.Layer], count: int, stays: frozenset[ir.Value]) -> Rows:
    """Return the rows of each patch: what stays in equal parts, of the others what is read and was not there before."""
    ends: dict[ir.Value, list[int]] = {accel.output(layer): [0] * count for layer in layers}
    for value in stays:
        ends[value] = [-(-row_count(value) * (patch + 1) // count) for patch in range(count)]
    for layer in reversed(layers):
        for value in activations.read_by(layer):
            if value in ends:
                needed = [window(layer).reads(range(end), row_count(value)).stop for end in ends[accel.output(layer)]]
                ends[value] = [max(pair) for pair in zip(ends[value], needed, strict=True)]
    return {value: [range(*pair) for pair in zip([0, *each], each)] for value, each in ends.items()}  # noqa: B905


def _kept(layers: Sequence[accel.Layer], count: int, made: Rows) -> Rows:
    """Return the rows before those of each patch that it reads, or a later one."""
    first = {value: [rows.start for rows in each] for value, each in made.items()}
    for layer in layers:
        for value in activations.read_by(layer):
            if value not in first:
                continue
            for patch, rows in enumerate(made[accel.output(layer)]):
                if rows:
                    begin = window(layer).reads(rows, row_count(value)).start
                    first[value][: patch + 1] = [min(begin, each) for each in first[value][: patch + 1]]
    return {
        value: [range(begin, rows.start) for begin, rows in zip(first[value], each, strict=True)]
        for value, each in made.items()
    }


def _takes(layer: accel.Layer, rows: range) -> bool:
    """Say whether the kernel of a layer computes so few rows."""
    least = least_pixels(layer)
    return not rows or (
        least is not None and len(rows) * ir.ShapedType(accel.output(layer).type).shape[ROWS + 1] >= least
    )


def least_pixels(layer: accel.Layer) -> int | None:
    """Return the pixels that the kernel of a layer needs to compute rows apart; None if it does not do that."""
    if not isinstance(layer, accel.Conv2dOp):
        return 1
    return None if layer.kernel is None else kernels.found(layer.kernel.value).least_pixels
