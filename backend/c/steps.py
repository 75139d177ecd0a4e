"""One step of the generated program per layer: the kernel that computes it and the constants it needs.

A step is a C function `htvm_step_<n>`. Its parameters are the activations it reads and writes; constants are arrays
of the file. `WRITERS` has one function per operation of the accel dialect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mlir import ir

from htvm.dialects import accel, packed_weights

from . import values
from .constants import Constants, conv2d_weights, excess_entries, window_order
from .convolution import Convolution, kernel_of, weights_4d
from .requant import HALF_EVEN, NARROW_EACH, Requant
from .values import ElementType, element_type, shape, strides


@dataclass(frozen=True)
class Shared:
    """What the steps of one program share. kernels: the definition of each kernel function, by name."""

    constants: Constants
    data: Mapping[str, np.ndarray]
    forms: Mapping[ir.OpView, Requant]
    kernels: dict[str, str] = field(default_factory=dict)
    headers: set[str] = field(default_factory=set)


@dataclass
class Step:
    """A step being written.

    parameters: for each activation its C declaration, by value. body: C statements. scratch_bytes: of the arena,
    while the step runs.
    """

    number: int
    layer: ir.OpView
    shared: Shared
    summary: str = ""
    macs: int = 0
    scratch_bytes: int = 0
    parameters: dict[ir.Value, str] = field(default_factory=dict)
    body: list[str] = field(default_factory=list)

    @property
    def output(self) -> ir.Value:
        return accel.output(self.layer)

    @property
    def node(self) -> str:
        """The ONNX node that names the layer."""
        return accel.node(self.layer)

    @property
    def nodes(self) -> str:
        """The ONNX node or nodes that the layer comes from, as a comment says it."""
        names = [f"'{name}'" for name in accel.nodes(self.layer)]
        return f"{'nodes' if len(names) > 1 else 'node'} {', '.join(names)}"

    @property
    def engine(self) -> str:
        return self.layer.engine.value if self.layer.engine is not None else "host"

    def reads(self, value: ir.Value, name: str) -> str:
        """Return the C expression of an operand: a parameter called `name`, or a constant array."""
        constant = values.global_name(value)
        if constant is not None:
            return self.array(name, element_type(value).c, self.shared.data[constant])
        if value in self.parameters:
            return self.parameters[value].rsplit("*", 1)[1]
        self.parameters[value] = f"const {element_type(value).c} *{name}"
        return name

    def writes(self, value: ir.Value, name: str = "y") -> str:
        self.parameters[value] = f"{element_type(value).c} *{name}"
        return name

    def scratch(self) -> str:
        """Return the name of the memory that the layer's kernel needs beside its operands."""
        self.scratch_bytes = values.size_bytes(self.layer.scratch)
        return self.writes(self.layer.scratch, "window")

    def array(self, role: str, c_type: str, data: np.ndarray) -> str:
        """Return the name of a constant array."""
        return self.shared.constants.array(f"step_{self.number}_{role}", c_type, data)

    def structs(self, role: str, c_type: str, rows: Sequence[tuple[int, ...]], struct_bytes: int) -> str:
        """Return the name of a constant array of structs."""
        return self.shared.constants.structs(f"step_{self.number}_{role}", c_type, rows, struct_bytes)

    def scales(self, requant: Requant, channels: int) -> str:
        return self.shared.constants.scales(f"step_{self.number}_scales", requant, channels)

    def kernel(
        self, header: str, define: str, *arguments: ElementType | str | int, more: Sequence[str] = ()
    ) -> str:
        """Return the name of the function that the macro `define` of a kernel header makes for these arguments.

        more: arguments that follow from the others, and are not part of the name.
        """
        kind = define.removeprefix("HTVM_DEFINE_").lower()
        words = [x.short if isinstance(x, ElementType) else str(x).removeprefix("HTVM_").lower() for x in arguments]
        name = "_".join(["htvm_run", kind, *words])
        text = ", ".join(x.enumerator if isinstance(x, ElementType) else str(x) for x in (*arguments, *more))
        self.shared.headers.add(header)
        self.shared.kernels[name] = f"{define}({name}, {text})"
        return name

    def struct(self, c_type: str, name: str, fields: Mapping[str, Any]) -> str:
        """Define a constant struct in the function; return its address."""
        self.body.append(f"static const {c_type} {name} = {_initializer(fields, 1)};")
        return f"&{name}"

    def call(self, function: str, *arguments: object) -> None:
        self.body.append(f"{function}({', '.join(map(str, arguments))});")

    def call_for_each(self, batch: int, function: str, steps: Mapping[str, int], *arguments: str) -> None:
        """Call a kernel for each of `batch` images; `steps` has the elements from one to the next, by argument."""
        if batch == 1:
            self.call(function, *arguments)
            return
        moved = [f"{a} + n * {steps[a]}" if a in steps else a for a in arguments]
        self.body.append(f"for (int32_t n = 0; n < {batch}; n++) {{\n    {function}({', '.join(moved)});\n}}")


def _initializer(fields: Mapping[str, Any], depth: int) -> str:
    """Return a struct initialiser; a key may name several fields, "x_c x_h", whose values are a sequence."""
    indent = "    " * depth
    rows = []
    for key, value in fields.items():
        if isinstance(value, Mapping):
            rows.append(f".{key} = {_initializer(value, depth + 1)}")
        elif " " in key:
            rows.append(", ".join(f".{name} = {number}" for name, number in zip(key.split(), value, strict=True)))
        elif isinstance(value, (list, tuple)):
            rows.append(f".{key} = {{{', '.join(map(str, value))}}}")
        else:
            rows.append(f".{key} = {value}")
    inner = "".join(f"{indent}    {row},\n" for row in rows)
    return f"{{\n{inner}{indent}}}"


def _requant_fields(requant: Requant) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "pre_shift shift": (requant.pre_shift, requant.layer_shift),
        "min max": (requant.min, requant.max),
    }
    if requant.form == NARROW_EACH:
        fields["zero_point"] = requant.zero_point
    if requant.form == HALF_EVEN:
        fields["zero_point tie_below"] = (requant.zero_point, requant.tie_below)
    return fields


def _by(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


# Linear layers


def _linear(step: Step) -> None:
    layer = step.layer
    conv = Convolution.of(layer)
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


def _wide_row(step: Step, conv: Convolution, weights: np.ndarray, requant: Requant) -> None:
    layer = step.layer
    x_type, y_type = element_type(layer.input), element_type(step.output)
    kernel = step.kernel("htvm_wide_row.h", "HTVM_DEFINE_WIDE_ROW", x_type, y_type, f"HTVM_{requant.form}")
    limits = np.iinfo(x_type.numpy)
    blocks = packed_weights.widen_weights(weights.reshape(len(weights), -1), limits.min, limits.max)
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    fields = {
        "in_channels out_channels": (conv.channels, conv.out_channels),
        "y_c": conv.y[1],
        "requant": _requant_fields(requant),
    }
    address = step.struct("htvm_wide_row_layer", "layer", fields)
    words = np.concatenate([block.words.reshape(-1) for block in blocks])
    arrays = (
        step.array("words", "int32_t", words),
        step.structs("excess", "htvm_excess", excess_entries(blocks), packed_weights.EXCESS_BYTES),
        step.scales(requant, len(weights)),
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
    fields |= _map_fields(conv) | {"requant": _requant_fields(requant)}
    address = step.struct("htvm_depthwise_layer", "layer", fields)
    arrays = step.array("weights", types[1].c, weights.reshape(-1)), step.scales(requant, len(weights))
    step.call_for_each(conv.batch, kernel, {x: conv.x[0], y: conv.y[0]}, address, x, *arrays, y)


KERNELS: dict[str, Callable[[Step, Convolution, np.ndarray, Requant], None]] = {
    "in_place": _conv2d,
    "collected": _conv2d,
    "packed": _packed,
    "row": _row,
    "wide_row": _wide_row,
    "depthwise": _depthwise,
    "depthwise_3x3": _depthwise,
}
"""What writes the step of a linear layer, by the kernel that choose-kernels has named."""


def _linear_fields(conv: Convolution, requant: Requant) -> dict[str, Any]:
    return {
        "groups in_channels out_channels": (conv.groups, conv.channels, conv.out_channels),
        **_map_fields(conv),
        "requant": _requant_fields(requant),
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


# Element-wise layers


def _binary_shape(step: Step) -> dict[str, Any]:
    sizes = shape(step.output)
    operands = (values.broadcast_strides(value, sizes) for value in (step.layer.lhs, step.layer.rhs))
    names = ("size", "a", "b", "y")
    return dict(zip(names, values.loop_axes(sizes, *operands, strides(step.output)), strict=True))


def _add(step: Step) -> None:
    layer = step.layer
    requant = Requant.of(layer)
    types = (element_type(value) for value in (layer.lhs, layer.rhs, step.output))
    kernel = step.kernel("htvm_elementwise.h", "HTVM_DEFINE_ADD", *types, f"HTVM_{requant.form}")
    a, b, y = step.reads(layer.lhs, "a"), step.reads(layer.rhs, "b"), step.writes(step.output)
    fields = {
        "shape": _binary_shape(step),
        "a_multiplier b_multiplier": np.broadcast_to(requant.multiplier, 2).tolist(),
        "offset": requant.offset[0],
        "requant": _requant_fields(requant) | {"pre_shift shift": (0, requant.shift[0])},
    }
    step.call(kernel, step.struct("htvm_add_layer", "layer", fields), a, b, y)


def _multiply(step: Step) -> None:
    layer = step.layer
    requant = Requant.of(layer)
    types = (element_type(value) for value in (layer.lhs, layer.rhs, step.output))
    kernel = step.kernel("htvm_elementwise.h", "HTVM_DEFINE_MULTIPLY", *types, f"HTVM_{requant.form}")
    a, b, y = step.reads(layer.lhs, "a"), step.reads(layer.rhs, "b"), step.writes(step.output)
    fields = {
        "shape": _binary_shape(step),
        "a_zero_point b_zero_point": layer.zero_points if layer.zero_points is not None else (0, 0),
        "requant": _requant_fields(requant),
    }
    step.call(kernel, step.struct("htvm_multiply_layer", "layer", fields), a, b, step.scales(requant, 1), y)


def _lookup(step: Step) -> None:
    layer = step.layer
    x_type, y_type = element_type(layer.input), element_type(step.output)
    kernel = step.kernel("htvm_elementwise.h", "HTVM_DEFINE_LOOKUP", x_type, y_type)
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    sizes, x_steps, y_steps = values.loop_axes(shape(step.output), strides(layer.input), strides(step.output))
    address = step.struct("htvm_unary_shape", "shape", {"size": sizes, "x": x_steps, "y": y_steps})
    table = step.shared.data[values.global_name(layer.table)].view(y_type.numpy)
    step.call(kernel, address, x, step.array("table", y_type.c, table), layer.lowest.value, y)


# Reductions


def _pool2d(step: Step) -> None:
    layer = step.layer
    batch, channels, height, width = shape(layer.input)
    x_n, *x_steps = strides(layer.input)
    y_n, *y_steps = strides(step.output)
    pad_top, pad_left, _, _ = layer.pads
    is_maximum = layer.kind.value == "max"
    fields = {
        "channels": channels,
        "in_height in_width": (height, width),
        "out_height out_width": shape(step.output)[2:],
        "kernel_h kernel_w": layer.kernel,
        "stride_h stride_w": layer.strides,
        "pad_top pad_left": (pad_top, pad_left),
        "x_c x_h x_w": x_steps,
        "y_c y_h y_w": y_steps,
    }
    x_type, y_type = element_type(layer.input), element_type(step.output)
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    steps = {x: x_n, y: y_n}
    if is_maximum:
        kernel = step.kernel("htvm_pool2d.h", "HTVM_DEFINE_POOL2D_MAX", x_type)
        address = step.struct("htvm_pool2d_layer", "layer", fields)
        step.call_for_each(batch, kernel, steps, address, x, y)
        return
    requant = Requant.of(layer)
    kernel = step.kernel("htvm_pool2d.h", "HTVM_DEFINE_POOL2D_SUM", x_type, y_type, f"HTVM_{requant.form}")
    address = step.struct("htvm_pool2d_layer", "layer", fields | {"requant": _requant_fields(requant)})
    counts = np.array(list(layer.counts), np.int32)
    arrays = step.array("counts", "int32_t", counts), step.scales(requant, counts.size)
    step.call_for_each(batch, kernel, steps, address, x, *arrays, y)


def _softmax(step: Step) -> None:
    layer = step.layer
    axis, sizes = layer.axis.value, shape(layer.input)
    x_steps, y_steps = strides(layer.input), strides(step.output)
    before, after = (
        values.loop_axes(sizes[part], x_steps[part], y_steps[part], rank=1)
        for part in (slice(None, axis), slice(axis + 1, None))
    )
    along = [(sizes[axis],), (x_steps[axis],), (y_steps[axis],)]
    size, x_axes, y_axes = ((*b, *a, *c) for b, a, c in zip(before, along, after, strict=True))
    table = step.shared.data[values.global_name(layer.table)]
    fields = {
        "size": size,
        "x": x_axes,
        "y": y_axes,
        "entries": table.size,
        "scale_multiplier scale_shift": (layer.scale_multiplier.value, layer.scale_shift.value),
        "zero_point min max": (layer.zero_point.value, layer.min.value, layer.max.value),
    }
    kernel = step.kernel("htvm_softmax.h", "HTVM_DEFINE_SOFTMAX", element_type(layer.input), element_type(step.output))
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    address = step.struct("htvm_softmax_layer", "layer", fields)
    step.call(kernel, address, x, step.array("table", "uint64_t", table), y)


# Data movement


def _copy(step: Step, name: str, x: str, y: str, axes: Sequence[tuple[int, ...]]) -> None:
    """Copy elements of the output's type; axes: sizes, strides of x, strides of y."""
    kernel = step.kernel("htvm_elementwise.h", "HTVM_DEFINE_COPY", element_type(step.output))
    address = step.struct("htvm_unary_shape", name, dict(zip(("size", "x", "y"), axes, strict=True)))
    step.call(kernel, address, x, y)


def _concat(step: Step) -> None:
    y, y_steps, axis = step.writes(step.output), strides(step.output), step.layer.axis.value
    start = 0
    for number, value in enumerate(step.layer.inputs):
        x = step.reads(value, f"x{number}")
        to = f"{y} + {start * y_steps[axis]}" if start else y
        _copy(step, f"part_{number}", x, to, values.loop_axes(shape(value), strides(value), y_steps))
        start += shape(value)[axis]


def _pad(step: Step) -> None:
    """Fill the whole output, then copy the part of the input that is not cut off by negative padding."""
    layer = step.layer
    y_steps, x_steps = strides(step.output), strides(layer.input)
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    low, high = list(layer.low), list(layer.high)
    kept = [size + min(a, 0) + min(b, 0) for size, a, b in zip(shape(layer.input), low, high, strict=True)]
    to = sum(max(a, 0) * stride for a, stride in zip(low, y_steps, strict=True))
    first = sum(max(-a, 0) * stride for a, stride in zip(low, x_steps, strict=True))
    fill = step.kernel("htvm_elementwise.h", "HTVM_DEFINE_FILL", element_type(step.output))
    step.call(fill, int(np.prod(shape(step.output))), int(layer.value.value), y)
    if min(kept) > 0:
        axes = values.loop_axes(kept, x_steps, y_steps)
        _copy(step, "inside", f"{x} + {first}" if first else x, f"{y} + {to}" if to else y, axes)


def _transpose(step: Step) -> None:
    x, y = step.reads(step.layer.input, "x"), step.writes(step.output)
    x_steps = [strides(step.layer.input)[axis] for axis in step.layer.permutation]
    _copy(step, "shape", x, y, values.loop_axes(shape(step.output), x_steps, strides(step.output)))


def _reshape(step: Step) -> None:
    """Copy in row-major order; the emitter leaves the step out where input and output are in one place."""
    x, y = step.reads(step.layer.input, "x"), step.writes(step.output)
    count = int(np.prod(shape(step.output)))
    _copy(step, "shape", x, y, values.loop_axes([count], [1], [1]))


WRITERS: dict[type, Callable[[Step], None]] = {
    accel.Conv2dOp: _linear,
    accel.DenseOp: _linear,
    accel.AddOp: _add,
    accel.MulOp: _multiply,
    accel.LookupOp: _lookup,
    accel.Pool2dOp: _pool2d,
    accel.SoftmaxOp: _softmax,
    accel.ConcatOp: _concat,
    accel.PadOp: _pad,
    accel.TransposeOp: _transpose,
    accel.ReshapeOp: _reshape,
}


def write_step(number: int, layer: ir.OpView, shared: Shared) -> Step:
    """Return the step that computes one layer."""
    step = Step(number, layer, shared)
    WRITERS[type(layer)](step)
    read = ", ".join(
        _by(shape(value)) for value, declaration in step.parameters.items() if declaration.startswith("const")
    )
    step.summary = f"{layer.operation.name.removeprefix('accel.')} {read} -> {_by(shape(step.output))}"
    return step
