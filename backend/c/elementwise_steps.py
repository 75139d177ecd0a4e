"""Steps of element-wise layers on the host: arithmetic on two operands, and tables."""

from __future__ import annotations

import numpy as np

from htvm.backend.kernels.fields import Field
from htvm.backend.kernels.requant import CORRECTED, Requant, requant_fields
from htvm.backend.targets.engines.host import flips
from htvm.dialects import accel

from . import values
from .headers import ELEMENTWISE
from .step import Loop, Step, loops_over
from .values import element_type, shape, strides
from .writers import writes

MOST_NEAR = 16
"""Elements between neighbours that a lookup's instructions can have in them, so that fewer compute addresses."""


def _binary(
    step: Step, layer: accel.AddOp | accel.MulOp | accel.MaximumOp | accel.MinimumOp
) -> tuple[dict[str, Field], list[tuple[int, ...]]]:
    """Return the shape of a layer on two operands, and the axes that are too many for the kernels."""
    sizes = shape(step.output)
    operands = (values.broadcast_strides(value, sizes) for value in (layer.lhs, layer.rhs))
    inner, outer = values.inner_and_outer(sizes, *operands, strides(step.output))
    return dict(zip(("size", "a", "b", "y"), inner, strict=True)), outer


@writes(accel.AddOp)
def add(step: Step, layer: accel.AddOp) -> None:
    requant = Requant.of(layer)
    types = (element_type(value) for value in (layer.lhs, layer.rhs, step.output))
    kernel = step.kernel(ELEMENTWISE, "ADD", *types, requant.form)
    a, b, y = step.reads(layer.lhs, "a"), step.reads(layer.rhs, "b"), step.writes(step.output)
    inner, outer = _binary(step, layer)
    fields: dict[str, Field] = {
        "shape": inner,
        "a_multiplier b_multiplier": np.broadcast_to(requant.multiplier, 2).tolist(),
        "offset": int(requant.offset[0]),
        "requant": {**requant_fields(requant), "pre_shift shift": (0, int(requant.shift[0]))},
    }
    if requant.form == CORRECTED:
        (a_numerator, b_numerator), divisor, rest = requant.quotient
        fields["a_numerator b_numerator"] = a_numerator, b_numerator
        fields["divisor rest"] = divisor[0], rest[0]
    step.call_in_loops(loops_over(outer, a, b, y), kernel, step.struct("htvm_add_layer", "layer", fields), a, b, y)


@writes(accel.MulOp)
def multiply(step: Step, layer: accel.MulOp) -> None:
    requant = Requant.of(layer)
    types = (element_type(value) for value in (layer.lhs, layer.rhs, step.output))
    kernel = step.kernel(ELEMENTWISE, "MULTIPLY", *types, requant.form)
    a, b, y = step.reads(layer.lhs, "a"), step.reads(layer.rhs, "b"), step.writes(step.output)
    inner, outer = _binary(step, layer)
    fields: dict[str, Field] = {
        "shape": inner,
        "a_zero_point b_zero_point": tuple(layer.zero_points) if layer.zero_points is not None else (0, 0),
        "requant": requant_fields(requant),
    }
    address = step.struct("htvm_multiply_layer", "layer", fields)
    step.call_in_loops(loops_over(outer, a, b, y), kernel, address, a, b, step.scales(requant, 1), y)


@writes(accel.MaximumOp, accel.MinimumOp)
def extreme(step: Step, layer: accel.MaximumOp | accel.MinimumOp) -> None:
    maximum = int(isinstance(layer, accel.MaximumOp))
    kernel = step.kernel(ELEMENTWISE, "EXTREME", element_type(step.output), maximum)
    a, b, y = step.reads(layer.lhs, "a"), step.reads(layer.rhs, "b"), step.writes(step.output)
    inner, outer = _binary(step, layer)
    address = step.struct("htvm_binary_shape", "shape", inner)
    step.call_in_loops(loops_over(outer, a, b, y), kernel, address, a, b, y)


@writes(accel.LookupOp)
def lookup(step: Step, layer: accel.LookupOp) -> None:
    x_type, y_type = element_type(layer.input), element_type(step.output)
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    each = dict(enumerate(zip(shape(step.output), strides(layer.input), strides(step.output), strict=True)))
    varying = None if layer.axis is None else each.pop(layer.axis.value)
    inner, outer = values.inner_and_outer(*(list(zip(*each.values(), strict=True)) or [(), (), ()]))
    size, x_steps, y_steps = values.longest_last(inner)
    x_near, y_near = (int(steps[-1]) if 0 < steps[-1] <= MOST_NEAR else 0 for steps in (x_steps, y_steps))
    address = step.struct("htvm_unary_shape", "shape", {"size": size, "x": x_steps, "y": y_steps})
    if x_near == 1 and step.host_kernel is None and flips(layer):
        kernel = step.kernel(ELEMENTWISE, "FLIP", y_near)
        step.call_in_loops(loops_over(outer, x, y), kernel, address, x, y)
        return
    table = step.data(layer.table).view(y_type.numpy)
    entries = step.array("table", y_type.c, table.reshape(-1))
    loops: list[Loop] = []
    if varying is not None:
        count, x_step, y_step = varying
        loops.append(Loop.of(count, {x: x_step, entries: table.shape[1], y: y_step}))
    kernel = step.kernel(ELEMENTWISE, "LOOKUP", x_type, y_type, x_near, y_near)
    step.call_in_loops(loops + loops_over(outer, x, y), kernel, address, x, entries, layer.lowest.value, y)
