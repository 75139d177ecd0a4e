"""bufferize-layers: let every layer write a buffer in memory.

    %w = arith.constant dense<..> : tensor<16x3x3x3xi8>
    %y = accel.conv2d %x, %w {..} : (tensor<1x3x32x32xi8>, ..) -> tensor<1x16x32x32xi8, #nhwc>
    ==>
    %w = memref.get_global @conv0_weights : memref<16x3x3x3xi8, "ram">
    %y = accel.buffer "conv0" : memref<1x16x32x32xi8, strided<[16384, 1, 512, 16]>, "ram">
    accel.conv2d %x, %w into %y {..} : (..) -> ()

Results of the function become its last arguments, marked `accel.result`, and the layer that makes one writes
there. A result that no layer can write, because it is an argument, a constant or another result too, is
copied by a reshape that changes nothing. A reshape is a copy at most: none where the planner puts both
buffers in one place. What only gives an input of the network other axes, a reshape or a transpose to the layout that it
has in memory, is a view.

Stage    scheduled -> tiled
Reads    layouts of values; `accel.memory` of layers; the target's memories for activations and constants
Writes   the function's signature, every op; `accel.inserted` of copies of results; a `memref.global` for each
         different constant, named after the node that reads it first
Needs    order-layers before it: the order of the layers is the order of execution from here on
Fails    on an op that is neither a layer nor a constant; on a copy that no engine makes
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mlir import ir
from mlir.dialects import arith, func, memref
from mlir.passmanager import ExternalPass

from htvm.backend.targets.soc import Soc
from htvm.backend.targets.violations import Violation, text_by_engine
from htvm.dialects import accel, inserted
from htvm.dialects.accel import Purpose

from ..analysis import activations, layout
from ..analysis.names import Names, identifier

if TYPE_CHECKING:
    from typing_extensions import TypeIs


@dataclass(frozen=True)
class BufferizeLayers:
    """Replace tensors by buffers, constants by globals, results by arguments."""

    name: ClassVar[str] = "bufferize-layers"
    stages: ClassVar[tuple[str, ...]] = ("scheduled",)

    target: Soc

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        with module.location:
            functions = list(accel.functions(module))
            strangers = [op for function in functions for op in operations(function)[:-1] if not is_known(op)]
            for op in strangers:
                op.location.emit_error(unknown_operation(op))
                this_pass.signal_pass_failure()
            if strangers:
                return
            constants = Globals(module, self.target.constants_in)
            for function in functions:
                for copy in self.bufferize(function, constants):
                    violations = {engine.name: engine.violations(copy) for engine in self.target.engines}
                    legal = [engine for engine, broken in violations.items() if not broken]
                    if legal:
                        copy.engine = ir.StringAttr.get(legal[0])
                    else:
                        copy.location.emit_error(no_copier(self.target, violations))
                        this_pass.signal_pass_failure()

    def bufferize(self, function: func.FuncOp, constants: Globals) -> list[accel.ReshapeOp]:
        """Rewrite one function; return the copies that its results need, which have no engine yet."""
        *old, old_return = operations(function)
        returned = list(old_return.operands)
        results = move_results_to_arguments(function, self.target.arena_memory)
        place: dict[ir.Value, ir.Value] = {argument: argument for argument in function.arguments}
        # Of several results that are one value the first is written: it is set last.
        place |= {value: result for value, result in reversed([*zip(returned, results, strict=True)]) if is_made(value)}

        for layer in old:
            if not accel.is_layer(layer):
                continue
            if is_view(layer):
                with ir.InsertionPoint(layer), layer.location:
                    place[accel.output(layer)] = view(place[layer.input], accel.output(layer).type)
                continue
            with ir.InsertionPoint(layer), layer.location:
                operands = [place.get(value) or constants.get(value, layer) for value in layer.operands]
                output = accel.output(layer)
                if output not in place:
                    memref_type = layout.memref(output.type, memory_of(layer, self.target))
                    place[output] = accel.BufferOp(memref_type, accel.node(layer)).memref
                write_into(layer, operands, scratch(layer, self.target.arena_memory), place[output])

        copies: list[accel.ReshapeOp] = []
        with ir.InsertionPoint(old_return), old_return.location:
            for value, result in zip(returned, results, strict=True):
                source = place.get(value) or constants.get(value, old_return)
                if source != result:
                    copies.append(accel.ReshapeOp(None, source, out=result))
                    inserted.mark(copies[-1], Purpose.COPY_RESULT)
            func.ReturnOp([])
        for op in reversed([*old, old_return]):
            op.operation.erase()
        return copies


def is_view(layer: accel.Layer) -> TypeIs[accel.TransposeOp | accel.ReshapeOp]:
    """Say whether a layer only gives an input of the network other axes: its bytes are read where they are."""
    if not isinstance(layer, accel.TransposeOp | accel.ReshapeOp) or not activations.is_argument(layer.input):
        return False
    result = accel.output(layer)
    if activations.is_returned(result) or accel.attribute(layer, accel.MEMORY, ir.StringAttr) is not None:
        return False
    if isinstance(layer, accel.TransposeOp):
        return layout.same_bytes(list(layer.permutation), layer.input.type, result.type)
    return layout.is_row_major(layer.input.type) and layout.is_row_major(result.type)


def view(source: ir.Value, wanted: ir.Type) -> ir.Value:
    """Return the memory of a value with the axes of a tensor type, at the insertion point."""
    shape, steps = list(ir.ShapedType(wanted).shape), list(layout.strides(wanted))
    strided = layout.memref(wanted, layout.memory_of(source.type))
    if strided.layout != ir.StridedLayoutAttr.get(0, steps):  # row-major, which a view must say as well
        strided = ir.MemRefType.get(shape, strided.element_type, None, strided.memory_space)
    return memref.ReinterpretCastOp(
        strided, source, [], [], [], static_offsets=[0], static_sizes=shape, static_strides=steps
    ).result


class Globals:
    """The constants of a module: one global for each different one, in a memory."""

    def __init__(self, module: ir.Operation, memory: str) -> None:
        top_level = list(module.regions[0].blocks[0])
        self.memory = memory
        self.first = top_level[0] if top_level else None
        self.names = Names(module)
        self.named: dict[ir.Attribute, str] = {}

    def get(self, constant: ir.Value, reader: ir.OpView) -> ir.Value:
        """Return the memref of a constant, for `reader`, at the insertion point."""
        source = accel.producer(constant)
        assert isinstance(source, arith.ConstantOp) and self.first is not None, constant
        elements = source.value
        memref_type = layout.memref(constant.type, self.memory)
        if elements not in self.named:
            name = self.names.free(identifier(f"{accel.node(reader)}_{role(constant, reader)}"))
            self.named[elements] = name
            with ir.InsertionPoint(self.first):
                memref.GlobalOp(name, memref_type, sym_visibility="private", initial_value=elements, constant=True)
        return memref.GetGlobalOp(memref_type, self.named[elements]).result


def move_results_to_arguments(function: func.FuncOp, memory: str) -> list[ir.BlockArgument]:
    """Make the arguments memrefs and return new ones for the results, which keep their attributes."""
    entry = function.body.blocks[0]
    kept = activations.attributes_of_arguments(function)
    moved = activations.attributes_of(function, "res_attrs", len(function.type.results))
    for argument in function.arguments:
        argument.set_type(layout.memref(argument.type, memory))
    results = [entry.add_argument(layout.memref(each, memory), function.location) for each in function.type.results]
    moved = [each | {"accel.result": ir.UnitAttr.get()} for each in moved]
    function.attributes["function_type"] = ir.TypeAttr.get(ir.FunctionType.get([x.type for x in entry.arguments], []))
    function.attributes["arg_attrs"] = ir.ArrayAttr.get([ir.DictAttr.get(each) for each in kept + moved])
    if "res_attrs" in function.attributes:
        del function.attributes["res_attrs"]
    return results


def scratch(layer: accel.Layer, memory: str) -> list[ir.Value]:
    """Return a new buffer of the bytes that the layer's kernel needs beside its operands; nothing if none."""
    size_bytes = activations.scratch_bytes(layer)
    if not size_bytes:
        return []
    i8 = ir.IntegerType.get_signless(8)
    memref_type = ir.MemRefType.get([size_bytes], i8, memory_space=ir.StringAttr.get(memory))
    return [accel.BufferOp(memref_type, f"{accel.node(layer)} scratch").memref]


def write_into(layer: accel.Layer, operands: list[ir.Value], scratch: list[ir.Value], destination: ir.Value) -> None:
    """Make the same layer on memrefs, writing `destination`, at the insertion point."""
    attributes = dict(layer.operation.attributes.items())
    attributes.pop(accel.MEMORY, None)
    segments = attributes.get("operandSegmentSizes")
    if segments is not None:
        sizes = [
            *list(ir.DenseI32ArrayAttr(segments))[:-1],
            1,
        ]  # the last is `into`, the one before, if there is any, `scratch`
        if scratch:
            sizes[-2] = 1
        attributes["operandSegmentSizes"] = ir.DenseI32ArrayAttr.get(sizes)
    regions = layer.operation.regions
    made = ir.Operation.create(
        layer.operation.name,
        operands=[*operands, *scratch, destination],
        attributes=attributes,
        regions=len(regions),
    )
    for inside, body in zip(made.regions, regions, strict=True):  # of fused layers: it stays on tensors
        for block in list(body):
            block.append_to(inside)


def memory_of(layer: accel.Layer, target: Soc) -> str:
    """Return the memory that a layer's result is in: the host's, if choose-tilings has not named another."""
    memory = accel.attribute(layer, accel.MEMORY, ir.StringAttr)
    return target.arena_memory if memory is None else memory.value


def operations(function: func.FuncOp) -> list[ir.OpView]:
    return list(function.body.blocks[0])


def is_known(op: ir.OpView) -> bool:
    return accel.is_layer(op) or isinstance(op, arith.ConstantOp)


def is_made(value: ir.Value) -> bool:
    """Say whether a layer makes the value."""
    return not activations.is_argument(value) and not activations.is_constant(value)


def role(constant: ir.Value, reader: ir.OpView) -> str:
    """Return what a constant is to the op that reads it, as a noun."""
    roles = {getattr(reader, name): name for name in ("weights", "bias", "table") if getattr(reader, name, None)}
    return roles.get(constant, "constant")


def unknown_operation(op: ir.OpView) -> str:
    """Say that `op` cannot become an operation on memory."""
    return f"'{op.operation.name}' has no form on buffers; expected layers of the accel dialect and constants"


def no_copier(target: Soc, violations: Mapping[str, Sequence[Violation]]) -> str:
    """Report that a result must be copied, and why no engine of `target` does it."""
    reasons = text_by_engine(violations)
    return f"a result must be copied, and no engine of target '{target.name}' runs 'accel.reshape'\n{reasons}"
