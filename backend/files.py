"""Output files: written whole or not at all, and never more than asked for.

What is being written has a scratch name beside its place, `.htvm-HASH-RANDOM`, and a lock on it as long as its writer
lives. A process that is killed leaves the scratch file; the next one that writes to the same place removes it. Ctrl-C
and SIGTERM leave none.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import secrets
import sys
import zlib
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from htvm.runtime.interrupts import announced

SYSTEM_FILES = ("/dev/", "/proc/")
"""Where names stand for devices and open files, which cannot be replaced."""


class OutputError(Exception):
    """A file or folder that cannot be written; the message names it and says why."""


def write_file(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write a file, in UTF-8 if it is text: whole, or not at all. Raises OutputError."""
    with whole_file(path) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Generator[BinaryIO, None, None]:
    """Yield a binary file that takes the place of `path` when the block ends without an exception.

    Symbolic links are followed, and a file that is replaced keeps its permissions. Devices and pipes are written to
    directly. Raises OutputError.
    """
    named = os.fspath(path)
    try:
        if not named:
            raise OutputError("the name of the file to write is empty")
        if os.path.abspath(named).startswith(SYSTEM_FILES) or (os.path.exists(named) and not os.path.isfile(named)):
            with open(named, "wb") as file:
                yield file
            return
        target = Path(os.path.realpath(named))
        sweep_files(target)
        with _scratch_file(target) as (file, scratch):
            yield file
            file.flush()
            with suppress(FileNotFoundError):
                os.fchmod(file.fileno(), target.stat().st_mode & 0o7777)
            scratch.replace(target)
    except OSError as error:
        raise OutputError(f"{named}: cannot be written: {error.strerror or error}") from error


def prefix(target: Path) -> str:
    """Return the beginning of the scratch names for a file or folder; its own name might be too long for more."""
    return f".htvm-{zlib.crc32(os.fsencode(target.name)):08x}-"


def scratch_paths(target: Path) -> list[Path]:
    """Return what earlier writers of `target`, killed or still at work, have beside it."""
    with suppress(OSError):
        return sorted(target.parent.glob(f"{prefix(target)}*"))
    return []


def sweep_files(target: Path) -> None:
    """Remove the scratch files that killed writers of `target` left."""
    for path in scratch_paths(target):
        with suppress(OSError):
            if path.is_file() and not path.is_symlink():
                with locked(path):
                    path.unlink()


@contextmanager
def _scratch_file(target: Path) -> Generator[tuple[BinaryIO, Path], None, None]:
    """Yield a new file beside `target`, with its path; removed if it is still there at the end."""
    while True:
        scratch = target.parent / f"{prefix(target)}{secrets.token_hex(4)}"
        with announced(scratch), open(scratch, "xb") as file:
            if not lock(file.fileno()) or not is_open_at(file.fileno(), scratch):
                continue  # somebody has swept it before it had a lock
            try:
                yield file, scratch
            finally:
                with suppress(OSError):
                    if is_open_at(file.fileno(), scratch):
                        scratch.unlink()
            return


@contextmanager
def locked(path: Path) -> Generator[int, None, None]:
    """Yield a descriptor of a file or folder with a lock on it. Raises BlockingIOError if another process has it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if not lock(descriptor):
            raise BlockingIOError(errno.EAGAIN, "another process is writing it", str(path))
        yield descriptor
    finally:
        os.close(descriptor)


def lock(descriptor: int) -> bool:
    """Lock an open file or folder until it is closed; say whether no other process has. True where locks are none."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def is_open_at(descriptor: int, path: Path) -> bool:
    """Say whether a path still leads to an open file or folder."""
    try:
        found, held = os.lstat(path), os.fstat(descriptor)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)


AT_FDCWD = -100
RENAME_EXCHANGE = 2
"""Linux's renameat2, and RENAME_SWAP, of the same value, of macOS's renamex_np."""


def exchange(one: Path, other: Path) -> bool:
    """Exchange the names of two files or folders at once; return False where the system cannot. Raises OSError."""
    library = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    if sys.platform == "darwin":
        failed = library.renamex_np(*names, RENAME_EXCHANGE)
    else:
        if not hasattr(library, "renameat2"):
            return False
        failed = library.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE)
    if not failed:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), str(one))
