"""Write the files of a project into a folder, all or none."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from .report import GENERATOR


class ProjectFolderError(Exception):
    """The folder cannot be written; the message names it and says why."""


def write_project(files: Mapping[str, str | bytes], folder: str | os.PathLike) -> None:
    """Write a project into `folder`, replacing one that htvm wrote before.

    The files are written beside it and the folder then takes its place, so that a failure leaves
    what was there. Raises ProjectFolderError if the folder holds something else, or cannot be written.
    """
    target = Path(folder).absolute()
    if not may_replace(target):
        raise ProjectFolderError(
            f"{folder}: is not empty and was not written by htvm (no report.json that says so); "
            "choose another folder, or empty it"
        )
    scratch: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        new, old = scratch / "new", scratch / "old"
        new.mkdir()
        for name, content in files.items():
            data = content.encode("utf-8") if isinstance(content, str) else content
            (new / name).write_bytes(data)
        if target.exists():
            target.rename(old)
        try:
            new.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
    except OSError as error:
        raise ProjectFolderError(f"{folder}: cannot be written: {error.strerror}") from error
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def may_replace(folder: Path) -> bool:
    """Say whether a folder does not exist, is empty, or holds a project of htvm."""
    if not folder.exists() and not folder.is_symlink():
        return True
    if not folder.is_dir():
        return False
    if not any(folder.iterdir()):
        return True
    try:
        facts = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(facts, dict) and facts.get("generator") == GENERATOR
