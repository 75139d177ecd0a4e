"""verify-stage: check that a module keeps every promise of its stage.

    verify-stage{stage=planned}

Stage    any, given by the option
Reads    everything that the stage promises, and for 'planned' the memory, layer by layer
Writes   nothing
Needs    nothing
Fails    on every broken promise, with the value found and the value wanted

    imported     values are tensors of at least one element, quantised or real (f32); arguments are quantised
    integer      values are i8, ui8, i16, ui16 or i32; no layer on real numbers is left; linear layers without
                 requant give their accumulators, i32
    dispatched   and every layer has an engine, linear ones of the host a kernel; layouts are permutations; what must be
                 row-major is
    scheduled    and every function says how good its order is
    tiled        all values are memrefs in a named memory, which layers write; nothing else has changed
    planned      and buffers and arguments have offsets, aligned and inside the arena; nobody reads what
                 another layer has overwritten; the arena fits its memory

With a target, engines are the target's, layers of its accelerators have tilings, and then commands, and copies go the
way of their transfer engine.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from mlir import ir
from mlir.dialects import func, quant
from mlir.passmanager import ExternalPass

import htvm.backend.kernels as backend_kernels
from htvm.backend.kernels import KernelSpec
from htvm.backend.targets.soc import HOST, Route, Soc
from htvm.dialects import accel
from htvm.dialects.execution import Outline

from ..analysis import activations, layout, occupancy
from ..analysis.occupancy import Conflict, Region
from ..analysis.tiles import NAME as TILING

Problem = tuple[ir.OpView, str]
"""Where a promise is broken, and how."""

Check = Callable[[func.FuncOp], Iterator[Problem]]


INTEGER_TYPES = ("i8", "ui8", "i16", "ui16", "i32")
ACCUMULATOR_TYPE = "i32"
STORAGE_TYPES = ("i8", "i16", "i32")
TENSOR = "a tensor of at least one element"


@dataclass(frozen=True)
class VerifyStage:
    """Emit an error for each promise of the stage that does not hold."""

    name: ClassVar[str] = "verify-stage"
    stages: ClassVar[tuple[str, ...]] = ()

    stage: str
    target: Soc | None = None

    def __post_init__(self) -> None:
        if self.stage not in CHECKS:
            raise ValueError(f"unknown stage '{self.stage}'; stages are {', '.join(CHECKS)}")

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        with module.location:
            functions = list(accel.functions(module))
            checks: list[Check] = [
                *CHECKS[self.stage],
                partial(of_target, stage=self.stage, target=self.target),
                *([partial(copies, target=self.target)] if self.stage in ("tiled", "planned") else []),
            ]
            for check in checks:
                problems = [problem for function in functions for problem in check(function)]
                for op, message in problems:
                    op.location.emit_error(f"stage '{self.stage}': {message}")
                    this_pass.signal_pass_failure()
                if problems:
                    return  # later checks take for granted what earlier ones have found


def only_operations(*known: str) -> Check:
    """Return a check that functions hold layers and the operations in `known`, nothing else."""

    def check(function: func.FuncOp) -> Iterator[Problem]:
        for op in function.body.blocks[0]:
            if not accel.is_layer(op) and op.operation.name not in known:
                yield op, f"found {name(op)}, expected layers and {', '.join(known)}"

    return check


def steps(function: func.FuncOp) -> Iterator[Problem]:
    """Check what steps hold, and that commands are in steps."""
    for op in function.body.blocks[0]:
        if accel.is_command(op):
            yield op, f"found {name(op)} in no step, expected it in an 'accel.step'"
        elif isinstance(op, accel.StepOp):
            for inner in accel.nested(op.body.blocks[0]):
                is_work = accel.is_layer(inner) or accel.is_command(inner)
                if not is_work and inner.operation.name not in IN_STEPS:
                    expected = ", ".join(IN_STEPS)
                    yield inner, f"found {name(inner)} in a step, expected layers, commands and {expected}"
            if len([inner for inner in op.body.blocks[0] if accel.is_layer(inner)]) > 1:
                yield op, "a step has several layers of the host, expected one at most"


def tensors(function: func.FuncOp) -> Iterator[Problem]:
    for value in function.arguments:
        if not has_elements(value.type):
            yield function, f"{argument(value, function)} is a '{value.type}', expected {TENSOR}"
    for op in function.body.blocks[0]:
        for value in op.operation.results:
            if not has_elements(value.type):
                yield op, f"{name(op)} has a value of '{value.type}', expected {TENSOR}"


def quantised_or_real(function: func.FuncOp) -> Iterator[Problem]:
    for value in function.arguments:
        element = ir.ShapedType(value.type).element_type
        if not isinstance(element, quant.QuantizedType):
            yield function, f"{argument(value, function)} has elements {element}, expected a quantised type"
    for layer in activations.layers(function):
        # A table that is looked up is of integers.
        of_integers = [layer.table] if isinstance(layer, accel.LookupOp) else []
        for value in (value for value in values(layer) if value not in of_integers):
            element = ir.ShapedType(value.type).element_type
            if not isinstance(element, (quant.QuantizedType, ir.F32Type)):
                yield layer, f"{name(layer)} has elements {element}, expected a quantised type or f32"
            elif isinstance(element, quant.QuantizedType) and str(element.storage_type) not in STORAGE_TYPES:
                wanted = ", ".join(STORAGE_TYPES)
                yield layer, f"{name(layer)} has elements stored as {element.storage_type}, expected {wanted}"


def integers(function: func.FuncOp) -> Iterator[Problem]:
    for layer in activations.layers(function):
        if isinstance(layer, accel.RealOnly):
            yield layer, f"{name(layer)} is left, expected integer layers only"
        # The 64-bit constants of these are seen by no other layer.
        read = values(layer)
        if isinstance(layer, accel.Normalising):
            read = read[:1]
        elif isinstance(layer, accel.WeightedSumOp):
            read = [value for value in read if value != layer.constants]
        for value in read:
            element = str(ir.ShapedType(value.type).element_type)
            if element not in INTEGER_TYPES:
                yield layer, f"{name(layer)} has elements {element}, expected {', '.join(INTEGER_TYPES)}"


def accumulators(function: func.FuncOp) -> Iterator[Problem]:
    for layer in activations.layers(function):
        if isinstance(layer, accel.Conv2dOp | accel.DenseOp | accel.MatMulOp) and layer.requant is None:
            element = str(ir.ShapedType(accel.output(layer).type).element_type)
            if element != ACCUMULATOR_TYPE:
                yield layer, f"{name(layer)} without requant has a result of {element}, expected {ACCUMULATOR_TYPE}"


def engines(function: func.FuncOp) -> Iterator[Problem]:
    for layer in activations.layers(function):
        if layer.engine is None:
            yield layer, f"{name(layer)} has no engine, expected dispatch-engines to have named one"


def kernels(function: func.FuncOp) -> Iterator[Problem]:
    for layer in activations.layers(function):
        is_linear = isinstance(layer, accel.Conv2dOp | accel.DenseOp)
        if not is_linear or accel.engine(layer) != HOST:
            continue
        if layer.kernel is None:
            yield layer, f"{name(layer)} on the host has no kernel, expected choose-kernels to have named one"
        elif layer.kernel.value not in backend_kernels.known():
            yield layer, f"{name(layer)}: {backend_kernels.unknown(layer.kernel.value)}"
        else:
            yield from plan_of(layer, backend_kernels.found(layer.kernel.value))


def plan_of(layer: accel.Conv2dOp | accel.DenseOp, kernel: KernelSpec) -> Iterator[Problem]:
    """Check that a layer has the attributes that its kernel wants, and no others."""
    for attribute, wanted in (("run", kernel.run), ("skip", kernel.skip)):
        is_there = attribute in layer.operation.attributes
        if wanted is not None and wanted != is_there:
            said = f"has no '{attribute}', which it wants" if wanted else f"has '{attribute}', which it does not take"
            yield layer, f"{name(layer)} with kernel '{kernel.name}' {said}"


def of_target(function: func.FuncOp, stage: str, target: Soc | None) -> Iterator[Problem]:
    """Check what layers need to run on the engines of a target; nothing without one, or before they have engines."""
    if target is None or stage in ("imported", "integer"):
        return
    known = [engine.name for engine in target.engines]
    accelerators = [engine.name for engine in target.accelerators]
    for layer in activations.layers(function):
        if isinstance(layer, accel.TransferOp):
            continue
        engine = accel.engine(layer)
        if engine not in known:
            yield layer, f"{name(layer)} is on engine '{engine}', expected one of '{target.name}': {', '.join(known)}"
        elif engine in accelerators and stage == "scheduled" and TILING not in layer.operation.attributes:
            yield layer, f"{name(layer)} on '{engine}' has no {TILING}, expected choose-tilings to have written one"
        elif engine in accelerators and stage in ("tiled", "planned"):
            yield layer, f"{name(layer)} on '{engine}' is left, expected tile-layers to have made commands of it"


def copies(function: func.FuncOp, target: Soc | None) -> Iterator[Problem]:
    """Check that a target has a route for each copy, and the engine that it names goes there; nothing without one."""
    if target is None:
        return
    for op in (action.op for action in Outline.of(function).actions):
        if not isinstance(op, accel.CopyOp):
            continue
        route = Route(layout.memory_of(op.source.type), layout.memory_of(op.target.type))
        if route not in target.routes:
            known = ", ".join(each.name for each in target.routes) or "none"
            yield (
                op,
                f"a copy goes from '{route.source}' to '{route.target}', expected a route of '{target.name}': {known}",
            )
        elif op.engine is not None and op.engine.value != target.dma(route).name:
            wanted = f"expected '{target.dma(route).name}', which goes there"
            yield op, f"a copy from '{route.source}' to '{route.target}' has engine '{op.engine.value}', {wanted}"


def layouts(function: func.FuncOp) -> Iterator[Problem]:
    for op in function.body.blocks[0]:
        for value in values(op):
            found = f"{name(op)} has a value of '{value.type}'"
            if not layout.is_permutation(value.type):
                yield op, f"{found}, expected a permutation of its axes"
            elif isinstance(op, (accel.ReshapeOp, accel.CallOp, func.ReturnOp)) and not layout.is_row_major(value.type):
                yield op, f"{found}, expected it to be row-major"


def order(function: func.FuncOp) -> Iterator[Problem]:
    found = function.attributes["accel.order"] if "accel.order" in function.attributes else "missing"
    if not isinstance(found, accel.OptimalityAttr):
        wanted = "#accel.optimality<optimal> or <bounded>"
        yield function, f"accel.order of '{function.name.value}' is {found}, expected {wanted}"


def memrefs(function: func.FuncOp) -> Iterator[Problem]:
    for value in function.arguments:
        if not is_placed(value.type):
            yield function, f"{argument(value, function)} is a '{value.type}', expected a memref in a named memory"
    for op in accel.nested(function.body.blocks[0]):
        for value in values(op):
            if not is_placed(value.type) and not is_token(value) and not isinstance(value.type, ir.IndexType):
                yield op, f"{name(op)} has a value of '{value.type}', expected a memref in a named memory"


def offsets(function: func.FuncOp) -> Iterator[Problem]:
    regions = occupancy.regions(function)
    arenas = numbers(function, "accel.arena")
    owners = [(value, function) for value in function.arguments]
    owners += [(op.memref, op) for op in function.body.blocks[0] if isinstance(op, accel.BufferOp)]
    for value, op in owners:
        if value not in regions:
            yield op, f"a value of '{value.type}' has no offset, expected plan-memory to have given one"
            continue
        region = regions[value]
        arena = arenas.get(region.memory, 0)
        if region.begin % layout.ALIGNMENT_BYTES:
            yield op, f"{place(region)} begins at no multiple of {layout.ALIGNMENT_BYTES}"
        if region.end > arena:
            yield op, f"{place(region)} ends beyond the arena, which has {arena:,} bytes"


def undisturbed(function: func.FuncOp) -> Iterator[Problem]:
    for conflict in occupancy.conflicts(function):
        yield conflict.layer or function, disturbed(conflict)


def fits(function: func.FuncOp) -> Iterator[Problem]:
    bounds, capacities = numbers(function, "accel.lower_bound"), numbers(function, "accel.capacity")
    for memory, size in numbers(function, "accel.arena").items():
        bound, capacity = bounds.get(memory, 0), capacities.get(memory, 0)
        if not bound <= size <= capacity:
            wanted = f"from {bound:,} (its lower bound) to {capacity:,} (its capacity)"
            yield function, f"the arena of '{memory}' has {size:,} bytes, expected {wanted}"


IMPORTED = (only_operations("arith.constant", "quant.scast", "func.return"), tensors, quantised_or_real)
ON_INTEGERS = (only_operations("arith.constant", "func.return"), tensors, integers)
INTEGER = (*ON_INTEGERS, accumulators)
DISPATCHED = (*ON_INTEGERS, engines, kernels, layouts)
SCHEDULED = (*DISPATCHED, order)
VIEWS = ("memref.subview", "memref.reinterpret_cast")
ON_MEMORY = ("accel.buffer", "memref.get_global", *VIEWS, "accel.step")
LOOPS = ("scf.for", "scf.yield", "affine.apply", "arith.constant")
IN_STEPS = (*VIEWS, *LOOPS, "accel.ready", "accel.yield")
TILED = (
    steps,
    only_operations(*ON_MEMORY, "func.return"),
    integers,
    engines,
    kernels,
    order,
    memrefs,
)
PLANNED = (*TILED, offsets, undisturbed, fits)

CHECKS: dict[str, tuple[Check, ...]] = {
    "imported": IMPORTED,
    "integer": INTEGER,
    "dispatched": DISPATCHED,
    "scheduled": SCHEDULED,
    "tiled": TILED,
    "planned": PLANNED,
}


def values(op: ir.OpView) -> list[ir.Value]:
    return [*op.operation.operands, *op.operation.results]


def is_placed(value_type: ir.Type) -> bool:
    return isinstance(value_type, ir.MemRefType) and isinstance(value_type.memory_space, ir.StringAttr)


def has_elements(value_type: ir.Type) -> bool:
    """Say whether a type is a tensor whose shape is known, and no axis of it is empty."""
    return isinstance(value_type, ir.RankedTensorType) and value_type.has_static_shape and 0 not in value_type.shape


def is_token(value: ir.Value) -> bool:
    return str(value.type) == "!accel.token"


def numbers(function: func.FuncOp, name: str) -> dict[str, int]:
    """Return what the module's attribute `name` says of each memory; nothing if it is missing."""
    return accel.bytes_by_memory(accel.present(function.operation.parent, "module"), name)


def name(op: ir.OpView) -> str:
    return f"'{op.operation.name}'"


def argument(value: ir.BlockArgument, function: func.FuncOp) -> str:
    return f"argument {value.arg_number} of '{function.name.value}'"


def place(region: Region) -> str:
    return f"'{region.name}' at {region.memory} {region.begin:,} to {region.end:,}"


def disturbed(conflict: Conflict) -> str:
    """Say who needs bytes that are not there, and who has overwritten them."""
    reader = "the caller" if conflict.layer is None else f"node '{accel.node(conflict.layer)}'"
    if conflict.taker is None:
        return f"{reader} reads {place(conflict.region)}, which nothing has written"
    by = f"node '{conflict.taken_at}'" if conflict.taken_at else "the caller"
    return f"{reader} reads {place(conflict.region)}, overwritten by {by} with {place(conflict.taker)}"
