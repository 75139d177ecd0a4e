"""A layer as plain data, so that it can be edited, and as a function of its own, so that engines can be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from mlir import ir
from mlir.dialects import func

from htvm.dialects import accel, quantisation
from htvm.dialects.semantics import value_ranges
from htvm.dialects.semantics.value_ranges import Range

POOLING = ("kind", "kernel", "strides", "pads", "dilations", "count_include_pad", "counts", "operandSegmentSizes")


@dataclass(frozen=True)
class FeatureMap:
    """A tensor that a layer reads or makes: its element type as MLIR prints it, and the integers that it can hold."""

    shape: tuple[int, ...]
    element: str
    range: Range

    @staticmethod
    def of(value: ir.Value) -> FeatureMap | None:
        """Return what is known of a value of integers; None for one of something else."""
        held, shaped = value_ranges.held(value), ir.ShapedType(value.type)
        return None if held is None else FeatureMap(tuple(shaped.shape), str(shaped.element_type), held)

    def type(self) -> ir.RankedTensorType:
        return quantisation.tensor(list(self.shape), ir.Type.parse(self.element))


@dataclass(frozen=True, eq=False)
class LayerSpec:
    """A conv2d, dense, add or pool2d of stage 'integer'. inputs: the maps it reads, computed weights as the second.

    weights: integers [K, C / groups, R, S] or [K, C]; None if they are computed, or there are none. pooling: the
    attributes of a pool2d, but `requant`.
    """

    op: type[ir.OpView]
    inputs: tuple[FeatureMap, ...]
    output: FeatureMap
    weights: np.ndarray | None = None
    requant: accel.RequantAttr | None = None
    rescale: accel.RescaleAttr | None = None
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)
    groups: int = 1
    pad_value: int = 0
    pooling: Mapping[str, ir.Attribute] | None = None

    @staticmethod
    def of(layer: accel.Layer) -> LayerSpec | None:
        """Return a layer as plain data; None for an op of another kind, or on something else than integers."""
        if not isinstance(layer, accel.Weighted | accel.AddOp | accel.Pool2dOp):
            return None
        values = [layer.lhs, layer.rhs] if isinstance(layer, accel.AddOp) else [layer.input]
        weights = quantisation.stored(layer.weights) if isinstance(layer, accel.Weighted) else None
        if isinstance(layer, accel.Weighted) and weights is None:
            values.append(layer.weights)
        inputs = [known for value in values if (known := FeatureMap.of(value)) is not None]
        output = FeatureMap.of(accel.output(layer))
        if output is None or len(inputs) < len(values):
            return None
        found = LayerSpec(type(layer), tuple(inputs), output, weights, layer.requant)
        if isinstance(layer, accel.Pool2dOp):
            attributes = layer.operation.attributes
            return replace(found, pooling={name: attributes[name] for name in attributes if name in POOLING})
        if not isinstance(layer, accel.Conv2dOp):
            return found
        (rows, columns), (top, left, bottom, right), (down, across) = layer.strides, layer.pads, layer.dilations
        return replace(
            found,
            rescale=layer.rescale,
            strides=(rows, columns),
            pads=(top, left, bottom, right),
            dilations=(down, across),
            groups=layer.groups.value,
            pad_value=layer.pad_value.value if layer.pad_value is not None else 0,
        )

    @property
    def is_conv2d(self) -> bool:
        return self.op is accel.Conv2dOp

    @property
    def kernel(self) -> tuple[int, int]:
        """The rows and columns of the kernel; (1, 1) for what has none."""
        if not self.is_conv2d:
            return 1, 1
        _, _, rows, columns = self.inputs[-1].shape if self.weights is None else self.weights.shape
        return rows, columns

    def resized(self) -> LayerSpec:
        """Return the same layer with the size that its result then has. Raises ValueError if there is none."""
        if not self.is_conv2d:
            return self
        images, _, *size = self.inputs[0].shape
        sides = [
            (size[axis] + self.pads[axis] + self.pads[axis + 2] - self.dilations[axis] * (self.kernel[axis] - 1) - 1)
            // self.strides[axis]
            + 1
            for axis in (0, 1)
        ]
        if min(sides) < 1:
            raise ValueError(f"nothing is left of a map of {size}")
        outputs = self.output.shape[1] if self.weights is None else len(self.weights)
        return replace(self, output=replace(self.output, shape=(images, outputs, *sides)))

    def as_module(self) -> ir.Module:
        """Return a module with a function that has the layer and nothing else; needs a current context."""
        with ir.Location.unknown():
            module = ir.Module.create()
            with ir.InsertionPoint(module.body):
                made = func.FuncOp("layer", ([each.type() for each in self.inputs], [self.output.type()]))
            ranges = [{"accel.range": ir.DenseI64ArrayAttr.get(list(each.range))} for each in self.inputs]
            made.attributes["arg_attrs"] = ir.ArrayAttr.get([ir.DictAttr.get(each) for each in ranges])
            with ir.InsertionPoint(made.add_entry_block()):
                func.ReturnOp([self._layer(list(made.arguments)).results[0]])
        return module

    def _layer(self, inputs: list[ir.Value]) -> ir.OpView:
        """Build the layer at the insertion point."""
        result = self.output.type()
        if self.op is accel.AddOp:
            return accel.AddOp(result, *inputs, requant=self.requant)
        if self.pooling is not None:
            requant = {} if self.requant is None else {"requant": self.requant}
            name, attributes = self.op.OPERATION_NAME, {**self.pooling, **requant}
            return ir.Operation.create(name, results=[result], operands=inputs, attributes=attributes).opview
        if self.weights is not None:
            narrow = -128 <= self.weights.min() and self.weights.max() <= 127
            inputs.append(quantisation.integers(self.weights.astype(np.int8 if narrow else np.int16)))
        if self.op is accel.DenseOp:
            return accel.DenseOp(result, *inputs, requant=self.requant)
        x, weights = inputs
        return accel.Conv2dOp(
            result,
            x,
            weights,
            self.strides,
            self.pads,
            self.dilations,
            self.groups,
            pad_value=self.pad_value,
            requant=self.requant,
            rescale=self.rescale,
        )


@dataclass(frozen=True)
class ModelEdit:
    """An edit of the model. effort: SAME_NUMBERS, REQUANTISE or RETRAIN. after: the layer as it is then.

    option: that of htvm which does it, if there is one.
    """

    description: str
    effort: str
    after: LayerSpec
    option: str | None = None


SAME_NUMBERS, REQUANTISE, RETRAIN = EFFORTS = ("same numbers", "requantise", "retrain")
"""What an edit asks of those who have the model: nothing but another file, new scales, or new weights."""
