"""A step of the generated program while it is written: a C function `htvm_step_<n>` for each layer.

Its parameters are the activations it reads and writes; constants are arrays of the file. What computes a layer is
written by linear_steps.py, elementwise_steps.py, reduction_steps.py and movement_steps.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlir import ir
from mlir.dialects import func

from htvm.backend import kernels
from htvm.backend.kernels.elements import Array, ElementType
from htvm.backend.kernels.fields import Fields
from htvm.backend.kernels.requant import Requant
from htvm.backend.kernels.spec import KernelCall, KernelSpec, Macro
from htvm.backend.targets.soc import HOST, Driven, Launched, Launcher
from htvm.dialects import accel

from . import headers, values
from .constants import Constants, far_section
from .convolution import Linear
from .headers import DRIVER, STEPS_STACK_BYTES, Header
from .syntax import (
    AddressOf,
    Argument,
    Call,
    Declaration,
    Defined,
    KernelFunction,
    KernelInPlace,
    KernelWrapper,
    Loops,
    Move,
    Pointer,
    Statement,
    Stride,
    StructConstant,
)
from .unit_calls import Call as UnitCall
from .values import element_type, shape


@dataclass(frozen=True)
class Shared:
    """What the steps of one program share.

    data, far: the numbers of each constant of the module, and the far memory of those that are in one. kernels: the
    kernel functions, by name. used: the descriptions of those of linear layers. launchers: what starts
    jobs of accelerators with registers of their own, by engine. functions: others, as C.
    kernel_stack_bytes: the most that a kernel takes of the stack, by header.
    """

    constants: Constants
    data: Mapping[str, Array]
    far: Mapping[str, str]
    forms: Mapping[Linear, Requant]
    kernels: dict[str, Defined] = field(default_factory=dict[str, "Defined"])
    used: dict[str, KernelSpec] = field(default_factory=dict[str, KernelSpec])
    launchers: dict[str, Launcher] = field(default_factory=dict[str, Launcher])
    headers: set[str] = field(default_factory=set[str])
    functions: dict[str, str] = field(default_factory=dict[str, str])
    kernel_stack_bytes: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def foreign(self) -> list[KernelSpec]:
        """The kernels from outside that are called."""
        return [spec for spec in self.used.values() if spec.origin]

    @property
    def source_flags(self) -> dict[str, tuple[str, ...]]:
        """Options of the compiler for sources of kernels from outside, by file."""
        return {name: spec.flags for spec in self.foreign for name in spec.sources if spec.flags}

    @property
    def stack_bytes(self) -> int:
        """The most stack that a run of the network takes."""
        return STEPS_STACK_BYTES + max(self.kernel_stack_bytes.values(), default=0)

    def add(self, header: Header) -> None:
        """Include a header whose kernels are called."""
        self.headers.add(header.name)
        known = self.kernel_stack_bytes.get(header.name, 0)
        self.kernel_stack_bytes[header.name] = max(known, header.stack_bytes)


@dataclass(frozen=True)
class Loop:
    """A loop around a call: how often, and how each argument that it moves follows its index."""

    size: int
    moves: Mapping[Pointer, Move]

    @staticmethod
    def of(size: int, steps: Mapping[Pointer, int]) -> Loop:
        return Loop(size, {pointer: Stride(step) for pointer, step in steps.items() if step})


@dataclass
class Step:
    """A step being written.

    layer: that of the host, or the operation that has the commands of one on an accelerator. within: the operation
    that the step is, if it is not a layer alone. parameters: for each activation its declaration, by value. body:
    statements. calls: what follows them, given to other units. scratch_bytes: of the arena, while the step runs. held:
    buffers in memories that the host does not address. packed: the constants that have the weights of its jobs.
    kernel_spec: the kernel of a linear layer, or the driver of its accelerator.
    """

    number: int
    layer: accel.Layer | accel.StepOp
    shared: Shared
    within: accel.StepOp | None = None
    summary: str = ""
    macs: int = 0
    scratch_bytes: int = 0
    parameters: dict[ir.Value, Declaration] = field(default_factory=dict[ir.Value, Declaration])
    body: list[Statement] = field(default_factory=list[Statement])
    calls: list[UnitCall] = field(default_factory=list[UnitCall])
    held: dict[ir.Value, None] = field(default_factory=dict[ir.Value, None])
    packed: set[str] = field(default_factory=set[str])
    kernel_spec: KernelSpec | None = None

    @property
    def output(self) -> ir.Value:
        """What the step makes; of a layer on an accelerator, what its first job does."""
        return first_launch(self.layer).out if isinstance(self.layer, accel.StepOp) else accel.output(self.layer)

    @property
    def op(self) -> str:
        """The operation of the layer, without the dialect's name."""
        named = accel.attribute(self.layer, "accel.op", ir.StringAttr)
        return (named.value if named else self.layer.operation.name).removeprefix("accel.")

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of what the layer makes."""
        whole = accel.attribute(self.layer, "accel.shape", ir.DenseI64ArrayAttr)
        return tuple(whole) if whole is not None else shape(self.output)

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
        skip = accel.attribute(self.layer, "skip", ir.IntegerAttr)
        return skip.value if skip is not None else None

    @property
    def foreign_kernel(self) -> str | None:
        """The kernel or driver from outside that computes the layer; None if htvm's own does, or an accelerator."""
        return self.kernel_spec.name if self.kernel_spec is not None and self.kernel_spec.origin else None

    @property
    def scratch_buffers(self) -> list[ir.Value]:
        """The memory that the layer uses beside what it reads and makes: one buffer or none."""
        scratch = self.layer.scratch if isinstance(self.layer, accel.Weighted | accel.CallOp) else None
        return [] if scratch is None else [scratch]

    @property
    def engine(self) -> str:
        engine = accel.attribute(self.layer, "engine", ir.StringAttr)
        return engine.value if engine is not None else HOST

    def reads(self, value: ir.Value, name: str) -> Pointer:
        """Return where an operand is: a parameter called `name`, or a constant array."""
        constant = values.global_name(value)
        if constant is not None:
            return self.array(name, element_type(value).c, self.shared.data[constant])
        if value not in self.parameters:
            self.parameters[value] = Declaration(element_type(value).c, name, is_const=True)
        return Pointer(self.parameters[value].name)

    def writes(self, value: ir.Value, name: str = "y") -> Pointer:
        self.parameters[value] = Declaration(element_type(value).c, name, is_const=False)
        return Pointer(name)

    def touches(self, value: ir.Value) -> Pointer:
        """Return where a map is that a copy reads or writes: a parameter."""
        if value not in self.parameters:
            is_input = isinstance(value.owner, ir.Block) and not is_result(ir.BlockArgument(value))
            self.parameters[value] = Declaration(element_type(value).c, f"map_{len(self.parameters)}", is_input)
        return Pointer(self.parameters[value].name)

    def data(self, value: ir.Value) -> Array:
        """Return the numbers of a constant. Raises ValueError for an activation."""
        name = values.global_name(value)
        if name is None:
            raise ValueError(f"node '{self.node}' reads an activation where its kernel takes a constant")
        return self.shared.data[name]

    def array_of(self, constant: str) -> Pointer:
        """Return the array of a constant of bytes, which is shared by all steps."""
        shared = self.shared
        far = shared.far.get(constant)
        section = None if far is None else far_section(far)
        return Pointer(shared.constants.array(constant, "int8_t", shared.data[constant], section))

    def scratch(self) -> Pointer:
        """Return the memory that the layer's kernel needs beside its operands."""
        if not self.scratch_buffers:
            raise ValueError(f"node '{self.node}' has no scratch memory, expected choose-kernels to have asked for it")
        (scratch,) = self.scratch_buffers
        self.scratch_bytes = values.size_bytes(scratch)
        return self.writes(scratch, "window")

    def array(self, role: str, c_type: str, data: Array) -> Pointer:
        """Return a constant array."""
        return Pointer(self.shared.constants.array(f"step_{self.number}_{role}", c_type, data))

    def descriptor(self, role: str, words: Array) -> Pointer:
        """Return the descriptor of a job."""
        return Pointer(self.shared.constants.descriptor(f"step_{self.number}_{role}", words))

    def structs(self, role: str, c_type: str, rows: Sequence[tuple[int, ...]], struct_bytes: int) -> Pointer:
        """Return a constant array of structs."""
        return Pointer(self.shared.constants.structs(f"step_{self.number}_{role}", c_type, rows, struct_bytes))

    def scales(self, requant: Requant, channels: int) -> Pointer:
        return Pointer(self.shared.constants.scales(f"step_{self.number}_scales", requant, channels))

    def kernel(self, header: Header, kind: str, *arguments: ElementType | str | int, more: Sequence[str] = ()) -> str:
        """Return the name of the function that the macro HTVM_DEFINE_<kind> of a kernel header makes, or of the one
        from outside that takes its place.

        arguments: of the macro; a string X is the enumerator HTVM_X. more: functions that follow from the others, and
        are not part of the name.
        """
        if self.host_kernel is not None:
            return self.in_place_of(self.host_kernel, header, kind, arguments)
        return self.own_kernel(header, kind, *arguments, more=more)

    @property
    def host_kernel(self) -> KernelSpec | None:
        """The kernel from outside that computes a layer which is neither conv2d nor dense; None if htvm's own does."""
        named = accel.attribute(self.layer, accel.HOST_KERNEL, ir.StringAttr)
        return None if named is None else kernels.found(named.value)

    def in_place_of(
        self, spec: KernelSpec, header: Header, kind: str, arguments: Sequence[ElementType | str | int]
    ) -> str:
        """Return the name of the function of a kernel from outside in the place of htvm's own."""
        constants = tuple(_macro_argument(each) for each in arguments if not isinstance(each, ElementType))
        name = "_".join(["htvm_run", spec.name, kind, *(each.removeprefix("HTVM_") for each in constants)]).lower()
        self.shared.used[spec.name] = self.kernel_spec = spec
        self.shared.headers.add(header.name)
        self.shared.add(Header(spec.header, spec.stack_bytes))
        parameters = headers.parameters(header.name, kind)
        self.shared.kernels[name] = KernelInPlace(name, spec.function, parameters, constants)
        return name

    def own_kernel(
        self, header: Header, kind: str, *arguments: ElementType | str | int, more: Sequence[str] = ()
    ) -> str:
        """Return the name of the function that a macro of htvm's makes."""
        words = [x.short if isinstance(x, ElementType) else str(x).lower() for x in arguments]
        name = "_".join(["htvm_run", kind.lower(), *words])
        self.shared.add(header)
        self.shared.kernels[name] = KernelFunction(kind, name, (*map(_macro_argument, arguments), *more))
        return name

    def kernel_of(self, spec: KernelSpec, call: KernelCall, output: str) -> str:
        """Return the name of the function that computes a layer by a kernel's call. output: the requantisation form."""
        self.shared.used[spec.name] = self.kernel_spec = spec
        if call.macro is None:
            types = accel.present(call.types, "types")
            name = "_".join(["htvm_run", spec.name, *(each.short for each in types), output.lower()])
            self.shared.add(Header(spec.header, spec.stack_bytes))
            self.shared.kernels[name] = KernelWrapper(name, spec.function, (types[0].c, types[1].c, types[2].c), output)
            return name
        helpers = [self.defined(spec, helper) for helper in call.helpers]
        return self.defined(spec, call.macro, helpers)

    def drives(self, engine: Driven) -> str:
        """Return the name of the function that calls the driver of an accelerator for a job."""
        spec = engine.driver
        if self.kernel_spec is None:
            self.summary += f", driver {spec.name} of {Path(spec.origin).name}"
        self.shared.used[spec.name] = self.kernel_spec = spec
        self.shared.add(Header(spec.header, spec.stack_bytes))
        self.shared.add(DRIVER)
        self.shared.kernels[engine.function] = KernelFunction("DRIVER", engine.function, engine.macro_arguments)
        return engine.function

    def starts(self, engine: Launched) -> str:
        """Return the name of the function that starts a job of an accelerator with registers of its own."""
        self.shared.launchers[engine.name] = engine.launcher
        self.shared.headers.add(engine.launcher.header)
        return engine.launcher.function

    def defined(self, spec: KernelSpec, macro: Macro, more: Sequence[str] = ()) -> str:
        """Return the name of the function that a macro of a kernel's header makes."""
        return self.own_kernel(Header(spec.header, spec.stack_bytes), macro.kind, *macro.arguments, more=more)

    def struct(self, c_type: str, name: str, fields: Fields) -> AddressOf:
        """Define a constant struct in the function; return its address."""
        self.body.append(StructConstant(c_type, name, fields))
        return AddressOf(name)

    def call(self, function: str, *arguments: Argument) -> None:
        self.body.append(Call(function, arguments))

    def call_in_loops(self, loops: Sequence[Loop], function: str, *arguments: Argument) -> None:
        """Call a kernel in nested loops, outermost first, each of which moves some of the arguments."""
        moved = list(arguments)
        for number, loop in enumerate(loops):
            for place, argument in enumerate(arguments):
                pointer = moved[place]
                if isinstance(argument, Pointer) and isinstance(pointer, Pointer) and argument in loop.moves:
                    moved[place] = pointer.moved(loop.moves[argument], f"i{number}")
        indices = tuple((f"i{number}", loop.size) for number, loop in enumerate(loops))
        self.body.append(Loops(indices, Call(function, tuple(moved))))

    def call_for_each(self, batch: int, function: str, steps: Mapping[Pointer, int], *arguments: Argument) -> None:
        """Call a kernel for each of `batch` images; `steps` has the elements from one to the next, by argument."""
        if batch == 1:
            self.call(function, *arguments)
            return
        moved = (
            argument.moved(Stride(steps[argument]), "n")
            if isinstance(argument, Pointer) and argument in steps
            else argument
            for argument in arguments
        )
        self.body.append(Loops((("n", batch),), Call(function, tuple(moved))))


def _macro_argument(argument: ElementType | str | int) -> str:
    """Return an argument of a macro as C has it."""
    if isinstance(argument, ElementType):
        return argument.enumerator
    return f"HTVM_{argument}" if isinstance(argument, str) else str(argument)


def first_launch(step: accel.StepOp) -> accel.LaunchOp:
    """Return the first job of a step. Raises ValueError if it has none."""
    for op in accel.nested(step.body.blocks[0]):
        if isinstance(op, accel.LaunchOp):
            return op
    raise ValueError(f"step '{accel.node(step)}' of engine '{step.engine}' launches no job")


def is_argument(value: ir.Value) -> bool:
    return isinstance(value.owner, ir.Block)


def is_result(argument: ir.BlockArgument) -> bool:
    """Say whether an argument of the network's function is an output of the network."""
    function = argument.owner.owner
    return isinstance(function, func.FuncOp) and "accel.result" in ir.DictAttr(function.arg_attrs[argument.arg_number])


def dimensions(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


def loops_over(outer: Sequence[tuple[int, ...]], *arguments: Pointer) -> list[Loop]:
    return [Loop.of(size, dict(zip(arguments, steps, strict=True))) for size, *steps in outer]
