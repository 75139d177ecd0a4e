"""Copies, launches and waits as C: one call of htvm_soc.h each.

A unit is the address of its registers. Places that the host cannot address are numbers: the memory's address and the
offset that the plan gives. A token is how many commands its unit has been given up to there.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from mlir import ir
from mlir.dialects import memref

from htvm.backend.targets.jobs import OPERANDS, Job
from htvm.backend.targets.soc import Memory, Route, Soc
from htvm.dialects import accel
from htvm.dialects.copies import Runs

from . import values
from .step import Step

HEADER = "htvm_soc.h"


@dataclass
class Commands:
    """The commands of a program, in order. given, waited: how many each unit was given, and how many have ended."""

    soc: Soc
    given: Counter[str] = field(default_factory=Counter)
    waited: Counter[str] = field(default_factory=Counter)
    counts: dict[ir.Value, tuple[str, int]] = field(default_factory=dict)
    memories: dict[str, Memory] = field(default_factory=dict)

    def write(self, op: accel.CopyOp | accel.LaunchOp | accel.WaitOp, step: Step) -> None:
        """Add the call of an operation to a step."""
        step.shared.headers.add(HEADER)
        match op:
            case accel.CopyOp():
                self.copy(op, step)
            case accel.LaunchOp():
                self.launch(op, step)
            case accel.WaitOp():
                unit, count = self.counts[op.token]
                if count > self.waited[unit]:
                    self.waited[unit] = count
                    step.call("htvm_wait", unit_name(unit), count)

    def copy(self, op: accel.CopyOp, step: Step) -> None:
        """Write the copy of a map: its runs, in up to two loops of C."""
        source, target, runs = op.source, op.target, Runs.of(op)
        dma = self.soc.dma(Route(memory_of(source), memory_of(target))).name
        to, from_ = self.address(target, step), self.address(source, step)
        self.given[dma] += runs.count
        self.counts[op.token] = (dma, self.given[dma])
        self.loop(step, unit_name(dma), to, from_, list(runs.loops), runs.bytes)

    def loop(
        self, step: Step, dma: str, to: str, from_: str, loops: list[tuple[int, int, int]], run: int, depth: int = 0
    ) -> None:
        """Write the calls that copy runs of bytes, `loops` having how many there are and their steps on both sides."""
        match loops:
            case []:
                step.call("htvm_copy", dma, to, from_, run)
            case [(rows, from_row, to_row)]:
                step.call("htvm_copy_rows", dma, to, to_row, from_, from_row, rows, run)
            case [(maps, from_map, to_map), (rows, from_row, to_row)]:
                steps = (dma, to, to_map, to_row, from_, from_map, from_row, maps, rows, run)
                step.call("htvm_copy_maps", *steps)
            case [(count, from_step, to_step), *rest]:
                for index in range(count):
                    self.loop(step, dma, f"{to} + {index * to_step}", f"{from_} + {index * from_step}", rest, run)

    def launch(self, op: accel.LaunchOp, step: Step) -> None:
        """Write a launch and the descriptor of its job."""
        engine, job = op.engine.value, Job.of(op.job)
        operands = dict(zip(OPERANDS, op.inputs)) | {"output": op.out}
        if op.weights is not None:
            operands["weights"] = op.weights
        words = job.words({name: self.absolute(value) for name, value in operands.items()})
        step.held.update(dict.fromkeys(root_of(value)[0] for value in operands.values()))
        descriptor = step.array(f"job_{self.given[engine]}", "uint32_t", np.array(words, np.uint32))
        step.call("htvm_launch", unit_name(engine), descriptor)
        self.given[engine] += 1
        self.counts[op.token] = (engine, self.given[engine])

    def address(self, value: ir.Value, step: Step) -> str:
        """Return the C expression of the address of a map or a part of one."""
        root, offset = root_of(value)
        constant = values.global_name(root)
        memory = self.soc.memory(memory_of(value))
        if constant is not None:
            where = step.array_of(constant)
        elif not memory.host_visible:
            self.memories[memory.name] = memory
            step.held[root] = None
            return f"{memory_name(memory.name)} + {root.owner.opview.offset.value + offset}"
        else:
            where = step.touches(root)
        return f"(uintptr_t){where} + {offset}" if offset else f"(uintptr_t){where}"

    def absolute(self, value: ir.Value) -> int:
        """Return the address of an operand of a job, dense there. Raises ValueError if the plan does not fix it."""
        root, offset = root_of(value)
        axes = values.merge_axes(values.shape(value), values.strides(value))
        if [step for _, step in axes] not in ([], [1]):
            raise ValueError(f"a job has an operand of '{value.type}', expected one without gaps")
        memory = self.soc.memory(memory_of(value))
        if isinstance(root.owner, ir.Block) or memory.host_visible:
            raise ValueError(f"a job has an operand in '{memory.name}', expected a memory of the accelerators")
        return memory.base + root.owner.opview.offset.value + offset

    def definitions(self) -> str:
        """Return the macros that the calls use: units and memories by name."""
        bases = {engine.name: engine.base for engine in self.soc.accelerators}
        bases |= {dma.name: dma.base for dma in self.soc.dmas}
        lines = [f"#define {unit_name(unit)} {bases[unit]:#010x}u" for unit in self.given]
        lines += [f"#define {memory_name(each.name)} {each.base:#010x}u" for each in self.memories.values()]
        return "/* Registers of the units, and memories that only they address. */\n" + "\n".join(lines) + "\n"

    @property
    def units(self) -> list[str]:
        """The C names of the units that are given commands."""
        return [unit_name(unit) for unit in self.given]


def root_of(value: ir.Value) -> tuple[ir.Value, int]:
    """Return the buffer, argument or constant that a value is a view of, and where in it the view begins, in bytes."""
    _, offset = value.type.get_strides_and_offset()
    size = values.element_type(value).size_bytes
    while not isinstance(value.owner, ir.Block) and isinstance(
        value.owner.opview, (memref.SubViewOp, memref.ReinterpretCastOp)
    ):
        value = value.owner.opview.source
    return value, offset * size


def memory_of(value: ir.Value) -> str:
    return value.type.memory_space.value


def unit_name(unit: str) -> str:
    return f"UNIT_{unit.upper()}"


def memory_name(memory: str) -> str:
    return f"MEMORY_{memory.upper()}"
