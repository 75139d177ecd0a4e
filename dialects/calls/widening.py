"""Integers of 48 bits, the accumulators of convolutions of 16, in 64: no language for the host has their type.

TOSA leaves open what happens beyond 48 bits, so that nothing has to wrap there.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from mlir import ir

from htvm.dialects.semantics.tosa.reading import elements

NARROW, WIDE = 48, 64
CASTS = ("arith.extsi", "arith.trunci")


def widen(ops: Iterable[ir.Operation]) -> None:
    """Give values and constants of 48 bits 64, in memory too, and drop the casts between both. ops: with all within."""
    for op in list(ops):
        blocks = [block for region in op.regions for block in region.blocks]
        for value in (*op.results, *(argument for block in blocks for argument in block.arguments)):
            if (kind := widened(value.type)) != value.type:
                value.set_type(kind)
        for name in list(op.attributes):
            if (attribute := widened_attribute(op.attributes[name])) != op.attributes[name]:
                op.attributes[name] = attribute
        if op.name in CASTS and op.operands[0].type == op.results[0].type:
            op.results[0].replace_all_uses_with(op.operands[0])
            op.erase()


def widened(kind: ir.Type) -> ir.Type:
    """Return a type with 64 bits for 48."""
    if isinstance(kind, ir.IntegerType):
        return ir.IntegerType.get_signless(WIDE) if kind.width == NARROW else kind
    if isinstance(kind, ir.MemRefType):
        element = widened(kind.element_type)
        return ir.MemRefType.get(list(kind.shape), element, kind.layout, kind.memory_space)
    if isinstance(kind, ir.FunctionType):
        return ir.FunctionType.get([*map(widened, kind.inputs)], [*map(widened, kind.results)])
    return kind


def widened_attribute(attribute: ir.Attribute) -> ir.Attribute:
    """Return an attribute with 64 bits for 48: a number, numbers, or a type."""
    if isinstance(attribute, ir.TypeAttr):
        return ir.TypeAttr.get(widened(attribute.value))
    if isinstance(attribute, ir.IntegerAttr) and attribute.type != widened(attribute.type):
        return ir.IntegerAttr.get(widened(attribute.type), attribute.value)
    if isinstance(attribute, ir.DenseElementsAttr) and attribute.type.element_type != widened(
        attribute.type.element_type
    ):
        numbers = elements(attribute)
        assert numbers is not None, "integers"
        return ir.DenseElementsAttr.get(np.ascontiguousarray(numbers))
    return attribute
