"""Which constants and maps are in a far memory, where the host's own is too small for all.

A far memory is one that neither the host nor a job works in: RAM or flash beyond. Weights may be there, and maps that
come and go in tiles, to accelerators by way of the host's memory, where they have buffers meanwhile, and to layers of
the host that can be cut (host_tiles.py). Each byte that is far is moved once more in each run. So nothing is, if all
fits. If not, first the weights go, which keep their room for the whole run; then, where the maps of a layer and its
buffers are still too many, the smallest map that is enough, of those first that only accelerators make and read. At
last weights come back as far as there is room: those of layers first that take the least time for each byte, behind
which it could not be fetched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from mlir import ir

from htvm.backend.targets.engines import launches
from htvm.backend.targets.soc import HOST, KERNELS_BYTES, STACK_BYTES, Accelerator, Memory, Soc
from htvm.dialects import accel

from . import activations, layout
from .host_tiles import HostTiles, has_weights_in_blocks
from .linear_kernels import DATA_BYTES

if TYPE_CHECKING:
    from .residency import Placed

TILE_BYTES = 144
"""What describes a layer of the host to its kernel, or a tile of one: htvm_conv2d_layer."""

SCALE_BYTES = 16
"""Constants of an output channel that stay where weights are far, about."""

RESERVES = (16, 8, 4, 2)
"""The parts of the host's memory, one of so many, that are tried for buffers of what passes through: smallest first."""


@dataclass(frozen=True)
class Far:
    """What is in far memories: maps, and weights by what their layer makes. room_bytes: left to the host's arena."""

    maps: dict[ir.Value, str] = field(default_factory=dict[ir.Value, str])
    weights: dict[ir.Value, str] = field(default_factory=dict[ir.Value, str])
    room_bytes: int = 0

    def __bool__(self) -> bool:
        return bool(self.maps or self.weights)


@dataclass(frozen=True)
class Home:
    """The host's memory, and what is to be in it: layers in order, those on accelerators, maps that are elsewhere.

    tiles: how many tiles layers of the host have: the function of each has constants. commands_bytes: what is there of
    the commands of accelerators, about: code, and descriptors of jobs.
    """

    soc: Soc
    layers: Sequence[accel.Layer]
    placed: Sequence[Placed]
    resident: frozenset[ir.Value]
    tiles: int = 0
    commands_bytes: int = 0

    def choose(self, reserve: int) -> Far:
        """Return what is far. reserve: the bytes that are kept for buffers of what passes through, if there is any."""
        far = Far()
        if not self.soc.far_memories or self.fits(self.kept_bytes(far), far):
            return far
        self.send_weights(far)
        while (excess := self.excess(self.kept_bytes(far) + reserve, far)) > 0:
            if not self.send_map(far, excess):
                break
        self.bring_weights_back(far, reserve)
        return replace(far, room_bytes=self.room_bytes - self.kept_bytes(far))

    def send_weights(self, far: Far) -> None:
        """Put the weights of all accelerated layers into far memories: where no maps can be, if there is room."""
        for output, size in self.weight_bytes.items():
            for memory in home_of_weights(self.soc):
                if size and self.far_bytes(far, memory) + size <= memory.size_bytes:
                    far.weights[output] = memory.name
                    break

    def send_map(self, far: Far, excess: int) -> bool:
        """Put a map into a far memory that is there where most bytes are too many; say whether there was one."""
        loads = self.loads(far)
        worst = max(range(len(loads)), key=lambda number: loads[number])
        returning = {
            value: self.returning(value, far)
            for value in self.live_at(worst)
            if value not in far.maps and self.is_movable(value, far)
        }
        gains = {
            value: layout.size_bytes(value.type) - sum(self.weight_bytes[each] for each in weights)
            for value, weights in returning.items()
        }
        movable = sorted((value for value, gain in gains.items() if gain > 0), key=lambda each: gains[each])
        every = [*(value for value in movable if gains[value] >= excess), *reversed(movable)]
        for value in sorted(every, key=self.is_touched_by_host):
            for memory in filter(self.soc.holds_maps, self.soc.far_memories):
                if self.far_bytes(far, memory) + layout.aligned(layout.size_bytes(value.type)) <= memory.size_bytes:
                    far.maps[value] = memory.name
                    for output in returning[value]:
                        del far.weights[output]
                    return True
        return False

    def bring_weights_back(self, far: Far, reserve: int) -> None:
        """Let weights stay as far as there is room beside buffers."""
        cycles: dict[ir.Value, int] = {
            accel.output(layer): max(self.soc.engine(accel.engine(layer)).cycles(layer, self.soc.cost_model), 1)
            for layer in self.layers
            if accel.output(layer) in far.weights
        }
        for output in sorted(far.weights, key=lambda each: -self.weight_bytes[each] / cycles[each]):
            if self.fits(self.kept_bytes(far) + self.weight_bytes[output] + reserve, far):
                del far.weights[output]

    def kept_bytes(self, far: Far) -> int:
        """Return the bytes of weights that are not far, and of constants of the host's tiles."""
        near = sum(size for output, size in self.weight_bytes.items() if output not in far.weights)
        return near + TILE_BYTES * self.tiles

    def far_bytes(self, far: Far, memory: Memory) -> int:
        """Return what is in a far memory, as if it were all there at once."""
        maps = (
            layout.aligned(layout.size_bytes(value.type)) for value, name in far.maps.items() if name == memory.name
        )
        return sum(maps) + sum(self.weight_bytes[output] for output, name in far.weights.items() if name == memory.name)

    @property
    def memory(self) -> Memory:
        return self.soc.memory(self.soc.arena_memory)

    @cached_property
    def room_bytes(self) -> int:
        """What the memory has for maps and weights that could be far, as far as it is known here."""
        room = self.memory.size_bytes - self.commands_bytes
        if self.soc.program_memory == self.memory.name:
            room -= STACK_BYTES + KERNELS_BYTES
        if self.soc.constants_in == self.memory.name:
            room -= sum(self.constants_of_host.values())
        return room

    @cached_property
    def constants_of_host(self) -> dict[accel.Layer, int]:
        """About what the constants of each layer on the host take that cannot be far."""
        found: dict[accel.Layer, int] = {}
        for layer in self.layers:
            if accel.engine(layer) == HOST:
                found[layer] = 0 if accel.output(layer) in self.cut_weights else host_constant_bytes(layer)
                if isinstance(layer, accel.Weighted):
                    found[layer] += TILE_BYTES + SCALE_BYTES * layer.weights.type.shape[0]
        return found

    @cached_property
    def cut_weights(self) -> dict[ir.Value, int]:
        """The bytes of the weights that layers of the host have in tiles if they are far, by what the layers make."""
        if self.soc.constants_in != self.memory.name:
            return {}
        cut = (layer for layer in self.layers if has_weights_in_blocks(layer))
        return {accel.output(layer): host_constant_bytes(layer) for layer in cut}

    @cached_property
    def weight_bytes(self) -> dict[ir.Value, int]:
        """The bytes of the weights of each layer whose weights can be far, by its result; 0 if they are elsewhere."""
        if self.soc.constants_in != self.memory.name:
            return {one.output: 0 for one in self.placed}
        return self.cut_weights | {
            one.output: sum(map(one.engine.weight_bytes, launches.fewest(one.engine, one.job))) for one in self.placed
        }

    def too_many_constants(self) -> tuple[accel.Layer, str] | None:
        """Return the layer of the host with most constants that cannot be far, and what is said of them, if there is no
        room for all.

        The host reads them in this memory, so that nothing can pass through it then; None if there is room.
        """
        if self.room_bytes > 0 or self.soc.constants_in != self.memory.name:
            return None
        sizes = self.constants_of_host
        total, layer = sum(sizes.values()), max(sizes, key=lambda each: sizes[each], default=None)
        if layer is None or total < -self.room_bytes:
            return None
        wanted = f"wanted at most {self.room_bytes + total:,} bytes of {self.memory.name}"
        return layer, f"constants of the host's layers, {sizes[layer]:,} bytes here: found {total:,} bytes, {wanted}"

    def fits(self, other_bytes: int, far: Far) -> bool:
        return self.excess(other_bytes, far) <= 0

    def excess(self, other_bytes: int, far: Far) -> int:
        """Return the bytes that are too many at the worst layer, beside so many of constants and buffers."""
        return max(self.loads(far), default=0) + other_bytes - self.room_bytes

    def loads(self, far: Far) -> list[int]:
        """Return the bytes of maps and scratch that are in the memory while each layer runs."""
        loads = [layout.aligned(activations.scratch_bytes(layer)) for layer in self.layers]
        for value, (first, last) in self.lives.items():
            if value not in far.maps:
                for number in range(first, min(last + 1, len(loads))):
                    loads[number] += layout.aligned(layout.size_bytes(value.type))
        return loads

    def live_at(self, number: int) -> list[ir.Value]:
        return [value for value, (first, last) in self.lives.items() if first <= number <= last]

    @cached_property
    def lives(self) -> dict[ir.Value, tuple[int, int]]:
        """From which layer to which each map is in the memory: inputs, results, and what layers make."""
        number = {accel.output(layer): index for index, layer in enumerate(self.layers)}
        made: dict[ir.Value, int] = {}
        for layer in self.layers:
            made |= {value: -1 for value in activations.read_by(layer) if activations.is_argument(value)}
        made |= number
        found: dict[ir.Value, tuple[int, int]] = {}
        for value, first in made.items():
            last, outside = first, value not in self.resident
            for use in value.uses:
                reader = use.owner.opview
                is_layer = accel.is_layer(reader)
                last = max(last, number[accel.output(reader)] if is_layer else len(self.layers))
                outside = outside or not is_layer or accel.output(reader) not in self.engines
            if outside:
                found[value] = (max(first, 0), last)
        return found

    @cached_property
    def engines(self) -> dict[ir.Value, Accelerator]:
        """The accelerators of layers, by what these make."""
        return {one.output: one.engine for one in self.placed}

    def is_touched_by_host(self, value: ir.Value) -> bool:
        """Say whether a layer of the host makes or reads a map."""
        readers = (use.owner.opview for use in value.uses)
        layers = [accel.producer(value), *readers]
        return any(
            each is not None and accel.is_layer(each) and accel.output(each) not in self.engines for each in layers
        )

    def is_movable(self, value: ir.Value, far: Far) -> bool:
        """Say whether all that make and read a map could do so with it in a far memory: accelerators in memories of
        their own, and layers of the host that are cut, all maps that are far of them along one axis."""
        maker, home = accel.producer(value), self.memory.name
        if value in self.resident or maker is None or not accel.is_layer(maker):
            return False
        if (engine := self.engines.get(value)) is not None and engine.output.memory == home:
            return False
        for layer in (maker, *(use.owner.opview for use in value.uses)):
            if not accel.is_layer(layer):
                return False
            engine = self.engines.get(accel.output(layer))
            if engine is not None and layer is not maker and engine.input.memory == home:
                return False
            if engine is None and not any(self.can_be_cut(layer, value, far, weights) for weights in (False, True)):
                return False
        return True

    def returning(self, value: ir.Value, far: Far) -> list[ir.Value]:
        """Return by their results the layers whose weights cannot be far if a map is that they make or read."""
        layers = (accel.producer(value), *(use.owner.opview for use in value.uses))
        return [
            accel.output(layer)
            for layer in layers
            if layer is not None
            and accel.is_layer(layer)
            and accel.output(layer) in self.cut_weights
            and accel.output(layer) in far.weights
            and not self.can_be_cut(layer, value, far, True)
        ]

    def can_be_cut(self, layer: accel.Layer, value: ir.Value, far: Far, has_far_weights: bool) -> bool:
        """Say whether a layer of the host can be cut if one more map is far, and its weights are or are not."""
        if has_far_weights and accel.output(layer) not in far.weights:
            return False
        return bool(accel.present(HostTiles.of(layer, [*far.maps, value], has_far_weights), "tiles").axes)


def home_of_weights(soc: Soc) -> list[Memory]:
    """Return the far memories, those first that weights go to: where no maps can be."""
    return sorted(soc.far_memories, key=soc.holds_maps)


def host_constant_bytes(layer: accel.Layer) -> int:
    """Return about what the constants of a layer on the host take."""
    known = accel.attribute(layer, DATA_BYTES, ir.IntegerAttr)
    if known is not None:
        return known.value
    constants = (value for value in layer.operation.operands if activations.is_constant(value))
    return sum(layout.size_bytes(value.type) for value in constants)
