"""htvm report: one HTML page that shows a run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from htvm.commands.arguments import add_cc, add_compilation, add_max_cycles, add_output, add_seed, add_target, say
from htvm.commands.failures import about
from htvm.commands.subject import subject

EXAMPLES = """\
examples:
  htvm report resnet8.onnx                                  resnet8.html, of a run on random inputs
  htvm report resnet8_c --inputs photo.npz -o photo.html    a project that `htvm compile` wrote

The page has the network, the timeline of all units, the memory map, a table of layers, why each layer of a model runs
where it runs, and what is needed to repeat the run. It is one file that needs no network. In its charts, + and - zoom,
the arrow keys move, 0 shows everything.
"""


def add_arguments(to: argparse.ArgumentParser) -> None:
    to.add_argument("model", metavar="MODEL|DIR", help="an ONNX file, or a project of htvm compile")
    add_target(to, help="the machine (default: rv32, or the one that the project was made for)")
    add_compilation(to)
    to.add_argument("--inputs", metavar="X.npz", help="the inputs, of which the first sample counts; or random ones")
    add_seed(to)
    to.add_argument("-o", dest="output", metavar="PAGE.html", help="file to write (default: NAME.html, here)")
    add_cc(to)
    add_max_cycles(to)
    add_output(to)


def run(arguments: argparse.Namespace) -> int:
    from htvm.arrays import Arrays
    from htvm.backend.files import write_file
    from htvm.execution.program import Program
    from htvm.explanation.explanation import explain
    from htvm.explanation.offload import offload, offload_of
    from htvm.import_onnx.model import readable
    from htvm.interface import Samples
    from htvm.reporting.facts import facts
    from htvm.reporting.page import page

    given = Arrays(arguments.inputs) if arguments.inputs else None
    compiled, project, soc = subject(arguments, [given] if given else [])
    explained = None if compiled is None else explain(compiled.source, soc, options=compiled.options)
    with about(arguments.inputs or "random inputs"):
        samples = Samples.of(project.inputs, project.random_inputs(arguments.seed) if given is None else given)
    program = Program(project, soc, arguments.cc, max_cycles=arguments.max_cycles)
    result = program.run(samples.first())
    output = Path(arguments.output or f"{project.report.name}.html")
    invocation = ["htvm", *map(readable, sys.argv[1:])]
    share = offload_of(project.report, soc) if compiled is None else offload(compiled)
    decisions, bound = (explained.decisions, explained.bound) if explained else ((), None)
    shown = facts(project, soc, result, invocation, decisions, share, bound)
    text = page(shown).encode("utf-8")
    write_file(output, text)
    say(arguments, f"{output}: {len(text):,} bytes")
    return 0
