"""plan-memory: give every buffer and argument its place in the arena of its memory.

    %y = accel.buffer "conv0" : memref<1x16x32x32xi8, strided<[16384, 1, 512, 16]>, "ram">
    ==>
    %y = accel.buffer "conv0" at 3072 : memref<1x16x32x32xi8, strided<[16384, 1, 512, 16]>, "ram">

and on the module, for each memory: `accel.arena`, the bytes its arena needs; `accel.lower_bound`, what no
plan for this order of layers goes below; `accel.peak`, the node where most is live; `accel.capacity`, what
the memory has; and `accel.descriptor_room`, the bytes that descriptors of jobs may take beside code. An element-wise
layer works in place where its operand is needed no more, and a convolution on the host writes behind its reads, over
its input (analysis/trails.py).

Stage    tiled -> planned
Reads    the order of the layers, sizes of memrefs and globals, `accel.data_bytes`; the target's memories
Writes   `offset` of each buffer, `accel.offset` of each argument, the attributes of the module
Needs    bufferize-layers before it
Fails    on a memory too small for its arena and its constants, with what is live at the peak; on a memref in a
         memory that the target does not have
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import ClassVar

from mlir import ir
from mlir.dialects import func
from mlir.passmanager import ExternalPass

from htvm.backend.targets.shortage import Shortage
from htvm.backend.targets.soc import Memory, Soc
from htvm.dialects import accel

from ..analysis import activations, layout
from ..analysis.actions import Action, actions
from ..analysis.constants import constant_bytes, descriptor_room_bytes
from ..analysis.liveness import Lifetime, lifetimes, overlaps, packed_items
from ..analysis.packing import SOLVER_LIMIT, Packing, loads, pack


@dataclass(frozen=True)
class PlanMemory:
    """Pack what is live into as few bytes as possible and write down where everything is."""

    name: ClassVar[str] = "plan-memory"
    stages: ClassVar[tuple[str, ...]] = ("tiled",)

    target: Soc

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        with module.location:
            memories = {memory.name: memory for memory in self.target.memories}
            largest: dict[str, Plan] = {}
            # What nothing else can use: of a memory that the host does not reach, or that far memories relieve.
            enough = {memory.name: memory.size_bytes for memory in self.target.memories if not memory.host_visible}
            if self.target.far_memories:
                enough |= accel.bytes_by_memory(module, accel.ARENA_ROOM)
            limit = SOLVER_LIMIT * accel.effort(module)
            for function in accel.functions(module):
                doing = actions(function)
                for memory, lives in by_memory(function, doing).items():
                    if memory not in memories:
                        function.location.emit_error(no_memory(memory, lives, self.target))
                        this_pass.signal_pass_failure()
                        return
                    plan = Plan.of(function, doing, lives, memories[memory], limit, enough.get(memory, 0))
                    plan.write_offsets()
                    largest[memory] = max(largest.get(memory, plan), plan, key=lambda each: each.packing.peak)

            write_summary(module, largest, memories)
            write_descriptor_room(module, self.target)
            too_small = {each.memory: each for each in shortages(module, self.target)}
            for name, plan in largest.items():
                if name in too_small:
                    plan.peak_layer.location.emit_error(does_not_fit(self.target, too_small[name], plan))
                    this_pass.signal_pass_failure()


@dataclass(frozen=True)
class Plan:
    """The arena of one memory for one function. `peak` is the number of the action, of those in `doing`, at which most
    is live.
    """

    function: func.FuncOp
    doing: list[Action]
    lives: list[Lifetime]
    packing: Packing
    peak: int

    @staticmethod
    def of(
        function: func.FuncOp, doing: list[Action], lives: list[Lifetime], memory: Memory, limit: float, enough: int
    ) -> "Plan":
        """Pack lifetimes, all in one memory.

        limit: of the search, in its deterministic time. enough: bytes that need not be fewer.
        """
        items = packed_items(lives, memory)
        trails = overlaps(doing, lives)
        peak, _ = max(loads(items, trails), key=lambda load: load[1])
        packing = pack(items, trails, limit, enough)
        return Plan(function, doing, lives, packing, peak)

    @property
    def peak_layer(self) -> ir.OpView:
        return self.doing[max(self.peak, 0)].op if self.doing else self.function

    def write_offsets(self) -> None:
        """Write the offset of each buffer and argument into the IR."""
        arguments = activations.attributes_of_arguments(self.function)
        for life, offset in zip(self.lives, self.packing.offsets, strict=True):
            if isinstance(buffer := accel.producer(life.value), accel.BufferOp):
                buffer.offset = accel.integer(offset)
            else:
                arguments[ir.BlockArgument(life.value).arg_number]["accel.offset"] = accel.integer(offset)
        attributes = ir.ArrayAttr.get([ir.DictAttr.get(each) for each in arguments])
        self.function.attributes["arg_attrs"] = attributes


def by_memory(function: func.FuncOp, doing: list[Action]) -> dict[str, list[Lifetime]]:
    """Return the lifetimes in each memory; those in none under "". doing: the function's actions."""
    found: dict[str, list[Lifetime]] = defaultdict(list)
    for life in lifetimes(function, doing):
        found[layout.memory_of(life.value.type)].append(life)
    return found


def write_summary(module: ir.Operation, plans: dict[str, Plan], memories: dict[str, Memory]) -> None:
    """Write the module's attributes: what each memory needs, at least needs and has, and where the peak is."""
    by_name = {
        "accel.arena": {name: accel.integer(plan.packing.peak) for name, plan in plans.items()},
        "accel.lower_bound": {name: accel.integer(plan.packing.lower_bound) for name, plan in plans.items()},
        "accel.capacity": {name: accel.integer(memories[name].size_bytes) for name in plans},
        "accel.peak": {name: ir.StringAttr.get(accel.node(plan.peak_layer)) for name, plan in plans.items()},
    }
    for name, of_memories in by_name.items():
        module.attributes[name] = ir.DictAttr.get(of_memories)


def write_descriptor_room(module: ir.Operation, target: Soc) -> None:
    """Write what the memory of programs has for descriptors of jobs, if it is another than that of constants."""
    if room := descriptor_room_bytes(module, target):
        module.attributes[accel.DESCRIPTOR_ROOM] = accel.integer(room)


def shortages(module: ir.Operation, target: Soc) -> list[Shortage]:
    """Return the memories that are too small for a module; none if plan-memory has not come to it yet."""
    arenas = accel.bytes_by_memory(module, "accel.arena")
    if not arenas:
        return []
    constants = constant_bytes(module, target)
    needed = {memory: size_bytes + constants[memory] for memory, size_bytes in arenas.items()}
    return [Shortage(name, size) for name, size in needed.items() if size > target.memory(name).size_bytes]


def does_not_fit(target: Soc, shortage: Shortage, plan: Plan) -> str:
    """Say that a memory is too small, what fills it at the worst node, largest first, and what would help."""
    memory, needed = target.memory(shortage.memory), shortage.needed_bytes
    constants = needed - plan.packing.peak
    left = memory.size_bytes - constants
    live = [life for life in plan.lives if life.first <= plan.peak <= life.last]
    sizes = [(constants, "constants"), *((life.size_bytes, f"'{life.name}'") for life in live)]
    parts = "\n".join(f"  {size:>9,} bytes: {name}" for size, name in sorted(sizes, reverse=True) if size)
    if not memory.host_visible:
        less = "smaller tiles (accel.tiling) or fewer maps that stay there (accel.memory) help"
        advice = f"{less}, or a target with more {memory.name}"
    elif left > 0:
        advice = f"the constants leave {left:,} bytes for activations: smaller maps or fewer channels at this node help"
    else:
        advice = "the constants alone do not fit: fewer weights help"
    if memory.host_visible and shortage.can_end(target):
        advice += f", or a larger {memory.name}"
    return (
        f"does not fit target '{target.name}': {memory.name} needs {needed:,} bytes at node "
        f"'{accel.node(plan.peak_layer)}', has {memory.size_bytes:,}\n{parts}\n  {advice}"
    )


def no_memory(memory: str, lives: list[Lifetime], target: Soc) -> str:
    """Say that a value is in a memory that `target` does not have, or in none."""
    found = f"memory '{memory}', which target '{target.name}' does not have" if memory else "no memory"
    known = ", ".join(f"'{each.name}'" for each in target.memories)
    return f"'{lives[0].name}' is in {found}; its memories are {known}"
