"""Steps of linear layers on the host: conv2d and dense by the kernel that choose-kernels has named, and matmul."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from htvm.dialects import accel, packed_weights, row_weights, winograd_weights
from htvm.dialects.copies import merge_axes

from . import values
from .constants import BLOCK, conv2d_weights, excess_entries, run_lengths, sparse_weights, window_order
from .convolution import Convolution, Linear, kernel_of, weights_4d
from .movement_steps import copy
from .requant import Requant
from .step import Loop, Step, requant_fields
from .syntax import NULL, Field
from .values import Array, element_type, shape, strides
from .writers import writes


@writes(accel.Conv2dOp, accel.DenseOp)
def linear(step: Step, layer: Linear) -> None:
    conv = Convolution.of(layer)
    if values.global_name(layer.weights) is None:
        step.macs = conv.macs
        _computed_weights(step, layer, conv, step.shared.forms[layer])
        return
    weights = weights_4d(step.data(layer.weights))
    if layer.requant is None:
        bias = step.data(layer.bias) if layer.bias is not None else np.zeros(1)
        requant = Requant.raw(bias)
    else:
        requant = step.shared.forms[layer]
    step.macs = conv.macs
    KERNELS[kernel_of(layer)](step, layer, conv, weights, requant)


def _conv2d(step: Step, layer: Linear, conv: Convolution, weights: Array, requant: Requant) -> None:
    x_type, w_type, y_type = element_type(layer.input), element_type(layer.weights), element_type(step.output)
    kernel = step.kernel("htvm_conv2d.h", "CONV2D", x_type, w_type, y_type, requant.form)
    collected = kernel_of(layer) == accel.Kernel.COLLECTED
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    address = step.struct("htvm_conv2d_layer", "layer", _linear_fields(conv, requant))
    arrays = (
        step.array("weights", w_type.c, conv2d_weights(weights, conv.groups, collected)),
        step.scales(requant, len(weights)),
    )
    window = step.scratch() if collected else NULL
    step.call_for_each(conv.batch, kernel, {x: conv.x[0], y: conv.y[0]}, address, x, *arrays, window, y)


def _computed_weights(step: Step, layer: Linear, conv: Convolution, requant: Requant) -> None:
    """Put the weights in the order of collected windows, blocks of 4 outputs as [c][r][s][4], then convolve."""
    x_type, w_type, y_type = element_type(layer.input), element_type(layer.weights), element_type(step.output)
    outputs, channels, rows, columns = shape(layer.weights)
    k_step, *steps = strides(layer.weights)
    x, w = step.reads(layer.input, "x"), step.reads(layer.weights, "w")
    y, scratch = step.writes(step.output), step.scratch()
    ordered = scratch if w_type.size_bytes == 1 else scratch.cast_to(w_type.c)
    taps, whole = channels * rows * columns, outputs // BLOCK
    if outputs % BLOCK:
        fill = step.kernel("htvm_elementwise.h", "FILL", w_type)
        step.call(fill, (whole + 1) * BLOCK * taps, 0, ordered)
    for first, count, lanes in ((0, whole, BLOCK), (whole, 1, outputs % BLOCK)):
        if count and lanes:
            axes = (
                [count, channels, rows, columns, lanes],
                [BLOCK * k_step, *steps, k_step],
                [BLOCK * taps, BLOCK * rows * columns, BLOCK * columns, BLOCK, 1],
            )
            copy(step, f"order_{first}", w + first * BLOCK * k_step, ordered + first * BLOCK * taps, axes, kind=w_type)
    kernel = step.kernel("htvm_conv2d.h", "CONV2D", x_type, w_type, y_type, requant.form)
    address = step.struct("htvm_conv2d_layer", "layer", _linear_fields(conv, requant))
    window = scratch + -(-outputs // BLOCK) * BLOCK * taps * w_type.size_bytes
    arrays = ordered, step.scales(requant, outputs), window
    step.call_for_each(conv.batch, kernel, {x: conv.x[0], y: conv.y[0]}, address, x, *arrays, y)


def _packed(step: Step, layer: Linear, conv: Convolution, weights: Array, requant: Requant) -> None:
    run = accel.present(layer.run, "run").value
    x_type, y_type = element_type(layer.input), element_type(step.output)
    pack = step.kernel("htvm_packed.h", "PACK_WINDOWS", x_type)
    types = (x_type, y_type, requant.form)
    kernel = step.kernel("htvm_packed.h", "PACKED", *types, more=(pack,))
    limits = np.iinfo(x_type.numpy)
    groups = [
        packed_weights.pack_weights(group, run, limits.min, limits.max)
        for group in window_order(weights, conv.groups, conv.x[1] == 1)
    ]
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    fields = _linear_fields(conv, requant) | {"unit runs": (run, groups[0].runs)}
    address = step.struct("htvm_packed_layer", "layer", fields)
    dense = np.concatenate([group.dense.reshape(-1) for group in groups])
    arrays = (
        step.array("weights", "int8_t", dense) if dense.size else NULL,
        step.array("rest", "uint8_t", np.concatenate([group.rest for group in groups])),
        step.scales(requant, len(weights)),
    )
    window = step.scratch().cast_to("int32_t")
    step.call_for_each(conv.batch, kernel, {x: conv.x[0], y: conv.y[0]}, address, x, *arrays, window, y)


def _winograd(step: Step, layer: Linear, conv: Convolution, weights: Array, requant: Requant) -> None:
    x_type, y_type = element_type(layer.input), element_type(step.output)
    blocks = step.kernel("htvm_winograd.h", "WINOGRAD_BLOCKS", x_type)
    types = (x_type, y_type, requant.form)
    kernel = step.kernel("htvm_winograd.h", "WINOGRAD", *types, more=(blocks,))
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    fields: dict[str, Field] = {
        "in_channels channels out_channels": (conv.channels, winograd_weights.padded(conv.channels), conv.out_channels),
        "in_height in_width": (conv.height, conv.width),
        "out_height out_width": (conv.out_height, conv.out_width),
        "pad_top pad_left pad_value": (conv.pad_top, conv.pad_left, conv.pad_value),
        "x_h x_w": conv.x[2:],
        "y_c y_h y_w": conv.y[1:],
        "requant": requant_fields(requant),
    }
    address = step.struct("htvm_winograd_layer", "layer", fields)
    arrays = (
        step.array("weights", "int16_t", winograd_weights.transformed(weights)),
        step.scales(requant, len(weights)),
    )
    step.call_for_each(conv.batch, kernel, {x: conv.x[0], y: conv.y[0]}, address, x, *arrays, step.scratch(), y)


def _row(step: Step, layer: Linear, conv: Convolution, weights: Array, requant: Requant) -> None:
    x_type, w_type, y_type = element_type(layer.input), element_type(layer.weights), element_type(step.output)
    kernel = step.kernel("htvm_conv2d.h", "ROW", x_type, w_type, y_type, requant.form)
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    address = step.struct("htvm_conv2d_layer", "layer", _linear_fields(conv, requant))
    ordered = conv2d_weights(weights, groups=1, collected=False)
    arrays = step.array("weights", w_type.c, ordered), step.scales(requant, len(weights))
    step.call(kernel, address, x, *arrays, y)


def _sparse_row(step: Step, layer: Linear, conv: Convolution, weights: Array, requant: Requant) -> None:
    x_type, y_type = element_type(layer.input), element_type(step.output)
    kernel = step.kernel("htvm_sparse_row.h", "SPARSE_ROW", x_type, y_type, requant.form)
    rows, skip = weights.reshape(len(weights), -1), accel.present(layer.skip, "skip").value
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    address = step.struct("htvm_sparse_row_layer", "layer", _row_fields(conv, requant, skip))
    arrays = (
        step.array("weights", "int8_t", sparse_weights(rows)),
        step.scales(requant.counted_from(skip, rows.sum(axis=1, dtype=np.int64)), len(rows)),
    )
    step.call(kernel, address, x, *arrays, y)


def _paired_row(step: Step, layer: Linear, conv: Convolution, weights: Array, requant: Requant) -> None:
    x_type, y_type = element_type(layer.input), element_type(step.output)
    skips, skip = (1, layer.skip.value) if layer.skip is not None else (0, 0)
    word_form = "WORDS" if kernel_of(layer) == accel.Kernel.WIDE_ROW else "QUADS"
    types = (word_form, skips, x_type, y_type, requant.form)
    kernel = step.kernel("htvm_paired_row.h", "PAIRED_ROW", *types)
    limits, rows = np.iinfo(x_type.numpy), weights.reshape(len(weights), -1)
    blocks = row_weights.row_blocks(rows, limits.min - skip, limits.max - skip)
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    address = step.struct("htvm_paired_row_layer", "layer", _row_fields(conv, requant, skip))
    words = [block.words if word_form == "WORDS" else block.quads for block in blocks]
    arrays = (
        step.array("words", "uint32_t", np.concatenate(words).reshape(-1)),
        step.array("runs", "uint8_t", run_lengths(blocks)),
        step.structs("excess", "htvm_excess", excess_entries(blocks), row_weights.EXCESS_BYTES),
        step.scales(requant.counted_from(skip, rows.sum(axis=1, dtype=np.int64)), len(rows)),
    )
    step.call(kernel, address, x, *arrays, y)


def _depthwise(step: Step, layer: Linear, conv: Convolution, weights: Array, requant: Requant) -> None:
    types = element_type(layer.input), element_type(layer.weights), element_type(step.output)
    if conv.out_height > conv.out_width:  # the kernel slides along rows: the longer, the fewer begin anew
        conv, weights = conv.transposed(), np.swapaxes(weights, 2, 3)
    header, window = "htvm_depthwise.h", ()
    match kernel_of(layer):
        case accel.Kernel.DEPTHWISE_WORDS:
            header, define, arguments = "htvm_depthwise_words.h", "DEPTHWISE_WORDS", (conv.strides[0], *types)
            window = (step.scratch(),)
        case accel.Kernel.DEPTHWISE_3X3:
            define, arguments = "DEPTHWISE3X3", (conv.strides[0], *types)
        case _:
            define, arguments = "DEPTHWISE", types
    kernel = step.kernel(header, define, *arguments, requant.form)
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    fields: dict[str, Field] = {"channels multiplier": (len(weights), conv.out_channels)}
    fields |= _map_fields(conv) | {"requant": requant_fields(requant)}
    address = step.struct("htvm_depthwise_layer", "layer", fields)
    arrays = step.array("weights", types[1].c, weights.reshape(-1)), step.scales(requant, len(weights))
    step.call_for_each(conv.batch, kernel, {x: conv.x[0], y: conv.y[0]}, address, x, *arrays, *window, y)


KERNELS: dict[str, Callable[[Step, Linear, Convolution, Array, Requant], None]] = {
    "in_place": _conv2d,
    "collected": _conv2d,
    "packed": _packed,
    "winograd": _winograd,
    "row": _row,
    "wide_row": _paired_row,
    "quad_row": _paired_row,
    "sparse_row": _sparse_row,
    "depthwise": _depthwise,
    "depthwise_3x3": _depthwise,
    "depthwise_words": _depthwise,
}
"""What writes the step of a linear layer, by the kernel that choose-kernels has named."""


def _linear_fields(conv: Convolution, requant: Requant) -> dict[str, Field]:
    return {
        "groups in_channels out_channels": (conv.groups, conv.channels, conv.out_channels),
        **_map_fields(conv),
        "requant": requant_fields(requant),
    }


def _row_fields(conv: Convolution, requant: Requant, skip: int) -> dict[str, Field]:
    return {
        "in_channels out_channels": (conv.channels, conv.out_channels),
        "y_c skip": (conv.y[1], skip),
        "requant": requant_fields(requant),
    }


def _map_fields(conv: Convolution) -> dict[str, Field]:
    return {
        "in_height in_width": (conv.height, conv.width),
        "out_height out_width": (conv.out_height, conv.out_width),
        "kernel_h kernel_w": conv.kernel,
        "stride_h stride_w": conv.strides,
        "dilation_h dilation_w": conv.dilations,
        "pad_top pad_left pad_value": (conv.pad_top, conv.pad_left, conv.pad_value),
        "x_c x_h x_w": conv.x[1:],
        "y_c y_h y_w": conv.y[1:],
    }


@writes(accel.MatMulOp)
def matmul(step: Step, layer: accel.MatMulOp) -> None:
    sizes = shape(step.output)
    a_steps = values.broadcast_strides(layer.lhs, (*sizes[:-1], shape(layer.lhs)[-1]))
    b_steps = values.broadcast_strides(layer.rhs, (*sizes[:-2], *shape(layer.rhs)[-2:]))
    y_steps = strides(step.output)
    requant = Requant.of(layer) if layer.requant is not None else Requant.raw(np.zeros(1))
    types = (element_type(value) for value in (layer.lhs, layer.rhs, step.output))
    kernel = step.kernel("htvm_matmul.h", "MATMUL", *types, requant.form)
    a, b, y = step.reads(layer.lhs, "a"), step.reads(layer.rhs, "b"), step.writes(step.output)
    inner = shape(layer.lhs)[-1]
    step.macs = int(np.prod(sizes)) * inner
    fields: dict[str, Field] = {
        "rows inner columns": (sizes[-2], inner, sizes[-1]),
        "a_row a_inner": a_steps[-2:],
        "b_inner b_column": b_steps[-2:],
        "y_row y_column": y_steps[-2:],
        "a_zero_point b_zero_point": tuple(layer.zero_points) if layer.zero_points is not None else (0, 0),
        "requant": requant_fields(requant),
    }
    address = step.struct("htvm_matmul_layer", "layer", fields)
    batches = merge_axes(sizes[:-2], a_steps[:-2], b_steps[:-2], y_steps[:-2])
    loops = [Loop.of(size, dict(zip((a, b, y), each, strict=True))) for size, *each in batches]
    step.call_in_loops(loops, kernel, address, a, b, step.scales(requant, 1), y)
