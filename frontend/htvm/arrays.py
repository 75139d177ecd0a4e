"""Arrays in .npz files of anybody's: what is in them is known before anything is loaded, and no pickle ever is."""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from htvm.backend.files import whole_file
from htvm.interface import InputError

MAX_BYTES = 2**30
"""Of one array: a file of a kilobyte may claim to hold any number of them."""

MAX_HEADER_BYTES = 10_000
"""Of an array's description, as NumPy has it."""

COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Those that NumPy writes."""

NUMBERS, TEXT = "biuf", "U"
"""The kinds of element types."""

SUFFIX = ".npy"

UNREADABLE = (ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OverflowError)
"""What reading a broken or encrypted member of a zip file raises."""


@dataclass(frozen=True)
class Header:
    """What an array is, by its description in the file."""

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    is_fortran: bool
    bytes_before: int

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size_bytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize


class Arrays(Mapping[str, np.ndarray]):
    """The arrays of an .npz file, by name, each read when it is asked for."""

    def __init__(self, path: str | os.PathLike[str], texts: bool = False) -> None:
        """Raises InputError for a file that is no .npz file, and OSError. texts: whether arrays may be of text too."""
        self.path = os.fspath(path)
        self._kinds = NUMBERS + TEXT * texts
        with open(self.path, "rb") as file:
            try:
                members = zipfile.ZipFile(file).infolist()
            except UNREADABLE:
                raise InputError(f"{self.path}: is no .npz file, or only a part of one") from None
        self._members = {member.filename.removesuffix(SUFFIX): member for member in members}

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def header(self, name: str) -> Header:
        """Return what an array is. Raises KeyError, and InputError for what is no array, or too large."""
        member = self._members[name]
        if not member.filename.endswith(SUFFIX):
            raise InputError(f"{self.path}: '{name}' is no array: a member of an .npz file is called NAME{SUFFIX}")
        if member.compress_type not in COMPRESSIONS:
            raise InputError(f"{self.path}: array '{name}' is compressed by a method that NumPy does not write")
        try:
            with open(self.path, "rb") as file, zipfile.ZipFile(file).open(member) as content:
                found = _header(content.read(MAX_HEADER_BYTES))
        except UNREADABLE as error:
            raise self._unreadable(name, error) from None
        return self._checked(name, found, member.file_size)

    def _checked(self, name: str, header: Header, member_bytes: int) -> Header:
        """Return a header that can be believed. Raises InputError."""
        what = f"{self.path}: array '{name}'"
        if header.dtype.hasobject:
            raise InputError(f"{what} holds Python objects, which are not loaded; expected numbers")
        if header.dtype.kind not in self._kinds:
            expected = "numbers or text (NumPy's 'U')" if TEXT in self._kinds else "numbers"
            raise InputError(f"{what} has type {header.dtype}, expected {expected}")
        if any(size < 0 for size in header.shape):
            raise InputError(f"{what} has shape {header.shape}, expected no negative sizes")
        if header.size_bytes > MAX_BYTES:
            limit = f"expected at most {MAX_BYTES:,}: fewer samples in each file"
            raise InputError(f"{what} takes {header.size_bytes:,} bytes, {limit}")
        held_bytes = member_bytes - header.bytes_before
        if held_bytes != header.size_bytes:
            raise InputError(f"{what} takes {header.size_bytes:,} bytes by its header, the file has {held_bytes:,}")
        return header

    def __getitem__(self, name: str) -> np.ndarray:
        header = self.header(name)
        try:
            with open(self.path, "rb") as file, zipfile.ZipFile(file).open(self._members[name]) as content:
                content.read(header.bytes_before)
                data = content.read(header.size_bytes)
                if len(data) < header.size_bytes or content.read(1):  # at the end of the member its sum is checked
                    raise ValueError("its size is not what the file says")
        except UNREADABLE as error:
            raise self._unreadable(name, error) from None
        order = "F" if header.is_fortran else "C"
        return np.frombuffer(data, header.dtype).reshape(header.shape, order=order)

    def _unreadable(self, name: str, error: Exception) -> InputError:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        return InputError(f"{self.path}: array '{name}' cannot be read: {reason}")


def _header(start: bytes) -> Header:
    """Return the header of an array from its first bytes. Raises ValueError."""
    stream = io.BytesIO(start)
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version[0]}.{version[1]} of the format is not known here")
    try:
        shape, is_fortran, dtype = readers[version](stream)
    except Exception:  # what the literal in it raises depends on how it is broken
        raise ValueError(f"its header is malformed, or longer than {MAX_HEADER_BYTES:,} bytes") from None
    return Header(dtype, shape, is_fortran, stream.tell())


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray]) -> None:
    """Write an .npz file, whole or not at all; arrays may have any name. Raises OutputError."""
    with whole_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}{SUFFIX}", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
