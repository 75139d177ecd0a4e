"""htvm-opt: run passes, own and upstream, on a module of MLIR."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from htvm.commands.arguments import add_kernels, add_plugins, add_target, parser, read_module, settle, write_text
from htvm.commands.failures import failing_politely, usage_error

if TYPE_CHECKING:
    from mlir import ir

    from htvm.diagnostics import Diagnostic
    from htvm.passes import pipeline
    from htvm.run_passes import Progress

EXAMPLES = """\
examples:
  htvm-translate --import-onnx resnet8.onnx | htvm-opt -p integer        one phase: imported to integer
  htvm-opt resnet8.mlir --target rv32 -p integer,dispatched,scheduled    several phases
  htvm-opt test.mlir -p fuse-epilogues,canonicalize,cse                  own and upstream passes, mixed
  htvm-opt test.mlir -p 'verify-stage{stage=integer}'                    a pass with an option
  htvm-opt test.mlir --load-pass-plugin my_passes.py -p my-pass          a pass of your own
  htvm-opt test.mlir --split-input-file --verify-diagnostics             check that the expected errors come
  htvm-opt failed.mlir --run-reproducer                                  what ..-crash-reproducer=failed.mlir wrote
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
    made = _parser()
    with failing_politely("htvm-opt"):
        arguments = settle(made.parse_args())
        if arguments.list_passes or arguments.show_dialects:
            from htvm.commands import listings

            print(listings.passes() if arguments.list_passes else listings.dialects(), end="")
            return 0
        return _run(arguments, made)


def _parser() -> argparse.ArgumentParser:
    from htvm.commands.htvm import Version

    made = parser("htvm-opt", (__doc__ or "").partition(": ")[2], EXAMPLES)
    add = made.add_argument
    add("input", nargs="?", default="-", metavar="FILE", help="text or bytecode; '-' (default): standard input")
    add("-o", dest="output", default="-", metavar="FILE", help="file to write; '-' (default): standard output")
    add("-p", dest="passes", action="append", default=[], metavar="PASS|PHASE,..", help="what to run, in order")
    add("--pass-pipeline", action="append", dest="passes", metavar="builtin.module(..)", help="as in mlir-opt")
    add_target(made, help="the machine that passes may ask about")
    add_plugins(made)
    add_kernels(made)
    add("--split-input-file", action="store_true", help="treat the parts between lines '// -----' one by one")
    add(
        "--verify-diagnostics",
        action="store_true",
        help="succeed if the diagnostics are those that comments '// expected-error {{..}}' announce; with -re, what "
        "is in inner braces is a regular expression",
    )
    add("--verify-each", type=_switch, default=True, metavar="0|1", help="verify the module after each pass (default)")
    add("--emit-bytecode", action="store_true", help="write bytecode in place of text")
    add("--list-passes", action="store_true", help="list passes with their options, and phases")
    add("--show-dialects", action="store_true", help="list the dialects that can be read")
    add("--dump-pass-pipeline", action="store_true", help="print the passes that will run to standard error")
    add("--allow-unregistered-dialect", action="store_true", help="accept operations of unknown dialects")
    add("--mlir-timing", action="store_true", help="print the time that each pass took to standard error")
    add(
        "--mlir-pass-pipeline-crash-reproducer",
        metavar="FILE",
        help="if a pass fails, write the module before it, and the pass, to a file that --run-reproducer takes",
    )
    add("--run-reproducer", action="store_true", help="run the passes that are named behind the module in the file")
    add("--version", action=Version, nargs=0, help="print the versions of htvm and of what it stands on")
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
    add(
        "--mlir-print-ir-tree-dir",
        metavar="DIR",
        help="write what --mlir-print-ir-.. print into files of a folder; alone: after each pass",
    )
    return made


def _switch(text: str) -> bool:
    if text not in ("0", "1", "false", "true"):
        raise argparse.ArgumentTypeError(f"'{text}' is no switch, expected 0 or 1")
    return text in ("1", "true")


@dataclass
class _Outcome:
    """What one part of the input gave. printed: text, or bytecode if that was wanted. failed_pass: what ended it."""

    printed: str | bytes = ""
    diagnostics: Sequence[Diagnostic] = ()
    failed_pass: str | None = None

    @property
    def failed(self) -> bool:
        return self.failed_pass is not None or any(found.severity == "error" for found in self.diagnostics)


def _run(arguments: argparse.Namespace, made: argparse.ArgumentParser) -> int:
    """Run the passes on each part of the input; print results and diagnostics."""
    from htvm.expected_diagnostics import mismatches

    content, name = read_module(arguments.input)
    if arguments.run_reproducer:
        content = _reproduced(content, name, arguments, made)
    if isinstance(content, bytes) and (arguments.split_input_file or arguments.verify_diagnostics):
        usage_error("htvm-opt", f"{name} is bytecode, which has no comments and no parts")
    if arguments.emit_bytecode and arguments.split_input_file:
        usage_error("htvm-opt", "--emit-bytecode writes one module, and --split-input-file makes several")
    parts = [*_split(content)] if arguments.split_input_file and isinstance(content, str) else [content]
    printed: list[str | bytes] = []
    failed = False
    for part in parts:
        outcome = _transform(part, name, arguments)
        if arguments.verify_diagnostics and isinstance(part, str):
            problems = mismatches(part, outcome.diagnostics)
            failed |= bool(problems)
            print(*(f"{name}:{problem}\n" for problem in problems), sep="", end="", file=sys.stderr)
        else:
            failed |= outcome.failed
            text = part if isinstance(part, str) else ""
            print(*(_shown(found, name, text) for found in outcome.diagnostics), sep="", end="", file=sys.stderr)
            if outcome.failed_pass is not None:
                print(f"{name}: error: pass '{outcome.failed_pass}' failed", file=sys.stderr)
        if not outcome.failed:
            printed.append(outcome.printed)
    if not (failed and len(parts) == 1):
        _write(arguments.output, printed)
    return 1 if failed else 0


def _write(path: str, printed: Sequence[str | bytes]) -> None:
    """Write what came out: texts, or the bytes of one module."""
    from htvm.backend.files import write_file

    texts = [each for each in printed if isinstance(each, str)]
    if len(texts) == len(printed):
        write_text(path, "// -----\n\n".join(texts))
        return
    (module,) = (each for each in printed if isinstance(each, bytes))  # --emit-bytecode takes one module
    if path == "-":
        sys.stdout.buffer.write(module)
    else:
        write_file(path, module)


def _reproduced(content: str | bytes, name: str, arguments: argparse.Namespace, made: argparse.ArgumentParser) -> str:
    """Take passes and arguments from a reproducer; return its module."""
    from htvm import reproducers
    from htvm.interface import InputError

    found = reproducers.read(content) if isinstance(content, str) else None
    if found is None:
        raise InputError(f"{name}: has no reproducer: expected 'mlir_reproducer' behind the module")
    reproducer, module = found
    stated = settle(made.parse_args([*reproducer.arguments]))
    arguments.passes = [*arguments.passes, reproducer.pipeline]
    arguments.target = arguments.target or stated.target
    arguments.allow_unregistered_dialect |= stated.allow_unregistered_dialect
    arguments.verify_each = arguments.verify_each and reproducer.verify_each
    return module


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


@dataclass
class _Watch:
    """Follows the passes: prints the module before and after those that were named, and knows how far it has come."""

    printing: dict[str, Any]
    before: frozenset[str]
    after: frozenset[str]
    progress: Progress = field(init=False)

    def __post_init__(self) -> None:
        from htvm.run_passes import Progress

        self.progress = Progress()

    def observe(self, moment: pipeline.Moment, element: pipeline.Element, module: ir.Operation) -> None:
        from htvm.passes.pipeline import Moment

        self.progress.observe(moment, element, module)
        named = self.before if moment is Moment.BEFORE else self.after
        if named & {element.name, str(element)}:
            print(f"// -----// IR Dump {moment.value.capitalize()} {element.name} //----- //", file=sys.stderr)
            print(module.get_asm(**self.printing), file=sys.stderr)


def _transform(content: str | bytes, name: str, arguments: argparse.Namespace) -> _Outcome:
    """Parse a module, run the passes and print it."""
    from mlir import ir

    from htvm import dialects
    from htvm.diagnostics import collected
    from htvm.dialects import modules
    from htvm.passes import pipeline
    from htvm.run_passes import FailedPassError, InternalError, PassError, run_manager

    context = dialects.context()
    context.allow_unregistered_dialects = arguments.allow_unregistered_dialect
    passes = ",".join(arguments.passes)
    whens = [when.replace("-", "_") for when in DUMPS]
    dumps = {f"print_{when}": getattr(arguments, f"mlir_print_ir_{when}") for when in whens}
    named = {when: _named(getattr(arguments, f"mlir_print_ir_{when}"), when, passes) for when in ("before", "after")}
    if arguments.mlir_print_ir_tree_dir and not any(dumps.values()):
        dumps["print_after_all"] = True
    watch = _Watch(_printing(arguments), **named)
    quiet = not any(named.values()) and (any(dumps.values()) or arguments.mlir_timing)
    try:
        manager = pipeline.build(passes, arguments.target, context, watch.observe, observe_upstream=not quiet)
    except pipeline.PipelineError as error:
        usage_error("htvm-opt", str(error))
    manager.enable_verifier(arguments.verify_each)
    if arguments.dump_pass_pipeline:
        print(f"builtin.module({','.join(map(str, pipeline.elements(passes)))})", file=sys.stderr)
    if any(dumps.values()):
        context.enable_multithreading(False)
        tree = {"tree_printing_dir_path": arguments.mlir_print_ir_tree_dir} if arguments.mlir_print_ir_tree_dir else {}
        manager.enable_ir_printing(**dumps, print_module_scope=True, **_printing(arguments), **tree)
    if arguments.mlir_timing:
        manager.enable_timing()
    with collected(context) as diagnostics, context, ir.Location.unknown():
        try:
            module = modules.parse(content, context)
            if arguments.kernels:
                add_kernel_names(module, arguments.kernels)
            run_manager(manager, module, watch.progress, arguments.target, name)
        except FailedPassError as error:
            _save_reproducer(watch.progress, arguments)
            return _Outcome(diagnostics=diagnostics, failed_pass=str(error.element))
        except ir.MLIRError:
            return _Outcome(diagnostics=diagnostics)
        except (InternalError, PassError):
            _save_reproducer(watch.progress, arguments)
            raise
        return _Outcome(_output(module, arguments), diagnostics)


def add_kernel_names(module: ir.Module, paths: Sequence[str]) -> None:
    """Let choose-kernels choose the kernels of files as well."""
    from mlir import ir

    from htvm.backend import kernels
    from htvm.dialects import accel

    names = dict.fromkeys([*accel.kernels(module), *kernels.register(paths)])
    attributes = module.operation.attributes
    attributes[accel.KERNELS_ATTRIBUTE] = ir.ArrayAttr.get([ir.StringAttr.get(name) for name in names])


def _output(module: ir.Module, arguments: argparse.Namespace) -> str | bytes:
    """Return a module as it is to be written."""
    import io

    if not arguments.emit_bytecode:
        return module.operation.get_asm(binary=False, **_printing(arguments))
    file = io.BytesIO()
    module.operation.write_bytecode(file)
    return file.getvalue()


def _save_reproducer(progress: Progress, arguments: argparse.Namespace) -> None:
    """Write the module before the pass that failed, and the pass, to the file that was asked for."""
    from htvm.reproducers import Reproducer
    from htvm.run_passes import arguments_of

    path, element, before = arguments.mlir_pass_pipeline_crash_reproducer, progress.element, progress.before
    if path is None or element is None or before is None:
        return
    words = tuple(arguments_of(element, before, arguments.target))
    module = before.get_asm(enable_debug_info=True, print_generic_op_form=not arguments.verify_each)
    write_text(path, Reproducer(str(element), words, arguments.verify_each).text(module))
    print(f"htvm-opt: note: reproducer: htvm-opt {shlex.quote(path)} --run-reproducer", file=sys.stderr)


def _named(text: str, when: str, passes: str) -> frozenset[str]:
    """Return the passes that a list names. Ends the command for one that is not in the pipeline."""
    from htvm.passes import pipeline

    named = frozenset(filter(None, text.split(",")))
    if not named:
        return named
    try:
        there = [name for each in pipeline.elements(passes) for name in (each.name, str(each))]
    except pipeline.PipelineError as error:
        usage_error("htvm-opt", str(error))
    for name in sorted(named - set(there)):
        known = ", ".join(dict.fromkeys(there)) or "none"
        usage_error("htvm-opt", f"--mlir-print-ir-{when}: '{name}' is no pass of this run; its passes are {known}")
    return named


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
    if place.file == "-" and text:  # what MLIR calls a text that came without a name
        where = f"{name}:{place.line}:{place.column}"
        line = [*text.splitlines(), ""][place.line - 1]  # the end of the text has a line of its own
        quote = f"{line}\n{' ' * (place.column - 1)}^\n"
    elif place.file and place.file != "-":
        where = f"{place.file}:{place.line}:{place.column}"
    elif place.node:
        where = f"{name}: node '{place.node}'"
    notes = "".join(_shown(note, name, text) for note in found.notes)
    return f"{where}: {found.severity}: {found.message}\n{quote}{notes}"
