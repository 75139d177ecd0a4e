"""A step of the generated program while it is written: a C function `htvm_step_<n>` for each layer.

Its parameters are the activations it reads and writes; constants are arrays of the file. What computes a layer is
written by linear_steps.py, elementwise_steps.py, reduction_steps.py and movement_steps.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mlir import ir

from htvm.dialects import accel

from . import values
from .constants import Constants
from .loops import Single
from .requant import CORRECTED, HALF_EVEN, NARROW_EACH, Requant
from .values import ElementType, element_type, shape


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

    parameters: for each activation its C declaration, by value. body: C statements. calls: what follows them, given
    to other units. scratch_bytes: of the arena, while the step runs. held: buffers in memories that the host does not
    address. packed: the constants that have the weights of its jobs.
    """

    number: int
    layer: ir.OpView
    shared: Shared
    summary: str = ""
    macs: int = 0
    scratch_bytes: int = 0
    parameters: dict[ir.Value, str] = field(default_factory=dict)
    body: list[str] = field(default_factory=list)
    calls: list[Single] = field(default_factory=list)
    held: dict[ir.Value, None] = field(default_factory=dict)
    packed: set[str] = field(default_factory=set)

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
    def skips(self) -> int | None:
        """The input element that the kernel does not multiply, so that its time depends on the data; None if none."""
        skip = getattr(self.layer, "skip", None)
        return skip.value if skip is not None else None

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


def requant_fields(requant: Requant) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "pre_shift shift": (requant.pre_shift, requant.layer_shift),
        "min max": (requant.min, requant.max),
    }
    if requant.form == NARROW_EACH:
        fields["zero_point"] = requant.zero_point
    if requant.form in (HALF_EVEN, CORRECTED):
        fields["zero_point tie_below"] = (requant.zero_point, requant.tie_below)
    return fields


def dimensions(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


def loops_over(outer: Sequence[tuple[int, ...]], *arguments: str) -> list[Loop]:
    return [Loop.of(size, dict(zip(arguments, steps, strict=True))) for size, *steps in outer]
