"""Every model on diana, with these or those engines, in less and less memory: is every number exact?

Usage: sweep.py [--target T] [--engines auto host ..] [--l1 256 128 ..] [--cost-model C] [--jobs N] [MODEL ..]
default: all engines, the host, host and digital; 256 to 8 kB of L1; the models of htvm/ and integer/*_shift. On another
target: all engines, and the host; 128 to 16 kB; all models of test/inputs

MODEL is a part of a name, such as htvm/layers/aconv. Prints a row for each model and choice of engines: the cycles in
each budget, `=` where the C is the same as in the one before, or a letter for the reason, which follows the table.
Exit status 1 if an output differs from its golden, or a program breaks a rule of the machine.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from itertools import groupby
from pathlib import Path

import numpy as np

import htvm
from htvm.backend import targets
from htvm.backend.targets.soc import Soc
from htvm.diagnostics import CompileError
from htvm.interface import Samples
from htvm.runtime.simulator import SimulationError
from htvm.runtime.simulator.toolchain import BuildError

sys.path.insert(0, str(Path(__file__).parents[2] / "test" / "end_to_end"))

import models

ENGINES = ("auto", "host", "host,digital")
"""All, the smallest machine, and the one that the *_digital networks are for."""
L1_KILOBYTES = (256, 128, 64, 32, 16, 8)
DIANA = "diana"
ELSEWHERE = ("auto", "host"), (128, 64, 32, 16)
"""Engines and L1 on another target."""


@dataclass(frozen=True)
class Case:
    """A model in a machine: engines "auto" are all there are."""

    model: str
    engines: str
    l1_kilobytes: int
    target: str = DIANA
    cost_model: str | None = None

    @property
    def soc(self) -> Soc:
        soc = targets.load(self.target).with_memory("l1", self.l1_kilobytes * 1024)
        soc = soc.with_cost_model(self.cost_model) if self.cost_model else soc
        return soc if self.engines == "auto" else soc.with_engines(self.engines.split(","))


@dataclass(frozen=True)
class Finding:
    """What became of a case: cycles, or why there are none. is_wrong: whether that is htvm's mistake.

    is_same: the C is that of another case, which was run. used: the engines that layers run on.
    """

    case: Case
    cycles: int | None = None
    reason: str = ""
    is_wrong: bool = False
    is_same: bool = False
    used: tuple[str, ...] = ()


def names(target: str) -> list[str]:
    """Return the models that the sweep is about."""
    if target != DIANA:
        folders = ("htvm", "htvm/layers", "integer", "layers", "mlperf_tiny")
        found = [path for folder in folders for path in models.FOLDER.glob(f"{folder}/*.onnx")]
        return sorted(str(path.relative_to(models.FOLDER).with_suffix("")) for path in found)
    found = [*models.FOLDER.glob("htvm/*.onnx"), *models.FOLDER.glob("htvm/*/*.onnx")]
    found += models.FOLDER.glob("integer/*_shift.onnx")
    return sorted(str(path.relative_to(models.FOLDER).with_suffix("")) for path in found)


def run_model(cases: Sequence[Case]) -> list[Finding]:
    """Run the cases of one model; a program that was run already is not run again."""
    known: dict[str, Finding] = {}
    return [run(case, known) for case in cases]


def run(case: Case, known: dict[str, Finding]) -> Finding:
    """Compile a case, execute it on a golden's inputs and compare."""
    try:
        compiled = htvm.compile(models.path(case.model), case.soc, input_types=models.input_types(case.model))
    except CompileError as error:
        return Finding(case, reason=str(error))
    except Exception as error:  # a bug, to be shown beside the others
        return Finding(case, reason=f"internal error: {error}", is_wrong=True)
    files = sorted(compiled.project.files.items())
    sources = "".join(text for name, text in files if name.endswith((".c", ".h")))
    program = sha256(sources.encode()).hexdigest()
    if program not in known:
        known[program] = executed(case, compiled)
        return known[program]
    before = known[program]
    return Finding(case, before.cycles, before.reason, before.is_wrong, is_same=True, used=before.used)


def executed(case: Case, compiled: htvm.CompiledModel) -> Finding:
    used = tuple(sorted({step.engine for step in compiled.project.steps}))
    arrays, wanted = golden(case.model, tuple(port.name for port in compiled.project.outputs))
    try:
        result = compiled.program.run(Samples.of(compiled.project.inputs, arrays))
    except (BuildError, SimulationError) as error:
        return Finding(case, reason=f"{type(error).__name__}: {error}", is_wrong=True, used=used)
    for name, found in result.outputs.items():
        if not np.array_equal(found, wanted[name]):
            differing = int(np.count_nonzero(found != wanted[name]))
            reason = f"output '{name}': {differing:,} of {found.size:,} values differ"
            return Finding(case, reason=reason, is_wrong=True, used=used)
    return Finding(case, result.metrics["cycles"], used=used)


@cache
def golden(model: str, outputs: tuple[str, ...]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the inputs of a model's first golden and what must come out."""
    arrays, wanted = models.golden(models.golden_files(model)[0], list(outputs))
    return {name: value for name, value in arrays.items() if name.split(".")[0] not in outputs}, wanted


def sweep(cases: Sequence[Case], jobs: int) -> Iterator[list[Finding]]:
    """Yield the findings of each model. A process ends after a few models, so that memory stays bounded."""
    by_model = [list(each) for _, each in groupby(cases, key=lambda case: case.model)]
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=8) as pool:
        yield from pool.imap(run_model, by_model)


def main() -> int:
    arguments = options()
    known = names(arguments.target)
    engines, sizes = (ENGINES, L1_KILOBYTES) if arguments.target == DIANA else ELSEWHERE
    chosen = [name for name in known if not arguments.models or any(part in name for part in arguments.models)]
    cases = [Case(model, chosen_engines, size, arguments.target, arguments.cost_model)
             for model in chosen for chosen_engines in arguments.engines or engines
             for size in arguments.l1 or sizes]  # fmt: skip
    print(f"cycles with {arguments.cost_model or 'the default'} figures; budgets are of L1")
    print(f"{'model':34} {'engines':13} {'used':20}" + "".join(f"{size:>8} kB" for size in arguments.l1 or sizes))
    reasons: dict[str, int] = {}
    wrong = 0
    for findings in sweep(cases, arguments.jobs):
        wrong += sum(each.is_wrong for each in findings)
        for engines, row in groupby(findings, key=lambda each: each.case.engines):
            print(line(engines, list(row), reasons), flush=True)
    for reason, number in reasons.items():
        print(f"\n[{number}] {reason}")
    print(f"\n{len(cases):,} cases, {wrong} wrong")
    return 1 if wrong else 0


def line(engines: str, row: Sequence[Finding], reasons: dict[str, int]) -> str:
    """Return the row of a model and a choice of engines; reasons that are new get their number."""
    cells = []
    for each in row:
        if each.cycles is None:
            number = reasons.setdefault(each.reason, len(reasons) + 1)
            cells.append(f"{'!' if each.is_wrong else ''}[{number}]")
        else:
            cells.append(f"{'=' if each.is_same else ''}{each.cycles:,}")
    used = ",".join(sorted({name for each in row for name in each.used}))
    model = row[0].case.model.removeprefix("htvm/")
    return f"{model:34} {engines:13} {used:20}" + "".join(f"{cell:>11}" for cell in cells)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--target", default=DIANA)
    parser.add_argument("--engines", nargs="+")
    parser.add_argument("--l1", nargs="+", type=int, metavar="KB")
    parser.add_argument("--cost-model")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
