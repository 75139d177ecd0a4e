"""shtab as far as htvm uses it; its own annotations have no preamble for each shell, which it takes."""

from argparse import ArgumentParser
from collections.abc import Mapping

DIRECTORY: Mapping[str, str]
FILE: Mapping[str, str]

def complete(
    parser: ArgumentParser,
    shell: str = "bash",
    root_prefix: str | None = None,
    preamble: str | Mapping[str, str] = "",
) -> str: ...
