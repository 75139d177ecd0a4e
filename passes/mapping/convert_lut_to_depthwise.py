"""convert-lut-to-depthwise: a table that multiplies, adds and shifts is a convolution, for an engine without tables.

    %y = accel.lookup %x, %table {lowest = -128 : i64} : (tensor<1x3x96x96xi8>, tensor<256xi8>) -> tensor<1x3x96x96xi8>
    ==>
    %y = accel.conv2d %x, %w {groups = 3 : i64, requant = #accel.requant<..>, ..} : (.., tensor<3x1x1x1xi8>) -> ..

where every entry of the table is clip((x * weight + bias) >> shift, low, high), with one weight for all channels.

Stage    integer, before dispatch-engines
Reads    lookups of i8 in one table; rules and costs of the target's engines
Writes   a depthwise convolution in their place, where an accelerator takes it and is faster than the host
Needs    integerize before it: tables have integers
Fails    never
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
from mlir import ir
from mlir.passmanager import ExternalPass

from htvm.backend.targets.soc import Soc
from htvm.dialects import accel, inserted, quantisation, scaling
from htvm.dialects.semantics import value_ranges

from ..analysis.acceptance import fewest_cycles

WEIGHTS = range(-128, 128)
SHIFTS = range(16)
FAR = 1 << 31
"""A bound that binds no bias."""


@dataclass(frozen=True)
class Factors:
    """Of y = clip((x * weight + bias) >> shift, low, high)."""

    weight: int
    bias: int
    shift: int
    low: int
    high: int


@dataclass(frozen=True)
class ConvertLutToDepthwise:
    """Let accelerators scale what is looked up, where that is faster than the host."""

    name: ClassVar[str] = "convert-lut-to-depthwise"
    stages: ClassVar[tuple[str, ...]] = ("integer",)

    target: Soc

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        if not self.target.accelerators:
            return
        with module.location:
            for layer in list(accel.layers(module)):
                if (
                    isinstance(layer, accel.LookupOp)
                    and is_plain(layer)
                    and (factors := factors_of(*entries(layer))) is not None
                ):
                    self.replace(layer, factors)

    def replace(self, layer: accel.LookupOp, factors: Factors) -> None:
        """Put a convolution in place of a lookup; leave it where it is as fast."""
        with ir.InsertionPoint(layer), layer.location:
            conv = scaling.scaled(layer.input, accel.output(layer).type, **asdict(factors))
        inserted.copy(layer, conv)
        before = fewest_cycles(self.target, layer, self.target.engines)
        after = fewest_cycles(self.target, conv, self.target.accelerators)
        if after is not None and (before is None or after < before):
            accel.output(layer).replace_all_uses_with(accel.output(conv))
            layer.operation.erase()
        else:
            scaling.erase(conv)


def is_plain(layer: accel.LookupOp) -> bool:
    """Say whether a layer looks a map's bytes up in one table of bytes, and no engine is named for it."""
    if layer.engine is not None or layer.axis is not None:
        return False
    return layer.input.type.rank == 4 and all(
        str(x.type.element_type) == "i8" for x in (layer.input, accel.output(layer))
    )


def entries(layer: accel.LookupOp) -> tuple[np.ndarray, np.ndarray]:
    """Return the integers that can be looked up, and what each becomes. A table may have fewer than are known of."""
    low, high = accel.present(value_ranges.held(layer.input), "integers")
    first = layer.lowest.value
    table = accel.present(quantisation.stored(layer.table), "table").reshape(-1)
    x = np.arange(max(low, first), min(high, first + len(table) - 1) + 1)
    return x, table[x - first].astype(np.int64)


def factors_of(x: np.ndarray, y: np.ndarray) -> Factors | None:
    """Return factors with which each x becomes its y, those of the smallest shift; None if there are none.

    Each y bounds the bias from below, but the lowest, and from above, but the highest: there may be a clip.
    """
    low, high = int(y.min()), int(y.max())
    for shift in SHIFTS:
        for weight in WEIGHTS:
            least = ((y << shift) - x * weight)[y > low].max(initial=-FAR)
            most = ((y + 1 << shift) - 1 - x * weight)[y < high].min(initial=FAR)
            if least <= most:
                return Factors(weight, int(np.clip(0, least, most)), shift, low, high)
    return None
