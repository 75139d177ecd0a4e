"""One step of the generated program per layer: the kernel that computes it and the constants it needs.

A step is a C function `htvm_step_<n>`. Its parameters are the activations it reads and writes; constants are arrays
of the file. `WRITERS` has one function per operation of the accel dialect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from mlir import ir

from htvm.backend.targets.jobs import Job
from htvm.dialects import accel, packed_weights
from htvm.dialects.copies import merge_axes

from . import values
from .constants import BLOCK, Constants, conv2d_weights, excess_entries, window_order
from .convolution import Convolution, kernel_of, weights_4d
from .requant import CORRECTED, HALF_EVEN, NARROW_EACH, Requant
from .values import ElementType, element_type, shape, strides


@dataclass(frozen=True)
class Shared:
    """What the steps of one program share. kernels: the definition of each kernel function, by name."""

    constants: Constants
    data: Mapping[str, np.ndarray]
    forms: Mapping[ir.OpView, Requant]
    kernels: dict[str, str] = field(default_factory=dict)
    headers: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Loop:
    """A loop around a call: how often, and for each argument it moves the C expression of the offset at index {}."""

    size: int
    offsets: Mapping[str, str]

    @staticmethod
    def of(size: int, steps: Mapping[str, int]) -> Loop:
        return Loop(size, {name: f"{{}} * {step}" for name, step in steps.items() if step})


@dataclass
class Step:
    """A step being written.

    parameters: for each activation its C declaration, by value. body: C statements. scratch_bytes: of the arena,
    while the step runs. held: buffers in memories that the host does not address.
    """

    number: int
    layer: ir.OpView
    shared: Shared
    summary: str = ""
    macs: int = 0
    scratch_bytes: int = 0
    parameters: dict[ir.Value, str] = field(default_factory=dict)
    body: list[str] = field(default_factory=list)
    held: dict[ir.Value, None] = field(default_factory=dict)

    @property
    def output(self) -> ir.Value:
        """What the step makes; of a layer on an accelerator, what its first job does."""
        return self.layer.out if isinstance(self.layer, accel.LaunchOp) else accel.output(self.layer)

    @property
    def op(self) -> str:
        """The operation of the layer, without the dialect's name."""
        attributes = self.layer.operation.attributes
        name = attributes["accel.op"].value if "accel.op" in attributes else self.layer.operation.name
        return name.removeprefix("accel.")

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of what the layer makes."""
        attributes = self.layer.operation.attributes
        return tuple(attributes["accel.shape"]) if "accel.shape" in attributes else shape(self.output)

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

    def touches(self, value: ir.Value) -> str:
        """Return the name of a map that a copy reads or writes: a parameter."""
        if value not in self.parameters:
            attributes = value.owner.owner.opview.arg_attrs[value.arg_number] if is_argument(value) else {}
            is_input = is_argument(value) and "accel.result" not in attributes
            name = f"map_{len(self.parameters)}"
            self.parameters[value] = f"{'const ' if is_input else ''}{element_type(value).c} *{name}"
        return self.parameters[value].rsplit("*", 1)[1]

    def array_of(self, constant: str) -> str:
        """Return the name of the array of a constant of bytes, which is shared by all steps."""
        return self.shared.constants.array(constant, "int8_t", self.shared.data[constant])

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

    def kernel(self, header: str, define: str, *arguments: ElementType | str | int, more: Sequence[str] = ()) -> str:
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

    def call_in_loops(self, loops: Sequence[Loop], function: str, *arguments: str) -> None:
        """Call a kernel in nested loops, outermost first, each of which moves some of the arguments."""
        text, names = "", [f"i{number}" for number in range(len(loops))]
        moved = list(arguments)
        for index, loop in zip(names, loops, strict=True):
            text += f"for (int32_t {index} = 0; {index} < {loop.size}; {index}++) "
            for place, argument in enumerate(arguments):
                if argument in loop.offsets:
                    moved[place] += f" + {loop.offsets[argument].format(index)}"
        call = f"{function}({', '.join(moved)});"
        self.body.append(f"{text}{{\n    {call}\n}}" if text else call)

    def call_for_each(self, batch: int, function: str, steps: Mapping[str, int], *arguments: str) -> None:
        """Call a kernel for each of `batch` images; `steps` has the elements from one to the next, by argument."""
        if batch == 1:
            self.call(function, *arguments)
            return
        moved = [f"{a} + n * {steps[a]}" if a in steps else a for a in arguments]
        self.body.append(f"for (int32_t n = 0; n < {batch}; n++) {{\n    {function}({', '.join(moved)});\n}}")


def is_argument(value: ir.Value) -> bool:
    return isinstance(value.owner, ir.Block)


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
    if requant.form in (HALF_EVEN, CORRECTED):
        fields["zero_point tie_below"] = (requant.zero_point, requant.tie_below)
    return fields


def _by(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


# Linear layers


def _linear(step: Step) -> None:
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
            _copy(step, f"order_{first}", source, target, axes, kind=w_type)
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


def _matmul(step: Step) -> None:
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
        "requant": _requant_fields(requant),
    }
    address = step.struct("htvm_matmul_layer", "layer", fields)
    batches = merge_axes(sizes[:-2], a_steps[:-2], b_steps[:-2], y_steps[:-2])
    loops = [Loop.of(size, dict(zip((a, b, y), each, strict=True))) for size, *each in batches]
    step.call_in_loops(loops, kernel, address, a, b, step.scales(requant, 1), y)


def _binary(step: Step) -> tuple[dict[str, Any], list[tuple[int, ...]]]:
    """Return the shape of a layer on two operands, and the axes that are too many for the kernels."""
    sizes = shape(step.output)
    operands = (values.broadcast_strides(value, sizes) for value in (step.layer.lhs, step.layer.rhs))
    inner, outer = values.inner_and_outer(sizes, *operands, strides(step.output))
    return dict(zip(("size", "a", "b", "y"), inner, strict=True)), outer


def _loops(outer: Sequence[tuple[int, ...]], *arguments: str) -> list[Loop]:
    return [Loop.of(size, dict(zip(arguments, steps, strict=True))) for size, *steps in outer]


def _add(step: Step) -> None:
    layer = step.layer
    requant = Requant.of(layer)
    types = (element_type(value) for value in (layer.lhs, layer.rhs, step.output))
    kernel = step.kernel("htvm_elementwise.h", "HTVM_DEFINE_ADD", *types, f"HTVM_{requant.form}")
    a, b, y = step.reads(layer.lhs, "a"), step.reads(layer.rhs, "b"), step.writes(step.output)
    inner, outer = _binary(step)
    fields = {
        "shape": inner,
        "a_multiplier b_multiplier": np.broadcast_to(requant.multiplier, 2).tolist(),
        "offset": requant.offset[0],
        "requant": _requant_fields(requant) | {"pre_shift shift": (0, requant.shift[0])},
    }
    if requant.form == CORRECTED:
        (a_numerator, b_numerator), divisor, rest = requant.quotient
        fields["a_numerator b_numerator"] = a_numerator, b_numerator
        fields["divisor rest"] = divisor[0], rest[0]
    step.call_in_loops(_loops(outer, a, b, y), kernel, step.struct("htvm_add_layer", "layer", fields), a, b, y)


def _multiply(step: Step) -> None:
    layer = step.layer
    requant = Requant.of(layer)
    types = (element_type(value) for value in (layer.lhs, layer.rhs, step.output))
    kernel = step.kernel("htvm_elementwise.h", "HTVM_DEFINE_MULTIPLY", *types, f"HTVM_{requant.form}")
    a, b, y = step.reads(layer.lhs, "a"), step.reads(layer.rhs, "b"), step.writes(step.output)
    inner, outer = _binary(step)
    fields = {
        "shape": inner,
        "a_zero_point b_zero_point": layer.zero_points if layer.zero_points is not None else (0, 0),
        "requant": _requant_fields(requant),
    }
    address = step.struct("htvm_multiply_layer", "layer", fields)
    step.call_in_loops(_loops(outer, a, b, y), kernel, address, a, b, step.scales(requant, 1), y)


def _extreme(step: Step) -> None:
    layer, maximum = step.layer, int(isinstance(step.layer, accel.MaximumOp))
    kernel = step.kernel("htvm_elementwise.h", "HTVM_DEFINE_EXTREME", element_type(step.output), maximum)
    a, b, y = step.reads(layer.lhs, "a"), step.reads(layer.rhs, "b"), step.writes(step.output)
    inner, outer = _binary(step)
    address = step.struct("htvm_binary_shape", "shape", inner)
    step.call_in_loops(_loops(outer, a, b, y), kernel, address, a, b, y)


def _lookup(step: Step) -> None:
    layer = step.layer
    x_type, y_type = element_type(layer.input), element_type(step.output)
    kernel = step.kernel("htvm_elementwise.h", "HTVM_DEFINE_LOOKUP", x_type, y_type)
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    table = step.shared.data[values.global_name(layer.table)].view(y_type.numpy)
    entries = step.array("table", y_type.c, table.reshape(-1))
    each = dict(enumerate(zip(shape(step.output), strides(layer.input), strides(step.output), strict=True)))
    loops = []
    if layer.axis is not None:
        size, x_step, y_step = each.pop(layer.axis.value)
        loops.append(Loop.of(size, {x: x_step, entries: table.shape[1], y: y_step}))
    inner, outer = values.inner_and_outer(*(list(zip(*each.values(), strict=True)) or [(), (), ()]))
    address = step.struct("htvm_unary_shape", "shape", dict(zip(("size", "x", "y"), inner, strict=True)))
    step.call_in_loops(loops + _loops(outer, x, y), kernel, address, x, entries, str(layer.lowest.value), y)


# Reductions


def _pool2d(step: Step) -> None:
    layer = step.layer
    batch, channels, height, width = shape(layer.input)
    x_n, *x_steps = strides(layer.input)
    y_n, *y_steps = strides(step.output)
    pad_top, pad_left, _, _ = layer.pads
    fields = {
        "channels": channels,
        "in_height in_width": (height, width),
        "out_height out_width": shape(step.output)[2:],
        "kernel_h kernel_w": layer.kernel,
        "stride_h stride_w": layer.strides,
        "dilation_h dilation_w": layer.dilations if layer.dilations is not None else (1, 1),
        "pad_top pad_left": (pad_top, pad_left),
        "x_c x_h x_w": x_steps,
        "y_c y_h y_w": y_steps,
    }
    x_type, y_type = element_type(layer.input), element_type(step.output)
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    steps = {x: x_n, y: y_n}
    extreme = {"max": "HTVM_MAXIMUM", "min": "HTVM_MINIMUM"}.get(layer.kind.value)
    if extreme:
        kernel = step.kernel("htvm_pool2d.h", "HTVM_DEFINE_POOL2D_EXTREME", x_type, extreme)
        address = step.struct("htvm_pool2d_layer", "layer", fields)
        step.call_for_each(batch, kernel, steps, address, x, y)
        return
    requant = Requant.of(layer)
    kernel = step.kernel("htvm_pool2d.h", "HTVM_DEFINE_POOL2D_SUM", x_type, y_type, f"HTVM_{requant.form}")
    address = step.struct("htvm_pool2d_layer", "layer", fields | {"requant": _requant_fields(requant)})
    counts = np.array(list(layer.counts), np.int32)
    arrays = step.array("counts", "int32_t", counts), step.scales(requant, counts.size)
    step.call_for_each(batch, kernel, steps, address, x, *arrays, y)


def _around(step: Step, axis: int) -> tuple[dict[str, Any], list[tuple[int, ...]]]:
    """Return one axis before `axis`, itself and one behind it as kernels want them, and the axes around these."""
    layer = step.layer
    each = dict(enumerate(zip(shape(layer.input), strides(layer.input), strides(step.output), strict=True)))
    along = each.pop(axis)
    merged = merge_axes(*(list(zip(*each.values(), strict=True)) or [(), (), ()]))
    *outer, before, after = [*[(1, 0, 0)] * (2 - len(merged)), *merged]
    columns = zip(before, along, after, strict=True)
    return dict(zip(("size", "x", "y"), columns, strict=True)), outer


def _argmax(step: Step) -> None:
    layer = step.layer
    kernel = step.kernel("htvm_argmax.h", "HTVM_DEFINE_ARGMAX", element_type(layer.input), element_type(step.output))
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    inner, outer = _around(step, layer.axis.value)
    fields = inner | {"smallest last": (int(layer.smallest), int(layer.last))}
    address = step.struct("htvm_argmax_layer", "layer", fields)
    step.call_in_loops(_loops(outer, x, y), kernel, address, x, y)


NORM_BITS, SLOPE_BITS = 24, 30
"""Of the estimates of htvm_layer_norm.h: bits behind the point, and bits of the steepest slope."""


def _layer_norm(step: Step) -> None:
    layer, length = step.layer, shape(step.layer.input)[-1]
    factors, terms = (step.shared.data[values.global_name(each)].tolist() for each in (layer.scale, layer.bias))
    whole_step, half_shift = 2 * layer.half_step.value, layer.shift.value // 2
    slope_bits = SLOPE_BITS + whole_step.bit_length() - 1 - max(map(abs, factors), default=1).bit_length()
    channels = [
        (factor, term, ((term + whole_step // 2) << NORM_BITS) // whole_step, _rounded(factor, whole_step, slope_bits))
        for factor, term in zip(factors, terms, strict=True)
    ]
    *x_rows, x_step = strides(layer.input)
    *y_rows, y_step = strides(step.output)
    *outer, (rows, x_row, y_row) = merge_axes(shape(layer.input)[:-1], x_rows, y_rows) or [(1, 0, 0)]
    high, low = layer.variance_offset
    offset = (high << 32) + low
    fields = {
        "rows length": (rows, length),
        "x_row x_step y_row y_step": (x_row, x_step, y_row, y_step),
        "slope_bits half_shift": (slope_bits, half_shift),
        "half_step variance_scale": (layer.half_step.value, layer.variance_scale.value),
        "variance_offset": [f"{offset >> bits & 0xFFFFFFFF}u" for bits in (0, 32, 64)],
        "zero_point min max": (layer.zero_point.value, layer.min.value, layer.max.value),
    }
    types = element_type(layer.input), element_type(step.output)
    kernel = step.kernel("htvm_layer_norm.h", "HTVM_DEFINE_LAYER_NORM", *types)
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    address = step.struct("htvm_layer_norm_layer", "layer", fields)
    step.call_in_loops(
        _loops(outer, x, y), kernel, address, x, step.structs("channels", "htvm_norm_channel", channels, 32), y
    )


def _rounded(numerator: int, denominator: int, bits: int) -> int:
    """Return a fraction as a multiple of 2^-bits."""
    return round(Fraction(numerator, denominator) * Fraction(2) ** bits)


def _softmax(step: Step) -> None:
    layer = step.layer
    inner, outer = _around(step, layer.axis.value)
    table = step.shared.data[values.global_name(layer.table)]
    fields = inner | {
        "entries": table.size,
        "scale_multiplier scale_shift": (layer.scale_multiplier.value, layer.scale_shift.value),
        "zero_point min max": (layer.zero_point.value, layer.min.value, layer.max.value),
    }
    kernel = step.kernel("htvm_softmax.h", "HTVM_DEFINE_SOFTMAX", element_type(layer.input), element_type(step.output))
    x, y = step.reads(layer.input, "x"), step.writes(step.output)
    address = step.struct("htvm_softmax_layer", "layer", fields)
    step.call_in_loops(_loops(outer, x, y), kernel, address, x, step.array("table", "uint64_t", table), y)


# Data movement


def _copy(
    step: Step,
    name: str,
    x: str,
    y: str,
    axes: tuple[Sequence[int], Sequence[int], Sequence[int]],
    loops: Sequence[Loop] = (),
    kind: ElementType | None = None,
) -> None:
    """Copy elements of the output's type, or of `kind`, inside `loops`; axes: sizes, strides of x, strides of y."""
    kernel = step.kernel("htvm_elementwise.h", "HTVM_DEFINE_COPY", kind or element_type(step.output))
    inner, outer = values.inner_and_outer(*axes)
    address = step.struct("htvm_unary_shape", name, dict(zip(("size", "x", "y"), inner, strict=True)))
    step.call_in_loops([*loops, *_loops(outer, x, y)], kernel, address, x, y)


def _concat(step: Step) -> None:
    y, y_steps, axis = step.writes(step.output), strides(step.output), step.layer.axis.value
    start = 0
    for number, value in enumerate(step.layer.inputs):
        x = step.reads(value, f"x{number}")
        to = f"{y} + {start * y_steps[axis]}" if start else y
        _copy(step, f"part_{number}", x, to, (shape(value), strides(value), y_steps))
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
        axes = kept, x_steps, y_steps
        _copy(step, "inside", f"{x} + {first}" if first else x, f"{y} + {to}" if to else y, axes)


def _transpose(step: Step) -> None:
    x, y = step.reads(step.layer.input, "x"), step.writes(step.output)
    x_steps = [strides(step.layer.input)[axis] for axis in step.layer.permutation]
    _copy(step, "shape", x, y, (shape(step.output), x_steps, strides(step.output)))


def _take(step: Step) -> None:
    """Copy with strides where indices are evenly spaced, in groups or not; other axes are loops over offsets."""
    x, y = step.reads(step.layer.input, "x"), step.writes(step.output)
    first, axes, loops = 0, [], []
    rows = zip(shape(step.output), strides(step.layer.input), strides(step.output), accel.indices_of(step.layer))
    for axis, (size, x_step, y_step, indices) in enumerate(rows):
        spaced = [(size, 1, 1)] if indices is None else evenly_spaced(indices)
        if spaced is None:
            offsets = step.array(f"axis_{axis}", "int32_t", (indices * x_step).astype(np.int32))
            loops.append(Loop(size, {x: f"{offsets}[{{}}]", y: f"{{}} * {y_step}"}))
            continue
        first += 0 if indices is None else int(indices[0]) * x_step
        axes += [(count, step_of * x_step, apart * y_step) for count, step_of, apart in spaced]
    if first:
        step.body.append(f"const {element_type(step.output).c} *const first = {x} + {first};")
        loops = [
            Loop(loop.size, {"first" if name == x else name: text for name, text in loop.offsets.items()})
            for loop in loops
        ]
        x = "first"
    _copy(step, "shape", x, y, tuple(zip(*axes)) or ((), (), ()), loops)


def evenly_spaced(indices: np.ndarray) -> list[tuple[int, int, int]] | None:
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


def _reshape(step: Step) -> None:
    """Copy in row-major order; the emitter leaves the step out where input and output are in one place."""
    x, y = step.reads(step.layer.input, "x"), step.writes(step.output)
    count = int(np.prod(shape(step.output)))
    _copy(step, "shape", x, y, ([count], [1], [1]))


WRITERS: dict[type, Callable[[Step], None]] = {
    accel.Conv2dOp: _linear,
    accel.DenseOp: _linear,
    accel.MatMulOp: _matmul,
    accel.AddOp: _add,
    accel.MulOp: _multiply,
    accel.MaximumOp: _extreme,
    accel.MinimumOp: _extreme,
    accel.LookupOp: _lookup,
    accel.Pool2dOp: _pool2d,
    accel.ArgMaxOp: _argmax,
    accel.SoftmaxOp: _softmax,
    accel.LayerNormOp: _layer_norm,
    accel.ConcatOp: _concat,
    accel.PadOp: _pad,
    accel.TransposeOp: _transpose,
    accel.TakeOp: _take,
    accel.ReshapeOp: _reshape,
}


def accelerated_step(number: int, launch: accel.LaunchOp, shared: Shared) -> Step:
    """Return the step of a layer on an accelerator, which `launch` begins; its commands are still to be added."""
    step = Step(number, launch, shared)
    job = Job.of(launch.job)
    step.macs = launch.operation.attributes["accel.macs"].value
    step.summary = f"{step.op} -> {_by(step.shape)} on {step.engine}"
    step.summary += f", kernel {_by(job.kernel)}" if job.kernel != (1, 1) else ""
    return step


def write_step(number: int, layer: ir.OpView, shared: Shared) -> Step:
    """Return the step that computes one layer."""
    step = Step(number, layer, shared)
    WRITERS[type(layer)](step)
    read = ", ".join(
        _by(shape(value)) for value, declaration in step.parameters.items() if declaration.startswith("const")
    )
    step.summary = f"{layer.operation.name.removeprefix('accel.')} {read} -> {_by(shape(step.output))}"
    return step
