"""A C project that htvm has generated: its files, and what its report says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from htvm.interface import Port

REPORT = "report.json"


class ProjectError(Exception):
    """A folder that holds no project of htvm; the message names it and says why."""


@dataclass(frozen=True)
class Step:
    """One function of the program: the ONNX nodes it computes, the operation and who runs it."""

    name: str
    op: str
    engine: str
    macs: int


@dataclass(frozen=True)
class Project:
    """The files of a project, by name."""

    files: Mapping[str, str]

    @staticmethod
    def read(folder: Path) -> Project:
        """Return the project in a folder. Raises ProjectError if there is none."""
        try:
            files = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir() if path.is_file()}
            project = Project(files)
            if project.report["generator"] != "htvm":
                raise KeyError
        except (KeyError, TypeError, ValueError):
            raise ProjectError(f"{folder}: is no project of htvm: it has no {REPORT} that says so") from None
        except OSError as error:
            raise ProjectError(f"{folder}: cannot be read: {error.strerror}") from None
        return project

    @cached_property
    def report(self) -> dict[str, Any]:
        return json.loads(self.files[REPORT])

    @cached_property
    def inputs(self) -> tuple[Port, ...]:
        return tuple(map(Port.of, self.report["inputs"]))

    @cached_property
    def outputs(self) -> tuple[Port, ...]:
        return tuple(map(Port.of, self.report["outputs"]))

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The steps in the order of execution: step n is the function htvm_step_n."""
        return tuple(Step(*(facts[key] for key in ("name", "op", "engine", "macs"))) for facts in self.report["steps"])

    def random_inputs(self, seed: int) -> dict[str, np.ndarray]:
        """Return one sample of seeded random inputs."""
        generator = np.random.default_rng(seed)
        return {port.name: port.random(generator) for port in self.inputs}
