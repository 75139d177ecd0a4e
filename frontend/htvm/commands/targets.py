"""htvm targets: the machines that can be compiled for."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from htvm.commands.arguments import add_output, say, write_json

if TYPE_CHECKING:
    from htvm.backend.targets.soc import Soc

EXAMPLES = """\
A target of your own is a Python file that exports a Soc as SOC; give its path as --target. An installed package
offers one as an entry point of the group 'htvm.targets'.
"""


def add_arguments(to: argparse.ArgumentParser) -> None:
    add_output(to, "the same")


def run(arguments: argparse.Namespace) -> int:
    from htvm.backend import targets

    socs = [targets.load(name) for name in targets.names()]
    write_json(arguments.json, [_facts(soc) for soc in socs])
    for soc in socs:
        memories = ", ".join(f"{memory.name} {memory.size_bytes // 1024:,} KiB" for memory in soc.memories)
        say(arguments, f"{soc.name}: {soc.description}")
        say(arguments, f"  host     {soc.host.march}, {soc.clock_hz / 1e6:g} MHz")
        say(arguments, f"  memories {memories}")
        say(arguments, f"  engines  {', '.join(engine.name for engine in soc.engines)}")
    return 0


def _facts(soc: Soc) -> dict[str, Any]:
    return {
        "name": soc.name,
        "description": soc.description,
        "clock_hz": soc.clock_hz,
        "host": soc.host.march,
        "memories": {memory.name: memory.size_bytes for memory in soc.memories},
        "engines": [engine.name for engine in soc.engines],
    }
