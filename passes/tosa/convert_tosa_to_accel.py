"""convert-tosa-to-accel: replace operations of tosa by layers on integers, exactly.

    %3 = tosa.conv2d %x, %w, %b, %xz, %wz {..} : (tensor<1x8x8x16xi8>, ..) -> tensor<1x8x8x32xi32>
    %4 = tosa.rescale %3, %m, %s, %iz, %oz {rounding_mode = DOUBLE_ROUND, ..} : (..) -> tensor<1x8x8x32xi8>
    ==>
    %3 = accel.transpose %x {permutation = array<i64: 0, 3, 1, 2>} : (tensor<1x8x8x16xi8>) -> tensor<1x16x8x8xi8>
    %4 = accel.conv2d %3, %w {pad_value = -128, requant = #accel.requant<..>, ..} : (..) -> tensor<1x32x8x8xi8>

Stage    tosa -> integer
Reads    operations of tosa; constants; names of the interface
Writes   every operation of tosa anew; arguments and results keep their types, and get names
Needs    static shapes; tosa on integers
Fails    on operations that are no integer arithmetic with a meaning in TOSA, all of them at once

A layer takes in the operations that requantise its accumulators, pads and slices that its windows can do, and clamps.
What needs one value of 8 or 16 bits only is a table. forms/ has each family's layers; constants that round as TOSA does
are those of analysis/exact_requant.py, with `double_round` where no cheaper ones are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mlir import ir
from mlir.dialects import func
from mlir.passmanager import ExternalPass

from htvm.dialects import accel
from htvm.dialects.semantics.tosa.elements import limits
from htvm.dialects.semantics.tosa.reading import bits, constant, is_tosa, users

from .forms import Match, match
from .forms.matching import Builder


@dataclass(frozen=True)
class ConvertTosaToAccel:
    """Rewrite the functions of a module that have operations of tosa."""

    name: ClassVar[str] = "convert-tosa-to-accel"

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        for function in accel.functions(module):
            if not any(is_tosa(op) for op in function.body.blocks[0]):
                continue
            plan = Plan.of(function)
            if plan.refused:
                for op, problem in plan.refused:
                    op.location.emit_error(f"'{op.name}' {problem}")
                this_pass.signal_pass_failure()
                continue
            with function.location:
                rewrite(function, plan)
                describe_interface(function)


@dataclass
class Plan:
    """Which match makes each value that is needed, in the order of the operations; operations without one."""

    matches: dict[ir.Operation, Match]
    refused: list[tuple[ir.Operation, str]]

    @staticmethod
    def of(function: func.FuncOp) -> Plan:
        """Decide from the results backwards: what a match takes in needs none of its own."""
        *ops, terminator = function.body.blocks[0].operations
        needed = set(terminator.operation.operands)
        plan = Plan({}, [])
        for op in reversed([each.operation for each in ops]):
            value = op.results[0] if op.results else None
            if value is None or value not in needed or constant(value) is not None:
                continue
            found = match(op) if is_tosa(op) else None
            if found is None:
                plan.refused.insert(0, (op, reason(op)))
                needed.update(op.operands)
                continue
            plan.matches[op] = found
            needed.update(found.inputs)
        plan.matches = dict(reversed(plan.matches.items()))
        return plan


def reason(op: ir.Operation) -> str:
    """Say why an operation has no layer."""
    floats = [value.type for value in (*op.operands, *op.results) if is_float(value)]
    if floats:
        return f"is of {floats[0]}, expected integers; quantise the model first, as TFLite's full integer quantisation does"
    return f"has no layer with these operands ({', '.join(str(value.type) for value in op.operands)})"


def is_float(value: ir.Value) -> bool:
    return isinstance(value.type, ir.ShapedType) and isinstance(value.type.element_type, ir.FloatType)


def rewrite(function: func.FuncOp, plan: Plan) -> None:
    """Build the layers before the end of the function, return their results, and drop what they replace."""
    block = function.body.blocks[0]
    *ops, terminator = block.operations
    builder = Builder()
    for argument in block.arguments:
        builder.set(argument, argument)
    names = names_of(function)
    with ir.InsertionPoint(terminator):
        for op, found in plan.matches.items():
            with ir.Location.fused([names[each] for each in reversed(found.covered)]):
                made, form = found.build(builder)
                builder.set(op.results[0], made, form)
        with terminator.location:
            for place, value in enumerate(list(terminator.operation.operands)):
                terminator.operation.operands[place] = builder.read(value)
    for op in reversed(ops):
        if not any(True for result in op.operation.results for _ in users(result)):
            op.operation.erase()


def names_of(function: func.FuncOp) -> dict[ir.Operation, ir.Location]:
    """Return the location of each operation's layer: its name if it has one, else its place, as a name."""
    found: dict[ir.Operation, ir.Location] = {}
    for number, op in enumerate(function.body.blocks[0]):
        names = accel.nodes(op)
        if names == [op.operation.name]:
            names = [place(op.location) or f"{op.operation.name}:{number}"]
        found[op.operation] = ir.Location.name(names[0])
    return found


def place(location: ir.Location) -> str | None:
    """Return file and line of a location; None where it has none."""
    if location.is_a_file():
        return f"{location.filename}:{location.start_line}"
    return None


def describe_interface(function: func.FuncOp) -> None:
    """Give arguments and results their names, their types outside, and their ranges."""
    stated = entry_names(function)
    terminator = list(function.body.blocks[0].operations)[-1]
    sides = (
        ("arg_attrs", "arg", list(function.body.blocks[0].arguments), stated[0]),
        ("res_attrs", "result", list(terminator.operation.operands), stated[1]),
    )
    for key, otherwise, values, names in sides:
        known = list(ir.ArrayAttr(function.attributes[key])) if key in function.attributes else []
        described: list[ir.Attribute] = []
        for number, value in enumerate(values):
            facts = {each.name: each.attr for each in ir.DictAttr(known[number])} if known else {}
            width = bits(value) or 32
            name = names[number] if number < len(names) else f"{otherwise}{number}"
            facts.setdefault("accel.name", ir.StringAttr.get(name))
            facts.setdefault("accel.interface", ir.StringAttr.get(f"int{width}"))
            facts.setdefault("accel.range", ir.DenseI64ArrayAttr.get(limits(width)))
            described.append(ir.DictAttr.get(facts))
        function.attributes[key] = ir.ArrayAttr.get(described)


def entry_names(function: func.FuncOp) -> tuple[list[str], list[str]]:
    """Return the names of inputs and outputs that TensorFlow's converters write on a function; none without."""
    name = "tf.entry_function"
    if name not in function.attributes:
        return [], []
    entry = ir.DictAttr(function.attributes[name])
    found = [str(ir.StringAttr(entry[key]).value).split(",") if key in entry else [] for key in ("inputs", "outputs")]
    return found[0], found[1]


