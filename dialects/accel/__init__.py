"""The operations and attributes of the accel dialect, generated from the definitions here, and questions about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from math import inf
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from mlir import ir
from mlir.dialects import func, memref

from ._accel_ops_gen import *  # noqa: F403
from ._accel_ops_gen import ClampOp, FusedOp, Pool2dOp, StepOp, TakeOp
from ._attributes import *  # noqa: F403
from ._attributes import Mapping, Numbers, Objective, OptionsAttr, PoolKind, Rounding, RoundingAttr, TilingAttr

if TYPE_CHECKING:
    from typing_extensions import TypeIs

    from ._accel_ops_gen import Bounds, Command, Layer, Moves
else:
    from ._families import *  # noqa: F403
    from ._families import Bounds, Command, Layer, Moves

A = TypeVar("A", bound=ir.Attribute)
T = TypeVar("T")

OPTIONS_ATTRIBUTE = "accel.options"
"""A module's attribute with how it is compiled, an OptionsAttr."""

EFFORT_ATTRIBUTE = "accel.effort"
"""A module's attribute with the work that searches may do, as a multiple of what they may without it."""

PLAN_ATTRIBUTE = "accel.plan"
"""A module's attribute with what layers are pinned to: a list of PinAttr (passes/mapping/pin_layers.py)."""

KERNELS_ATTRIBUTE = "accel.kernels"
"""A module's attribute with the names of kernels from outside that may compute its layers: a list of strings."""

AGAIN = "accel.again"
"""The tiling that a plan wants for a layer where it runs once more, for the other layout of its result."""

PINNED_KERNEL = "accel.pinned_kernel"
"""Attribute of a layer before choose-kernels: the name of the kernel that a plan wants for it."""

HOST_KERNEL = "accel.host_kernel"
"""Attribute of a layer on the host that is neither conv2d nor dense: the kernel from outside that computes it."""

MEMORY = "accel.memory"
"""Attribute of a layer on an accelerator: the memory that what it makes is in, if that is not the host's."""
WEIGHTS_MEMORY = "accel.weights_memory"
"""Attribute of a layer on an accelerator: the far memory that its weights are in."""
ARENA_ROOM = "accel.arena_room"
"""Attribute of a module: the bytes that constants leave of a memory to its arena, where some are in a far one."""
DESCRIPTOR_ROOM = "accel.descriptor_room"
"""Attribute of a module: the bytes that descriptors of jobs may take of the memory of programs, beside code."""
PLACEMENT = "accel.placement"
"""Attribute of a function: whether engines and forms are proved to be the fastest together, in placement's model."""
ORDER, ORDER_BOUND = "accel.order", "accel.order_bound"
"""Attributes of a function: whether no order of its layers needs less memory, and bytes that none needs less than."""
INNER_ATTRIBUTE = "accel.inner"
"""On a layer, and on the first launch of it: what it makes is not, or not in this shape, a tensor of the ONNX file."""

CHANNELS_FIRST_ATTRIBUTE = "accel.channels_first"
"""On a layer: what it makes is a tensor of the model [N, H, W, C] with its channels first."""
UNSIGNED_ATTRIBUTE = "accel.unsigned"
"""On a layer, and on the first launch of it: what it makes is a tensor of the model with 128 added to each integer."""


EXTREMES = (PoolKind.MAX, PoolKind.MIN)
"""Pools that choose one of the elements of a window."""


def only_moves(op: ir.OpView) -> bool:
    """Say whether each number of an op's result is one of its operands' numbers."""
    return isinstance(op, Moves) or (isinstance(op, Pool2dOp) and op.kind.value in EXTREMES)


def options(module: ir.Module | ir.Operation) -> OptionsAttr:
    """Return how a module is compiled: the first choice of each where it does not say."""
    stated = attribute(module, OPTIONS_ATTRIBUTE, OptionsAttr)
    return OptionsAttr.get(context=module.operation.context) if stated is None else stated


def objective(module: ir.Module | ir.Operation) -> Objective:
    """Return what the tilings of a module are chosen for."""
    return options(module).objective


def numbers(module: ir.Module | ir.Operation) -> Numbers:
    """Return whose numbers a module computes."""
    return options(module).requant


def mapping(module: ir.Module | ir.Operation) -> Mapping:
    """Return how the layers of a module are mapped on accelerators."""
    return options(module).mapping


def budget(module: ir.Module | ir.Operation) -> ir.FloatAttr | ir.IntegerAttr | None:
    """Return what constants of the host's kernels may take: a factor of the weights, or bytes; None if it is open."""
    stated = options(module).constants
    return stated if isinstance(stated, ir.FloatAttr | ir.IntegerAttr) else None


def effort(module: ir.Module | ir.Operation) -> int:
    """Return the work that searches may do, as a multiple of what they may by default."""
    stated = attribute(module, EFFORT_ATTRIBUTE, ir.IntegerAttr)
    return 1 if stated is None else stated.value


def kernels(module: ir.Module | ir.Operation) -> list[str]:
    """Return the names of the kernels from outside that may compute layers of a module."""
    stated = attribute(module, KERNELS_ATTRIBUTE, ir.ArrayAttr)
    return [] if stated is None else [ir.StringAttr(name).value for name in stated]


def layers(module: ir.Module | ir.Operation) -> Iterator[Layer]:
    """Yield the layers of every function of a module, in order."""
    for function in functions(module):
        yield from (op for op in operations(function) if is_layer(op))


def operations(function: func.FuncOp) -> Iterator[ir.OpView]:
    """Yield the operations of a function in order; those of each step in its place."""
    for op in function.body.blocks[0]:
        if isinstance(op, StepOp):
            yield from op.body.blocks[0]
        else:
            yield op


def nested(block: ir.Block) -> Iterator[ir.OpView]:
    """Yield the operations of a block in order, each before those in its regions."""
    for op in block:
        yield op
        for region in op.operation.regions:
            for inner in region.blocks:
                yield from nested(inner)


def is_layer(op: ir.OpView) -> TypeIs[Layer]:
    """Say whether an operation computes values: all of the dialect do but those on memory."""
    return _is_layer(type(op))


@cache
def _is_layer(kind: type) -> bool:
    """Say whether operations of a class are layers: asked of every operation, over and over."""
    return issubclass(kind, Layer)


def is_command(op: ir.OpView) -> TypeIs[Command]:
    """Say whether an operation is a command of the host to another unit, or a wait for one."""
    return _is_command(type(op))


@cache
def _is_command(kind: type) -> bool:
    return issubclass(kind, Command)


def functions(module: ir.Module | ir.Operation) -> Iterator[func.FuncOp]:
    """Yield the functions of a module that are htvm's; others beside them stay as they are."""
    for op in module.operation.regions[0].blocks[0]:
        if isinstance(op, func.FuncOp) and not op.is_external and is_network(op):
            yield op


def update_type(function: func.FuncOp) -> None:
    """Make a function's type that of its arguments and of the values that it returns; needs a current location."""
    block = function.body.blocks[0]
    arguments = [argument.type for argument in block.arguments]
    returned = [value.type for value in block.operations[len(block.operations) - 1].operands]
    function.operation.attributes["function_type"] = ir.TypeAttr.get(ir.FunctionType.get(arguments, returned))


def constants(module: ir.Module | ir.Operation, function: func.FuncOp | None = None) -> Iterator[memref.GlobalOp]:
    """Yield the globals that a function of htvm's reads, or all of them do; those of others are theirs."""
    readers = functions(module) if function is None else (function,)
    read = {op.name.value for each in readers for op in each.body.blocks[0] if isinstance(op, memref.GetGlobalOp)}
    for op in module.operation.regions[0].blocks[0]:
        if isinstance(op, memref.GlobalOp) and op.sym_name.value in read:
            yield op


def is_network(function: func.FuncOp) -> bool:
    """Say whether a function is htvm's: it has an operation or an attribute of the dialect.

    A private function without operations of the dialect is one that layers call (accel.call), if it has attributes.
    """
    if any(op.operation.name.startswith("accel.") for op in function.body.blocks[0]):
        return True
    attributes = function.operation.attributes
    if is_private(function):
        return any(_within(op.operation) for op in function.body.blocks[0])
    if any(name.startswith("accel.") for name in attributes):
        return True
    lists = [ir.ArrayAttr(attributes[name]) for name in ("arg_attrs", "res_attrs") if name in attributes]
    if any(each.name.startswith("accel.") for entries in lists for entry in entries for each in ir.DictAttr(entry)):
        return True
    return any(_within(op.operation) for op in function.body.blocks[0])


def is_private(function: func.FuncOp) -> bool:
    """Say whether only the module itself may call a function."""
    attributes = function.operation.attributes
    return "sym_visibility" in attributes and ir.StringAttr(attributes["sym_visibility"]).value == "private"


def _within(op: ir.Operation) -> bool:
    """Say whether an operation of the dialect is in a region of another, where no pass can take it."""
    inner = (each.operation for region in op.regions for block in region.blocks for each in block.operations)
    return any(each.name.startswith("accel.") or _within(each) for each in inner)


def output(layer: Layer) -> ir.Value[ir.ShapedType]:
    """Return what a layer produces: its result, or the memref it writes."""
    return present(layer.result if layer.results else layer.out, "output")


def engine(layer: Layer) -> str:
    """Return the name of the engine that runs a layer, from stage 'dispatched' on."""
    return present(layer.engine, "engine").value


def present(value: T | None, name: str) -> T:
    """Return an operand, result or attribute that an operation has at this stage. Raises ValueError if it has not."""
    if value is None:
        raise ValueError(f"an operation has no '{name}', which this stage needs")
    return value


def attribute(op: ir.OpView | ir.Operation | ir.Module, name: str, kind: type[A]) -> A | None:
    """Return an attribute of an operation; None if it has none of this name. Raises ValueError for another kind."""
    attributes = op.operation.attributes
    return kind(attributes[name]) if name in attributes else None


def rounding(layer: Layer) -> Rounding:
    """Return how a layer on real numbers rounds its result."""
    stated = attribute(layer, "rounding", RoundingAttr)
    return Rounding.HALF_EVEN if stated is None else stated.value


def ends(layer: Bounds) -> tuple[float, float]:
    """Return the numbers between which a layer keeps others."""
    return (layer.min.value, layer.max.value) if isinstance(layer, ClampOp) else (0.0, inf)


def bytes_by_memory(module: ir.Module | ir.Operation, name: str) -> dict[str, int]:
    """Return the bytes that an attribute of a module, such as `accel.arena`, says of each memory; none without it."""
    stated = attribute(module, name, ir.DictAttr)
    return {} if stated is None else {each.name: ir.IntegerAttr(each.attr).value for each in stated}


def integer(number: int) -> ir.IntegerAttr:
    """Return a number as attributes have it, i64."""
    return ir.IntegerAttr.get(ir.IntegerType.get_signless(64), number)


def stated(tiling: TilingAttr) -> dict[str, int]:
    """Return the sizes and flags of a tiling by their names, without flags that are not set."""
    sizes = {name: getattr(tiling, name) for name in sorted(tiling.fields())}
    return {name: size for name, size in sizes.items() if size}


def indices_of(op: TakeOp) -> list[np.ndarray | None]:
    """Return the indices that an accel.take chooses along each axis, None where it takes the whole axis."""
    lists = [list(ir.DenseI64ArrayAttr(each)) for each in op.indices]
    return [np.array(each, np.int64) if each else None for each in lists]


def numbered(layers: Iterable[Layer]) -> dict[tuple[str, str, int], Layer]:
    """Return layers by what a plan calls them: node, operation, and which of those with both it is, from 1."""
    counts: Counter[tuple[str, str]] = Counter()
    found: dict[tuple[str, str, int], Layer] = {}
    for layer in layers:
        name, op = node(layer), op_name(layer)
        counts[name, op] += 1
        found[name, op, counts[name, op]] = layer
    return found


def producer(value: ir.Value) -> ir.OpView | None:
    """Return the operation that a value is a result of; None for a function's argument."""
    return None if isinstance(value.owner, ir.Block) else value.owner.operation.opview


def outside(value: ir.Value) -> ir.Value:
    """Return the operand of a layer that an argument of its body stands for (FusedOp); any other value as it is."""
    block = value.owner
    if isinstance(block, ir.Block) and isinstance(fused := block.owner, FusedOp):
        return fused.inputs[ir.BlockArgument(value).arg_number]
    return value


def nodes(op: ir.OpView | ir.Operation) -> list[str]:
    """Return the ONNX nodes that an operation comes from, the one that names it first: the names in its location."""
    return list(dict.fromkeys(_names(op.location))) or [op.operation.name]


def op_name(op: ir.OpView | ir.Operation) -> str:
    """Return the name of an operation, without the dialect's."""
    return op.operation.name.removeprefix("accel.")


def is_named(op: ir.OpView | ir.Operation) -> bool:
    """Say whether an operation's location has the name of a node."""
    return bool(_names(op.location))


def node(op: ir.OpView | ir.Operation) -> str:
    """Return the ONNX node that names an operation; what was fused into it is left out."""
    return nodes(op)[0]


def _names(location: ir.Location) -> list[str]:
    if location.is_a_name():
        return [location.name_str]
    if location.is_a_fused():
        return [name for part in location.locations for name in _names(part)]
    return []
