"""Which maps lie in an accelerator's memory, and how each of its layers is tiled.

A map that an accelerator makes and an accelerator with the same memory reads can stay there: it is resident. At
first all are. Where they and the smallest buffers of a layer do not fit, one goes back to the host's memory, and its
tiles pass through: the one that relieves most layers that are too full, the largest of those. The budget of a layer's
buffers is what the maps that are resident meanwhile leave.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property

from mlir import ir

from htvm.backend.targets.jobs import Job, Layout
from htvm.backend.targets.soc import Accelerator, Soc, operands
from htvm.backend.targets.violations import AtMost, Bytes, Subject, Violation, all_of
from htvm.dialects import accel, blocked_layout

from . import activations, htvm_tiling, layout
from .far_memories import RESERVES, Far, Home
from .host_tiles import HostTiles
from .tiles import NAME, Tiling
from .tiling import Choice, Search

SLACK = 16
"""The part of what buffers could have, one of so many, that is lost where lifetimes leave gaps."""


COMMANDS = Fraction(2, 3)
"""The part of what commands take at most that is counted: 0.59 of it is there in MobileNetV2, 0.66 in ResNet-18."""


class DoesNotFit(Exception):
    """Layers that cannot have the tiling that they carry, or any at all; and why."""

    def __init__(self, reasons: Mapping[accel.Layer, str]) -> None:
        super().__init__(reasons)
        self.reasons = reasons


@dataclass(frozen=True)
class Placed:
    """A layer on an accelerator, at a place in the order of execution; `job` is all of it."""

    layer: accel.Layer
    number: int
    engine: Accelerator
    job: Job

    @property
    def inputs(self) -> list[ir.Value]:
        return activations.read_by(self.layer)

    @property
    def output(self) -> ir.Value:
        return accel.output(self.layer)


@dataclass
class Residency:
    """The resident maps of a function, and the tilings that follow. resident: those that are, shrinking.

    far: what is in far memories. known, able, searches, loads_of: choices by the room in the host's memory that each
    was made for, whether there is one, the first search, and loads of the host's memory, by what else they depend on.

    in_turn: what is made by layers whose weights, from a far memory, go through a few buffers.
    code_budgets: what the code of a layer may take, by what the layer makes; if it is less than all there is for code.
    on_host: the tilings of layers of the host that touch something far, by what they make. host_tiles: how many tiles
    have room for their constants. commands_bytes: what commands of accelerators take of the host's memory.
    """

    soc: Soc
    layers: Sequence[accel.Layer]
    mapping: str = "default"
    objective: str = "latency"
    resident: set[ir.Value] = field(default_factory=set[ir.Value])
    far: Far = field(default_factory=Far)
    known: dict[Hashable, dict[int, Choice | None]] = field(
        default_factory=dict[Hashable, "dict[int, Choice | None]"], repr=False
    )
    searches: dict[Hashable, Search] = field(default_factory=dict[Hashable, "Search"], repr=False)
    able: dict[Hashable, bool] = field(default_factory=dict[Hashable, bool], repr=False)
    loads_of: dict[Hashable, list[int]] = field(default_factory=dict[Hashable, list[int]], repr=False)
    in_turn: set[ir.Value] = field(default_factory=set[ir.Value])
    code_budgets: dict[ir.Value, int] = field(default_factory=dict[ir.Value, int])
    on_host: dict[ir.Value, Tiling] = field(default_factory=dict[ir.Value, Tiling])
    host_tiles: int = 0
    commands_bytes: int = 0

    @cached_property
    def placed(self) -> list[Placed]:
        engines = {engine.name: engine for engine in self.soc.accelerators}
        return [
            Placed(layer, number, engines[accel.engine(layer)], whole_job(engines[accel.engine(layer)], layer))
            for number, layer in enumerate(self.layers)
            if accel.engine(layer) in engines
        ]

    def keep_all(self) -> None:
        """Make every map resident that an accelerator makes and one with the same memory reads."""
        makers = {one.output: one for one in self.placed}
        for one in self.placed:
            for value in one.inputs:
                memory = one.engine.input.memory
                if value in makers and makers[value].engine.output.memory == memory != self.soc.arena_memory:
                    self.resident.add(value)

    def settle(self) -> dict[ir.Value, Choice]:
        """Return the tiling of each layer by what it makes, after giving up as many maps as must be.

        Raises DoesNotFit.
        """
        for parts in RESERVES:
            self.far, self.resident, self.host_tiles, self.commands_bytes = Far(), set(), 0, 0
            if self.mapping == "default":
                self.keep_all()
            try:
                return self.with_reserve(self.soc.memory(self.soc.arena_memory).size_bytes // parts)
            except DoesNotFit:
                if self.far and (reason := self.home.too_many_constants()) is not None:
                    raise DoesNotFit(dict([reason])) from None
                if not self.far or parts == RESERVES[-1]:
                    raise
        raise AssertionError("returned or raised")

    def with_reserve(self, reserve: int) -> dict[ir.Value, Choice]:
        """Return the tiling of each layer, with so many bytes of the host's memory for what passes through."""
        while True:
            self.make_room()
            far = self.home.choose(reserve)
            if far == self.far:
                self.on_host, count = self.tilings_on_host()
                if count > self.host_tiles:
                    self.host_tiles = count
                    continue
                self.in_turn, self.code_budgets = set(), {}
                choices = {one.output: accel.present(self.choice(one), NAME) for one in self.placed}
                choices = self.with_room_for_code(choices)
                size = self.bytes_of_commands(choices) if self.soc.far_memories else 0
                if size <= self.commands_bytes:
                    return choices
                self.commands_bytes = size
            self.far = far

    def make_room(self) -> None:
        """Give up resident maps until every layer has a tiling, what is far being known."""
        while True:
            lacking = [one for one in self.placed if self.is_full(one)]
            lacking = lacking or [one for one in self.placed if not self.has_tiling(one)]
            if not lacking:
                return
            self.give_up(lacking)

    def tilings_on_host(self) -> tuple[dict[ir.Value, Tiling], int]:
        """Return the tiling of each layer of the host that touches something far, and how many tiles there are.

        Raises DoesNotFit.
        """
        count = 0
        if not self.far:
            return {}, count
        accelerated, loads = {one.output for one in self.placed}, self.home_loads
        found: dict[ir.Value, Tiling] = {}
        lacking: dict[accel.Layer, str] = {}
        for number, layer in enumerate(self.layers):
            output = accel.output(layer)
            tiles = HostTiles.of(layer, self.far.maps, output in self.far.weights)
            if output in accelerated or tiles is None:
                continue
            room = self.room_on_the_way(loads[number]) - tiles.more_scratch_bytes
            tiling = tiles.tiling(room)
            if tiling is None:
                limit = AtMost(Bytes(max(room, 0), memory=self.soc.arena_memory))
                lacking[layer] = str(Violation(Subject.SMALLEST_TILE, Bytes(tiles.least_bytes), limit))
            else:
                found[output] = tiling
                count += len(tiles.tiles(tiling))
        if lacking:
            raise DoesNotFit(lacking)
        return found, count

    def has_tiling(self, one: Placed) -> bool:
        """Say whether a layer has a tiling: which is the best is asked when nothing is given up any more."""
        if self.mapping != "default" or self.pin(one) is not None:
            return self.choice(one) is not None
        search = self.search(one, self.left(one))
        if search.key not in self.able:
            self.able[search.key] = any(True for _ in search.fitting())
        return self.able[search.key]

    def with_room_for_code(self, choices: dict[ir.Value, Choice]) -> dict[ir.Value, Choice]:
        """Return choices whose code fits the memory for programs, those of most code made anew, as far as they can.

        First weights go through buffers in turn where they are many and far: their tiles become loops.
        """
        sizes = {one.output: self.code_bytes(one, choices[one.output]) for one in self.placed}
        many = {one.output: one for one in self.placed if self.can_be_in_turn(one, choices[one.output])}
        while sum(sizes.values()) > self.soc.calls_room_bytes and many:
            value = max(many, key=lambda each: sizes[each])
            self.in_turn.add(value)
            one = many.pop(value)
            if (choice := self.choice(one)) is None:  # there is no room for so many buffers
                self.in_turn.remove(value)
            else:
                choices[value], sizes[value] = choice, self.code_bytes(one, choice)
        able = {one.output: one for one in self.placed if self.pin(one) is None and self.mapping == "default"}
        while sum(sizes.values()) > self.soc.calls_room_bytes and able:
            value = max(able, key=lambda each: sizes[each])
            self.code_budgets[value] = sizes[value] // 2
            choice = self.choice(able[value])
            if choice is not None and (size := self.code_bytes(able[value], choice)) < sizes[value]:
                choices[value], sizes[value] = choice, size
            else:
                del able[value]
        return choices

    def bytes_of_commands(self, choices: Mapping[ir.Value, Choice]) -> int:
        """Return about what is in the host's memory of the commands of all layers: code, and descriptors of jobs.

        Descriptors lie beside code, if that is elsewhere and there is room.
        """
        code = descriptors = 0
        for one in self.placed:
            search, tiling = self.search(one, self.left(one)), choices[one.output].tiling
            code, descriptors = code + search.code_bytes(tiling), descriptors + search.descriptor_bytes(tiling)
        if self.soc.program_memory != self.soc.constants_in:
            descriptors = max(descriptors - max(self.soc.commands_room_bytes - code, 0), 0)
        code_here = code if self.soc.program_memory == self.soc.arena_memory else 0
        return int((code_here + (descriptors if self.soc.constants_in == self.soc.arena_memory else 0)) * COMMANDS)

    def code_bytes(self, one: Placed, choice: Choice) -> int:
        return self.search(one, self.left(one)).code_bytes(choice.tiling)

    def can_be_in_turn(self, one: Placed, choice: Choice) -> bool:
        search = self.search(one, self.left(one))
        return self.mapping == "default" and self.pin(one) is None and search.can_be_in_turn(choice.tiling)

    def give_up(self, full: Sequence[Placed]) -> None:
        """Take one map out of the accelerator's memory, for the layers that have too little of it."""
        pressure: dict[ir.Value, int] = {}
        for one in full:
            for value in self.during(one):
                pressure[value] = pressure.get(value, 0) + 1
        own = {value for one in full for value in self.own(one)}
        if not pressure:
            raise DoesNotFit({one.layer: self.objection(one) for one in full})
        enabling = {value for one in full for value in self.own(one) if self.enables(value, one)}

        def relief(value: ir.Value) -> tuple[bool, int, int, bool]:
            return value in enabling, pressure[value], layout.size_bytes(value.type), value in own

        self.resident.remove(max(pressure, key=relief))

    def own(self, one: Placed) -> set[ir.Value]:
        """Return the resident maps that a layer reads and makes."""
        return self.resident.intersection((*one.inputs, one.output))

    def enables(self, value: ir.Value, one: Placed) -> bool:
        """Say whether a layer that cannot be cut while its map `value` is resident can be cut if that is not."""
        if self.search(one, self.left(one)).smallest() is not None:
            return False
        self.resident.remove(value)
        can_be_cut = self.search(one, self.left(one)).smallest() is not None
        self.resident.add(value)
        return can_be_cut

    def objection(self, one: Placed) -> str:
        """Return what keeps a layer from having a tiling."""
        search, pin = self.search(one, self.left(one)), self.pin(one)
        if pin is not None:
            return str(search.violation(pin) or "no tile fits")
        return all_of(search.too_large()) or "no tile fits"

    def left(self, one: Placed) -> dict[str, int]:
        """Return the bytes that resident maps leave to a layer's buffers, of each memory that it uses."""
        used = {operand.memory for operand in operands(one.engine).values()}
        left = {memory: self.soc.memory(memory).size_bytes for memory in used}
        for value in self.during(one):
            left[self.lives[value][2]] -= layout.aligned(layout.size_bytes(value.type))
        if self.far:
            left[self.soc.arena_memory] = self.left_on_the_way(one)
        return left

    def left_on_the_way(self, one: Placed) -> int:
        """Return the bytes of the host's memory for buffers of what passes through a layer; a part is kept as slack."""
        return self.room_on_the_way(self.home_loads[one.number])

    def room_on_the_way(self, load: int) -> int:
        """Return the same beside so many bytes of maps."""
        left = max(self.far.room_bytes - load, 0)
        return left - left // SLACK

    @property
    def home_loads(self) -> Sequence[int]:
        """The bytes of maps that are in the host's memory while each layer runs."""
        key = ("loads", frozenset(self.resident), frozenset(self.far.maps))
        if key not in self.loads_of:
            self.loads_of[key] = self.home.loads(self.far)
        return self.loads_of[key]

    @property
    def home(self) -> Home:
        resident = frozenset(self.resident)
        return Home(self.soc, self.layers, self.placed, resident, self.host_tiles, self.commands_bytes)

    def during(self, one: Placed) -> list[ir.Value]:
        """Return the maps that are resident while a layer runs, in memories that it uses."""
        used = {operand.memory for operand in operands(one.engine).values()}
        return [
            value
            for value, (first, last, memory) in self.lives.items()
            if value in self.resident and first <= one.number <= last and memory in used
        ]

    @cached_property
    def lives(self) -> dict[ir.Value, tuple[int, int, str]]:
        """From which layer to which each map would be resident, and where."""
        found: dict[ir.Value, tuple[int, int, str]] = {}
        for one in self.placed:
            found[one.output] = (one.number, one.number, one.engine.output.memory)
            for value in one.inputs:
                if value in found:
                    first, _, memory = found[value]
                    found[value] = (first, one.number, memory)
        return found

    def is_full(self, one: Placed) -> bool:
        """Say whether resident maps leave less than the smallest buffers of a layer need."""
        search = self.search(one, self.left(one))
        smallest = search.smallest()
        return smallest is not None and not search.fits(smallest)

    def choice(self, one: Placed) -> Choice | None:
        """Return the tiling of a layer: the one that it has already, if it fits, or the best."""
        search, pin = self.search(one, self.left(one)), self.pin(one)
        if pin is not None:
            return search.pinned(pin)
        known = self.known.setdefault(search.key_beside(search.home), {})
        if self.only_passes(search):
            most = self.soc.memory(search.home).size_bytes
            if most not in known:
                known[most] = self.best(replace(search, budgets={**search.budgets, search.home: most}))
            best = known[most]
            if best is None or search.fits(replace(best.tiling, weight_buffers=0)):
                return best
        room = search.budgets.get(search.home, 0)
        if room not in known:
            known[room] = self.best(search)
        return known[room]

    def only_passes(self, search: Search) -> bool:
        """Say whether the room in the host's memory decides which tilings fit, and nothing else: data pass through.

        Then the best tiling in all of the memory, which is sought once, is the best in a part of it that it fits.
        """
        used = {operand.memory for operand in operands(search.engine).values()}
        return self.mapping == "default" and search.home in search.budgets and search.home not in used

    def best(self, search: Search) -> Choice | None:
        return search.best(self.objective) if self.mapping == "default" else htvm_tiling.choose(search)

    def pin(self, one: Placed) -> Tiling | None:
        """Return the tiling that a layer has already."""
        return Tiling.of_layer(one.layer) if NAME in one.layer.operation.attributes else None

    def search(self, one: Placed, budgets: Mapping[str, int]) -> Search:
        home = self.soc.arena_memory
        stay = [value in self.resident or one.engine.input.memory == home for value in one.inputs]
        search = Search(
            self.soc,
            one.engine,
            one.job,
            home,
            budgets,
            loads=not all(stay),
            stores=one.output not in self.resident and one.engine.output.memory != home,
            plain=self.mapping != "default",
            keeps=stay.index(True) if any(stay) and not all(stay) else None,
            in_turn=one.output in self.in_turn,
            code_budget_bytes=self.code_budgets.get(one.output, self.soc.calls_room_bytes),
            far=self.far_operands(one),
        )
        return search.sharing(self.searches.setdefault(search.key_beside(home), search))

    def far_operands(self, one: Placed) -> dict[str, str]:
        """Return which of the operands of a layer are in which far memory, by role."""
        inputs = [self.far.maps[value] for value in one.inputs if value in self.far.maps]
        found = {
            "input": inputs[0] if inputs else None,
            "weights": self.far.weights.get(one.output),
            "output": self.far.maps.get(one.output),
        }
        return {role: memory for role, memory in found.items() if memory is not None}


def whole_job(engine: Accelerator, layer: accel.Layer) -> Job:
    """Return a layer as one job that writes the layout of its result's type."""
    return replace(engine.job(layer), layout=layout_of(accel.output(layer).type))


def layout_of(value_type: ir.Type) -> Layout:
    """Return the layout of a map; NCHW where both are the same places."""
    if blocked_layout.block_of(value_type):
        return Layout.BLOCKED
    return Layout.NCHW if layout.is_row_major(value_type) else Layout.NHWC
