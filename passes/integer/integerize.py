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

from dataclasses import dataclass, replace
from typing import ClassVar

from mlir import ir
from mlir.dialects import func
from mlir.passmanager import ExternalPass

from htvm.dialects import accel, quantisation
from htvm.dialects.quantisation import Quantisation

from .forms import FORMS, NotExact
from .forms.between import HANDLERS, Reader, meaning
from .forms.builders import REAL_GRIDS, quantised_result
from .forms.real_values import Affine, Lazy, grid_of, quantised
from .forms.returned import Returned, fixed_point, reach_of_layer, returned


@dataclass(frozen=True)
class Integerize:
    """Rewrite every function of a module from quantised types to integers."""

    name: ClassVar[str] = "integerize"
    stages: ClassVar[tuple[str, ...]] = ("imported",)

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        for function in accel.functions(module):
            old = list(function.body.blocks[0].operations)
            integers: dict[ir.Value, ir.Value] = {argument: argument for argument in function.body.blocks[0].arguments}
            reader, fixed = Reader({}, integers), set[ir.Value]()
            for op in old:
                try:
                    rewrite(op, reader, fixed)
                except NotExact as problem:
                    is_of_file = accel.nodes(op) != [op.operation.name]
                    op.location.emit_error(str(problem) if is_of_file else f"'{op.operation.name}' {problem}")
                    this_pass.signal_pass_failure()
            results = return_reals(old[-1], reader, fixed, this_pass)
            if all(value in integers for value in old[-1].operands):
                with function.location:
                    finish(function, old, integers, results)


def return_reals(
    terminator: ir.OpView, reader: Reader, fixed: set[ir.Value], this_pass: ExternalPass
) -> dict[ir.Value, Returned]:
    """Build the integers of returned values that nothing quantises, and return what they mean.

    fixed: values that have got a fixed point.
    """
    results: dict[ir.Value, Returned] = {}
    for value in dict.fromkeys(terminator.operation.operands):
        source, op = value, accel.producer(value)
        while isinstance(producer := accel.producer(source), MOVING):
            source = producer.input
        if value in reader.lazies and op is not None:
            with ir.InsertionPoint(terminator), op.location:
                try:
                    found = returned(reader.lazies[value])
                    results[value] = replace(found, nearest=found.nearest or source in fixed)
                    reader.integers[value] = found.integers
                except NotExact as problem:
                    op.location.emit_error(f"{problem}; nothing quantises the graph's output behind it")
                    this_pass.signal_pass_failure()
        elif source in fixed and (typed := of_type(value)) is not None:
            results[value] = replace(typed, nearest=True)
    return results


def rewrite(op: ir.OpView, reader: Reader, fixed: set[ir.Value]) -> None:
    """Build the integer form of one operation in front of it and note its result, integers or a real value."""
    name, integers = op.operation.name, reader.integers
    if name == "quant.scast":
        source = op.operation.operands[0]
        if source in integers:
            integers[op.operation.results[0]] = integers[source]
        return
    if not accel.is_layer(op):
        return
    result = op.operation.results[0]
    if not all(map(reader.known, op.operation.operands)):
        return  # what feeds it was reported
    with ir.InsertionPoint(op), op.location:
        if Quantisation.of(result) is None and reader.constant(result) is not None:
            return  # whoever reads it takes in its numbers
        if (
            isinstance(op, accel.SoftmaxOp | accel.LayerNormOp)
            and Quantisation.of(result) is None
            and is_returned(result)
        ):
            # Its integer form rounds: to a fixed point, as nothing says to what.
            grid = fixed_point(*reach_of_layer(op))
            result.set_type(quantisation.tensor(list(ir.ShapedType(result.type).shape), grid.type()))
            fixed.add(result)
        if Quantisation.of(result) is None:
            reader.lazies[result] = meaning(op, reader)
        else:
            integers[result] = rounded(op, reader)


MOVING = (accel.ReshapeOp, accel.TransposeOp, accel.TakeOp)


def is_returned(value: ir.Value) -> bool:
    """Say whether a value is only moved, and returned."""
    users = [use.owner.opview for use in value.uses]
    return all(
        isinstance(user, func.ReturnOp) or (isinstance(user, MOVING) and is_returned(accel.output(user)))
        for user in users
    )


def rounded(op: accel.Layer, reader: Reader) -> ir.Value:
    """Return the integers of a quantised result: of the operation's own form, or of its real value rounded."""
    refused: NotExact | None = None
    try:
        if (made := on_integers(op, reader)) is not None:
            return made
    except NotExact as problem:
        if type(op) not in HANDLERS:
            raise
        refused = problem
    try:
        return quantised(meaning(op, reader), quantised_result(op), accel.rounding(op))
    except NotExact as problem:
        raise refused or problem from None


def on_integers(op: accel.Layer, reader: Reader) -> ir.Value | None:
    """Build the form of an operation that rounds its result itself.

    None if an operand is real, and there is none for it; then the real value is rounded on its own.
    """
    operands = list(op.operation.operands)
    real: list[ir.Value] = [value for value in operands if value in reader.lazies]
    takes_constants = isinstance(op, accel.LayerNormOp)  # its form takes scale and bias in, whatever numbers they are
    plain = [v for v in operands if quantisation.stored(v) is None and reader.constant(v) is not None]
    if plain and not takes_constants:
        return None
    if not real:
        return FORMS[type(op)](op, [reader.integers.get(value) for value in operands])
    grids: dict[ir.Value, Quantisation] = {}
    sources: list[ir.Value | None] = []
    for value in operands:
        lazy = reader.lazies.get(value)
        grid = None if lazy is None else grid_of(lazy, shifted=isinstance(op, SHIFTED))
        if lazy is not None and (grid is None or (lazy.masked is not None and not hides(op, lazy))):
            if type(op) not in HANDLERS:
                raise NotExact(
                    "reads a value that nothing quantises, and whose integers have no one scale; "
                    "put QuantizeLinear and DequantizeLinear before it"
                )
            return None
        if grid is not None:
            grids[value] = grid
            assert isinstance(lazy, Affine)
        sources.append(lazy.terms[0].integers if isinstance(lazy, Affine) else reader.integers.get(value))
    token = REAL_GRIDS.set(grids)
    try:
        return FORMS[type(op)](op, sources)
    finally:
        REAL_GRIDS.reset(token)


def hides(op: ir.OpView, lazy: Lazy) -> bool:
    """Say whether an operation takes minus infinity for nothing: a softmax along an axis that has other numbers."""
    if not isinstance(op, accel.SoftmaxOp) or lazy.masked is None:
        return False
    return not lazy.masked.all(axis=op.axis.value).any()


SHIFTED = (accel.Normalising, accel.ArgMaxOp)
"""Operations for which a constant added to all numbers changes nothing."""


def finish(
    function: func.FuncOp,
    old: list[ir.OpView],
    integers: dict[ir.Value, ir.Value],
    reals: dict[ir.Value, Returned],
) -> None:
    """Return the integer results, drop the quantised operations and correct the function's type."""
    block = function.body.blocks[0]
    terminator = old[-1].operation
    describe_interface(function, list(block.arguments), list(terminator.operands), reals)
    for index, value in enumerate(list(terminator.operands)):
        terminator.operands[index] = integers[value]
    for op in reversed(old[:-1]):
        if not any(True for result in op.operation.results for _ in result.uses):
            op.operation.erase()
    for argument in block.arguments:
        q = Quantisation.of(argument)
        if q is not None:
            argument.set_type(quantisation.tensor(ir.RankedTensorType(argument.type).shape, q.storage_type()))
    accel.update_type(function)


def describe_interface(
    function: func.FuncOp, arguments: list[ir.Value], results: list[ir.Value], reals: dict[ir.Value, Returned]
) -> None:
    """Keep what the types of named arguments and results say and integers do not: scale, zero point, range."""
    for key, values in (("arg_attrs", arguments), ("res_attrs", results)):
        if key not in function.operation.attributes:
            continue
        described: list[ir.Attribute] = []
        for known, value in zip(ir.ArrayAttr(function.operation.attributes[key]), values):
            facts: dict[str, ir.Attribute] = {entry.name: entry.attr for entry in ir.DictAttr(known)}
            if "accel.name" in facts:
                meant = reals.get(value) or of_type(value)
                facts |= {} if meant is None else meaning_of(meant)
            described.append(ir.DictAttr.get(facts))
        function.operation.attributes[key] = ir.ArrayAttr.get(described)


def of_type(value: ir.Value) -> Returned | None:
    """Return what the integers of a quantised value mean; None for others."""
    q = Quantisation.of(value)
    if q is None or len(set(q.zero_points)) > 1:
        return None
    return Returned(value, q.scales, (0.0,), q.zero_points[0], q.axis, q.lowest, q.highest)


def meaning_of(meant: Returned) -> dict[str, ir.Attribute]:
    """Return what a function says of the integers of an argument or result."""
    facts: dict[str, ir.Attribute] = {"accel.range": ir.DenseI64ArrayAttr.get([meant.lowest, meant.highest])}
    if meant.axis is None and not any(meant.offsets):
        facts["accel.scale"] = ir.FloatAttr.get_f64(meant.scales[0])
        facts["accel.zero_point"] = accel.integer(meant.zero_point)
    else:
        count = max(len(meant.scales), len(meant.offsets))
        scales, offsets = ([each[c % len(each)] for c in range(count)] for each in (meant.scales, meant.offsets))
        offsets = [offset - scale * meant.zero_point for scale, offset in zip(scales, offsets)]
        facts["accel.scales"] = ir.DenseF64ArrayAttr.get(scales)
        facts["accel.offsets"] = ir.DenseF64ArrayAttr.get(offsets)
        if meant.axis is not None:
            facts["accel.axis"] = accel.integer(meant.axis)
    if meant.nearest:
        facts["accel.nearest"] = ir.UnitAttr.get()
    return facts
