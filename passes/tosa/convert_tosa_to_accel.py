"""convert-tosa-to-accel: replace operations of tosa by layers on integers, exactly.

    %3 = tosa.conv2d %x, %w, %b, %xz, %wz {..} : (tensor<1x8x8x16xi8>, ..) -> tensor<1x8x8x32xi32>
    %4 = tosa.rescale %3, %m, %s, %iz, %oz {rounding_mode = DOUBLE_ROUND, ..} : (..) -> tensor<1x8x8x32xi8>
    ==>
    %3 = accel.transpose %x {permutation = array<i64: 0, 3, 1, 2>} : (tensor<1x8x8x16xi8>) -> tensor<1x16x8x8xi8>
    %4 = accel.conv2d %3, %w {pad_value = -128, requant = #accel.requant<..>, ..} : (..) -> tensor<1x32x8x8xi8>

Stage    tosa -> integer
Reads    operations of tosa, linalg, arith, math, tensor and scf; constants; names of the interface
Writes   every operation of these anew; arguments and results keep their types, and get names
Needs    static shapes, integers
Fails    on operations that are no integer arithmetic with a meaning in TOSA, all of them at once

A layer takes in the operations that requantise its accumulators, pads and slices that its windows can do, and clamps.
What needs one value of 8 bits only is a table. forms/ has each family's layers; constants that round as TOSA does
are those of analysis/exact_requant.py, with `double_round` where no cheaper ones are exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mlir import ir
from mlir.dialects import func
from mlir.passmanager import ExternalPass

from htvm.dialects import accel
from htvm.dialects.calls.outlining import Outlined, grouped, is_constant, operands, outline
from htvm.dialects.semantics.tosa.elements import limits
from htvm.dialects.semantics.tosa.functions import input_names, networks, output_names
from htvm.dialects.semantics.tosa.names import names_of
from htvm.dialects.semantics.tosa.reading import bits, users

from ..analysis.names import Names, identifier
from .forms import Match, match
from .forms.matching import Builder, Form, producer
from .refusals import refused


@dataclass(frozen=True)
class ConvertTosaToAccel:
    """Rewrite the functions of a module that are networks: those of tosa, or if there is none, of other dialects."""

    name: ClassVar[str] = "convert-tosa-to-accel"
    stages: ClassVar[tuple[str, ...]] = ()

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        for function in networks(module):
            if problems := list(refused(function)):
                for op, problem in problems:
                    op.location.emit_error(f"{named(op)} {problem}")
                this_pass.signal_pass_failure()
                continue
            with function.location:
                rewrite(function, Plan.of(function))
                describe_interface(function)


def named(op: ir.Operation) -> str:
    """Return what messages call an operation, or the function itself."""
    return f"'@{op.opview.name.value}'" if isinstance(op.opview, func.FuncOp) else f"'{op.name}'"


@dataclass
class Plan:
    """What makes each value that is needed: layers, or a function that is called. Both by the last operation."""

    matches: dict[ir.Operation, Match]
    calls: dict[ir.Operation, Outlined]

    @staticmethod
    def of(function: func.FuncOp) -> Plan:
        """Decide from the results backwards: what a match takes in needs none of its own.

        What has no match is called. A table that only called functions read is part of them.
        """
        *ops, terminator = function.body.blocks[0].operations
        needed = set(terminator.operation.operands)
        matches: dict[ir.Operation, Match] = {}
        called: list[ir.Operation] = []
        read_by_calls = set[ir.Value]()
        for op in reversed([each.operation for each in ops]):
            (value,) = op.results
            if not (value in needed or value in read_by_calls) or is_constant(value):
                continue
            found = match(op)
            if found is None or (found.light and value not in needed):
                called.insert(0, op)
                read_by_calls.update(operands(op))
            else:
                matches[op] = found
                needed.update(found.inputs)
        groups = [Outlined.of(group) for group in grouped(called, needed | inputs_of(called, matches))]
        return Plan(matches, {group.ops[-1]: group for group in groups})


def inputs_of(called: Sequence[ir.Operation], matches: Mapping[ir.Operation, Match]) -> set[ir.Value]:
    """Return the values that matches read of what is called."""
    made = {result for op in called for result in op.results}
    return {value for found in matches.values() for value in found.inputs if value in made}


def rewrite(function: func.FuncOp, plan: Plan) -> None:
    """Build the layers before the end of the function, return their results, and drop what they replace."""
    block = function.body.blocks[0]
    *ops, terminator = block.operations
    builder = Builder()
    for argument in block.arguments:
        builder.set(argument, argument)
    names, symbols = names_of(function), Names(accel.present(function.operation.parent, "module").operation)
    last = {name: op for op, name in names.items()}
    with ir.InsertionPoint(terminator):
        for op in (each.operation for each in ops):
            start = len(block.operations) - 1
            if (found := plan.matches.get(op)) is not None:
                with location_of(found.covered, names):
                    made, form = found.build(builder)
            elif (outlined := plan.calls.get(op)) is not None:
                with location_of(outlined.ops, names):
                    made, form = called(function, outlined, builder, symbols), Form.PLAIN
            else:
                continue
            builder.set(op.results[0], made, form)
            mark(layers_from(block, start), made, form, is_whole=last[names[op]] == op)
        for place, value in enumerate(list(terminator.operation.operands)):
            start = len(block.operations) - 1
            source = producer(value)
            with ir.Location.name(names[source.op]) if source is not None else terminator.location:
                returned = builder.read(value)
            mark(layers_from(block, start), returned, Form.PLAIN, is_whole=False)
            terminator.operation.operands[place] = returned
    for op in reversed(ops):
        if not any(True for result in op.operation.results for _ in users(result)):
            op.operation.erase()


def location_of(ops: Sequence[ir.Operation], names: Mapping[ir.Operation, str]) -> ir.Location:
    """Return the names of operations that one layer computes, the last one's first."""
    return ir.Location.fused([ir.Location.name(name) for name in dict.fromkeys(names[op] for op in reversed(ops))])


def layers_from(block: ir.Block, start: int) -> list[accel.Layer]:
    """Return the layers of a block from a place on, without its terminator, the last one first."""
    places = range(len(block.operations) - 2, start - 1, -1)
    return [op for op in (block.operations[place] for place in places) if accel.is_layer(op)]


def mark(layers: Sequence[accel.Layer], made: ir.Value, form: Form, is_whole: bool) -> None:
    """Say of layers which ones make a tensor of the model, and which of these have its channels first."""
    whole = {made} if is_whole else set[ir.Value]()
    for layer in layers:  # the last one comes first
        if isinstance(layer, accel.ReshapeOp) and accel.output(layer) in whole:
            whole.add(layer.input)
        if accel.output(layer) not in whole:
            layer.attributes[accel.INNER_ATTRIBUTE] = ir.UnitAttr.get()
        elif form is Form.FIRST:
            layer.attributes[accel.CHANNELS_FIRST_ATTRIBUTE] = ir.UnitAttr.get()


def called(function: func.FuncOp, outlined: Outlined, builder: Builder, symbols: Names) -> ir.Value:
    """Build the function of some operations, and the layer that calls it."""
    inputs = [builder.read(value) for value in outlined.inputs]
    name = symbols.free(identifier(f"{function.name.value}_{outlined.ops[-1].name.rpartition('.')[2]}"))
    outline(outlined, name, ir.InsertionPoint(function.operation))
    return accel.output(accel.CallOp(outlined.result.type, inputs, callee=ir.FlatSymbolRefAttr.get(name)))


def describe_interface(function: func.FuncOp) -> None:
    """Give arguments and results their names, their types outside, and their ranges."""
    terminator = list(function.body.blocks[0].operations)[-1]
    sides = (
        ("arg_attrs", list(function.body.blocks[0].arguments), input_names(function)),
        ("res_attrs", list(terminator.operation.operands), output_names(function)),
    )
    for key, values, names in sides:
        known = list(ir.ArrayAttr(function.attributes[key])) if key in function.attributes else []
        described: list[ir.Attribute] = []
        for number, (value, name) in enumerate(zip(values, names)):
            facts = {each.name: each.attr for each in ir.DictAttr(known[number])} if known else {}
            width = bits(value) or 32
            facts.setdefault("accel.name", ir.StringAttr.get(name))
            facts.setdefault("accel.interface", ir.StringAttr.get(f"int{width}"))
            facts.setdefault("accel.range", ir.DenseI64ArrayAttr.get(limits(width)))
            described.append(ir.DictAttr.get(facts))
        function.attributes[key] = ir.ArrayAttr.get(described)
