"""What a planned module says about its program: interface, arena, steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

import numpy as np
from mlir import ir
from mlir.dialects import func, scf

from htvm.backend.kernels.elements import ElementType
from htvm.backend.targets.soc import Soc
from htvm.dialects import accel

from . import convolution, steps, values
from .calls import Text
from .commands import Commands
from .constants import Constants
from .names import identifier, project_name
from .record import ChannelPlan
from .step import Shared, Step
from .syntax import ArenaAddress, Declaration, Pointer, Statement

Address: TypeAlias = Pointer | ArenaAddress
"""Where an argument of a step is: a parameter of the network's function, or a buffer in the arena."""


@dataclass(frozen=True)
class Port:
    """An input or output of the network.

    onnx_name, onnx_type: as the ONNX file has them. offset: bytes in the arena. scale, zero_point, range: what a
    stored integer means and which occur, None if the module does not say. rounding: how floats become integers.
    channels: what integers mean where that has an offset or varies along an axis; None where scale says it.
    nearest: the integers are the nearest to a number that nothing quantises.
    """

    value: ir.Value
    name: str
    onnx_name: str
    onnx_type: str
    is_result: bool
    offset: int
    scale: float | None
    zero_point: int | None
    range: tuple[int, int] | None
    rounding: str
    channels: ChannelPlan | None = None
    nearest: bool = False

    @property
    def type(self) -> ElementType:
        return values.element_type(self.value)

    @property
    def shape(self) -> tuple[int, ...]:
        return values.shape(self.value)

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def size_bytes(self) -> int:
        return self.elements * self.type.size_bytes

    @property
    def declaration(self) -> Declaration:
        """The parameter of the network's function."""
        return Declaration(self.type.c, self.name, is_const=not self.is_result)

    @property
    def pointer(self) -> Pointer:
        """What that parameter points to."""
        return Pointer(self.name)


@dataclass(frozen=True)
class ArenaMemory:
    """The bytes that activations take in a memory: planned, and what no plan for this order goes below."""

    name: str
    peak_bytes: int
    lower_bound_bytes: int


@dataclass(frozen=True)
class Order:
    """Whether no order of the layers is known to need less memory at once, and bytes that none needs less than."""

    is_optimal: bool
    lower_bound_bytes: int


@dataclass(frozen=True)
class Program:
    """A network as C: `ports` are its inputs, then its outputs; `calls` has the argument of each step's parameters.

    memories: those that activations and weights in use are in. arena_memory: the one that the host's are in.
    """

    name: str
    model: str
    ports: tuple[Port, ...]
    memories: tuple[ArenaMemory, ...]
    arena_memory: str
    steps: tuple[Step, ...]
    calls: tuple[tuple[Address, ...], ...]
    shared: Shared
    commands: Commands
    order: Order | None

    @property
    def arena(self) -> ArenaMemory:
        """What is needed of the memory that the host's activations are in."""
        found = [each for each in self.memories if each.name == self.arena_memory]
        return found[0] if found else ArenaMemory(self.arena_memory, 0, 0)

    @property
    def inputs(self) -> tuple[Port, ...]:
        return tuple(port for port in self.ports if not port.is_result)

    @property
    def outputs(self) -> tuple[Port, ...]:
        return tuple(port for port in self.ports if port.is_result)


def chosen(module: ir.Module, name: str | None) -> func.FuncOp:
    """Return the function that becomes C: the one of a name, or the only one. Raises ValueError."""
    functions = {function.name.value: function for function in accel.functions(module)}
    if not functions:
        raise ValueError("no function of the module has operations of accel")
    if name is None and len(functions) > 1:
        found = f"the module has {len(functions)} functions, {', '.join(functions)}"
        raise ValueError(f"{found}: name one with function= (--function)")
    if name is not None and name not in functions:
        raise ValueError(f"the module has no function '{name}', expected one of {', '.join(functions)}")
    return functions[name or next(iter(functions))]


def read_program(module: ir.Module, soc: Soc, name: str | None = None) -> Program:
    """Return the program of a function of a planned module; name: which, if it has several.

    Raises ValueError for a module that is not in stage planned, and where no kernel computes a layer.
    """
    function = chosen(module, name)
    model = function.name.value
    memories = _memories(module)
    ports = tuple(_ports(function))
    places: dict[ir.Value, Address] = {port.value: port.pointer for port in ports} | dict(_places(function))
    constants = list(accel.constants(module, function))
    data = {op.sym_name.value: np.array(op.initial_value) for op in constants}
    memories_of = {op.sym_name.value: values.memory_in(ir.MemRefType(op.type_.value)) for op in constants}
    far_memories = {memory.name for memory in soc.far_memories}
    far = {name: memory for name, memory in memories_of.items() if memory in far_memories}
    groups = list(_groups(function, places))
    linear = [layer for group in groups for layer in group.layers if isinstance(layer, accel.Weighted)]
    shared = Shared(Constants(_descriptor_room_bytes(module)), data, far, convolution.forms(linear))
    commands = Commands(soc)
    written = write_steps(groups, shared, commands)
    calls = tuple(
        tuple(places[values.whole(value)] + values.elements_before(value) for value in step.parameters)
        for step in written
    )
    return Program(
        project_name(model),
        model,
        ports,
        memories,
        soc.arena_memory,
        written,
        calls,
        shared,
        commands,
        _order(function),
    )


def _descriptor_room_bytes(module: ir.Module) -> int:
    """Return what descriptors of jobs may take of the memory of programs, beside code."""
    stated = accel.attribute(module, accel.DESCRIPTOR_ROOM, ir.IntegerAttr)
    return 0 if stated is None else stated.value


def _order(function: func.FuncOp) -> Order | None:
    """Return what is known of the order of the layers; None of a module that order-layers has not been through."""
    order = accel.attribute(function, accel.ORDER, accel.OptimalityAttr)
    least = accel.attribute(function, accel.ORDER_BOUND, ir.IntegerAttr)
    return Order(order.value == accel.Optimality.OPTIMAL, least.value) if order and least else None


@dataclass(frozen=True)
class Group:
    """What becomes one C function: a layer of the host, or a step. ops: layers, commands and loops, in order."""

    step: accel.StepOp | None
    ops: tuple[ir.OpView, ...]

    @property
    def layers(self) -> list[accel.Layer]:
        return [op for op in self.ops if accel.is_layer(op)]


def _groups(function: func.FuncOp, places: Mapping[ir.Value, Address]) -> Iterator[Group]:
    """Yield the steps of a function. Raises ValueError for a command that is in none."""
    for op in function.body.blocks[0]:
        if isinstance(op, accel.StepOp):
            yield Group(op, tuple(each for each in op.body.blocks[0] if not _is_nothing(each, places)))
        elif isinstance(op, accel.Command | scf.ForOp):
            raise ValueError(f"'{op.operation.name}' is in no step, expected one of 'accel.step' around it")
        elif accel.is_layer(op) and not _is_nothing(op, places):
            yield Group(None, (op,))


def write_steps(groups: Sequence[Group], shared: Shared, commands: Commands) -> tuple[Step, ...]:
    """Return a step for each group with a layer. What the others do belongs to the one before, or to the first."""
    written: list[Text] = []
    early: list[ir.OpView] = []
    for group in groups:
        kernel: list[Statement] = []
        if group.layers:
            step = steps.write_step(len(written), group.layers[0], shared, group.step)
        elif group.step is not None and group.step.engine is not None:
            step = steps.accelerated_step(len(written), group.step, shared)
        else:
            step = None
        if step is not None:
            kernel, step.body = step.body, []
            written.append(Text(step))
        if not written:
            early += group.ops
            continue
        text = written[-1]
        for op in [*early, *group.ops]:
            if accel.is_layer(op):
                text.flush()
                text.step.body += kernel
            else:
                commands.write(op, text.step)
        early = []
    for text in written:
        text.flush()
    return tuple(text.step for text in written)


def _memories(module: ir.Module) -> tuple[ArenaMemory, ...]:
    needed, bounds = (_by_memory(module, key) for key in ("accel.arena", "accel.lower_bound"))
    return tuple(ArenaMemory(name, size, bounds[name]) for name, size in needed.items())


def _by_memory(module: ir.Module, key: str) -> dict[str, int]:
    """Return the bytes of each memory that an attribute of a module has."""
    if key not in module.operation.attributes:
        raise ValueError(f"the module has no attribute '{key}': it is not in stage planned")
    return accel.bytes_by_memory(module, key)


def _ports(function: func.FuncOp) -> Iterator[Port]:
    taken = {"arena", "base"}
    results = 0
    for argument, attributes in zip(function.arguments, function.arg_attrs, strict=True):
        facts = {entry.name: entry.attr for entry in ir.DictAttr(attributes)}
        unnamed = f"arg{argument.arg_number}"
        if "accel.result" in facts:
            unnamed, results = f"result{results}", results + 1
        onnx_name = ir.StringAttr(facts["accel.name"]).value if "accel.name" in facts else unnamed
        name = identifier(onnx_name, taken)
        taken.add(name)
        own_type = values.element_type(argument).numpy
        limits = tuple(ir.DenseI64ArrayAttr(facts["accel.range"])) if "accel.range" in facts else None
        rounding = facts.get("accel.rounding")
        assert rounding is None or isinstance(rounding, accel.RoundingAttr), rounding
        yield Port(
            value=argument,
            name=name,
            onnx_name=onnx_name,
            onnx_type=ir.StringAttr(facts["accel.interface"]).value if "accel.interface" in facts else own_type,
            is_result="accel.result" in facts,
            offset=ir.IntegerAttr(facts["accel.offset"]).value,
            scale=ir.FloatAttr(facts["accel.scale"]).value if "accel.scale" in facts else None,
            zero_point=ir.IntegerAttr(facts["accel.zero_point"]).value if "accel.zero_point" in facts else None,
            range=(limits[0], limits[1]) if limits is not None else None,
            rounding=accel.Rounding.HALF_EVEN if rounding is None else rounding.value,
            channels=_channels(facts),
            nearest="accel.nearest" in facts,
        )


def _channels(facts: Mapping[str, ir.Attribute]) -> ChannelPlan | None:
    """Return the scales and offsets that a function states of a result."""
    if "accel.scales" not in facts:
        return None
    axis = ir.IntegerAttr(facts["accel.axis"]).value if "accel.axis" in facts else None
    scales, offsets = (ir.DenseF64ArrayAttr(facts[f"accel.{name}"]) for name in ("scales", "offsets"))
    return ChannelPlan(tuple(scales), tuple(offsets), axis)


def _places(function: func.FuncOp) -> Iterator[tuple[ir.Value, ArenaAddress]]:
    """Yield each buffer with its address."""
    for op in function.body.blocks[0]:
        if isinstance(op, accel.BufferOp):
            kind = values.element_type(op.memref)
            yield op.memref, ArenaAddress(kind.c, values.offset_of(op), kind.size_bytes)


def _is_nothing(layer: ir.OpView, places: Mapping[ir.Value, Address]) -> bool:
    """Say whether a layer is a reshape whose input and output are in one place."""
    if not isinstance(layer, accel.ReshapeOp) or values.global_name(layer.input) is not None:
        return False
    source, target = values.whole(layer.input), accel.output(layer)
    same_buffer = isinstance(places[source], ArenaAddress) and places[source] == places[target]
    return source == target or same_buffer
