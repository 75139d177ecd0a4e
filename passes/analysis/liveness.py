"""From which layer to which layer each piece of memory of a bufferized function holds something that is needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm

import numpy as np
from mlir import ir
from mlir.dialects import func

from htvm.backend.targets.soc import Memory
from htvm.dialects import accel

from . import activations, layout
from .actions import Action, whole
from .packing import Item, Trail
from .trails import trail_of_launch, trails_of_buffers


@dataclass(frozen=True)
class Lifetime:
    """A buffer or an argument of the function, needed while the actions first..last run, both included.

    Actions are numbered from 0 in order of execution. An input is there before the first one (-1), a result is
    needed after the last one. A copy or launch needs its memory until it is waited for, in a loop until that ends.
    """

    value: ir.Value
    name: str
    size_bytes: int
    first: int
    last: int

    @property
    def is_argument(self) -> bool:
        return activations.is_argument(self.value)


def lifetimes(function: func.FuncOp, doing: Sequence[Action]) -> list[Lifetime]:
    """Return the lifetimes of all arguments and buffers of a function on memrefs. doing: its actions."""
    uses: dict[ir.Value, list[int]] = {}
    for action in doing:
        for value in action.touched.all:
            uses.setdefault(value, []).extend([action.begin, action.end])

    found: list[Lifetime] = []
    attributes_of_arguments = activations.attributes_of_arguments(function)
    for argument, attributes in zip(function.arguments, attributes_of_arguments, strict=True):
        name = activations.named(argument, attributes)
        used = uses.get(argument, [])
        if "accel.result" in attributes:
            used = [*used, len(doing)]
        else:
            used = [-1, *used]
        found.append(Lifetime(argument, name, layout.size_bytes(argument.type), min(used), max(used)))
    for op in function.body.blocks[0]:
        if isinstance(op, accel.BufferOp) and op.memref in uses:
            used = uses[op.memref]
            found.append(Lifetime(op.memref, op.name.value, layout.size_bytes(op.memref.type), min(used), max(used)))
    return found


def packed_items(lives: Sequence[Lifetime], memory: Memory) -> list[Item]:
    """Return lifetimes in a memory as items to be packed: sizes are multiples of its rows, so that offsets are."""
    alignment = lcm(layout.ALIGNMENT_BYTES, memory.row_bytes)
    return [Item(-(-life.size_bytes // alignment) * alignment, life.first, life.last) for life in lives]


def overlaps(doing: Sequence[Action], lives: Sequence[Lifetime]) -> dict[tuple[int, int], Trail]:
    """Return for pairs (i, j) how buffer j may lie over i while both are needed. doing: the actions of the function.

    A map may trail the one that it is computed from (trails.py), also if layers read and write them in parts, as
    patches do. Scratch memory of a layer may lie where the map that it writes is not written yet, or where the one that
    it reads is not read any more.

    The output of a launch may trail its input, where that is needed no more: no other command touches either meanwhile.

    An argument is where the caller says. What trails may lie over an input's place, which is right wherever the input
    is; nothing takes exactly the place of an argument.
    """
    index = {life.value: number for number, life in enumerate(lives)}
    found: dict[tuple[int, int], Trail] = {}
    for action in doing:
        if isinstance(action.op, accel.LaunchOp) and (trail := trail_of_launch(action.op)) is not None:
            read, made = (index.get(whole(value)) for value in (action.op.inputs[0], action.op.out))
            if read is not None and made is not None and _is_between(lives[read], lives[made], action, doing):
                found[read, made] = trail.aligned(layout.ALIGNMENT_BYTES)
        if not accel.is_layer(action.op):
            continue
        made = index.get(whole(accel.output(action.op)))
        scratch = [index[value] for value in action.touched.used if value in index]
        for value, trail in trails_of_buffers(action.op).items():
            read = index.get(value)
            if read is None or made is None or read == made or lives[made].first > action.number:
                continue
            is_only = lives[made].first == lives[read].last
            whole_trail = trail if is_only else _in_parts(lives[read], lives[made], doing)
            is_exact = trail.multiple == 0
            if whole_trail and not (is_exact and (lives[read].is_argument or lives[made].is_argument)):
                found[read, made] = whole_trail.aligned(layout.ALIGNMENT_BYTES)
        for number in scratch:
            if made is not None and (ahead := _before_written(lives[made], action, doing)):
                found[made, number] = ahead
            for read in {index[value] for value in action.touched.reads if value in index} - {made}:
                if behind := _behind_read(lives[read], layout.aligned(lives[number].size_bytes), action, doing):
                    found[read, number] = behind
    return found


def _is_between(read: Lifetime, made: Lifetime, launch: Action, doing: Sequence[Action]) -> bool:
    """Say whether a launch is the last that touches one buffer, and the first that touches another one."""
    if read == made or read.is_argument or made.is_argument or (read.last, made.first) != (launch.end, launch.number):
        return False
    others = [each for each in doing if each.number != launch.number]
    return not any(
        (read.value in each.touched.all and each.end >= launch.number)
        or (made.value in each.touched.all and each.begin <= launch.end)
        for each in others
    )


def _in_parts(read: Lifetime, made: Lifetime, doing: Sequence[Action]) -> Trail | None:
    """Return the trail of a map over another one of which several layers read and write parts; None if there is none.

    What a layer writes must be behind all that it and later ones read.
    """
    if read.last >= len(doing):
        return None
    found: Trail | None = None
    written = None
    for action in doing[made.first : read.last + 1]:
        touched = action.touched
        reads, writes = read.value in touched.reads, made.value in touched.writes
        if read.value in (*touched.writes, *touched.used) or not _is_alone(action, reads or writes):
            return None
        needed = [trails_of_buffers(_layer(action)).get(read.value)] if reads and writes else []
        if reads and written is not None:
            needed.append(Trail(written - int(_read_bytes(action, read).argmax())))
        for trail in needed:
            found = trail if found is None or trail is None else found.also(trail)
            if found is None:
                return None
        if writes:
            written = max(written or 0, _written_end(action, made))
    return found


def _before_written(made: Lifetime, at: Action, doing: Sequence[Action]) -> Trail | None:
    """Return where scratch memory of a layer may lie in the map that it writes: behind all that is written by then."""
    before = [action for action in doing[made.first : at.number + 1] if made.value in action.touched.writes]
    if not before or made.first < 0 or not all(_is_alone(action, True) for action in doing[made.first : at.number + 1]):
        return None
    written = layout.aligned(max(_written_end(action, made) for action in before))
    most = layout.aligned(made.size_bytes)
    return Trail(-most, layout.ALIGNMENT_BYTES, -written) if written < most else None


def _behind_read(read: Lifetime, size_bytes: int, at: Action, doing: Sequence[Action]) -> Trail | None:
    """Return where scratch memory of a layer may lie in a map that it reads: in bytes that neither it nor a later layer
    reads, the last ones of which there are enough."""
    later = doing[at.number : read.last + 1]
    if read.value in activations.read_by(_layer(at)) or read.last >= len(doing):  # all of it is read
        return None
    if not all(_is_alone(action, True) and read.value not in action.touched.writes for action in later):
        return None
    needed = np.zeros(read.size_bytes + 1, bool)
    needed[-1] = True
    for action in later:
        needed[:-1] |= _read_bytes(action, read)
    ends = np.flatnonzero(needed)
    begins = np.concatenate([[0], ends[:-1] + 1])
    alignment = layout.ALIGNMENT_BYTES
    least, most = -(-begins // alignment) * alignment, (ends - size_bytes) // alignment * alignment
    enough = np.flatnonzero(least <= most)
    return Trail(-int(most[enough[-1]]), alignment, -int(least[enough[-1]])) if enough.size else None


def _is_alone(action: Action, is_layer: bool) -> bool:
    """Say whether an action takes no longer than its turn; is_layer: and computes on the host."""
    return action.begin == action.end == action.number and (not is_layer or accel.is_layer(action.op))


def _layer(action: Action) -> accel.Layer:
    assert accel.is_layer(action.op), action.op.operation.name
    return action.op


def _read_bytes(action: Action, life: Lifetime) -> np.ndarray:
    """Return which bytes of a map a layer reads."""
    parts = [value for value in activations.read_by(_layer(action)) if whole(value) == life.value]
    found = np.zeros(life.size_bytes, bool)
    for part in parts:
        found |= layout.bytes_covered(part.type, life.size_bytes)
    return found


def _written_end(action: Action, life: Lifetime) -> int:
    """Return the byte behind the last one of a map that a layer writes."""
    covered = layout.bytes_covered(accel.output(_layer(action)).type, life.size_bytes)
    return int(np.flatnonzero(covered)[-1]) + 1
