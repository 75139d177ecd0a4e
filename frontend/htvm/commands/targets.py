"""htvm targets: the machines that can be compiled for."""

from __future__ import annotations

import argparse

EXAMPLES = """\
A target of your own is a Python file that exports a Soc as SOC; give its path as --target. An installed package
offers one as an entry point of the group 'htvm.targets'.
"""


def add_arguments(_: argparse.ArgumentParser) -> None:
    """There are none."""


def run(_: argparse.Namespace) -> int:
    from htvm.backend import targets

    for name in targets.names():
        soc = targets.load(name)
        memories = ", ".join(f"{memory.name} {memory.size_bytes // 1024:,} KiB" for memory in soc.memories)
        print(f"{name}: {soc.description}")
        print(f"  host     {soc.host.march}, {soc.clock_hz / 1e6:g} MHz")
        print(f"  memories {memories}")
        print(f"  engines  {', '.join(engine.name for engine in soc.engines)}")
    return 0
