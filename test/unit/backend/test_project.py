"""Writing a project: all of it or nothing, and never over somebody else's files."""

import os
from pathlib import Path

import pytest

import htvm
from htvm.backend import targets
from htvm.backend.c import ProjectFolderError, write_project

PROJECT = {"net.c": "int x;\n", "data.bin": b"\x00\xff", "report.json": '{"generator": "htvm"}'}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_writes_into_a_new_folder(tmp_path):
    write_project(PROJECT, tmp_path / "a" / "b")
    assert contents(tmp_path / "a" / "b") == {
        "net.c": b"int x;\n",
        "data.bin": b"\x00\xff",
        "report.json": b'{"generator": "htvm"}',
    }
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_writes_into_an_empty_folder(tmp_path):
    (tmp_path / "out").mkdir()
    write_project(PROJECT, tmp_path / "out")
    assert len(contents(tmp_path / "out")) == 3


def test_replaces_its_own_project_whole(tmp_path):
    write_project({**PROJECT, "old.c": ""}, tmp_path / "out")
    write_project(PROJECT, tmp_path / "out")
    assert set(contents(tmp_path / "out")) == set(PROJECT)


@pytest.mark.parametrize("report", [None, "not json", "[]", '{"generator": "other"}'])
def test_leaves_foreign_folders_alone(tmp_path, report):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("precious")
    if report is not None:
        (out / "report.json").write_text(report)
    before = contents(out)
    with pytest.raises(ProjectFolderError, match="out: is not empty and was not written by htvm"):
        write_project(PROJECT, out)
    assert contents(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_leaves_a_file_alone(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ProjectFolderError):
        write_project(PROJECT, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "a file"


def test_failure_leaves_what_was_there(tmp_path):
    write_project(PROJECT, tmp_path / "out")
    before = contents(tmp_path / "out")
    with pytest.raises(ProjectFolderError, match="out: cannot be written"):
        write_project({**PROJECT, "no/such/folder.c": ""}, tmp_path / "out")
    assert contents(tmp_path / "out") == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_failure_leaves_nothing_new(tmp_path):
    with pytest.raises(ProjectFolderError):
        write_project({"no/such/folder.c": ""}, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_folder_has_ordinary_permissions(tmp_path):
    write_project(PROJECT, tmp_path / "out")
    (tmp_path / "made").mkdir()
    assert os.stat(tmp_path / "out").st_mode == os.stat(tmp_path / "made").st_mode


def test_only_a_program_with_units_has_hooks_for_silicon() -> None:
    layer = Path(__file__).parents[2] / "inputs" / "models" / "htvm" / "layers" / "dense_16x128.onnx"
    with_units, alone = (htvm.compile(layer, target).project.files["main.c"] for target in ("diana", "rv32"))
    assert "HTVM_BOOT_ANALOG();\n#ifdef HTVM_RUN_FOREVER\n    for (;;)\n#endif\n    dense_16x128_run(" in with_units
    assert "HTVM_" not in alone


def test_constants_of_the_kernels_count_when_a_memory_is_full() -> None:
    layer = Path(__file__).parents[2] / "inputs" / "models" / "htvm" / "layers" / "conv2d_3x3_s1.onnx"
    soc = targets.load("diana").with_engines(["host"])
    report = htvm.compile(layer, soc).project.report
    needed = report["constant_bytes"] + report["memories"]["l2"]["planned_peak_bytes"]
    assert htvm.compile(layer, soc.with_memory("l2", needed)).project.report["constant_bytes"]
    with pytest.raises(htvm.CompileError, match=f"l2 needs {needed:,} bytes, .* of them constants, and has") as error:
        htvm.compile(layer, soc.with_memory("l2", needed - 1))
    assert "bytes: step_0_weights" in str(error.value)
