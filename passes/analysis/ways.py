"""The ways in which a layer can be computed: an engine, and one of the forms that it offers; and what each takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf

from htvm.backend.targets.engines import launches
from htvm.backend.targets.jobs import DESCRIPTOR_WORDS, FORM, Form, Job
from htvm.backend.targets.soc import Accelerator, Engine, OffersForms, Route, Soc
from htvm.dialects import accel
from htvm.dialects.accel import FormKind

from . import activations, layout
from .tiles import NAME
from .tiling import Search

HOST_DATA = 1.1
"""What the host's kernels have for each byte of weights and biases."""

SCALE_BYTES = 8
"""Of each output channel of a linear layer on the host."""


TILES_PER_MEMORY = 4
"""About how many tiles there are for each fill of an engine's memory, where feature maps do not stay there: those of
inputs and outputs, two buffers each.
"""


@dataclass(frozen=True)
class Way:
    """An engine that computes a layer, and the form in which it does; None is the plain one."""

    engine: Engine
    form: Form | None = None

    @property
    def reads_blocks(self) -> bool:
        """Whether a layer's map is read in blocks of channels."""
        return self.form is not None and self.form.kind == FormKind.CHANNEL_BLOCKS

    def job(self, layer: accel.Layer) -> Job:
        """Return a layer as one job of the way's engine, an accelerator."""
        if isinstance(self.engine, OffersForms):
            return self.engine.job_in(layer, self.form)
        assert isinstance(self.engine, Accelerator) and self.form is None, self
        return self.engine.job(layer)


@dataclass(frozen=True)
class Price:
    """What a way takes: cycles, transfers of feature maps left out, and about how many bytes of constants."""

    cycles: int
    constant_bytes: int


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
        if isinstance(engine, OffersForms):
            own += [way for form in engine.forms(layer) if fits(soc, layer, way := Way(engine, form))]
        found += undominated(soc, layer, own)
    return found


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
    assert isinstance(way.engine, Accelerator), way.engine
    budgets = {memory.name: memory.size_bytes for memory in soc.memories}
    search = Search(soc, way.engine, way.job(layer), soc.arena_memory, budgets, loads=True, stores=True)
    return not search.too_large()


def price(soc: Soc, layer: accel.Layer, way: Way) -> Price:
    """Return what a way takes.

    On an accelerator, with the transfer of its weights: those of the first launch, and of each other what the transfer
    takes longer than the launch before, meanwhile.
    """
    engine = way.engine
    if not isinstance(engine, Accelerator):
        constants = [value for value in layer.operation.operands if activations.is_constant(value)]
        size = ceil(HOST_DATA * sum(layout.size_bytes(value.type) for value in constants))
        if isinstance(layer, accel.Weighted):
            size += SCALE_BYTES * layer.weights.type.shape[0]
        return Price(engine.cycles(layer, soc.cost_model), size)
    job, model, host = way.job(layer), soc.figures, soc.host
    parts = launches.fewest(engine, job)
    sizes = [engine.weight_bytes(part) for part in parts]
    works = [launches.work(engine, part, model) for part in parts]
    count = sum(len(launches.steps(engine, part)) for part in parts)
    fetches = [copy_cycles(soc, soc.constants_in, engine.weights.memory, size) if size else 0 for size in sizes]
    late = fetches[0] + sum(max(fetch - work, 0) for fetch, work in zip(fetches[1:], works))
    given = (count - 1) * (host.launch_cycles + host.wait_cycles)
    room = soc.memory(engine.input.memory).size_bytes
    maps = job.input_bytes + job.output_bytes
    tiles = 1 if 2 * maps <= room else -(-TILES_PER_MEMORY * maps // room)
    descriptors = 4 * DESCRIPTOR_WORDS * tiles * count
    work = sum(works) if way.form else engine.cycles(layer, model)
    return Price(work + late + given, sum(sizes) + descriptors)


def copy_cycles(soc: Soc, source: str, target: str, size_bytes: int) -> int:
    """Return what a copy takes; nothing within a memory."""
    return 0 if source == target else soc.copy_cycles(Route(source, target), size_bytes)
