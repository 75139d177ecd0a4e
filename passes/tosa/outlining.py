"""Operations that no layer computes, as functions of their own: each has one result, and is called like a layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlir import ir
from mlir.dialects import func

from htvm.dialects.semantics.tosa.reading import constant


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
        read = dict.fromkeys(operand for op in ops for operand in op.operands)
        return Outlined(ops, [value for value in read if value not in made and constant(value) is None])


def grouped(ops: Sequence[ir.Operation], needed: set[ir.Value]) -> list[list[ir.Operation]]:
    """Return operations in groups that each give one value: what only operations of one group read belongs to it.

    ops: in the order of the block. needed: results that others read.
    """
    group_of: dict[ir.Operation, int] = {}
    members = set(ops)
    for number, op in enumerate(reversed(ops)):
        readers = {use.owner.operation for result in op.results for use in result.uses}
        groups = {group_of[reader] for reader in readers if reader in members}
        is_root = any(result in needed for result in op.results) or len(groups) != 1
        group_of[op] = number if is_root else groups.pop()
    found: dict[int, list[ir.Operation]] = {}
    for op in ops:
        found.setdefault(group_of[op], []).append(op)
    return sorted(found.values(), key=lambda group: ops.index(group[-1]))


def outline(outlined: Outlined, name: str, before: ir.Operation) -> func.FuncOp:
    """Build the private function of some operations in front of another operation of the module."""
    types = [value.type for value in outlined.inputs], [outlined.result.type]
    with ir.InsertionPoint(before), outlined.ops[-1].location:
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
    for operand in op.operation.operands:
        if operand not in mapping:
            clone(operand.owner, mapping)
    made = op.operation.clone()
    for place, operand in enumerate(op.operation.operands):
        made.operation.operands[place] = mapping[operand]
    for old, new in zip(op.operation.results, made.operation.results):
        mapping[old] = new
