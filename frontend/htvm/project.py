"""A C project that htvm has generated: its files, and what its report says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import numpy as np

from htvm import __version__
from htvm.backend.c.project import SUMS
from htvm.backend.c.record import FORMAT, GENERATOR, Report, StepPlan, contradictions
from htvm.backend.c.schema import LISTED, Json, JsonObject, Problem, SchemaError, as_object, read
from htvm.interface import Port

REPORT = "report.json"
SOURCES = (".c", ".h", ".S", ".ld")
"""Endings of the files that a program is built from."""


class ProjectError(Exception):
    """A folder that holds no project of htvm, or a damaged one; the message names it and says why."""


@dataclass(frozen=True)
class Project:
    """A project. sources: the text of each file but report.json, by name."""

    sources: Mapping[str, str]
    report: Report

    @staticmethod
    def read(folder: Path) -> Project:
        """Return the project in a folder. Raises ProjectError if there is none, or its report is not what it was."""
        try:
            texts = {path.name: _text(path) for path in folder.iterdir() if path.is_file() and path.name != SUMS}
        except OSError as error:
            raise ProjectError(f"{folder}: cannot be read: {error.strerror}") from None
        report = read_report(texts.pop(REPORT, None) or "", folder)
        return Project({name: text for name, text in texts.items() if text is not None}, report)

    @cached_property
    def files(self) -> dict[str, str]:
        """The text of each file, by name."""
        return {**self.sources, REPORT: json.dumps(as_object(self.report), indent=1) + "\n"}

    @cached_property
    def inputs(self) -> tuple[Port, ...]:
        return tuple(map(Port.of, self.report.inputs))

    @cached_property
    def outputs(self) -> tuple[Port, ...]:
        return tuple(map(Port.of, self.report.outputs))

    @property
    def steps(self) -> tuple[StepPlan, ...]:
        """The steps in the order of execution: step n is the function htvm_step_n."""
        return self.report.steps

    def random_inputs(self, seed: int) -> dict[str, np.ndarray]:
        """Return one sample of seeded random inputs."""
        generator = np.random.default_rng(seed)
        return {port.name: port.random(generator) for port in self.inputs}


def read_report(text: str, folder: Path) -> Report:
    """Return what the report.json of a project's folder says.

    Raises ProjectError with one line for each key that is missing, of a wrong type, out of range, or against another.
    """
    facts = _parsed(text)
    if facts is None or facts.get("generator") != GENERATOR:
        raise ProjectError(f"{folder}: is no project of htvm: it has no {REPORT} that says so")
    form = facts.get("format", 1)
    if isinstance(form, int) and form != FORMAT:
        age = "an older" if form < FORMAT else "a newer"
        raise ProjectError(
            f"{folder / REPORT}: {age} htvm wrote it: its format is {form:.40g}, htvm {__version__} reads {FORMAT}; "
            "compile the model again"
        )
    try:
        report = read(Report, facts)
    except SchemaError as error:
        _fail(error.problems, folder)
    if problems := list(contradictions(report)):
        _fail(problems, folder)
    return report


def _text(path: Path) -> str | None:
    """Return what a file says; None for what is no text, such as what `make` wrote.

    Raises ProjectError for a source that is none.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        if path.suffix in SOURCES:
            raise ProjectError(f"{path}: byte {error.start:,} is no UTF-8 text; compile the model again") from None
        return None


def _parsed(text: str) -> JsonObject | None:
    """Return the object that a text is; None if it is none."""
    try:
        facts: Json = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return facts if isinstance(facts, dict) else None


def _fail(problems: Sequence[Problem], folder: Path) -> NoReturn:
    """Tell of the problems of a report, the first of them if there are many."""
    lines = [f"{folder / REPORT}: {problem}" for problem in problems[:LISTED]]
    if len(problems) > LISTED:
        lines.append(f"{folder / REPORT}: {len(problems) - LISTED} more keys are wrong")
    raise ProjectError("\n".join(lines))
