"""From a model to a C project: the importer, the passes phase by phase, the backend."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from math import log2
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from mlir import ir

from htvm import dialects
from htvm.backend import targets
from htvm.backend.c import emit_c, write_project
from htvm.backend.targets.shortage import DoesNotFit
from htvm.backend.targets.soc import Soc
from htvm.diagnostics import CompileError, collected
from htvm.dialects import accel, modules
from htvm.import_onnx import ModelError, ModelWarning
from htvm.interface import Samples
from htvm.options import DEFAULTS, CompileOptions, ConstantBudget
from htvm.passes.analysis import activations
from htvm.passes.analysis.stages import STAGES, stage_of
from htvm.passes.planning.plan_memory import shortages
from htvm.plan import attribute as plan_attribute
from htvm.project import Project
from htvm.reproduction import emission_error, run_phase
from htvm.sources import Model, OnnxModel, OnnxSource, Source, interpreted, source_of

if TYPE_CHECKING:
    from htvm.execution.program import Program, RunResult


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
        return self.program.run(Samples.of(self.project.inputs, given))


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
    options = options.having(**choices)
    soc = options.refined(target if isinstance(target, Soc) else targets.load(target))
    kept = {*keep_stages, "integer"} if options.refits else keep_stages
    source = opened(model)
    module, stages = lower(source, soc, "planned", options, kept)
    project = source.with_origin(emit(module, soc, source.label), options)
    if output is not None:
        write_project(project.files, output)
    refitted = stages["integer"] if options.refits else None
    return CompiledModel(model, source, soc, module, stages, project, options, refitted)


def lower(
    model: Model,
    soc: Soc,
    stage: str,
    options: CompileOptions = DEFAULTS,
    keep_stages: Collection[str] = (),
    *,
    or_later: bool = False,
) -> tuple[ir.Module, dict[str, str]]:
    """Read a model and take it to a stage; return the module and the texts of the stages to keep.

    soc: the target as the options want it (CompileOptions.refined). or_later: leave a module as it is that comes in
    behind the stage. Warns of layers that are not exact (ModelWarning).

    Raises CompileError, and InternalError if a pass fails without saying what is wrong with the model.
    """
    source = opened(model)
    context = source.context
    stages: dict[str, str] = {}
    with problems_of(source.label, context):
        module = source.module(context, options)
        write_options(module, options)
        entry = stage_of(module) or "imported"
        if not or_later:
            check_entry(source.label, entry, stage, options)
    with problems_of_passes(source.label, module, soc):
        for reached in STAGES[STAGES.index(entry) : STAGES.index(stage) + 1]:
            if reached != entry:
                run_phase(reached, module, soc, source.label)
            if reached == "integer":
                warn_of_inexact(module, source.label)
                warn_of_nearest(module, source.label)
            if reached in keep_stages:
                stages[reached] = text(module)
    return module, stages


def check_entry(name: str, entry: str, stage: str, options: CompileOptions) -> None:
    """Raise ModelError if a model comes in behind the stage that is asked for, or behind the choice of its numbers."""
    if STAGES.index(entry) > STAGES.index(stage):
        raise ModelError([f"{name}: is in stage '{entry}', which comes after '{stage}'"])
    if options.refits and entry != "imported":
        wanted = "expected 'imported', where scales can still change"
        raise ModelError([f"{name}: requant is '{options.requant}' and the module is in stage '{entry}', {wanted}"])


def write_options(module: ir.Module, options: CompileOptions) -> None:
    """Write what passes read of the options as attributes of a module, in the current context."""
    attributes = module.operation.attributes
    names = ("objective", "requant", "mapping", "constants")
    if any(getattr(options, name) != getattr(DEFAULTS, name) for name in names):
        attributes[accel.OPTIONS_ATTRIBUTE] = accel.OptionsAttr.get(
            objective=accel.Objective(options.objective),
            requant=accel.Numbers(options.requant),
            mapping=accel.Mapping(options.mapping),
            constants=None if options.constants is None else constants_attribute(options.constants),
        )
    if options.plan:
        attributes[accel.PLAN_ATTRIBUTE] = plan_attribute(options.plan)


def constants_attribute(budget: ConstantBudget) -> ir.Attribute:
    """Return a budget as an attribute: a factor as f64, bytes as i64."""
    if budget.size_bytes is not None:
        return accel.integer(budget.size_bytes)
    assert budget.factor is not None, "one of the two is given"
    return ir.FloatAttr.get(ir.F64Type.get(), budget.factor)


def advance(module: ir.Module, model: Model, soc: Soc, stages: Sequence[str]) -> None:
    """Take a module that `lower` gave through the phases that end in further stages. Raises CompileError."""
    with problems_of_passes(label(model), module, soc):
        for stage in stages:
            run_phase(stage, module, soc, label(model))


def warn_of_inexact(module: ir.Module, name: str) -> None:
    """Warn of each layer that has no integer constants which give its exact meaning for every sum."""
    for layer in accel.layers(module):
        if (inexact := accel.attribute(layer, "accel.inexact", accel.InexactAttr)) is not None:
            warnings.warn(
                ModelWarning(
                    f"{name}: node '{accel.node(layer)}': {inexact.count:,} of the sums that can occur give a wrong "
                    f"result, such as {inexact.accumulator} in channel {inexact.channel}: no integer constants give "
                    "what its scales ask; `htvm verify` compares"
                ),
                stacklevel=2,
            )


def warn_of_nearest(module: ir.Module, name: str) -> None:
    """Say of each output that nothing quantises, and whose numbers no integers are, what stands for it."""
    for function in accel.functions(module):
        for facts in activations.attributes_of(function, "res_attrs", len(function.type.results)):
            if "accel.nearest" in facts:
                output, step = ir.StringAttr(facts["accel.name"]).value, ir.FloatAttr(facts["accel.scale"]).value
                warnings.warn(
                    ModelWarning(
                        f"{name}: output '{output}': nothing quantises it; the code gives the nearest multiples of "
                        f"2^{int(log2(step))}, which its header names. QuantizeLinear and DequantizeLinear in front "
                        "of the output would say which numbers it should give"
                    ),
                    stacklevel=2,
                )


def parsed(text: str, name: str) -> ir.Module:
    """Return the module of a text; `name` is what messages call it. Raises CompileError."""
    context = dialects.context()
    with problems_of(name, context):
        return modules.parse(text, context)


def emit(module: ir.Module, soc: Soc, name: str) -> Project:
    """Return the C project of a module of stage 'planned'. Raises CompileError, and InternalError for a bug."""
    with problems_of(name, module.context):
        try:
            emitted = emit_c(module, soc)
            return Project(emitted.sources, emitted.report)
        except ValueError:  # what cannot become C
            raise
        except Exception as error:
            raise emission_error(error, module, soc, name) from error


@contextmanager
def problems_of(model: str, context: ir.Context) -> Generator[None]:
    """Turn what the importer, the passes and the backend say about a model into one CompileError."""
    with collected(context) as diagnostics, context, ir.Location.name(model):
        try:
            yield
        except ModelError as error:
            raise CompileError(error.problems) from None
        except DoesNotFit as error:
            raise CompileError([f"{model}: {error}"], [error.shortage]) from None
        except ValueError as error:  # what the backend cannot write
            raise CompileError([f"{model}: {error}"]) from None
        except ir.MLIRError:
            errors = [found.about(model) for found in diagnostics if found.severity == "error"]
            raise CompileError(errors) from None


@contextmanager
def problems_of_passes(model: str, module: ir.Module, soc: Soc) -> Generator[None]:
    """Turn what the passes say about a model into one CompileError, which has the memories that are too small."""
    try:
        with problems_of(model, module.context):
            yield
    except CompileError as error:
        raise CompileError(error.problems, shortages(module.operation, soc)) from None


def text(module: ir.Module) -> str:
    """Print a module so that it can be read back with nothing lost: the names of the nodes are in it."""
    return module.operation.get_asm(enable_debug_info=True)


def opened(model: Model) -> Source:
    """Return what a model is. Raises CompileError for a file that cannot be read."""
    try:
        return source_of(model)
    except ModelError as error:
        raise CompileError(error.problems) from None


def label(model: Model) -> str:
    """Return what messages call a model."""
    return opened(model).label


def loaded(model: OnnxModel) -> onnx.ModelProto:
    """Return an ONNX model's protobuf."""
    return OnnxSource(model).proto
