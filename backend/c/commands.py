"""Copies, launches and waits as calls of htvm_soc.h, one each; calls.py writes them as C.

A unit is the address of its registers. Places that the host cannot address are numbers: the memory's address and the
offset that the plan gives. A token is how many commands its unit has been given up to there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from mlir import ir
from mlir.dialects import memref, scf

from htvm.backend.targets.jobs import OPERANDS, Job
from htvm.backend.targets.soc import Route, Soc, has_launcher, is_driven
from htvm.backend.targets.soc import operands as operands_of
from htvm.dialects import accel
from htvm.dialects.copies import Runs
from htvm.dialects.execution import constant_of
from htvm.dialects.indices import Linear, linear

from . import headers, values
from .step import Step
from .unit_calls import Call, CallLoop, Command, MemoryBase, Place, PointerBase, call


@dataclass(frozen=True)
class Count:
    """A command: how many its unit was given up to it, itself included."""

    unit: str
    number: Linear

    def at(self, indices: Mapping[ir.Value, int]) -> Count:
        """Return what it is for values of some indices."""
        return replace(self, number=self.number.at(indices))


@dataclass
class Commands:
    """The commands of a program, in order.

    given, waited: how many each unit was given, and how many have ended. counts: what each token stands for. loaded:
    the constant that each buffer holds. loops: those around what is written.
    """

    soc: Soc
    given: dict[str, Linear] = field(default_factory=dict[str, Linear])
    waited: Counter[str] = field(default_factory=Counter[str])
    counts: dict[ir.Value, Count] = field(default_factory=dict["ir.Value", "Count"])
    memories: dict[str, MemoryBase] = field(default_factory=dict[str, MemoryBase])
    loaded: dict[ir.Value, str] = field(default_factory=dict[ir.Value, str])
    loops: list[CallLoop] = field(default_factory=list[CallLoop])

    def write(self, op: ir.OpView, step: Step) -> None:
        """Add the calls of a command, or of a loop of them, to a step."""
        step.shared.headers.add(headers.SOC)
        match op:
            case accel.CopyOp():
                self.copy(op, step)
            case accel.LaunchOp():
                self.launch(op, step)
            case accel.WaitOp():
                self.wait(op, step)
            case scf.ForOp():
                self.loop(op, step)
            case _ if accel.is_command(op):
                raise ValueError(f"'{op.operation.name}' is no command that the C can give")
            case _:
                pass

    def copy(self, op: accel.CopyOp, step: Step) -> None:
        """Add the copy of a map: its runs, up to two loops of them in one call."""
        source, target, runs = op.source, op.target, Runs.of(op)
        to, from_ = self.place(target, step), self.place(source, step)
        root = root_of(source)[0]
        if constant := self.loaded.get(root) or values.global_name(root):
            self.loaded[root_of(target)[0]] = constant
        step.calls += copies(unit_name(self.give(op)), to, from_, list(runs.loops), runs.bytes)

    def launch(self, op: accel.LaunchOp, step: Step) -> None:
        """Add a launch of a job, with the places of its operands."""
        engine, job = op.engine.value, Job.of(op.job)
        unit = self.soc.accelerator(engine)
        names = unit.job_fields
        if problem := job.other_fields(names):
            raise ValueError(f"node '{accel.node(op)}' on engine '{engine}': {problem}")
        operands = dict(zip(OPERANDS, op.inputs)) | {"output": op.out}
        if op.weights is not None:
            operands["weights"] = op.weights
            root = root_of(op.weights)[0]
            if constant := self.loaded.get(root) or values.global_name(root):
                step.packed.add(constant)
        if op.sums is not None:
            operands["sums"] = op.sums
        has = operands_of(unit)
        places = [
            self.operand(operands[name], has.get(name, unit.input).memory, step) if name in operands else 0
            for name in OPERANDS
        ]
        if has_launcher(unit):
            function, words = step.starts(unit), tuple(unit.descriptor(job))
            step.calls.append(call(function, unit_name(self.give(op)), *places, job=words, takes_places=True))
            return
        words = tuple(job.words({}, names)[: -len(OPERANDS)])
        if is_driven(unit):
            self.give(op)
            step.calls.append(call("htvm_drive", step.drives(unit), *places, job=words))
        else:
            step.calls.append(call("htvm_launch", unit_name(self.give(op)), *places, job=words))

    def wait(self, op: accel.WaitOp, step: Step) -> None:
        """Add a wait, unless what it is for has been waited for."""
        found = self.count_of(op.token)
        if found is None or found.unit in self.driven:
            return
        last = found.number.at({loop.index: loop.times - 1 for loop in self.loops}).constant
        if self.loops or last > self.waited[found.unit]:
            self.waited[found.unit] = max(self.waited[found.unit], last)
            step.calls.append(call("htvm_wait", unit_name(found.unit), found.number))

    def loop(self, op: scf.ForOp, step: Step) -> None:
        """Add a loop."""
        lower, upper, by = bounds(op)
        if (lower, by) != (0, 1):
            raise ValueError(f"a loop goes from {lower} by {by}, expected from 0 by 1")
        if not self.loops:
            self.given = self.number(op, self.given)
        calls: list[Call] = []
        self.loops.append(CallLoop(op.induction_variable, upper, calls))
        outside, step.calls = step.calls, calls
        for inner in op.body:
            self.write(inner, step)
        step.calls = outside
        step.calls.append(self.loops.pop())

    # How many commands there have been

    def give(self, op: accel.CopyOp | accel.LaunchOp) -> str:
        """Count a command, if that was not done for the whole loop that it is in; return its unit."""
        unit, count = self.command(op)
        if not self.loops:
            self.given[unit] = self.given.get(unit, Linear(0)) + count
            self.counts[op.token] = Count(unit, self.given[unit])
        return unit

    def command(self, op: accel.CopyOp | accel.LaunchOp) -> tuple[str, int]:
        """Return the unit of a command, and how many it is of them: a copy one for each run."""
        if isinstance(op, accel.LaunchOp):
            return op.engine.value, 1
        route = Route(values.memory_of(op.source), values.memory_of(op.target))
        return self.soc.dma(route).name, Runs.of(op).count

    def number(self, loop: scf.ForOp, given: Mapping[str, Linear]) -> dict[str, Linear]:
        """Count the commands in a loop, whatever its index; return how many there are behind it."""
        _, times, _ = bounds(loop)
        each = self.given_in(loop.body)
        inside = dict(given) | {
            unit: given.get(unit, Linear(0)) + Linear(0, ((loop.induction_variable, count),))
            for unit, count in each.items()
        }
        for op in loop.body:
            if isinstance(op, accel.CopyOp | accel.LaunchOp):
                unit, count = self.command(op)
                inside[unit] += count
                self.counts[op.token] = Count(unit, inside[unit])
            elif isinstance(op, scf.ForOp):
                inside = self.number(op, inside)
        return dict(given) | {unit: given.get(unit, Linear(0)) + times * count for unit, count in each.items()}

    def given_in(self, block: ir.Block) -> Counter[str]:
        """Return how many commands each unit is given in a block."""
        found: Counter[str] = Counter()
        for op in block:
            if isinstance(op, accel.CopyOp | accel.LaunchOp):
                unit, count = self.command(op)
                found[unit] += count
            elif isinstance(op, scf.ForOp):
                _, times, _ = bounds(op)
                found += Counter({unit: times * count for unit, count in self.given_in(op.body).items()})
        return found

    def count_of(self, token: ir.Value) -> Count | None:
        """Return what a token stands for; None for that of nothing. Raises ValueError if that depends on more."""
        token = origin(token)
        if token not in self.counts:
            found = self.traced(token)
            if found is None:
                return None
            self.counts[token] = found
        return self.counts[token]

    def traced(self, token: ir.Value) -> Count | None:
        """Return what a token stands for that a loop takes, or gives."""
        owner = token.owner
        if isinstance(owner, ir.Block):
            loop = owner.owner
            assert isinstance(loop, scf.ForOp)
            return self.carried(loop, ir.BlockArgument(token).arg_number - 1)
        loop = owner.opview
        if not isinstance(loop, scf.ForOp):
            return None  # accel.ready
        *_, end = loop.body
        _, times, _ = bounds(loop)
        found = self.count_of(end.operands[ir.OpResult(token).result_number])
        return found and found.at({loop.induction_variable: times - 1})

    def carried(self, loop: scf.ForOp, place: int) -> Count | None:
        """Return what a token stands for that a loop takes, each time round: what it gave the time before."""
        *_, end = loop.body
        index, first = loop.induction_variable, self.count_of(loop.operands[3 + place])
        found = self.count_of(end.operands[place])
        before = found and replace(found, number=found.number + -dict(found.number.steps).get(index, 0))
        if first is not None and (before is None or first != before.at({index: 0})):
            raise ValueError("a token that a loop takes is not of the same command each time round")
        return before

    def place(self, value: ir.Value, step: Step) -> Place:
        """Return where a map or a part of one is."""
        root, offset = root_of(value)
        constant = values.global_name(root)
        if constant is not None:
            return Place(PointerBase(step.array_of(constant)), offset)
        if not self.is_visible(value):
            step.held[root] = None
            return self.inside(root, offset)
        return Place(PointerBase(step.touches(root)), offset)

    def operand(self, value: ir.Value, memory: str, step: Step) -> Place:
        """Return where an operand of a job is. Raises ValueError if it has gaps, or is in another memory."""
        if values.memory_of(value) != memory:
            raise ValueError(f"a job has an operand in '{values.memory_of(value)}', expected '{memory}'")
        axes = values.merge_axes(values.shape(value), values.strides(value))
        if [step for _, step in axes] not in ([], [1]):
            raise ValueError(f"a job has an operand of '{value.type}', expected one without gaps")
        return self.place(value, step)

    def is_visible(self, value: ir.Value) -> bool:
        """Say whether the host addresses the memory that a value is in."""
        return self.soc.memory(values.memory_of(value)).host_visible

    def inside(self, root: ir.Value, offset: Linear) -> Place:
        """Return the place so many bytes behind the beginning of a buffer in a memory that only units address."""
        memory = self.soc.memory(values.memory_of(root))
        base = self.memories.setdefault(memory.name, MemoryBase(memory_name(memory.name), memory.base))
        return Place(base, offset + values.offset_of(buffer_of(root)))

    def definitions(self) -> str:
        """Return the macros that the calls use: units and memories by name."""
        bases = {engine.name: engine.base for engine in self.soc.accelerators if not is_driven(engine)}
        bases |= {dma.name: dma.base for dma in self.soc.dmas}
        lines = [f"#define {unit_name(unit)} {bases[unit]:#010x}u" for unit in self.given if unit in bases]
        lines += [f"#define {each.macro} {each.address:#010x}u" for each in self.memories.values()]
        return "/* Registers of the units, and memories that only they address. */\n" + "\n".join(lines) + "\n"

    @property
    def units(self) -> list[str]:
        """The C names of the units that are given commands, and count them: not those with a driver."""
        return [unit_name(unit) for unit in self.given if unit not in self.driven]

    @cached_property
    def driven(self) -> frozenset[str]:
        """The accelerators with a driver: what they are given has ended when the call returns."""
        return frozenset(engine.name for engine in self.soc.accelerators if is_driven(engine))


def copies(dma: str, to: Place, from_: Place, loops: Sequence[tuple[int, int, int]], run: int) -> Iterator[Command]:
    """Yield the calls that copy runs of bytes, `loops` having how many there are and their steps on both sides."""
    match loops:
        case []:
            yield call("htvm_copy", dma, to, from_, run)
        case [(rows, from_row, to_row)]:
            yield call("htvm_copy_rows", dma, to, to_row, from_, from_row, rows, run)
        case [(maps, from_map, to_map), (rows, from_row, to_row)]:
            yield call("htvm_copy_maps", dma, to, to_map, to_row, from_, from_map, from_row, maps, rows, run)
        case _:
            (count, from_step, to_step), *rest = loops
            for index in range(count):
                yield from copies(dma, to + index * to_step, from_ + index * from_step, rest, run)


def origin(token: ir.Value, outer: scf.ForOp | None = None) -> ir.Value:
    """Return the token that comes through steps, and through loops that only hand it on.

    outer: a loop that the token is in; what it takes is not traced further.
    """
    while True:
        owner = token.owner
        if isinstance(owner, ir.Block) and outer is not None and owner == outer.body:
            return token
        if isinstance(owner, ir.Block):
            loop, place = owner.owner, ir.BlockArgument(token).arg_number - 1
        elif isinstance(owner.opview, accel.StepOp | scf.ForOp):
            loop, place = owner.opview, ir.OpResult(token).result_number
        else:
            return token
        if isinstance(loop, accel.StepOp):
            *_, end = loop.body.blocks[0]
            token = end.operands[place]
            continue
        assert isinstance(loop, scf.ForOp)
        *_, end = loop.body
        if origin(end.operands[place], loop) != loop.inner_iter_args[place]:
            return token
        token = loop.operands[3 + place]


def bounds(loop: scf.ForOp) -> tuple[int, int, int]:
    """Return from where to where a loop goes, and by how much."""
    lower, upper, by = (constant_of(each) for each in list(loop.operands)[:3])
    return lower, upper, by


def root_of(value: ir.Value) -> tuple[ir.Value, Linear]:
    """Return the buffer, argument or constant that a value is a view of, and where in it the view begins, in bytes."""
    start = start_of(value)
    offset = start if start == Linear(0) else start * values.element_type(value).size_bytes
    while isinstance(view := defining(value), memref.SubViewOp | memref.ReinterpretCastOp):
        value = view.source
    return value, offset


def start_of(value: ir.Value) -> Linear:
    """Return where a view begins, in elements from the beginning of what it is a view of."""
    _, known = values.memref(value).get_strides_and_offset()
    unknown = ir.ShapedType.get_dynamic_stride_or_offset()
    if known != unknown:
        return Linear(known)
    match view := defining(value):
        case memref.ReinterpretCastOp():
            start, steps = Linear(0), [1]
        case memref.SubViewOp():
            start, steps = start_of(view.source), values.strides(view.source)
        case _:
            raise ValueError(f"a map of '{value.type}' begins where nobody says")
    given = iter(view.offsets)
    for offset, step in zip(view.static_offsets, steps, strict=True):
        start += (linear(next(given)) if offset == unknown else Linear(offset)) * step
    return start


def defining(value: ir.Value) -> ir.OpView | None:
    """Return the operation whose result a value is; None for an argument."""
    return None if isinstance(value.owner, ir.Block) else value.owner.opview


def buffer_of(value: ir.Value) -> accel.BufferOp:
    """Return the buffer that a value is. Raises ValueError for anything else."""
    op = defining(value)
    if not isinstance(op, accel.BufferOp):
        raise ValueError(f"a place is {value}, expected a buffer")
    return op


def unit_name(unit: str) -> str:
    return f"UNIT_{unit.upper()}"


def memory_name(memory: str) -> str:
    return f"MEMORY_{memory.upper()}"
