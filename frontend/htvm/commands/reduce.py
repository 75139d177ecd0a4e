"""htvm reduce: the smallest part of a failing model that still fails."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
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

A model fails if an output is not what the ONNX file says, or if htvm fails inside. Nodes are left out at the end and at
the beginning, then channels, rows and columns; the exact values where the graph was cut become the inputs. The exit
status is 0 if a smaller model was written, 1 if the model does not fail.
"""

RANDOM_SAMPLES = 4


def add_arguments(to: argparse.ArgumentParser) -> None:
    to.add_argument("model", metavar="MODEL", help="a quantised ONNX file that fails")
    add_target(to, default="rv32", help="the machine to compile for (default: rv32)")
    add_compilation(to)
    to.add_argument("--inputs", metavar="X.npz", help="inputs with which it fails; without, random ones")
    add_seed(to)
    to.add_argument("-o", dest="output", metavar="SMALL.onnx", help="file to write (default: MODEL_reduced.onnx, here)")
    add_cc(to)
    add_output(to, "what was found")


def refuse_modules(model: str) -> None:
    """Raise CompileError for what is no ONNX file: only these are cut."""
    from htvm.diagnostics import CompileError
    from htvm.driver import opened

    source = opened(model)
    if source.kind != "ONNX file":
        raise CompileError(
            [
                f"{source.label}: is a {source.kind}, expected an ONNX file: only these are cut smaller; `htvm verify` "
                "names the first tensor of it that is wrong, if one is"
            ]
        )


def run(arguments: argparse.Namespace) -> int:

    from htvm import driver
    from htvm.arrays import Arrays, write_arrays
    from htvm.backend.files import write_file
    from htvm.commands import tables
    from htvm.import_onnx import onnx_files, with_shapes
    from htvm.verification.reduction import Reduction, failing_case

    given = Arrays(arguments.inputs) if arguments.inputs else None
    with model_warnings(), tables.status("looking for a failure") as tell:
        options = options_of(arguments)
        refuse_modules(arguments.model)
        reduction = Reduction(arguments.target, options, arguments.cc, tell)
        driver.lower(arguments.model, arguments.target, "imported", options)  # refuses what is no model
        seeds = range(arguments.seed, arguments.seed + RANDOM_SAMPLES)
        label = Path(arguments.model).name
        model = with_shapes(onnx_files.load(arguments.model), arguments.shape, label, options.requant_shift)
        with about(arguments.inputs or "random inputs"):
            case = failing_case(reduction, model, given, seeds)
        if case is None:
            say(arguments, f"{Path(arguments.model).name}: does not fail on target '{arguments.target.name}'")
            return 1
        small = reduction.reduced(case)
    output = Path(arguments.output or f"{Path(arguments.model).stem}_reduced.onnx")
    write_file(output, small.model.SerializeToString())
    write_arrays(output.with_suffix(".npz"), small.inputs)
    nodes = f"{len(small.model.graph.node)} of {len(case.model.graph.node)} nodes"
    say(arguments, f"{output}: {nodes} still fail: {small.failure.kind}\n{small.failure.message}")
    target = arguments.target
    # the small model has its shapes in it
    kept = ["--target", target.file or target.name, *replace(options, shapes={}).arguments()]
    kept += ["--cc", arguments.cc] if arguments.cc else []
    repeat = shlex.join(["htvm", "verify", str(output), "--inputs", str(output.with_suffix(".npz")), *kept])
    say(arguments, f"repeat: {repeat}")
    facts = {"model": str(output), "nodes": len(small.model.graph.node), "nodes_before": len(case.model.graph.node)}
    write_json(arguments.json, facts | {"kind": small.failure.kind, "message": small.failure.message, "repeat": repeat})
    return 0
