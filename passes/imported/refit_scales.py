"""refit-scales: give layers scales that are powers of two, for engines that can only shift. Changes numbers.

    %y = accel.conv2d %x, %w bias %b {..}
        : (..x!quant.uniform<i8:f32, 0.0394:-128>, ..x!quant.uniform<i8:f32:0, {0.0051, 0.0021, ..}>, ..)
        -> ..x!quant.uniform<i8:f32, 0.0763:-128>
    ==>
    %y = accel.conv2d %x, %w2 bias %b2 {rounding = #accel.rounding<floor>, ..}
        : (..x!quant.uniform<i8<0:127>:f32, 0.0625>, ..x!quant.uniform<i8:f32, 0.015625>, ..)
        -> ..x!quant.uniform<i8<0:127>:f32, 0.125>

Only with `requant = pow2` in the module's `accel.options`: the numbers are no longer those of the ONNX file. Maps of
8 bits between layers get zero point 0, a power of two as scale, and the range -128..127, or 0..127 if none is
negative; both operands of an addition the same scale. Weights are rounded anew, with one scale for each layer.
Rounding is half up: half a step is in the bias, and results are rounded down. Where accelerators read unsigned maps
only, those have the range 0..255, with zero point 128 if some are negative. What the network takes and gives stays as
it is: where it has another scale, a table stands between, which rounds in the same way.

Stage    imported, fused
Reads    quantised types and constants of convolutions, dense layers, additions, average pools, and what only moves maps
Writes   the types of their results, their weights and biases, `rounding`; lookups at the network's ends
Needs    fuse-epilogues before it: every result is quantised
Fails    never: layers with other operands stay as they are
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import ceil, log2
from typing import ClassVar

import numpy as np
from mlir import ir
from mlir.dialects import func
from mlir.passmanager import ExternalPass

from htvm.backend.targets.soc import Soc
from htvm.dialects import accel, inserted, quantisation
from htvm.dialects.quantisation import Quantisation
from htvm.dialects.semantics.real import Real

from ..analysis import activations

MOVERS = (accel.ReshapeOp, accel.TransposeOp, accel.PadOp, accel.ConcatOp)
SUMS = (accel.AddOp, accel.Pool2dOp)

LARGEST = 127.5
"""What the largest value may be, in steps: half a step more than 127 is rounded to it, or saturates."""
LARGEST_UNSIGNED = 255.5
"""The same of unsigned maps that are nowhere negative."""
BIAS = Quantisation(32, True, -(2**31), 2**31 - 1, (1.0,), (0,))
"""The type of a bias, but for its scale."""
LARGEST_BIAS = 2.0**30
"""What the largest bias may be, in steps of the sum, which has 32 bits for the products as well."""


@dataclass(frozen=True)
class RefitScales:
    """Give the maps between layers, and their weights, scales that are powers of two."""

    name: ClassVar[str] = "refit-scales"
    stages: ClassVar[tuple[str, ...]] = ("imported",)

    target: Soc | None = None

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        if accel.numbers(module) != accel.Numbers.POW2:
            return
        for function in accel.functions(module):
            with function.location:
                Refit(function, self.target is not None and self.target.reads_unsigned).run()


@dataclass
class Refit:
    """A function whose scales are refitted. exponents: of two, the scale of each map, by the first map of its group."""

    function: func.FuncOp
    unsigned: bool = False
    group_of: dict[ir.Value, ir.Value] = field(default_factory=dict[ir.Value, ir.Value])
    exponents: dict[ir.Value, int] = field(default_factory=dict[ir.Value, int])
    weights: dict[ir.Value, int] = field(default_factory=dict[ir.Value, int])

    def run(self) -> None:
        found = [layer for layer in activations.layers(self.function) if self.is_refitted(layer)]
        layers = [with_bias(layer) for layer in found]
        ends = self.detach_ends(layers)
        maps = [value for layer in layers for value in (*self.inputs(layer), accel.output(layer))]
        self.group_of = {value: value for value in maps}
        for layer in layers:
            if isinstance(layer, (*MOVERS, accel.AddOp)):
                own = [*self.inputs(layer), *([accel.output(layer)] if isinstance(layer, MOVERS) else [])]
                for value in own[1:]:
                    self.join(own[0], value)
        for value in maps:
            first = self.first(value)
            self.exponents[first] = max(self.exponents.get(first, -1000), self.exponent(*real_range(value)))
        self.raise_results(layers)
        types = {value: self.type(value) for value in maps}
        for layer in layers:
            if isinstance(layer, accel.Weighted):
                self.refit_constants(layer)
            if isinstance(layer, accel.Pool2dOp):
                half = 2.0 ** self.exponents[self.first(accel.output(layer))] / 2
                layer.operation.attributes["offset"] = ir.FloatAttr.get_f64(half)
            if not isinstance(layer, MOVERS):
                layer.operation.attributes["rounding"] = accel.RoundingAttr.get(accel.Rounding.FLOOR)
        for value, refitted in types.items():
            value.set_type(ir.RankedTensorType.get(ir.ShapedType(value.type).shape, refitted.type()))
        for end in ends:
            tabulate(end)

    def is_refitted(self, layer: accel.Layer) -> bool:
        """Say whether a layer works on maps of 8 bits with one scale, and constants that can be rounded anew."""
        if not isinstance(layer, (accel.Weighted, *MOVERS, *SUMS)) or getattr(layer, "offset", None) is not None:
            return False
        if isinstance(layer, accel.Weighted) and (
            quantisation.stored(layer.weights) is None
            or (layer.bias is not None and quantisation.stored(layer.bias) is None)
        ):
            return False
        return all(is_map(value) for value in (*self.inputs(layer), accel.output(layer)))

    def inputs(self, layer: accel.Layer) -> list[ir.Value]:
        """Return the maps that a layer reads."""
        if isinstance(layer, accel.Weighted):
            return [layer.input]
        return list(dict.fromkeys(layer.operation.operands))

    def detach_ends(self, layers: list[accel.Layer]) -> list[accel.QuantizeOp]:
        """Put a quantize that changes nothing yet where a map has readers or a maker that keep its type."""
        block = self.function.body.blocks[0]
        made: set[ir.Value] = {accel.output(layer) for layer in layers}
        ends: list[accel.QuantizeOp] = []
        for value in dict.fromkeys(value for layer in layers for value in self.inputs(layer)):
            if value not in made:
                source = accel.producer(value)
                place = ir.InsertionPoint.after(source) if source else ir.InsertionPoint.at_block_begin(block)
                with place, (source or layers[0]).location:
                    ends.append(redirect([use for use in value.uses if makes(use, made)], value))
        for layer in layers:
            others = [use for use in accel.output(layer).uses if not makes(use, made)]
            if others and not all(isinstance(use.owner.opview, accel.SoftmaxOp) for use in others):
                with ir.InsertionPoint.after(layer), layer.location:
                    ends.append(redirect(others, accel.output(layer)))
        return ends

    def first(self, value: ir.Value) -> ir.Value:
        while self.group_of[value] != value:
            value = self.group_of[value]
        return value

    def join(self, one: ir.Value, other: ir.Value) -> None:
        self.group_of[self.first(other)] = self.first(one)

    def raise_results(self, layers: list[accel.Layer]) -> None:
        """Make weights coarse enough, and no result finer than the sum it is made of: that could not be shifted."""
        changed = True
        while changed:
            changed = False
            for layer in layers:
                if isinstance(layer, (accel.Weighted, accel.AddOp)):
                    output = accel.output(layer)
                    if isinstance(layer, accel.Weighted):
                        self.weights[output] = self.weights_exponent(layer)
                    finest = self.exponents[self.first(self.inputs(layer)[0])] + self.weights.get(output, 0)
                    result = self.first(output)
                    if self.exponents[result] < finest:
                        self.exponents[result], changed = finest, True

    def weights_exponent(self, layer: accel.Weighted) -> int:
        """Return the least exponent of a layer's weights with which 8 bits hold them, and 32 bits its bias."""
        bias = np.abs(self.bias(layer)).max() / 2.0 ** self.exponents[self.first(layer.input)]
        needed = max(np.abs(real_weights(layer)).max() / LARGEST, bias / LARGEST_BIAS, 2.0**-100)
        return ceil(log2(needed))

    def bias(self, layer: accel.Weighted) -> np.ndarray:
        """Return a layer's real bias, f64[outputs], with the half step of the result that makes rounding half up."""
        half = 2.0 ** self.exponents[self.first(accel.output(layer))] / 2
        return half + real(accel.present(layer.bias, "bias"))

    def type(self, value: ir.Value) -> Quantisation:
        low, _ = real_range(value)
        scale = 2.0 ** self.exponents[self.first(value)]
        if self.unsigned and low >= 0:
            return Quantisation(8, False, 0, 255, (scale,), (0,))
        found = Quantisation(8, True, 0 if low >= 0 else -128, 127, (scale,), (0,))
        return found.without_sign() if self.unsigned else found

    def exponent(self, low: float, high: float) -> int:
        """Return the exponent of the finest power of two with which 8 bits hold a range."""
        largest = LARGEST_UNSIGNED if self.unsigned and low >= 0 else LARGEST
        return ceil(log2(max(-low / (LARGEST + 1), high / largest)))

    def refit_constants(self, layer: accel.Weighted) -> None:
        """Round the weights of a layer to their new scale; add half a step of the result to the bias."""
        step = 2.0 ** self.weights[accel.output(layer)]
        sum_step = step * 2.0 ** self.exponents[self.first(layer.input)]
        weights = np.clip(np.rint(real_weights(layer) / step), -128, 127).astype(np.int64)
        bias = np.rint(self.bias(layer) / sum_step).astype(np.int64)
        with ir.InsertionPoint(layer), layer.location:
            kind = Quantisation(8, True, -128, 127, (step,), (0,))
            layer.operation.operands[1] = quantisation.constant(weights, kind)
            layer.operation.operands[2] = quantisation.constant(bias, replace(BIAS, scales=(sum_step,)))


def with_bias(layer: accel.Layer) -> accel.Layer:
    """Return a layer, or the same one with a bias of zeros if it has none and could have one."""
    if not isinstance(layer, accel.Weighted) or layer.bias is not None:
        return layer
    attributes = dict(layer.operation.attributes.items())
    sizes = list(ir.DenseI32ArrayAttr(attributes["operandSegmentSizes"]))
    sizes[2] = 1
    attributes["operandSegmentSizes"] = ir.DenseI32ArrayAttr.get(sizes)
    with ir.InsertionPoint(layer), layer.location:
        zeros = quantisation.constant(np.zeros(layer.weights.type.shape[0], np.int64), BIAS)
        made = ir.Operation.create(
            layer.operation.name,
            results=[accel.output(layer).type],
            operands=[layer.input, layer.weights, zeros],
            attributes=attributes,
        ).opview
    assert isinstance(made, accel.Weighted), layer.operation.name
    accel.output(layer).replace_all_uses_with(accel.output(made))
    layer.operation.erase()
    return made


def is_map(value: ir.Value) -> bool:
    """Say whether a value has 8 bits and one scale."""
    found = Quantisation.of(value)
    return found is not None and found.axis is None and found.bits == 8


def real_range(value: ir.Value) -> tuple[float, float]:
    """Return the smallest and the largest real number that a map can hold."""
    found = accel.present(Quantisation.of(value), "quantised type")
    scale, zero_point = float(found.scale), found.zero_point
    return (found.lowest - zero_point) * scale, (found.highest - zero_point) * scale


def real(constant: ir.Value) -> np.ndarray:
    """Return the real numbers of a quantised constant."""
    found = accel.present(Quantisation.of(constant), "quantised type")
    stored = accel.present(quantisation.stored(constant), "constant")
    scales, zero_points = found.parameters(stored.ndim)
    return (stored - zero_points) * scales


def real_weights(layer: accel.Weighted) -> np.ndarray:
    return real(layer.weights)


def makes(use: ir.OpOperand, results: set[ir.Value]) -> bool:
    """Say whether an operation that uses a value makes one of some results."""
    return any(result in results for result in use.owner.operation.results)


def redirect(uses: list[ir.OpOperand], value: ir.Value) -> accel.QuantizeOp:
    """Let uses read a quantize of a value, at the insertion point."""
    stop = accel.QuantizeOp(value.type, value)
    for use in uses:
        use.owner.operands[use.operand_number] = accel.output(stop)
    return stop


def tabulate(end: accel.QuantizeOp) -> None:
    """Put a table that rounds half up in place of a quantize between two scales of 8 bits."""
    source = stored_otherwise(end.input)
    x, y = (accel.present(Quantisation.of(each), "quantised type") for each in (source, accel.output(end)))
    if x.same_numbers(y):
        return
    numbers = Real.of_storage(np.arange(x.lowest, x.highest + 1), x.scales[0], x.zero_point)
    half = Real.of_integers(np.ones(1, np.int64), y.scale / 2)
    entries = (numbers + half).quantise(y.scales[0], y.zero_point, y.lowest, y.highest, "floor")
    with ir.InsertionPoint(end), end.location:
        table = quantisation.integers(y.signless(entries))
        made = accel.LookupOp(accel.output(end).type, source, table, lowest=x.lowest)
    inserted.mark_refitted(made, x.type(), y.type())
    accel.output(end).replace_all_uses_with(accel.output(made))
    before = end.input
    end.operation.erase()
    if before != source and not any(True for _ in before.uses):
        accel.present(accel.producer(before), "a quantize").operation.erase()


def stored_otherwise(value: ir.Value) -> ir.Value:
    """Return a map as it was before a quantize that stores the same numbers higher or lower; else the map."""
    maker = accel.producer(value)
    x, y = Quantisation.of(maker.input) if isinstance(maker, accel.QuantizeOp) else None, Quantisation.of(value)
    if not isinstance(maker, accel.QuantizeOp) or x is None or y is None or x.axis is not None:
        return value
    moves = {y.lowest - x.lowest, y.highest - x.highest, y.zero_points[0] - x.zero_points[0]}
    return maker.input if x.scales == y.scales and len(moves) == 1 else value
