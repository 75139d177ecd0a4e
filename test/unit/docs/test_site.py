"""The site: what is made from the code is complete, and Sphinx builds it without a warning."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from machine import machine
from mlir import ir

from htvm.dialects import accel
from htvm.passes import registry

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def pages() -> object:
    """Return the module that makes pages."""
    sys.path.insert(0, str(ROOT / "docs"))
    import reference_pages

    sys.path.pop(0)
    return reference_pages


@pytest.mark.parametrize("name", registry.own_passes())
def test_every_header_of_a_pass_has_its_five_lines(name: str, pages: object) -> None:
    header = pages.Header.of(registry.own_passes()[name])
    assert header.summary and all(header.fields[field] for field in pages.FIELDS)


def test_every_pass_and_target_is_on_its_page(pages: object) -> None:
    text = pages.passes()
    assert all(f"\n### {name}\n" in text for name in registry.own_passes())
    assert "\n## rv32\n" in pages.all_targets() and "Engine host of rv32" in pages.all_targets()
    assert "## htvm reduce" in pages.commands()


@pytest.mark.skipif(not machine().has_sphinx, reason="no Sphinx, and perhaps no definitions of MLIR")
def test_the_page_of_the_dialect_names_each_class(pages: object) -> None:
    """Operations, attributes and choices, as Python and C++ call them, with what a builder takes."""
    text = pages.dialect()
    public = {name for name, each in vars(accel).items() if isinstance(each, type) and issubclass(each, ir.OpView)}
    classes = {name for name in public if name.endswith("Op")}
    named = set(re.findall(r"^In Python `accel\.(\w+)`, in C\+\+ `htvm::accel::\1`\.$", text, re.MULTILINE))
    assert classes and named > classes | {"RequantAttr", "TilingAttr", "Rounding"}
    assert re.search(r"^accel\.ReluOp\(\s*result: ir\.Type \| None,\s*input: ", text, re.MULTILINE)
    assert "accel.RoundingAttr.get(" in text


@pytest.mark.skipif(not machine().has_sphinx, reason="no Sphinx")
def test_sphinx_builds_it_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", ROOT / "docs", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    dialect = (tmp_path / "reference" / "dialect.html").read_text()
    assert "accel.conv2d" in dialect and "accel.launch" in dialect
