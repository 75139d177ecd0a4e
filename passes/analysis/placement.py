"""Which engine runs each layer, in which form, and which layout each map has, so that all of it takes least.

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

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Literal

from mlir import ir
from mlir.dialects import func

from htvm.backend.targets.engines import launches
from htvm.backend.targets.engines.host import CYCLES_PER_NCHW
from htvm.backend.targets.jobs import DESCRIPTOR_WORDS, Job, JobKind, Layout, has_form
from htvm.backend.targets.soc import Accelerator, Soc
from htvm.dialects import accel
from htvm.dialects.accel import FormKind
from htvm.dialects.semantics import value_ranges

from . import activations, conversion, layout
from .far_memories import home_of_weights
from .ways import Price, Way, copy_cycles, price

if TYPE_CHECKING:
    from .constraint_program import ConstraintProgram, Expression, IntVar

SOLVER_LIMIT = 10.0
"""What the solver may spend, in its deterministic time, so that the result is the same on every machine. A unit is
about a second; networks of a hundred layers take a fraction of it.
"""

CYCLES_PER_MISSING_BYTE = 10_000
"""More than a byte of weights can save: constants that do not fit are the fewest that do not."""

MARGIN_BYTES = 2 << 10
"""Left free for small maps and constants of the host's kernels."""

DESCRIPTORS_BYTES = 3 << 10
"""Left free for descriptors of more tiles than are counted, if descriptors are constants."""

COMMANDS_OF_A_LAUNCH = 4
"""It, the copy of its weights, and a wait for each."""


@dataclass(frozen=True)
class Placement:
    """A placement. ways: engine and form by layer result. converted: maps needed in the other layout too."""

    ways: Mapping[ir.Value, Way]
    layouts: Mapping[ir.Value, Layout]
    converted: frozenset[ir.Value]
    cycles: int
    is_optimal: bool


def empty_model() -> ConstraintProgram:
    from .constraint_program import ConstraintProgram  # slow to load, and a machine of one engine needs none

    return ConstraintProgram()


@dataclass
class Placing:
    """The constraint program of a function. candidates: the legal ways to compute each layer, by its result."""

    soc: Soc
    function: func.FuncOp
    candidates: Mapping[ir.Value, Sequence[Way]]
    model: ConstraintProgram = field(default_factory=empty_model)
    costs: list[Expression] = field(default_factory=list["Expression"])
    runs: dict[tuple[ir.Value, Way], IntVar] = field(default_factory=dict[tuple[ir.Value, Way], "IntVar"])
    nhwc: dict[ir.Value, IntVar] = field(default_factory=dict[ir.Value, "IntVar"])
    blocked: dict[ir.Value, IntVar] = field(default_factory=dict[ir.Value, "IntVar"])
    converts: dict[tuple[ir.Value, Layout], IntVar] = field(default_factory=dict[tuple[ir.Value, Layout], "IntVar"])

    conversions: dict[Hashable, int] = field(default_factory=dict[Hashable, int])
    prices: dict[tuple[ir.Value, Way], Price] = field(default_factory=dict[tuple[ir.Value, Way], "Price"])

    def solve(self, limit: float) -> Placement | None:
        """Return the placement of least cost that is found within some deterministic work; None if none is."""
        used: list[Expression] = []
        descriptors: list[Expression] = []
        for output, ways in self.candidates.items():
            for way in ways:
                takes = self.price(output, way)
                self.runs[output, way] = self.flag(takes.cycles)
                if not (way.accelerator and self.soc.far_memories):  # whose weights could be far
                    used.append(takes.constant_bytes * self.runs[output, way])
                    descriptors.append(takes.descriptor_bytes * self.runs[output, way])
            self.model.exactly_one(self.runs[output, way] for way in ways)
        for value in self.values:
            self.transfer(value)
            self.layout(value)
            self.layout_in_blocks(value)
        for output, way in self.runs:
            if way.accelerator is not None:
                self.layout_by(output, way, way.accelerator)
        self.model.minimize(sum(self.costs) + CYCLES_PER_MISSING_BYTE * self.missing_bytes(used, descriptors))
        solution = self.model.solve(limit)
        if not solution.is_found:
            assert solution.status != "INFEASIBLE", "each layer has a way, and each map a layout"
            return None
        return Placement(
            {output: way for (output, way), flag in self.runs.items() if solution.value(flag)},
            {value: Layout.NHWC if solution.value(flag) else Layout.NCHW for value, flag in self.nhwc.items()}
            | {value: Layout.BLOCKED for value, flag in self.blocked.items() if solution.value(flag)},
            frozenset(value for (value, _), flag in self.converts.items() if solution.value(flag)),
            sum(solution.value(cost) for cost in self.costs),
            solution.is_optimal,
        )

    def price(self, output: ir.Value, way: Way) -> Price:
        """Return what a layer takes in a way."""
        if (output, way) not in self.prices:
            self.prices[output, way] = price(self.soc, maker(output), way, self.weights_in)
        return self.prices[output, way]

    @cached_property
    def weights_in(self) -> str:
        """The memory that weights come from: a far one, if that of constants cannot hold those of all layers."""
        near, far = self.soc.memory(self.soc.constants_in), home_of_weights(self.soc)
        ways = {output: [way for way in each if way.accelerator] for output, each in self.candidates.items()}
        fewest = (
            min(price(self.soc, maker(output), way).least.weight_bytes for way in each)
            for output, each in ways.items()
            if each
        )
        return far[0].name if far and sum(fewest) > near.size_bytes else near.name

    def flag(self, cycles: int = 0) -> IntVar:
        """Return a yes or no, where yes costs something."""
        made = self.model.boolean()
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

    def missing_bytes(self, used: Sequence[Expression], descriptors: Sequence[Expression]) -> IntVar:
        """Return what constants need beyond the room that inputs, outputs and maps that no accelerator can keep leave.

        used, descriptors: the bytes of each way, if it is chosen. Descriptors for which the memory of programs has no
        room are constants. Where something is missing, plan-memory says so.
        """
        missing = self.model.integer(0, 1 << 40)
        beside = self.model.integer(0, self.descriptor_room_bytes)
        self.model.add(beside <= sum(descriptors))
        self.model.add(missing >= sum(used) + sum(descriptors) - beside - self.room_bytes)
        return missing

    @cached_property
    def descriptor_room_bytes(self) -> int:
        """About what the memory of programs has for descriptors beside the code of their commands; 0 if it is that of
        constants."""
        soc = self.soc
        if soc.program_memory == soc.constants_in:
            return 0
        commands = COMMANDS_OF_A_LAUNCH * soc.host.call_bytes
        return soc.commands_room_bytes * 4 * DESCRIPTOR_WORDS // (4 * DESCRIPTOR_WORDS + commands)

    @cached_property
    def room_bytes(self) -> int:
        """What constants may take."""
        memory = self.soc.memory(self.soc.constants_in)
        outside = self.most_outside() if memory.name == self.soc.arena_memory else 0
        descriptors = 0 if self.descriptor_room_bytes else DESCRIPTORS_BYTES
        return memory.size_bytes - MARGIN_BYTES - descriptors - outside

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
        engines = [each.accelerator for each in self.candidates.get(value, ()) if each.accelerator]
        if value in self.returned or not engines:
            return True
        return 2 * layout.size_bytes(value.type) > max(
            self.soc.memory(each.output.memory).size_bytes for each in engines
        )

    def copy(self, source: str, target: str, size_bytes: int) -> int:
        """Return what a copy takes; nothing within a memory."""
        return copy_cycles(self.soc, source, target, size_bytes)

    def moves(self, source: str, target: str, value: ir.Value) -> IntVar:
        """Return whether a map is copied from one memory to another."""
        return self.flag(self.copy(source, target, layout.size_bytes(value.type)))

    def on(self, output: ir.Value, role: Literal["input", "output"], memory: str) -> Expression:
        """Return whether an accelerator with that operand in a memory runs the layer that makes a map."""
        ways = (each for each in self.candidates[output] if each.accelerator)
        return sum(self.runs[output, way] for way in ways if getattr(way.accelerator, role).memory == memory)

    def transfer(self, value: ir.Value) -> None:
        """Let a map be copied where it is made in one memory and read in another.

        Between the memories of two accelerators it goes by the host's.
        """
        home = self.soc.arena_memory
        reads = {engine.input.memory for engine in self.soc.accelerators}
        writes = {engine.output.memory for engine in self.soc.accelerators}
        for inside in sorted((reads | writes) - {home}):
            made = 0 if activations.is_argument(value) else self.on(value, "output", inside)
            store = self.moves(inside, home, value) if inside in writes else self.flag()
            load = self.moves(home, inside, value) if inside in reads else self.flag()
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
        for other in (Layout.NCHW, Layout.NHWC):
            self.converts[value, other] = self.flag(self.conversion_cycles(value, other))
        if is_made_nchw(value):
            self.model.add(self.nhwc[value] == 0)
        elif is_read_nchw(value):
            self.model.add(self.converts[value, Layout.NCHW] >= self.nhwc[value])
        elif any(isinstance(maker(reader), accel.Pool2dOp) for reader in self.readers[value]):
            self.costs.append(round(CYCLES_PER_NCHW * layout.size_bytes(value.type)) * ~self.nhwc[value])

    def conversion_cycles(self, value: ir.Value, wanted: Layout) -> int:
        """Return the cycles of the fastest conversion of a map, which are the same for all of its type and range."""
        key = value.type, value_ranges.held(value), wanted
        if key not in self.conversions:
            self.conversions[key] = conversion.fastest(self.soc, value, wanted).cycles
        return self.conversions[key]

    def layout_by(self, output: ir.Value, way: Way, engine: Accelerator) -> None:
        """Let maps have the layouts that an accelerator reads and writes, if it computes a layer in a way."""
        runs, layer = self.runs[output, way], maker(output)
        job = way.job(layer)
        if job.is_element_wise:
            wanted = self.flag()
            if output in self.nhwc:
                self.model.add(self.nhwc[output] == wanted).only_enforce_if(runs)
        else:
            wanted = int(layout_read(layer, engine, job) == Layout.NHWC)
            written = layouts_written(engine, job)
            if output in self.nhwc and len(written) == 1:
                self.model.add(self.nhwc[output] == int(written[0] == Layout.NHWC)).only_enforce_if(runs)
            elif output in self.nhwc:
                self.model.add(self.scatters(output, self.scattered(engine, job)) >= self.nhwc[output] + runs - 1)
        for value in activations.read_by(layer) if not way.reads_blocks else ():
            if value in self.nhwc:
                self.model.add(self.converts[value, Layout.NCHW] >= self.nhwc[value] - wanted + runs - 1)
                self.model.add(self.converts[value, Layout.NHWC] >= wanted - self.nhwc[value] + runs - 1)

    def layout_in_blocks(self, value: ir.Value) -> None:
        """Let a map lie in the blocks of channels in which launches make it, if all of its readers read these."""
        reading = [(reader, way) for reader in self.readers[value] for way in self.candidates[reader]]
        in_blocks = {way.form.constants[0] for _, way in reading if way.reads_blocks and way.form is not None}
        if not in_blocks:
            return
        blocked = self.model.boolean()
        for reader, way in reading:
            runs = self.runs[reader, way]
            self.model.add(runs <= blocked if way.reads_blocks else runs + blocked <= 1)
        made = [way for way in self.candidates.get(value, ()) if in_blocks == {block_made(maker(value), way)}]
        if value not in self.nhwc or must_be_nchw(value) or not made:
            self.model.add(blocked == 0)
            return
        self.blocked[value] = blocked
        self.model.add(blocked <= sum(self.runs[value, way] for way in made))
        self.model.add(self.nhwc[value] + blocked <= 1)

    def scatters(self, output: ir.Value, cycles: int) -> IntVar:
        """Return whether an accelerator writes a map pixel by pixel, which takes so much more."""
        return self.flag(cycles)

    def scattered(self, engine: Accelerator, job: Job) -> int:
        """Return what it takes more to write a map pixel by pixel, if no launch makes all of its channels.

        They leave the memory while the engine works, a copy for each pixel, and come back whole.
        """
        inside, home = engine.output.memory, self.soc.arena_memory
        channels = engine.most_outputs(job)
        if channels >= job.outputs:
            return 0
        copies = prod(job.out_size) * -(-job.outputs // channels) * self.copy(inside, home, channels)
        left = max(copies - launches.cycles(engine, job, self.soc.cost_model), 0)
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


def block_made(layer: accel.Layer, way: Way) -> int | None:
    """Return the channels that each launch of a layer makes of all, pixel by pixel; None if it makes all or cannot."""
    engine = way.accelerator
    if engine is None or way.form is not None or Layout.NHWC not in engine.output.layouts:
        return None
    job = way.job(layer)
    block = engine.most_outputs(job)
    return block if not job.is_element_wise and job.outputs > block > 0 and job.outputs % block == 0 else None


def layouts_written(engine: Accelerator, job: Job) -> tuple[Layout, ...]:
    """Return the layouts in which an accelerator writes the result of a job, blocks left out."""
    has_rows = has_form(job, FormKind.ROWS_AS_CHANNELS, FormKind.SOME_ROWS_AS_CHANNELS)
    return (Layout.NCHW,) if has_rows else engine.output.layouts


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
