"""From a function on tensors to loops on memory that needs nothing but what it is given.

MLIR's passes do the work. What they leave that no bare host has becomes arguments: allocations, which get an offset
each in one piece of scratch memory, and constants.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from mlir import ir
from mlir.dialects import arith, func
from mlir.passmanager import PassManager

from htvm.dialects import accel

from . import bilinear
from .errors import NotLowered
from .flattening import flatten
from .outlining import nested
from .widening import widen

TOSA = (
    "func.func(tosa-optional-decompositions,tosa-infer-shapes,tosa-make-broadcastable)",
    "canonicalize",
    "func.func(tosa-layerwise-constant-fold)",
    "func.func(tosa-to-linalg-named{prefer-conv2d-kernel-layout-hwcf=false})",
    "canonicalize",
    "func.func(tosa-to-linalg)",
    "func.func(tosa-to-arith{include-apply-rescale=true use-32-bit=false},tosa-to-tensor,tosa-to-scf)",
)
"""Passes for operations of tosa."""

TENSORS = (
    "canonicalize,cse",
    "func.func(convert-elementwise-to-linalg),linalg-generalize-named-ops",
    "func.func(linalg-fuse-elementwise-ops)",
    "canonicalize,cse",
    "func.func(eliminate-empty-tensors,empty-tensor-to-alloc-tensor)",
    "one-shot-bufferize{bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map}",
    "buffer-results-to-out-params{hoist-static-allocs=true modify-public-functions=true}",
    "canonicalize,cse",
)
"""Passes that put tensors in memory, of chains of operations on single elements only the last result."""

LOOPS = (
    "func.func(convert-linalg-to-loops)",
    "fold-memref-alias-ops,func.func(memref-expand)",
    "expand-strided-metadata,lower-affine",
    "arith-expand",
    "canonicalize,cse",
)


def callee(layer: accel.CallOp) -> func.FuncOp:
    """Return the function that a layer calls."""
    module = layer.operation
    while module.parent is not None:
        module = module.parent.operation
    found = ir.SymbolTable(module)[layer.callee.value]
    assert isinstance(found, func.FuncOp), "verified: a call names a function"
    return found


def is_lowered(function: func.FuncOp) -> bool:
    """Say whether a function is loops on memory already."""
    return not function.type.results


def lower(function: func.FuncOp) -> func.FuncOp:
    """Replace a function on tensors by one on memory, in its module; return that. Raises NotLowered.

    Its arguments are those of the function, the result, intermediate results with `accel.offset`, and constants with
    `accel.constant`.
    """
    with function.location:
        module = ir.Module.create()
        copy = function.operation.clone(ip=ir.InsertionPoint(module.body))
        copy.attributes["sym_visibility"] = ir.StringAttr.get("public")
    for op in list(nested(module.operation)):
        if op.name == "tosa.resize":
            bilinear.expand(op)
    for pipeline in (*TOSA, *TENSORS, *LOOPS):
        run(pipeline, module)
    left = {op.name for op in nested(module.operation) if op.name.startswith(("tosa.", "linalg.", "tensor."))}
    if left:
        raise NotLowered(f"MLIR's passes leave {', '.join(sorted(left))}")
    (found,) = (op for op in module.body if isinstance(op, func.FuncOp) and op.name.value == function.name.value)
    with function.location:
        for op in list(nested(found.operation)):
            if op.name == "math.ctlz":
                expand_ctlz(op)
        widen(nested(module.operation))
    run("canonicalize,cse", module)
    with function.location:
        expand_copies(found)
        to_arguments(found)
        flatten(found)
    run("canonicalize,cse", module)
    with function.location:
        made = found.operation.clone(ip=ir.InsertionPoint(function.operation)).operation.opview
        assert isinstance(made, func.FuncOp), made
        made.attributes["sym_visibility"] = ir.StringAttr.get("private")
    function.operation.erase()
    return made


def run(pipeline: str, module: ir.Module) -> None:
    """Run passes of MLIR. Raises NotLowered with what they report."""
    try:
        PassManager.parse(f"builtin.module({pipeline})", module.context).run(module.operation)
    except ir.MLIRError as error:
        said = "; ".join(each.message for each in error.error_diagnostics) or error.message
        raise NotLowered(f"MLIR's passes '{pipeline}' refuse it: {said}") from None


def expand_ctlz(op: ir.Operation) -> None:
    """Count the bits before the first 1 by halves: MLIR's own loop looks at one bit after the other."""
    (value,) = op.operands
    width = ir.IntegerType(value.type).width

    def number(of: int) -> ir.Value:
        return arith.ConstantOp(value.type, ir.IntegerAttr.get(value.type, of)).result

    with ir.InsertionPoint(op), op.location:
        count, rest, half = number(0), value, width // 2
        while half:
            limit = number(1 << (width - half) if width - half < width - 1 else -(1 << width - 1))
            is_small = arith.CmpIOp(arith.CmpIPredicate.ult, rest, limit).result
            shifted = arith.ShLIOp(rest, number(half)).result
            more = arith.AddIOp(count, number(half)).result
            rest, count = (arith.SelectOp(is_small, *each).result for each in ((shifted, rest), (more, count)))
            half //= 2
        is_zero = arith.CmpIOp(arith.CmpIPredicate.eq, value, number(0)).result
        found = arith.SelectOp(is_zero, number(width), count).result
    op.results[0].replace_all_uses_with(found)
    op.erase()


def expand_copies(function: func.FuncOp) -> None:
    """Replace copies by loops: the host has no library that copies strided memory."""
    run_on = [op for op in nested(function.operation) if op.name == "memref.copy"]
    for op in run_on:
        source, target = op.operands
        rank = ir.MemRefType(source.type).rank
        axes = ", ".join(f"d{axis}" for axis in range(rank))
        same = ir.AffineMapAttr(ir.Attribute.parse(f"affine_map<({axes}) -> ({axes})>"))
        with ir.InsertionPoint(op), op.location:
            generic = ir.Operation.create(
                "linalg.generic",
                operands=[source, target],
                regions=1,
                attributes={
                    "indexing_maps": ir.ArrayAttr.get([same, same]),
                    "iterator_types": ir.Attribute.parse(f"[{', '.join(['#linalg.iterator_type<parallel>'] * rank)}]"),
                    "operandSegmentSizes": ir.DenseI32ArrayAttr.get([1, 1]),
                },
            )
            element = ir.MemRefType(source.type).element_type
            block = generic.regions[0].blocks.append(element, element, arg_locs=[op.location] * 2)
            with ir.InsertionPoint(block):
                ir.Operation.create("linalg.yield", operands=[block.arguments[0]])
        op.erase()
    if run_on:
        loops = "func.func(convert-linalg-to-loops,fold-memref-alias-ops,canonicalize,cse)"
        PassManager.parse(loops, function.context).run(function.operation)


@dataclass(frozen=True)
class Allocation:
    """Memory for an intermediate result, from the first to the last of the operations at the top of the function."""

    op: ir.Operation
    size_bytes: int
    element_bytes: int
    first: int
    last: int


def to_arguments(function: func.FuncOp) -> None:
    """Make arguments of allocations and constants, and drop what frees memory."""
    block = function.body.blocks[0]
    facts = [dict[str, ir.Attribute]() for _ in block.arguments]
    for op in list(nested(function.operation)):
        if op.name == "memref.dealloc":
            op.erase()
    allocations = list(allocated(function))
    for allocation, offset in zip(allocations, offsets(allocations)):
        value = allocation.op.results[0]
        argument = block.add_argument(value.type, allocation.op.location)
        facts.append({"accel.offset": accel.integer(offset)})
        value.replace_all_uses_with(argument)
        allocation.op.erase()
    named: dict[str, ir.Value] = {}
    module = function.operation.parent
    assert module is not None, "in a module"
    symbols = ir.SymbolTable(module.operation)
    for op in list(nested(function.operation)):
        if op.name == "memref.get_global":
            name = ir.FlatSymbolRefAttr(op.attributes["name"]).value
            if name not in named:
                named[name] = block.add_argument(op.results[0].type, op.location)
                held = symbols[name].operation.attributes["initial_value"]
                facts.append({"accel.constant": held})
            op.results[0].replace_all_uses_with(named[name])
            op.erase()
    types = [argument.type for argument in block.arguments]
    function.attributes["function_type"] = ir.TypeAttr.get(ir.FunctionType.get(types, []))
    function.attributes["arg_attrs"] = ir.ArrayAttr.get([ir.DictAttr.get(each) for each in facts])
    if "res_attrs" in function.attributes:
        del function.attributes["res_attrs"]


def allocated(function: func.FuncOp) -> Iterator[Allocation]:
    """Yield the allocations of a function. Raises NotLowered for one whose size is not known."""
    top = {op.operation: number for number, op in enumerate(function.body.blocks[0])}
    for op in nested(function.operation):
        if op.name not in ("memref.alloc", "memref.alloca"):
            continue
        memref = ir.MemRefType(op.results[0].type)
        if not memref.has_static_shape:
            raise NotLowered(f"an intermediate result is {memref}, expected a static shape")
        width = ir.IntegerType(memref.element_type).width if isinstance(memref.element_type, ir.IntegerType) else 64
        places = [top[at_top(each, top)] for each in touching(op.results[0])] or [top[at_top(op, top)]]
        element_bytes = max(1, width // 8)
        yield Allocation(op, prod(memref.shape) * element_bytes, element_bytes, min(places), max(places))


def at_top(op: ir.Operation, top: dict[ir.Operation, int]) -> ir.Operation:
    """Return the operation at the top of the function that holds an operation."""
    while op not in top:
        op = accel.present(op.parent, "parent").operation
    return op


def touching(value: ir.Value) -> Iterator[ir.Operation]:
    """Yield what reads or writes the memory of a value, also through views."""
    for use in value.uses:
        owner = use.owner.operation
        yield owner
        for result in owner.results:
            if isinstance(result.type, ir.MemRefType):
                yield from touching(result)


def offsets(allocations: Sequence[Allocation]) -> list[int]:
    """Return a place in scratch memory for each: the largest first, each as low as no other one is at its time."""
    placed: dict[int, int] = {}
    for index in sorted(range(len(allocations)), key=lambda index: -allocations[index].size_bytes):
        mine = allocations[index]
        taken = sorted(
            (placed[other], placed[other] + allocations[other].size_bytes)
            for other in placed
            if allocations[other].first <= mine.last and mine.first <= allocations[other].last
        )
        place = 0  # multiples of the size of its elements
        for begin, end in taken:
            if place + mine.size_bytes <= begin:
                break
            place = max(place, -(-end // mine.element_bytes) * mine.element_bytes)
        placed[index] = place
    return [placed[index] for index in range(len(allocations))]
