"""htvm reduce: the smallest part of a failing model that still fails."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from htvm.commands.arguments import (
    add_cc,
    add_compilation,
    add_output,
    add_seed,
    add_target,
    options_of,
    say,
    write_json,
)
from htvm.commands.failures import about, model_warnings

EXAMPLES = """\
examples:
  htvm reduce net.onnx                                    net_reduced.onnx and net_reduced.npz
  htvm reduce net.onnx --inputs wrong.npz -o small.onnx   of the first sample in the file that fails
  htvm reduce net.tflite --target gap9                    net_reduced.mlir, a module of tosa, and net_reduced.npz

A model fails if an output is not what the file says, or if htvm fails inside. Nodes are left out at the end and at
the beginning, then channels, rows and columns; the exact values where the graph was cut become the inputs. The exit
status is 0 if a smaller model was written, 1 if the model does not fail.
"""

RANDOM_SAMPLES = 4


def add_arguments(to: argparse.ArgumentParser) -> None:
    to.add_argument("model", metavar="MODEL", help="a quantised ONNX or .tflite file, or a module of tosa, that fails")
    add_target(to, default="rv32", help="the machine to compile for (default: rv32)")
    add_compilation(to)
    to.add_argument("--inputs", metavar="X.npz", help="inputs with which it fails; without, random ones")
    add_seed(to)
    to.add_argument("-o", dest="output", metavar="SMALL", help="file to write (default: MODEL_reduced, here)")
    add_cc(to)
    add_output(to, "what was found")


def run(arguments: argparse.Namespace) -> int:
    from htvm.arrays import Arrays, write_arrays
    from htvm.commands import tables
    from htvm.verification.reduction import Reduction, cuttable, failing_case

    given = Arrays(arguments.inputs) if arguments.inputs else None
    with model_warnings(), tables.status("looking for a failure") as tell:
        options = options_of(arguments)
        reduction = Reduction(arguments.target, options, arguments.cc, tell)
        model = cuttable(arguments.model, arguments.target, options)
        seeds = range(arguments.seed, arguments.seed + RANDOM_SAMPLES)
        with about(arguments.inputs or "random inputs"):
            case = failing_case(reduction, model, given, seeds)
        if case is None:
            say(arguments, f"{Path(arguments.model).name}: does not fail on target '{arguments.target.name}'")
            return 1
        small = reduction.reduced(case)
    output = Path(arguments.output or f"{Path(arguments.model).stem}_reduced{small.model.suffix}")
    small.model.write(output)
    write_arrays(output.with_suffix(".npz"), small.inputs)
    say(
        arguments,
        f"{output}: {small.model.size} of {case.model.size} nodes still fail: {small.failure.kind}\n"
        f"{small.failure.message}",
    )
    target = arguments.target
    # what options say of the whole model is in the small one
    kept = ["--target", target.file or target.name, *small.model.options(options, None).arguments()]
    kept += ["--cc", arguments.cc] if arguments.cc else []
    repeat = shlex.join(["htvm", "verify", str(output), "--inputs", str(output.with_suffix(".npz")), *kept])
    say(arguments, f"repeat: {repeat}")
    facts = {"model": str(output), "nodes": small.model.size, "nodes_before": case.model.size}
    write_json(arguments.json, facts | {"kind": small.failure.kind, "message": small.failure.message, "repeat": repeat})
    return 0
