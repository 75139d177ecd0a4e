"""Which layers make a map anew in its other layout, where that takes less than a conversion?

An accelerator that writes both layouts can run a layer twice, once for each. What adds maps element by element reads
them in the layout that it writes: their layers run twice as well, as far as no map is there in that layout.
"""

from __future__ import annotations

from collections.abc import Mapping

from mlir import ir

from htvm.backend.targets.jobs import Layout
from htvm.backend.targets.soc import Accelerator, Soc
from htvm.dialects import accel, inserted
from htvm.dialects.accel import Purpose

from . import activations, layout
from .placement import layouts_written
from .tiles import NAME
from .ways import named, price


def layers_again(
    soc: Soc,
    value: ir.Value,
    wanted: Layout,
    twice: Mapping[accel.Layer, Accelerator],
    given: Mapping[ir.Value, Layout],
) -> list[accel.Layer] | None:
    """Return the layers that make a map once more in the layout `wanted`, in order; None if they cannot.

    twice: the layers on accelerators that may run twice. given: the layouts of maps; what has none is in the
    same places in both.
    """
    layer = accel.producer(value)
    if layer is None or not accel.is_layer(layer) or layer not in twice:
        return None
    engine, way = twice[layer], named(soc, layer, accel.engine(layer))
    job = way.job(layer)
    if way.form is not None:
        return None
    if not job.is_element_wise:
        is_whole = wanted == Layout.NCHW or engine.most_outputs(job) >= job.outputs
        return [layer] if wanted in layouts_written(engine, job) and is_whole else None
    found: dict[accel.Layer, None] = {}
    for read in activations.read_by(layer):
        if given.get(read, wanted) == wanted:
            continue
        before = layers_again(soc, read, wanted, twice, given)
        if before is None:
            return None
        found |= dict.fromkeys(before)
    return [*found, layer]


def cycles(soc: Soc, layers: list[accel.Layer]) -> int:
    """Return what layers take once more, weights included."""
    return sum(price(soc, layer, named(soc, layer, accel.engine(layer))).cycles for layer in layers)


def run_again(layers: list[accel.Layer], wanted: Layout) -> ir.Value:
    """Insert layers once more behind the last one, where they write the layout `wanted`; return the last result."""
    made: dict[ir.Value, ir.Value] = {}
    with ir.InsertionPoint.after(layers[-1]):
        for layer in layers:
            copy = layer.operation.clone().opview
            assert accel.is_layer(copy)
            for number, operand in enumerate(layer.operation.operands):
                copy.operation.operands[number] = made.get(operand, operand)
            take_tiling_of_copy(layer, copy)
            inserted.mark(copy, Purpose.RUN_AGAIN)
            set_layout(accel.output(copy), wanted)
            made[accel.output(layer)] = accel.output(copy)
    return made[accel.output(layers[-1])]


def take_tiling_of_copy(layer: accel.Layer, copy: accel.Layer) -> None:
    """Give a layer that runs once more the tiling that a plan wants for that, not the one for the other layout."""
    attributes = copy.operation.attributes
    for name in (NAME, accel.AGAIN):
        if name in attributes:
            del attributes[name]
    if accel.AGAIN in layer.operation.attributes:
        attributes[NAME] = layer.operation.attributes[accel.AGAIN]
        del layer.operation.attributes[accel.AGAIN]


def set_layout(value: ir.Value, wanted: Layout) -> None:
    """Let a map lie in a layout."""
    shaped = ir.RankedTensorType(value.type)
    value.set_type(layout.with_axes(shaped, layout.NHWC if wanted == Layout.NHWC else range(shaped.rank)))
