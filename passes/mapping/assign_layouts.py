"""assign-layouts: give each value its layout, the order in which its axes lie in memory.

    %y = accel.conv2d %x, %w {engine = "host", ..} : (tensor<1x3x32x32xi8>, ..) -> tensor<1x16x32x32xi8>
    ==>
    %y = accel.conv2d %x, %w {engine = "host", ..} : (tensor<1x3x32x32xi8>, ..) -> tensor<1x16x32x32xi8, #nhwc>

with #nhwc = affine_map<(n, c, h, w) -> (n, h, w, c)>. Accelerators read and write the layouts that they can do, with
the fewest conversions (analysis/placement.py). A map that is needed in another layout as well is converted: by
`accel.convert_layout` on the host, or by a convolution on an accelerator that changes nothing but the layout; or its
layers run twice, once for each layout, where that is faster (analysis/recomputation.py). All other
maps inside the network have their channels innermost, which the host's convolutions read and write fastest. What others
see or reinterpret is row-major: inputs and outputs of the network, operands and results of a reshape or a call,
constants. Values that an element-wise layer of the host reads and writes in one sweep share one layout; one that must
be row-major makes all of them so, but those of accelerators. Every other layer of the host reads and writes any layout.

Stage    dispatched
Reads    shapes and uses of values; engines
Writes   the encoding of what layers produce: none for row-major, also where another layout is the same places;
         conversions
Needs    dispatch-engines before it: layouts are those of the engines
Fails    on a layer for which a plan has a tiling where it runs once more, and which does not
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import ClassVar

from mlir import ir
from mlir.dialects import func
from mlir.passmanager import ExternalPass

from htvm.backend.targets.jobs import Form, Layout
from htvm.backend.targets.soc import HOST, Accelerator, Soc
from htvm.dialects import accel, blocked_layout, inserted
from htvm.dialects.accel import FormKind, Purpose

from ..analysis import activations, conversion, layout, recomputation
from ..analysis.placement import ROW_MAJOR, Placement, Placing, must_be_nchw, wanted_layout
from ..analysis.ways import Way, named

NOT_AGAIN = "the plan has a tiling for where this layer runs once more, and it runs once: leave out its 'again'"


@dataclass(frozen=True)
class AssignLayouts:
    """Give maps the layouts that accelerators want; put channels innermost elsewhere, if nobody else sees it."""

    name: ClassVar[str] = "assign-layouts"
    stages: ClassVar[tuple[str, ...]] = ("dispatched",)

    target: Soc

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        with module.location:
            for function in accel.functions(module):
                accelerated = self.accelerated(function)
                found = self.placement(function) if accelerated else None
                given = layouts_of_accelerators(accelerated, found) if found else {}
                for values in tied(activations.layers(function), {accel.output(layer) for layer in accelerated}):
                    set_layout(values, given)
                if found:
                    twice = accelerated if accel.mapping(module) == accel.Mapping.DEFAULT else {}
                    self.convert(accelerated, found, given, twice)
                for layer in activations.layers(function):
                    if accel.AGAIN in layer.operation.attributes:
                        layer.location.emit_error(NOT_AGAIN)
                        this_pass.signal_pass_failure()

    def accelerated(self, function: func.FuncOp) -> dict[accel.Layer, Accelerator]:
        """Return the layers that accelerators run."""
        engines = {engine.name: engine for engine in self.target.accelerators}
        layers = activations.layers(function)
        return {layer: engines[name] for layer in layers if (name := engine_of(layer)) in engines}

    def placement(self, function: func.FuncOp) -> Placement:
        """Return the layouts of least cost for the engines that the layers name."""
        layers = activations.layers(function)
        ways: dict[ir.Value, list[Way]] = {
            accel.output(each): [named(self.target, each, engine_of(each))] for each in layers
        }
        return accel.present(Placing(self.target, function, ways).solve(inf), "placement")

    def convert(
        self,
        accelerated: Mapping[accel.Layer, Accelerator],
        found: Placement,
        given: Mapping[ir.Value, Layout],
        twice: Mapping[accel.Layer, Accelerator],
    ) -> None:
        """Let each map be made in the other layout where an accelerator wants it. twice: layers that may run again."""
        converted: dict[ir.Value, ir.Value] = {}
        for layer, wanted in self.readers(accelerated, found, given):
            for value in layer.operation.operands:
                if value in found.converted and given.get(value, wanted) != wanted:
                    if value not in converted:
                        converted[value] = self.other_layout(value, wanted, twice, given, layer)
                    replace_operand(layer, value, converted[value])

    def other_layout(
        self,
        value: ir.Value,
        wanted: Layout,
        twice: Mapping[accel.Layer, Accelerator],
        given: Mapping[ir.Value, Layout],
        reader: ir.OpView,
    ) -> ir.Value:
        """Return a map in the layout `wanted`: converted, or made once more where that is faster."""
        fastest = conversion.fastest(self.target, value, wanted)
        again = recomputation.layers_again(self.target, value, wanted, twice, given)
        if again is not None and recomputation.cycles(self.target, again) < fastest.cycles:
            return recomputation.run_again(again, wanted)
        with conversion.behind(value), (accel.producer(value) or reader).location:
            conversion_layer = conversion.made(value, wanted, fastest.engine)
        inserted.mark(conversion_layer, Purpose.CONVERT_LAYOUT)
        return accel.output(conversion_layer)

    def readers(
        self, accelerated: Mapping[accel.Layer, Accelerator], found: Placement, given: Mapping[ir.Value, Layout]
    ) -> Iterator[tuple[ir.OpView, Layout]]:
        """Yield what reads maps in one layout only, and which."""
        for layer, engine in accelerated.items():
            # What has no layout given is in the same places in both.
            yield layer, wanted_layout(layer, engine, given.get(accel.output(layer), Layout.NCHW))
        for value in found.converted:
            for use in list(value.uses):
                if isinstance(use.owner.opview, (*ROW_MAJOR, func.ReturnOp)):
                    yield use.owner.opview, Layout.NCHW


def engine_of(layer: accel.Layer) -> str:
    """Return the engine that runs a layer: the host, if it names none."""
    return HOST if layer.engine is None else accel.engine(layer)


def layouts_of_accelerators(accelerated: Mapping[accel.Layer, Accelerator], found: Placement) -> dict[ir.Value, Layout]:
    """Return the layouts of the maps that accelerators read and write."""
    touched = {value for layer in accelerated for value in (*activations.read_by(layer), accel.output(layer))}
    return {value: chosen for value, chosen in found.layouts.items() if value in touched}


def set_layout(values: list[ir.Value], given: Mapping[ir.Value, Layout]) -> None:
    """Give values their layouts: those that are given, and one for all others, row-major if it must be for one."""
    free = [value for value in values if value not in given]
    fixed = [given[value] for value in values if value in given]
    is_plain = any(must_be_row_major(value) for value in free) or (bool(fixed) and fixed[0] != Layout.NHWC)
    for value in values:
        wanted = given.get(value, Layout.NCHW if is_plain else Layout.NHWC)
        if activations.is_argument(value):
            continue
        if wanted == Layout.BLOCKED:
            value.set_type(blocked_layout.in_blocks(ir.RankedTensorType(value.type), block_read(value)))
        else:
            recomputation.set_layout(value, wanted)


def block_read(value: ir.Value) -> int:
    """Return the channels of the blocks in which a map is read that lies in blocks."""
    forms = (Form.of(use.owner) for use in value.uses)
    return next(form.constants[0] for form in forms if form is not None and form.kind == FormKind.CHANNEL_BLOCKS)


def replace_operand(layer: ir.OpView, old: ir.Value, new: ir.Value) -> None:
    for number, operand in enumerate(layer.operation.operands):
        if operand == old:
            layer.operation.operands[number] = new


def tied(layers: Iterable[accel.Layer], apart: Collection[ir.Value]) -> list[list[ir.Value]]:
    """Return all activations in groups that share a layout, because an element-wise layer of the host ties them.

    apart: what layers on accelerators make.
    """
    group_of: dict[ir.Value, list[ir.Value]] = {}
    for layer in layers:
        merged: dict[ir.Value, None] = {}
        for value in [accel.output(layer)] if accel.output(layer) in apart else one_sweep(layer):
            merged.update(dict.fromkeys(group_of.get(value, [value])))
        group_of.update(dict.fromkeys(merged, list(merged)))
    return list({id(group): group for group in group_of.values()}.values())


def one_sweep(layer: accel.Layer) -> list[ir.Value]:
    """Return the output of a layer, and the activations whose elements it reads in the same places."""
    output = accel.output(layer)
    if not isinstance(layer, accel.ElementWise | accel.SoftmaxOp):
        return [output]
    shape = output.type.shape
    return [output, *(x for x in activations.read_by(layer) if ir.ShapedType(x.type).shape == shape)]


def must_be_row_major(value: ir.Value) -> bool:
    """Say whether a value has no channels to put innermost, or something takes it for a flat array."""
    return ir.ShapedType(value.type).rank != len(layout.NHWC) or must_be_nchw(value)
