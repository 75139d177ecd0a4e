"""The way of a model through the stages: it can stop at each, hand over the module, and continue.

way = htvm.Pipeline("resnet8.onnx", "diana", passes={"integer": "count-layers"})
module = way.to("scheduled")      # an ir.Module, to look at and to change
way.run("my-pass{limit=3}")       # passes by name, MLIR's as well, or a pass as an object
compiled = way.compiled()         # the rest of the way, and C
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from math import log2
from typing import TYPE_CHECKING, Any

from mlir import ir

from htvm.backend import kernels, targets
from htvm.backend.targets.shortage import DoesNotFit
from htvm.backend.targets.soc import Soc
from htvm.diagnostics import CompileError, collected
from htvm.dialects import accel
from htvm.import_onnx import ModelError, ModelWarning
from htvm.options import DEFAULTS, CompileOptions, ConstantBudget
from htvm.passes import pipeline, registry
from htvm.passes.analysis import activations
from htvm.passes.analysis.stages import STAGES, stage_of
from htvm.passes.planning.plan_memory import shortages
from htvm.plan import attribute as plan_attribute
from htvm.run_passes import FailedPassError, run_passes
from htvm.sources import INPUT, Model, OnnxSource, Source, source_of

if TYPE_CHECKING:
    from htvm.driver import CompiledModel


class Pipeline:
    """A model on its way through the stages.

    source: the model as it was given. soc: the target as the options want it. module: as it is now, the caller's to
    read and to change between two calls. entry: the stage in which it came in. texts: of the stages to keep.
    """

    def __init__(
        self,
        model: Model,
        target: str | Soc = "rv32",
        *,
        options: CompileOptions = DEFAULTS,
        keep_stages: Collection[str] = (),
        **choices: Any,
    ) -> None:
        """Read a model. target, options, choices: as `htvm.compile` takes them.

        Raises CompileError with all problems of the model, ValueError for an unknown target, choice or kernel,
        and TypeError for a choice of no field.
        """
        if not isinstance(options, CompileOptions):  # pyright: ignore[reportUnnecessaryIsInstance]  (callers need not be typed)
            raise TypeError(f"options are a {type(options).__name__}, expected CompileOptions")
        self.options = options.having(**choices)
        if unknown := [stage for stage in keep_stages if stage not in STAGES]:
            raise ValueError(f"keep_stages: unknown stage '{unknown[0]}', expected some of {', '.join(STAGES)}")
        self.soc = self.options.refined(target if isinstance(target, Soc) else targets.load(target))
        self.source = opened(model)
        self.texts: dict[str, str] = {}
        self._kept = {*keep_stages, "integer"} if self.options.refits else set(keep_stages)
        if INPUT in self.options.passes and isinstance(self.source, OnnxSource):
            rule = f"passes at '{INPUT}' are for modules of MLIR, and this is ONNX: put them at 'imported' or later"
            raise CompileError([f"{self.source.label}: {rule}"])
        context = self.source.context
        check_passes(self.options, self.soc, context)
        names = kernels.register(self.options.kernels)
        with problems_of(self.source.label, context):
            self.module = self.source.module(context, self.options)
            write_options(self.module, self.options, names)
            self.entry = stage_of(self.module) or STAGES[0]
            if self.options.refits and self.entry != "imported":
                wanted = "expected 'imported', where scales can still change"
                which = f"requant is '{self.options.requant}' and the module is in stage '{self.entry}'"
                raise ModelError([f"{self.source.label}: {which}, {wanted}"])
        with problems_of_passes(self.source.label, self.module, self.soc):
            if not isinstance(self.source, OnnxSource):  # whoever made a module may not know what its stage promises
                self._verify(self.entry)
            self._arrived(self.entry)

    @property
    def stage(self) -> str:
        """The stage in which the module is. Raises CompileError if no function of it is htvm's any more."""
        with self.module.context:
            found = stage_of(self.module)
        if found is None:
            raise CompileError([f"{self.source.label}: no function has operations of accel any more"])
        return found

    def to(self, stage: str) -> ir.Module:
        """Run the phases up to a stage, each with the passes that the options put behind it; return the module.

        Raises CompileError with what the passes say, or if the module is behind the stage, and ValueError for no stage.
        """
        if stage not in STAGES:
            raise ValueError(f"unknown stage '{stage}', expected one of {', '.join(STAGES)}")
        now = self.stage
        if STAGES.index(now) > STAGES.index(stage):
            raise CompileError([f"{self.source.label}: is in stage '{now}', which comes after '{stage}'"])
        with problems_of_passes(self.source.label, self.module, self.soc):
            self._verify(now)  # the module was the caller's to change
            for reached in STAGES[STAGES.index(now) + 1 : STAGES.index(stage) + 1]:
                run_passes(reached, self.module, self.soc, self.source.label)
                self._arrived(reached)
        return self.module

    def run(self, passes: str | registry.Pass) -> ir.Module:
        """Run passes on the module as it is: a textual pipeline as htvm-opt takes it, or one pass; return the module.

        Raises CompileError with what they say, and ValueError for a pipeline that cannot be built.
        """
        text = passes if isinstance(passes, str) else registry.register_pass(passes)
        pipeline.build(text, self.soc, self.module.context)  # a wrong name is the caller's mistake, not the model's
        with problems_of_passes(self.source.label, self.module, self.soc):
            run_passes(text, self.module, self.soc, self.source.label)
        return self.module

    def compiled(self) -> CompiledModel:
        """Go the rest of the way and return the C. Raises CompileError."""
        from htvm.driver import finished

        return finished(self)

    def text(self) -> str:
        """Return the module as text that can be read back with nothing lost: the names of the nodes are in it."""
        return text(self.module)

    def _verify(self, stage: str) -> None:
        """Report what a module lacks of a stage that others than htvm's passes have changed or made."""
        self.module.operation.verify()
        run_passes(f"verify-stage{{stage={stage}}}", self.module, self.soc, self.source.label)

    def _arrived(self, stage: str) -> None:
        """Run what comes behind a stage, say what is to be said of it, and keep its text."""
        if stage in self.options.passes:
            run_passes(self.options.passes[stage], self.module, self.soc, self.source.label)
            self._verify(self.stage)
        if stage == "integer":
            warn_of_inexact(self.module, self.source.label)
            warn_of_nearest(self.module, self.source.label)
        if stage in self._kept:
            self.texts[stage] = self.text()


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
    way = Pipeline(model, soc, options=options, keep_stages=keep_stages)
    if not (or_later and STAGES.index(way.stage) >= STAGES.index(stage)):
        way.to(stage)
    return way.module, way.texts


def check_passes(options: CompileOptions, soc: Soc, context: ir.Context) -> None:
    """Raise PipelineError for passes at a stage that there is not, or that cannot be built."""
    for stage, passes in options.passes.items():
        if stage not in (INPUT, *STAGES):
            known = ", ".join((INPUT, *STAGES))
            raise pipeline.PipelineError(f"passes: unknown stage '{stage}', expected one of {known}")
        pipeline.build(passes, soc, context)


def write_options(module: ir.Module, options: CompileOptions, kernel_names: Sequence[str] = ()) -> None:
    """Write what passes read of the options as attributes of a module, in the current context.

    kernel_names: the kernels from outside that choose-kernels may choose.
    """
    attributes = module.operation.attributes
    names = ("objective", "requant", "mapping", "constants")
    if any(getattr(options, name) != getattr(DEFAULTS, name) for name in names):
        attributes[accel.OPTIONS_ATTRIBUTE] = accel.OptionsAttr.get(
            objective=accel.Objective(options.objective),
            requant=accel.Numbers(options.requant),
            mapping=accel.Mapping(options.mapping),
            constants=None if options.constants is None else constants_attribute(options.constants),
        )
    if options.effort != DEFAULTS.effort:
        attributes[accel.EFFORT_ATTRIBUTE] = accel.integer(options.effort)
    if kernel_names:
        names = [ir.StringAttr.get(name) for name in kernel_names]
        attributes[accel.KERNELS_ATTRIBUTE] = ir.ArrayAttr.get(names)
    if options.plan:
        attributes[accel.PLAN_ATTRIBUTE] = plan_attribute(options.plan)


def constants_attribute(budget: ConstantBudget) -> ir.Attribute:
    """Return a budget as an attribute: a factor as f64, bytes as i64."""
    if budget.size_bytes is not None:
        return accel.integer(budget.size_bytes)
    assert budget.factor is not None, "one of the two is given"
    return ir.FloatAttr.get(ir.F64Type.get(), budget.factor)


def advance(module: ir.Module, model: Model, soc: Soc, stages: Collection[str]) -> None:
    """Take a module that `lower` gave through the phases that end in further stages. Raises CompileError."""
    with problems_of_passes(label(model), module, soc):
        for stage in stages:
            run_passes(stage, module, soc, label(model))


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
        except ir.MLIRError as error:
            errors = [found.about(model) for found in diagnostics if found.severity == "error"]
            raise CompileError([*errors, *_failed_pass(error, model)]) from None


def _failed_pass(error: ir.MLIRError, model: str) -> list[str]:
    """Say which pass failed, where its author must know: one from outside, and one that did not say why."""
    if not isinstance(error, FailedPassError):
        return []
    source = registry.origin(error.element.name) if error.element.own else None
    if source is None and not error.silent:
        return []
    of, why = f" of {source}" if source else "", " and reported nothing" if error.silent else ""
    return [f"{model}: pass '{error.element}'{of} failed{why}"]


@contextmanager
def problems_of_passes(model: str, module: ir.Module, soc: Soc) -> Generator[None]:
    """Turn what the passes say about a model into one CompileError, which has the memories that are too small."""
    try:
        with problems_of(model, module.context):
            yield
    except CompileError as error:
        error.shortages = tuple(shortages(module.operation, soc))
        raise


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
