"""In which order are the tiles of several layers launched, if each unit takes up its next work as early as it can?

A tile needs tiles of other layers, whose results it reads, its input and weights, which a transfer engine brings.
Weights take room in their memory from then on until the last tile that uses them has ended. The host gives launches and
transfers one after the other, in the order of their beginning. Among those that could begin at the same time on a unit,
the one goes first behind which most work is left until the end (list scheduling by critical path).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

LAYERS_AHEAD = 4
"""Weights come when the layer so many before has begun, not earlier: they take room."""


class Role(Enum):
    """What is done for a tile."""

    WEIGHTS = "weights"
    LOAD = "load"
    LAUNCH = "launch"


@dataclass(frozen=True)
class Transfer:
    """What a transfer engine brings for a tile, in cycles; and of weights, into which memory and how many bytes."""

    unit: str
    cycles: int
    memory: str = ""
    size_bytes: int = 0


@dataclass(frozen=True)
class TileWork:
    """The launches of a tile, and what is brought for it.

    layer: a number; tiles of a layer keep their order. needs: the numbers of the tiles that must have ended before, all
    smaller than its own. buffers: how many inputs of the layer there is room for. weights_of: the number of the tile
    whose weights it uses, its own or one before; None if it uses none.
    """

    layer: int
    unit: str
    cycles: int
    needs: tuple[int, ...]
    weights: Transfer | None
    load: Transfer | None
    buffers: int
    weights_of: int | None = None


@dataclass(frozen=True)
class Given:
    """Something that the host lets a unit do for the tile with a number."""

    tile: int
    role: Role


@dataclass(frozen=True)
class Order:
    """What is done in which order, and the cycles until the last of it has ended."""

    sequence: tuple[Given, ...]
    cycles: int


@dataclass(frozen=True)
class _Piece:
    """Work of a unit. line: of pieces that keep their order. needs: the pieces that must have ended before.

    weights: what is brought and takes room, if it is weights. frees: the piece whose weights no later one uses, if any.
    """

    given: Given
    unit: str
    cycles: int
    line: tuple[int | str, Role]
    needs: tuple[int, ...]
    weights: Transfer | None = None
    frees: int | None = None


def in_turn(works: Sequence[TileWork]) -> Order:
    """Return tiles in their order, what is brought for them just before."""
    pieces = list(_pieces(works, {}))
    clock = _Clock(pieces, {})
    for number in range(len(pieces)):
        clock.give(number)
    return clock.order(range(len(pieces)))


def interleaved(works: Sequence[TileWork], rooms: Mapping[str, int] | None = None) -> Order:
    """Return tiles in the order in which units can begin them.

    rooms: the bytes for weights in memories, where limited.
    """
    pieces = list(_pieces(works, rooms or {}))
    lines: dict[tuple[int | str, Role], list[int]] = defaultdict(list)
    for number in reversed(range(len(pieces))):
        lines[pieces[number].line].append(number)
    left = _remaining(pieces)
    clock, sequence = _Clock(pieces, rooms or {}), list[int]()
    first = {line: numbers.pop() for line, numbers in lines.items()}
    while first:
        ready = [number for number in first.values() if clock.is_ready(number)]
        number = min(ready, key=lambda each: (clock.start(each), -left[each], each))
        clock.give(number)
        sequence.append(number)
        line = pieces[number].line
        if lines[line]:
            first[line] = lines[line].pop()
        else:
            del first[line]
    return clock.order(sequence)


def _pieces(works: Sequence[TileWork], rooms: Mapping[str, int]) -> Iterator[_Piece]:
    """Yield the work of units for tiles."""
    launch_of: list[int] = []
    loads: dict[int, list[int]] = defaultdict(list)  # by layer, the tiles for which an input is loaded
    starts: dict[int, int] = {}  # by layer, the first tile
    brought: dict[int, int] = {}  # by tile, the piece that brings its weights
    last_user = {work.weights_of: tile for tile, work in enumerate(works)}
    count = 0
    for tile, work in enumerate(works):
        needs = [launch_of[need] for need in work.needs]
        starts.setdefault(work.layer, tile)
        if work.weights is not None:
            behind = starts.get(work.layer - LAYERS_AHEAD)
            early = () if behind is None else (launch_of[behind],)
            given = Given(tile, Role.WEIGHTS)
            # Where room is limited, in one order: what is used later never takes the room of what is used before.
            line = work.weights.memory if work.weights.memory in rooms else work.layer, Role.WEIGHTS
            yield _Piece(given, work.weights.unit, work.weights.cycles, line, early, work.weights)
            brought[tile] = count
            needs.append(count)
            count += 1
        if work.load is not None:
            own = loads[work.layer]
            own.append(tile)
            free: list[int] = []
            if len(own) > work.buffers:  # the last tile that works on what is in the buffer
                free = [launch_of[own[-work.buffers] - 1]]
            yield _Piece(Given(tile, Role.LOAD), work.load.unit, work.load.cycles, (work.layer, Role.LOAD), tuple(free))
            needs.append(count)
            count += 1
        used = work.weights_of
        frees = brought.get(used) if used is not None and last_user[used] == tile else None
        line = work.layer, Role.LAUNCH
        yield _Piece(Given(tile, Role.LAUNCH), work.unit, work.cycles, line, tuple(needs), frees=frees)
        launch_of.append(count)
        count += 1


def _remaining(pieces: Sequence[_Piece]) -> list[int]:
    """Return the cycles from the beginning of each piece to the end of all that waits for it, one after the other."""
    left = [piece.cycles for piece in pieces]
    last: dict[tuple[int | str, Role], int] = {}
    for number in reversed(range(len(pieces))):
        piece = pieces[number]
        if piece.line in last:
            left[number] = max(left[number], piece.cycles + left[last[piece.line]])
        last[piece.line] = number
        for need in piece.needs:
            left[need] = max(left[need], pieces[need].cycles + left[number])
    return left


class _Clock:
    """When pieces begin and end. ends: of those that were given; 0 of others.

    rooms: the bytes for weights in memories. held: of the pieces whose weights are in a memory, when they no longer
    need their room; None while the piece that says so has not been given.
    """

    def __init__(self, pieces: Sequence[_Piece], rooms: Mapping[str, int]) -> None:
        self.pieces, self.rooms = pieces, rooms
        self.now = 0
        self.free: dict[str, int] = defaultdict(int)
        self.ends = [0] * len(pieces)
        self.held: dict[str, dict[int, int | None]] = defaultdict(dict)

    def is_ready(self, number: int) -> bool:
        """Say whether all that a piece needs has been given, and what must leave its room."""
        return self.room_from(number) is not None and all(self.ends[need] for need in self.pieces[number].needs)

    def start(self, number: int) -> int:
        """Return when a piece can begin."""
        piece = self.pieces[number]
        from_here = max(self.now, self.room_from(number) or 0)
        return max(from_here, self.free[piece.unit], *(self.ends[need] for need in piece.needs))

    def room_from(self, number: int) -> int | None:
        """Return when there is room for what a piece brings; None if that is not known yet. Alone it always has."""
        brought = self.pieces[number].weights
        if brought is None or brought.memory not in self.rooms:
            return 0
        held = self.held[brought.memory]
        sizes = {each: self.size_of(each) for each in held}
        used, begin = sum(sizes.values()) + brought.size_bytes, 0
        known = sorted((end, each) for each, end in held.items() if end is not None)
        for end, each in known:
            if used <= self.rooms[brought.memory]:
                return begin
            used, begin = used - sizes[each], end
        return begin if used <= self.rooms[brought.memory] or len(known) == len(held) else None

    def size_of(self, number: int) -> int:
        brought = self.pieces[number].weights
        return brought.size_bytes if brought is not None else 0

    def give(self, number: int) -> None:
        piece = self.pieces[number]
        self.now = self.start(number)
        self.free[piece.unit] = self.ends[number] = self.now + piece.cycles
        for held in self.held.values():
            for over in [each for each, end in held.items() if end is not None and end <= self.now]:
                del held[over]
        if piece.weights is not None:
            self.held[piece.weights.memory][number] = None
        if piece.frees is not None and (brought := self.pieces[piece.frees].weights) is not None:
            self.held[brought.memory][piece.frees] = self.ends[number]

    def order(self, sequence: Sequence[int]) -> Order:
        return Order(tuple(self.pieces[number].given for number in sequence), max(self.ends, default=0))
