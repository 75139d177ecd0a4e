"""Parts of maps and buffers as values, from which operations are made where they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from math import prod

from mlir import ir
from mlir.dialects import memref

from htvm.backend.targets.jobs import Layout

from ..analysis import layout


@dataclass(frozen=True)
class Form:
    """Other axes over the memory of a value: their sizes, and the elements from one to the next."""

    shape: tuple[int, ...]
    steps: tuple[int, ...]


@dataclass(frozen=True)
class View:
    """A part of a map or buffer: `source`, or what `form` makes of it from element `start` on.

    offsets, shape: of the part, in its axes; None if it is all of that.
    """

    source: ir.Value
    form: Form | None = None
    start: int = 0
    offsets: tuple[int, ...] | None = None
    shape: tuple[int, ...] | None = None

    def part(self, offsets: Sequence[int], shape: Sequence[int]) -> View:
        """Return a part of a view that is no part itself."""
        assert self.offsets is None
        own = ir.MemRefType(self.source.type).shape if self.form is None else self.form.shape
        return self if tuple(shape) == tuple(own) else replace(self, offsets=tuple(offsets), shape=tuple(shape))

    @cached_property
    def axes(self) -> Form:
        """The sizes of its axes, and the elements of the source from one to the next."""
        kind = ir.MemRefType(self.source.type)
        whole = Form(tuple(kind.shape), tuple(kind.get_strides_and_offset()[0])) if self.form is None else self.form
        return whole if self.shape is None else Form(self.shape, whole.steps)

    @cached_property
    def first(self) -> int:
        """Where it begins, in elements of the source."""
        return self.start + sum(a * b for a, b in zip(self.offsets or (), self.axes.steps))

    @cached_property
    def extent(self) -> tuple[int, int]:
        """From which element of the source to behind which it reaches."""
        axes = self.axes
        return self.first, self.first + sum((size - 1) * step for size, step in zip(axes.shape, axes.steps)) + 1

    @property
    def type(self) -> ir.MemRefType:
        """Its type, where it is made."""
        kind = ir.MemRefType(self.source.type)
        return kind if self.form is None and self.shape is None else strided(kind, self.axes, self.first)

    def make(self) -> ir.Value:
        """Make it at the insertion point."""
        value = self.source
        if self.form is not None:
            kind = strided(ir.MemRefType(value.type), self.form, self.start)
            value = memref.ReinterpretCastOp(
                kind, value, [], [], [], static_offsets=[self.start], static_sizes=list(self.form.shape),
                static_strides=list(self.form.steps),
            ).result  # fmt: skip
        if self.shape is not None:
            value = memref.SubViewOp(
                self.type, value, [], [], [], static_offsets=list(self.offsets or ()), static_sizes=list(self.shape),
                static_strides=[1] * len(self.shape),
            ).result  # fmt: skip
        return value

    def make_at(self, first: ir.Value) -> ir.Value:
        """Make it at the insertion point, beginning elsewhere in the source: at an index."""
        unknown = ir.ShapedType.get_dynamic_stride_or_offset()
        return memref.ReinterpretCastOp(
            strided(ir.MemRefType(self.source.type), self.axes, unknown), self.source, [first], [], [],
            static_offsets=[unknown], static_sizes=list(self.axes.shape), static_strides=list(self.axes.steps),
        ).result  # fmt: skip


def dense(value: ir.Value, shape: Sequence[int], wanted: Layout) -> View:
    """Return a map of a shape, in a layout, at the start of a buffer of bytes."""
    return View(value, dense_form(tuple(shape), wanted))


@cache
def dense_form(shape: tuple[int, ...], wanted: Layout) -> Form:
    """Return the axes of a dense map of a shape in a layout: [N, C, H, W], or fewer."""
    is_nchw = wanted == Layout.NCHW or len(shape) != len(layout.NHWC)
    inner_first = list(reversed(range(len(shape)) if is_nchw else layout.NHWC))
    steps = {axis: prod(shape[each] for each in inner_first[:place]) for place, axis in enumerate(inner_first)}
    return Form(shape, tuple(steps[axis] for axis in range(len(shape))))


def pixels_as_channels(value: ir.Value) -> View:
    """Return the map [1, H W, 1, C] that a map [1, C, H, W] is which lies pixel by pixel."""
    _, channels, height, width = ir.MemRefType(value.type).shape
    return View(value, Form((1, height * width, 1, channels), (height * width * channels, channels, channels, 1)))


def blocks_as_rows(value: ir.Value, block: int, first: int, shape: Sequence[int]) -> View:
    """Return blocks of a map [1, C, H, W] from `first` on as a map [1, block, blocks, H W].

    shape: that of all these blocks, [1, channels, H, W]; of one alone it is what is returned.
    """
    _, channels, height, width = shape
    pixels, count = height * width, channels // block
    whole = channels * pixels
    if count == 1:
        form = Form((1, block, height, width), (whole, 1, width * block, block))
    else:
        form = Form((1, block, count, pixels), (whole, 1, pixels * block, block))
    return View(value, form, first * block * pixels)


def strided(kind: ir.MemRefType, axes: Form, first: int) -> ir.MemRefType:
    """Return the type of a part of a memref that has other axes, from element `first` on."""
    steps = ir.StridedLayoutAttr.get(first, list(axes.steps))
    return ir.MemRefType.get(list(axes.shape), kind.element_type, steps, kind.memory_space)
