"""Steps that move elements and compute nothing: loops of copies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from htvm.backend.kernels.elements import Array, ElementType
from htvm.dialects import accel

from . import values
from .headers import ELEMENTWISE
from .step import Loop, Step, loops_over
from .syntax import ConstPointer, Entry, Pointer, Stride
from .values import element_type, shape, strides
from .writers import writes


def copy(
    step: Step,
    name: str,
    x: Pointer,
    y: Pointer,
    axes: tuple[Sequence[int], Sequence[int], Sequence[int]],
    loops: Sequence[Loop] = (),
    kind: ElementType | None = None,
) -> None:
    """Copy elements of the output's type, or of `kind`, inside `loops`; axes: sizes, strides of x, strides of y."""
    kernel = step.kernel(ELEMENTWISE, "COPY", kind or element_type(step.output))
    inner, outer = values.inner_and_outer(*axes)
    address = step.struct(
        "htvm_unary_shape", name, dict(zip(("size", "x", "y"), values.longest_last(inner), strict=True))
    )
    step.call_in_loops([*loops, *loops_over(outer, x, y)], kernel, address, x, y)


@writes(accel.ConcatOp)
def concat(step: Step, layer: accel.ConcatOp) -> None:
    inputs = [step.reads(value, f"x{number}") for number, value in enumerate(layer.inputs)]
    y, y_steps, axis = step.writes(step.output), strides(step.output), layer.axis.value
    start = 0
    for number, (value, x) in enumerate(zip(layer.inputs, inputs)):
        copy(step, f"part_{number}", x, y + start * y_steps[axis], (shape(value), strides(value), y_steps))
        start += shape(value)[axis]


@writes(accel.PadOp)
def pad(step: Step, layer: accel.PadOp) -> None:
    """Fill the whole output, then copy the part of the input that is not cut off by negative padding."""
    y_steps, x_steps = strides(step.output), strides(layer.input)
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    low, high = list(layer.low), list(layer.high)
    kept = [size + min(a, 0) + min(b, 0) for size, a, b in zip(shape(layer.input), low, high, strict=True)]
    to = sum(max(a, 0) * stride for a, stride in zip(low, y_steps, strict=True))
    first = sum(max(-a, 0) * stride for a, stride in zip(low, x_steps, strict=True))
    fill = step.own_kernel(ELEMENTWISE, "FILL", element_type(step.output))
    step.call(fill, int(np.prod(shape(step.output))), int(layer.value.value), y)
    if min(kept) > 0:
        axes = kept, x_steps, y_steps
        copy(step, "inside", x + first, y + to, axes)


@writes(accel.TransposeOp)
def transpose(step: Step, layer: accel.TransposeOp) -> None:
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    x_steps = [strides(layer.input)[axis] for axis in layer.permutation]
    copy(step, "shape", x, y, (shape(step.output), x_steps, strides(step.output)))


@writes(accel.ConvertLayoutOp)
def convert_layout(step: Step, layer: accel.ConvertLayoutOp) -> None:
    """Copy between two layouts of one shape."""
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    copy(step, "shape", x, y, (shape(step.output), strides(layer.input), strides(step.output)))


@writes(accel.TakeOp)
def take(step: Step, layer: accel.TakeOp) -> None:
    """Copy with strides where indices are evenly spaced, in groups or not; other axes are loops over offsets."""
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    first = 0
    axes: list[tuple[int, int, int]] = []
    loops: list[Loop] = []
    rows = zip(shape(step.output), strides(layer.input), strides(step.output), accel.indices_of(layer))
    for axis, (size, x_step, y_step, indices) in enumerate(rows):
        spaced = [(size, 1, 1)] if indices is None else evenly_spaced(indices)
        if spaced is None and indices is not None:
            offsets = step.array(f"axis_{axis}", "int32_t", np.array(indices * x_step, np.int32))
            loops.append(Loop(size, {x: Entry(offsets), y: Stride(y_step)}))
            continue
        first += 0 if indices is None else int(indices[0]) * x_step
        axes += [(count, step_of * x_step, apart * y_step) for count, step_of, apart in spaced or ()]
    if first:
        start = Pointer("first")
        step.body.append(ConstPointer(element_type(step.output).c, start.name, x + first))
        loops = [
            Loop(loop.size, {start if pointer == x else pointer: move for pointer, move in loop.moves.items()})
            for loop in loops
        ]
        x = start
    sizes, x_steps, y_steps = zip(*axes) if axes else ((), (), ())
    copy(step, "shape", x, y, (sizes, x_steps, y_steps), loops)


@writes(accel.WindowsOp)
def windows(step: Step, layer: accel.WindowsOp) -> None:
    """Copy row by row of each window: all of one where channels are innermost."""
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    (_, x_channel, x_row, x_column), (_, y_channel, *y_pixel) = strides(layer.input), strides(step.output)
    batch, channels = shape(layer.input)[:2]
    (height, width), (down, along) = layer.kernel, layer.strides
    sizes = [batch, *shape(step.output)[2:], height, width, channels]
    x_steps = [strides(layer.input)[0], down * x_row, along * x_column, x_row, x_column, x_channel]
    taps = [width * channels * y_channel, channels * y_channel, y_channel]
    copy(step, "shape", x, y, (sizes, x_steps, [strides(step.output)[0], *y_pixel, *taps]))


def evenly_spaced(indices: Array) -> list[tuple[int, int, int]] | None:
    """Return (count, distance in x, distance in y) of one loop, or two nested ones, that visit the indices in order.

    Return None if there are no such loops.
    """
    count = len(indices)
    for inner in [count] + [each for each in range(2, count) if count % each == 0]:
        rows = indices.reshape(-1, inner)
        step, apart = int(rows[0, 1] - rows[0, 0]) if inner > 1 else 0, int(rows[-1, 0] - rows[0, 0])
        jump = apart // (len(rows) - 1) if len(rows) > 1 else 0
        wanted = rows[0, 0] + np.add.outer(np.arange(len(rows)) * jump, np.arange(inner) * step)
        if (wanted == rows).all():
            return [(len(rows), jump, inner), (inner, step, 1)]
    return None


@writes(accel.ReshapeOp)
def reshape(step: Step, layer: accel.ReshapeOp) -> None:
    """Copy in row-major order; the emitter leaves the step out where input and output are in one place."""
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    count = int(np.prod(shape(step.output)))
    copy(step, "shape", x, y, ([count], [1], [1]))
