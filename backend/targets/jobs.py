"""What an accelerator is asked to do: a layer, or a tile of one, in plain numbers.

A job knows nothing of MLIR operations, memories or addresses. It is an attribute of `accel.launch`, what cost
models count, what a job descriptor encodes and what the simulated engine computes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from mlir import ir

from htvm.dialects.text_enum import TextEnum

KINDS = ("conv2d", "dense", "add", "matvec")

OPERANDS = ("input", "rhs", "weights", "output")
"""What a descriptor has addresses of; 0 for one that the job does not have."""

Range = tuple[int, int]
"""First index, and the one behind the last."""


class Layout(TextEnum):
    """How a feature map lies in an accelerator's memory: its axes, outermost first."""

    NCHW = "nchw"
    NHWC = "nhwc"


LAYOUTS = tuple(Layout)
"""In the order of their numbers in a descriptor."""


@dataclass(frozen=True)
class Job:
    """One launch of an accelerator. Maps are dense in its memory; sizes are (rows, columns).

    kind: "conv2d", "dense" (one pixel), "add" (two inputs of one shape), or "matvec" (a convolution whose sums
    are read by a converter). groups: 1, or the channels for a depthwise layer, which is cut before it is launched.
    shift: of the sum, or of the converter. low, high: the clip of the result. layout: of the output.
    rescale_shift, code_low, code_high: of a "matvec", whose converter's code is clipped, scaled and shifted.
    """

    kind: str
    channels: int
    outputs: int
    size: tuple[int, int]
    out_size: tuple[int, int]
    kernel: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1
    shift: int = 0
    low: int = -128
    high: int = 127
    code_low: int = 0
    code_high: int = 0
    rescale_shift: int = 0
    layout: Layout = Layout.NCHW

    @property
    def macs(self) -> int:
        """Multiplications that the layer needs: those with borders count, those of unused lanes do not."""
        if self.kind == "add":
            return 0
        return self.outputs * (self.channels // self.groups) * prod(self.kernel) * prod(self.out_size)

    @property
    def has_own_channels(self) -> bool:
        """Whether each output channel has an input channel of its own."""
        return self.groups > 1 or self.kind == "add"

    @property
    def rows_of_weights(self) -> int:
        """Products that are summed for one output."""
        return self.channels // self.groups * prod(self.kernel)

    @property
    def input_bytes(self) -> int:
        return self.channels * prod(self.size)

    @property
    def output_bytes(self) -> int:
        return self.outputs * prod(self.out_size)

    def tile(self, outputs: Range, rows: Range, columns: Range) -> tuple[Job, Range, Range]:
        """Return the job of a part of the output, and the rows and columns of the input that it reads.

        Padding stays only where the part lies at the border of the map. Along an axis that is not cut the whole map is
        read, also what the last window leaves out: a part that is not copied has the steps of the map.
        """
        (top, left, bottom, right), height, width = self.pads, *self.size
        in_rows, (top, bottom) = self._read(rows, height, 0, top, bottom)
        in_columns, (left, right) = self._read(columns, width, 1, left, right)
        count = outputs[1] - outputs[0]
        part = replace(
            self,
            channels=count if self.has_own_channels else self.channels,
            groups=count if self.groups > 1 else 1,
            outputs=count,
            size=(in_rows[1] - in_rows[0], in_columns[1] - in_columns[0]),
            out_size=(rows[1] - rows[0], columns[1] - columns[0]),
            pads=(top, left, bottom, right),
        )
        return part, in_rows, in_columns

    def _read(self, wanted: Range, size: int, axis: int, before: int, after: int) -> tuple[Range, Range]:
        """Return the inputs along an axis that some outputs need, and the padding on both sides of them."""
        if wanted == (0, self.out_size[axis]):
            return (0, size), (before, after)
        stride, kernel = self.strides[axis], self.kernel[axis]
        first, end = wanted[0] * stride - before, (wanted[1] - 1) * stride - before + kernel
        read = (max(first, 0), min(end, size))
        return read, (max(-first, 0), max(end - size, 0))

    def words(self, addresses: Mapping[str, int]) -> list[int]:
        """Return the job's descriptor, DESCRIPTOR_WORDS words.

        Its fields in order have 16 bits each, the first of two in the lower half of a word; then the addresses of
        OPERANDS follow. Raises ValueError for a field that 16 bits do not hold.
        """
        numbers: list[int] = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            names = {"kind": KINDS, "layout": LAYOUTS}.get(field.name)
            numbers += [names.index(value)] if names else value if isinstance(value, tuple) else [value]
        if min(numbers) < -(1 << 15) or max(numbers) >= 1 << 16:
            raise ValueError(f"a job has a field of {max(numbers, key=abs)}, expected at most 16 bits")
        halves = [number & 0xFFFF for number in (*numbers, *[0] * (len(numbers) % 2))]
        packed = [low | high << 16 for low, high in zip(halves[::2], halves[1::2])]
        return [*packed, *(addresses.get(name, 0) for name in OPERANDS)]

    @staticmethod
    def of_words(words: Sequence[int]) -> tuple[Job, dict[str, int]]:
        """Return the job and the addresses that a descriptor gives."""
        numbers = [half for word in words[: -len(OPERANDS)] for half in (word & 0xFFFF, word >> 16)]
        # Fields by their names, of the types that Job has; what is generic about them no type says.
        values: dict[str, Any] = {}
        for field in dataclasses.fields(Job):
            names = {"kind": KINDS, "layout": LAYOUTS}.get(field.name)
            count = TUPLES.get(field.name, 1)
            taken, numbers = numbers[:count], numbers[count:]
            if names:
                values[field.name] = names[taken[0]]
            elif field.name in SIGNED:
                values[field.name] = taken[0] - (1 << 16) if taken[0] >> 15 else taken[0]
            else:
                values[field.name] = tuple(taken) if field.name in TUPLES else taken[0]
        return Job(**values), dict(zip(OPERANDS, words[-len(OPERANDS) :]))

    def attribute(self) -> ir.DictAttr:
        """Return the job as an attribute of `accel.launch`, in the current context; defaults are left out."""
        fields = dataclasses.fields(self)
        values = {field.name: getattr(self, field.name) for field in fields}
        return ir.DictAttr.get(
            {field.name: _attribute(values[field.name]) for field in fields if values[field.name] != field.default}
        )

    @staticmethod
    def of(attribute: ir.DictAttr) -> Job:
        """Return the job that an attribute describes."""
        return Job(**{entry.name: _value(entry.attr) for entry in attribute})


TUPLES = {"size": 2, "out_size": 2, "kernel": 2, "strides": 2, "pads": 4}
"""The fields of a job that have several numbers, and how many."""

SIGNED = ("low", "high", "code_low", "code_high")
"""The fields of a job that can be negative."""

DESCRIPTOR_WORDS = -(-(len(dataclasses.fields(Job)) + sum(n - 1 for n in TUPLES.values())) // 2) + len(OPERANDS)


def _attribute(value: int | str | tuple[int, ...]) -> ir.Attribute:
    if isinstance(value, str):
        return ir.StringAttr.get(value)
    if isinstance(value, tuple):
        return ir.DenseI64ArrayAttr.get(value)
    return ir.IntegerAttr.get(ir.IntegerType.get_signless(64), value)


def _value(attribute: ir.Attribute) -> Any:
    """Return the value of a field, of the type that the field has (the verifier of accel.launch has seen it)."""
    if isinstance(attribute, ir.DenseI64ArrayAttr):
        return tuple(attribute)
    return ir.StringAttr(attribute).value if isinstance(attribute, ir.StringAttr) else ir.IntegerAttr(attribute).value
