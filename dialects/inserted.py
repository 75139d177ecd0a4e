"""Layers that no node of the ONNX file asks for: which pass has inserted each, and for what."""

from __future__ import annotations

from math import log2

from mlir import ir

from . import accel
from .accel import Purpose
from .quantisation import Quantisation

ATTRIBUTE = "accel.inserted"
"""On an inserted layer, and on the first launch of it: an InsertedAttr."""

TEXTS = {
    Purpose.CONVERT_LAYOUT: "the layout that the engine of the next layer reads",
    Purpose.COPY_RESULT: "a result of the network that is an input, a constant or another result as well",
    Purpose.KEEP_ROWS: "the rows that the next patch of rows begins with",
    Purpose.LEGALIZE_CONV: "the squares of four pixels of which one is read with strides 2x2, as channels",
    Purpose.REFIT_SCALES: "for --requant pow2",
    Purpose.RUN_AGAIN: "the layer before once more, for the layout that the engine of the next layer reads",
    Purpose.SPLIT_CLAMP: "cuts off the sum of the layer before, which an accelerator makes without a clip",
    Purpose.SPLIT_ROUNDING: "rounding in two steps, as two layers that round once for an accelerator",
    Purpose.TRANSPOSE_SPATIAL_DIMS: "rows and columns are turned for an accelerator",
}


def mark(layer: ir.OpView, purpose: Purpose) -> None:
    """Note that no node asks for a layer, and what it is for."""
    layer.operation.attributes[ATTRIBUTE] = accel.InsertedAttr.get(purpose=purpose)


def mark_refitted(layer: ir.OpView, before: ir.Type, after: ir.Type) -> None:
    """Note that a layer brings a map from one quantised element type to another."""
    layer.operation.attributes[ATTRIBUTE] = accel.InsertedAttr.get(
        purpose=Purpose.REFIT_SCALES, before=ir.TypeAttr.get(before), after=ir.TypeAttr.get(after)
    )


def copy(source: ir.OpView, target: ir.OpView) -> None:
    """Note of a layer what is noted of the one that it replaces."""
    if ATTRIBUTE in source.operation.attributes:
        target.operation.attributes[ATTRIBUTE] = source.operation.attributes[ATTRIBUTE]


def attribute(op: ir.OpView | ir.Operation) -> accel.InsertedAttr | None:
    """Return what says that no node asks for a layer, or for the layer of a first launch."""
    return accel.attribute(op, ATTRIBUTE, accel.InsertedAttr)


def purpose(op: ir.OpView | ir.Operation) -> Purpose | None:
    """Return what a layer, or its first launch, is for that no node asks for; None for one of the network's own."""
    stated = attribute(op)
    return stated.purpose if stated else None


def text(op: ir.OpView | ir.Operation) -> str | None:
    """Return what an inserted layer is for, for a reader; None for one of the network's own."""
    stated = attribute(op)
    if stated is None:
        return None
    what = TEXTS[stated.purpose]
    if stated.before is None or stated.after is None:
        return what
    before, after = (_quantisation(each.value) for each in (stated.before, stated.after))
    return f"{what}: {before} -> {after}"


def _quantisation(element: ir.Type) -> str:
    """Return the scale and the zero point of a quantised type of one scale."""
    found = Quantisation.of(element)
    assert found is not None, element
    power = log2(found.scale)
    scale = f"2^{power:.0f}" if power.is_integer() else f"{float(found.scale):.3g}"
    return f"scale {scale}, zero point {found.zero_point}"
