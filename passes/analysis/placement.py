"""Which engine runs each layer, and which layout each map has, so that all of it takes least.

A choice for one layer is one for its neighbours: a map that an accelerator makes and the host reads must be copied;
one that two accelerators want in different layouts must be converted by the host. So all layers are placed together: a
constraint program whose optimum is the least sum of

    the time of each layer on its engine, its weights' transfer included,
    the transfer of each map between the host's memory and an accelerator's, where it must be in both,
    the conversion of each map that is needed in two layouts (conversion.py),
    the copies of each map that launches make in parts that are apart.

What runs at the same time is not taken into account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil, prod
from typing import TYPE_CHECKING, Literal

from mlir import ir
from mlir.dialects import func

from htvm.backend.targets.engines import launches
from htvm.backend.targets.engines.host import CYCLES_PER_NCHW
from htvm.backend.targets.jobs import DESCRIPTOR_WORDS, Job, JobKind, Layout
from htvm.backend.targets.soc import Accelerator, Engine, Route, Soc
from htvm.dialects import accel

from . import activations, conversion, layout

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

SOLVER_LIMIT = 10.0
"""What the solver may spend, in its deterministic time, so that the result is the same on every machine. A unit is
about a second; networks of a hundred layers take a fraction of it.
"""

HOST_DATA = 1.15
"""What the host's kernels have for each byte of weights and biases: choose-kernels' 1.1, and scales of 8 bytes."""

MARGIN_BYTES = 10 << 10
"""Left free for small maps, descriptors of more tiles than there must be, and constants of the host's kernels."""


@dataclass(frozen=True)
class Placement:
    """An optimal placement. engines: of layers, by what they make. converted: maps needed in the other layout too."""

    engines: Mapping[ir.Value, str]
    layouts: Mapping[ir.Value, Layout]
    converted: frozenset[ir.Value]
    cycles: int
    is_optimal: bool


def empty_model() -> cp_model.CpModel:
    from ortools.sat.python import cp_model  # slow to load, and a machine of one engine needs none

    return cp_model.CpModel()


@dataclass
class Placing:
    """The constraint program of a function. candidates: the legal engines of each layer, by its result."""

    soc: Soc
    function: func.FuncOp
    candidates: Mapping[ir.Value, Sequence[Engine]]
    model: cp_model.CpModel = field(default_factory=empty_model)
    costs: list[cp_model.LinearExprT] = field(default_factory=list["cp_model.LinearExprT"])
    runs: dict[tuple[ir.Value, str], cp_model.IntVar] = field(
        default_factory=dict[tuple[ir.Value, str], "cp_model.IntVar"]
    )
    nhwc: dict[ir.Value, cp_model.IntVar] = field(default_factory=dict[ir.Value, "cp_model.IntVar"])
    converts: dict[tuple[ir.Value, Layout], cp_model.IntVar] = field(
        default_factory=dict[tuple[ir.Value, Layout], "cp_model.IntVar"]
    )

    def solve(self) -> Placement:
        """Return the placement of least cost."""
        from ortools.sat.python import cp_model

        for output, engines in self.candidates.items():
            for engine in engines:
                self.runs[output, engine.name] = self.flag(self.cycles(maker(output), engine))
            self.model.add_exactly_one(self.runs[output, engine.name] for engine in engines)
        for value in self.values:
            self.transfer(value)
            self.layout(value)
        for output, engines in self.candidates.items():
            for engine in engines:
                if isinstance(engine, Accelerator):
                    self.layout_by(output, engine)
        self.model.minimize(sum(self.costs))
        fits = self.limit_constants()
        solver = cp_model.CpSolver()
        solver.parameters.num_workers, solver.parameters.random_seed = 1, 0
        solver.parameters.max_deterministic_time = SOLVER_LIMIT
        solver.parameters.catch_sigint_signal = False  # it would end the search, but not the process
        self.model.add_assumption(fits)
        status = solver.solve(self.model)
        if status == cp_model.INFEASIBLE:  # plan-memory says what is too large
            self.model.clear_assumptions()
            status = solver.solve(self.model)
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            raise AssertionError(f"no placement: {solver.status_name(status)}")
        return Placement(
            {output: name for (output, name), flag in self.runs.items() if solver.value(flag)},
            {value: Layout.NHWC if solver.value(flag) else Layout.NCHW for value, flag in self.nhwc.items()},
            frozenset(value for (value, _), flag in self.converts.items() if solver.value(flag)),
            round(solver.objective_value),
            status == cp_model.OPTIMAL,
        )

    def flag(self, cycles: int = 0) -> cp_model.IntVar:
        """Return a yes or no, where yes costs something."""
        made = self.model.new_bool_var("")
        if cycles:
            self.costs.append(cycles * made)
        return made

    @cached_property
    def values(self) -> list[ir.Value]:
        """The maps: inputs of the function, and what layers make."""
        return [*self.function.arguments, *self.candidates]

    @cached_property
    def readers(self) -> Mapping[ir.Value, list[ir.Value]]:
        """What the layers that read each map make."""
        found: dict[ir.Value, list[ir.Value]] = {value: [] for value in self.values}
        for output in self.candidates:
            for value in activations.read_by(maker(output)):
                found[value].append(output)
        return found

    @cached_property
    def returned(self) -> frozenset[ir.Value]:
        return frozenset(self.function.body.blocks[0].operations[-1].operands)

    def cycles(self, layer: accel.Layer, engine: Engine) -> int:
        """Return what a layer takes on an engine, with the transfer of its weights."""
        time = engine.cycles(layer, self.soc.cost_model)
        if not isinstance(engine, Accelerator):
            return time
        size = sum(map(engine.weight_bytes, launches.fewest(engine, engine.job(layer))))
        return time + (self.copy(self.soc.constants_in, engine.weights.memory, size) if size else 0)

    def limit_constants(self) -> cp_model.IntVar:
        """Return whether the constants leave room for inputs, outputs and maps that no accelerator can keep."""
        fits = self.flag()
        memory = self.soc.memory(self.soc.constants_in)
        room = memory.size_bytes - MARGIN_BYTES
        if memory.name == self.soc.arena_memory:
            room -= self.most_outside()
        used = [self.constant_bytes(*key) * flag for key, flag in self.runs.items()]
        self.model.add(sum(used) <= room).only_enforce_if(fits)
        return fits

    def most_outside(self) -> int:
        """Return the most bytes that are needed at a time of inputs, outputs, and maps no accelerator can keep."""
        number = {value: index for index, value in enumerate(self.values)}
        needed = [0] * len(number)
        for value in filter(self.is_outside, self.values):
            read = (number[reader] for reader in self.readers[value])
            last = len(needed) - 1 if value in self.returned else max(read, default=0)
            for index in range(number[value], last + 1):
                needed[index] += layout.size_bytes(value.type)
        return max(needed)

    def is_outside(self, value: ir.Value) -> bool:
        """Say whether a map is one of the function's, made by the host alone, or too large to stay with another."""
        engines = [each for each in self.candidates.get(value, ()) if isinstance(each, Accelerator)]
        if value in self.returned or not engines:
            return True
        return 2 * layout.size_bytes(value.type) > max(
            self.soc.memory(each.output.memory).size_bytes for each in engines
        )

    def constant_bytes(self, output: ir.Value, name: str) -> int:
        """Return about what the constants of a layer take: weights as an engine wants them, descriptors of its jobs."""
        layer, engine = maker(output), self.soc.engine(name)
        if isinstance(engine, Accelerator):
            job = engine.job(layer)
            parts = launches.fewest(engine, job)
            room = self.soc.memory(engine.input.memory).size_bytes
            tiles = -(-(job.input_bytes + job.output_bytes) // room)
            return sum(map(engine.weight_bytes, parts)) + 4 * DESCRIPTOR_WORDS * max(tiles, len(parts))
        constants = [value for value in layer.operation.operands if activations.is_constant(value)]
        return ceil(HOST_DATA * sum(layout.size_bytes(value.type) for value in constants))

    def copy(self, source: str, target: str, size_bytes: int) -> int:
        """Return what a copy takes; nothing within a memory."""
        return 0 if source == target else self.soc.copy_cycles(Route(source, target), size_bytes)

    def on(self, output: ir.Value, role: Literal["input", "output"], memory: str) -> cp_model.LinearExprT:
        """Return whether an accelerator with that operand in a memory runs the layer that makes a map."""
        engines = (each for each in self.candidates[output] if isinstance(each, Accelerator))
        return sum(self.runs[output, engine.name] for engine in engines if getattr(engine, role).memory == memory)

    def transfer(self, value: ir.Value) -> None:
        """Let a map be copied where it is made in one memory and read in another.

        Between the memories of two accelerators it goes by the host's.
        """
        size, home = layout.size_bytes(value.type), self.soc.arena_memory
        reads = {engine.input.memory for engine in self.soc.accelerators}
        writes = {engine.output.memory for engine in self.soc.accelerators}
        for inside in sorted((reads | writes) - {home}):
            made = 0 if activations.is_argument(value) else self.on(value, "output", inside)
            store = self.flag(self.copy(inside, home, size) if inside in writes else 0)
            load = self.flag(self.copy(home, inside, size) if inside in reads else 0)
            for reader in self.readers[value]:
                self.model.add(store >= made - self.on(reader, "input", inside))
                self.model.add(load >= self.on(reader, "input", inside) - made)
            if value in self.returned:
                self.model.add(store >= made)

    def layout(self, value: ir.Value) -> None:
        """Let a map have a layout and, for its price, the other one as well."""
        if not has_two_layouts(value.type):
            return
        self.nhwc[value] = self.flag()
        for other in Layout:
            self.converts[value, other] = self.flag(conversion.fastest(self.soc, value, other).cycles)
        if is_made_nchw(value):
            self.model.add(self.nhwc[value] == 0)
        elif is_read_nchw(value):
            self.model.add(self.converts[value, Layout.NCHW] >= self.nhwc[value])
        elif any(isinstance(maker(reader), accel.Pool2dOp) for reader in self.readers[value]):
            self.costs.append(round(CYCLES_PER_NCHW * layout.size_bytes(value.type)) * ~self.nhwc[value])

    def layout_by(self, output: ir.Value, engine: Accelerator) -> None:
        """Let maps have the layouts that an accelerator reads and writes, if it runs a layer."""
        runs, layer = self.runs[output, engine.name], maker(output)
        job = engine.job(layer)
        if job.is_element_wise:
            wanted = self.flag()
            if output in self.nhwc:
                self.model.add(self.nhwc[output] == wanted).only_enforce_if(runs)
        else:
            wanted = int(layout_read(layer, engine, job) == Layout.NHWC)
            if output in self.nhwc and len(engine.output.layouts) == 1:
                self.model.add(self.nhwc[output] == int(engine.output.layouts[0] == Layout.NHWC)).only_enforce_if(runs)
            elif output in self.nhwc:
                self.model.add(self.flag(self.scattered(layer, engine)) >= self.nhwc[output] + runs - 1)
        for value in activations.read_by(layer):
            if value in self.nhwc:
                self.model.add(self.converts[value, Layout.NCHW] >= self.nhwc[value] - wanted + runs - 1)
                self.model.add(self.converts[value, Layout.NHWC] >= wanted - self.nhwc[value] + runs - 1)

    def scattered(self, layer: accel.Layer, engine: Accelerator) -> int:
        """Return what it takes more to write a map pixel by pixel, if no launch makes all of its channels.

        They leave the memory while the engine works, a copy for each pixel, and come back whole.
        """
        job, inside, home = engine.job(layer), engine.output.memory, self.soc.arena_memory
        channels = engine.most_outputs(job)
        if channels >= job.outputs:
            return 0
        copies = prod(job.out_size) * -(-job.outputs // channels) * self.copy(inside, home, channels)
        left = max(copies - engine.cycles(layer, self.soc.cost_model), 0)
        return left + self.copy(home, inside, job.output_bytes)


def maker(output: ir.Value) -> accel.Layer:
    """Return the layer that makes a map."""
    layer = accel.producer(output)
    assert layer is not None and accel.is_layer(layer), layer
    return layer


def wanted_layout(layer: accel.Layer, engine: Accelerator, output_layout: Layout) -> Layout:
    """Return the layout in which an accelerator reads the maps of a layer."""
    job = engine.job(layer)
    return output_layout if job.is_element_wise else layout_read(layer, engine, job)


def layout_read(layer: accel.Layer, engine: Accelerator, job: Job) -> Layout:
    """Return the layout in which an accelerator reads the map of a layer, for which `job` is the whole layer."""
    return Layout.NHWC if pixels_are_channels(layer, job) else engine.input.layouts[0]


def pixels_are_channels(layer: accel.Layer, job: Job) -> bool:
    """Say whether a layer's job sees each pixel of its map as a channel: of a pool that is a convolution with ones."""
    return isinstance(layer, accel.Pool2dOp) and job.kind != JobKind.POOL2D


def has_two_layouts(value_type: ir.Type) -> bool:
    """Say whether Layout.NCHW and Layout.NHWC are different places for a map."""
    shaped = ir.ShapedType(value_type)
    if shaped.rank != len(layout.NHWC):
        return False
    plain = ir.RankedTensorType.get(shaped.shape, shaped.element_type)
    return not layout.same_places(layout.with_axes(plain, layout.NHWC), plain)


ROW_MAJOR = (accel.ReshapeOp, accel.CallOp)
"""Layers that take their operands and results for flat arrays."""


def must_be_nchw(value: ir.Value) -> bool:
    """Say whether others see a map, or something takes it for a flat array."""
    return is_made_nchw(value) or is_read_nchw(value)


def is_made_nchw(value: ir.Value) -> bool:
    """Say whether others make a map, or what makes it takes it for a flat array."""
    return activations.is_argument(value) or isinstance(accel.producer(value), ROW_MAJOR)


def is_read_nchw(value: ir.Value) -> bool:
    """Say whether others read a map, or something that takes it for a flat array."""
    return any(isinstance(use.owner.opview, (*ROW_MAJOR, func.ReturnOp)) for use in value.uses)
