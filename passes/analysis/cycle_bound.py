"""What no mapping of a function on a target takes less than, in cycles of the target's cost model.

Two bounds, each the optimum of a constraint program over engine, form and layout of every layer:

    in flight   No unit works longer than the network takes. Each layer's work is its engine's, or the host's; weights
                and feature maps that change memories are work of transfer engines, every launch is work of the host.
                It holds for every order and tiling, also if tiles of several layers were in flight at once.
    in turn     As well, a layer begins when those whose results it reads have ended: so this compiler runs them.

All that depends on tilings is left out: waits, weights that come late, transfers in parts, room for feature maps. A
tiling does not do less work than whole layers in the fewest launches. Constants must fit their memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

from mlir import ir
from mlir.dialects import func

from htvm.backend.targets.engines import fused_ops
from htvm.backend.targets.jobs import Layout
from htvm.backend.targets.soc import HOST, Route, Soc
from htvm.dialects import accel

from . import activations, layout
from .acceptance import violations
from .placement import Placing, maker
from .ways import Least, Way, other_forms, partial_forms, price

if TYPE_CHECKING:
    from .constraint_program import Expression, IntVar

BOUND_LIMIT = 2.0
"""The solver's deterministic work for a bound; one that it has not proven to be the optimum holds as well."""


@dataclass(frozen=True)
class Share:
    """A layer's part of a bound: the operation, and the cycles of its unit's work."""

    layer: accel.Layer
    cycles: int


@dataclass(frozen=True)
class CycleBound:
    """Bounds on the cycles of a function.

    in_turn, in_flight: see above. units: the work of each unit in the mapping that takes no less than `in_flight`, and
    of which layers, most first. unlimited: in_flight without a limit of constants; None if that is none.
    """

    in_turn: int
    in_flight: int
    units: Mapping[str, int]
    shares: Mapping[str, Sequence[Share]]
    unlimited: int | None

    @property
    def busiest(self) -> str:
        """The unit with the most work."""
        return max(self.units, key=lambda unit: self.units[unit])


def cycle_bound(soc: Soc, function: func.FuncOp) -> CycleBound:
    """Return bounds for a function of stage 'integer', whose layers name no engines."""
    layers = activations.layers(function)
    ways: dict[ir.Value, list[Way]] = {accel.output(layer): every_way(soc, layer) for layer in layers}
    found = Bounding(soc, function, ways)
    bound, units, shares = found.bound()
    in_turn, _, _ = Bounding(soc, function, ways, in_turn=True).bound()
    free, _, _ = Bounding(soc, function, ways, has_limit=False).bound()
    return CycleBound(max(in_turn, bound), bound, units, shares, free if free < bound else None)


def every_way(soc: Soc, layer: accel.Layer) -> list[Way]:
    """Return the ways in which engines can compute a layer, those left out that are in no respect less than another."""
    found: list[Way] = []
    for engine in soc.engines:
        ways = [Way(engine)] if not violations(soc, engine, layer) else []
        ways += [*other_forms(soc, layer, engine), *partial_forms(soc, layer, engine)]
        least = {way: price(soc, layer, way).least for way in ways}
        found += [way for way in ways if not any(is_below(other, way, least) for other in ways)]
    return found


def is_below(other: Way, way: Way, least: Mapping[Way, Least]) -> bool:
    """Say whether a way of the same engine, read and written alike, takes no more than another and something less."""
    if other.reads_blocks or way.reads_blocks:
        return False
    one, two = ((each.work, each.fetch, each.given, each.weight_bytes) for each in (least[other], least[way]))
    is_plain = other.form is None or way.form is not None  # the plain one writes more layouts
    return is_plain and one != two and all(a <= b for a, b in zip(one, two))


@dataclass
class Bounding(Placing):
    """The constraint program of a bound. in_turn: layers wait for what they read. has_limit: constants must fit.

    work: of each unit. late: what a map comes later than its layer's own work says.
    """

    in_turn: bool = False
    has_limit: bool = True
    work: dict[str, list[Expression]] = field(default_factory=lambda: defaultdict(list))
    late: dict[ir.Value, list[Expression]] = field(default_factory=lambda: defaultdict(list))

    def bound(self) -> tuple[int, dict[str, int], dict[str, list[Share]]]:
        """Return the bound, what each unit works in the best mapping found, and for which layers."""
        least = {
            (output, way): price(self.soc, maker(output), way).least
            for output, ways in self.candidates.items()
            for way in ways
        }
        for key in least:
            self.runs[key] = self.flag()
        for output, ways in self.candidates.items():
            self.model.exactly_one(self.runs[output, way] for way in ways)
        for value in self.values:
            self.transfer(value)
            self.layout(value)
            self.layout_in_blocks(value)
        for (output, way), each in least.items():
            runs = self.runs[output, way]
            self.work[way.engine.name].append(each.work * runs)
            self.work[HOST].append(each.given * runs)
            if way.accelerator is not None:
                self.layout_by(output, way, way.accelerator)
                if each.fetch:
                    route = Route(self.soc.constants_in, way.accelerator.weights.memory)
                    self.work[self.soc.dma(route).name].append(each.fetch * runs)
        self.limit(least)
        last = self.model.integer(0, 1 << 40)
        for works in self.work.values():
            self.model.add(sum(works) <= last)
        if self.in_turn:
            self.order(least, last)
        self.model.minimize(last)
        solution = self.model.solve(BOUND_LIMIT)
        if not solution.is_found:
            raise AssertionError(f"no bound: {solution.status}")
        units = {unit: solution.value(sum(works)) for unit, works in self.work.items()}
        shares: dict[str, list[Share]] = defaultdict(list)
        for (output, way), each in least.items():
            if solution.value(self.runs[output, way]) and each.work:
                shares[way.engine.name].append(Share(maker(output), each.work))
        ordered = {unit: sorted(found, key=lambda share: -share.cycles) for unit, found in shares.items()}
        return round(solution.bound), units, ordered

    def limit(self, least: Mapping[tuple[ir.Value, Way], Least]) -> None:
        """Let the weights that are used fit the memory of constants; not those that may lie in a far memory."""
        if not self.has_limit or self.soc.far_memories:
            return
        room = self.soc.memory(self.soc.constants_in).size_bytes
        sizes = {key: each.weight_bytes for key, each in least.items()}
        fewest = sum(min(sizes[output, way] for way in ways) for output, ways in self.candidates.items())
        self.model.add(sum(size * self.runs[key] for key, size in sizes.items()) <= max(room, fewest))

    def order(self, least: Mapping[tuple[ir.Value, Way], Least], last: IntVar) -> None:
        """Let each layer begin its work when all that it reads has ended."""
        ends: dict[ir.Value, IntVar] = {}
        for output, ways in self.candidates.items():
            ends[output] = end = self.model.integer(0, 1 << 40)
            own = sum(least[output, way].work * self.runs[output, way] for way in ways) + sum(self.late[output])
            self.model.add(end >= own)
            for value in activations.read_by(maker(output)):
                if value in ends:
                    self.model.add(end >= ends[value] + own + self.conversion(value))
            self.model.add(last >= end)

    def conversion(self, value: ir.Value) -> Expression:
        """Return what the only reader of a map waits for its conversion; 0 of several, of which some may not wait."""
        if value not in self.nhwc or len(self.readers[value]) + (value in self.returned) > 1:
            return 0
        layouts = (Layout.NCHW, Layout.NHWC)
        return sum(self.conversion_cycles(value, each) * self.converts[value, each] for each in layouts)

    def scatters(self, output: ir.Value, cycles: int) -> IntVar:
        is_scattered = self.flag()
        self.late[output].append(cycles * is_scattered)
        return is_scattered

    def moves(self, source: str, target: str, value: ir.Value) -> IntVar:
        """Return whether a map is copied, and let a transfer engine work for what is needed of it."""
        is_moved, size = self.flag(), layout.size_bytes(value.type)
        if target != self.soc.arena_memory:
            size = int(size * min((read_share(maker(reader)) for reader in self.readers[value]), default=1))
        if source != target:
            self.work[self.soc.dma(Route(source, target)).name].append(self.copy(source, target, size) * is_moved)
        return is_moved


def read_share(layer: accel.Layer) -> float:
    """Return about the least part of a map that tiles of a layer read: not what lies between windows."""
    if isinstance(layer, accel.FusedOp):
        return prod(map(read_share, fused_ops.layers(layer)))
    if isinstance(layer, accel.Pool2dOp):
        return prod(min(1, size / step) for size, step in zip(layer.kernel, layer.strides))
    if not isinstance(layer, accel.Conv2dOp):
        return 1.0
    kernel = ir.ShapedType(layer.weights.type).shape[2:]
    return prod(min(1, size / step) for size, step in zip(kernel, layer.strides))
