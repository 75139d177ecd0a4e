"""Copies, launches and waits as calls of htvm_soc.h, one each; calls.py writes them as C.

A unit is the address of its registers. Places that the host cannot address are numbers: the memory's address and the
offset that the plan gives. A token is how many commands its unit has been given up to there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mlir import ir
from mlir.dialects import memref

from htvm.backend.targets.jobs import OPERANDS, Job
from htvm.backend.targets.soc import Route, Soc
from htvm.backend.targets.soc import operands as operands_of
from htvm.dialects import accel
from htvm.dialects.copies import Runs

from . import headers, values
from .calls import Text, most_straight
from .step import Step
from .unit_calls import Command, MemoryBase, Place, PointerBase, call


@dataclass
class Commands:
    """The commands of a program, in order.

    given, waited: how many each unit was given, and how many have ended. loaded: the constant that each buffer holds.
    """

    soc: Soc
    given: Counter[str] = field(default_factory=Counter[str])
    waited: Counter[str] = field(default_factory=Counter[str])
    counts: dict[ir.Value, tuple[str, int]] = field(default_factory=dict[ir.Value, tuple[str, int]])
    memories: dict[str, MemoryBase] = field(default_factory=dict[str, MemoryBase])
    loaded: dict[ir.Value, str] = field(default_factory=dict[ir.Value, str])

    def write(self, op: accel.Command, step: Step) -> None:
        """Add the calls of an operation to a step."""
        step.shared.headers.add(headers.SOC)
        match op:
            case accel.CopyOp():
                self.copy(op, step)
            case accel.LaunchOp():
                self.launch(op, step)
            case accel.WaitOp():
                unit, count = self.counts[op.token]
                if count > self.waited[unit]:
                    self.waited[unit] = count
                    step.calls.append(call("htvm_wait", unit_name(unit), count))
            case _:
                raise ValueError(f"'{op.operation.name}' is no command that the C can give")

    def copy(self, op: accel.CopyOp, step: Step) -> None:
        """Add the copy of a map: its runs, up to two loops of them in one call."""
        source, target, runs = op.source, op.target, Runs.of(op)
        dma = self.soc.dma(Route(values.memory_of(source), values.memory_of(target))).name
        to, from_ = self.place(target, step), self.place(source, step)
        root = root_of(source)[0]
        if constant := self.loaded.get(root) or values.global_name(root):
            self.loaded[root_of(target)[0]] = constant
        self.given[dma] += runs.count
        self.counts[op.token] = (dma, self.given[dma])
        step.calls += copies(unit_name(dma), to, from_, list(runs.loops), runs.bytes)

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
        words = tuple(job.words({}, names)[: -len(OPERANDS)])
        step.calls.append(call("htvm_launch", unit_name(engine), *places, job=words))
        self.given[engine] += 1
        self.counts[op.token] = (engine, self.given[engine])

    def place(self, value: ir.Value, step: Step) -> Place:
        """Return where a map or a part of one is."""
        root, offset = root_of(value)
        constant = values.global_name(root)
        if constant is not None:
            return Place(PointerBase(step.array_of(constant)), offset)
        if not self.is_visible(value):
            step.held[root] = None
            return self.inside(value)
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

    def inside(self, value: ir.Value) -> Place:
        """Return where in a memory that only units address a value is."""
        root, offset = root_of(value)
        memory = self.soc.memory(values.memory_of(value))
        base = self.memories.setdefault(memory.name, MemoryBase(memory_name(memory.name), memory.base))
        return Place(base, values.offset_of(buffer_of(root)) + offset)

    def finish(self, steps: Sequence[Step]) -> None:
        """Write the calls that steps have been given."""
        straight = most_straight([len(step.calls) for step in steps], self.soc)
        for step in steps:
            step.body += Text(step, straight).write()
            step.calls.clear()

    def definitions(self) -> str:
        """Return the macros that the calls use: units and memories by name."""
        bases = {engine.name: engine.base for engine in self.soc.accelerators}
        bases |= {dma.name: dma.base for dma in self.soc.dmas}
        lines = [f"#define {unit_name(unit)} {bases[unit]:#010x}u" for unit in self.given]
        lines += [f"#define {each.macro} {each.address:#010x}u" for each in self.memories.values()]
        return "/* Registers of the units, and memories that only they address. */\n" + "\n".join(lines) + "\n"

    @property
    def units(self) -> list[str]:
        """The C names of the units that are given commands."""
        return [unit_name(unit) for unit in self.given]


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


def root_of(value: ir.Value) -> tuple[ir.Value, int]:
    """Return the buffer, argument or constant that a value is a view of, and where in it the view begins, in bytes."""
    _, offset = values.memref(value).get_strides_and_offset()
    size = values.element_type(value).size_bytes
    while isinstance(view := defining(value), memref.SubViewOp | memref.ReinterpretCastOp):
        value = view.source
    return value, offset * size


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
