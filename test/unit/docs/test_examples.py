"""The examples of docs/: every command and every piece of Python is run, and prints what the page shows."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
import warm_commands
from machine import machine

ROOT = Path(__file__).parents[3]
MODELS = ROOT / "test" / "inputs" / "models"

BLOCK = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
STATUS = re.compile(r"\[exit status (\d+)\]\n\Z")


@dataclass(frozen=True)
class Example:
    """A file to write (its name is `write`), or a command with what it prints and its exit status."""

    text: str
    wanted: str = ""
    status: int = 0
    write: str = ""


def examples(page: Path) -> Iterator[Example]:
    """Yield what a page shows, in order."""
    blocks = [(block["kind"].strip(), block["text"]) for block in BLOCK.finditer(page.read_text(encoding="utf-8"))]
    for (kind, text), (next_kind, shown) in pairwise([*blocks, ("", "")]):
        caption = re.match(r":caption: (\S+)\n\n", text)
        if caption:
            yield Example(text[caption.end() :], write=caption[1])
        elif kind == "python":
            yield Example(f"python - <<'PYTHON'\n{text}PYTHON", shown if next_kind == "output" else "")
        elif kind == "console":
            for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, _, shown = part.partition("\n")
                ended = STATUS.search(shown)
                yield Example(command, STATUS.sub("", shown), int(ended[1]) if ended else 0)


def alike(shown: str, printed: str) -> bool:
    """Say whether a command has printed what a page shows.

    A line `...` stands for any lines, or none; `...` in a line for anything in that line. A page may break long lines.
    """
    parts = re.split(r"^\.\.\.\n", shown, flags=re.MULTILINE)
    return re.fullmatch(r"(?:.*\n)*?".join(map(_pattern, parts)), printed) is not None


def _pattern(part: str) -> str:
    """Return what matches some lines, their white space aside."""
    lines = (line.replace("...", " ... ").split() for line in part.splitlines())
    kept = [" *".join(".*" if word == "..." else re.escape(word) for word in line) for line in lines]
    return r"\s*" + r"\s+".join(kept) + r"\s*\n" if kept else ""


WRITTEN = [page for page in sorted((ROOT / "docs").rglob("*.md")) if page.parent.name != "reference"]  # which is built
PAGES = [page for page in WRITTEN if any(examples(page)) and page.name != "README.md"]


def test_there_are_pages_with_examples() -> None:
    names = {page.relative_to(ROOT / "docs").as_posix() for page in PAGES}
    assert {"start.md", "flow.md", "tutorials/wrong-number.md", "messages/import.md"} <= names


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("on digital\n  host  9\nend\n", "on host\n  host  9\nend\n"),
        ("on digital\nend\n", "on digital\n  a line that is not shown\nend\n"),
        ("host ... cycles\nend\n", "host\n  9 cycles\nend\n"),  # what dots stand for is in one line
        ("...\nend\n", "wrong end\n"),
        ("on digital\n...\n", "on digital, at last\n"),
        ("", "something\n"),
    ],
)
def test_other_output_than_shown_is_found(shown: str, printed: str) -> None:
    assert not alike(shown, printed)


def test_what_dots_and_white_space_stand_for() -> None:
    assert alike("...\nhost ... cycles,\nall\n...\n", "a\nb\n  host   9 of 10 cycles, all\n")


def environment() -> dict[str, str]:
    """Return variables with which a shell finds htvm's commands, and Python."""
    return {
        **os.environ,
        "PATH": f"{warm_commands.folder()}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "COLUMNS": "110",
    }


@pytest.mark.skipif(not machine().bash, reason="no bash")
def test_what_readme_says_of_use_works_when_pasted(tmp_path: Path) -> None:
    blocks = BLOCK.finditer((ROOT / "README.md").read_text(encoding="utf-8"))
    (pasted,) = (block["text"] for block in blocks if block["kind"] == "sh" and "htvm example" in block["text"])
    words = ["bash", "-e", "-o", "pipefail", "-c", pasted]
    done = subprocess.run(words, cwd=tmp_path, env=environment(), text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert "exact on target 'rv32'" in done.stdout
    assert (tmp_path / "dispatched.mlir").read_text().count('engine = "host"') == 7
    named = set(re.findall(r"htvm (\w+)", pasted))
    assert {"compile", "run", "verify", "explain", "report"} < named


def name(page: Path) -> str:
    return page.relative_to(ROOT / "docs").as_posix()


def marks(page: Path) -> Sequence[pytest.MarkDecorator]:
    """Return the mark of a page whose examples take long: a compiler of C++ reads MLIR's headers."""
    return [pytest.mark.slow] if page.name == "cpp.md" else []


NEEDED = {
    "tvm.md": (machine().has_tvm, "make test-integrations"),
    "pytorch.md": (machine().has_torch, "make test-integrations"),
    "cpp.md": (machine().has_mlir_for_cpp, "cmake, a C++ compiler, xtc-mlir-dev"),
    "passes.md": (find_spec("lit") is not None, "pip install lit"),
}
"""Whether there is what the pages of docs/integrations need, and what helps if not."""


@pytest.mark.skipif(not machine().bash, reason="no bash")
@pytest.mark.parametrize("page", [pytest.param(page, id=name(page), marks=marks(page)) for page in PAGES])
def test_examples_print_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    there, remedy = NEEDED.get(page.name, (True, ""))
    if not there:
        pytest.skip(f"not installed: {remedy}")
    patterns = ("mlperf_tiny/*.onnx", "mlperf_tiny/golden/*.npz", "htvm/*.onnx")
    for file in (file for pattern in patterns for file in MODELS.glob(pattern)):
        (tmp_path / file.name).symlink_to(file)
    for example in examples(page):
        if example.write:
            (tmp_path / example.write).parent.mkdir(exist_ok=True)
            (tmp_path / example.write).write_text(example.text)
            continue
        done = subprocess.run(
            ["bash", "-c", example.text], cwd=tmp_path, env=environment(), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        told = f"$ {example.text}\n{done.stdout}"
        assert done.returncode == example.status, told
        assert alike(example.wanted, done.stdout), f"{told}\nthe page shows:\n{example.wanted}"
