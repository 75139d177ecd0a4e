"""What a command is about: a model, which is compiled, or a project that was compiled before."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from htvm.commands.arguments import model_warnings, options_of, refined

if TYPE_CHECKING:
    from htvm.backend.targets.soc import Soc
    from htvm.driver import CompiledModel
    from htvm.project import Project


def subject(arguments: argparse.Namespace) -> tuple[CompiledModel | None, Project, Soc]:
    """Return what to run: the model, compiled, with its project; or the project alone, if a folder is given.

    Reads the arguments `model`, `target` and those of `add_compilation`.
    """
    from htvm import driver
    from htvm.backend import targets
    from htvm.backend.c.project import edited_files, finish
    from htvm.project import Project

    if Path(arguments.model).is_dir():
        finish(Path(arguments.model))
        project = Project.read(Path(arguments.model))
        if not arguments.quiet:
            edited = edited_files(Path(arguments.model))
            since = f", {', '.join(edited)} as edited since htvm wrote it" if edited else ""
            print(f"note: {arguments.model}: compiles the C that is in the folder{since}", file=sys.stderr)
        return None, project, arguments.target or refined(load(project), arguments)
    with model_warnings():
        compiled = driver.compile(
            arguments.model,
            arguments.target or refined(targets.load("rv32"), arguments),
            options=options_of(arguments),
        )
    return compiled, compiled.project, compiled.soc


def load(project: Project) -> Soc:
    """Return the machine that a project was made for, with the figures that it was planned with.

    Raises ProjectError for a target that is a file of the user's: a project has only its name.
    """
    from htvm.backend import targets
    from htvm.project import ProjectError

    name = project.report.target
    if name not in targets.names():
        raise ProjectError(f"the project was made for target '{name}', which is not installed: give --target {name}.py")
    soc = targets.load(name)
    model = project.report.cost_model
    return soc.with_cost_model(model) if model else soc
