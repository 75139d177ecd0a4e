"""htvm: the command, with one subcommand per file of this folder."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection
from importlib import import_module

from htvm.commands.arguments import parser, settle
from htvm.commands.failures import failing_politely
from htvm.commands.memory import naming_sufficient_memory

SUMMARY = "Compile quantised ONNX networks to self-contained C for small RISC-V SoCs, exactly."

EXAMPLES = """\
examples:
  htvm compile resnet8.onnx --target rv32 -o resnet8_c    a C project in the folder resnet8_c
  htvm run resnet8.onnx                                   execute it on simulated RISC-V, layer by layer
  htvm verify resnet8.onnx                                is every output exactly what the ONNX file says?
  htvm report resnet8.onnx                                the same as a page: timeline, memory map, layers
  htvm targets                                            the machines that can be compiled for

`htvm COMMAND --help` explains a command. htvm-opt and htvm-translate do single steps of the way, on MLIR's text.
"""

SUBCOMMANDS = {
    "compile": "turn a model into a C project",
    "run": "execute a model or a C project on the simulated target",
    "verify": "compare every output with the exact meaning of the model",
    "reduce": "cut a model that fails down to the smallest one that still does",
    "report": "show a run as one HTML page: network, timeline, memory, layers",
    "quantize": "turn a float32 ONNX file into an int8 one that compiles well",
    "explain": "say of each layer which engine runs it, and why no other does",
    "example": "write a small model with inputs, to try the other commands on",
    "targets": "list the machines that can be compiled for",
    "ops": "list the operators that can be compiled, and what each engine asks of them",
    "test-engine": "try whether an accelerator that a target describes is what it says",
    "test-kernel": "test a kernel of your own for the host, and measure it beside htvm's",
    "fit-cost": "fit the cost of a kernel of your own to what it takes on the simulator",
    "completion": "print what makes a shell complete htvm's commands",
}


def main() -> int:
    """Entry point of `htvm`."""
    chosen = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
    with failing_politely(f"htvm {chosen}" if chosen else "htvm"):
        arguments, unknown = command_line([chosen]).parse_known_args()
        if unknown:  # said by the command, whose usage is the one that helps
            arguments.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        settle(arguments)
        with naming_sufficient_memory(arguments):
            return arguments.run(arguments)


def command_line(commands: Collection[str | None]) -> argparse.ArgumentParser:
    """Return the parser of all commands, with the arguments of some: what is slow to import is left out."""
    top = parser("htvm", SUMMARY, EXAMPLES)
    top.add_argument("--version", action=Version, nargs=0, help="print the versions of htvm and of what it stands on")
    top.add_argument("--cmake-dir", action=CMakeDir, nargs=0, help="print where find_package(htvm) finds htvm for C++")
    top.add_argument(
        "--tool-path", action=ToolPath, nargs=0, help="print folders for PATH, which have FileCheck and not"
    )
    subparsers = top.add_subparsers(metavar="COMMAND", required=True)
    for name, summary in SUBCOMMANDS.items():
        if name in commands:
            command = import_module(f"htvm.commands.{name.replace('-', '_')}")
            made = subparsers.add_parser(
                name,
                help=summary,
                description=f"{summary[0].upper()}{summary[1:]}.",
                epilog=command.EXAMPLES,
                formatter_class=argparse.RawDescriptionHelpFormatter,
                allow_abbrev=False,
            )
            command.add_arguments(made)
            made.set_defaults(run=command.run, parser=made)
        else:
            subparsers.add_parser(name, help=summary)
    return top


class Version(argparse.Action):
    """Print versions and end."""

    def __call__(self, *_: object) -> None:
        from htvm.versions import versions

        print(*(f"{name} {found}" for name, found in versions().items()), sep="\n")
        raise SystemExit(0)


class CMakeDir(argparse.Action):
    """Print a folder and end."""

    def __call__(self, *_: object) -> None:
        from htvm.versions import cmake_dir

        print(cmake_dir())
        raise SystemExit(0)


class ToolPath(argparse.Action):
    """Print the folders of the commands of LLVM and MLIR, and end."""

    def __call__(self, *_: object) -> None:
        from htvm.lit_config import tool_folders

        print(*tool_folders(), sep=os.pathsep)
        raise SystemExit(0)
