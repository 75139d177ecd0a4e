"""Operations that no layer computes, as functions of their own: each has one result, and is called like a layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlir import ir
from mlir.dialects import func

from htvm.dialects.semantics.tosa.reading import constant

STORED_BITS = (8, 16, 32)
"""Of integers that tensors between layers have."""


@dataclass(frozen=True)
class Outlined:
    """Operations in order, of which the last one makes the result. inputs: values that they read, but for constants."""

    ops: Sequence[ir.Operation]
    inputs: Sequence[ir.Value]

    @property
    def result(self) -> ir.Value:
        return self.ops[-1].results[0]

    @staticmethod
    def of(ops: Sequence[ir.Operation]) -> Outlined:
        made = {result for op in ops for result in op.results}
        read = dict.fromkeys(value for op in ops for value in operands(op))
        return Outlined(ops, [value for value in read if value not in made and not is_constant(value)])


def operands(op: ir.Operation) -> list[ir.Value]:
    """Return the values that an operation reads, those that are read within it included, but for its own."""
    inside = list(nested(op))
    own = set[ir.Value](result for each in inside for result in each.results)
    for each in (op, *inside):
        own.update(argument for region in each.regions for block in region.blocks for argument in block.arguments)
    return [value for each in (op, *inside) for value in each.operands if value not in own]


def nested(op: ir.Operation) -> Iterator[ir.Operation]:
    """Yield the operations within one."""
    for region in op.regions:
        for block in region.blocks:
            for inner in block.operations:
                yield inner.operation
                yield from nested(inner.operation)


def is_constant(value: ir.Value) -> bool:
    """Say whether each function can have a copy of a value: it is computed from constants alone, or holds nothing."""
    if isinstance(value.owner, ir.Block):
        return False
    return value.owner.name in ("arith.constant", "tensor.empty") or constant(value) is not None


def is_stored(value: ir.Value) -> bool:
    """Say whether layers can read a value: a tensor of static shape, of integers of 8, 16 or 32 bits."""
    if not isinstance(value.type, ir.RankedTensorType) or not ir.RankedTensorType(value.type).has_static_shape:
        return False
    element = ir.RankedTensorType(value.type).element_type
    return isinstance(element, ir.IntegerType) and element.width in STORED_BITS


def readers(value: ir.Value, block: ir.Block) -> Iterator[ir.Operation]:
    """Yield the operations of a block that read a value, themselves or in what is within them."""
    for use in value.uses:
        op = use.owner.operation
        while op.block != block:
            parent = op.parent
            assert parent is not None, "within the block"
            op = parent.operation
        yield op


def grouped(ops: Sequence[ir.Operation], needed: set[ir.Value]) -> list[list[ir.Operation]]:
    """Return operations in groups that each give one value: what only operations of one group read belongs to it.

    ops: in the order of the block. needed: results that others read. What several groups read and no layer can store,
    such as a condition or an accumulator of 48 bits, belongs to each of them.
    """
    groups_of: dict[ir.Operation, set[int]] = {}
    for number, op in enumerate(reversed(ops)):
        reading = [reader for result in op.results for reader in readers(result, op.block)]
        groups = {group for reader in reading for group in groups_of.get(reader, ())}
        is_root = any(result in needed for result in op.results)
        is_root |= len(groups) != 1 and all(map(is_stored, op.results))
        groups_of[op] = {number} if is_root or not groups else groups
    found: dict[int, list[ir.Operation]] = {}
    for op in ops:
        for group in groups_of[op]:
            found.setdefault(group, []).append(op)
    return sorted(found.values(), key=lambda group: ops.index(group[-1]))


def outline(outlined: Outlined, name: str, place: ir.InsertionPoint) -> func.FuncOp:
    """Build the private function of some operations at a place of a module."""
    types = [value.type for value in outlined.inputs], [outlined.result.type]
    with place, outlined.ops[-1].location:
        function = func.FuncOp(name, types, visibility="private")
        block = function.add_entry_block()
    mapping: dict[ir.Value, ir.Value] = dict(zip(outlined.inputs, block.arguments))
    with ir.InsertionPoint(block):
        for op in outlined.ops:
            clone(op, mapping)
        with outlined.ops[-1].location:
            func.ReturnOp([mapping[outlined.result]])
    return function


def clone(op: ir.OpView | ir.Operation | ir.Block, mapping: dict[ir.Value, ir.Value]) -> None:
    """Clone an operation, and constants that it reads, at the insertion point; `mapping` has the values inside."""
    assert not isinstance(op, ir.Block), "arguments are in the mapping"
    for operand in operands(op.operation):
        if operand not in mapping:
            clone(operand.owner, mapping)
    made = op.operation.clone()
    for each in (made.operation, *nested(made.operation)):
        for place, operand in enumerate(each.operands):
            if operand in mapping:
                each.operands[place] = mapping[operand]
    for old, new in zip(op.operation.results, made.operation.results):
        mapping[old] = new
