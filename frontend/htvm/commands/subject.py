"""What a command is about: a model, which is compiled, or a project that was compiled before."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from htvm.commands.arguments import options_of, refined
from htvm.commands.failures import model_warnings

if TYPE_CHECKING:
    from htvm.arrays import Arrays
    from htvm.backend.targets.soc import Soc
    from htvm.driver import CompiledModel
    from htvm.project import Project


def subject(arguments: argparse.Namespace, given: Sequence[Arrays] = ()) -> tuple[CompiledModel | None, Project, Soc]:
    """Return what to run: the model, compiled, with its project; or the project alone, if a folder is given.

    Reads the arguments `model`, `target` and those of `add_compilation`. given: inputs, which may say the sizes that a
    model and --shape leave open.
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
    options = options_of(arguments)
    if given:
        options = options.having(shapes={**held_shapes(arguments.model, given[0]), **options.shapes})
    with model_warnings():
        soc = arguments.target or refined(targets.load("rv32"), arguments)
        compiled = driver.compile(arguments.model, soc, options=options)
    return compiled, compiled.project, compiled.soc


def held_shapes(model: str, given: Arrays) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a model's inputs of which more than the batch has no size, as an .npz file has them.

    The first axis of an array is that of its samples, which run one by one: there a batch that has no size is 1.
    """
    from htvm.import_onnx import ModelError, open_shapes

    try:
        wanted = open_shapes(model)
    except ModelError:  # said when it is compiled
        return {}
    arrays = {name: given.header(name).shape for name in wanted if name in given}
    return {
        name: (wanted[name][0] or 1, *sizes[1:])
        for name, sizes in arrays.items()
        if 0 < len(sizes) == len(wanted[name]) and 0 not in sizes
    }


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
