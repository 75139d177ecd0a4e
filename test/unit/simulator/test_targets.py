"""Finding targets by name and by file."""

import pytest

from htvm.backend import targets
from htvm.backend.targets.soc import Soc

CUSTOM = """
from dataclasses import replace
from htvm.backend.targets.rv32 import SOC as RV32
SOC = replace(RV32, name="custom")
"""


@pytest.mark.parametrize("name", targets.BUILT_IN)
def test_a_target_has_the_name_it_is_loaded_by(name):
    soc = targets.load(name)
    assert soc.name == name in targets.names()
    assert soc.memory(soc.program_memory) and soc.memory(soc.arena_memory)


def test_a_file_is_a_target(tmp_path):
    (tmp_path / "custom.py").write_text(CUSTOM)
    soc = targets.load(str(tmp_path / "custom.py"))
    assert isinstance(soc, Soc) and soc.name == "custom"


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown target 'rv64'; known are rv32"):
        targets.load("rv64")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("SOC = 5", "must give a htvm.backend.targets.soc.Soc as SOC, got int"),
        ("", "must give a htvm.backend.targets.soc.Soc as SOC, got NoneType"),
        ("1 / 0", "fails: ZeroDivisionError: division by zero"),
    ],
)
def test_a_file_that_is_no_target_is_refused(tmp_path, text, problem):
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"target file '{path}' {problem}"):
        targets.load(str(path))


def test_a_missing_file_is_refused():
    with pytest.raises(ValueError, match="target file 'nowhere.py' does not exist"):
        targets.load("nowhere.py")


def test_an_unknown_memory_is_named():
    with pytest.raises(KeyError, match="target 'rv32' has no memory 'l1'; it has ram"):
        targets.load("rv32").memory("l1")
