"""From which layer to which layer each piece of memory of a bufferized function holds something that is needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm

from mlir import ir
from mlir.dialects import func

from htvm.backend.targets.soc import Memory
from htvm.dialects import accel

from . import activations, layout
from .actions import actions, whole
from .packing import Item, Trail
from .trails import trails_of_buffers


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


def lifetimes(function: func.FuncOp) -> list[Lifetime]:
    """Return the lifetimes of all arguments and buffers of a function on memrefs."""
    all_actions = actions(function)
    uses: dict[ir.Value, list[int]] = {}
    for action in all_actions:
        for value in action.touched.all:
            uses.setdefault(value, []).extend([action.begin, action.end])

    found: list[Lifetime] = []
    attributes_of_arguments = activations.attributes_of_arguments(function)
    for argument, attributes in zip(function.arguments, attributes_of_arguments, strict=True):
        name = activations.named(argument, attributes)
        used = uses.get(argument, [])
        if "accel.result" in attributes:
            used = [*used, len(all_actions)]
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


def overlaps(function: func.FuncOp, lives: Sequence[Lifetime]) -> dict[tuple[int, int], Trail]:
    """Return for pairs (i, j) how buffer j may lie over i: the layer that last reads i writes j, which begins there.

    An argument is where the caller says. What trails may lie over an input's place, which is right wherever the input
    is; nothing takes exactly the place of an argument.
    """
    index = {life.value: number for number, life in enumerate(lives)}
    found: dict[tuple[int, int], Trail] = {}
    for action in actions(function):
        if not accel.is_layer(action.op):
            continue
        made = index.get(whole(accel.output(action.op)))
        if made is None or lives[made].first != action.number:
            continue
        for value, trail in trails_of_buffers(action.op).items():
            read = index.get(value)
            is_exact = trail.multiple == 0
            if read is None or lives[read].last != action.number or read == made:
                continue
            if not (is_exact and (lives[read].is_argument or lives[made].is_argument)):
                found[read, made] = trail.aligned(layout.ALIGNMENT_BYTES)
    return found
