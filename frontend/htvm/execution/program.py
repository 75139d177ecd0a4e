"""Running a project: its C, compiled for the target's host and executed on the simulated one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from htvm.backend.c import write_project
from htvm.backend.targets.soc import Memory, Soc
from htvm.execution.metrics import metrics
from htvm.execution.overflow import does_not_fit
from htvm.interface import Port, Samples
from htvm.project import Project
from htvm.runtime.simulator import Execution, Host, SimulationError
from htvm.runtime.simulator.toolchain import BuildError, MemoryFull, Sizes, sizes, toolchain

ARENA = "htvm_arena"

Progress = Callable[[int, int], None]
"""Called after each sample with the number of samples done and of all."""


@dataclass(frozen=True)
class RunResult:
    """What a run gave.

    inputs, outputs: by ONNX name; several samples are joined on axis 0. execution: counts of the first sample's run.
    metrics: what `htvm run --json` writes.
    """

    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    execution: Execution
    metrics: dict[str, Any] = field(repr=False)


class Program:
    """A project built for its target and loaded into the simulator, ready to run any number of times."""

    def __init__(
        self, project: Project, soc: Soc, cc: str | None = None, folder: Path | None = None, level: str = "-O3"
    ) -> None:
        """Compile with clang, or with the command `cc`; leave sources and executable in `folder`, if it is given.

        Raises BuildError, and SimulationError if the program does not fit the target.
        """
        self.project, self.soc, self.cc = project, soc, cc
        memories = project.report["memories"]
        self.planned = {
            memory.name: memories[memory.name]["planned_peak_bytes"]
            for memory in soc.memories
            if not memory.host_visible and memory.name in memories
        }
        with tempfile.TemporaryDirectory(prefix="htvm-") as scratch:
            place = folder or Path(scratch) / "project"
            write_project(project.files, place)
            elf = place / f"{project.report['name']}.elf"
            sources = sorted(path for path in place.iterdir() if path.suffix in (".c", ".S"))
            try:
                toolchain(soc.host, cc).build(sources, place / "link.ld", elf, (level,))
            except MemoryFull as full:
                raise BuildError(does_not_fit(full, project, soc)) from None
            self.sizes: Sizes = sizes(elf)
            self.host = Host(elf, soc, self.planned)
        self.arena = self.host.symbol(ARENA)

    def run(self, samples: Samples, progress: Progress | None = None) -> RunResult:
        """Run all samples. Raises SimulationError if the program does what the target forbids."""
        runs = []
        for number, sample in enumerate(samples, start=1):
            execution = self.run_one(sample)
            runs.append(([self.output(port) for port in self.project.outputs], execution))
            if progress:
                progress(number, len(samples))
        columns = zip(*(outputs for outputs, _ in runs), strict=True)
        outputs = {
            port.name: np.concatenate(column) if len(column) > 1 else column[0]
            for port, column in zip(self.project.outputs, columns, strict=True)
        }
        first = runs[0][1]
        return RunResult(samples.inputs, outputs, first, metrics(self, first, outputs, len(samples)))

    def run_one(self, inputs: Mapping[str, np.ndarray]) -> Execution:
        """Run one sample and leave the outputs in the program's memory. Raises SimulationError."""
        for port in self.project.inputs:
            self.host.write(self.arena + port.offset, port.stored(inputs[port.name]))
        try:
            return self.host.run()
        except SimulationError as error:
            step = self.host.counter.step() - 1
            where = f"node '{self.project.steps[step].name}': " if step >= 0 else ""
            raise SimulationError(f"{where}{error}") from None

    def bytes_in(self, memory: Memory) -> int:
        """Return how much of a memory the program takes."""
        if not memory.host_visible:
            return self.planned.get(memory.name, 0)
        return sum(
            segment.size_bytes for segment in self.host.program.segments if memory.base <= segment.address < memory.end
        )

    def output(self, port: Port) -> np.ndarray:
        """Read an output from where the last run left it."""
        return port.values(self.host.read(self.arena + port.offset, port.size_bytes))
