"""The C project of a module that htvm computes alone: for a chip on which no runtime of TVM runs."""

from __future__ import annotations

import os

from htvm.backend.c import write_project
from htvm.diagnostics import CompileError
from htvm.integrations.relax.partition import Partition

LISTED = 8
"""How many values a message lists."""


def write_c(partition: Partition, folder: str | os.PathLike[str]) -> None:
    """Write the C project for the partition's target into a folder.

    Raises CompileError if TVM computes a part: its C needs TVM's runtime, which a bare-metal target does not have.
    """
    if not partition.is_whole:
        stays = [f"  {value}" for value in partition.staying[:LISTED]]
        if len(partition.staying) > LISTED:
            stays.append(f"  and {len(partition.staying) - LISTED} more")
        raise CompileError(
            [
                f"target '{partition.target}' has no runtime of TVM, and htvm computes "
                f"{len(partition.subgraphs)} subgraphs, expected 1 that is the whole module; TVM computes:",
                *(stays or ["  what lies between the subgraphs"]),
            ]
        )
    write_project(partition.subgraphs[0].compiled.project.files, folder)
