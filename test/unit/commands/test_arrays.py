"""Files of arrays that are broken, or made to do harm: one line, little memory, nothing executed."""

import io
import pickle
import resource
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from htvm.arrays import Arrays, write_arrays
from htvm.interface import InputError, Port, Samples

PORT = Port("input", (1, 64), np.dtype(np.int8), np.dtype(np.int8), 0, 1.0, 0, (-128, 127))
FLOATS = Port("input", (1, 64), np.dtype(np.float32), np.dtype(np.int8), 0, 0.5, 0, (-128, 127))


class Harmful:
    """An object whose pickle writes a file when it is loaded."""

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return (Path.touch, (Path("executed"),))


def npy(header: str, data: bytes = b"\0" * 64, version: int = 1) -> bytes:
    text = header.encode() + b"\n"
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + data


def described(shape: str, kind: str = "|i1") -> str:
    return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_npy", ".npy"), content)
    return file.getvalue()


def saved(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


GOOD = saved(input=np.zeros((1, 64), np.int8))

FILES = {
    "text": (b"hello", "is no .npz file, or only a part of one"),
    "truncated": (GOOD[:-30], "is no .npz file, or only a part of one"),
    "a pickle": (pickle.dumps(Harmful()), "is no .npz file"),
    "flipped": (GOOD.replace(b"\0" * 64, b"\1" + b"\0" * 63), "array 'input' cannot be read: Bad CRC-32"),
    "raw member": (zipped(input=b"raw"), "'input' is no array: a member of an .npz file is called NAME.npy"),
    "no magic": (zipped(input_npy=b"raw"), "array 'input' cannot be read: "),
    "objects": (saved(input=np.array([Harmful()], object)), "'input' holds Python objects, which are not loaded"),
    "code": (zipped(input_npy=npy("__import__('os').mkdir('executed')")), "its header is malformed"),
    "deep": (zipped(input_npy=npy("(" * 3000 + ")" * 3000)), "its header is malformed"),
    "long": (zipped(input_npy=npy(described("(1, 64)") + " " * 20_000, version=2)), "its header is malformed, or long"),
    "claims much": (zipped(input_npy=npy(described("(1, 999999999999)"))), "takes 999,999,999,999 bytes, expected"),
    "overflows": (zipped(input_npy=npy(described("(4294967296, 4294967296)"))), "takes 18,446,744,073,709,551,616"),
    "negative": (zipped(input_npy=npy(described("(-1, 64)"))), "has shape .-1, 64., expected no negative sizes"),
    "claims less": (zipped(input_npy=npy(described("(1, 64)"), b"\0" * 99)), "takes 64 bytes by its header, .* has 99"),
    "complex": (saved(input=np.zeros((1, 64), complex)), "has type complex128, expected numbers"),
    "structured": (saved(input=np.zeros((1, 64), [("a", "i1"), ("b", "f4")])), "expected numbers"),
    "strings": (saved(input=np.array([["x"] * 64])), "has type <U1, expected numbers"),
    "wide": (saved(input=np.zeros((1, 64), np.int64)), "input 'input' has type int64, expected int8"),
    "big endian": (saved(input=np.zeros((1, 64), ">i2")), "has type >i2, expected int8"),
    "rank 5": (saved(input=np.zeros((1, 64, 1, 1, 1), np.int8)), "has shape 1x64x1x1x1, expected 1x64"),
    "none": (saved(input=np.zeros((0, 64), np.int8)), "has shape 0x64, expected 1x64"),
    "empty": (saved(), "input 'input' is missing; given: none"),
    "others": (saved(**{f"a{n}": np.zeros(1) for n in range(20)}), "given: a0, .*, a7, and 12 more"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_arrays_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    content, message = FILES[name]
    Path("x.npz").write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        Samples.of([PORT], Arrays("x.npz"))
    assert "\n" not in str(error.value) and len(str(error.value)) < 300
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_floats_must_be_finite(number: float) -> None:
    with pytest.raises(InputError, match="input 'input' holds -?(nan|inf), expected finite numbers"):
        Samples.of([FLOATS], {"input": np.full((1, 64), number, np.float32)})


def test_what_is_not_needed_is_not_read(tmp_path: Path) -> None:
    good = np.arange(64, dtype=np.int8).reshape(1, 64)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        for name, content in {"input.npy": saved_npy(good), "junk": b"junk", "bad.npy": b"not an array"}.items():
            archive.writestr(name, content)
    given = Arrays(tmp_path / "x.npz")
    assert sorted(given) == ["bad", "input", "junk"]
    assert (Samples.of([PORT], given)[0]["input"] == good).all()


def saved_npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_a_bomb_takes_no_memory(tmp_path: Path) -> None:
    """400 MB of zeros in a file of 400 KB, with a shape that the network does not have."""
    size = 400_000_000
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("input.npy", "w", force_zip64=True) as member:
            member.write(npy(described(f"(1, {size})"), b""))
            for _ in range(size // 1_000_000):
                member.write(bytes(1_000_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="has shape 1x400000000, expected 1x64"):
        Samples.of([PORT], Arrays(tmp_path / "x.npz"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


@pytest.mark.parametrize("array", [np.arange(12).reshape(3, 4), np.asfortranarray(np.ones((3, 4), np.float32)),
                                   np.int8(3), np.zeros((2, 0), np.uint8), np.array([True, False])])  # fmt: skip
def test_arrays_of_any_name_come_back(tmp_path: Path, array: np.ndarray) -> None:
    arrays = {"file": array, "a/b:c": array, "allow_pickle": array, "ü": array}
    write_arrays(tmp_path / "x.npz", arrays)
    found, as_numpy = Arrays(tmp_path / "x.npz"), np.load(tmp_path / "x.npz")
    for name in arrays:
        for each in (found[name], as_numpy[name]):
            assert each.dtype == array.dtype and each.shape == array.shape and (each == array).all()
