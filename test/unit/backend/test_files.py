"""Output files: whole or not at all, and every failure names the file."""

import itertools
import json
import os
import signal
import time
from pathlib import Path

import pytest

from htvm.backend.files import OutputError, scratch_paths, whole_file, write_file


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    write_file(tmp_path / "a.json", "one")
    (tmp_path / "a.json").chmod(0o640)
    write_file(tmp_path / "a.json", b"two")
    assert (tmp_path / "a.json").read_text() == "two"
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_new_file_has_the_permissions_of_any(tmp_path: Path) -> None:
    write_file(tmp_path / "a", "")
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_an_exception_leaves_what_was_there(tmp_path: Path) -> None:
    write_file(tmp_path / "a.json", "old")
    with pytest.raises(KeyError), whole_file(tmp_path / "a.json") as file:
        file.write(b"half of it")
        raise KeyError
    assert (tmp_path / "a.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_symbolic_links_are_followed_and_devices_are_written_to(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    write_file(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "text"
    write_file("/dev/null", "text")
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "the name of the file to write is empty"),
        ("folder", "folder: cannot be written: Is a directory"),
        ("no/such/folder/a", "no/such/folder/a: cannot be written: No such file or directory"),
        ("file/a", "file/a: cannot be written: Not a directory"),
        ("/dev/full", "/dev/full: cannot be written: No space left on device"),
        ("a" * 300, "a: cannot be written: File name too long"),
    ],
)
def test_a_failure_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reason: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=reason):
        write_file(name, "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    """What the killed writer leaves beside it, the next one removes."""
    target, texts = tmp_path / "a.json", [json.dumps([version] * 100_000) for version in range(2)]
    write_file(target, texts[0])
    left = 0
    for number in itertools.count():  # a busy machine may start the writer only after the kill
        if number >= 30 and left > 3:
            break
        child = os.fork()
        if not child:
            while True:
                for text in texts:
                    write_file(target, text)
        time.sleep(0.001 + 0.0003 * (number % 60))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert target.read_text() in texts
        left += bool(scratch_paths(target))
    write_file(target, texts[0])
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
