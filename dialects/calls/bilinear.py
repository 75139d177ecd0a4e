"""Bilinear tosa.resize as gathers and weighted sums.

MLIR's own lowering divides places by the scale towards 0, where TOSA rounds down: results at negative offsets, which
TFLite's half-pixel centres have, are wrong (22.1.8; test/tosa/cases.py, resize_bilinear).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mlir import ir

from htvm.dialects.semantics.tosa.movement import resize_places
from htvm.dialects.semantics.tosa.reading import TosaOp, bits, present

from .errors import NotLowered

I32, I8, I16 = 32, 8, 16


def expand(op: ir.Operation) -> bool:
    """Replace a bilinear resize of 8 or 16 bits; return whether it was one. Raises NotLowered for sums beyond 32."""
    read = TosaOp(op)
    image, *rest = read.operands
    if read.word("mode") != "BILINEAR" or bits(image) not in (I8, I16):
        return False
    scale, offset, _ = (present(each, "scale") for each in rest)
    largest = int(scale[0] * scale[2]) << (bits(image) or 0) - 1
    if largest >= 1 << I32 - 1:
        raise NotLowered(f"a bilinear resize has sums up to {largest:,}, expected at most 32 bits")
    batch, height, width, channels = ir.ShapedType(image.type).shape
    _, rows, columns, _ = read.shape
    with ir.InsertionPoint(op), op.location:
        flat = _reshape(image, [batch, height, width * channels])
        down = _between(flat, resize_places(read, height, 0, scale, offset), height)
        lines = _reshape(down, [batch * rows, width, channels])
        across = _between(lines, resize_places(read, width, 1, scale, offset), width)
        result = _reshape(across, [batch, rows, columns, channels])
        if bits(read.result) != I32:
            result = _made("tosa.cast", [result], read.shape, bits(read.result) or I32)
    op.results[0].replace_all_uses_with(result)
    op.erase()
    return True


def _between(values: ir.Value, places: tuple[np.ndarray, np.ndarray, int], size: int) -> ir.Value:
    """Return weighted sums of neighbours along axis 1 of values [N, K, C], in 32 bits."""
    before, behind, unit = places
    batch, _, channels = ir.ShapedType(values.type).shape
    parts: list[ir.Value] = []
    for more, weights in ((0, unit - behind), (1, behind)):
        indices = np.broadcast_to(np.clip(before + more, 0, size - 1), (batch, len(before)))
        shape = [batch, len(before), channels]
        taken = _made("tosa.gather", [values, _constant(indices, I32)], shape, bits(values) or I8)
        wide = taken if bits(taken) == I32 else _made("tosa.cast", [taken], shape, I32)
        factors = _constant(weights[None, :, None], I32)
        parts.append(_made("tosa.mul", [wide, factors, _constant(np.zeros(1), I8)], shape, I32))
    return _made("tosa.add", parts, list(ir.ShapedType(parts[0].type).shape), I32)


def _made(name: str, operands: Sequence[ir.Value], shape: Sequence[int], width: int) -> ir.Value:
    kind = ir.RankedTensorType.get(list(shape), ir.IntegerType.get_signless(width))
    return ir.Operation.create(name, results=[kind], operands=list(operands)).result


def _constant(numbers: np.ndarray, width: int) -> ir.Value:
    values = ir.DenseElementsAttr.get(np.ascontiguousarray(numbers.astype(f"i{width // 8}")))
    return ir.Operation.create("tosa.const", results=[values.type], attributes={"values": values}).result


def _reshape(value: ir.Value, shape: Sequence[int]) -> ir.Value:
    sizes = ir.DenseElementsAttr.get(np.array(shape, np.int64), type=ir.IndexType.get())
    kind = ir.Type.parse(f"!tosa.shape<{len(shape)}>")
    held = ir.Operation.create("tosa.const_shape", results=[kind], attributes={"values": sizes}).result
    return _made("tosa.reshape", [value, held], shape, bits(value) or I8)
