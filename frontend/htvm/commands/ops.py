"""htvm ops: the operators that can be compiled, and which engine runs them under which rules."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from htvm.commands.arguments import add_output, add_target, say, write_json
from htvm.commands.failures import usage_error

if TYPE_CHECKING:
    from htvm.backend.targets.soc import Soc

EXAMPLES = """\
examples:
  htvm ops                                  all operators, and what the engines of all targets ask
  htvm ops Conv QLinearConv --target diana  of some operators, on one target
  htvm ops --engine digital --json -        one engine, as JSON
  htvm ops --markdown > docs/operators.md   the page of the documentation
"""


def add_arguments(to: argparse.ArgumentParser) -> None:
    to.add_argument("names", nargs="*", metavar="OPERATOR", help="ONNX operators, in any case (default: all)")
    add_target(to, help="only this machine")
    to.add_argument("--engine", metavar="E", help="only engines of this name")
    to.add_argument("--markdown", action="store_true", help="print a page in Markdown")
    add_output(to, "the same")


def run(arguments: argparse.Namespace) -> int:
    from htvm import operators
    from htvm.backend import targets

    socs = [arguments.target] if arguments.target else [targets.load(name) for name in targets.BUILT_IN]
    if arguments.engine:
        socs = [soc.with_engines([arguments.engine]) for soc in socs if _has(soc, arguments.engine)]
        if not socs:
            usage_error("htvm ops", f"--engine: no target has an engine '{arguments.engine}'")
    found = operators.facts(arguments.names, socs)
    write_json(arguments.json, found)
    say(arguments, operators.markdown(found) if arguments.markdown else operators.text(found))
    return 0


def _has(soc: Soc, engine: str) -> bool:
    return any(each.name == engine for each in soc.engines)
