"""Smaller modules of tosa out of a larger one: parts of its function, fewer channels, fewer rows and columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from mlir import ir
from mlir.dialects import func

from htvm.backend.files import write_file
from htvm.dialects.semantics import tosa
from htvm.dialects.semantics.tosa.functions import input_names, networks
from htvm.dialects.semantics.tosa.reading import bits, is_tosa, literal
from htvm.import_tosa import infer
from htvm.options import CompileOptions
from htvm.sources import INPUT, ModuleSource, bytecode
from htvm.verification.cuttable import Cut, Inputs, halves

WIDTHS = (8, 16, 32)
"""Bits of integers that a network can take as inputs."""

KERNELS = {"tosa.conv2d": (0, 3), "tosa.transpose_conv2d": (0, 3), "tosa.depthwise_conv2d": (None, 2)}
"""Layers with weights: the axes of these that are output and input channels."""


@dataclass(frozen=True)
class TosaFunction:
    """A module of tosa with one function and static shapes. It is never changed: cuts are copies of it."""

    module: ir.Module
    label: str

    @property
    def model(self) -> ModuleSource:
        """The module in a context of its own: a pass that fails within MLIR's leaves one that cannot be used again."""
        return ModuleSource(bytecode(self.module.operation), self.label)

    @cached_property
    def function(self) -> func.FuncOp:
        (found,) = networks(self.module)
        return found

    @cached_property
    def inputs(self) -> list[str]:
        return input_names(self.function)

    @cached_property
    def ops(self) -> list[ir.Operation]:
        """The operations of the function, the last of which returns the results."""
        return [op.operation for op in self.function.body.blocks[0]]

    @cached_property
    def named(self) -> dict[str, int]:
        """The operations whose results depend on inputs: their places, by names of their own.

        Several operations may have one name, as those of an operator of TFLite do: the last one of these keeps it.
        """
        names, depending = tosa.names_of(self.function), set[ir.Value](self.function.arguments)
        last = {name: op for op, name in names.items()}
        found: dict[str, int] = {}
        for place, op in enumerate(self.ops[:-1]):
            if depending.intersection(op.operands) and len(op.results) == 1:
                depending.update(op.results)
                name = names[op]
                is_own = last[name] == op and name not in self.inputs
                found[name if is_own else f"{name}/{op.name.rpartition('.')[2]}_{place}"] = place
        return found

    @property
    def suffix(self) -> str:
        return ".mlir"

    @property
    def size(self) -> int:
        return len(self.named)

    def options(self, options: CompileOptions, inputs: Inputs | None) -> CompileOptions:
        """Leave out what was done to the module before it was cut: passes at the input, shapes, rounding."""
        passes = {stage: each for stage, each in options.passes.items() if stage != INPUT}
        return replace(options, passes=passes, shapes={}, tflite_rounding=False, function=None)

    def values(self, inputs: Inputs) -> dict[str, np.ndarray]:
        made: dict[ir.Operation, np.ndarray] = {}
        tosa.interpret(self.function, [inputs[name] for name in self.inputs], made.__setitem__)
        results = {name: self.ops[place] for name, place in self.named.items()}
        return {
            name: made[op].astype(f"i{(bits(op.results[0]) or 0) // 8}")
            for name, op in results.items()
            if op in made and bits(op.results[0]) in WIDTHS
        }

    def part(self, known: Inputs, output: str, inputs: Inputs) -> Cut:
        copy = self._copy()
        function, ops, names = copy.function, copy.ops, [*copy.inputs]
        with function.location:
            for name in known:
                if name != output:
                    value = ops[self.named[name]].results[0]
                    argument = function.body.blocks[0].add_argument(value.type, function.location)
                    value.replace_all_uses_with(argument)
                    names.append(name)
            result = ops[self.named[output]].results[0]
            with ir.InsertionPoint(ops[-1]):
                func.ReturnOp([result])
            for op in reversed(ops):
                if not any(True for each in op.results for _ in each.uses):
                    op.erase()
            used = _keep_used(function, names, [result.type])
        given = {**inputs, **known}
        return TosaFunction(copy.module, copy.label), {name: given[name] for name in used}

    def fewer_channels(self, inputs: Inputs) -> Iterator[Cut]:
        layers = [op for op in self.ops if op.name in KERNELS]
        if len(layers) == 1 and KERNELS[layers[0].name][0] is not None:
            weights = layers[0].operands[1]
            channels = ir.ShapedType(weights.type).shape[0]
            for half in halves(channels):
                yield self._resized(inputs, channels, half, {weights: 0}, -1)

    def smaller_inputs(self, inputs: Inputs) -> Iterator[Cut]:
        for axis in (3, 1, 2):
            sizes = {array.shape[axis] for array in inputs.values() if array.ndim == 4}
            if len(sizes) != 1:
                continue
            (size,) = sizes
            layers = [op for op in self.ops if op.name in KERNELS and axis == 3]
            weights = {op.operands[1]: KERNELS[op.name][1] for op in layers}
            stays = any(KERNELS[op.name][0] is not None for op in layers)  # the number of outputs
            for half in halves(size):
                part = (slice(None),) * axis + (half,)
                fewer = {name: array[part] if array.ndim == 4 else array for name, array in inputs.items()}
                yield self._resized(fewer, size if axis == 3 else None, half, weights, None if stays else -1)

    def any_inputs(self) -> Inputs:
        types = (ir.ShapedType(argument.type) for argument in self.function.arguments)
        return {
            name: np.ones(kind.shape, f"i{ir.IntegerType(kind.element_type).width // 8}")
            for name, kind in zip(self.inputs, types)
        }

    def write(self, path: Path) -> None:
        write_file(path, self.module.operation.get_asm(enable_debug_info=True))

    def _copy(self) -> TosaFunction:
        return TosaFunction(ir.Module.parse(bytecode(self.module.operation), self.module.context), self.label)

    def _resized(
        self,
        inputs: Inputs,
        channels: int | None,
        half: slice,
        weights: Mapping[ir.Value, int | None],
        other: int | None,
    ) -> Cut:
        """Return the function for inputs of other sizes.

        channels: how many there were, of which constants keep the given half; None: of rows or columns nothing is
        constant. weights, other: the axis of channels of weights and of other constants; None for what stays as it is.
        """
        copy = self._copy()
        axes = {ir.OpResult(value).owner.operation: axis for value, axis in weights.items()}
        for old, new in zip(self.ops, copy.ops):
            numbers = literal(old)
            axis = axes.get(old, other)
            if numbers is None or channels is None or axis is None or not numbers.ndim:
                continue
            if old.name == "tosa.const_shape":
                if np.count_nonzero(numbers == channels) == 1:
                    _replace(new, np.where(numbers == channels, -1, numbers))
            elif numbers.shape[axis] == channels:
                _replace(new, np.moveaxis(np.moveaxis(numbers, axis, 0)[half], 0, axis))
        with copy.function.location:
            fits = copy._fits(inputs)
        return (TosaFunction(copy.module, copy.label), inputs) if fits else (None, {})

    def _fits(self, inputs: Inputs) -> bool:
        """Give the arguments the shapes of inputs, and infer all others; return whether the function is valid then."""
        for name, argument in zip(self.inputs, self.function.arguments):
            argument.set_type(ir.RankedTensorType.get(inputs[name].shape, _element(argument)))
        for op in [each.operation for each in self.function.body.blocks[0]][:-1]:
            if not is_tosa(op):
                return False
            if literal(op) is None:
                (result,) = op.results
                open_ = [ir.ShapedType.get_dynamic_size()] * ir.ShapedType(result.type).rank
                result.set_type(ir.RankedTensorType.get(open_, _element(result)))
        wrong: list[ir.Operation] = []

        def observe(op: ir.Operation, result: np.ndarray) -> None:
            if list(result.shape) != list(ir.ShapedType(op.results[0].type).shape):
                wrong.append(op)

        try:
            infer(self.function)
            self.module.operation.verify()
            tosa.interpret(self.function, [inputs[name] for name in self.inputs], observe)
        except (ir.MLIRError, ValueError, IndexError):
            return False
        return not wrong


def _element(value: ir.Value) -> ir.Type:
    return ir.ShapedType(value.type).element_type


def _replace(op: ir.Operation, numbers: np.ndarray) -> None:
    """Put a constant with other numbers in the place of one."""
    with op.context, op.location, ir.InsertionPoint(op):
        element = ir.IndexType.get() if op.name == "tosa.const_shape" else _element(op.results[0])
        kind = ir.RankedTensorType.get(numbers.shape, element)
        listed = str(numbers.astype(bool).tolist()).lower() if str(element) == "i1" else str(numbers.tolist())
        values = ir.Attribute.parse(f"dense<{listed}> : {kind}")
        result = op.results[0].type if op.name == "tosa.const_shape" else kind
        made = ir.Operation.create(op.name, results=[result], attributes={"values": values})
    op.results[0].replace_all_uses_with(made.result)
    op.erase()


def _keep_used(function: func.FuncOp, names: Sequence[str], results: Sequence[ir.Type]) -> list[str]:
    """Drop arguments that nothing reads, say what the others are called, and return these names."""
    block, attributes = function.body.blocks[0], function.attributes
    stated = list(ir.ArrayAttr(attributes["arg_attrs"])) if "arg_attrs" in attributes else []
    facts = [{each.name: each.attr for each in ir.DictAttr(entry)} for entry in stated]
    kept: list[tuple[str, ir.Attribute]] = []
    for place, name in reversed(list(enumerate(names))):
        if any(True for _ in block.arguments[place].uses):
            known = facts[place] if place < len(facts) else {}
            kept.insert(0, (name, ir.DictAttr.get({**known, "accel.name": ir.StringAttr.get(name)})))
        else:
            block.erase_argument(place)
    types = ir.FunctionType.get([argument.type for argument in block.arguments], list(results))
    attributes["function_type"] = ir.TypeAttr.get(types)
    attributes["arg_attrs"] = ir.ArrayAttr.get([each for _, each in kept])
    for key in ("res_attrs", "tf.entry_function"):
        if key in attributes:
            del attributes[key]
    return [name for name, _ in kept]
