"""Writing a project: all of it or nothing, and never over somebody else's files."""

import hashlib
import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import project_kills
import pytest

import htvm
from htvm.backend import targets
from htvm.backend.c import ProjectFolderError, project, write_project
from htvm.backend.files import locked

PROJECT = {"net.c": "int x;\n", "data.bin": b"\x00\xff", "report.json": '{"generator": "htvm"}'}
OTHER = {"net.c": "int y;\n", "more.c": "int z;\n", "report.json": '{"generator": "htvm", "name": "other"}'}


def bytes_of(files: Mapping[str, str | bytes]) -> dict[str, bytes]:
    return {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder but for the list."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name != "SHA256SUMS"}


def is_whole(folder: Path) -> bool:
    """Ask sha256sum."""
    done = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, capture_output=True)
    return done.returncode == 0


def no_link(*_: object, **__: object) -> None:
    raise OSError(1, "no hard links here")


@pytest.fixture(params=["exchange", "in place", "no exchange", "no hard links"])
def written(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a project and a file of the user's, for each way in which it can be replaced."""
    out = tmp_path / "out"
    write_project(PROJECT, out)
    (out / "mine.txt").write_text("precious")
    if request.param == "in place":
        (out / "folder").mkdir()
        (out / "folder" / "mine.txt").write_text("precious as well")
    if request.param == "no exchange":
        monkeypatch.setattr(project, "exchange", lambda *_: False)
    if request.param == "no hard links":
        monkeypatch.setattr(os, "link", no_link)
    return out


def test_writes_into_a_new_folder(tmp_path: Path) -> None:
    write_project(PROJECT, tmp_path / "a" / "b")
    assert contents(tmp_path / "a" / "b") == bytes_of(PROJECT)
    assert is_whole(tmp_path / "a" / "b")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_writes_into_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write_project(PROJECT, tmp_path / "out")
    assert contents(tmp_path / "out") == bytes_of(PROJECT)


def test_replaces_its_own_files_and_keeps_all_others(written: Path) -> None:
    before = {path for path in written.rglob("*") if "mine" in path.name}
    write_project(OTHER, written)
    assert contents(written) == bytes_of(OTHER) | {"mine.txt": b"precious"}
    assert is_whole(written)
    assert {path for path in written.rglob("*") if "mine" in path.name} == before
    assert [path.name for path in written.parent.iterdir()] == ["out"]


def test_a_file_that_was_edited_is_refused(written: Path) -> None:
    (written / "net.c").write_text("by hand")
    (written / "data.bin").write_bytes(b"by hand too")
    before = contents(written)
    with pytest.raises(ProjectFolderError) as error:
        write_project(OTHER, written)
    assert f"{written}/net.c: was edited since htvm wrote it\n{written}/data.bin: was edited" in str(error.value)
    assert contents(written) == before
    write_project(OTHER, written, force=True)
    # What was edited and is no part of the project any more is the user's now.
    assert contents(written) == bytes_of(OTHER) | {"mine.txt": b"precious", "data.bin": b"by hand too"}
    assert [path.name for path in written.parent.iterdir()] == ["out"]


def test_a_file_of_the_user_is_not_overwritten(written: Path) -> None:
    (written / "more.c").symlink_to("mine.txt")
    with pytest.raises(ProjectFolderError, match="out/more.c: is there and was not written by htvm\n.*--force"):
        write_project(OTHER, written)
    assert contents(written)["net.c"] == b"int x;\n"
    write_project(OTHER, written, force=True)
    assert contents(written) == bytes_of(OTHER) | {"mine.txt": b"precious"}
    assert not (written / "more.c").is_symlink()
    assert [path.name for path in written.parent.iterdir()] == ["out"]


def test_a_folder_with_the_name_of_a_file_is_refused_always(written: Path) -> None:
    (written / "more.c").mkdir()
    for force in (False, True):
        with pytest.raises(ProjectFolderError, match="out/more.c: is "):
            write_project(OTHER, written, force)
    assert contents(written) == bytes_of(PROJECT) | {"mine.txt": b"precious"}


@pytest.mark.parametrize("report", [None, "not json", "[]", '{"generator": "other"}'])
def test_foreign_folders_keep_what_they_have(tmp_path: Path, report: str | None) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("precious")
    if report is None:
        write_project(PROJECT, out)
        assert contents(out) == bytes_of(PROJECT) | {"thesis.txt": b"precious"}
        return
    (out / "report.json").write_text(report)
    before = contents(out)
    with pytest.raises(ProjectFolderError, match="out/report.json: is there and was not written by htvm"):
        write_project(PROJECT, out)
    assert contents(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_leaves_a_file_alone(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ProjectFolderError, match="out: is a file, expected a folder"):
        write_project(PROJECT, tmp_path / "out", force=True)
    assert (tmp_path / "out").read_text() == "a file"


def test_symbolic_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    for files in (PROJECT, OTHER):
        write_project(files, tmp_path / "link")
        assert contents(tmp_path / "real") == bytes_of(files)
    assert (tmp_path / "link").is_symlink()


def test_the_current_folder_stays_the_same_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_project(PROJECT, tmp_path / "out")
    monkeypatch.chdir(tmp_path / "out")
    before = os.stat(".").st_ino
    write_project(OTHER, ".")
    assert contents(Path(".")) == bytes_of(OTHER)
    assert os.stat(".").st_ino == before == os.stat(tmp_path / "out").st_ino


def test_failure_leaves_what_was_there(written: Path) -> None:
    before = contents(written)
    with pytest.raises(ProjectFolderError, match="out: cannot be written: No such file"):
        write_project({**PROJECT, "no/such/folder.c": ""}, written)
    assert contents(written) == before
    assert [path.name for path in written.parent.iterdir()] == ["out"]
    assert not [path for path in written.iterdir() if path.name.startswith(".")]


def test_failure_leaves_nothing_new(tmp_path: Path) -> None:
    with pytest.raises(ProjectFolderError):
        write_project({"no/such/folder.c": ""}, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_folders_have_ordinary_permissions_and_keep_theirs(tmp_path: Path) -> None:
    write_project(PROJECT, tmp_path / "out")
    (tmp_path / "made").mkdir()
    assert os.stat(tmp_path / "out").st_mode == os.stat(tmp_path / "made").st_mode
    (tmp_path / "out").chmod(0o700)
    write_project(OTHER, tmp_path / "out")
    assert os.stat(tmp_path / "out").st_mode & 0o777 == 0o700


def test_a_list_that_names_files_elsewhere_is_no_list(tmp_path: Path) -> None:
    write_project(PROJECT, tmp_path / "out")
    (tmp_path / "victim").write_text("precious")
    sha256 = hashlib.sha256(b"precious").hexdigest()
    (tmp_path / "out" / "SHA256SUMS").write_text(f"{sha256}  ../victim\n")
    with pytest.raises(ProjectFolderError, match="SHA256SUMS: is no list of files that htvm has written"):
        write_project(OTHER, tmp_path / "out")
    assert (tmp_path / "victim").read_text() == "precious"


def test_a_writer_that_stands_still_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project, "PATIENCE_SECONDS", 0.1)
    write_project(PROJECT, tmp_path / "out")
    with locked(tmp_path / "out"), pytest.raises(ProjectFolderError, match="out: another process is writing to it"):
        write_project(OTHER, tmp_path / "out")
    assert contents(tmp_path / "out") == bytes_of(PROJECT)


def test_of_many_writers_at_once_one_is_last(tmp_path: Path) -> None:
    out = tmp_path / "out"
    writers: list[int] = []
    for number in range(8):
        child = os.fork()
        if not child:
            try:
                for _ in range(10):
                    write_project(PROJECT if number % 2 else OTHER, out)
                os._exit(0)
            finally:
                os._exit(1)
        writers.append(child)
    assert [os.waitpid(child, 0)[1] for child in writers] == [0] * 8
    assert contents(out) in (bytes_of(PROJECT), bytes_of(OTHER))
    assert is_whole(out)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("in_place", [False, True])
def test_a_kill_leaves_the_old_project_or_the_new_one(tmp_path: Path, in_place: bool) -> None:
    found = project_kills.count(tmp_path / "out", kills=30, seed=1, in_place=in_place, amid=6)
    assert found.old_or_new == found.kills >= 30 and found.amid > 5
    assert found.mixed == found.lost == found.left == 0
    assert in_place or not found.raw_mixed


def test_only_a_program_with_units_has_hooks_for_silicon() -> None:
    layer = Path(__file__).parents[2] / "inputs" / "models" / "htvm" / "layers" / "dense_16x128.onnx"
    with_units, alone = (htvm.compile(layer, target).project.files["main.c"] for target in ("diana", "rv32"))
    assert "HTVM_BOOT_ANALOG();\n#ifdef HTVM_RUN_FOREVER\n    for (;;)\n#endif\n    dense_16x128_run(" in with_units
    assert "HTVM_" not in alone


def test_constants_of_the_kernels_count_when_a_memory_is_full() -> None:
    layer = Path(__file__).parents[2] / "inputs" / "models" / "htvm" / "layers" / "conv2d_3x3_s1.onnx"
    diana = targets.load("diana").with_engines(["host"])  # without L1, where the host's weights could be
    soc = replace(diana, memories=tuple(each for each in diana.memories if each.host_visible), dmas=())
    report = htvm.compile(layer, soc).project.report
    needed = report.constant_bytes + report.planned_bytes("l2")
    assert htvm.compile(layer, soc.with_memory("l2", needed)).project.report.constant_bytes
    with pytest.raises(htvm.CompileError, match=f"l2 needs {needed:,} bytes, .* of them constants, and has") as error:
        htvm.compile(layer, soc.with_memory("l2", needed - 1))
    assert "bytes: step_0_weights" in str(error.value)
