"""Who makes the other layout of a map, and in how many cycles: the host, or an accelerator that reads one layout and
writes the other, for which it is a convolution that changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlir import ir

from htvm.backend.targets.engines.host import CYCLES_PER_MOVED
from htvm.backend.targets.jobs import Layout
from htvm.backend.targets.soc import HOST, Soc
from htvm.dialects import accel, inserted, scaling
from htvm.dialects.accel import Purpose
from htvm.dialects.semantics import value_ranges

from . import layout
from .acceptance import violations


@dataclass(frozen=True)
class Conversion:
    """The engine that makes a map in another layout, and the cycles that it takes."""

    engine: str
    cycles: int


def fastest(soc: Soc, value: ir.Value, wanted: Layout) -> Conversion:
    """Return the fastest way from a map in one layout to the same in `wanted`, the other one."""
    ways = [Conversion(HOST, CYCLES_PER_MOVED * layout.size_bytes(value.type))]
    engines = [each for each in soc.accelerators if each.input.layouts[0] != wanted and wanted in each.output.layouts]
    if not engines:
        return ways[0]
    with behind(value), ir.Location.unknown():
        layer = convolution(value, value.type)
    for engine in engines:
        if not violations(soc, engine, layer):
            ways.append(Conversion(engine.name, engine.cycles(layer, soc.cost_model)))
    scaling.erase(layer)
    return min(ways, key=lambda way: way.cycles)


def made(value: ir.Value, wanted: Layout, engine: str) -> accel.ConvertLayoutOp | accel.Conv2dOp:
    """Return the layer whose result is a map in the layout `wanted`, which an engine makes at the insertion point."""
    shaped = ir.ShapedType(value.type)
    axes = layout.NHWC if wanted == Layout.NHWC else range(shaped.rank)
    plain = ir.RankedTensorType.get(shaped.shape, shaped.element_type)
    result = layout.with_axes(plain, axes)
    if engine == HOST:
        layer = accel.ConvertLayoutOp(result, value)
    else:
        layer = convolution(value, result)
    layer.engine = ir.StringAttr.get(engine)
    return layer


def is_one(layer: accel.Layer) -> bool:
    """Say whether a layer was inserted to make another layout of a map."""
    return inserted.purpose(layer) is Purpose.CONVERT_LAYOUT


def convolution(value: ir.Value, result: ir.Type) -> accel.Conv2dOp:
    """Return the convolution that changes nothing, at the insertion point."""
    low, high = accel.present(value_ranges.held(value), "integers")
    return scaling.copied(value, result, low, high)


def behind(value: ir.Value) -> ir.InsertionPoint:
    """Return the place right behind what makes a map."""
    owner = value.owner
    return ir.InsertionPoint.at_block_begin(owner) if isinstance(owner, ir.Block) else ir.InsertionPoint.after(owner)
