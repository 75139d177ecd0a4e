"""Steps of linear layers on the host: conv2d and dense by the kernel that choose-kernels has named, and matmul."""

from __future__ import annotations

import numpy as np

from htvm.backend import kernels
from htvm.backend.kernels.convolution import Convolution
from htvm.backend.kernels.fields import Field
from htvm.backend.kernels.requant import Requant, requant_fields
from htvm.backend.kernels.scalar import BLOCK
from htvm.backend.kernels.spec import ConstantArray, Macro, Site, Window, linear_fields
from htvm.dialects import accel
from htvm.dialects.blocked_layout import block_of_weights
from htvm.dialects.copies import merge_axes

from . import values
from .convolution import Linear, convolution_of, kernel_of, weights_4d
from .headers import ELEMENTWISE, Header
from .movement_steps import copy
from .step import Loop, Step
from .syntax import NULL, Argument
from .values import element_type, shape, strides
from .writers import writes

MATMUL = Header("htvm_matmul.h", 128)


@writes(accel.Conv2dOp, accel.DenseOp)
def linear(step: Step, layer: Linear) -> None:
    conv = convolution_of(layer)
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
    spec = kernels.found(kernel_of(layer))
    x_type, w_type, y_type = (element_type(value) for value in (layer.input, layer.weights, step.output))
    run, skip = (each.value if each is not None else None for each in (layer.run, layer.skip))
    has_scratch = bool(step.scratch_buffers)
    call = spec.call_of(Site(conv, weights, requant, x_type, w_type, y_type, run, skip, has_scratch))
    function = step.kernel_of(spec, call, requant.form)
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    address = step.struct(call.struct, "layer", call.fields)
    arrays = (*(_written(step, each) for each in call.arrays), step.scales(call.requant, len(weights)))
    match call.window:
        case Window.NONE:
            window: tuple[Argument, ...] = ()
        case Window.NULL:
            window = (NULL,)
        case Window.BYTES:
            window = (step.scratch(),)
        case Window.WORDS:
            window = (step.scratch().cast_to("int32_t"),)
    step.call_for_each(conv.batch, function, {x: conv.x[0], y: conv.y[0]}, address, x, *arrays, *window, y)


def _computed_weights(step: Step, layer: Linear, conv: Convolution, requant: Requant) -> None:
    """Put the weights in the order of collected windows, blocks of 4 outputs as [c][r][s][4], then convolve.

    Weights that are in blocks already stay where they are.
    """
    x_type, w_type, y_type = element_type(layer.input), element_type(layer.weights), element_type(step.output)
    outputs, channels, rows, columns = (*shape(layer.weights), 1, 1)[:4]
    kernel = step.defined(kernels.found(kernel_of(layer)), Macro("CONV2D", (x_type, w_type, y_type, requant.form)))
    if block_of_weights(values.memref(layer.weights)) == BLOCK:
        x, w, y = step.reads(layer.input, "x"), step.reads(layer.weights, "w"), step.writes(step.output)
        address = step.struct("htvm_conv2d_layer", "layer", linear_fields(conv, requant))
        arrays = w, step.scales(requant, outputs), step.scratch()
        step.call_for_each(conv.batch, kernel, {x: conv.x[0], y: conv.y[0]}, address, x, *arrays, y)
        return
    k_step, *steps = strides(layer.weights)
    x, w = step.reads(layer.input, "x"), step.reads(layer.weights, "w")
    y, scratch = step.writes(step.output), step.scratch()
    ordered = scratch if w_type.size_bytes == 1 else scratch.cast_to(w_type.c)
    taps, whole = channels * rows * columns, outputs // BLOCK
    if outputs % BLOCK:
        fill = step.kernel(ELEMENTWISE, "FILL", w_type)
        step.call(fill, (whole + 1) * BLOCK * taps, 0, ordered)
    for first, count, lanes in ((0, whole, BLOCK), (whole, 1, outputs % BLOCK)):
        if count and lanes:
            axes = (
                [count, channels, rows, columns, lanes],
                [BLOCK * k_step, *steps, k_step],
                [BLOCK * taps, BLOCK * rows * columns, BLOCK * columns, BLOCK, 1],
            )
            copy(step, f"order_{first}", w + first * BLOCK * k_step, ordered + first * BLOCK * taps, axes, kind=w_type)
    address = step.struct("htvm_conv2d_layer", "layer", linear_fields(conv, requant))
    window = scratch + -(-outputs // BLOCK) * BLOCK * taps * w_type.size_bytes
    arrays = ordered, step.scales(requant, outputs), window
    step.call_for_each(conv.batch, kernel, {x: conv.x[0], y: conv.y[0]}, address, x, *arrays, y)


def _written(step: Step, data: ConstantArray) -> Argument:
    """Define a constant array of a kernel and return it; NULL if it is empty."""
    if data.struct_bytes:
        assert isinstance(data.numbers, list), "structs are rows of their fields"
        return step.structs(data.role, data.c_type, data.numbers, data.struct_bytes)
    numbers = np.asarray(data.numbers)
    return step.array(data.role, data.c_type, numbers) if numbers.size else NULL


@writes(accel.MatMulOp)
def matmul(step: Step, layer: accel.MatMulOp) -> None:
    sizes = shape(step.output)
    a_steps = values.broadcast_strides(layer.lhs, (*sizes[:-1], shape(layer.lhs)[-1]))
    b_steps = values.broadcast_strides(layer.rhs, (*sizes[:-2], *shape(layer.rhs)[-2:]))
    y_steps = strides(step.output)
    requant = Requant.of(layer) if layer.requant is not None else Requant.raw(np.zeros(1))
    types = (element_type(value) for value in (layer.lhs, layer.rhs, step.output))
    kernel = step.kernel(MATMUL, "MATMUL", *types, requant.form)
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
