"""htvm verify: is every output exactly what the model says?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from htvm.commands.arguments import (
    add_cc,
    add_compilation,
    add_max_cycles,
    add_output,
    add_seed,
    add_target,
    options_of,
    say,
    write_json,
)
from htvm.commands.failures import about, model_warnings, usage_error
from htvm.commands.subject import subject

if TYPE_CHECKING:
    import numpy as np

    from htvm.verification.verification import Verification

EXAMPLES = """\
examples:
  htvm verify resnet8.onnx                               four samples of random inputs
  htvm verify resnet8.onnx --inputs golden/*.npz         recorded inputs, and the outputs recorded with them
  htvm verify resnet8_c --against resnet8.onnx           the C in a folder, edited or not

The exact meaning is what ONNX says in real arithmetic, rounding half to even; of a module it is what the interpreter
of its operations gives. An .npz file may have recorded outputs:
'<output>.exact' must be equal; '<output>', usually from a runtime that computes in float32, is compared and may differ,
unless --exact-key says that it is exact. The exit status is 1 if a value differs that must not.
With --requant pow2 every output must be equal to that of the refitted network, and the values that are then others
than the ONNX file says are counted.
"""


def add_arguments(to: argparse.ArgumentParser) -> None:
    to.add_argument("model", metavar="MODEL|DIR", help="an ONNX file, a module of MLIR (.mlir), or a project")
    to.add_argument("--against", metavar="MODEL", help="of a project: the model that says what is exact")
    add_target(to, help="the machine (default: rv32, or the one that the project was made for)")
    add_compilation(to)
    to.add_argument("--inputs", nargs="+", default=[], metavar="X.npz", help="files with inputs; without, random ones")
    to.add_argument("--exact-key", action="store_true", help="recorded outputs '<output>' must be equal as well")
    add_seed(to)
    add_cc(to)
    add_max_cycles(to)
    add_output(to, "what was compared")


RANDOM_SAMPLES = 4


def run(arguments: argparse.Namespace) -> int:
    from htvm import driver
    from htvm.arrays import Arrays
    from htvm.commands import tables
    from htvm.execution.program import Program
    from htvm.verification.verification import check

    files = {path: Arrays(path) for path in arguments.inputs}
    is_project = Path(arguments.model).is_dir()
    if is_project != bool(arguments.against):
        found, wanted = ("a project", "the model") if is_project else ("a model", "nothing")
        usage_error("htvm verify", f"'{arguments.model}' is {found}, expected {wanted} as --against")
    compiled, project, soc = subject(arguments, list(files.values()))
    if compiled is None:
        with model_warnings():
            compiled = driver.compile(arguments.against, soc, options=options_of(arguments))
        if project.report.origin != compiled.project.report.origin:
            print(f"note: {arguments.model} was made of another model than {arguments.against}", file=sys.stderr)
    given: dict[str, Mapping[str, np.ndarray]] = dict(files)
    if not given:
        seeds = range(arguments.seed, arguments.seed + RANDOM_SAMPLES)
        given = {f"random inputs, seed {seed}": compiled.project.random_inputs(seed) for seed in seeds}
    program = Program(project, soc, arguments.cc, max_cycles=arguments.max_cycles)
    checked: dict[str, Verification] = {}
    for name, arrays in given.items():
        with about(name), tables.progress(Path(name).name) as progress:
            found = check(compiled, program, arrays, goldens_bind=arguments.exact_key, progress=progress)
        checked[name] = found
        for comparison in found.comparisons:
            if comparison.differing:
                say(arguments, f"{name}: {comparison}")
        if found.diverging:
            say(arguments, f"{name}: {found.diverging}")
    sets = f"{len(given)} set{'s' if len(given) != 1 else ''} of inputs"
    model = compiled.source.label
    values, wrong = sum(found.values for found in checked.values()), sum(not found.exact for found in checked.values())
    write_json(arguments.json, _facts(model, compiled.soc.name, compiled.options.requant, checked))
    refitted = compiled.refitted is not None
    where = f"{'equal to the refitted network' if refitted else 'exact'} on target '{compiled.soc.name}'"
    if wrong:
        say(arguments, f"{model}: NOT {where}: {wrong} of {sets} give other values")
        return 1
    changed = sum(found.changed for found in checked.values())
    note = (
        f"; --requant {compiled.options.requant} changed {changed:,} of them from what the {compiled.source.kind} says"
    )
    say(arguments, f"{model}: {where}: {values:,} values compared, of {sets}{note if refitted else ''}")
    return 0


def _facts(model: str, target: str, requant: str, checked: dict[str, Verification]) -> dict[str, Any]:
    """Return what --json writes: for each set of inputs the comparisons, and where the first value differs.

    exact: every value that must be equal is; with `requant` "pow2" to the refitted network's. changed: how many values
    that made others than the ONNX file says. allowed: why the values of a comparison may differ, or null.
    """
    return {
        "model": model,
        "target": target,
        "requant": requant,
        "exact": all(found.exact for found in checked.values()),
        "values": sum(found.values for found in checked.values()),
        "changed": sum(found.changed for found in checked.values()),
        "sets": [
            {
                "name": name,
                "exact": found.exact,
                "samples": found.samples,
                "comparisons": [
                    {
                        "output": each.output,
                        "wanted_from": each.wanted_from,
                        "values": each.values,
                        "differing": each.differing,
                        "largest_difference": each.largest_difference,
                        "binding": each.binding,
                        "allowed": each.allowed,
                    }
                    for each in found.comparisons
                ],
                "diverging": asdict(found.diverging) if found.diverging else None,
            }
            for name, found in checked.items()
        ],
    }
