"""What of a function no layer and no called function can compute: each operation, why, and what would help."""

from __future__ import annotations

from collections.abc import Iterator

from mlir import ir
from mlir.dialects import func

from htvm.dialects.calls.outlining import is_stored, nested
from htvm.dialects.semantics.tosa.functions import INTEGER_DIALECTS
from htvm.dialects.semantics.tosa.reading import MEANINGS, PREFIX, is_tosa

QUANTISE = "quantise the model first, as full integer quantisation does for TFLite (all operators in int8)"
STORED = "expected integers of 8, 16 or 32 bits"

REMEDIES = {
    "cond_if": "compute both and choose with tosa.select",
    "while_loop": "write out its iterations",
    "scatter": "MLIR does not lower it: write it with tosa.concat or tosa.select",
    "conv3d": "write it as a sum of tosa.conv2d of slices",
    "custom": "only its author knows what it computes: write it with other operations",
}
"""Of operations that have no meaning here, or that MLIR does not lower."""


def refused(function: func.FuncOp) -> Iterator[tuple[ir.Operation, str]]:
    """Yield the operations that are no arithmetic on integers with a meaning, and what messages say of them."""
    for number, argument in enumerate(function.arguments):
        is_open = isinstance(argument.type, ir.RankedTensorType) and not argument.type.has_static_shape
        if not is_open and not is_float(argument.type) and not is_stored(argument):
            yield function.operation, f"argument {number} is of {argument.type}, {STORED}: cast it before the network"
    *ops, terminator = [op.operation for op in function.body.blocks[0]]
    for op in ops:
        if (problem := problem_of(op)) is not None:
            yield op, problem
    for number, value in enumerate(terminator.operands):
        if isinstance(value.owner, ir.Block) or is_stored(value) or problem_of(value.owner.operation) is not None:
            continue
        yield value.owner.operation, f"is result {number}, of {value.type}, {STORED}: rescale or cast it"


def problem_of(op: ir.Operation) -> str | None:
    """Say why an operation is refused; None for one that is compiled."""
    types = [value.type for value in (*op.operands, *op.results)]
    within = [value.type for each in nested(op) for value in (*each.operands, *each.results)]
    shaped = [ir.RankedTensorType(each) for each in types if isinstance(each, ir.RankedTensorType)]
    if floats := [each for each in (*types, *within) if is_float(each)]:
        return f"is of {floats[0]}, expected integers; {QUANTISE}"
    if open_ := [each for each in shaped if not each.has_static_shape]:
        return f"is of {open_[0]}, expected a static shape; give the sizes of inputs (--shape NAME=1x32x32x3)"
    if not is_tosa(op) and not op.name.startswith(INTEGER_DIALECTS):
        return f"is of no dialect that is compiled, expected tosa or {', '.join(INTEGER_DIALECTS)}"
    name = op.name.removeprefix(PREFIX)
    is_constant = name in ("const", "const_shape")
    if is_tosa(op) and not is_constant and (name in REMEDIES or name not in MEANINGS):
        return f"is not compiled; {REMEDIES[name]}" if name in REMEDIES else "is not compiled"
    return f"has {len(op.results)} results, expected one" if len(op.results) != 1 else None


def is_float(kind: ir.Type) -> bool:
    element = ir.ShapedType(kind).element_type if isinstance(kind, ir.ShapedType) else kind
    return isinstance(element, ir.FloatType)
