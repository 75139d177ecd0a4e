"""Cutting a model that fails down to the smallest one that fails alike.

A cut keeps a part of the graph between tensors; the exact values of the tensors where it is cut become its inputs. So
a reduced model shows the failure of the whole one, on the numbers at which the whole one failed. First nodes are left
out, then channels, then rows and columns.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

import numpy as np
import onnx
from onnx.helper import tensor_dtype_to_np_dtype

from htvm.backend.targets.soc import Soc
from htvm.diagnostics import CompileError
from htvm.dialects.semantics.real import Real
from htvm.driver import compile
from htvm.execution.program import Program
from htvm.interface import InputError, Samples
from htvm.options import DEFAULTS, CompileOptions
from htvm.reference import UnsupportedOperators, evaluate
from htvm.run_passes import InternalError
from htvm.runtime.interrupts import scratch_folder
from htvm.runtime.simulator import SimulationError
from htvm.runtime.simulator.toolchain import BuildError
from htvm.verification.graph_cuts import Cut, Inputs, cut, cut_tensors, keep_channels, keep_inputs
from htvm.verification.verification import check

WRONG = "other values than the ONNX file says"


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

    model: onnx.ModelProto
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

    def failure(self, model: onnx.ModelProto, inputs: Inputs) -> Failure | None:
        """Compile and run a model; None if every output is exact. Raises CompileError, and InputError."""
        quantised = {name for node in model.graph.node if node.op_type == "QuantizeLinear" for name in node.input}
        types = {
            name: self.options.input_types.get(name) or _input_type(values)
            for name, values in inputs.items()
            if name not in quantised
        }
        types = {name: kind for name, kind in types.items() if kind}
        try:
            compiled = compile(model, self.soc, options=replace(self.options, input_types=types, shapes={}))
            found = check(compiled, Program(compiled.project, self.soc, self.cc), inputs)
        except InternalError as error:
            return Failure(f"{error.who} fails with {type(error.__cause__).__name__}", error.problem)
        except (SimulationError, BuildError) as error:
            kind = "the simulation fails" if isinstance(error, SimulationError) else "the C does not build"
            return Failure(kind, str(error))
        if found.exact:
            return None
        wrong = next(each for each in found.comparisons if each.differing and each.binding)
        return Failure(WRONG, str(found.diverging or wrong))

    def reduced(self, case: Case) -> Case:
        """Return the smallest case that was found to fail alike."""
        with _without_files():
            case = self._with_fewer_nodes(case)
            case = self._halved(case, keep_channels)
            return self._halved(case, keep_inputs)

    def _attempt(self, case: Case, model: onnx.ModelProto | None, inputs: Inputs) -> Case | None:
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
            self.say(f"attempt {self.attempts}: {len(model.graph.node)} nodes still fail")
        return smaller

    def _with_fewer_nodes(self, case: Case) -> Case:
        """Leave out nodes at the end, then nodes at the beginning."""
        names = cut_tensors(case.model)
        values = _stored(evaluate(case.model, case.inputs, keep=names))
        cuts = [name for name in names if name in values]

        def ending(end: int) -> Case | None:
            return self._attempt(case, *cut(case.model, {}, cuts[end], case.inputs))

        whole, first = case, _first_that_fails(ending, len(cuts))
        if first is not None:
            end, case = first

            def beginning(later: int) -> Case | None:
                known = {name: values[name] for name in cuts[: end - later]}
                return self._attempt(case, *cut(whole.model, known, cuts[end], whole.inputs))

            start = _first_that_fails(beginning, end)
            case = start[1] if start else case
        return case

    def _halved(self, case: Case, keep: Callable[[onnx.ModelProto, Inputs], Iterable[Cut]]) -> Case:
        """Keep halves as long as one fails."""
        for half in keep(case.model, case.inputs):
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


def _input_type(values: np.ndarray) -> str | None:
    """Return what a float32 input is taken to hold that nobody has said it of: i8, if that holds the values."""
    return "i8" if values.dtype == np.float32 and np.abs(values).max(initial=0) < 128 else None


def _stored(values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the tensors that can be inputs: quantised ones; if there are none, those that hold small integers."""
    arrays = {name: value for name, value in values.items() if not isinstance(value, Real)}
    quantised = {name: array for name, array in arrays.items() if array.dtype.kind in "iu"}
    if quantised:
        return quantised
    exact = {name: value.exact() for name, value in values.items() if name not in arrays}
    return {
        name: numbers.astype(np.float32)
        for name, numbers in exact.items()
        if all(each.denominator == 1 and -128 <= each <= 255 for each in numbers.flat)
    }


@contextmanager
def _without_files() -> Generator[None]:
    """Let the modules that failing passes leave behind vanish: each attempt may write one."""
    with scratch_folder() as folder, mock.patch("tempfile.tempdir", str(folder)):
        yield


def failing_case(
    reduction: Reduction, model: onnx.ModelProto, given: Inputs | None, seeds: Iterable[int]
) -> Case | None:
    """Return the first sample of the given inputs, or of random ones, with which a model fails; None if none does.

    Raises CompileError if the model is refused, and InputError if the inputs do not fit.
    """
    with _without_files():
        for sample in _samples(reduction, model, given, seeds):
            failure = reduction.failure(model, sample)
            if failure:
                return Case(model, sample, failure)
    return None


def _samples(
    reduction: Reduction, model: onnx.ModelProto, given: Inputs | None, seeds: Iterable[int]
) -> Iterable[Inputs]:
    try:
        project = compile(model, reduction.soc, options=replace(reduction.options, shapes={})).project
    except InternalError:  # no values are needed, but there must be some
        return [given or _any_inputs(model)]
    return (project.random_inputs(seed) for seed in seeds) if given is None else Samples.of(project.inputs, given)


def _any_inputs(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    constants = {tensor.name for tensor in model.graph.initializer}
    tensors = {value.name: value.type.tensor_type for value in model.graph.input if value.name not in constants}
    return {
        name: np.ones([size.dim_value for size in tensor.shape.dim], tensor_dtype_to_np_dtype(tensor.elem_type))
        for name, tensor in tensors.items()
    }
