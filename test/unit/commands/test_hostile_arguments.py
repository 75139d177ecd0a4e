"""Arguments, plans and names of files that nobody expects: one line and exit status 1 or 2, no internal error."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import warm_commands

from htvm import plan
from htvm.diagnostics import CompileError

MODELS = Path(__file__).parents[2] / "inputs" / "models" / "htvm" / "layers"
DENSE = MODELS / "dense_16x128.onnx"


def htvm(*arguments: str | bytes, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [warm_commands.folder() / "htvm", *arguments],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--seed", "-1", "'-1' is no seed, expected an integer from 0"),
        ("--seed", "9" * 5000, "is no seed, expected an integer from 0"),
        ("--cc", "", "is empty, expected a command"),
        ("--cc", '"', "is no command: No closing quotation"),
        ("--memory", "ram=", "'' is no size"),
        ("--memory", "ram=64q", "'64q' is no size, expected bytes, such as 65536, 0x10000 or 64k"),
        ("--shape", "x=1x", "is not NAME=SIZES"),
    ],
)
def test_a_wrong_argument_is_a_line_and_status_2(option: str, value: str, message: str) -> None:
    done = htvm("run", str(DENSE), f"{option}={value}")
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr.splitlines()[-1]


def test_memory_alone_in_front_of_the_model_is_a_line_and_status_2() -> None:
    done = htvm("explain", "--memory", str(DENSE))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].endswith("is not NAME=SIZE, such as l1=64k; write --memory alone behind MODEL")


ENTRY = {"node": "dense", "op": "matmul", "engine": "digital", "tiling": {"outputs": 16}}
HOSTILE = {
    "brackets": ("[" * 100_000, "is no JSON"),
    "nested": ('{"layers":' * 5000 + "1" + "}" * 5000, "is no JSON"),
    "digits": ('{"layers":[' + "9" * 5000 + "]}", "is no JSON"),
    "100 digits": (json.dumps({"layers": [ENTRY | {"number": 10**100}]}), r"layers\[0\].number: a number of 333 bits"),
    "tiling": (json.dumps({"layers": [ENTRY | {"tiling": {"rows": -(2**63)}}]}), r"layers\[0\].tiling.rows: a number"),
    "infinite": ('{"layers":[1e999]}', r"layers\[0\]: inf, expected at most 2,147,483,647"),
    "surrogate": (json.dumps({"layers": [ENTRY | {"node": "\ud800"}]}), r"layers\[0\].node: '.ud800' is no Unicode"),
    "its name": (json.dumps({"layers": [ENTRY | {"\ud800": 1}]}), r"a name in layers\[0\]: '.ud800' is no Unicode"),
    "long": (json.dumps({"layers": [ENTRY | {"engine": "x" * 10**6}]}), r"a text of 1,000,000 characters"),
    "no object": (
        json.dumps({"layers": [list(range(10**5))]}),
        r"layers\[0\]: found \[0, 1, 2, 3, 4, 5, \.\.\.\],",
    ),
    "options": (json.dumps({"layers": [], "options": {"memory": {"l1": 10**30}}}), "options.memory.l1: a number of"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_plan_is_refused_in_a_line(tmp_path: Path, name: str) -> None:
    content, message = HOSTILE[name]
    (tmp_path / "p.json").write_text(content)
    with pytest.raises(CompileError, match=message) as error:
        plan.read(str(tmp_path / "p.json"))
    assert all("\n" not in problem and len(problem) < 300 + len(str(tmp_path)) for problem in error.value.problems)


def test_names_of_files_need_not_be_text(tmp_path: Path) -> None:
    """The C and the JSON are text all the same; messages have the bytes of the name."""
    folder = os.fsencode(tmp_path)
    model, project = folder + b"/m\xff.onnx", folder + b"/c\xff"
    with open(model, "wb") as file:
        file.write(DENSE.read_bytes())
    done = htvm("compile", model, "--target", "diana", "-o", project, "--json", folder + b"/r\xff.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(os.fsdecode(project))
    with open(folder + b"/r\xff.json", encoding="utf-8") as file:
        assert json.load(file)["model"] == "m_"
    with open(project + b"/m.c", encoding="utf-8") as file:
        assert "void m_run(" in file.read()
    done = htvm("run", folder + b"/none\xff")
    assert (done.returncode, done.stdout) == (1, "") and os.fsdecode(b"none\xff") in done.stderr


@pytest.mark.parametrize("folder", ["/nonexistent", "/proc"])
def test_a_folder_for_scratch_that_cannot_be_used_is_passed_over(folder: str) -> None:
    assert htvm("run", str(DENSE), "--quiet", TMPDIR=folder).returncode == 0
