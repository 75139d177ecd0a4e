"""Running a project: its C, compiled for the target's host and executed on the simulated one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np

from htvm.backend.c import write_project
from htvm.backend.c.schema import JsonObject, as_object
from htvm.backend.targets.soc import Memory, Soc
from htvm.execution.metrics import metrics
from htvm.execution.overflow import too_large
from htvm.execution.record import Footprint, RunRecord
from htvm.interface import Port, Samples
from htvm.project import REPORT, Project, ProjectError
from htvm.runtime.interrupts import scratch_folder
from htvm.runtime.simulator import Execution, Host, OutOfCyclesError, SimulationError
from htvm.runtime.simulator.stack import worst_stack_or_none
from htvm.runtime.simulator.toolchain import MemoryFull, Sizes, sizes, toolchain
from htvm.versions import versions

ARENA = "htvm_arena"

BASE_CYCLES, CYCLES_PER_STEP_OF_WORK = 50_000_000, 50
"""What a run may take, where nothing else is said: far more than any network does, also in C that nobody optimised.

A multiplication and an element of an activation are a step of work each. The networks of test/inputs take 3 cycles for
one, built at -O3; softmax takes the most, less than 1,000 for an element.
"""

Progress = Callable[[int, int], None]
"""Called after each sample with the number of samples done and of all."""


@dataclass(frozen=True)
class RunResult:
    """What a run gave.

    inputs, outputs: by ONNX name; several samples are joined on axis 0. record: each step as planned and as measured.
    """

    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    record: RunRecord = field(repr=False)

    @property
    def execution(self) -> Execution:
        """The counts of the first sample's run."""
        return self.record.execution

    @cached_property
    def metrics(self) -> JsonObject:
        """What `htvm run --json` writes; execution/metrics.py says what each key means."""
        return as_object(metrics(self.record))


class Program:
    """A project built for its target and loaded into the simulator, ready to run any number of times."""

    def __init__(
        self,
        project: Project,
        soc: Soc,
        cc: str | None = None,
        folder: Path | None = None,
        level: str = "-O3",
        max_cycles: int | None = None,
    ) -> None:
        """Compile with clang, or with the command `cc`; leave sources and executable in `folder`, if it is given.

        max_cycles: of a sample, after which its run fails; without, far more than such a network takes.

        Raises BuildError, ProgramTooLarge if that is why, and SimulationError if the program does not fit the target.
        """
        self.project, self.soc, self.cc = project, soc, cc
        self.planned = {
            memory.name: planned_bytes(project, memory)
            for memory in soc.memories
            if not memory.host_visible and memory.name in project.report.memories
        }
        with scratch_folder() as scratch:
            place = folder or scratch / "project"
            write_project(project.files, place)
            elf = place / f"{project.report.name}.elf"
            sources = sorted(path for path in place.iterdir() if path.suffix in (".c", ".S"))
            try:
                flags = project.report.source_flags or {}
                toolchain(soc.host, cc).build(sources, place / "link.ld", elf, (level,), flags)
            except MemoryFull as full:
                raise too_large(full, project, soc) from None
            self.sizes: Sizes = sizes(elf)
            self.host = Host(elf, soc, self.planned)
        if len(self.host.program.steps) > len(project.steps):
            raise self.other_steps()
        self.arena = self.host.symbol(ARENA)
        self.max_cycles = cycle_limit(project, soc) if max_cycles is None else max_cycles

    def run(self, samples: Samples, progress: Progress | None = None) -> RunResult:
        """Run all samples. Raises SimulationError if the program does what the target forbids."""
        runs: list[tuple[list[np.ndarray], Execution]] = []
        for number, sample in enumerate(samples, start=1):
            execution = self.run_one(sample)
            runs.append(([self.output(port) for port in self.project.outputs], execution))
            if progress:
                progress(number, len(samples))
        columns = {port.name: [made[i] for made, _ in runs] for i, port in enumerate(self.project.outputs)}
        outputs = {name: np.concatenate(each) if len(each) > 1 else each[0] for name, each in columns.items()}
        first = runs[0][1]
        return RunResult(samples.inputs, outputs, self.record(first, outputs, len(samples)))

    def record(self, execution: Execution, outputs: Mapping[str, np.ndarray], samples: int) -> RunRecord:
        """Return the record of a run. execution: of its first sample."""
        footprint = Footprint(
            sizes=self.sizes,
            bytes_in={memory.name: self.bytes_in(memory) for memory in self.soc.memories},
            stack_reserve_bytes=self.host.stack_top - self.host.stack_bottom,
            worst_stack_bytes=worst_stack_or_none(self.host.program, "main"),
        )
        digests = {name: sha256(value.tobytes()).hexdigest() for name, value in outputs.items()}
        return RunRecord(self.project.report, self.soc, execution, footprint, samples, digests, versions(self.cc))

    def run_one(self, inputs: Mapping[str, np.ndarray]) -> Execution:
        """Run one sample and leave the outputs in the program's memory. Raises SimulationError."""
        for port in self.project.inputs:
            self.host.write(self.arena + port.offset, port.stored(inputs[port.name]))
        try:
            execution = self.host.run(self.max_cycles)
        except SimulationError as error:
            step = self.host.counter.step() - 1
            steps = self.project.steps
            where = f"node '{steps[step].name}': " if 0 <= step < len(steps) else ""
            remedy = "; more are allowed with --max-cycles" if isinstance(error, OutOfCyclesError) else ""
            raise type(error)(f"{where}{error}{remedy}") from None
        if len(execution.steps) != len(self.project.steps):
            raise self.other_steps()
        return execution

    def other_steps(self) -> ProjectError:
        """Return what tells that report and C do not belong together.

        The C has fewer steps also where one does not end: the compiler drops those behind it. A run tells.
        """
        report = self.project.report
        counts = f"{len(self.project.steps)} steps, the C has {len(self.host.program.steps)}"
        return ProjectError(f"{report.name}: {REPORT} has {counts}; compile the model again")

    def bytes_in(self, memory: Memory) -> int:
        """Return how much of a memory the program takes."""
        program = self.host.program
        segments = (each for each in (*program.segments, *program.far) if memory.base <= each.address < memory.end)
        planned = 0 if memory.host_visible else self.planned.get(memory.name, 0)
        return planned + sum(segment.size_bytes for segment in segments)

    def output(self, port: Port) -> np.ndarray:
        """Read an output from where the last run left it."""
        return port.values(self.host.read(self.arena + port.offset, port.size_bytes))


def planned_bytes(project: Project, memory: Memory) -> int:
    """Return what a project has planned of a memory. Raises ProjectError if there is less of it."""
    needed = project.report.planned_bytes(memory.name)
    if needed > memory.size_bytes:
        what = f"memories.{memory.name}.planned_peak_bytes is {needed}"
        raise ProjectError(f"{project.report.name}: {what}, expected at most the target's {memory.size_bytes}")
    return needed


def cycle_limit(project: Project, soc: Soc) -> int:
    """Return how many cycles a run of a project may take unless it is told otherwise."""
    multiplications = sum(step.macs for step in project.steps)
    elements = len(project.steps) * project.report.planned_bytes(soc.arena_memory)
    return BASE_CYCLES + CYCLES_PER_STEP_OF_WORK * (multiplications + elements)
