"""The number behind an element: what its layer has summed, and which sums give which result.

It comes from the reference interpreter at stage 'integer', from the exact values that the layer should have read.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from mlir import ir

from htvm.dialects import accel, quantisation
from htvm.dialects.semantics import integer_layers
from htvm.dialects.semantics.interpreter import Tensor, interpret
from htvm.driver import CompiledModel, lower
from htvm.interface import Port

LIMIT = 1 << 31
"""Accumulators have 32 bits."""


@dataclass(frozen=True)
class Accumulator:
    """What is behind an element of a layer at stage 'integer'.

    result: what the stage's constants make of it. value: the accumulator, None for a layer that has none; operands:
    of a layer that works element by element, what it reads. giving_found: the first and the last accumulator from
    which these constants make the value that was found; None if none does, or if the layer has no accumulator.
    """

    result: int
    value: int | None = None
    operands: tuple[int, ...] = ()
    giving_found: tuple[int, int] | None = None

    def said(self, found: int, wanted: int) -> str:
        """Say what is behind, and whose fault it looks like."""
        about: list[str] = []
        if self.value is not None:
            about.append(f"the accumulator is {self.value:,}")
        elif self.operands:
            about.append(f"it reads {' and '.join(f'{each:,}' for each in self.operands)}")
        if self.result == wanted:
            about.append(f"stage 'integer' makes {self.result} of it, as expected: the generated code is wrong")
        elif self.result == found:
            about.append(f"stage 'integer' makes {self.result} of it already: its constants or passes before are wrong")
        else:
            about.append(f"stage 'integer' makes {self.result} of it, which is neither")
        if self.giving_found and self.result != found:
            about.append(f"{found} is what accumulators {self.giving_found[0]:,} to {self.giving_found[1]:,} give")
        return "; ".join(about)


def accumulator(
    compiled: CompiledModel, node: str, sample: Mapping[str, np.ndarray], index: int, found: int
) -> Accumulator | None:
    """Return what is behind an element of the layer that a node names; None if stage 'integer' has no such layer.

    index: of the element in row-major order.
    """
    module = integer_module(compiled)
    stored = {port.name: _stored(port, sample[port.name]) for port in compiled.project.inputs}
    values: dict[ir.Value, np.ndarray] = {}

    def keep(op: ir.OpView, result: Tensor) -> None:
        assert isinstance(result, np.ndarray), "of integers"
        values[op.operation.results[0]] = result

    interpret(module, stored, keep)
    arguments = next(iter(accel.functions(module))).arguments
    values |= dict(zip(arguments, (each.astype(np.int64) for each in stored.values()), strict=True))
    named = [op for op in accel.layers(module) if accel.node(op) == node]
    return _of_layer(named[-1], values, index, found) if named else None


def integer_module(compiled: CompiledModel) -> ir.Module:
    """Return the module of a compiled model at stage 'integer', or as it came in, if that was later."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said when it was compiled
        return lower(compiled.source, compiled.soc, "integer", compiled.options, or_later=True)[0]


def _stored(port: Port, values: np.ndarray) -> np.ndarray:
    return np.frombuffer(port.stored(values), port.storage.newbyteorder("<")).reshape(port.shape).astype(port.storage)


def _of_layer(op: ir.OpView, values: Mapping[ir.Value, np.ndarray], index: int, found: int) -> Accumulator:
    name, result = op.operation.name, values[op.operation.results[0]]
    known = (values[each] if each in values else quantisation.stored(each) for each in op.operation.operands)
    operands = [each for each in known if each is not None]
    wanted = int(result.flat[index])
    requant = accel.attribute(op, "requant", accel.RequantAttr)
    if name in integer_layers.ACCUMULATORS and requant is not None:
        sums = integer_layers.ACCUMULATORS[name](op, *operands[: 1 if name == "accel.pool2d" else 2])
        value, place = int(sums.flat[index]), tuple(int(axis) for axis in np.unravel_index(index, result.shape))
        return Accumulator(wanted, value, (), _giving(op, requant, place, found))
    alike = tuple(int(each.flat[index]) for each in operands if each.shape == result.shape)
    return Accumulator(wanted, None, alike)


def _giving(op: ir.OpView, requant: accel.RequantAttr, index: tuple[int, ...], found: int) -> tuple[int, int] | None:
    """Return the first and last accumulator that the constants of an element's channel take to `found`.

    Requantising never decreases with the accumulator, so both are found by halving.
    """
    entries = len(requant.multiplier)
    if entries > 1 and isinstance(op, accel.Pool2dOp):  # an entry for each size of window
        return None
    channel = index[1] if isinstance(op, accel.Conv2dOp) else index[-1]

    def result(value: int) -> int:
        one = np.array([value], np.int64)
        try:
            scaled = integer_layers.requantise(one, requant, lambda each: each[channel if each.size > 1 else 0])
        except OverflowError:  # no sum of this layer is so far out
            return requant.max if value > 0 else requant.min
        return int(scaled[0])

    first, last = _first(lambda value: result(value) >= found), _first(lambda value: result(value) > found) - 1
    return (first, last) if first <= last else None


def _first(holds: Callable[[int], bool]) -> int:
    """Return the smallest accumulator for which something holds that holds for all larger ones; LIMIT if for none."""
    low, high = -LIMIT, LIMIT
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low
