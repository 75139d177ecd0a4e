"""What a command is about: a model, which is compiled, or a project that was compiled before."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from htvm.commands.arguments import inputs_of, model_warnings

if TYPE_CHECKING:
    from htvm.backend.targets.soc import Soc
    from htvm.driver import CompiledModel
    from htvm.project import Project


def subject(arguments: argparse.Namespace) -> tuple[CompiledModel | None, Project, Soc]:
    """Return what to run: the model, compiled, with its project; or the project alone, if a folder is given.

    Reads the arguments `model`, `target` and those of `add_inputs` and `add_optimize`.
    """
    from htvm import driver
    from htvm.backend import targets
    from htvm.project import Project

    if Path(arguments.model).is_dir():
        project = Project.read(Path(arguments.model))
        return None, project, arguments.target or targets.load(project.report["target"])
    with model_warnings():
        compiled = driver.compile(
            arguments.model, arguments.target or "rv32", **inputs_of(arguments), optimize=arguments.optimize
        )
    return compiled, compiled.project, compiled.soc
