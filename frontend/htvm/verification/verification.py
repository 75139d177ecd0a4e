"""Comparing what the generated code computes with what the model says, value by value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from htvm.backend.targets.soc import Soc
from htvm.driver import CompiledModel, Model, compile
from htvm.execution.program import Program, Progress, RunResult
from htvm.interface import InputError, Samples, described, shape_text
from htvm.options import DEFAULTS, CompileOptions
from htvm.verification.divergence import Divergence, first_divergence

FLOAT32 = "allowed: float32 rounding"
REFITTED = "changed by --requant"
"""Why values may differ: recorded outputs have a runtime's rounding; a refitted network has other numbers."""


@dataclass(frozen=True)
class Comparison:
    """One output of the code beside what it should be.

    wanted_from: where the values wanted come from. allowed: why values may differ, None if each must be equal.
    """

    output: str
    wanted_from: str
    found: np.ndarray = field(repr=False)
    wanted: np.ndarray = field(repr=False)
    allowed: str | None = None

    @property
    def binding(self) -> bool:
        """Whether every value must be equal."""
        return self.allowed is None

    @property
    def values(self) -> int:
        return self.found.size

    @property
    def differing(self) -> int:
        return int(np.count_nonzero(self.found != self.wanted))

    @property
    def largest_difference(self) -> float:
        """How far off the value is that is furthest off; 0 if all are equal."""
        return float(np.abs(self.found.astype(np.float64) - self.wanted.astype(np.float64)).max(initial=0))

    def __str__(self) -> str:
        what = f"output '{self.output}' and {self.wanted_from}: "
        if not self.differing:
            return what + f"{self.values:,} values, all equal"
        index = tuple(int(axis) for axis in np.argwhere(self.found != self.wanted)[0])
        return (
            f"{what}{self.differing:,} of {self.values:,} values differ, by at most {self.largest_difference:g}; the "
            f"first is {list(index)}: computed {self.found[index]}, "
            + (f"expected {self.wanted[index]}" if self.binding else f"not {self.wanted[index]} ({self.allowed})")
        )


@dataclass(frozen=True)
class Verification:
    """The comparisons of one set of inputs; of several samples, outputs are joined on axis 0.

    diverging: where the code first leaves the meaning of the model, if that can be seen.
    """

    samples: int
    comparisons: tuple[Comparison, ...]
    diverging: Divergence | None

    @property
    def exact(self) -> bool:
        """Whether every value is what it must be."""
        return not any(comparison.differing for comparison in self.comparisons if comparison.binding)

    @property
    def values(self) -> int:
        """How many values were compared, those that `--requant` may change left out."""
        return sum(comparison.values for comparison in self.comparisons if comparison.allowed != REFITTED)

    @property
    def changed(self) -> int:
        """How many values `--requant` changed."""
        return sum(comparison.differing for comparison in self.comparisons if comparison.allowed == REFITTED)


def verify(
    model: Model | CompiledModel,
    target: str | Soc = "rv32",
    inputs: Mapping[str, np.ndarray] | None = None,
    *,
    options: CompileOptions = DEFAULTS,
    seed: int = 0,
    **choices: Any,
) -> Verification:
    """Compile a model, execute it, and compare every output with the exact meaning of the ONNX graph or module.

    inputs: by ONNX name, with several samples on axis 0 if there are; None: seeded random ones. Keys
    `<output>.exact` are compared as well; keys `<output>`, which may have float32's rounding, are not binding.
    options, choices: as `compile` takes them.

    Raises CompileError, and InputError if the inputs do not fit.
    """
    compiled = model if isinstance(model, CompiledModel) else compile(model, target, options=options, **choices)
    return check(compiled, compiled.program, inputs or compiled.project.random_inputs(seed))


def check(
    compiled: CompiledModel,
    program: Program,
    given: Mapping[str, np.ndarray],
    *,
    goldens_bind: bool = False,
    progress: Progress | None = None,
) -> Verification:
    """Run a program on all samples that are given and compare; goldens_bind: keys `<output>` are exact too."""
    samples = Samples.of(program.project.inputs, given)
    result = program.run(samples, progress)
    meant = compiled.meant(samples)
    meaning = "the exact meaning" if compiled.refitted is None else "the refitted network"
    comparisons: list[Comparison] = []
    for name, found in result.outputs.items():
        comparisons.append(Comparison(name, meaning, found, meant[name]))
        if compiled.refitted is not None:
            continue
        for key, allowed in ((f"{name}.exact", None), (name, None if goldens_bind else FLOAT32)):
            if key in given:
                comparisons.append(Comparison(name, f"'{key}'", found, _alike(given, found, key), allowed))
                break
    comparisons += changed(compiled, result)
    wrong = [comparison for comparison in comparisons if comparison.differing and comparison.binding]
    diverging = None
    if wrong:
        sample = samples[_first_wrong(wrong, len(samples))]
        diverging = first_divergence(compiled, program, sample)
    return Verification(len(samples), tuple(comparisons), diverging)


def changed(compiled: CompiledModel, result: RunResult) -> list[Comparison]:
    """Compare the outputs of a refitted network with what the ONNX file says; of one that is exact return nothing."""
    if compiled.refitted is None:
        return []
    meant = compiled.exact(Samples.of(compiled.project.inputs, result.inputs))
    return [
        Comparison(name, f"the {compiled.source.kind}", found, meant[name], REFITTED)
        for name, found in result.outputs.items()
    ]


def _alike(given: Mapping[str, np.ndarray], found: np.ndarray, key: str) -> np.ndarray:
    """Return recorded outputs, of the shape of those that were computed. Raises InputError on others."""
    golden = described(given, key)
    if golden is None or golden.shape != found.shape:
        shape = shape_text(golden.shape) if golden else "none"
        raise InputError(f"'{key}' has shape {shape}, expected {shape_text(found.shape)}")
    return given[key]


def _first_wrong(wrong: Sequence[Comparison], samples: int) -> int:
    """Return the number of the first sample in which a value differs."""
    if samples == 1:
        return 0
    return min(int(np.argwhere(one.found != one.wanted)[0][0]) * samples // len(one.found) for one in wrong)
