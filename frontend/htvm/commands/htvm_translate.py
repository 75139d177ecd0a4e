"""htvm-translate: the two ends of the way: an ONNX file to MLIR's text, and a planned module to C."""

from __future__ import annotations

import argparse
import sys

from htvm.commands.arguments import (
    add_force,
    add_inputs,
    add_target,
    options_of,
    parser,
    read_module,
    settle,
    write_text,
)
from htvm.commands.failures import failing_politely, model_warnings

EXAMPLES = """\
examples:
  htvm-translate --import-onnx resnet8.onnx -o resnet8.mlir             the stage 'imported'
  htvm-opt resnet8.mlir -p integer,dispatched,scheduled,tiled,planned --target rv32 --mlir-print-debuginfo \\
    | htvm-translate --emit-c --target rv32 -o resnet8_c                a C project in a folder
  htvm-translate --emit-c planned.mlir --target rv32                    the network's C file to standard output
"""


def main() -> int:
    """Entry point of `htvm-translate`."""
    made = parser("htvm-translate", (__doc__ or "").partition(": ")[2], EXAMPLES)
    which = made.add_mutually_exclusive_group(required=True)
    which.add_argument("--import-onnx", action="store_true", help="read an ONNX file, print the stage 'imported'")
    which.add_argument("--emit-c", action="store_true", help="read a module of the stage 'planned', write C")
    made.add_argument("input", nargs="?", default="-", metavar="FILE", help="'-' (default): standard input")
    made.add_argument("--function", metavar="F", help="of a module with several functions, the one to write as C")
    made.add_argument("-o", dest="output", metavar="FILE|DIR", help="file (MLIR) or folder (C) to write")
    add_force(made)
    add_inputs(made)
    add_target(made, default="rv32", help="the machine that C is for (default: rv32)")
    arguments = settle(made.parse_args())
    with failing_politely("htvm-translate"):
        return _import_onnx(arguments) if arguments.import_onnx else _emit_c(arguments)


def _import_onnx(arguments: argparse.Namespace) -> int:
    import onnx
    from google.protobuf.message import DecodeError

    from htvm import driver
    from htvm.diagnostics import CompileError

    model: driver.Model = arguments.input
    if arguments.input == "-":
        try:
            model = onnx.ModelProto.FromString(sys.stdin.buffer.read())
        except DecodeError:
            raise CompileError(["<stdin>: is no ONNX file, or only a part of one"]) from None
    with model_warnings():
        module, _ = driver.lower(model, arguments.target, "imported", options_of(arguments))
    write_text(arguments.output or "-", driver.text(module))
    return 0


def _emit_c(arguments: argparse.Namespace) -> int:
    from htvm import driver
    from htvm.backend.c import write_project

    text, name = read_module(arguments.input)
    project = driver.emit(driver.parsed(text, name), arguments.target, name, arguments.function)
    if arguments.output:
        write_project(project.files, arguments.output, arguments.force)
    else:
        write_text("-", project.files[f"{project.report.name}.c"])
    return 0
