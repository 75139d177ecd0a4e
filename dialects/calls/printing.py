"""A lowered function as C, by MLIR's conversion to the emitc dialect and its printer."""

from __future__ import annotations

from mlir import ir
from mlir.dialects import arith, func

from htvm.dialects import plugin

from .errors import NotLowered
from .lowering import run
from .outlining import nested


def c_source(function: func.FuncOp, name: str) -> str:
    """Return the C of a lowered function, a static one that is called `name`. Raises NotLowered."""
    with function.location:
        module = ir.Module.create()
        copy = function.operation.clone(ip=ir.InsertionPoint(module.body))
        copy.attributes["arg_attrs"] = ir.ArrayAttr.get([ir.DictAttr.get({}) for _ in function.arguments])
        copy.attributes["sym_name"] = ir.StringAttr.get(name)
        for op in list(nested(copy)):
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
