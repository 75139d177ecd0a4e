"""htvm-opt: run passes, own and upstream, on a module in MLIR's textual form."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from htvm.commands.arguments import add_target, parser, read_text, settle, write_text
from htvm.commands.failures import failing_politely, usage_error

if TYPE_CHECKING:
    from mlir import ir

    from htvm.diagnostics import Diagnostic
    from htvm.passes import pipeline

EXAMPLES = """\
examples:
  htvm-translate --import-onnx resnet8.onnx | htvm-opt -p integer        one phase: imported to integer
  htvm-opt resnet8.mlir --target rv32 -p integer,dispatched,scheduled    several phases
  htvm-opt test.mlir -p fuse-epilogues,canonicalize,cse                  own and upstream passes, mixed
  htvm-opt test.mlir -p 'verify-stage{stage=integer}'                    a pass with an option
  htvm-opt test.mlir --split-input-file --verify-diagnostics             check that the expected errors come
  htvm-opt --list-passes                                                 what there is
"""

DUMPS = {
    "before-all": "before each pass",
    "after-all": "after each pass",
    "after-change": "after each pass that changed it",
    "after-failure": "after a pass that failed",
}
"""When the module can be printed on its way."""


def main() -> int:
    """Entry point of `htvm-opt`."""
    arguments = settle(_parser().parse_args())
    with failing_politely("htvm-opt"):
        if arguments.list_passes:
            print(_listing(), end="")
            return 0
        return _run(arguments)


def _parser() -> argparse.ArgumentParser:
    made = parser("htvm-opt", (__doc__ or "").partition(": ")[2], EXAMPLES)
    add = made.add_argument
    add("input", nargs="?", default="-", metavar="FILE", help="module to read; '-' (default): standard input")
    add("-o", dest="output", default="-", metavar="FILE", help="file to write; '-' (default): standard output")
    add("-p", dest="passes", action="append", default=[], metavar="PASS|PHASE,..", help="what to run, in order")
    add("--pass-pipeline", action="append", dest="passes", metavar="builtin.module(..)", help="as in mlir-opt")
    add_target(made, help="the machine that passes may ask about")
    add("--split-input-file", action="store_true", help="treat the parts between lines '// -----' one by one")
    add(
        "--verify-diagnostics",
        action="store_true",
        help="succeed if the diagnostics are those that comments '// expected-error {{..}}' announce",
    )
    add("--list-passes", action="store_true", help="list htvm's passes and phases")
    add("--allow-unregistered-dialect", action="store_true", help="accept operations of unknown dialects")
    add("--mlir-timing", action="store_true", help="print the time that each pass took to standard error")
    add = made.add_argument_group("printing").add_argument
    add("--mlir-print-debuginfo", action="store_true", help="print locations: the names of ONNX nodes")
    add("--mlir-print-op-generic", action="store_true", help="print operations in the generic form")
    add(
        "--mlir-elide-elementsattrs-if-larger",
        type=int,
        metavar="N",
        help="print no constants of more than N elements",
    )
    for when, meaning in DUMPS.items():
        add(
            f"--mlir-print-ir-{when}",
            f"--print-ir-{when}",
            action="store_true",
            help=f"print the module to standard error {meaning}",
        )
    for when in ("before", "after"):
        add(
            f"--mlir-print-ir-{when}",
            f"--print-ir-{when}",
            metavar="PASS,..",
            default="",
            help=f"print the module to standard error {when} these passes",
        )
    return made


def _listing() -> str:
    """Say what passes and phases there are."""
    from htvm.passes import pipeline, registry

    own = registry.passes()
    width = max(map(len, own))
    lines = ["Passes of htvm; every pass of MLIR can be named too:", ""]
    lines += [f"  {name:{width}}  {registry.summary(found)}" for name, found in own.items()]
    lines += ["", "Phases, each a list of passes that takes a module to the stage it is named after:", ""]
    lines += [f"  {stage:{width}}  {', '.join(passes)}" for stage, passes in pipeline.PHASES.items()]
    return "\n".join(lines) + "\n"


@dataclass
class _Outcome:
    """What one part of the input gave."""

    printed: str = ""
    diagnostics: Sequence[Diagnostic] = ()

    @property
    def failed(self) -> bool:
        return any(found.severity == "error" for found in self.diagnostics)


def _run(arguments: argparse.Namespace) -> int:
    """Run the passes on each part of the input; print results and diagnostics."""
    from htvm.expected_diagnostics import mismatches

    text, name = read_text(arguments.input)
    parts = list(_split(text)) if arguments.split_input_file else [text]
    printed: list[str] = []
    failed = False
    for part in parts:
        outcome = _transform(part, arguments)
        if arguments.verify_diagnostics:
            problems = mismatches(part, outcome.diagnostics)
            failed |= bool(problems)
            print(*(f"{name}:{problem}\n" for problem in problems), sep="", end="", file=sys.stderr)
        else:
            failed |= outcome.failed
            print(*(_shown(found, name, part) for found in outcome.diagnostics), sep="", end="", file=sys.stderr)
        if not outcome.failed:
            printed.append(outcome.printed)
    if not (failed and len(parts) == 1):
        write_text(arguments.output, "// -----\n\n".join(printed))
    return 1 if failed else 0


def _split(text: str) -> Iterator[str]:
    """Yield the parts between lines '// -----', each behind as many empty lines as come before it in the text."""
    part: list[str] = []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("// -----"):
            yield "\n".join(part)
            part = [""] * (number + 1)
        else:
            part.append(line)
    yield "\n".join(part)


def _transform(text: str, arguments: argparse.Namespace) -> _Outcome:
    """Parse a module, run the passes and print it."""
    from mlir import ir

    from htvm import dialects
    from htvm.diagnostics import collected
    from htvm.dialects import modules
    from htvm.passes import pipeline

    context = dialects.context()
    context.allow_unregistered_dialects = arguments.allow_unregistered_dialect
    try:
        manager = pipeline.build(",".join(arguments.passes), arguments.target, context, _observer(arguments))
    except pipeline.PipelineError as error:
        usage_error("htvm-opt", str(error))
    whens = [when.replace("-", "_") for when in DUMPS]
    dumps = {f"print_{when}": getattr(arguments, f"mlir_print_ir_{when}") for when in whens}
    if any(dumps.values()):
        context.enable_multithreading(False)
        manager.enable_ir_printing(**dumps, print_module_scope=True, **_printing(arguments))
    if arguments.mlir_timing:
        manager.enable_timing()
    with collected(context) as diagnostics, context, ir.Location.unknown():
        try:
            module = modules.parse(text, context)
            manager.run(module.operation)
        except ir.MLIRError:
            return _Outcome(diagnostics=diagnostics)
    return _Outcome(module.operation.get_asm(binary=False, **_printing(arguments)), diagnostics)


def _observer(arguments: argparse.Namespace) -> pipeline.Observer | None:
    """Return what prints the module before and after the passes that were named."""
    from htvm.passes.pipeline import Moment

    wanted = {
        Moment.BEFORE: arguments.mlir_print_ir_before.split(","),
        Moment.AFTER: arguments.mlir_print_ir_after.split(","),
    }

    def observe(moment: Moment, name: str, module: ir.Operation) -> None:
        if name in wanted[moment]:
            print(f"// -----// IR Dump {moment.value.capitalize()} {name} //----- //", file=sys.stderr)
            print(module.get_asm(**_printing(arguments)), file=sys.stderr)

    return observe if any(name for names in wanted.values() for name in names) else None


def _printing(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return how modules are printed."""
    return {
        "enable_debug_info": arguments.mlir_print_debuginfo,
        "print_generic_op_form": arguments.mlir_print_op_generic,
        "large_elements_limit": arguments.mlir_elide_elementsattrs_if_larger,
    }


def _shown(found: Diagnostic, name: str, text: str) -> str:
    """Show a diagnostic as compilers do: where, what, and the line of the text with a mark under the place."""
    place = found.place
    where, quote = name, ""
    if place.file == "-":  # what MLIR calls a text that came without a name
        where = f"{name}:{place.line}:{place.column}"
        line = [*text.splitlines(), ""][place.line - 1]  # the end of the text has a line of its own
        quote = f"{line}\n{' ' * (place.column - 1)}^\n"
    elif place.file:
        where = f"{place.file}:{place.line}:{place.column}"
    elif place.node:
        where = f"{name}: node '{place.node}'"
    notes = "".join(_shown(note, name, text) for note in found.notes)
    return f"{where}: {found.severity}: {found.message}\n{quote}{notes}"
