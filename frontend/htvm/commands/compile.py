"""htvm compile: from an ONNX file or a module of MLIR to a C project."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from htvm.commands.arguments import (
    add_compilation,
    add_force,
    add_output,
    add_target,
    options_of,
    say,
    write_json,
    write_text,
)
from htvm.commands.failures import model_warnings, usage_error

if TYPE_CHECKING:
    from htvm.driver import CompiledModel

EXAMPLES = """\
examples:
  htvm compile resnet8.onnx -o resnet8_c                              C for a bare RV32IMC host
  htvm compile resnet8.onnx -o resnet8_c --emit-ir planned            and the last stage, as MLIR, beside it
  htvm compile toyadmos.onnx -o out --constants 2.4x                  more constants, where that is faster
  htvm compile resnet8_shift.onnx -o out --input-type input=0..127    a float32 input that holds small integers

The folder gets the sources, a header that describes inputs and outputs, a linker script, a Makefile, report.json
and a README; SHA256SUMS lists what htvm has written. A project that is there already is replaced, but for files that
were edited since: those are refused without --force. All other files stay.
"""


def add_arguments(to: argparse.ArgumentParser) -> None:
    to.add_argument("model", metavar="MODEL", help="a quantised ONNX file, or a module of MLIR (.mlir, .mlirbc)")
    add_target(to, default="rv32", help="the machine to compile for (default: rv32)")
    to.add_argument("-o", dest="output", required=True, metavar="DIR", help="the folder to write")
    add_force(to)
    add_compilation(to)
    to.add_argument(
        "--emit-ir",
        action="append",
        default=[],
        metavar="STAGE",
        help="also write the module at this stage, as STAGE.mlir; may be repeated",
    )
    to.add_argument(
        "--save-plan",
        metavar="P.json",
        help="file to write the decisions to: engine and tiles of each layer; edit it, and give it to --plan",
    )
    add_output(to, "report.json")


def run(arguments: argparse.Namespace) -> int:
    from htvm import driver, plan
    from htvm.backend.c import write_project
    from htvm.backend.c.schema import as_object
    from htvm.explanation.offload import offload
    from htvm.passes.pipeline import STAGES

    for stage in arguments.emit_ir:
        if stage not in STAGES:
            usage_error("htvm compile", f"--emit-ir: unknown stage '{stage}', expected one of {', '.join(STAGES)}")
    with model_warnings():
        compiled = driver.compile(
            arguments.model,
            arguments.target,
            options=options_of(arguments),
            keep_stages=[*arguments.emit_ir, *(["scheduled"] if arguments.save_plan else [])],
        )
    stages = {f"{stage}.mlir": compiled.stages[stage] for stage in arguments.emit_ir}
    write_project({**compiled.project.files, **stages}, arguments.output, arguments.force)
    write_json(arguments.json, as_object(compiled.project.report))
    if arguments.save_plan:
        scheduled = driver.parsed(compiled.stages["scheduled"], arguments.model)
        text = json.dumps(plan.saved(scheduled, compiled.soc.name, compiled.options), indent=1) + "\n"
        write_text(arguments.save_plan, text)
    if arguments.plan:
        say(arguments, cost_of_pins(compiled))
    memory, report = compiled.soc.arena_memory, compiled.project.report
    say(
        arguments,
        f"{Path(arguments.output)}: C of '{report.name}' for target '{compiled.soc.name}': "
        f"{len(report.steps)} steps, {report.planned_bytes(memory):,} bytes of activations in {memory}",
    )
    if unproved := limits_reached(compiled):
        say(arguments, f"at the limit of --effort {compiled.options.effort}, not proved best: {', '.join(unproved)}")
    if not arguments.quiet and (share := offload(compiled)):
        say(arguments, str(share))
    return 0


def limits_reached(compiled: CompiledModel) -> list[str]:
    """Return what of a mapping searches have not proved best before their work was at its limit."""
    from htvm.dialects import accel

    names = {accel.PLACEMENT: "engines and forms", accel.ORDER: "order of layers"}
    with compiled.module.context:
        return [
            what
            for name, what in names.items()
            for function in accel.functions(compiled.module)
            if (found := accel.attribute(function, name, accel.OptimalityAttr)) is not None
            and found.value == accel.Optimality.BOUNDED
        ]


def cost_of_pins(pinned_model: CompiledModel) -> str:
    """Compile once more without the plan and say what its pins cost."""
    from htvm import driver
    from htvm.explanation.prediction import predicted_cycles

    options = replace(pinned_model.options, plan=())
    free = driver.compile(pinned_model.source, pinned_model.soc, options=options)
    pinned, best = predicted_cycles(pinned_model), predicted_cycles(free)
    return f"plan: {pinned:,} cycles predicted, {best:,} without its pins"
