"""Which layers may write their output over one of their inputs.

An element-wise kernel reads an element of each operand before it writes the element of the output in the same
place, and a softmax reads a whole row before it writes one; so output and operand may be one piece of memory.
A reshape in place does nothing at all.
"""

from mlir import ir

from htvm.dialects import accel

from . import layout


def overwritable(layer: accel.Layer) -> list[ir.Value]:
    """Return the operands that the output may replace if nothing reads them afterwards, without duplicates.

    Whether they are network inputs, which are never written, is for the caller to know.
    """
    output = accel.output(layer).type
    candidates = dict.fromkeys(_read_once(layer))
    return [operand for operand in candidates if _covers(layer, operand.type, output)]


def _read_once(layer: accel.Layer) -> list[ir.Value]:
    """Return the operands whose elements the kernel has all read before it writes anything in their places."""
    match layer:
        case accel.AddOp() | accel.MulOp() | accel.MaximumOp() | accel.MinimumOp():
            return [layer.lhs, layer.rhs]
        case accel.WeightedSumOp():
            return list(layer.inputs)
        case accel.LookupOp() | accel.ThresholdOp() | accel.SoftmaxOp() | accel.LayerNormOp() | accel.ReshapeOp():
            return [layer.input]
        case _:
            return []


def _covers(layer: accel.Layer, operand: ir.Type, output: ir.Type) -> bool:
    """Say whether each element of the output takes exactly the place of the operand's element it is made from."""
    if layout.element_bytes(operand) != layout.element_bytes(output):
        return False
    if isinstance(layer, accel.ReshapeOp):
        return layout.is_row_major(operand) and layout.is_row_major(output)
    return layout.same_places(operand, output)
