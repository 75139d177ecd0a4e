"""integerize: replace scales and zero points by proved integer constants.

    %y = accel.conv2d %x, %w bias %b
        : (..x!quant.uniform<i8:f32, 0.5:3>>, ..) -> ..x!quant.uniform<i8<-5:127>:f32, 0.25:-5>>
    ==>
    %y = accel.conv2d %x, %w {pad_value = 3, requant = #accel.requant<multiplier = [..], offset = [..], shift = [49],
                              pre_shift = 11, min = -5, max = 127, narrow = true>} : (..xi8>, ..xi8>) -> ..xi8>

Stage    imported (fused) -> integer
Reads    quantised types; constants; which values can occur (the range of the stored integers)
Writes   every operation anew, on i8, ui8, i16 and i32; function types
Needs    fuse-epilogues before it: every result is quantised
Fails    on a value that is still real, and on what integers cannot do exactly, giving the node

Every function of one value (relu, sigmoid, a change of scale) becomes a table, computed exactly. Linear layers,
products and pools get constants from analysis/exact_requant.py, sums from analysis/exact_add.py; forms/ has
the form of each operation. Where no constants are exact, the nearest are taken and the attribute `accel.inexact`
lists each (channel, accumulator) that is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mlir import ir
from mlir.dialects import arith, func
from mlir.passmanager import ExternalPass

from htvm.dialects import accel, quantisation
from htvm.dialects.quantisation import Quantisation

from .forms import FORMS, NotExact


@dataclass(frozen=True)
class Integerize:
    """Rewrite every function of a module from quantised types to integers."""

    name: ClassVar[str] = "integerize"

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        for function in accel.functions(module):
            old = list(function.body.blocks[0].operations)
            integers: dict[ir.Value, ir.Value] = {argument: argument for argument in function.body.blocks[0].arguments}
            for op in old:
                try:
                    rewrite(op, integers)
                except NotExact as problem:
                    op.location.emit_error(f"'{op.operation.name}' {problem}")
                    this_pass.signal_pass_failure()
            if all(value in integers for value in old[-1].operands):
                with function.location:
                    finish(function, old, integers)


def rewrite(op: ir.OpView, integers: dict[ir.Value, ir.Value]) -> None:
    """Build the integer form of one operation in front of it and note its result in `integers`."""
    name = op.operation.name
    if name == "quant.scast":
        source = op.operation.operands[0]
        if source in integers:
            integers[op.operation.results[0]] = integers[source]
    elif name.startswith("accel."):
        sources = [value for value in op.operation.operands if quantisation.stored(value) is None]
        if isinstance(op, accel.LayerNormOp):  # its form takes scale and bias in, whatever numbers they are
            sources = [value for value in sources if not isinstance(accel.producer(value), arith.ConstantOp)]
        if any(value not in integers for value in sources):
            if any(isinstance(accel.producer(value), arith.ConstantOp) for value in sources):
                raise NotExact("has a real constant operand that no neighbour could take in")
            return  # what feeds it was reported
        if Quantisation.of(op.result) is None:
            raise NotExact(f"has a real result ({op.result.type}), expected a quantised one: no QuantizeLinear follows")
        with ir.InsertionPoint(op), op.location:
            integers[op.result] = FORMS[type(op)](op, [integers.get(value) for value in op.operation.operands])


def finish(function: func.FuncOp, old: list[ir.OpView], integers: dict[ir.Value, ir.Value]) -> None:
    """Return the integer results, drop the quantised operations and correct the function's type."""
    block = function.body.blocks[0]
    terminator = old[-1].operation
    describe_interface(function, list(block.arguments), list(terminator.operands))
    for index, value in enumerate(list(terminator.operands)):
        terminator.operands[index] = integers[value]
    for op in reversed(old[:-1]):
        if not any(True for result in op.operation.results for _ in result.uses):
            op.operation.erase()
    for argument in block.arguments:
        q = Quantisation.of(argument)
        if q is not None:
            argument.set_type(quantisation.tensor(ir.RankedTensorType(argument.type).shape, q.storage_type()))
    types = [value.type for value in block.arguments], [value.type for value in terminator.operands]
    function.operation.attributes["function_type"] = ir.TypeAttr.get(ir.FunctionType.get(*types))


def describe_interface(function: func.FuncOp, arguments: list[ir.Value], results: list[ir.Value]) -> None:
    """Keep what the types of named arguments and results say and integers do not: scale, zero point, range."""
    for key, values in (("arg_attrs", arguments), ("res_attrs", results)):
        if key not in function.operation.attributes:
            continue
        described = []
        for known, value in zip(ir.ArrayAttr(function.operation.attributes[key]), values):
            facts, q = {entry.name: entry.attr for entry in ir.DictAttr(known)}, Quantisation.of(value)
            if "accel.name" in facts and q is not None and q.axis is None:
                facts["accel.scale"] = ir.FloatAttr.get_f64(q.scales[0])
                facts["accel.zero_point"] = accel.integer(q.zero_point)
                facts["accel.range"] = ir.DenseI64ArrayAttr.get([q.lowest, q.highest])
            described.append(ir.DictAttr.get(facts))
        function.operation.attributes[key] = ir.ArrayAttr.get(described)
