"""Steps of linear layers on the host: conv2d and dense by the kernel that choose-kernels has named, and matmul."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from htvm.dialects import packed_weights, row_weights
from htvm.dialects.copies import merge_axes

from . import values
from .constants import BLOCK, conv2d_weights, excess_entries, run_lengths, sparse_weights, window_order
from .convolution import Convolution, kernel_of, weights_4d
from .movement_steps import copy
from .requant import Requant
from .step import Loop, Step, requant_fields
from .values import element_type, shape, strides


def linear(step: Step) -> None:
    layer = step.layer
    conv = Convolution.of(layer)
    if values.global_name(layer.weights) is None:
        step.macs = conv.macs
        _computed_weights(step, conv, step.shared.forms[layer])
        return
    weights = weights_4d(step.shared.data[values.global_name(layer.weights)])
    if layer.requant is None:
        bias = step.shared.data[values.global_name(layer.bias)] if layer.bias is not None else np.zeros(1)
        requant = Requant.raw(bias)
    else:
        requant = step.shared.forms[layer]
    step.macs = conv.macs
    KERNELS[kernel_of(layer)](step, conv, weights, requant)


def _conv2d(step: Step, conv: Convolution, weights: np.ndarray, requant: Requant) -> None:
    layer = step.layer
    x_type, w_type, y_type = element_type(layer.input), element_type(layer.weights), element_type(step.output)
    kernel = step.kernel("htvm_conv2d.h", "HTVM_DEFINE_CONV2D", x_type, w_type, y_type, f"HTVM_{requant.form}")
    collected = layer.kernel.value == "collected"
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    address = step.struct("htvm_conv2d_layer", "layer", _linear_fields(conv, requant))
    arrays = (
        step.array("weights", w_type.c, conv2d_weights(weights, conv.groups, collected)),
        step.scales(requant, len(weights)),
    )
    window = step.scratch() if collected else "NULL"
    step.call_for_each(conv.batch, kernel, {x: conv.x[0], y: conv.y[0]}, address, x, *arrays, window, y)


def _computed_weights(step: Step, conv: Convolution, requant: Requant) -> None:
    """Put the weights in the order of collected windows, blocks of 4 outputs as [c][r][s][4], then convolve."""
    layer = step.layer
    x_type, w_type, y_type = element_type(layer.input), element_type(layer.weights), element_type(step.output)
    outputs, channels, rows, columns = shape(layer.weights)
    k_step, *steps = strides(layer.weights)
    x, w = step.reads(layer.input, "x"), step.reads(layer.weights, "w")
    y, scratch = step.writes(step.output), step.scratch()
    ordered = scratch if w_type.size_bytes == 1 else f"({w_type.c} *)(void *){scratch}"
    taps, whole = channels * rows * columns, outputs // BLOCK
    if outputs % BLOCK:
        fill = step.kernel("htvm_elementwise.h", "HTVM_DEFINE_FILL", w_type)
        step.call(fill, (whole + 1) * BLOCK * taps, 0, ordered)
    for first, count, lanes in ((0, whole, BLOCK), (whole, 1, outputs % BLOCK)):
        if count and lanes:
            source = f"{w} + {first * BLOCK * k_step}" if first else w
            target = f"{ordered} + {first * BLOCK * taps}" if first else ordered
            axes = (
                [count, channels, rows, columns, lanes],
                [BLOCK * k_step, *steps, k_step],
                [BLOCK * taps, BLOCK * rows * columns, BLOCK * columns, BLOCK, 1],
            )
            copy(step, f"order_{first}", source, target, axes, kind=w_type)
    kernel = step.kernel("htvm_conv2d.h", "HTVM_DEFINE_CONV2D", x_type, w_type, y_type, f"HTVM_{requant.form}")
    address = step.struct("htvm_conv2d_layer", "layer", _linear_fields(conv, requant))
    window = f"{scratch} + {-(-outputs // BLOCK) * BLOCK * taps * w_type.size_bytes}"
    arrays = ordered, step.scales(requant, outputs), window
    step.call_for_each(conv.batch, kernel, {x: conv.x[0], y: conv.y[0]}, address, x, *arrays, y)


def _packed(step: Step, conv: Convolution, weights: np.ndarray, requant: Requant) -> None:
    layer, run = step.layer, step.layer.run.value
    x_type, y_type = element_type(layer.input), element_type(step.output)
    pack = step.kernel("htvm_packed.h", "HTVM_DEFINE_PACK_WINDOWS", x_type)
    types = (x_type, y_type, f"HTVM_{requant.form}")
    kernel = step.kernel("htvm_packed.h", "HTVM_DEFINE_PACKED", *types, more=(pack,))
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
        step.array("weights", "int8_t", dense) if dense.size else "NULL",
        step.array("rest", "uint8_t", np.concatenate([group.rest for group in groups])),
        step.scales(requant, len(weights)),
    )
    window = f"(int32_t *)(void *){step.scratch()}"
    step.call_for_each(conv.batch, kernel, {x: conv.x[0], y: conv.y[0]}, address, x, *arrays, window, y)


def _row(step: Step, conv: Convolution, weights: np.ndarray, requant: Requant) -> None:
    layer = step.layer
    x_type, w_type, y_type = element_type(layer.input), element_type(layer.weights), element_type(step.output)
    kernel = step.kernel("htvm_conv2d.h", "HTVM_DEFINE_ROW", x_type, w_type, y_type, f"HTVM_{requant.form}")
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    address = step.struct("htvm_conv2d_layer", "layer", _linear_fields(conv, requant))
    ordered = conv2d_weights(weights, groups=1, collected=False)
    arrays = step.array("weights", w_type.c, ordered), step.scales(requant, len(weights))
    step.call(kernel, address, x, *arrays, y)


def _sparse_row(step: Step, conv: Convolution, weights: np.ndarray, requant: Requant) -> None:
    layer = step.layer
    x_type, y_type = element_type(layer.input), element_type(step.output)
    kernel = step.kernel("htvm_sparse_row.h", "HTVM_DEFINE_SPARSE_ROW", x_type, y_type, f"HTVM_{requant.form}")
    rows, skip = weights.reshape(len(weights), -1), layer.skip.value
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    address = step.struct("htvm_sparse_row_layer", "layer", _row_fields(conv, requant, skip))
    arrays = (
        step.array("weights", "int8_t", sparse_weights(rows)),
        step.scales(requant.counted_from(skip, rows.sum(axis=1, dtype=np.int64)), len(rows)),
    )
    step.call(kernel, address, x, *arrays, y)


def _paired_row(step: Step, conv: Convolution, weights: np.ndarray, requant: Requant) -> None:
    layer = step.layer
    x_type, y_type = element_type(layer.input), element_type(step.output)
    skips, skip = (1, layer.skip.value) if layer.skip is not None else (0, 0)
    word_form = "HTVM_WORDS" if layer.kernel.value == "wide_row" else "HTVM_QUADS"
    types = (word_form, skips, x_type, y_type, f"HTVM_{requant.form}")
    kernel = step.kernel("htvm_paired_row.h", "HTVM_DEFINE_PAIRED_ROW", *types)
    limits, rows = np.iinfo(x_type.numpy), weights.reshape(len(weights), -1)
    blocks = row_weights.row_blocks(rows, limits.min - skip, limits.max - skip)
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    address = step.struct("htvm_paired_row_layer", "layer", _row_fields(conv, requant, skip))
    words = [block.words if word_form == "HTVM_WORDS" else block.quads for block in blocks]
    arrays = (
        step.array("words", "uint32_t", np.concatenate(words).reshape(-1)),
        step.array("runs", "uint8_t", run_lengths(blocks)),
        step.structs("excess", "htvm_excess", excess_entries(blocks), row_weights.EXCESS_BYTES),
        step.scales(requant.counted_from(skip, rows.sum(axis=1, dtype=np.int64)), len(rows)),
    )
    step.call(kernel, address, x, *arrays, y)


def _depthwise(step: Step, conv: Convolution, weights: np.ndarray, requant: Requant) -> None:
    layer = step.layer
    types = element_type(layer.input), element_type(layer.weights), element_type(step.output)
    if conv.out_height > conv.out_width:  # the kernel slides along rows: the longer, the fewer begin anew
        conv, weights = conv.transposed(), np.swapaxes(weights, 2, 3)
    if layer.kernel.value == "depthwise_3x3":
        define, arguments = "HTVM_DEFINE_DEPTHWISE3X3", (conv.strides[0], *types)
    else:
        define, arguments = "HTVM_DEFINE_DEPTHWISE", types
    kernel = step.kernel("htvm_depthwise.h", define, *arguments, f"HTVM_{requant.form}")
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    fields = {"channels multiplier": (len(weights), conv.out_channels)}
    fields |= _map_fields(conv) | {"requant": requant_fields(requant)}
    address = step.struct("htvm_depthwise_layer", "layer", fields)
    arrays = step.array("weights", types[1].c, weights.reshape(-1)), step.scales(requant, len(weights))
    step.call_for_each(conv.batch, kernel, {x: conv.x[0], y: conv.y[0]}, address, x, *arrays, y)


KERNELS: dict[str, Callable[[Step, Convolution, np.ndarray, Requant], None]] = {
    "in_place": _conv2d,
    "collected": _conv2d,
    "packed": _packed,
    "row": _row,
    "wide_row": _paired_row,
    "quad_row": _paired_row,
    "sparse_row": _sparse_row,
    "depthwise": _depthwise,
    "depthwise_3x3": _depthwise,
}
"""What writes the step of a linear layer, by the kernel that choose-kernels has named."""


def _linear_fields(conv: Convolution, requant: Requant) -> dict[str, Any]:
    return {
        "groups in_channels out_channels": (conv.groups, conv.channels, conv.out_channels),
        **_map_fields(conv),
        "requant": requant_fields(requant),
    }


def _row_fields(conv: Convolution, requant: Requant, skip: int) -> dict[str, Any]:
    return {
        "in_channels out_channels": (conv.channels, conv.out_channels),
        "y_c skip": (conv.y[1], skip),
        "requant": requant_fields(requant),
    }


def _map_fields(conv: Convolution) -> dict[str, Any]:
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


def matmul(step: Step) -> None:
    layer = step.layer
    sizes = shape(step.output)
    a_steps = values.broadcast_strides(layer.lhs, (*sizes[:-1], shape(layer.lhs)[-1]))
    b_steps = values.broadcast_strides(layer.rhs, (*sizes[:-2], *shape(layer.rhs)[-2:]))
    y_steps = strides(step.output)
    requant = Requant.of(layer) if layer.requant is not None else Requant.raw(np.zeros(1))
    types = (element_type(value) for value in (layer.lhs, layer.rhs, step.output))
    kernel = step.kernel("htvm_matmul.h", "HTVM_DEFINE_MATMUL", *types, f"HTVM_{requant.form}")
    a, b, y = step.reads(layer.lhs, "a"), step.reads(layer.rhs, "b"), step.writes(step.output)
    inner = shape(layer.lhs)[-1]
    step.macs = int(np.prod(sizes)) * inner
    fields = {
        "rows inner columns": (sizes[-2], inner, sizes[-1]),
        "a_row a_inner": a_steps[-2:],
        "b_inner b_column": b_steps[-2:],
        "y_row y_column": y_steps[-2:],
        "a_zero_point b_zero_point": layer.zero_points if layer.zero_points is not None else (0, 0),
        "requant": requant_fields(requant),
    }
    address = step.struct("htvm_matmul_layer", "layer", fields)
    batches = merge_axes(sizes[:-2], a_steps[:-2], b_steps[:-2], y_steps[:-2])
    loops = [Loop.of(size, dict(zip((a, b, y), each, strict=True))) for size, *each in batches]
    step.call_in_loops(loops, kernel, address, a, b, step.scales(requant, 1), y)
