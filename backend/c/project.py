"""Write the files of a project into a folder: all of them or none, and never over what somebody else wrote.

`SHA256SUMS` lists what htvm has written (`sha256sum -c` reads it). What is in the list and unchanged is replaced, what
was edited is refused, what is not in it is kept. A process that is killed leaves the old project or the new one:

- A folder that holds nothing but files gets a successor beside it, in which the files that are not htvm's are hard
  links, and the two exchange their names in one step.
- In other folders (the current one, one with folders in it, one that was not htvm's) the new files are first complete
  in a folder inside, `.htvm-new`, and then moved; `finish` completes that after a kill, and whatever reads or writes
  a project calls it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from htvm.backend.files import OutputError, exchange, is_open_at, lock, locked, prefix, scratch_paths
from htvm.runtime.interrupts import announced, uninterrupted

SUMS = "SHA256SUMS"
COMMITTED = ".htvm-new"
"""The folder in a project's with the files of a complete new project, which only have to be moved."""

PATIENCE_SECONDS = 10.0
"""How long another process may take to write the same project: it takes milliseconds."""

POLL_SECONDS = 0.02

Sums = dict[str, str]
"""The SHA-256 of files, in hexadecimal, by name."""


class ProjectFolderError(OutputError):
    """The folder cannot be written; the message names it and says why."""


def write_project(files: Mapping[str, str | bytes], folder: str | os.PathLike[str], force: bool = False) -> None:
    """Write a project into `folder`, replacing what htvm has written there before.

    force: replace files that were edited, or that are not htvm's, where the project has one of the same name.

    Raises ProjectFolderError if it would have to, or if the folder cannot be written; then nothing has changed.
    """
    named = os.fspath(folder)
    if not named:
        raise ProjectFolderError("the name of the folder to write is empty")
    data = {name: text.encode("utf-8") if isinstance(text, str) else text for name, text in files.items()}
    data.pop(SUMS, None)
    sums = {name: _sha256(content) for name, content in data.items()}
    listing = "".join(f"{each}  {name}\n" for name, each in sums.items())
    # The list comes first: what a killed writer leaves can then be told from files of the user.
    new = _New({SUMS: listing.encode("utf-8"), **data}, sums, force)
    target = Path(os.path.realpath(named))
    try:
        while not _written(new, target, named):
            pass
    except OSError as error:
        raise ProjectFolderError(f"{named}: cannot be written: {error.strerror or error}") from error


def finish(folder: Path) -> None:
    """Complete what a writer that was killed had begun in a folder. Raises ProjectFolderError."""
    target = Path(os.path.realpath(folder))
    if (target / COMMITTED).is_dir():
        try:
            with _held(target, str(folder)):
                _roll_forward(target, str(folder), force=False)
        except OSError as error:
            raise ProjectFolderError(f"{folder}: cannot be written: {error.strerror or error}") from error


@dataclass(frozen=True)
class _New:
    """A project to write: data, the bytes of each file, the list first; sums, of all but the list."""

    data: Mapping[str, bytes]
    sums: Mapping[str, str]
    force: bool

    def write(self, folder: Path) -> None:
        for name, content in self.data.items():
            (folder / name).write_bytes(content)


def _written(new: _New, target: Path, named: str) -> bool:
    """Write a project once; return False if another process has changed what `target` is: try again."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target)
    if not target.exists():
        with _scratch_folder(target.parent, prefix(target)) as scratch:
            new.write(scratch)
            try:
                scratch.rename(target)
            except OSError:
                if target.exists():
                    return False
                raise
        return True
    if not target.is_dir():
        raise ProjectFolderError(f"{named}: is a file, expected a folder or a name that is free")
    with _held(target, named) as descriptor:
        if not is_open_at(descriptor, target):
            return False
        _sweep(target / COMMITTED)
        _roll_forward(target, named, new.force)
        old = read_sums(target) if any(target.iterdir()) else {}
        _check(target, old, new, named)
        if old is None or not _is_replaceable(target) or not _exchanged(new, target, old):
            _move_in(new, target, named)
    return True


def read_sums(folder: Path) -> Sums | None:
    """Return what a folder's list says htvm has written there; None if it has no such list."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    pairs = [line.split("  ", 1) for line in lines]
    if not all(len(pair) == 2 and len(pair[0]) == 64 and _is_plain(pair[1]) for pair in pairs):
        return None
    return {name: sha256 for sha256, name in pairs}


def edited_files(folder: Path) -> list[str]:
    """Return the names of the files in a project that are not as htvm wrote them."""
    sums = read_sums(folder) or {}
    return [name for name in sums if not _is_unchanged(folder, name, sums)]


def _is_plain(name: str) -> bool:
    """Say whether a name is that of a file in the folder itself, whoever wrote the list."""
    return name not in ("", ".", "..", SUMS) and os.path.basename(name) == name and "\0" not in name


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _found(path: Path) -> str | None:
    """Return the SHA-256 of a regular file; "" for anything else that has the name, None for nothing."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        return ""
    return _sha256(path.read_bytes()) if path.exists() else None


def _check(target: Path, old: Sums | None, new: _New, named: str) -> None:
    """Raise ProjectFolderError for each file that the new project needs to replace and that is not as htvm wrote it."""
    if new.force:
        folders = [name for name in new.data if (target / name).is_dir()]
        if folders:
            raise ProjectFolderError("\n".join(f"{named}/{name}: is a folder, expected a file" for name in folders))
        return
    known = old or {}
    problems: list[str] = []
    for name in dict.fromkeys([*known, *new.sums]):
        found = _found(target / name)
        if found in (None, known.get(name), new.sums.get(name)):
            continue
        if name in known:
            problems.append(f"{named}/{name}: was edited since htvm wrote it")
        else:
            problems.append(f"{named}/{name}: is there and was not written by htvm")
    if old is None and (target / SUMS).exists():
        problems.append(f"{named}/{SUMS}: is no list of files that htvm has written")
    if problems:
        remedy = "nothing was written; choose another folder, or give --force to replace what the project has as well"
        raise ProjectFolderError("\n".join([*problems, f"  {remedy}"]))


def _is_replaceable(target: Path) -> bool:
    """Say whether another folder can take the place of `target`, and nobody notices."""
    if Path.cwd().is_relative_to(target) or os.path.ismount(target) or not os.access(target.parent, os.W_OK):
        return False
    if os.stat(target).st_uid != os.geteuid():
        return False
    return all(entry.is_symlink() or entry.is_file(follow_symlinks=False) for entry in os.scandir(target))


def _exchanged(new: _New, target: Path, old: Sums) -> bool:
    """Write a successor of `target` and let it take its name; return False if that cannot be done here."""
    with _scratch_folder(target.parent, prefix(target)) as successor:
        new.write(successor)
        for entry in os.scandir(target):
            is_own = entry.name == SUMS or entry.name in new.data or _is_unchanged(target, entry.name, old)
            if not is_own:
                try:
                    os.link(entry.path, successor / entry.name, follow_symlinks=False)
                except OSError:  # a file system without hard links
                    _remove(successor, target)
                    return False
        shutil.copymode(target, successor)
        if not exchange(successor, target):
            _remove(successor, target)
            return False
        _remove(successor, target)
    return True


def _is_unchanged(folder: Path, name: str, sums: Mapping[str, str]) -> bool:
    return name in sums and _found(folder / name) == sums[name]


def _remove(scratch: Path, target: Path) -> None:
    """Remove what a writer of `target` has left, but no file of the user: what is in `target` as well, or htvm's own.

    A file that somebody put there while the names were exchanged moves to `target`, if the name is free.
    """
    own = {SUMS, *(read_sums(scratch) or {}), *(read_sums(target) or {})}
    entries = sorted(scratch.iterdir(), key=lambda path: path.name == SUMS)  # the list last
    for path in entries:
        place = target / path.name
        is_linked = os.path.lexists(place) and os.path.samestat(path.lstat(), place.lstat())
        if is_linked or path.name in own:
            path.unlink()
        elif not os.path.lexists(place) and target.is_dir():
            path.rename(place)
    with suppress(OSError):  # not empty: somebody else's file has a name that is taken
        scratch.rmdir()


def _move_in(new: _New, target: Path, named: str) -> None:
    """Write the new files into a folder inside `target`, then move them to their places."""
    with _scratch_folder(target, prefix(target / COMMITTED)) as scratch:
        new.write(scratch)
        scratch.rename(target / COMMITTED)
        _roll_forward(target, named, force=True)  # `_check` has said that it may


def _roll_forward(target: Path, named: str, force: bool) -> None:
    """Move the files of a complete new project, if there is one inside `target`, to their places."""
    inside = target / COMMITTED
    if not inside.is_dir() or inside.is_symlink():
        return
    old, sums = read_sums(target) or {}, read_sums(inside)
    if sums is None:  # all was moved but for the list, or the folder is somebody else's
        with suppress(OSError):
            inside.rmdir()
        return
    waiting = {name: _found(inside / name) for name in sums}
    if not force:
        _check(target, old, _New({}, sums, force=False), named)
    for name in old.keys() - sums.keys():
        if _is_unchanged(target, name, old):
            (target / name).unlink()
    for name, each in waiting.items():
        if each:
            (inside / name).replace(target / name)
    (inside / SUMS).replace(target / SUMS)
    inside.rmdir()


def _sweep(target: Path) -> None:
    """Remove the scratch folders that killed writers of `target` left."""
    for path in scratch_paths(target):
        with suppress(OSError):
            if path.is_dir() and not path.is_symlink() and (read_sums(path) is not None or _is_unfinished(path)):
                with locked(path):
                    _remove(path, target)


def _is_unfinished(scratch: Path) -> bool:
    """Say whether a writer was killed before it had written the list, the first of its files."""
    return all(entry.name == SUMS for entry in os.scandir(scratch))


@contextmanager
def _scratch_folder(parent: Path, start: str) -> Generator[Path]:
    """Yield a new folder with a lock on it; what is left of it at the end is removed."""
    while True:
        path = parent / f"{start}{secrets.token_hex(4)}"
        with announced(path):
            path.mkdir()
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # another process has swept it before it had a lock
            try:
                if not lock(descriptor) or not is_open_at(descriptor, path):
                    continue
                try:
                    yield path
                finally:
                    if is_open_at(descriptor, path):  # else it has another name now
                        shutil.rmtree(path, ignore_errors=True)
                return
            finally:
                os.close(descriptor)


@contextmanager
def _held(target: Path, named: str) -> Generator[int]:
    """Hold the lock of a project's folder. Raises ProjectFolderError if another process keeps it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with ExitStack() as stack:
        while True:
            try:
                descriptor = stack.enter_context(locked(target))
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ProjectFolderError(f"{named}: another process is writing to it; try again") from None
                time.sleep(POLL_SECONDS)
        with uninterrupted():
            yield descriptor
