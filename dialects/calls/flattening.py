"""Memory in one dimension: every access of a function by one index, whatever views it goes through.

Neither MLIR's emitc dialect nor C has views with strides. What is left after this are loads and stores at
offset + sum of index * stride, on arrays of elements of 8 bits or more; i1 is kept as i8, 0 or 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from mlir import ir
from mlir.dialects import arith, func

from .errors import NotLowered

DYNAMIC = -(1 << 63)
"""How MLIR's static lists say that a number is an operand."""


@dataclass(frozen=True)
class View:
    """How elements of memory are reached: at offset + more + sum of index * stride. more: what is known at run time."""

    offset: int
    strides: Sequence[int]
    more: ir.Value | None = None

    def index(self, indices: Sequence[ir.Value]) -> ir.Value:
        """Build the place of an element."""
        total = number(self.offset) if self.more is None else add(self.more, number(self.offset))
        for index, stride in zip(indices, self.strides):
            if stride == 0:
                continue
            total = add(total, index if stride == 1 else _operation("arith.muli", [index, number(stride)]))
        return total


def flatten(function: func.FuncOp) -> None:
    """Give the arguments of a function on memory one dimension each. Raises NotLowered for other uses of memory."""
    facts = [{each.name: each.attr for each in ir.DictAttr(entry)} for entry in ir.ArrayAttr(function.arg_attrs)]
    for number_of, argument in enumerate(function.arguments):
        memref = ir.MemRefType(argument.type)
        bits = _width(memref.element_type)
        element = ir.IntegerType.get_signless(max(8, bits))
        _rewrite(argument, argument, _of(memref), element, is_bit=bits == 1)
        argument.set_type(ir.MemRefType.get([prod(memref.shape)], element))
        if "accel.constant" in facts[number_of]:
            numbers = np.array(facts[number_of]["accel.constant"]).reshape(-1).astype(f"i{element.width // 8}")
            numbers = np.broadcast_to(numbers, [prod(memref.shape)]) if numbers.size == 1 else numbers
            facts[number_of]["accel.constant"] = ir.DenseElementsAttr.get(np.ascontiguousarray(numbers))
    types = [argument.type for argument in function.arguments]
    function.attributes["function_type"] = ir.TypeAttr.get(ir.FunctionType.get(types, []))
    function.attributes["arg_attrs"] = ir.ArrayAttr.get([ir.DictAttr.get(each) for each in facts])


def _of(memref: ir.MemRefType) -> View:
    """Return how a type says that its elements are reached. Raises NotLowered where that is not known."""
    strides, offset = memref.get_strides_and_offset()
    if any(each == DYNAMIC for each in (offset, *strides)) or not memref.has_static_shape:
        raise NotLowered(f"memory is {memref}, expected static shape, strides and offset")
    return View(offset, strides)


def _width(element: ir.Type) -> int:
    if not isinstance(element, ir.IntegerType):
        raise NotLowered(f"memory has elements {element}, expected integers")
    if element.width not in (1, 8, 16, 32, 64):
        raise NotLowered(f"memory has elements {element}, expected i1, i8, i16, i32 or i64")
    return element.width


def _rewrite(value: ir.Value, base: ir.Value, view: View, element: ir.Type, is_bit: bool) -> None:
    """Let all that uses a view of memory use the memory itself."""
    bit = ir.IntegerType.get_signless(1)
    for op in list(dict.fromkeys(use.owner.operation for use in value.uses)):
        with ir.InsertionPoint(op), op.location:
            if op.name == "memref.load":
                loaded = _operation("memref.load", [base, view.index(list(op.operands)[1:])], element)
                op.results[0].replace_all_uses_with(arith.TruncIOp(bit, loaded).result if is_bit else loaded)
            elif op.name == "memref.store":
                stored, _, *indices = op.operands
                wide = _operation("arith.extui", [stored], element) if is_bit else stored
                ir.Operation.create("memref.store", operands=[wide, base, view.index(indices)])
            elif op.name == "memref.reinterpret_cast":
                _rewrite(op.results[0], base, _reinterpreted(op), element, is_bit)
            elif op.name in ("memref.cast", "memref.collapse_shape", "memref.expand_shape"):
                inner = _of(ir.MemRefType(op.results[0].type))
                _rewrite(op.results[0], base, View(inner.offset, inner.strides, view.more), element, is_bit)
            else:
                raise NotLowered(f"'{op.name}' uses memory, expected loads, stores and views")
        op.erase()


def _reinterpreted(op: ir.Operation) -> View:
    """Return the view of a memref.reinterpret_cast, which says offset and strides anew."""
    sizes = list(ir.DenseI32ArrayAttr(op.attributes["operandSegmentSizes"]))
    (offset,) = ir.DenseI64ArrayAttr(op.attributes["static_offsets"])
    strides = list(ir.DenseI64ArrayAttr(op.attributes["static_strides"]))
    if DYNAMIC in strides:
        raise NotLowered(f"'{op.name}' has strides that are computed, expected constant ones")
    more = op.operands[1] if sizes[1] else None
    return View(0 if offset == DYNAMIC else offset, strides, more)


def number(value: int) -> ir.Value:
    """Build a constant index."""
    kind = ir.IndexType.get()
    return arith.ConstantOp(kind, ir.IntegerAttr.get(kind, value)).result


def add(a: ir.Value, b: ir.Value) -> ir.Value:
    return _operation("arith.addi", [a, b])


def _operation(name: str, operands: Sequence[ir.Value], result: ir.Type | None = None) -> ir.Value:
    kind = operands[0].type if result is None else result
    return ir.Operation.create(name, results=[kind], operands=list(operands)).result
