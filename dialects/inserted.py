"""Layers that no node of the ONNX file asks for: which pass has inserted each, and for what."""

from __future__ import annotations

from math import log2

from mlir import ir

from .quantisation import Quantisation
from .text_enum import TextEnum

ATTRIBUTE = "accel.inserted"
"""On an inserted layer, and on the first launch of it: one of Inserted."""

SCALES_ATTRIBUTE = "accel.refitted_scales"
"""On a layer inserted by refit-scales, and on the first launch of it: its quantised element types, before and after."""

ATTRIBUTES = (ATTRIBUTE, SCALES_ATTRIBUTE)


class Inserted(TextEnum):
    """What a layer was inserted for."""

    CONVERT_LAYOUT = "convert_layout"
    LEGALIZE_CONV = "legalize_conv"
    REFIT_SCALES = "refit_scales"
    SPLIT_CLAMP = "split_clamp"
    TRANSPOSE_SPATIAL_DIMS = "transpose_spatial_dims"


TEXTS = {
    Inserted.CONVERT_LAYOUT: "the layout that the engine of the next layer reads",
    Inserted.LEGALIZE_CONV: "the squares of four pixels of which one is read with strides 2x2, as channels",
    Inserted.REFIT_SCALES: "for --requant pow2",
    Inserted.SPLIT_CLAMP: "cuts off the sum of the layer before, which an accelerator makes without a clip",
    Inserted.TRANSPOSE_SPATIAL_DIMS: "rows and columns are turned for an accelerator",
}


def mark(layer: ir.OpView, purpose: Inserted) -> None:
    """Note that no node asks for a layer, and what it is for."""
    layer.operation.attributes[ATTRIBUTE] = ir.StringAttr.get(purpose)


def mark_refitted(layer: ir.OpView, before: ir.Type, after: ir.Type) -> None:
    """Note that a layer brings a map from one quantised element type to another."""
    mark(layer, Inserted.REFIT_SCALES)
    types = [ir.TypeAttr.get(each) for each in (before, after)]
    layer.operation.attributes[SCALES_ATTRIBUTE] = ir.ArrayAttr.get(types)


def copy(source: ir.OpView, target: ir.OpView) -> None:
    """Note of a layer what is noted of the one that it replaces."""
    for name in ATTRIBUTES:
        if name in source.operation.attributes:
            target.operation.attributes[name] = source.operation.attributes[name]


def purpose(op: ir.OpView | ir.Operation) -> Inserted | None:
    """Return what a layer, or its first launch, is for that no node asks for; None for one of the network's own."""
    attributes = op.operation.attributes
    return Inserted(ir.StringAttr(attributes[ATTRIBUTE]).value) if ATTRIBUTE in attributes else None


def text(op: ir.OpView | ir.Operation) -> str | None:
    """Return what an inserted layer is for, for a reader; None for one of the network's own."""
    found = purpose(op)
    if found is None or SCALES_ATTRIBUTE not in op.operation.attributes:
        return TEXTS[found] if found else None
    types = ir.ArrayAttr(op.operation.attributes[SCALES_ATTRIBUTE])
    before, after = (_quantisation(ir.TypeAttr(each).value) for each in types)
    return f"{TEXTS[found]}: {before} -> {after}"


def _quantisation(element: ir.Type) -> str:
    """Return the scale and the zero point of a quantised type of one scale."""
    found = Quantisation.of(element)
    assert found is not None, element
    power = log2(found.scale)
    scale = f"2^{power:.0f}" if power.is_integer() else f"{float(found.scale):.3g}"
    return f"scale {scale}, zero point {found.zero_point}"
