"""htvm completion: what makes a shell complete htvm's commands, options, targets and files."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import cast

EXAMPLES = """\
examples:
  eval "$(htvm completion bash)"                         in ~/.bashrc
  htvm completion zsh > ~/.zfunc/_htvm                   if ~/.zfunc is in fpath
"""

SHELLS = ("bash", "zsh", "tcsh")

TARGETS = {"bash": "_htvm_targets", "zsh": "_htvm_targets", "tcsh": "f"}
"""The function of each shell that completes --target."""


def add_arguments(to: argparse.ArgumentParser) -> None:
    to.add_argument("shell", choices=SHELLS, help="whose language to print")


def run(arguments: argparse.Namespace) -> int:
    import shtab

    from htvm.backend import targets
    from htvm.commands.htvm import SUBCOMMANDS, command_line

    top = command_line(SUBCOMMANDS)
    for action in _actions(top):
        if "--target" in action.option_strings:
            vars(action)["complete"] = TARGETS
        elif action.metavar == "DIR":
            vars(action)["complete"] = shtab.DIRECTORY
        elif action.metavar and ("MODEL" in action.metavar or "." in action.metavar):  # MODEL|DIR, X.npz
            vars(action)["complete"] = shtab.FILE
    names = " ".join(targets.names())
    preamble = {
        "bash": f"_htvm_targets() {{ compgen -W '{names}' -- \"$1\"; compgen -f -X '!*.py' -- \"$1\"; }}",
        "zsh": f"_htvm_targets() {{ _alternative 'names:target:({names})' 'files:file:_files -g \"*.py\"' }}",
    }
    print(shtab.complete(top, arguments.shell, preamble=preamble))
    return 0


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return all arguments of a parser and of its subcommands."""
    found: list[argparse.Action] = []
    for action in parser._actions:
        found.append(action)
        choices: object = action.choices
        if isinstance(choices, Mapping):  # subcommands, by name
            parsers = cast("Mapping[str, argparse.ArgumentParser]", choices)
            found += [inner for each in parsers.values() for inner in _actions(each)]
    return found
