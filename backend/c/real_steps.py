"""Steps of layers on the host that round what other layers left unrounded: step functions and weighted sums."""

from __future__ import annotations

import numpy as np

from htvm.backend.kernels.elements import ELEMENT_TYPES, ElementType
from htvm.dialects import accel

from . import values
from .headers import Header
from .step import Loop, Step, loops_over
from .syntax import NULL
from .values import element_type, shape, strides
from .writers import writes

HEADER = Header("htvm_real.h", 352)
MOST_TERMS = 4
"""Inputs of htvm_weighted_sum."""


@writes(accel.ThresholdOp)
def threshold(step: Step, layer: accel.ThresholdOp) -> None:
    x_type, y_type = element_type(layer.input), element_type(step.output)
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    starts = step.shared.data[values.constant_name(layer.starts)]
    results = step.shared.data[values.constant_name(layer.values)].view(y_type.numpy)
    names = step.array("starts", "int32_t", starts.reshape(-1)), step.array("values", y_type.c, results.reshape(-1))
    each = dict(enumerate(zip(shape(step.output), strides(layer.input), strides(step.output), strict=True)))
    loops: list[Loop] = []
    if layer.axis is not None:
        size, x_step, y_step = each.pop(layer.axis.value)
        loops.append(Loop.of(size, {x: x_step, names[0]: starts.shape[-1], names[1]: results.shape[-1], y: y_step}))
    inner, outer = values.inner_and_outer(*(list(zip(*each.values(), strict=True)) or [(), (), ()]))
    address = step.struct("htvm_unary_shape", "shape", dict(zip(("size", "x", "y"), inner, strict=True)))
    kernel = step.kernel(HEADER, "THRESHOLD", x_type, y_type)
    step.call_in_loops(loops + loops_over(outer, x, y), kernel, address, x, *names, starts.shape[-1], y)


@writes(accel.WeightedSumOp)
def weighted_sum(step: Step, layer: accel.WeightedSumOp) -> None:
    sizes, inputs = shape(step.output), list(layer.inputs)
    unused: list[ElementType] = [ELEMENT_TYPES["i8"]] * (MOST_TERMS - len(inputs))
    types = [*map(element_type, inputs), *unused]
    kernel = step.kernel(HEADER, "WEIGHTED_SUM", len(inputs), int(bool(layer.even)), *types, element_type(step.output))
    names = [step.reads(value, f"x{number}") for number, value in enumerate(inputs)]
    y = step.writes(step.output)
    table = step.shared.data[values.constant_name(layer.constants)].astype(np.int64)
    rows = step.array("constants", "int64_t", table.reshape(-1))
    tensors = [values.broadcast_strides(value, sizes) for value in inputs] + [strides(step.output)]
    each = dict(enumerate(zip(sizes, *tensors, strict=True)))
    loops: list[Loop] = []
    if layer.axis is not None:
        size, *steps = each.pop(layer.axis.value)
        moved = dict(zip([*names, y], steps, strict=True))
        loops.append(Loop.of(size, {**moved, rows: table.shape[1]}))
    inner, outer = values.inner_and_outer(*(list(zip(*each.values(), strict=True)) or [()] * (2 + len(inputs))))
    size, *steps = inner
    nothing = (0,) * values.RANK
    fields = {
        "size": size,
        **{f"x{number}": each for number, each in enumerate([*steps[:-1], *[nothing] * (MOST_TERMS - len(inputs))])},
        "y": steps[-1],
        "zero_point min max": (layer.zero_point.value, layer.min.value, layer.max.value),
    }
    address = step.struct("htvm_weighted_sum_layer", "layer", fields)
    arguments = [*names, *[NULL] * (MOST_TERMS - len(inputs))]
    step.call_in_loops(loops + loops_over(outer, *names, y), kernel, address, *arguments, rows, y)
