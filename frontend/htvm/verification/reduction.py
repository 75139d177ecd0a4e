"""Cutting a model that fails down to the smallest one that fails alike.

A cut keeps a part of the graph between tensors; the exact values of the tensors where it is cut become its inputs. What
can be cut is a `Cuttable`: a graph of ONNX (`graph_cuts.py`) or a module of tosa (`module_cuts.py`). So a reduced model
shows the failure of the whole one, on the numbers at which the whole one failed. First nodes are left
out, then channels, then rows and columns.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from unittest import mock

from htvm.backend.targets.soc import Soc
from htvm.diagnostics import CompileError
from htvm.dialects.semantics.tosa.functions import networks
from htvm.driver import Model, compile, lower, opened, problems_of
from htvm.execution.program import Program
from htvm.import_onnx import ModelError
from htvm.interface import InputError, Samples
from htvm.options import DEFAULTS, CompileOptions
from htvm.reference import UnsupportedOperators
from htvm.run_passes import InternalError
from htvm.runtime.interrupts import scratch_folder
from htvm.runtime.simulator import SimulationError
from htvm.runtime.simulator.toolchain import BuildError
from htvm.sources import ModuleSource, OnnxSource
from htvm.verification.cuttable import Cut, Cuttable, Inputs
from htvm.verification.graph_cuts import OnnxGraph
from htvm.verification.module_cuts import TosaFunction
from htvm.verification.verification import check


def wrong_values(kind: str) -> str:
    """Say that outputs are not those of a model. kind: what it is, such as an ONNX file."""
    return f"other values than the {kind} says"


def cuttable(model: Model, soc: Soc, options: CompileOptions) -> Cuttable:
    """Return what can be cut of a model. Raises CompileError for what is no model, or a module that is not of tosa."""
    source = opened(model)
    if isinstance(source, OnnxSource):
        lower(source, soc, "imported", options)  # refuses what is no model
        return OnnxGraph(source.shaped(options))
    assert isinstance(source, ModuleSource), source
    context = source.context
    with problems_of(source.label, context):
        module = source.prepared(context, options)
        if not (found := networks(module)):
            wanted = "expected an ONNX file, a .tflite file or a module of tosa: only these are cut smaller"
            remedy = "`htvm verify` names the first tensor of it that is wrong, if one is"
            raise ModelError([f"{source.label}: is a module without operations of tosa, {wanted}; {remedy}"])
        if len(found) > 1:
            names = ", ".join(each.name.value for each in found)
            raise ModelError(
                [f"{source.label}: has {len(found)} functions of tosa: name one with --function ({names})"]
            )
    return TosaFunction(module, source.label)


class NoModel(Exception):
    """A part of a model that is not one by itself: htvm refuses it."""


@dataclass(frozen=True)
class Failure:
    """What goes wrong with a model. Two failures of the same kind are taken for the same bug."""

    kind: str
    message: str


@dataclass(frozen=True)
class Case:
    """A model, one sample of its inputs and how it fails."""

    model: Cuttable
    inputs: Inputs
    failure: Failure


@dataclass
class Reduction:
    """Tries smaller and smaller cases. attempts: how many were tried; say: is told of each that fails.

    options: how they are compiled.
    """

    soc: Soc
    options: CompileOptions = DEFAULTS
    cc: str | None = None
    say: Callable[[str], None] | None = None
    attempts: int = field(default=0, init=False)

    def failure(self, model: Cuttable, inputs: Inputs) -> Failure | None:
        """Compile and run a model; None if every output is exact. Raises CompileError, and InputError."""
        try:
            compiled = compile(model.model, self.soc, options=model.options(self.options, inputs))
            found = check(compiled, Program(compiled.project, self.soc, self.cc), inputs)
        except InternalError as error:
            return Failure(f"{error.who} fails with {type(error.__cause__).__name__}", error.problem)
        except (SimulationError, BuildError) as error:
            kind = "the simulation fails" if isinstance(error, SimulationError) else "the C does not build"
            return Failure(kind, str(error))
        if found.exact:
            return None
        wrong = next(each for each in found.comparisons if each.differing and each.binding)
        return Failure(wrong_values(compiled.source.kind), str(found.diverging or wrong))

    def reduced(self, case: Case) -> Case:
        """Return the smallest case that was found to fail alike."""
        with _without_files():
            case = self._with_fewer_nodes(case)
            case = self._halved(case, lambda smaller: smaller.model.fewer_channels(smaller.inputs))
            return self._halved(case, lambda smaller: smaller.model.smaller_inputs(smaller.inputs))

    def _attempt(self, case: Case, model: Cuttable | None, inputs: Inputs) -> Case | None:
        """Return a smaller case if it fails like the one before. Raises NoModel for what is no model by itself."""
        if model is None:
            raise NoModel
        self.attempts += 1
        try:
            failure = self.failure(model, inputs)
        except (CompileError, InputError, UnsupportedOperators):
            raise NoModel from None
        if failure is None or failure.kind != case.failure.kind:
            return None
        smaller = Case(model, inputs, failure)
        if self.say:
            self.say(f"attempt {self.attempts}: {model.size} nodes still fail")
        return smaller

    def _with_fewer_nodes(self, case: Case) -> Case:
        """Leave out nodes at the end, then nodes at the beginning."""
        values = case.model.values(case.inputs)
        cuts = list(values)

        def ending(end: int) -> Case | None:
            return self._attempt(case, *case.model.part({}, cuts[end], case.inputs))

        whole, first = case, _first_that_fails(ending, len(cuts))
        if first is not None:
            end, case = first

            def beginning(later: int) -> Case | None:
                known = {name: values[name] for name in cuts[: end - later]}
                return self._attempt(case, *whole.model.part(known, cuts[end], whole.inputs))

            start = _first_that_fails(beginning, end)
            case = start[1] if start else case
        return case

    def _halved(self, case: Case, keep: Callable[[Case], Iterable[Cut]]) -> Case:
        """Keep halves as long as one fails."""
        for half in keep(case):
            with suppress(NoModel):
                smaller = self._attempt(case, *half)
                if smaller:
                    return self._halved(smaller, keep)
        return case


def _first_that_fails(attempt: Callable[[int], Case | None], count: int) -> tuple[int, Case] | None:
    """Return the smallest number below `count` that fails, and its case.

    What fails is taken to fail for all larger numbers too; where that does not hold, a failing one is still returned.
    A number for which there is no model is passed over.
    """
    low, high, found = 0, count, None
    while low < high:
        middle = (low + high) // 2
        for number in range(middle, high):
            with suppress(NoModel):
                case = attempt(number)
                break
        else:
            number, case = high, None  # no model from the middle on: look below
        if case:
            found = number, case
        low, high = (low, middle) if case or number == high else (number + 1, high)
    return found


@contextmanager
def _without_files() -> Generator[None]:
    """Let the modules that failing passes leave behind vanish: each attempt may write one."""
    with scratch_folder() as folder, mock.patch("tempfile.tempdir", str(folder)):
        yield


def failing_case(reduction: Reduction, model: Cuttable, given: Inputs | None, seeds: Iterable[int]) -> Case | None:
    """Return the first sample of the given inputs, or of random ones, with which a model fails; None if none does.

    Raises CompileError if the model is refused, and InputError if the inputs do not fit.
    """
    with _without_files():
        for sample in _samples(reduction, model, given, seeds):
            failure = reduction.failure(model, sample)
            if failure:
                return Case(model, sample, failure)
    return None


def _samples(reduction: Reduction, model: Cuttable, given: Inputs | None, seeds: Iterable[int]) -> Iterable[Inputs]:
    try:
        project = compile(model.model, reduction.soc, options=model.options(reduction.options, None)).project
    except InternalError:  # no values are needed, but there must be some
        return [given or model.any_inputs()]
    return (project.random_inputs(seed) for seed in seeds) if given is None else Samples.of(project.inputs, given)
