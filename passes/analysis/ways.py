"""The ways in which a layer can be computed: an engine, and one of the forms that it offers; and what each takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from math import ceil, inf, prod

import numpy as np

from htvm.backend.targets.engines import launches
from htvm.backend.targets.jobs import DESCRIPTOR_WORDS, FORM, Form, Job
from htvm.backend.targets.soc import Accelerator, Engine, Route, Soc, is_accelerator, offers_forms
from htvm.dialects import accel, quantisation
from htvm.dialects.accel import FormKind

from . import activations, layout
from .tiles import NAME

HOST_DATA = 1.1
"""What the host's kernels have for each byte of weights and biases."""

SCALE_BYTES = 8
"""Of each output channel of a linear layer on the host."""


WINOGRAD_LEAST, HOST_LEAST = 0.9, 1.42
"""Cycles on the host of each multiplication by a weight that is not 0: of a kernel of 3x3 with strides of 1, and of
others. The fastest take 0.99 and 1.42: Winograd's F(4x4, 3x3), and several products in one multiplication.
"""

PARTIAL = (FormKind.SOME_ROWS_AS_CHANNELS,)
"""Forms for some of a layer's channels."""

TILES_PER_MEMORY = 4
"""About how many tiles there are for each fill of an engine's memory, where feature maps do not stay there: those of
inputs and outputs, two buffers each.
"""


@dataclass(frozen=True)
class Way:
    """An engine that computes a layer, and the form in which it does; None is the plain one. jobs: those asked for."""

    engine: Engine
    form: Form | None = None
    jobs: dict[accel.Layer, Job] = field(default_factory=dict[accel.Layer, Job], compare=False, repr=False)

    @cached_property
    def accelerator(self) -> Accelerator | None:
        """The engine, if it is an accelerator: asked once, as what a protocol asks of an object takes a while."""
        return self.engine if is_accelerator(self.engine) else None

    @property
    def reads_blocks(self) -> bool:
        """Whether a layer's map is read in blocks of channels."""
        return self.form is not None and self.form.kind == FormKind.CHANNEL_BLOCKS

    def job(self, layer: accel.Layer) -> Job:
        """Return a layer as one job of the way's engine, an accelerator."""
        if layer not in self.jobs:
            if offers_forms(self.engine):
                self.jobs[layer] = self.engine.job_in(layer, self.form)
            else:
                assert self.accelerator is not None and self.form is None, self
                self.jobs[layer] = self.accelerator.job(layer)
        return self.jobs[layer]


@dataclass(frozen=True)
class Price:
    """What a way takes: cycles, transfers of feature maps left out, and about how many bytes of constants.

    least: what every tiling of it takes at least. descriptor_bytes: about what those of its launches take.
    """

    cycles: int
    constant_bytes: int
    least: Least
    descriptor_bytes: int = 0


@dataclass(frozen=True)
class Least:
    """What a way takes at least, in cycles: of its engine, of the transfer engine that brings weights, and of the host
    beside it, which gives commands; and the bytes of its weights, other constants left out.
    """

    work: int
    fetch: int
    given: int
    weight_bytes: int


def named(soc: Soc, layer: accel.Layer, engine: str) -> Way:
    """Return the way in which a layer is computed that names its engine, and its form if it has one."""
    return Way(soc.engine(engine), Form.of(layer))


def in_forms(soc: Soc, layer: accel.Layer, engines: Sequence[Engine], legal: Sequence[Engine]) -> list[Way]:
    """Return the ways that a layer can have on some engines. legal: those that run it as it is.

    A layer that carries a form or a tiling, which is of the plain form then, is computed in no other. A form that takes
    as many cycles and as many bytes as another one, or more, is left out.
    """
    attributes = layer.operation.attributes
    if FORM in attributes or NAME in attributes:
        return [Way(engine, Form.of(layer)) for engine in legal]
    found: list[Way] = []
    for engine in engines:
        own = [Way(engine)] if engine in legal else []
        found += undominated(soc, layer, [*own, *other_forms(soc, layer, engine)])
    return found


def other_forms(soc: Soc, layer: accel.Layer, engine: Engine) -> list[Way]:
    """Return the ways in which an engine computes a layer beside the plain one, those for some channels left out."""
    asked: object = engine
    forms = asked.forms(layer) if offers_forms(asked) else ()
    return [way for form in forms if form.kind not in PARTIAL and fits(soc, layer, way := Way(engine, form))]


def partial_forms(soc: Soc, layer: accel.Layer, engine: Engine) -> list[Way]:
    """Return the ways in which an engine computes some of a layer's channels in another form.

    They are many, and only save constants. Their tiles are alike: if those of the most weights fit, all do.
    """
    asked: object = engine
    forms = asked.forms(layer) if offers_forms(asked) else ()
    ways = [Way(engine, form) for form in forms if form.kind in PARTIAL]
    return ways if ways and fits(soc, layer, ways[-1]) else []


def undominated(soc: Soc, layer: accel.Layer, ways: list[Way]) -> list[Way]:
    """Return the first way, and those of the others that take fewer cycles than all of fewer bytes, or read blocks."""
    others = [way for way in ways if not way.reads_blocks]
    prices = {way: price(soc, layer, way) for way in others}
    found, best = [*ways[:1], *(way for way in ways[1:] if way.reads_blocks)], inf
    for way in sorted(others, key=lambda each: (prices[each].constant_bytes, prices[each].cycles)):
        if prices[way].cycles < best:
            best = prices[way].cycles
            if way != ways[0]:
                found.append(way)
    return found


def fits(soc: Soc, layer: accel.Layer, way: Way) -> bool:
    """Say whether the tiles of a form fit the memories of its engine."""
    from .tiling import Search  # slow to load, and a target without accelerators does without

    assert way.accelerator is not None, way.engine
    budgets = {memory.name: memory.size_bytes for memory in soc.memories}
    search = Search(soc, way.accelerator, way.job(layer), soc.arena_memory, budgets, loads=True, stores=True)
    return not search.too_large()


def price(soc: Soc, layer: accel.Layer, way: Way, weights_in: str | None = None) -> Price:
    """Return what a way takes.

    On an accelerator, with the transfer of its weights: those of the first launch, and of each other what the transfer
    takes longer than the launch before, meanwhile. weights_in: the memory they come from, if not that of constants.
    """
    engine = way.accelerator
    if engine is None:
        constants = [value for value in layer.operation.operands if activations.is_constant(value)]
        weight_bytes = sum(layout.size_bytes(value.type) for value in constants)
        size = ceil(HOST_DATA * weight_bytes)
        if isinstance(layer, accel.Weighted):
            size += SCALE_BYTES * layer.weights.type.shape[0]
        cycles = way.engine.cycles(layer, soc.cost_model)
        return Price(cycles, size, Least(min(cycles, least_on_host(layer, cycles)), 0, 0, weight_bytes))
    job, host = way.job(layer), soc.host
    parts = launches.fewest(engine, job)
    costs = {part: LaunchCost.of(soc, engine, part, weights_in or soc.constants_in) for part in set(parts)}
    taken = [costs[part] for part in parts]
    count = sum(each.steps for each in taken)
    late = taken[0].fetch + sum(max(each.fetch - before.work, 0) for before, each in pairwise(taken))
    launching = soc.launch_cycles(engine.name)
    given = (count - 1) * (launching + host.wait_cycles)
    room = soc.memory(engine.input.memory).size_bytes
    maps = job.input_bytes + job.output_bytes
    tiles = 1 if 2 * maps <= room else -(-TILES_PER_MEMORY * maps // room)
    smallest = -(-job.outputs // engine.output_step)  # tiles may be so small that their weights come in time
    descriptors = 4 * DESCRIPTOR_WORDS * tiles * max(count, smallest)
    work = sum(each.work for each in taken)
    weight_bytes = sum(each.weight_bytes for each in taken)
    least = Least(work, sum(each.near for each in taken), count * launching, weight_bytes)
    return Price(work + late + given, weight_bytes, least, descriptors)


def least_on_host(layer: accel.Layer, cycles: int) -> int:
    """Return what no kernel takes less than: of a layer with constant weights, its kernel is not chosen yet.

    A reshape may stay where its input is.
    """
    if isinstance(layer, accel.ReshapeOp):
        return 0
    if not isinstance(layer, accel.Weighted):
        return cycles
    macs = prod(accel.output(layer).type.shape) * prod(layer.weights.type.shape[1:])
    weights = quantisation.stored(layer.weights)
    share = 1.0 if weights is None else np.count_nonzero(weights) / max(weights.size, 1)
    match layer:
        case accel.Conv2dOp() if list(layer.weights.type.shape[2:]) == [3, 3] and list(layer.strides) == [1, 1]:
            per_mac = WINOGRAD_LEAST if layer.groups.value == 1 else HOST_LEAST
        case _:
            per_mac = HOST_LEAST
    return int(per_mac * share * macs)


@dataclass(frozen=True)
class LaunchCost:
    """The cycles of a launch, those of its weights' transfer, its jobs, and the bytes of its weights.

    near: the cycles of the last hop of the transfer alone.
    """

    work: int
    fetch: int
    near: int
    steps: int
    weight_bytes: int

    @staticmethod
    def of(soc: Soc, engine: Accelerator, part: Job, weights_in: str) -> LaunchCost:
        """weights_in: the memory that weights come from."""
        size = engine.weight_bytes(part)
        steps = launches.steps(engine, part)
        work = sum(soc.figures.job_cycles(engine.name, step.job) for step in steps)
        hops = [soc.copy_cycles(route, size) for route in soc.path(weights_in, engine.weights.memory)] if size else []
        return LaunchCost(work, max(hops, default=0), hops[-1] if hops else 0, len(steps), size)


def copy_cycles(soc: Soc, source: str, target: str, size_bytes: int) -> int:
    """Return what a copy takes; nothing within a memory."""
    return 0 if source == target else soc.copy_cycles(Route(source, target), size_bytes)
