"""Steps of the host that go over windows or along an axis: pooling, argmax, layer norm, softmax."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from mlir import ir

from htvm.backend.kernels.fields import Field
from htvm.backend.kernels.requant import Requant, requant_fields
from htvm.backend.targets.engines.host import MOST_IN_WORDS, is_half
from htvm.dialects import accel
from htvm.dialects.copies import merge_axes

from .headers import Header
from .step import Step, is_argument, loops_over
from .values import element_type, shape, strides, whole
from .writers import writes

POOL2D, POOL2D_WORDS = Header("htvm_pool2d.h", 112), Header("htvm_pool2d_words.h", 192)
ARGMAX, LAYER_NORM, SOFTMAX = (
    Header("htvm_argmax.h", 32),
    Header("htvm_layer_norm.h", 784),
    Header("htvm_softmax.h", 128),
)


@writes(accel.Pool2dOp)
def pool2d(step: Step, layer: accel.Pool2dOp) -> None:
    x_type, y_type = element_type(layer.input), element_type(step.output)
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    steps = {x: strides(layer.input)[0], y: strides(step.output)[0]}
    batch, fields = shape(layer.input)[0], _window_fields(step, layer)
    extreme = {accel.PoolKind.MAX: "MAXIMUM", accel.PoolKind.MIN: "MINIMUM"}.get(layer.kind.value)
    if extreme:
        if by_words(step, layer):
            kernel = step.kernel(POOL2D_WORDS, "POOL2D_EXTREME_WORDS", bytes_of(layer), extreme)
        else:
            kernel = step.kernel(POOL2D, "POOL2D_EXTREME", x_type, extreme)
        address = step.struct("htvm_pool2d_layer", "layer", fields)
        step.call_for_each(batch, kernel, steps, address, x, y)
        return
    requant, counts = Requant.of(layer), np.array(list(accel.present(layer.counts, "counts")), np.int32)
    types = y_type, requant.form
    if by_words(step, layer):
        kernel = step.kernel(POOL2D_WORDS, "POOL2D_SUM_WORDS", bytes_of(layer), *types)
    else:
        kernel = step.kernel(POOL2D, "POOL2D_SUM", x_type, *types)
    address = step.struct("htvm_pool2d_layer", "layer", fields | {"requant": requant_fields(requant)})
    arrays = step.array("counts", "int32_t", counts), step.scales(requant, counts.size)
    step.call_for_each(batch, kernel, steps, address, x, *arrays, y)


def _window_fields(step: Step, layer: accel.Pool2dOp) -> dict[str, Field]:
    """Return the geometry of a pool; the words of a whole map under one window are one row."""
    _, channels, height, width = shape(layer.input)
    _, *x_steps = strides(layer.input)
    _, *y_steps = strides(step.output)
    size, kernel, (pad_top, pad_left, _, _) = [height, width], list(layer.kernel), layer.pads
    if kernel == size and not any(layer.pads) and by_words(step, layer):
        size = kernel = [1, height * width]
    return {
        "channels": channels,
        "in_height in_width": size,
        "out_height out_width": shape(step.output)[2:],
        "kernel_h kernel_w": kernel,
        "stride_h stride_w": tuple(layer.strides),
        "dilation_h dilation_w": tuple(layer.dilations) if layer.dilations is not None else (1, 1),
        "pad_top pad_left": (pad_top, pad_left),
        "x_c x_h x_w": x_steps,
        "y_c y_h y_w": y_steps,
    }


def by_words(step: Step, layer: accel.Pool2dOp) -> bool:
    """Say whether htvm_pool2d_words.h computes a pool; it may be another kernel's to compute."""
    return has_words(layer) and step.host_kernel is None


def has_words(layer: accel.Pool2dOp) -> bool:
    """Say whether the words of a map have bytes of four channels each, and 16 bits hold the sums of windows, if any."""
    if layer.counts is not None and max(layer.counts) > MOST_IN_WORDS:
        return False
    x_n, x_c, x_h, x_w = strides(layer.input)
    aligned = x_c == 1 and not any(step % 4 for step in (x_n, x_h, x_w, shape(layer.input)[1]))
    is_buffer = not is_argument(whole(layer.input))  # a caller may have a map anywhere
    return aligned and is_buffer and element_type(layer.input).size_bytes == 1


def bytes_of(layer: accel.Pool2dOp) -> str:
    """Return what the bytes of a pool's map hold, as htvm_pool2d_words.h tells them apart."""
    if element_type(layer.input).c == "uint8_t":
        return "UNSIGNED"
    return "HALF" if is_half(layer) else "SIGNED"


def _around(step: Step, layer: accel.ArgMaxOp | accel.SoftmaxOp) -> tuple[dict[str, Field], list[tuple[int, ...]]]:
    """Return one axis before the layer's, itself and one behind it as kernels want them, and the axes around these."""
    each = dict(enumerate(zip(shape(layer.input), strides(layer.input), strides(step.output), strict=True)))
    along = each.pop(layer.axis.value)
    merged = merge_axes(*(list(zip(*each.values(), strict=True)) or [(), (), ()]))
    *outer, before, after = [*[(1, 0, 0)] * (2 - len(merged)), *merged]
    columns = zip(before, along, after, strict=True)
    return dict(zip(("size", "x", "y"), columns, strict=True)), outer


@writes(accel.ArgMaxOp)
def argmax(step: Step, layer: accel.ArgMaxOp) -> None:
    kernel = step.kernel(ARGMAX, "ARGMAX", element_type(layer.input), element_type(step.output))
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    inner, outer = _around(step, layer)
    fields: dict[str, Field] = inner | {"smallest last": (int(layer.smallest), int(layer.last))}
    address = step.struct("htvm_argmax_layer", "layer", fields)
    step.call_in_loops(loops_over(outer, x, y), kernel, address, x, y)


NORM_BITS, SLOPE_BITS = 24, 30
"""Of the estimates of htvm_layer_norm.h: bits behind the point, and bits of the steepest slope."""


@writes(accel.LayerNormOp)
def layer_norm(step: Step, layer: accel.LayerNormOp) -> None:
    length, half_step = shape(layer.input)[-1], accel.present(layer.half_step, "half_step").value
    factors = integers(step, accel.present(layer.scale, "scale"))
    terms = integers(step, accel.present(layer.bias, "bias"))
    whole_step, half_shift = 2 * half_step, accel.present(layer.shift, "shift").value // 2
    slope_bits = SLOPE_BITS + whole_step.bit_length() - 1 - max(map(abs, factors), default=1).bit_length()
    channels = [
        (factor, term, ((term + whole_step // 2) << NORM_BITS) // whole_step, _rounded(factor, whole_step, slope_bits))
        for factor, term in zip(factors, terms, strict=True)
    ]
    *x_rows, x_step = strides(layer.input)
    *y_rows, y_step = strides(step.output)
    *outer, (rows, x_row, y_row) = merge_axes(shape(layer.input)[:-1], x_rows, y_rows) or [(1, 0, 0)]
    high, low = accel.present(layer.variance_offset, "variance_offset")
    offset = (high << 32) + low
    fields: dict[str, Field] = {
        "rows length": (rows, length),
        "x_row x_step y_row y_step": (x_row, x_step, y_row, y_step),
        "slope_bits half_shift": (slope_bits, half_shift),
        "half_step variance_scale": (half_step, accel.present(layer.variance_scale, "variance_scale").value),
        "variance_offset": [f"{offset >> bits & 0xFFFFFFFF}u" for bits in (0, 32, 64)],
        "zero_point min max": limits(layer),
    }
    types = element_type(layer.input), element_type(step.output)
    kernel = step.kernel(LAYER_NORM, "LAYER_NORM", *types)
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    address = step.struct("htvm_layer_norm_layer", "layer", fields)
    step.call_in_loops(
        loops_over(outer, x, y), kernel, address, x, step.structs("channels", "htvm_norm_channel", channels, 32), y
    )


def integers(step: Step, value: ir.Value) -> list[int]:
    """Return the numbers of a constant."""
    return [int(number) for number in step.data(value).flat]


def limits(layer: accel.LayerNormOp | accel.SoftmaxOp) -> tuple[int, int, int]:
    """Return the zero point of a layer's results, and the range that they are clamped to."""
    zero_point, low, high = layer.zero_point, layer.min, layer.max
    return (
        accel.present(zero_point, "zero_point").value,
        accel.present(low, "min").value,
        accel.present(high, "max").value,
    )


def _rounded(numerator: int, denominator: int, bits: int) -> int:
    """Return a fraction as a multiple of 2^-bits."""
    return round(Fraction(numerator, denominator) * Fraction(2) ** bits)


@writes(accel.SoftmaxOp)
def softmax(step: Step, layer: accel.SoftmaxOp) -> None:
    inner, outer = _around(step, layer)
    table = step.data(accel.present(layer.table, "table"))
    fields: dict[str, Field] = inner | {
        "entries": table.size,
        "scale_multiplier scale_shift": (
            accel.present(layer.scale_multiplier, "scale_multiplier").value,
            accel.present(layer.scale_shift, "scale_shift").value,
        ),
        "zero_point min max": limits(layer),
    }
    kernel = step.kernel(SOFTMAX, "SOFTMAX", element_type(layer.input), element_type(step.output))
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    address = step.struct("htvm_softmax_layer", "layer", fields)
    step.call_in_loops(loops_over(outer, x, y), kernel, address, x, step.array("table", "uint64_t", table), y)
