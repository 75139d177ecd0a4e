"""A lowered function as C, by MLIR's conversion to the emitc dialect and its printer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from mlir import ir
from mlir.dialects import arith, func

from htvm.dialects import plugin

from .errors import NotLowered
from .lowering import operations, run


@dataclass(frozen=True)
class Parameter:
    """A parameter of a lowered function in C: a pointer to elements of a type.

    offset: bytes in scratch memory, of an intermediate result; constant: its numbers, of a constant; neither of an
    input or of the output.
    """

    type: str
    offset: int | None = None
    constant: np.ndarray | None = None


def parameters(function: func.FuncOp) -> list[Parameter]:
    """Return the parameters of a lowered function: inputs, output, intermediate results, constants."""
    found: list[Parameter] = []
    for argument, facts in zip(function.arguments, function.arg_attrs):
        stated, memref = ir.DictAttr(facts), ir.MemRefType(argument.type)
        width = ir.IntegerType(memref.element_type).width
        offset = ir.IntegerAttr(stated["accel.offset"]).value if "accel.offset" in stated else None
        constant: np.ndarray | None = None
        if "accel.constant" in stated:
            constant = np.broadcast_to(np.array(stated["accel.constant"]).astype(f"i{width // 8}"), memref.shape)
        found.append(Parameter(f"int{width}_t", offset, constant))
    return found


def c_source(function: func.FuncOp, name: str) -> str:
    """Return the C of a lowered function, a static one that is called `name`. Raises NotLowered."""
    with function.location:
        module = ir.Module.create()
        copy = function.operation.clone(ip=ir.InsertionPoint(module.body))
        copy.attributes["arg_attrs"] = ir.ArrayAttr.get([ir.DictAttr.get({}) for _ in function.arguments])
        copy.attributes["sym_name"] = ir.StringAttr.get(name)
        for op in list(operations(copy)):
            if op.name in SHIFTS and str(op.results[0].type) == "i64":
                without_library(op)
    run("canonicalize,convert-to-emitc", module)
    text = plugin.c_text(module.operation)
    if text is None:
        raise NotLowered("MLIR prints no C of it")
    return text


SHIFTS = {"arith.shli": "htvm_shift_left_64", "arith.shrsi": "htvm_shift_right_64"}
"""Shifts of 64 bits that RV32 calls a library for, and the functions of htvm_requant.h that do them without."""


def without_library(op: ir.Operation) -> None:
    """Call a function of the kernels for a shift of 64 bits."""
    value, amount = op.operands
    name = ir.StringAttr.get(SHIFTS[op.name])
    with ir.InsertionPoint(op), op.location:
        short = arith.TruncIOp(ir.IntegerType.get_signless(32), amount).result
        result = ir.Operation.create(
            "emitc.call_opaque", results=[value.type], operands=[value, short], attributes={"callee": name}
        ).result
    op.results[0].replace_all_uses_with(result)
    op.erase()
