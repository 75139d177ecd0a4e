"""From a model to a C project: the importer, the passes phase by phase, the backend."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from mlir import ir

from htvm import dialects
from htvm.backend.c import emit_c, write_project
from htvm.backend.targets.soc import Soc
from htvm.dialects import modules
from htvm.interface import Samples
from htvm.lowering import Pipeline, advance, label, lower, opened, problems_of, text
from htvm.options import DEFAULTS, CompileOptions
from htvm.project import Project
from htvm.run_passes import emission_error
from htvm.sources import Model, OnnxModel, OnnxSource, Source, interpreted

if TYPE_CHECKING:
    from htvm.execution.program import Program, RunResult

__all__ = [
    "CompiledModel",
    "Model",
    "advance",
    "compile",
    "emit",
    "finished",
    "label",
    "loaded",
    "lower",
    "opened",
    "parsed",
    "problems_of",
    "text",
]


@dataclass(frozen=True)
class CompiledModel:
    """A network as C for one target.

    model: what was given. source: the same, as it was then. soc: the target as the options want it. module: the stage
    'planned'. stages: the texts of the stages that were asked for. project: the C. refitted: the stage 'integer' of a
    network whose numbers are not those of the model, by `options.requant`; None for one that is
    exact.
    """

    model: Model
    source: Source
    soc: Soc
    module: ir.Module
    stages: dict[str, str]
    project: Project
    options: CompileOptions = DEFAULTS
    refitted: str | None = None

    def __repr__(self) -> str:
        return f"CompiledModel({self.project.report.name!r}, target={self.soc.name!r}, files={len(self.project.files)})"

    @property
    def files(self) -> dict[str, str]:
        """The text of each file of the project, by name; nothing is written."""
        return self.project.files

    def exact(self, samples: Samples) -> dict[str, np.ndarray]:
        """Return what the model's outputs are: of ONNX what the file says, of a module what the interpreter gives.

        Raises InputError for a module of a stage that cannot be interpreted.
        """
        return self.source.meaning(samples, self.project, self.options)

    def meant(self, samples: Samples) -> dict[str, np.ndarray]:
        """Return the outputs that the C must give: the model's exact meaning, or that of its refitted numbers."""
        if self.refitted is None:
            return self.exact(samples)
        return interpreted(parsed(self.refitted, "refitted"), samples, self.project.inputs, self.project.outputs)

    @cached_property
    def proto(self) -> onnx.ModelProto | None:
        """The model's protobuf, with the shapes that were given; None for a model that is not ONNX."""
        source = self.source
        return source.shaped(self.options) if isinstance(source, OnnxSource) else None

    @cached_property
    def program(self) -> Program:
        """The C, built with the default compiler and loaded into the simulator."""
        from htvm.execution.program import Program

        return Program(self.project, self.soc)

    def run(self, inputs: Mapping[str, np.ndarray] | None = None, *, seed: int = 0) -> RunResult:
        """Execute all samples that `inputs` hold, or a seeded random one, on the simulated target.

        Raises InputError if the inputs do not fit the network.
        """
        given = self.project.random_inputs(seed) if inputs is None else inputs
        samples = Samples.of(self.project.inputs, given)  # before the program is built, which takes longer
        return self.program.run(samples)


def compile(
    model: Model,
    target: str | Soc = "rv32",
    output: str | os.PathLike[str] | None = None,
    *,
    options: CompileOptions = DEFAULTS,
    keep_stages: Sequence[str] = (),
    **choices: Any,
) -> CompiledModel:
    """Compile a model to C for a target; write the project into the folder `output`, if that is given.

    model: a file of ONNX or MLIR, a protobuf, or a module, of which a copy is compiled in the module's own context.
    options: how; see CompileOptions. choices: fields of it that are others, such as requant="pow2".
    keep_stages: the stages whose text the result has.

    Raises CompileError with all problems of the model, ValueError for an unknown target or choice, and TypeError for
    a choice of no field.
    """
    way = Pipeline(model, target, options=options, keep_stages=keep_stages, **choices)
    compiled = finished(way, model)
    if output is not None:
        write_project(compiled.project.files, output)
    return compiled


def finished(way: Pipeline, model: Model | None = None) -> CompiledModel:
    """Take a model the rest of its way, and return its C. model: as it was given, if not as the way's source is."""
    module = way.to("planned")
    project = way.source.with_origin(emit(module, way.soc, way.source.label), way.options)
    refitted = way.texts["integer"] if way.options.refits else None
    source = way.source
    return CompiledModel(model or source, source, way.soc, module, way.texts, project, way.options, refitted)


def parsed(text: str | bytes, name: str) -> ir.Module:
    """Return the module of a text; `name` is what messages call it. Raises CompileError."""
    context = dialects.context()
    with problems_of(name, context):
        return modules.parse(text, context)


def emit(module: ir.Module, soc: Soc, name: str, function: str | None = None) -> Project:
    """Return the C project of a function of a module of stage 'planned': of the only one, or the one that is named.

    Raises CompileError, and InternalError for a bug."""
    with problems_of(name, module.context):
        try:
            emitted = emit_c(module, soc, function)
            return Project(emitted.sources, emitted.report)
        except ValueError:  # what cannot become C
            raise
        except Exception as error:
            raise emission_error(error, module, soc, name) from error


def loaded(model: OnnxModel) -> onnx.ModelProto:
    """Return an ONNX model's protobuf."""
    return OnnxSource(model).proto
